//! Devices on which users have logged in. The file stores a digest of a device, never its text.

use crate::error::Result;
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::id::UserId;
use crate::value::limits::{self, clock_skew_max_ms};
use crate::value::time::Timestamp;

/// Whether device `d` was trusted after every revocation of trust that would cover it.
macro_rules! trust_current {
    () => {
        "d.trusted_until IS NOT NULL
             AND d.trusted_seq >= coalesce((SELECT u.trust_ended_seq FROM user AS u
                 WHERE u.id = d.user_id AND u.deleted_at IS NULL), 9223372036854775807)"
    };
}

/// Whether device `d` is trusted at the time `$now`, a parameter of the statement. If its last
/// login is in the future, the clock was wrong, and may have been when the trust was given.
macro_rules! trusted {
    ($now:literal) => {
        concat!(
            "(d.trusted_until > ",
            $now,
            " AND d.last_login_at <= ",
            clock_skew_max_ms!(),
            " + ",
            $now,
            " AND ",
            trust_current!(),
            ")"
        )
    };
}

/// A device on which a user has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KnownDevice {
    /// Eight hexadecimal digits that distinguish it from others in a list, as in
    /// [`DeviceId::handle`](crate::DeviceId::handle). They open nothing, and the device's own text
    /// cannot be computed from them.
    pub handle: String,
    /// When the user first logged in on it.
    pub first_login_at: Timestamp,
    /// When the user last logged in on it.
    pub last_login_at: Timestamp,
    /// The first moment at which it is not trusted any more; `None` if it is not trusted now.
    pub trusted_until: Option<Timestamp>,
    /// Failed attempts from it since the user last logged in on it.
    pub failed_attempts: u64,
    /// When the last of them was made; `None` if there is none.
    pub last_failed_at: Option<Timestamp>,
}

/// The devices on which users have logged in.
///
/// Failed attempts from such a device have a budget of their own, so that a stranger's guesses do
/// not lock the user out (ASVS 6.1.1).
///
/// ```
/// use gatepost::sessions::OpenSession;
/// use gatepost::{DeviceId, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// let till = DeviceId::new("till-1")?;
/// store.sessions().open(OpenSession::new(ada, till.clone()))?.granted()?;
/// assert_eq!(store.devices().list(ada)?.len(), 1);
/// assert!(store.devices().forget(ada, &till)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Devices<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// Returns the handle of the devices on which users have logged in.
    #[must_use]
    pub fn devices(&self) -> Devices<'_> {
        Devices { store: self }
    }
}

impl Devices<'_> {
    /// Returns the devices of a user, at most 100, the most recently used first.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let devices = store.devices().list(ada)?;
    /// assert_eq!(devices.len(), 1);
    /// assert_eq!(devices[0].handle.len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn list(&self, user: UserId) -> Result<Vec<KnownDevice>> {
        self.store.read(|tx| all_of(tx, user))
    }
}

/// The devices of a user, the most recently used first.
pub(crate) fn all_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<KnownDevice>> {
    tx.all(
        concat!(
            "SELECT d.device_hash, d.first_login_at, d.last_login_at,
                 CASE WHEN ",
            trusted!("?2"),
            " THEN d.trusted_until END, d.failures,
                 CASE WHEN d.failures > 0 THEN d.charged_at END
             FROM device AS d WHERE d.user_id = ?1
             ORDER BY d.last_login_at DESC, d.device_hash"
        ),
        params![user, tx.now()],
        |row| {
            let device: DeviceDigest = row.get(0)?;
            Ok(KnownDevice {
                handle: device.handle(),
                first_login_at: row.get(1)?,
                last_login_at: row.get(2)?,
                trusted_until: row.get(3)?,
                failed_attempts: row.get::<_, i64>(4)?.unsigned_abs(),
                last_failed_at: row.get(5)?,
            })
        },
    )
}

/// The devices of the user that a list shows under this handle: one, unless another was made to
/// have the same.
pub(crate) fn listed(tx: &ReadTx<'_>, user: UserId, handle: &str) -> Result<Vec<DeviceDigest>> {
    let mut devices: Vec<DeviceDigest> =
        tx.all("SELECT device_hash FROM device WHERE user_id = ?1", params![user], |row| {
            row.get(0)
        })?;
    devices.retain(|device| device.handle() == handle);
    Ok(devices)
}

/// Whether a login of the user on the device needs no second factor.
pub(crate) fn is_trusted(tx: &ReadTx<'_>, user: UserId, device: DeviceDigest) -> Result<bool> {
    let found = tx.one(
        concat!(
            "SELECT coalesce(",
            trusted!("?3"),
            ", 0) FROM device AS d WHERE d.user_id = ?1 AND d.device_hash = ?2"
        ),
        params![user, device, tx.now()],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(false))
}

