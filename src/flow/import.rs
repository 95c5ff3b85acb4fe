//! Records of another store or system, with their ids, many in one write.

use crate::error::{Error, ErrorKind, Result};
use crate::record::audit::{self, Written};
use crate::record::credit::{self, CreditHolder};
use crate::record::user::{CheckedUser, NewUser};
use crate::record::{branch, configuration, organisation};
use crate::storage::WriteTx;
use crate::store::Store;
use crate::value::event::Event;
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::IMPORT_MAX_RECORDS;
use crate::value::subtree::Subtree;
use crate::value::time::Timestamp;

/// A record of another store or system, for [`Store::import`].
///
/// Any UUID except the nil and the max UUID is accepted as an id. Lists are in the order of the
/// ids, so imported records may come before or after older ones. A time of creation that is left
/// out is the time of the import.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportRecord {
    /// An organisation.
    Organisation {
        /// Its id.
        id: OrganisationId,
        /// Its name, by the rules of
        /// [`Organisations::create`](crate::directory::Organisations::create).
        name: String,
        /// Whether its users can log in, if nothing else refuses them.
        active: bool,
        /// How many credits are left; `None` if they are not counted.
        credits: Option<u64>,
        /// When it was created.
        created_at: Option<Timestamp>,
    },
    /// A branch.
    Branch {
        /// Its id.
        id: BranchId,
        /// Its organisation, which must exist; it may be imported by the same call, before.
        organisation: Option<OrganisationId>,
        /// Its name, by the rules of [`Branches::create`](crate::directory::Branches::create).
        name: String,
        /// Whether its users can log in, if nothing else refuses them.
        active: bool,
        /// How many credits are left; `None` if they are not counted.
        credits: Option<u64>,
        /// When it was created.
        created_at: Option<Timestamp>,
    },
    /// A user.
    User {
        /// The id.
        id: UserId,
        /// Everything else, as for [`Users::create`](crate::directory::Users::create).
        user: Box<NewUser>,
        /// When the user was created.
        created_at: Option<Timestamp>,
        /// When the account was confirmed; `None` if its address never was, which then stays so.
        confirmed_at: Option<Timestamp>,
    },
    /// A value of the configuration.
    Setting {
        /// The scope, whose owner must exist.
        scope: Subtree,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Whether clients may see the key, if it was never used in this store.
        public: bool,
    },
}

/// What [`Store::import`] did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Imported {
    /// It was created.
    Created,
    /// There is a record of this id, or a value of this key in this scope, or there was a user of
    /// this id who is deleted now. It is left as it is, whatever the record says. A branch, an
    /// organisation or a setting that was deleted is created again.
    Existing,
}

