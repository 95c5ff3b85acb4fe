//! Sealing of stored hashes under another key, a bounded number in each write.

use super::{replace, sealed};
use crate::error::{ErrorKind, Result};
use crate::options::Options;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::id::UserId;
use crate::value::keyring::{KeyId, SealingKey};
use crate::value::limits::KEY_CHECK_MAX_ROWS;

/// What one write sealed: hashes, or secrets of second factors.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resealed {
    pub(crate) sealed: usize,
    /// Those whose key the keyring has, and that do not open with it.
    pub(crate) damaged: usize,
    /// Whether no other one is left that this process can seal.
    pub(crate) is_complete: bool,
}

/// Seals up to `most` hashes under `current`: those that are not sealed, and those whose key the
/// keyring has. It finds them by the id of their key, so that it needs no mark of where the last
/// call ended, and passes over the hashes of a key that is missing.
pub(crate) fn reseal_some(
    tx: &WriteTx<'_>,
    options: &Options,
    current: (&KeyId, &SealingKey),
    most: usize,
) -> Result<Resealed> {
    let mut done = Resealed::default();
    let mut next = Some(String::new());
    while let Some(id) = next {
        if has_key(options, &id) && id != current.0.as_str() {
            reseal_of(tx, options, &id, current, most, &mut done)?;
            if done.sealed >= most {
                return Ok(done);
            }
        }
        next = next_key(tx, &id)?;
    }
    done.is_complete = true;
    Ok(done)
}

/// Whether what is sealed under this id can be opened; the empty id is that of no seal.
pub(crate) fn has_key(options: &Options, id: &str) -> bool {
    id.is_empty() || KeyId::new(id).is_ok_and(|id| sealed::key_of(options, &id).is_ok())
}

/// Whether the keyring opens one of the first hashes that are sealed under this id; `None` if no
/// hash is.
pub(crate) fn opens_one(tx: &ReadTx<'_>, options: &Options, id: &KeyId) -> Result<Option<bool>> {
    let rows = under(tx, id.as_str(), UserId::NIL, KEY_CHECK_MAX_ROWS)?;
    let keyring = options.keyring.as_deref();
    let opens = |(user, text): &(UserId, String)| sealed::open(keyring, *user, text).is_ok();
    Ok((!rows.is_empty()).then(|| rows.iter().any(opens)))
}

fn reseal_of(
    tx: &WriteTx<'_>,
    options: &Options,
    id: &str,
    current: (&KeyId, &SealingKey),
    most: usize,
    done: &mut Resealed,
) -> Result<()> {
    let mut after = UserId::NIL;
    loop {
        let rows = under(tx, id, after, most.saturating_sub(done.sealed))?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (user, text) in rows {
            match sealed::open(options.keyring.as_deref(), user, &text) {
                Ok(Some(phc)) => {
                    replace(tx, user, &text, &sealed::seal(tx, user, &phc, current)?)?;
                    done.sealed += 1;
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => done.damaged += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The next users whose hash is sealed under this id, and what is stored.
fn under(tx: &ReadTx<'_>, id: &str, after: UserId, most: usize) -> Result<Vec<(UserId, String)>> {
    tx.all(
        "SELECT user_id, phc FROM credential WHERE key_id = ?1 AND user_id > ?2
         ORDER BY user_id LIMIT ?3",
        params![id, after, i64::try_from(most).unwrap_or(i64::MAX)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn next_key(tx: &ReadTx<'_>, after: &str) -> Result<Option<String>> {
    tx.exactly_one("SELECT min(key_id) FROM credential WHERE key_id > ?1", [after], |row| {
        row.get(0)
    })
}

/// How many hashes are sealed under each key, by its id; the empty id is that of no seal.
pub(crate) fn uses(tx: &ReadTx<'_>) -> Result<Vec<(String, u64)>> {
    tx.all("SELECT key_id, count(*) FROM credential GROUP BY key_id ORDER BY key_id", [], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })
}
