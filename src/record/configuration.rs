//! Configuration: keys and values, of which the narrowest scope's is in force.
//!
//! A key has one row that keeps its case and says whether clients may see it; a value stands in
//! one scope. What is in force for a user is read in one statement, from the indexes of the four
//! scopes that the user is in.

mod in_force;

pub use in_force::Configuration;
pub(crate) use in_force::public_for;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::{branch, organisation};
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, Page, UserId};
use crate::value::limits::{CONFIGURATION_VALUE_MAX_BYTES, FOLDED_MAX_BYTES};
use crate::value::name::{ConfigurationKey, folded};

/// Where a value is set, the widest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// For everyone.
    System,
    /// For the users of an organisation.
    Organisation(OrganisationId),
    /// For the users of a branch.
    Branch(BranchId),
    /// For one user.
    User(UserId),
}

/// A value of a key in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// The key, in the case in which it was first written.
    pub key: String,
    /// The value: always text.
    pub value: String,
    /// Where it is set.
    pub scope: Scope,
    /// Whether clients may see it; that belongs to the key, in all its scopes.
    pub is_public: bool,
}

impl Store {
    /// The configuration.
    #[must_use]
    pub fn configuration(&self) -> Settings<'_> {
        Settings { store: self }
    }
}

/// The configuration of a store, in its four scopes.
///
/// A key is 1 to 128 bytes without white space, control or invisible characters. Its case is kept
/// as first written, and ignored in every look-up. A value is any text of at most 16,384 bytes
/// without NUL. No change of configuration ends a session.
///
/// ```
/// use gatepost::{Options, Scope, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let york = store.branches().create("York", None)?;
/// let configuration = store.configuration();
/// configuration.set(Scope::System, "support.pagination", "False")?;
/// configuration.set(Scope::Branch(york.id), "Support.Pagination", "True")?;
/// configuration.set_public("support.pagination", true)?;
///
/// let in_york = configuration.get(Scope::Branch(york.id), "SUPPORT.PAGINATION")?;
/// assert_eq!(in_york.map(|setting| setting.key).as_deref(), Some("support.pagination"));
/// assert!(!configuration.public_for(None)?.flag("support.pagination")?);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct Settings<'s> {
    store: &'s Store,
}

