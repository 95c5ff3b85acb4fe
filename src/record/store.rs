//! The store's own row: its watermarks, its keys, how far it was swept.

use crate::error::Result;
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::time::Timestamp;

/// Raises the watermarks under which everything of the file stands.
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

/// The key of the digests in the throttle.
pub(crate) fn throttle_key(tx: &ReadTx<'_>) -> Result<[u8; 32]> {
    tx.exactly_one("SELECT throttle_key FROM store WHERE id = 1", [], |row| row.get(0))
}

/// Says that what expired up to `to` may vanish without a change row. Never falls.
pub(crate) fn swept_to(tx: &WriteTx<'_>, to: Timestamp) -> Result<()> {
    tx.execute("UPDATE store SET swept_to = ?1 WHERE id = 1 AND swept_to < ?1", params![to])
        .map(drop)
}
