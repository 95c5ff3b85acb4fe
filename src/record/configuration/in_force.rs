//! The configuration in force for a user: of each key, the value of the narrowest scope.

use super::{Owners, Setting, Settings, find, setting};
use crate::error::{Error, Result};
use crate::storage::{ReadTx, Row, params};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::CONFIGURATION_KEY_MAX_BYTES;
use crate::value::name::{ConfigurationKey, folded};

/// The values in force at one moment, each key once. Lookups ignore letter case.
///
/// ```
/// use gatepost::{ErrorKind, Subtree};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// store.configuration().set(Subtree::Store, "autoDeleteEnabled", "True")?;
/// store.configuration().set(Subtree::Store, "pageSize", "50")?;
///
/// let configuration = store.configuration().effective_all(None)?;
/// assert!(configuration.flag("autodeleteenabled")?);
/// assert_eq!(configuration.integer("pageSize")?, 50);
/// assert_eq!(configuration.text("theme"), None);
/// assert_eq!(configuration.flag("theme").unwrap_err().kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// In the order of the folded keys.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    folded: String,
    setting: Setting,
}

impl Configuration {
    /// Returns the setting of a key; `None` if it has no value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        // No key is longer, and folding a long text is expensive.
        if key.len() > CONFIGURATION_KEY_MAX_BYTES {
            return None;
        }
        let key = folded(key);
        let at = self.entries.binary_search_by(|entry| entry.folded.as_str().cmp(&key)).ok()?;
        self.entries.get(at).map(|entry| &entry.setting)
    }

    /// Returns the value of a key; `None` if it has none.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str())
    }

    /// Returns the value of a key as a flag: `True` and `False` in any case, `1` and `0`.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "autoDelete", "TRUE")?;
    /// assert!(store.configuration().effective_all(None)?.flag("autoDelete")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the key has no value.
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the value is none of the four.
    pub fn flag(&self, key: &str) -> Result<bool> {
        match self.required(key)? {
            "1" => Ok(true),
            "0" => Ok(false),
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(Error::invalid("the configuration value is not True, False, 1 or 0")),
        }
    }

    /// Returns the value of a key as a decimal number.
    ///
    /// ```
    /// use gatepost::{ErrorKind, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "pageSize", "50")?;
    /// store.configuration().set(Subtree::Store, "theme", "dark")?;
    /// let configuration = store.configuration().effective_all(None)?;
    /// assert_eq!(configuration.integer("pageSize")?, 50);
    /// assert_eq!(configuration.integer("theme").unwrap_err().kind(), ErrorKind::Invalid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the key has no value.
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the value is not a whole number of 64 bits.
    pub fn integer(&self, key: &str) -> Result<i64> {
        self.required(key)?
            .parse()
            .map_err(|_| Error::invalid("the configuration value is not a whole number"))
    }

    /// Iterates over the settings in the order of their keys, ignoring letter case.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "theme", "dark")?;
    /// store.configuration().set(Subtree::Store, "PageSize", "50")?;
    /// let configuration = store.configuration().effective_all(None)?;
    /// let keys: Vec<&str> = configuration.iter().map(|setting| setting.key.as_str()).collect();
    /// assert_eq!(keys, ["PageSize", "theme"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Setting> {
        self.entries.iter().map(|entry| &entry.setting)
    }

    /// Returns how many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn required(&self, key: &str) -> Result<&str> {
        self.text(key).ok_or_else(|| Error::not_found("the configuration key has no value"))
    }
}

