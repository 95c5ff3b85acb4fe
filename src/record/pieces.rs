//! Lists that read long tables piece by piece.
//!
//! A list whose filter selects few rows may have to examine a whole table. It examines at most
//! [`limits::LIST_PIECE_ROWS`](crate::value::limits::LIST_PIECE_ROWS) rows in one snapshot and then
//! lets go of its read connection, so that no list pins an old snapshot or keeps other reads
//! waiting. So a page is not one snapshot: a row that is written meanwhile may be in it or not.

use crate::error::Result;
use crate::storage::ReadTx;
use crate::store::Store;

/// A page of at most `limit` rows after the row of `after`. `piece_end` finds the last key of the
/// next piece, `None` if the rest is shorter than a piece; `rows` returns the rows of a piece that
/// the filter selects, at most as many as the last argument says.
pub(crate) fn page_in_pieces<K: Copy, T>(
    store: &Store,
    mut after: K,
    limit: i64,
    piece_end: impl Fn(&ReadTx<'_>, K) -> Result<Option<K>>,
    rows: impl Fn(&ReadTx<'_>, K, Option<K>, i64) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let (mut page, mut left) = (Vec::new(), limit);
    loop {
        let (found, end) = store.read(|tx| {
            let end = piece_end(tx, after)?;
            Ok((rows(tx, after, end, left)?, end))
        })?;
        left = left.saturating_sub(i64::try_from(found.len()).unwrap_or(i64::MAX));
        page.extend(found);
        match end {
            Some(end) if left > 0 => after = end,
            _ => return Ok(page),
        }
    }
}

/// The sum of `count` over all pieces after the row of `after`.
pub(crate) fn count_in_pieces<K: Copy>(
    store: &Store,
    mut after: K,
    piece_end: impl Fn(&ReadTx<'_>, K) -> Result<Option<K>>,
    count: impl Fn(&ReadTx<'_>, K, Option<K>) -> Result<u64>,
) -> Result<u64> {
    let mut sum = 0;
    loop {
        let (found, end) = store.read(|tx| {
            let end = piece_end(tx, after)?;
            Ok((count(tx, after, end)?, end))
        })?;
        sum += found;
        match end {
            Some(end) => after = end,
            None => return Ok(sum),
        }
    }
}