impl Settings<'_> {
    /// Sets a value, whatever stood there.
    ///
    /// # Errors
    /// `Invalid` for a key or value that is not as above, `NotFound` if the scope names what is
    /// not there; `Busy`, `Full`, `Io`.
    pub fn set(&self, scope: Scope, key: &str, value: &str) -> Result<Setting> {
        let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
        self.store.write(|tx| {
            check_owner(tx, scope)?;
            let before = find(tx, &key, Owners::of(scope))?;
            put(tx, scope, &key, value, before)
        })
    }

    /// Sets a value if what stands there is what is expected; `None` expects nothing.
    ///
    /// # Errors
    /// As [`set`](Self::set), and `Stale` if something else stands there, or nothing does.
    pub fn set_if(
        &self,
        scope: Scope,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> Result<Setting> {
        let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
        self.store.write(|tx| {
            check_owner(tx, scope)?;
            let before = find(tx, &key, Owners::of(scope))?;
            if before.as_ref().map(|(_, setting)| setting.value.as_str()) != expected {
                return Err(Error::stale("the configuration value is not the expected one"));
            }
            put(tx, scope, &key, value, before)
        })
    }

    /// Removes a value, so that the next wider scope's is in force; `false` if none stood there.
    ///
    /// # Errors
    /// `Invalid` for what cannot be a key; `Busy`, `Full`, `Io`.
    pub fn remove(&self, scope: Scope, key: &str) -> Result<bool> {
        let key = ConfigurationKey::parse(key)?;
        self.store.write(|tx| {
            let Some((id, before)) = find(tx, &key, Owners::of(scope))? else {
                return Ok(Written::Nothing(false));
            };
            tx.execute("DELETE FROM setting WHERE id = ?1", params![id])?;
            let event = event_in(scope, EventKind::ConfigurationRemoved, &before.key);
            Ok(Written::With(true, event))
        })
    }

    /// Says whether clients may see a key, whatever its value and scope. No key is public unless
    /// this says so. A key may be made public before it has a value.
    ///
    /// # Errors
    /// `Invalid` for what cannot be a key; `Busy`, `Full`, `Io`.
    pub fn set_public(&self, key: &str, public: bool) -> Result<()> {
        let key = ConfigurationKey::parse(key)?;
        self.store.write(|tx| {
            let (shown, is_public) = match known(tx, &key)? {
                Some(known) => known,
                None if public => (make_known(tx, &key)?, false),
                None => return Ok(Written::Nothing(())),
            };
            if is_public == public {
                return Ok(Written::Nothing(()));
            }
            tx.execute(
                "UPDATE configuration_key SET is_public = ?2 WHERE key = ?1",
                params![key.key, public],
            )?;
            let kind = if public {
                EventKind::ConfigurationMadePublic
            } else {
                EventKind::ConfigurationMadePrivate
            };
            Ok(Written::With((), Event::new(kind).detail(shown)))
        })
    }

    /// The value that is set in exactly this scope.
    ///
    /// # Errors
    /// `Invalid` for what cannot be a key; `Busy`, `Io`, `Corrupt`.
    pub fn get(&self, scope: Scope, key: &str) -> Result<Option<Setting>> {
        let key = ConfigurationKey::parse(key)?;
        let found = self.store.read(|tx| find(tx, &key, Owners::of(scope)))?;
        Ok(found.map(|(_, setting)| setting))
    }

    /// A page of the values that are set in exactly this scope, by key; the next page begins after
    /// the last key of this one.
    ///
    /// # Errors
    /// `Invalid` for a page limit that is not 1 to 500; `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, scope: Scope, page: Page<&str>) -> Result<Vec<Setting>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or_default();
        if after.len() > FOLDED_MAX_BYTES {
            return Err(Error::invalid("the key after which the page begins is too long"));
        }
        let owners = Owners::of(scope);
        self.store.read(|tx| {
            tx.all(
                "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id
                 FROM setting s JOIN configuration_key k ON k.key = s.key
                 WHERE s.key > ?1 AND s.id IN (
                     SELECT id FROM setting WHERE user_id = ?2
                     UNION ALL SELECT id FROM setting WHERE branch_id = ?3
                     UNION ALL SELECT id FROM setting WHERE organisation_id = ?4
                     UNION ALL SELECT id FROM setting WHERE ?5 AND organisation_id IS NULL
                         AND branch_id IS NULL AND user_id IS NULL)
                 ORDER BY s.key LIMIT ?6",
                params![
                    folded(after),
                    owners.user,
                    owners.branch,
                    owners.organisation,
                    owners.system,
                    limit
                ],
                setting,
            )
        })
    }
}

/// Whose values count: one owner's, or those of all the scopes that a user is in.
#[derive(Debug, Clone, Copy, Default)]
struct Owners {
    user: Option<UserId>,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
    system: bool,
}

impl Owners {
    fn of(scope: Scope) -> Self {
        let nobody = Self::default();
        match scope {
            Scope::System => Self { system: true, ..nobody },
            Scope::Organisation(id) => Self { organisation: Some(id), ..nobody },
            Scope::Branch(id) => Self { branch: Some(id), ..nobody },
            Scope::User(id) => Self { user: Some(id), ..nobody },
        }
    }

    /// A user with the branch and organisation it is in; without a user, the system alone.
    fn around(tx: &ReadTx<'_>, user: Option<UserId>) -> Result<Self> {
        let Some(id) = user else {
            return Ok(Self::of(Scope::System));
        };
        tx.one(
            "SELECT u.branch_id, b.organisation_id
             FROM user u LEFT JOIN branch b ON b.id = u.branch_id
             WHERE u.id = ?1 AND u.deleted_at IS NULL",
            params![id],
            |row| Ok(Self { user, branch: row.get(0)?, organisation: row.get(1)?, system: true }),
        )?
        .ok_or_else(|| Error::not_found("there is no user of this id"))
    }
}