/// Writes a list of the settings, in the order of their keys.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for Configuration {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl Settings<'_> {
    /// Returns the value of a key that is in force for a user: the user's own, else the branch's,
    /// else the organisation's, else the store's. With `None` for the user, the store's.
    ///
    /// ```
    /// use gatepost::{NewUser, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.configuration().set(Subtree::Store, "theme", "light")?;
    /// store.configuration().set(Subtree::User(ada), "theme", "dark")?;
    /// let theme = store.configuration().effective(ada, "theme")?;
    /// assert_eq!(theme.map(|setting| setting.value).as_deref(), Some("dark"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text cannot be a key;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn effective(
        &self,
        user: impl Into<Option<UserId>>,
        key: &str,
    ) -> Result<Option<Setting>> {
        let key = ConfigurationKey::parse(key)?;
        let user = user.into();
        let found = self.store.read(|tx| find(tx, &key, Owners::around(tx, user)?))?;
        Ok(found.map(|(_, setting)| setting))
    }

    /// Returns all values in force for a user; with `None`, those of the store.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "theme", "light")?;
    /// assert_eq!(store.configuration().effective_all(None)?.text("theme"), Some("light"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn effective_all(&self, user: impl Into<Option<UserId>>) -> Result<Configuration> {
        let user = user.into();
        self.store.read(|tx| in_force(tx, Owners::around(tx, user)?))
    }

    /// Returns the values in force for a user that clients may see, as the reply to a login carries
    /// them; with `None`, those of the store.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "theme", "light")?;
    /// store.configuration().set(Subtree::Store, "mailServer", "10.0.0.7")?;
    /// store.configuration().set_public("theme", true)?;
    /// let public = store.configuration().public_for(None)?;
    /// assert_eq!(public.text("theme"), Some("light"));
    /// assert_eq!(public.text("mailServer"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn public_for(&self, user: impl Into<Option<UserId>>) -> Result<Configuration> {
        let user = user.into();
        self.store.read(|tx| public_in_force(tx, Owners::around(tx, user)?))
    }
}

/// The public values in force for a user whose branch and organisation are known.
pub(crate) fn public_for(
    tx: &ReadTx<'_>,
    user: UserId,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
) -> Result<Configuration> {
    public_in_force(tx, Owners { user: Some(user), branch, organisation, system: true })
}

/// Begins from the public keys: every login reads this, and nothing of a private value.
fn public_in_force(tx: &ReadTx<'_>, owners: Owners) -> Result<Configuration> {
    let entries = tx.all(
        "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id, k.key
         FROM configuration_key AS k JOIN setting AS s ON s.id = coalesce(
             (SELECT id FROM setting WHERE user_id = ?1 AND key = k.key),
             (SELECT id FROM setting WHERE branch_id = ?2 AND key = k.key),
             (SELECT id FROM setting WHERE organisation_id = ?3 AND key = k.key),
             (SELECT id FROM setting WHERE ?4 AND key = k.key AND organisation_id IS NULL
                 AND branch_id IS NULL AND user_id IS NULL))
         WHERE k.is_public = 1 ORDER BY k.key",
        params![owners.user, owners.branch, owners.organisation, owners.system],
        entry,
    )?;
    Ok(Configuration { entries })
}

/// With a single `max()`, SQLite takes the other columns from the row that has the maximum.
fn in_force(tx: &ReadTx<'_>, owners: Owners) -> Result<Configuration> {
    let entries = tx.all(
        "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id, k.key,
             max(s.narrowness)
         FROM (
             SELECT 4 AS narrowness, key, value, organisation_id, branch_id, user_id
             FROM setting WHERE user_id = ?1
             UNION ALL SELECT 3, key, value, organisation_id, branch_id, user_id
             FROM setting WHERE branch_id = ?2
             UNION ALL SELECT 2, key, value, organisation_id, branch_id, user_id
             FROM setting WHERE organisation_id = ?3
             UNION ALL SELECT 1, key, value, organisation_id, branch_id, user_id
             FROM setting WHERE ?4 AND organisation_id IS NULL AND branch_id IS NULL
                 AND user_id IS NULL
         ) s JOIN configuration_key k ON k.key = s.key
         GROUP BY k.key ORDER BY k.key",
        params![owners.user, owners.branch, owners.organisation, owners.system],
        entry,
    )?;
    Ok(Configuration { entries })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { folded: row.get(6)?, setting: setting(row)? })
}

#[cfg(test)]
mod tests;
