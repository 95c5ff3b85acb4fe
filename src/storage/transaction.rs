//! Read and write transactions as types: what is handed a [`ReadTx`] cannot write.

use std::cell::Cell;
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql};

use super::fault;
use crate::error::{Error, Reason, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::RandomSource;
use crate::value::time::Timestamp;

/// One snapshot of the file.
#[derive(Debug)]
pub(crate) struct ReadTx<'c> {
    connection: &'c Connection,
    now: Timestamp,
}

impl ReadTx<'_> {
    /// The one time of this transaction.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The first row, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        select_one(self.connection, sql, params, map)
    }

    /// A row that the file's own rules say exists.
    pub(crate) fn exactly_one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.one(sql, params, map)?
            .ok_or_else(|| Error::corrupt("a row that must exist is missing"))
    }

    /// All rows, in the statement's order.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        let rows = statement.query_map(params, map).map_err(fault)?;
        rows.collect::<rusqlite::Result<Vec<T>>>().map_err(fault)
    }

    /// Whether the text is JSON, as the file's own rules see it.
    pub(crate) fn is_json(&self, text: &str) -> Result<bool> {
        self.exactly_one("SELECT json_valid(?1)", [text], |row| row.get(0))
    }

    /// The number of the newest change row.
    pub(crate) fn head(&self) -> Result<i64> {
        self.exactly_one("SELECT seq FROM sqlite_sequence WHERE name = 'change'", [], |row| {
            row.get(0)
        })
    }
}

/// What a write transaction came to.
#[derive(Debug)]
pub(crate) enum Settled<T> {
    /// Commit, then answer.
    Commit(T),
    /// Nothing was to be done: roll back, then answer.
    Nothing(T),
}

/// What a write transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ordinary,
    /// It revokes credentials: accepted even while the disk is full.
    Revocation,
}

/// The one write transaction of the file.
pub(crate) struct WriteTx<'c> {
    read: ReadTx<'c>,
    purpose: Purpose,
    actor: &'c Actor,
    random: &'c dyn RandomSource,
    ending: Cell<Option<i64>>,
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        now: Timestamp,
        purpose: Purpose,
        actor: &'c Actor,
        random: &'c dyn RandomSource,
    ) -> Self {
        let read = ReadTx { connection, now };
        Self { read, purpose, actor, random, ending: Cell::new(None) }
    }

    /// Refuses to revoke in an ordinary write, which a full disk would refuse with nothing denied
    /// in memory.
    pub(crate) fn check_revokes(&self) -> Result<()> {
        match self.purpose {
            Purpose::Revocation => Ok(()),
            Purpose::Ordinary => {
                Err(Error::misuse("a write revokes credentials outside the door of revocations"))
            }
        }
    }

    /// Who is doing this, for the audit log.
    pub(crate) fn actor(&self) -> &Actor {
        self.actor
    }

    pub(crate) fn random(&self) -> &dyn RandomSource {
        self.random
    }

    /// An id that no row has yet, as `is_taken` tells. A source that repeats itself is asked again
    /// a few times; what it has given before is never used twice.
    pub(crate) fn draw_id<I: ToSql>(
        &self,
        draw: fn(Timestamp, &dyn RandomSource) -> Result<I>,
        is_taken: &'static str,
    ) -> Result<I> {
        for _ in 0..limits::ID_DRAWS_MAX {
            let id = draw(self.now(), self.random)?;
            if !self.exactly_one(is_taken, [&id], |row| row.get(0))? {
                return Ok(id);
            }
        }
        Err(Error::new(Reason::NoRandom, "the random source repeats itself"))
    }

    /// Runs a statement that writes; answers how many rows it changed.
    pub(crate) fn execute(&self, sql: &'static str, params: impl Params) -> Result<usize> {
        self.check_still_open()?;
        let mut statement = self.read.connection.prepare_cached(sql).map_err(fault)?;
        statement.execute(params).map_err(fault)
    }

    /// The number of the change row that the next UPDATE of this transaction writes: what a
    /// watermark is raised to. Taken once; the statement that uses it must write that row.
    pub(crate) fn ending_seq(&self) -> Result<i64> {
        if let Some(seq) = self.ending.get() {
            return Ok(seq);
        }
        let seq = self.head()?.saturating_add(1);
        self.ending.set(Some(seq));
        Ok(seq)
    }

    /// After some errors SQLite rolls the whole transaction back by itself. What were written next
    /// would stand alone.
    pub(super) fn check_still_open(&self) -> Result<()> {
        if self.read.connection.is_autocommit() {
            return Err(Error::new(
                Reason::Io,
                "an earlier error ended the transaction; nothing of it was applied",
            ));
        }
        Ok(())
    }

    /// Called before the commit: a watermark above the head would end sessions not yet opened.
    pub(super) fn check_ending(&self) -> Result<()> {
        match self.ending.get() {
            Some(seq) if self.head()? < seq => {
                Err(Error::misuse("a watermark was taken and its change row not written"))
            }
            _ => Ok(()),
        }
    }
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

pub(super) fn select_one<T>(
    connection: &Connection,
    sql: &'static str,
    params: impl Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    statement.query_row(params, map).optional().map_err(fault)
}

/// Runs `job` on one snapshot, which is let go of whatever happens.
pub(super) fn read<T>(
    connection: &Connection,
    now: Timestamp,
    job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    let snapshot = connection.unchecked_transaction().map_err(fault)?;
    let answer = job(&ReadTx { connection, now })?;
    snapshot.finish().map_err(fault)?;
    Ok(answer)
}
