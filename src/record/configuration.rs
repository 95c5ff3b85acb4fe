//! Configuration: keys and values, of which the value of the narrowest scope is in force.
//!
//! A key has one row that stores its letter case and whether clients may see it; a value belongs to
//! one scope. One statement reads the values in force for a user, by the indexes of its scopes;
//! that of a login reads the values of public keys alone.

mod import;
mod in_force;
mod keys;
mod list;

pub(crate) use import::import;
pub use in_force::Configuration;
pub(crate) use in_force::public_for;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::{branch, organisation};
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::{CONFIGURATION_VALUE_MAX_BYTES, SETTINGS_PER_SCOPE_MAX};
use crate::value::name::ConfigurationKey;
use crate::value::subtree::Subtree;

/// A value of a key in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Setting {
    /// The key, in the case in which it was first written.
    pub key: String,
    /// The value: always text.
    pub value: String,
    /// The scope in which it is set.
    pub scope: Subtree,
    /// Whether clients may see it. This belongs to the key, in all its scopes.
    pub is_public: bool,
}

impl Store {
    /// Returns the handle of the configuration.
    #[must_use]
    pub fn configuration(&self) -> Settings<'_> {
        Settings { store: self }
    }
}

/// The configuration of a store, in its four scopes.
///
/// A key is 1 to 128 bytes without white space, control or invisible characters. Its letter case is
/// stored as first written and ignored in every lookup. A value is any text of at most 16,384 bytes
/// without NUL. No change of configuration revokes a session.
///
/// A scope has at most 1,000 values, and a store at most 10,000 keys, 1,000 of them public. A key
/// is never deleted, also if its last value is removed: put what differs from user to user into the
/// values and not into the keys.
///
/// ```
/// use gatepost::Subtree;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let york = store.branches().create("York", None)?;
/// let configuration = store.configuration();
/// configuration.set(Subtree::Store, "support.pagination", "False")?;
/// configuration.set(Subtree::Branch(york.id), "Support.Pagination", "True")?;
/// configuration.set_public("support.pagination", true)?;
///
/// let york_value = configuration.get(Subtree::Branch(york.id), "SUPPORT.PAGINATION")?;
/// assert_eq!(york_value.map(|setting| setting.key).as_deref(), Some("support.pagination"));
/// assert!(!configuration.public_for(None)?.flag("support.pagination")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Settings<'s> {
    store: &'s Store,
}

impl<'s> Settings<'s> {
    /// Sets a value in a scope and returns it. Writes nothing if the value is the same.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let configuration = store.configuration();
    /// let setting = configuration.set(Subtree::Store, "pageSize", "50")?;
    /// assert_eq!(setting.value, "50");
    /// assert_eq!(configuration.get(Subtree::Store, "pagesize")?, Some(setting));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the key or the value breaks the rules
    ///   [above](Self);
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the organisation, branch or user of the scope
    ///   does not exist;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the value is a new one, and the scope
    ///   has 1,000 of them or the key is new and the store has 10,000 keys.
    pub fn set(&self, scope: Subtree, key: &str, value: &str) -> Result<Setting> {
        let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
        self.store.write(|tx| {
            check_owner(tx, scope)?;
            let before = find(tx, &key, Owners::of(scope))?;
            put(tx, scope, &key, value, before)
        })
    }