impl Store {
    /// Imports up to 1,000 records of another store or system, in this order, in one write.
    ///
    /// Nothing that exists is changed, so the same records can be imported again: after a crash, a
    /// second run goes on where the first one ended. A record that is refused has its error in the
    /// result, and the others are created. Each record that is created has the rows in the audit
    /// log that it would have if it had been created alone. A
    /// [password hash](NewUser::password_hash) of another system is verified as that system did,
    /// and replaced at the first login.
    ///
    /// A password in clear text is checked and hashed before the write begins, one after the other.
    ///
    /// ```
    /// use gatepost::directory::{ImportRecord, Imported};
    /// use gatepost::{ErrorKind, NewUser, UserId};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let id: UserId = "6f1d2a4e-8c1b-4a57-9a0e-0f2b6f6f3c11".parse()?;
    /// let record = |name: &str| ImportRecord::User {
    ///     id,
    ///     user: Box::new(NewUser::person(name).email("ada@example.com")),
    ///     created_at: None,
    ///     confirmed_at: None,
    /// };
    /// let unknown = ImportRecord::Branch {
    ///     id: gatepost::BranchId::from_uuid(id.as_uuid()),
    ///     organisation: Some(gatepost::OrganisationId::from_uuid(id.as_uuid())),
    ///     name: "York".into(),
    ///     active: true,
    ///     credits: None,
    ///     created_at: None,
    /// };
    /// let results = store.import(vec![record("ada"), record("ada"), unknown])?;
    /// assert_eq!(results[0].as_ref().unwrap(), &Imported::Created);
    /// assert_eq!(results[1].as_ref().unwrap(), &Imported::Existing);
    /// assert_eq!(results[2].as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    /// assert_eq!(store.users().find(id)?.expect("a user").username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The error of a record is that of the call that creates such a record:
    /// [`Invalid`](ErrorKind::Invalid), [`Taken`](ErrorKind::Taken),
    /// [`NotFound`](ErrorKind::NotFound), [`LimitReached`](ErrorKind::LimitReached) for a setting,
    /// [`Misuse`](ErrorKind::Misuse) for a hash that needs the feature `import-hashes`, or
    /// [`Overloaded`](ErrorKind::Overloaded) for a password in clear text. The call itself fails,
    /// and creates nothing, as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](ErrorKind::Invalid) for more than 1,000 records;
    /// - [`KeyMissing`](ErrorKind::KeyMissing) for a user with a password, if this process lacks
    ///   the key under which the file seals;
    /// - [`NoRandom`](ErrorKind::NoRandom).
    #[doc(alias("migrate", "migration", "bulk"))]
    pub fn import(&self, records: Vec<ImportRecord>) -> Result<Vec<Result<Imported>>> {
        if records.len() > IMPORT_MAX_RECORDS {
            return Err(Error::invalid("Store::import takes at most 1,000 records"));
        }
        let checked: Vec<Result<Checked>> =
            records.into_iter().map(|record| record.checked(self)).collect();
        self.write(|tx| {
            let mut results = Vec::with_capacity(checked.len());
            let mut last: Option<Event> = None;
            for record in checked {
                let created = match record.and_then(|record| record.import(tx, self)) {
                    Ok(created) => created,
                    Err(error) if is_of_the_record(error.kind()) => {
                        results.push(Err(error));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                results.push(Ok(match created.is_empty() {
                    true => Imported::Existing,
                    false => Imported::Created,
                }));
                for event in created {
                    if let Some(before) = last.replace(event) {
                        audit::append(tx, &before)?;
                    }
                }
            }
            Ok(match last {
                Some(event) => Written::With(results, event),
                None => Written::Nothing(results),
            })
        })
    }
}

/// Whether the next record may be fine. Every error of these kinds is found before the record
/// writes anything.
const fn is_of_the_record(kind: ErrorKind) -> bool {
    use ErrorKind::{Invalid, LimitReached, Misuse, NotFound, Overloaded, Taken};
    matches!(kind, Invalid | LimitReached | Misuse | NotFound | Overloaded | Taken)
}

/// A record whose user, if it is one, is checked and hashed.
enum Checked {
    User(UserId, Box<CheckedUser>, [Option<Timestamp>; 2]),
    Other(ImportRecord),
}

impl ImportRecord {
    fn checked(self, store: &Store) -> Result<Checked> {
        Ok(match self {
            Self::User { id, user, created_at, confirmed_at } => {
                Checked::User(id, Box::new(user.checked(store)?), [created_at, confirmed_at])
            }
            other => Checked::Other(other),
        })
    }
}

impl Checked {
    /// Writes the record, and returns what to report; nothing if it existed.
    fn import(self, tx: &WriteTx<'_>, store: &Store) -> Result<Vec<Event>> {
        let (created, holder, credits) = match self {
            Self::User(id, user, [created_at, confirmed_at]) => {
                return user.import(tx, store, id, (created_at, confirmed_at));
            }
            Self::Other(ImportRecord::Setting { scope, key, value, public }) => {
                return configuration::import(tx, scope, (&key, &value), public);
            }
            Self::Other(ImportRecord::Organisation { id, name, active, credits, created_at }) => {
                credits.map(credit::in_bounds).transpose()?;
                let created = organisation::import(tx, id, (&name, active), created_at)?;
                (created, CreditHolder::Organisation(id), credits)
            }
            Self::Other(ImportRecord::Branch {
                id,
                organisation,
                name,
                active,
                credits,
                created_at,
            }) => {
                credits.map(credit::in_bounds).transpose()?;
                let place = (id, organisation);
                let created = branch::import(tx, place, (&name, active), created_at)?;
                (created, CreditHolder::Branch(id), credits)
            }
            Self::Other(ImportRecord::User { .. }) => return Ok(Vec::new()),
        };
        let Some(created) = created else { return Ok(Vec::new()) };
        let counted = credits.map(|credits| credit::import(tx, holder, credits)).transpose()?;
        Ok([created].into_iter().chain(counted).collect())
    }
}
