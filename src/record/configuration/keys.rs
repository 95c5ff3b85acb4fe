//! Configuration keys: how each is shown, whether clients may see it, and how many there may be.

use crate::error::{Error, Result};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::event::{Event, EventKind};
use crate::value::limits::{CONFIGURATION_KEYS_MAX, PUBLIC_CONFIGURATION_KEYS_MAX};
use crate::value::name::ConfigurationKey;

/// How a key is shown and whether it is public; `None` if it was never used.
pub(super) fn known(tx: &ReadTx<'_>, key: &ConfigurationKey) -> Result<Option<(String, bool)>> {
    tx.one(
        "SELECT shown, is_public FROM configuration_key WHERE key = ?1",
        params![key.key],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Stores a new key, which is private, and returns how it is shown.
///
/// # Errors
/// `LimitReached`.
pub(super) fn make_known(tx: &WriteTx<'_>, key: &ConfigurationKey) -> Result<String> {
    if tx.count("SELECT count(*) FROM configuration_key", [])? >= CONFIGURATION_KEYS_MAX {
        return Err(Error::limit_reached("the store has 10,000 configuration keys")
            .advising("Use a key that the store has: no key is ever deleted."));
    }
    tx.execute(
        "INSERT INTO configuration_key (key, shown) VALUES (?1, ?2)",
        params![key.key, key.shown],
    )?;
    Ok(key.shown.clone())
}

/// Makes a key public or private, which it was not, and returns the event.
///
/// # Errors
/// `LimitReached`.
pub(super) fn set_public(
    tx: &WriteTx<'_>,
    key: &ConfigurationKey,
    shown: &str,
    public: bool,
) -> Result<Event> {
    let kind = if public {
        check_public(tx)?;
        EventKind::ConfigurationMadePublic
    } else {
        EventKind::ConfigurationMadePrivate
    };
    tx.execute(
        "UPDATE configuration_key SET is_public = ?2 WHERE key = ?1",
        params![key.key, public],
    )?;
    Ok(Event::new(kind).detail(shown))
}

/// Checks that one more key may be public.
///
/// # Errors
/// `LimitReached`.
pub(super) fn check_public(tx: &ReadTx<'_>) -> Result<()> {
    let public = tx.count("SELECT count(*) FROM configuration_key WHERE is_public = 1", [])?;
    if public >= PUBLIC_CONFIGURATION_KEYS_MAX {
        return Err(Error::limit_reached("1,000 configuration keys are public")
            .advising("Make one of them private first."));
    }
    Ok(())
}
