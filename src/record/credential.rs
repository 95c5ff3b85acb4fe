//! Stored passwords: the hash, its version and its state.

mod former;
mod rekey;
mod sealed;

use std::fmt;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::hasher::{Admission, Hashed, NORM_VERSION, Ticket, check_computable, normalised};
use crate::options::Options;
use crate::pending::uses::latest;
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::keyring::KeyId;
use crate::value::password_check;
use crate::value::password_rule::PasswordRule;
use crate::value::secret::Password;
use crate::value::time::Timestamp;

pub(crate) use former::Former;
pub(crate) use rekey::{Resealed, Stored, has_key, opens_one, reseal_some, uses};
pub(crate) use sealed::{check_key, cost, key_changed, key_of, open, sealing_key};

/// The stored hash of a user's password, with its version and state.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredPassword {
    /// As it is stored: sealed, where a keyring is in use.
    pub(crate) phc: String,
    pub(crate) version: i64,
    pub(crate) must_change: bool,
    pub(crate) compromised: bool,
    pub(crate) set_at: Timestamp,
}

impl StoredPassword {
    /// When it expired by `Options::password_expiry`; `None` if it has not. One that was set in the
    /// future has: a clock was wrong then, and it would last for longer.
    pub(crate) fn expired_at(&self, options: &Options, now: Timestamp) -> Option<Timestamp> {
        let after = options.password_expiry?;
        let end = self.set_at + after;
        (end <= now || self.set_at > latest(now)).then(|| end.min(now))
    }

    /// Whether the user must choose a new password.
    pub(crate) fn must_be_replaced(&self, options: &Options, now: Timestamp) -> bool {
        self.must_change || self.expired_at(options, now).is_some()
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPassword").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The stored password of a user; `None` if the user has none.
pub(crate) fn of(tx: &ReadTx<'_>, user: UserId) -> Result<Option<StoredPassword>> {
    tx.one(
        "SELECT phc, version, must_change, compromised, set_at FROM credential WHERE user_id = ?1",
        params![user],
        |row| {
            Ok(StoredPassword {
                phc: row.get(0)?,
                version: row.get(1)?,
                must_change: row.get(2)?,
                compromised: row.get(3)?,
                set_at: row.get(4)?,
            })
        },
    )
}

/// When the password of a user was set, and whether it is marked as compromised.
pub(crate) fn state_of(tx: &ReadTx<'_>, user: UserId) -> Result<Option<(Timestamp, bool)>> {
    tx.one("SELECT set_at, compromised FROM credential WHERE user_id = ?1", params![user], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// As [`of`], in constant work: for a user without a password, `stand_in` is read and discarded, so
/// that there is no timing oracle.
pub(crate) fn sought(
    tx: &ReadTx<'_>,
    user: UserId,
    stand_in: &str,
) -> Result<Option<StoredPassword>> {
    let (is_there, read) = tx.exactly_one(
        "SELECT c.user_id IS NOT NULL, coalesce(c.phc, ?2), coalesce(c.version, 0),
             coalesce(c.must_change, 0), coalesce(c.compromised, 0), coalesce(c.set_at, 0)
         FROM (SELECT ?1 AS id) AS sought LEFT JOIN credential AS c ON c.user_id = sought.id",
        params![user, stand_in],
        |row| {
            let read = StoredPassword {
                phc: row.get(1)?,
                version: row.get(2)?,
                must_change: row.get(3)?,
                compromised: row.get(4)?,
                set_at: row.get(5)?,
            };
            Ok((row.get::<_, bool>(0)?, read))
        },
    )?;
    Ok(Some(read).filter(|_| is_there))
}

/// The number of users with a hash of each cost, which is named by the hash up to its salt.
pub(crate) fn costs(tx: &ReadTx<'_>) -> Result<Vec<(String, u64)>> {
    tx.all("SELECT cost, users FROM hash_cost", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })
}

/// Refuses a build without the feature `import-hashes`, if users have hashes that need it: before a
/// name is looked up, so that the answer does not say whose hash it is.
///
/// # Errors
/// `Misuse`.
pub(crate) fn check_algorithms(tx: &ReadTx<'_>) -> Result<()> {
    if cfg!(feature = "import-hashes") {
        return Ok(());
    }
    costs(tx)?.iter().try_for_each(|(cost, _)| check_computable(cost))
}

/// Stores a new hash under a new version, sealed where a keyring is in use, and removes the mark as
/// compromised.
///
/// The first version of a row is the head of the change log. Each later one raises a watermark in
/// its own transaction, and so does a removal, so that a version never returns: a login that
/// verified a removed password finds another version, whatever was set since.
///
/// # Errors
/// `KeyMissing` if this process lacks the key under which the file seals, `NoRandom`.
pub(crate) fn set(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    phc: &str,
    must_change: bool,
) -> Result<()> {
    let phc = to_store(tx, options, user, phc)?;
    let changed = tx.execute(
        "UPDATE credential SET phc = ?2, norm = ?3, version = version + 1, must_change = ?4,
             compromised = 0, set_at = ?5
         WHERE user_id = ?1",
        params![user, phc, NORM_VERSION, must_change, tx.now()],
    )?;
    if changed == 0 {
        tx.execute(
            "INSERT INTO credential (user_id, phc, norm, version, must_change, set_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![user, phc, NORM_VERSION, tx.head()?, must_change, tx.now()],
        )?;
    }
    Ok(())
}

/// Replaces the stored text `old` by a more costly hash of the same password, unless it has changed
/// since (compare-and-set).
///
/// # Errors
/// As [`set`].
pub(crate) fn upgrade(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    old: &str,
    new_phc: &str,
) -> Result<bool> {
    let new = to_store(tx, options, user, new_phc)?;
    let changed = tx.execute(
        "UPDATE credential SET phc = ?3, norm = ?4 WHERE user_id = ?1 AND phc = ?2",
        params![user, old, new, NORM_VERSION],
    )?;
    Ok(changed > 0)
}

/// Seals the same hash under the key of the file, unless it is or this process has no keyring.
///
/// # Errors
/// As [`set`]; `Corrupt` if the stored text does not open.
pub(crate) fn reseal(tx: &WriteTx<'_>, options: &Options, user: UserId, old: &str) -> Result<()> {
    if options.keyring.is_none() {
        return Ok(());
    }
    let Some((id, key)) = sealed::sealing_key(tx, options)? else {
        return Ok(());
    };
    if sealed::key_id(old) == Some(id.as_str()) {
        return Ok(());
    }
    if let Some(phc) = open(options.keyring.as_deref(), user, old)? {
        replace(tx, user, old, &sealed::seal(tx, user, &phc, (&id, &key))?)?;
    }
    Ok(())
}

/// The hash of a stored text.
///
/// # Errors
/// `KeyMissing`, `Corrupt`.
pub(crate) fn unsealed(
    options: &Options,
    user: UserId,
    stored: &str,
) -> Result<Zeroizing<String>> {
    if let Some(Ok(id)) = sealed::key_id(stored).map(KeyId::new) {
        sealed::key_of(options, &id)?;
    }
    open(options.keyring.as_deref(), user, stored)?
        .ok_or_else(|| Error::corrupt("a sealed password hash names no key"))
}

/// Whether the hash is sealed under a key that this process lacks. Asks the keyring for a key in
/// any case, so that there is no timing oracle.
pub(crate) fn lacks_key(options: &Options, stored: &str) -> bool {
    match sealed::key_id(stored).map(KeyId::new) {
        Some(Ok(id)) => sealed::key_of(options, &id).is_err(),
        Some(Err(_)) => false,
        None => {
            let keyring = options.keyring.as_deref();
            let _ = keyring.and_then(|keyring| keyring.key(&keyring.current()));
            false
        }
    }
}

fn to_store(tx: &WriteTx<'_>, options: &Options, user: UserId, phc: &str) -> Result<String> {
    match sealed::sealing_key(tx, options)? {
        Some((id, key)) => sealed::seal(tx, user, phc, (&id, &key)),
        None => Ok(phc.to_owned()),
    }
}

fn replace(tx: &WriteTx<'_>, user: UserId, old: &str, new: &str) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE credential SET phc = ?3 WHERE user_id = ?1 AND phc = ?2",
        params![user, old, new],
    )?;
    Ok(changed > 0)
}

/// Demands a change at the next login; `false` if there is no password or it was demanded before.
pub(crate) fn set_must_change(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE credential SET must_change = 1 WHERE user_id = ?1 AND must_change = 0",
        params![user],
    )?;
    Ok(changed > 0)
}

/// Marks the password as compromised; `false` if there is none or it was marked before.
pub(crate) fn set_compromised(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE credential SET compromised = 1, version = version + 1
         WHERE user_id = ?1 AND compromised = 0",
        params![user],
    )?;
    Ok(changed > 0)
}