    /// Sets a value only if the stored one is `expected` (compare-and-set); `None` expects no
    /// value. Returns the new one.
    ///
    /// ```
    /// use gatepost::{ErrorKind, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let configuration = store.configuration();
    /// configuration.set_if(Subtree::Store, "pageSize", None, "50")?;
    /// configuration.set_if(Subtree::Store, "pageSize", Some("50"), "80")?;
    /// let late = configuration.set_if(Subtree::Store, "pageSize", Some("50"), "20").unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::Stale);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`set`](Self::set), and:
    /// - [`Stale`](crate::ErrorKind::Stale) if the stored value is another one, or there is none.
    pub fn set_if(
        &self,
        scope: Subtree,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> Result<Setting> {
        let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
        self.store.write(|tx| {
            check_owner(tx, scope)?;
            let before = find(tx, &key, Owners::of(scope))?;
            if before.as_ref().map(|(_, setting)| setting.value.as_str()) != expected {
                return Err(Error::stale(
                    "the configuration value is not the one that set_if expects",
                ));
            }
            put(tx, scope, &key, value, before)
        })
    }

    /// Removes a value, so that the value of the next wider scope is in force; `false` if there was
    /// none.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let configuration = store.configuration();
    /// configuration.set(Subtree::Store, "pageSize", "50")?;
    /// assert!(configuration.remove(Subtree::Store, "pageSize")?);
    /// assert_eq!(configuration.get(Subtree::Store, "pageSize")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text cannot be a key.
    pub fn remove(&self, scope: Subtree, key: &str) -> Result<bool> {
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

    /// Sets whether clients may see a key, in all its scopes. A key is private unless this call
    /// makes it public, which may be before it has a value.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let configuration = store.configuration();
    /// configuration.set(Subtree::Store, "pageSize", "50")?;
    /// assert_eq!(configuration.public_for(None)?.text("pageSize"), None);
    /// configuration.set_public("pageSize", true)?;
    /// assert_eq!(configuration.public_for(None)?.text("pageSize"), Some("50"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text cannot be a key;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if 1,000 keys are public, or the key is
    ///   new and the store has 10,000 keys.
    pub fn set_public(&self, key: &str, public: bool) -> Result<()> {
        let key = ConfigurationKey::parse(key)?;
        self.store.write(|tx| {
            let (shown, is_public) = match keys::known(tx, &key)? {
                Some(known) => known,
                None if public => (keys::make_known(tx, &key)?, false),
                None => return Ok(Written::Nothing(())),
            };
            if is_public == public {
                return Ok(Written::Nothing(()));
            }
            Ok(Written::With((), keys::set_public(tx, &key, &shown, public)?))
        })
    }

    /// Returns the value that is set in exactly this scope; `None` if there is none.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// store.configuration().set(Subtree::Store, "pageSize", "50")?;
    /// assert!(store.configuration().get(Subtree::Store, "pageSize")?.is_some());
    /// assert_eq!(store.configuration().get(york.into(), "pageSize")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text cannot be a key.
    pub fn get(&self, scope: Subtree, key: &str) -> Result<Option<Setting>> {
        let key = ConfigurationKey::parse(key)?;
        let found = self.store.read(|tx| find(tx, &key, Owners::of(scope)))?;
        Ok(found.map(|(_, setting)| setting))
    }
}

/// The owners whose values count: one owner, or all the scopes that a user is in.
#[derive(Debug, Clone, Copy, Default)]
struct Owners {
    user: Option<UserId>,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
    system: bool,
}

impl Owners {
    fn of(scope: Subtree) -> Self {
        let none = Self::default();
        match scope {
            Subtree::Store => Self { system: true, ..none },
            Subtree::Organisation(id) => Self { organisation: Some(id), ..none },
            Subtree::Branch(id) => Self { branch: Some(id), ..none },
            Subtree::User(id) => Self { user: Some(id), ..none },
        }
    }

    /// A user with its branch and organisation; without a user, only the store.
    fn around(tx: &ReadTx<'_>, user: Option<UserId>) -> Result<Self> {
        let Some(id) = user else {
            return Ok(Self::of(Subtree::Store));
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
    scope: Subtree,
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
            let owners = Owners::of(scope);
            if list::count_of(tx, owners)? >= SETTINGS_PER_SCOPE_MAX {
                return Err(Error::limit_reached("the scope has 1,000 settings")
                    .advising("Remove one of them first."));
            }
            let (shown, is_public) = match keys::known(tx, key)? {
                Some(known) => known,
                None => (keys::make_known(tx, key)?, false),
            };
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

fn check_owner(tx: &ReadTx<'_>, scope: Subtree) -> Result<()> {
    match scope {
        Subtree::Store => Ok(()),
        Subtree::Organisation(id) => organisation::existing(tx, id).map(drop),
        Subtree::Branch(id) => branch::existing(tx, id).map(drop),
        Subtree::User(id) => Owners::around(tx, Some(id)).map(drop),
    }
}

/// The audit log names the key but not the value, which may be a secret of the host.
fn event_in(scope: Subtree, kind: EventKind, key: &str) -> Event {
    let owners = Owners::of(scope);
    Event::new(kind)
        .user(owners.user)
        .branch(owners.branch)
        .organisation(owners.organisation)
        .detail(key)
}

/// Every value that is set for a user alone, in the order of the keys.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<Setting>> {
    tx.all(
        "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id
         FROM setting AS s JOIN configuration_key AS k ON k.key = s.key
         WHERE s.user_id = ?1 ORDER BY s.key",
        params![user],
        setting,
    )
}

/// Deletes the values that are set for a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM setting WHERE user_id = ?1", params![user]).map(drop)
}

fn setting(row: &Row<'_>) -> rusqlite::Result<Setting> {
    let scope = match (row.get(3)?, row.get(4)?, row.get(5)?) {
        (_, _, Some(id)) => Subtree::User(id),
        (_, Some(id), None) => Subtree::Branch(id),
        (Some(id), None, None) => Subtree::Organisation(id),
        (None, None, None) => Subtree::Store,
    };
    Ok(Setting { key: row.get(0)?, is_public: row.get(1)?, value: row.get(2)?, scope })
}

fn checked_value(value: &str) -> Result<&str> {
    if value.len() > CONFIGURATION_VALUE_MAX_BYTES {
        return Err(Error::invalid("the configuration value is longer than 16,384 bytes"));
    }
    // A program that reads the file with C strings would see another value.
    if value.contains('\0') {
        return Err(Error::invalid("the configuration value has a NUL character"));
    }
    Ok(value)
}
