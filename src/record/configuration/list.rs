//! Lists of the values of one scope.

use super::{Owners, Setting, Settings, setting};
use crate::error::{Error, Result};
use crate::storage::{ReadTx, params};
use crate::value::id::{Page, rows};
use crate::value::limits::FOLDED_MAX_BYTES;
use crate::value::name::folded;
use crate::value::subtree::Subtree;

/// Selects a page of the values of one scope, which its index has in the order of their keys.
macro_rules! page {
    ($of_scope:literal) => {
        concat!(
            "SELECT k.shown, k.is_public, s.value, s.organisation_id, s.branch_id, s.user_id
             FROM setting AS s JOIN configuration_key AS k ON k.key = s.key
             WHERE ",
            $of_scope,
            " AND s.key > ?1 ORDER BY s.key LIMIT ?2"
        )
    };
}

impl<'s> Settings<'s> {
    /// Returns a page of the values that are set in exactly this scope, in the order of their keys.
    /// The next page begins after the last key of this one.
    ///
    /// ```
    /// use gatepost::{Page, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "theme", "dark")?;
    /// store.configuration().set(Subtree::Store, "pageSize", "50")?;
    /// let first = store.configuration().list(Subtree::Store, Page::first(1))?;
    /// assert_eq!(first[0].key, "pageSize");
    /// let next = store.configuration().list(Subtree::Store, Page::after(&first[0].key, 1))?;
    /// assert_eq!(next[0].key, "theme");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500, or the key is
    ///   longer than 128 bytes.
    pub fn list(&self, scope: Subtree, page: Page<&str>) -> Result<Vec<Setting>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or_default();
        if after.len() > FOLDED_MAX_BYTES {
            return Err(Error::invalid(
                "the key after which the page begins is longer than 128 bytes",
            ));
        }
        let after = folded(after);
        self.store.read(|tx| match scope {
            Subtree::User(id) => {
                tx.all(page!("s.user_id = ?3"), params![after, limit, id], setting)
            }
            Subtree::Branch(id) => {
                tx.all(page!("s.branch_id = ?3"), params![after, limit, id], setting)
            }
            Subtree::Organisation(id) => {
                tx.all(page!("s.organisation_id = ?3"), params![after, limit, id], setting)
            }
            Subtree::Store => tx.all(
                page!("s.organisation_id IS NULL AND s.branch_id IS NULL AND s.user_id IS NULL"),
                params![after, limit],
                setting,
            ),
        })
    }

    /// Iterates over all values that are set in exactly this scope, in the order of their keys,
    /// reading as [`Users::iter`](crate::directory::Users::iter) does.
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(&self, scope: Subtree) -> impl Iterator<Item = Result<Setting>> + use<'s> {
        let settings = Settings { store: self.store };
        let list = move |after: Option<&String>| {
            settings.list(scope, Page::longest(after.map(String::as_str)))
        };
        rows(list, |setting| setting.key.clone())
    }

    /// Returns how many values are set in exactly this scope.
    ///
    /// ```
    /// use gatepost::Subtree;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.configuration().set(Subtree::Store, "theme", "dark")?;
    /// assert_eq!(store.configuration().count(Subtree::Store)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn count(&self, scope: Subtree) -> Result<u64> {
        self.store.read(|tx| count_of(tx, Owners::of(scope)))
    }
}

/// How many values these owners have.
pub(super) fn count_of(tx: &ReadTx<'_>, owners: Owners) -> Result<u64> {
    tx.count(
        "SELECT (SELECT count(*) FROM setting WHERE user_id = ?1)
             + (SELECT count(*) FROM setting WHERE branch_id = ?2)
             + (SELECT count(*) FROM setting WHERE organisation_id = ?3)
             + (SELECT count(*) FROM setting WHERE ?4 AND organisation_id IS NULL
                 AND branch_id IS NULL AND user_id IS NULL)",
        params![owners.user, owners.branch, owners.organisation, owners.system],
    )
}
