//! What is in force for a user: of each key, the value of the narrowest scope.

use super::{Owners, Setting, Settings, find, setting};
use crate::error::{Error, Result};
use crate::storage::{ReadTx, params};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::CONFIGURATION_KEY_MAX_BYTES;
use crate::value::name::{ConfigurationKey, folded};

/// The values in force at one moment, each key once. Looking up ignores case.
///
/// ```
/// use gatepost::{Options, Reason, Scope, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// store.configuration().set(Scope::System, "autoDeleteEnabled", "True")?;
/// store.configuration().set(Scope::System, "pageSize", "50")?;
///
/// let configuration = store.configuration().effective_all(None)?;
/// assert!(configuration.flag("autodeleteenabled")?);
/// assert_eq!(configuration.integer("pageSize")?, 50);
/// assert_eq!(configuration.text("theme"), None);
/// assert_eq!(configuration.flag("theme").unwrap_err().reason(), Reason::NotFound);
/// # Ok::<(), gatepost::Error>(())
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
    /// The setting of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        // No key is longer, and folding is what long texts are expensive for.
        if key.len() > CONFIGURATION_KEY_MAX_BYTES {
            return None;
        }
        let key = folded(key);
        let at = self.entries.binary_search_by(|entry| entry.folded.as_str().cmp(&key)).ok()?;
        self.entries.get(at).map(|entry| &entry.setting)
    }

    /// The value of a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str())
    }

    /// The value of a key as a flag: `True` and `False` in any case, `1` and `0`.
    ///
    /// # Errors
    /// `NotFound` if the key has no value, `Invalid` if it is none of these.
    pub fn flag(&self, key: &str) -> Result<bool> {
        match self.required(key)? {
            "1" => Ok(true),
            "0" => Ok(false),
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(Error::invalid("the configuration value is not True, False, 1 or 0")),
        }
    }

    /// The value of a key as a decimal number.
    ///
    /// # Errors
    /// `NotFound` if the key has no value, `Invalid` if it is not a whole number of 64 bits.
    pub fn integer(&self, key: &str) -> Result<i64> {
        self.required(key)?
            .parse()
            .map_err(|_| Error::invalid("the configuration value is not a whole number"))
    }

    /// The settings, in the order of their keys, case ignored.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Setting> {
        self.entries.iter().map(|entry| &entry.setting)
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn required(&self, key: &str) -> Result<&str> {
        self.text(key).ok_or_else(|| Error::not_found("the configuration key has no value"))
    }
}

impl Settings<'_> {
    /// The value of a key that is in force for a user: the user's own, else the branch's, else
    /// the organisation's, else the system's. Without a user, the system's.
    ///
    /// # Errors
    /// `Invalid` for what cannot be a key, `NotFound` if there is no such user; `Busy`, `Io`,
    /// `Corrupt`.
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

    /// All that is in force for a user; without a user, what the system says.
    ///
    /// # Errors
    /// `NotFound` if there is no such user; `Busy`, `Io`, `Corrupt`.
    pub fn effective_all(&self, user: impl Into<Option<UserId>>) -> Result<Configuration> {
        let user = user.into();
        self.store.read(|tx| in_force(tx, Owners::around(tx, user)?, false))
    }

    /// What of it clients may see: what the reply to a login carries.
    ///
    /// # Errors
    /// `NotFound` if there is no such user; `Busy`, `Io`, `Corrupt`.
    pub fn public_for(&self, user: impl Into<Option<UserId>>) -> Result<Configuration> {
        let user = user.into();
        self.store.read(|tx| in_force(tx, Owners::around(tx, user)?, true))
    }
}

/// The public part of what is in force for a user whose place is known.
pub(crate) fn public_for(
    tx: &ReadTx<'_>,
    user: UserId,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
) -> Result<Configuration> {
    in_force(tx, Owners { user: Some(user), branch, organisation, system: true }, true)
}

/// The other columns are those of the row with the maximum: SQLite says so of a lone `max()`.
fn in_force(tx: &ReadTx<'_>, owners: Owners, public_only: bool) -> Result<Configuration> {
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
         WHERE k.is_public >= ?5
         GROUP BY k.key ORDER BY k.key",
        params![owners.user, owners.branch, owners.organisation, owners.system, public_only],
        |row| Ok(Entry { folded: row.get(6)?, setting: setting(row)? }),
    )?;
    Ok(Configuration { entries })
}
