//! Sealing of stored secrets under another key, a bounded number in each write.

use super::sealed::{Place, SealedSecret};
use super::sealed_of;
use crate::error::Result;
use crate::options::Options;
use crate::pending::rekeying::Passed;
use crate::record::credential::{Resealed, Stored};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::id::UserId;
use crate::value::keyring::{KeyId, SealingKey};
use crate::value::limits::KEY_CHECK_MAX_ROWS;

/// Reads up to `most` secrets of factors in force and seals them under `current`, as
/// `credential::reseal_some` does with hashes. An enrolment is confirmed or over within ten
/// minutes, so none is sealed again.
pub(crate) fn reseal_some(
    tx: &WriteTx<'_>,
    options: &Options,
    current: (&KeyId, &SealingKey),
    most: usize,
    passed: &mut Passed,
) -> Result<Resealed> {
    let stored = Stored {
        next_key: |id: &str| next_key(tx, id),
        under: |id: &str, after, most| under(tx, id, after, most),
        reseal: |user, sealed: SealedSecret| reseal(tx, options, user, &sealed, current),
    };
    stored.reseal(options, current.0, most, passed)
}

/// Whether the keyring opens one of the first secrets that are sealed under this id; `None` if no
/// secret is.
pub(crate) fn opens_one(tx: &ReadTx<'_>, options: &Options, id: &KeyId) -> Result<Option<bool>> {
    let rows = under(tx, id.as_str(), UserId::NIL, KEY_CHECK_MAX_ROWS)?;
    let opens = |(user, sealed): &(UserId, SealedSecret)| {
        sealed.open(options, Place::Factor, *user).is_ok()
    };
    Ok((!rows.is_empty()).then(|| rows.iter().any(opens)))
}

/// `false` if this process cannot open it.
fn reseal(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    sealed: &SealedSecret,
    current: (&KeyId, &SealingKey),
) -> Result<bool> {
    let Some(secret) = sealed.open(options, Place::Factor, user)? else { return Ok(false) };
    let new = SealedSecret::seal_under(tx, Place::Factor, user, sealed.shape, &secret, current)?;
    tx.execute(
        "UPDATE totp SET secret = ?2, key_id = ?3 WHERE user_id = ?1",
        params![user, new.bytes.as_slice(), new.key_id],
    )?;
    Ok(true)
}

/// The next users whose secret is sealed under this id, and what is stored.
fn under(
    tx: &ReadTx<'_>,
    id: &str,
    after: UserId,
    most: usize,
) -> Result<Vec<(UserId, SealedSecret)>> {
    tx.all(
        "SELECT secret, key_id, algorithm, digits, user_id FROM totp
         WHERE key_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3",
        params![id, after, i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok((row.get(4)?, sealed_of(row)?)),
    )
}

fn next_key(tx: &ReadTx<'_>, after: &str) -> Result<Option<String>> {
    tx.exactly_one("SELECT min(key_id) FROM totp WHERE key_id > ?1", [after], |row| row.get(0))
}

/// How many secrets of factors in force are sealed under each key, by its id; the empty id is that
/// of no seal.
pub(crate) fn uses(tx: &ReadTx<'_>) -> Result<Vec<(String, u64)>> {
    tx.all("SELECT key_id, count(*) FROM totp GROUP BY key_id ORDER BY key_id", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })
}