/// Removes the password; false if there is none.
pub(crate) fn remove(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let removed = tx.execute("DELETE FROM credential WHERE user_id = ?1", params![user])?;
    Ok(removed > 0)
}

/// Checks a new password against the policy, which depends on whether its user has a second factor,
/// and hashes it. Never inside a write: both take long.
///
/// # Errors
/// `Invalid` for the rule that it breaks, `Misuse` if the breach check is missing, `Overloaded` if
/// too many passwords wait to be hashed, `OutOfMemory`, `NoRandom`.
pub(crate) fn hash_new(
    store: &Store,
    password: &Password,
    context: &[String],
    has_factor: bool,
) -> Result<Hashed> {
    check_new(store, password, context, has_factor)?;
    admitted(store)?.hash(password, store.core().storage.random())
}

/// As [`hash_new`], for a user who may have a password that the new one must differ from: comparing
/// them costs one more hash.
///
/// # Errors
/// As [`hash_new`] and [`Former::is`].
pub(crate) fn hash_another(
    store: &Store,
    password: &Password,
    (context, has_factor): (&[String], bool),
    former: &Former,
) -> Result<Hashed> {
    check_new(store, password, context, has_factor)?;
    let ticket = admitted(store)?;
    if former.is(store, &ticket, password)? {
        return Err(Error::password(PasswordRule::Unchanged));
    }
    ticket.hash(password, store.core().storage.random())
}

fn check_new(
    store: &Store,
    password: &Password,
    context: &[String],
    has_factor: bool,
) -> Result<()> {
    let policy = &store.options().passwords.beside(has_factor);
    let breaches = store.options().breaches()?;
    password_check::check_length(policy, password)?;
    let text = normalised(password)?;
    let mut words: Vec<&str> = context.iter().map(String::as_str).collect();
    words.push(&store.options().service_name);
    password_check::check(policy, breaches, &text, &words).map_err(Error::password)?;
    Ok(())
}

fn admitted(store: &Store) -> Result<Ticket<'_>> {
    match store.core().hasher.admit(store.now()) {
        Admission::Admitted(ticket) => Ok(ticket),
        Admission::Overloaded { retry_after } => Err(Error::overloaded(retry_after)),
    }
}
