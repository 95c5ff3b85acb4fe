//! What rows of the log keep about a person, and how it is erased.

use crate::error::Result;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::digest::{Digest, sha256};
use crate::value::id::UserId;

/// The users whom a row names, as far as its hash depends on them.
pub(super) struct Persons {
    pub(super) user_salt: Option<Vec<u8>>,
    pub(super) actor_salt: Option<Vec<u8>>,
    /// Whether each of them has a salt. A user who was erased has none, and neither has an id that
    /// belongs to no user: its digests could be compared with guesses for good.
    pub(super) are_all_salted: bool,
}

impl Persons {
    /// Looks both up also if there is none, so that an attempt on an unknown name takes as long as
    /// one on a known name.
    pub(super) fn of(
        tx: &ReadTx<'_>,
        user: Option<UserId>,
        actor: Option<UserId>,
    ) -> Result<Self> {
        tx.exactly_one(
            "SELECT u.audit_salt, a.audit_salt,
                 (?1 IS NULL OR u.audit_salt IS NOT NULL)
                     AND (?2 IS NULL OR a.audit_salt IS NOT NULL)
             FROM store LEFT JOIN user AS u ON u.id = coalesce(?1, zeroblob(16))
                 LEFT JOIN user AS a ON a.id = coalesce(?2, zeroblob(16))",
            params![user, actor],
            |row| {
                Ok(Self {
                    user_salt: row.get(0)?,
                    actor_salt: row.get(1)?,
                    are_all_salted: row.get(2)?,
                })
            },
        )
    }
}

/// The hash over what a row keeps about a person: device, address, user agent, and the text of a
/// host's event. Once a salt is gone, nothing can be compared with it any more.
pub(super) fn person_hash(salts: [Option<&[u8]>; 2], values: [Option<&[u8]>; 4]) -> Digest {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(12);
    for part in salts.into_iter().chain(values) {
        // A part of its own marks presence: NULL and an empty text have different hashes.
        parts.push(if part.is_some() { &[1] } else { &[0] });
        parts.push(part.unwrap_or_default());
    }
    sha256("gatepost.audit.person.v1", &parts)
}

/// Removes what the rows keep about a user whose erasure this transaction has begun, as subject or
/// as actor. Returns the number of rows.
pub(crate) fn forget(tx: &WriteTx<'_>, user: UserId) -> Result<usize> {
    let as_subject = tx.execute(
        "UPDATE audit SET device_hash = NULL, ip = NULL, user_agent = NULL,
             detail = CASE source WHEN 1 THEN NULL ELSE detail END
         WHERE user_id = ?1 AND coalesce(device_hash, ip, user_agent,
             CASE source WHEN 1 THEN detail END) IS NOT NULL",
        params![user],
    )?;
    let as_actor = tx.execute(
        "UPDATE audit SET device_hash = NULL, ip = NULL, user_agent = NULL,
             detail = CASE source WHEN 1 THEN NULL ELSE detail END
         WHERE actor_user_id = ?1 AND coalesce(device_hash, ip, user_agent,
             CASE source WHEN 1 THEN detail END) IS NOT NULL",
        params![user],
    )?;
    Ok(as_subject + as_actor)
}
