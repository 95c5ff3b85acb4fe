//! Settings of another store.

use super::{ConfigurationKey, Owners, check_owner, checked_value, find, keys, put};
use crate::error::Result;
use crate::record::audit::Written;
use crate::storage::WriteTx;
use crate::value::event::Event;
use crate::value::subtree::Subtree;

/// Inserts a setting, and returns what to report; nothing if the scope has a value of that key. A
/// key that was never used before becomes as public as the record says.
///
/// # Errors
/// `Invalid` for the key or the value, `NotFound` for the owner, `LimitReached`; each before
/// anything is written.
pub(crate) fn import(
    tx: &WriteTx<'_>,
    scope: Subtree,
    (key, value): (&str, &str),
    public: bool,
) -> Result<Vec<Event>> {
    let (key, value) = (ConfigurationKey::parse(key)?, checked_value(value)?);
    check_owner(tx, scope)?;
    if find(tx, &key, Owners::of(scope))?.is_some() {
        return Ok(Vec::new());
    }
    let becomes_public = public && keys::known(tx, &key)?.is_none();
    if becomes_public {
        keys::check_public(tx)?;
    }
    let Written::With(setting, event) = put(tx, scope, &key, value, None)? else {
        return Ok(Vec::new());
    };
    let mut events = vec![event];
    if becomes_public {
        events.push(keys::set_public(tx, &key, &setting.key, true)?);
    }
    Ok(events)
}
