//! The change log: the triggers of the schema write it, and this module trims it.

use crate::error::Result;
use crate::storage::{WriteTx, params, trimmable};

/// Deletes the `most` oldest rows if so many are far behind the head, never the newest.
pub(crate) fn trim(tx: &WriteTx<'_>, most: i64) -> Result<usize> {
    let oldest: Option<i64> =
        tx.exactly_one("SELECT min(seq) FROM change", [], |row| row.get(0))?;
    let Some(oldest) = oldest else { return Ok(0) };
    let (first, last) = trimmable(oldest, tx.head()?, most);
    if last - first + 1 < most {
        return Ok(0);
    }
    tx.execute("DELETE FROM change WHERE seq BETWEEN ?1 AND ?2", params![first, last])
}
