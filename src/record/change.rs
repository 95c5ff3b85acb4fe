//! The change log: written by the triggers of the file, trimmed here.

use crate::error::Result;
use crate::storage::{WriteTx, params};
use crate::value::limits;

/// Removes at most `most` rows that are far behind the head. The newest always stays.
pub(crate) fn trim(tx: &WriteTx<'_>, most: i64) -> Result<usize> {
    let keep_from = tx.head()?.saturating_sub(limits::CHANGE_ROWS_KEPT);
    tx.execute(
        "DELETE FROM change WHERE seq IN (
             SELECT seq FROM change WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
        params![keep_from, most],
    )
}
