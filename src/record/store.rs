//! The store's own row: its watermarks, its keys, and up to when it was swept.

use crate::error::{Error, Result};
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::keyring::KeyId;
use crate::value::time::Timestamp;

/// Raises the watermarks that apply to all sessions and keys of the file.
pub(crate) fn raise(tx: &WriteTx<'_>, marks: Watermarks) -> Result<()> {
    tx.execute(
        "UPDATE store SET sessions_ended_seq = coalesce(?1, sessions_ended_seq),
             keys_ended_seq = coalesce(?2, keys_ended_seq),
             tokens_ended_seq = coalesce(?3, tokens_ended_seq)
         WHERE id = 1",
        params![marks.sessions, marks.keys, marks.tokens],
    )
    .map(drop)
}

/// The key of the digest by which a name draws its stand-in cost.
pub(crate) fn stand_in_key(tx: &ReadTx<'_>) -> Result<[u8; 32]> {
    tx.exactly_one("SELECT stand_in_key FROM store WHERE id = 1", [], |row| row.get(0))
}

/// The id of the key under which password hashes are sealed; `None` if none was ever sealed.
///
/// # Errors
/// `Corrupt` if it is no key id.
pub(crate) fn sealing_key(tx: &ReadTx<'_>) -> Result<Option<KeyId>> {
    let sql = "SELECT sealing_key FROM store WHERE id = 1";
    let id: Option<String> = tx.exactly_one(sql, [], |row| row.get(0))?;
    id.map(KeyId::new).transpose().map_err(|_| Error::corrupt("the id of the file's key is none"))
}

/// Seals under that key from now on, in every process.
pub(crate) fn set_sealing_key(tx: &WriteTx<'_>, id: &KeyId) -> Result<()> {
    tx.execute("UPDATE store SET sealing_key = ?1 WHERE id = 1", [id.as_str()]).map(drop)
}

/// Stores that rows which expired by `to` may be deleted without a change row. Monotonic.
pub(crate) fn swept_to(tx: &WriteTx<'_>, to: Timestamp) -> Result<()> {
    tx.execute("UPDATE store SET swept_to = ?1 WHERE id = 1 AND swept_to < ?1", params![to])
        .map(drop)
}
