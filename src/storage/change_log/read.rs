//! Reads the changes after a bookmark.

use rusqlite::params;

use super::super::transaction::ReadTx;
use super::bookmark::{AuditHead, Bookmark, Change, Changes, LogState, RowsOfBookmark};
use crate::error::Result;

impl Changes {
    /// The changes since `place` in one snapshot; `None` means the beginning.
    pub(crate) fn since(tx: &ReadTx<'_>, place: Option<Bookmark>) -> Result<Self> {
        let (lineage, swept_to) =
            tx.exactly_one("SELECT lineage, swept_to FROM store WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let head = tx.head()?;
        let oldest: Option<i64> =
            tx.exactly_one("SELECT min(seq) FROM change", [], |row| row.get(0))?;
        let (tag, audit, named) = rows(tx, head, place)?;
        let log = LogState { lineage, head, oldest, tag, audit, named };
        let place_now = log.here();
        let Some(from) = log.read_on(place) else {
            return Ok(Self { place: place_now, complete: false, rows: Vec::new(), swept_to });
        };
        let rows = tx.all(
            "SELECT kind, id FROM change WHERE seq > ?1 ORDER BY seq",
            params![from],
            |row| {
                Ok(match row.get(0)? {
                    3 => Change::User(row.get(1)?),
                    4 => Change::Session(row.get(1)?),
                    5 => Change::ApiKey(row.get(1)?),
                    _ => Change::Everyone,
                })
            },
        )?;
        // Numbers have no gaps: a missing row was deleted by another program.
        let complete = i64::try_from(rows.len()).is_ok_and(|rows| rows == head - from);
        Ok(Self { place: place_now, complete, rows, swept_to })
    }
}

/// The tag of the newest change row, the end of the library's audit chain, and what the file has
/// under the numbers of the bookmark: each a row by its key.
fn rows(
    tx: &ReadTx<'_>,
    head: i64,
    place: Option<Bookmark>,
) -> Result<(Option<[u8; 8]>, AuditHead, RowsOfBookmark)> {
    let (change, audit) = place.map_or((0, 0), |place| (place.seq, place.audit.seq));
    // Source 0 is the library's own. The end of the chain is its newest row, which the age limit
    // may have trimmed.
    tx.exactly_one(
        "SELECT (SELECT tag FROM change WHERE seq = ?1), head_seq, head_chain,
             (SELECT tag FROM change WHERE seq = ?2),
             CASE WHEN head_seq = ?3 THEN head_chain
             ELSE (SELECT chain FROM audit WHERE seq = ?3 AND source = 0) END
         FROM audit_chain WHERE source = 0",
        params![head, change, audit],
        |row| {
            let audit = AuditHead { seq: row.get(1)?, chain: row.get(2)? };
            Ok((row.get(0)?, audit, RowsOfBookmark { tag: row.get(3)?, chain: row.get(4)? }))
        },
    )
}
