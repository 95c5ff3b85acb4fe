//! Sealing of stored hashes under another key, a bounded number in each write.

use super::{replace, sealed};
use crate::error::{ErrorKind, Result};
use crate::options::Options;
use crate::pending::rekeying::Passed;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::id::UserId;
use crate::value::keyring::{KeyId, SealingKey};
use crate::value::limits::KEY_CHECK_MAX_ROWS;

/// What one write did with hashes, or with secrets of second factors.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resealed {
    pub(crate) sealed: usize,
    /// Those whose key the keyring has, and that do not open with it.
    pub(crate) damaged: usize,
    /// How many the write may still read.
    pub(crate) left: usize,
    /// Whether no other one is left that this process can seal.
    pub(crate) is_complete: bool,
}

/// Reads up to `most` hashes, those that are not sealed and those whose key the keyring has, after
/// those that were passed, and seals them under `current`. It finds them by the id of their key, so
/// that it needs no mark of where the last call ended, and passes over the hashes of a key that is
/// missing.
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
        reseal: |user, text: String| {
            let phc = sealed::open(options.keyring.as_deref(), user, &text)?;
            let Some(phc) = phc else { return Ok(false) };
            replace(tx, user, &text, &sealed::seal(tx, user, &phc, current)?)?;
            Ok(true)
        },
    };
    stored.reseal(options, current.0, most, passed)
}

/// The statements on what is sealed: hashes, or secrets of second factors.
pub(crate) struct Stored<N, U, R> {
    /// The next id of a key.
    pub(crate) next_key: N,
    /// The next users of whom something is sealed under this id, at most so many.
    pub(crate) under: U,
    /// Seals it under the current key; `false` if this process cannot open it.
    pub(crate) reseal: R,
}

impl<N, U, R> Stored<N, U, R> {
    /// Whatever is read counts towards `most`, also what is damaged: other writers wait for it.
    pub(crate) fn reseal<T>(
        &self,
        options: &Options,
        current: &KeyId,
        most: usize,
        passed: &mut Passed,
    ) -> Result<Resealed>
    where
        N: Fn(&str) -> Result<Option<String>>,
        U: Fn(&str, UserId, usize) -> Result<Vec<(UserId, T)>>,
        R: Fn(UserId, T) -> Result<bool>,
    {
        let mut done = Resealed { left: most, ..Resealed::default() };
        let mut next = Some(String::new());
        while let Some(id) = next {
            if has_key(options, &id) && id != current.as_str() {
                let rows = (self.under)(&id, passed.last(&id), done.left)?;
                done.left = done.left.saturating_sub(rows.len());
                for (user, stored) in rows {
                    match (self.reseal)(user, stored) {
                        Ok(true) => {
                            done.sealed += 1;
                            continue;
                        }
                        Ok(false) => {}
                        Err(error) if error.kind() == ErrorKind::Corrupt => done.damaged += 1,
                        Err(error) => return Err(error),
                    }
                    passed.pass(&id, user);
                }
                if done.left == 0 {
                    return Ok(done);
                }
            }
            next = (self.next_key)(&id)?;
        }
        done.is_complete = true;
        Ok(done)
    }
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
