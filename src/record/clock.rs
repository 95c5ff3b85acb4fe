//! How far the clock is believed: deletion by age does not trust one reading of it.

use crate::error::Result;
use crate::storage::{WriteTx, params};
use crate::value::limits::CLOCK_BELIEVED_AFTER;
use crate::value::time::Timestamp;

/// Notes what the wall clock reads, and returns the moment up to which rows may be deleted for
/// their age: what was over then was over at two readings that lie at least 20 h apart, and is over
/// now. So a clock that is wrong and corrected within 20 h deletes nothing.
pub(crate) fn deletes_up_to(tx: &WriteTx<'_>) -> Result<Timestamp> {
    let (seen, believed): (Timestamp, Timestamp) =
        tx.exactly_one("SELECT seen_at, believed_at FROM store WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let now = tx.wall();
    let is_confirmed = now.duration_since(seen) >= CLOCK_BELIEVED_AFTER;
    let believed = if is_confirmed { believed.max(seen) } else { believed };
    if now < seen || is_confirmed {
        tx.execute(
            "UPDATE store SET seen_at = ?1, believed_at = ?2 WHERE id = 1",
            params![now, believed],
        )?;
    }
    // A clock that was ahead for days was believed; what it made over lives on since.
    Ok(believed.min(now))
}

/// Believes the clock at once, as if it had been read 20 h later too.
#[cfg(feature = "test-util")]
pub(crate) fn believe(tx: &WriteTx<'_>) -> Result<()> {
    tx.execute("UPDATE store SET seen_at = ?1 WHERE id = 1", params![tx.wall()])?;
    tx.execute("UPDATE store SET believed_at = seen_at WHERE id = 1 AND believed_at < seen_at", [])
        .map(drop)
}