/// Trusts a device on which the user has just logged in: a last login that a wrong clock put into
/// the future gives way to this one. Above the cap, the devices whose trust ends first lose it.
pub(crate) fn trust(
    tx: &WriteTx<'_>,
    user: UserId,
    device: DeviceDigest,
    until: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE device SET trusted_until = ?3, last_login_at = ?4,
             trusted_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device, until, tx.now()],
    )?;
    tx.execute(
        concat!(
            "UPDATE device SET trusted_until = NULL WHERE user_id = ?1 AND device_hash IN (
                 SELECT d.device_hash FROM device AS d
                 WHERE d.user_id = ?1 AND d.device_hash <> ?2 AND ",
            trusted!("?3"),
            " ORDER BY d.trusted_until DESC, d.device_hash LIMIT -1 OFFSET ?4)"
        ),
        params![user, device, tx.now(), limits::TRUSTED_DEVICES_PER_USER - 1],
    )
    .map(drop)
}

/// Ends the trust of one device; `false` if it was not trusted.
pub(crate) fn distrust(tx: &WriteTx<'_>, user: UserId, device: DeviceDigest) -> Result<bool> {
    let was_trusted = is_trusted(tx, user, device)?;
    tx.execute(
        "UPDATE device SET trusted_until = NULL WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
    )?;
    Ok(was_trusted)
}

/// Whether a device of the user has trust that is not revoked. It may be over by a clock that is
/// wrong.
pub(crate) fn has_unrevoked_trust(tx: &ReadTx<'_>, user: UserId) -> Result<bool> {
    tx.exactly_one(
        concat!(
            "SELECT EXISTS (SELECT 1 FROM device AS d WHERE d.user_id = ?1 AND ",
            trust_current!(),
            ")"
        ),
        params![user],
        |row| row.get(0),
    )
}

/// Deletes every device of a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM device WHERE user_id = ?1", params![user]).map(drop)
}

/// Deletes the row of a device on which the user has logged in; `false` if there is none.
pub(crate) fn forget(tx: &WriteTx<'_>, user: UserId, device: DeviceDigest) -> Result<bool> {
    let forgotten = tx.execute(
        "DELETE FROM device WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
    )?;
    Ok(forgotten > 0)
}

/// The failed attempts from a known device since the last success on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) failures: i64,
    pub(crate) charged_at: Timestamp,
}

impl Budget {
    pub(crate) const NONE: Self = Self { failures: 0, charged_at: Timestamp::UNIX_EPOCH };
}

/// Stores that the user has just logged in on the device, and returns whether it is new. Above 100
/// devices, the least recently used one is deleted.
pub(crate) fn seen(tx: &WriteTx<'_>, user: UserId, device: DeviceDigest) -> Result<bool> {
    let known = tx.execute(
        "UPDATE device SET last_login_at = max(last_login_at, ?3)
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device, tx.now()],
    )?;
    if known > 0 {
        return Ok(false);
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
    )?;
    Ok(true)
}

/// The budget of a device; `None` if the user has never logged in on it.
pub(crate) fn budget(
    tx: &ReadTx<'_>,
    user: UserId,
    device: DeviceDigest,
) -> Result<Option<Budget>> {
    tx.one(
        "SELECT failures, charged_at FROM device WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
        |row| Ok(Budget { failures: row.get(0)?, charged_at: row.get(1)? }),
    )
}

/// The failures that the user's other devices count.
pub(crate) fn failures_elsewhere(
    tx: &ReadTx<'_>,
    user: UserId,
    device: DeviceDigest,
) -> Result<i64> {
    tx.exactly_one(
        "SELECT coalesce(sum(failures), 0) FROM device
         WHERE user_id = ?1 AND device_hash <> ?2",
        params![user, device],
        |row| row.get(0),
    )
}

pub(crate) fn set_budget(
    tx: &WriteTx<'_>,
    user: UserId,
    device: DeviceDigest,
    budget: Budget,
) -> Result<()> {
    tx.execute(
        "UPDATE device SET failures = ?3, charged_at = ?4
         WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device, budget.failures, budget.charged_at],
    )
    .map(drop)
}

/// Forgives the failed attempts from all devices of a user; `false` if there were none.
pub(crate) fn clear_budgets(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let cleared = tx.execute(
        "UPDATE device SET failures = 0, charged_at = 0 WHERE user_id = ?1 AND failures > 0",
        params![user],
    )?;
    Ok(cleared > 0)
}
