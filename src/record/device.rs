//! Devices on which users have logged in: what they are known by is a digest, never their text.

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;

use crate::error::Result;
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::id::UserId;
use crate::value::limits;
use crate::value::time::Timestamp;

/// A device on which a user has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownDevice {
    /// Eight hexadecimal digits to tell it from others in a list. It opens nothing, and the
    /// device's own text cannot be read from it.
    pub handle: String,
    /// When the user first logged in on it.
    pub first_login_at: DateTime<Utc>,
    /// When the user last did.
    pub last_login_at: DateTime<Utc>,
}

/// The devices on which users have logged in.
///
/// Failed attempts from such a device are counted apart, so that a stranger's guesses do not lock
/// the owner out.
///
/// ```
/// use gatepost::{DeviceId, NewUser, OpenSession, Options, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// let till = DeviceId::new("till-1")?;
/// store.sessions().open(OpenSession::new(ada, till.clone()))?.granted()?;
/// assert_eq!(store.devices().list_of(ada)?.len(), 1);
/// assert!(store.devices().forget(ada, &till)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Devices<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// The devices on which users have logged in.
    #[must_use]
    pub fn devices(&self) -> Devices<'_> {
        Devices { store: self }
    }
}

impl Devices<'_> {
    /// The devices of a user, at most 100, the one used last first.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn list_of(&self, user: UserId) -> Result<Vec<KnownDevice>> {
        self.store.read(|tx| {
            tx.all(
                "SELECT device_hash, first_login_at, last_login_at FROM device
                 WHERE user_id = ?1 ORDER BY last_login_at DESC, device_hash",
                params![user],
                |row| {
                    Ok(KnownDevice {
                        handle: handle(&row.get(0)?),
                        first_login_at: row.get::<_, Timestamp>(1)?.to_datetime(),
                        last_login_at: row.get::<_, Timestamp>(2)?.to_datetime(),
                    })
                },
            )
        })
    }
}

/// Forgets that the user has logged in on a device; answers whether it was known.
pub(crate) fn forget(tx: &WriteTx<'_>, user: UserId, device: DeviceDigest) -> Result<bool> {
    let forgotten = tx.execute(
        "DELETE FROM device WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
    )?;
    Ok(forgotten > 0)
}

/// What attempts from a known device have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) failures: i64,
    pub(crate) wait_until: Option<Timestamp>,
    pub(crate) reported_until: Option<Timestamp>,
}

/// Keeps that the user has just logged in there. Beyond 100 devices, the one unused for longest
/// is forgotten.
pub(crate) fn seen(tx: &WriteTx<'_>, user: UserId, device: DeviceDigest) -> Result<()> {
    let known = tx.execute(
        "UPDATE device SET last_login_at = max(last_login_at, ?3)
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device, tx.now()],
    )?;
    if known > 0 {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM device WHERE user_id = ?1 AND device_hash IN (
             SELECT device_hash FROM device WHERE user_id = ?1
             ORDER BY last_login_at DESC, device_hash LIMIT -1 OFFSET ?2)",
        params![user, limits::DEVICES_PER_USER - 1],
    )?;
    tx.execute(
        "INSERT INTO device (user_id, device_hash, first_login_at, last_login_at)
         VALUES (?1, ?2, ?3, ?3)",
        params![user, device, tx.now()],
    )
    .map(drop)
}

/// The budget of a device on which the user has logged in; none if it never has.
pub(crate) fn budget(
    tx: &ReadTx<'_>,
    user: UserId,
    device: DeviceDigest,
) -> Result<Option<Budget>> {
    tx.one(
        "SELECT failures, wait_until, reported_until FROM device
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
        |row| {
            Ok(Budget {
                failures: row.get(0)?,
                wait_until: row.get(1)?,
                reported_until: row.get(2)?,
            })
        },
    )
}

pub(crate) fn set_budget(
    tx: &WriteTx<'_>,
    user: UserId,
    device: DeviceDigest,
    budget: Budget,
) -> Result<()> {
    tx.execute(
        "UPDATE device SET failures = ?3, wait_until = ?4, reported_until = ?5
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device, budget.failures, budget.wait_until, budget.reported_until],
    )
    .map(drop)
}

/// Failed attempts from all known devices of a user together.
pub(crate) fn failures_of(tx: &ReadTx<'_>, user: UserId) -> Result<i64> {
    tx.exactly_one(
        "SELECT coalesce(sum(failures), 0) FROM device WHERE user_id = ?1",
        params![user],
        |row| row.get(0),
    )
}

/// Forgives the failed attempts from all devices of a user; whether there were any.
pub(crate) fn clear_budgets(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let cleared = tx.execute(
        "UPDATE device SET failures = 0, wait_until = NULL, reported_until = NULL
         WHERE user_id = ?1 AND (failures > 0 OR wait_until IS NOT NULL)",
        params![user],
    )?;
    Ok(cleared > 0)
}

fn handle(device: &DeviceDigest) -> String {
    let digest = HEXLOWER.encode(device.as_bytes());
    digest.chars().take(8).collect()
}