/// The value of the narrowest of these owners, with the id of its row.
fn find(
    tx: &ReadTx<'_>,
    key: &ConfigurationKey,
    owners: Owners,
) -> Result<Option<(i64, Setting)>> {
    tx.one(
        "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id, s.id
         FROM setting s JOIN configuration_key k ON k.key = s.key
         WHERE s.id = coalesce(
             (SELECT id FROM setting WHERE user_id = ?2 AND key = ?1),
             (SELECT id FROM setting WHERE branch_id = ?3 AND key = ?1),
             (SELECT id FROM setting WHERE organisation_id = ?4 AND key = ?1),
             (SELECT id FROM setting WHERE ?5 AND key = ?1 AND organisation_id IS NULL
                 AND branch_id IS NULL AND user_id IS NULL))",
        params![key.key, owners.user, owners.branch, owners.organisation, owners.system],
        |row| Ok((row.get(6)?, setting(row)?)),
    )
}

fn put(
    tx: &WriteTx<'_>,
    scope: Scope,
    key: &ConfigurationKey,
    value: &str,
    before: Option<(i64, Setting)>,
) -> Result<Written<Setting>> {
    let after = match before {
        Some((_, before)) if before.value == value => return Ok(Written::Nothing(before)),
        Some((id, before)) => {
            tx.execute("UPDATE setting SET value = ?2 WHERE id = ?1", params![id, value])?;
            Setting { value: value.to_owned(), ..before }
        }
        None => {
            let (shown, is_public) = match known(tx, key)? {
                Some(known) => known,
                None => (make_known(tx, key)?, false),
            };
            let owners = Owners::of(scope);
            tx.execute(
                "INSERT INTO setting (key, organisation_id, branch_id, user_id, value)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![key.key, owners.organisation, owners.branch, owners.user, value],
            )?;
            Setting { key: shown, value: value.to_owned(), scope, is_public }
        }
    };
    let event = event_in(scope, EventKind::ConfigurationSet, &after.key);
    Ok(Written::With(after, event))
}

/// How a key is shown and whether it is public, if it was ever used.
fn known(tx: &ReadTx<'_>, key: &ConfigurationKey) -> Result<Option<(String, bool)>> {
    tx.one(
        "SELECT shown, is_public FROM configuration_key WHERE key = ?1",
        params![key.key],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn make_known(tx: &WriteTx<'_>, key: &ConfigurationKey) -> Result<String> {
    tx.execute(
        "INSERT INTO configuration_key (key, shown) VALUES (?1, ?2)",
        params![key.key, key.shown],
    )?;
    Ok(key.shown.clone())
}

fn check_owner(tx: &ReadTx<'_>, scope: Scope) -> Result<()> {
    match scope {
        Scope::System => Ok(()),
        Scope::Organisation(id) => organisation::existing(tx, id).map(drop),
        Scope::Branch(id) => branch::existing(tx, id).map(drop),
        Scope::User(id) => Owners::around(tx, Some(id)).map(drop),
    }
}

/// The key stands in the log, the value does not: it may be a secret of the host's.
fn event_in(scope: Scope, kind: EventKind, key: &str) -> Event {
    let owners = Owners::of(scope);
    Event::new(kind)
        .user(owners.user)
        .branch(owners.branch)
        .organisation(owners.organisation)
        .detail(key)
}

fn setting(row: &Row<'_>) -> rusqlite::Result<Setting> {
    let scope = match (row.get(3)?, row.get(4)?, row.get(5)?) {
        (_, _, Some(id)) => Scope::User(id),
        (_, Some(id), None) => Scope::Branch(id),
        (Some(id), None, None) => Scope::Organisation(id),
        (None, None, None) => Scope::System,
    };
    Ok(Setting { key: row.get(0)?, is_public: row.get(1)?, value: row.get(2)?, scope })
}

fn checked_value(value: &str) -> Result<&str> {
    if value.len() > CONFIGURATION_VALUE_MAX_BYTES {
        return Err(Error::invalid("the configuration value is longer than 16,384 bytes"));
    }
    // Whatever reads the file with C's idea of text would see another value.
    if value.contains('\0') {
        return Err(Error::invalid("the configuration value has a NUL character"));
    }
    Ok(value)
}
