//! Reads of a file that this version may read, also after another process has migrated it.

use rusqlite::{Connection, Params, Row};

use super::clock::Moment;
use super::migrate::{SCHEMA_VERSION, check_may_read, too_new};
use super::transaction::{self, ReadTx};
use crate::error::Result;

/// Runs `job` on one snapshot.
pub(super) fn read<T>(
    connection: &Connection,
    moment: Moment,
    job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    transaction::read(connection, moment, |tx| {
        check_may_read(connection)?;
        job(tx)
    })
}

/// The first row, or `None`, without a transaction around the SELECT. `map` also returns
/// `min_reader` of the store, which the SELECT reads too: a second statement would be a part of a
/// verify that shows.
pub(super) fn select_one<T>(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<(T, i64)>,
) -> Result<Option<T>> {
    match transaction::select_one(connection, sql, params, map) {
        Ok(Some((found, min_reader))) if min_reader <= SCHEMA_VERSION => Ok(Some(found)),
        Ok(Some(_)) => Err(too_new()),
        // The SELECT also fails on a newer schema that it does not fit.
        none => check_may_read(connection).and(none.map(|_| None)),
    }
}
