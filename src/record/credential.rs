//! Passwords as they are kept: a hash, its version and its standing.

use std::fmt;

use crate::error::{Error, Reason, Result};
use crate::hasher::{Admission, Hashed, NORM_VERSION, normalised};
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::password_check;
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// What a user can prove who it is with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) phc: String,
    pub(crate) version: i64,
    pub(crate) must_change: bool,
    pub(crate) compromised: bool,
    pub(crate) set_at: Timestamp,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("version", &self.version).finish_non_exhaustive()
    }
}

/// The user's credential; none if it has no password.
pub(crate) fn of(tx: &ReadTx<'_>, user: UserId) -> Result<Option<Credential>> {
    tx.one(
        "SELECT phc, version, must_change, compromised, set_at FROM credential WHERE user_id = ?1",
        params![user],
        |row| {
            Ok(Credential {
                phc: row.get(0)?,
                version: row.get(1)?,
                must_change: row.get(2)?,
                compromised: row.get(3)?,
                set_at: row.get(4)?,
            })
        },
    )
}

/// The same in as many steps whether there is one or not: `nothing` is read in its place, and left.
pub(crate) fn sought(tx: &ReadTx<'_>, user: UserId, nothing: &str) -> Result<Option<Credential>> {
    let (is_there, read) = tx.exactly_one(
        "SELECT c.user_id IS NOT NULL, coalesce(c.phc, ?2), coalesce(c.version, 0),
             coalesce(c.must_change, 0), coalesce(c.compromised, 0), coalesce(c.set_at, 0)
         FROM (SELECT ?1 AS id) AS sought LEFT JOIN credential AS c ON c.user_id = sought.id",
        params![user, nothing],
        |row| {
            let read = Credential {
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

/// Sets a new hash under a new version; what was compromised is so no more.
///
/// The first version of a row is the head of the change log. Each later one raises a watermark in
/// its own transaction, and so does a removal, so that a version never returns: a login that
/// verified a removed password finds another version, whatever was set since.
pub(crate) fn set(tx: &WriteTx<'_>, user: UserId, phc: &str, must_change: bool) -> Result<()> {
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

/// Puts a more costly hash of the same password in place of `old_phc`, unless that has changed.
pub(crate) fn upgrade(
    tx: &WriteTx<'_>,
    user: UserId,
    old_phc: &str,
    new_phc: &str,
) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE credential SET phc = ?3, norm = ?4 WHERE user_id = ?1 AND phc = ?2",
        params![user, old_phc, new_phc, NORM_VERSION],
    )?;
    Ok(changed > 0)
}

/// Demands a change at the next login; false if there is no password or it was demanded before.
pub(crate) fn set_must_change(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE credential SET must_change = 1 WHERE user_id = ?1 AND must_change = 0",
        params![user],
    )?;
    Ok(changed > 0)
}

/// Declares the password to be worth nothing; false if there is none, or it was before.
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

/// Tests a new password against the policy and hashes it. Never inside a write: both take long.
///
/// # Errors
/// `Invalid` for the rule that it breaks, `Busy` if too many hash already, `NoRandom`.
pub(crate) fn hash_new(store: &Store, password: &Password, context: &[String]) -> Result<Hashed> {
    let text = normalised(password)?;
    let mut words: Vec<&str> = context.iter().map(String::as_str).collect();
    words.push(&store.options().service_name);
    password_check::check(&store.options().passwords, &text, &words, false)
        .map_err(|rule| Error::invalid(rule.what()))?;
    match store.core().hasher.admit(store.now()) {
        Admission::Admitted(ticket) => ticket.hash(password, store.core().storage.random()),
        Admission::Overloaded { .. } => {
            Err(Error::new(Reason::Busy, "too many passwords are being hashed"))
        }
    }
}
