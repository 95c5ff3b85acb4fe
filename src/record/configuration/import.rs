//! Settings of another store.

use super::{ConfigurationKey, Owners, check_owner, checked_value, event_in, find, known, put};
use crate::error::Result;
use crate::record::audit::Written;
use crate::storage::{WriteTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::subtree::Subtree;

/// Inserts a setting; `None` if the scope has a value of that key. A key that was never used before
/// becomes as public as the record says.
///
/// # Errors
/// `Invalid` for the key or the value, `NotFound` for the owner.
pub(crate) fn import(
    tx: &WriteTx<'_>,
    scope: Subtree,
    (key, value): (&str, &str),
    public: bool,
) -> Result<Option<Event>> {
    let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
    check_owner(tx, scope)?;
    if find(tx, &key, Owners::of(scope))?.is_some() {
        return Ok(None);
    }
    let is_new = known(tx, &key)?.is_none();
    let Written::With(setting, _) = put(tx, scope, &key, value, None)? else {
        return Ok(None);
    };
    if is_new && public {
        tx.execute("UPDATE configuration_key SET is_public = 1 WHERE key = ?1", params![key.key])?;
    }
    Ok(Some(event_in(scope, EventKind::ConfigurationSet, &setting.key)))
}
