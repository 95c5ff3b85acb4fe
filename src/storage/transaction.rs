//! Read and write transactions as types: code that has a [`ReadTx`] cannot write.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql};

use super::clock::Moment;
use super::fault;
use crate::error::{Error, ErrorKind, Result};
use crate::value::event::{Actor, AuditEntry};
use crate::value::limits;
use crate::value::random::{Draws, RandomSource};
use crate::value::time::Timestamp;

/// A read transaction: one snapshot of the file.
#[derive(Debug)]
pub(crate) struct ReadTx<'c> {
    connection: &'c Connection,
    moment: Moment,
}

impl ReadTx<'_> {
    /// The time of this transaction. It does not change while the transaction runs.
    pub(crate) fn now(&self) -> Timestamp {
        self.moment.now
    }

    /// The wall clock as it was read for this transaction, even if it went back: what waits go by.
    pub(crate) fn wall(&self) -> Timestamp {
        self.moment.wall
    }

    /// The first row, or `None`.
    pub(crate) fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        select_one(self.connection, sql, params, map)
    }

    /// A row that must exist by the rules of the schema.
    ///
    /// # Errors
    /// `Corrupt` if it is missing.
    pub(crate) fn exactly_one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.one(sql, params, map)?
            .ok_or_else(|| Error::corrupt("a row that must exist is missing from the file"))
    }

    /// All rows, in the statement's order.
    pub(crate) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        note(sql);
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        let rows = statement.query_map(params, map).map_err(fault)?;
        rows.collect::<rusqlite::Result<Vec<T>>>().map_err(fault)
    }

    /// The result of a `SELECT count(*)`.
    pub(crate) fn count(&self, sql: &'static str, params: impl Params) -> Result<u64> {
        self.exactly_one(sql, params, |row| row.get(0)).map(i64::unsigned_abs)
    }

    /// Whether the text is valid JSON by the function that the CHECK constraints use.
    pub(crate) fn is_json(&self, text: &str) -> Result<bool> {
        self.exactly_one("SELECT json_valid(?1)", [text], |row| row.get(0))
    }

    /// The number of the newest change row.
    ///
    /// # Errors
    /// `Corrupt` if the counter lies below a row, because another program has set it back: a
    /// watermark that is taken from it would revoke nothing.
    pub(crate) fn head(&self) -> Result<i64> {
        let (head, newest) = self.exactly_one(
            "SELECT seq, (SELECT max(seq) FROM change) FROM sqlite_sequence WHERE name = 'change'",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        if newest.is_some_and(|newest| newest > head) {
            return Err(Error::corrupt("the counter of the change log was set back"));
        }
        Ok(head)
    }
}

/// The result of a job in a write transaction.
#[derive(Debug)]
pub(crate) enum Finished<T> {
    /// Commit, then return the value.
    Commit(T),
    /// Nothing was to be done: roll back, then return the value.
    Nothing(T),
}

/// The purpose of a write transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ordinary,
    /// The write revokes credentials: it is tried even while the disk is full.
    Revocation,
}

/// A write transaction; one at a time has the write lock of the file.
pub(crate) struct WriteTx<'c> {
    read: ReadTx<'c>,
    purpose: Purpose,
    actor: &'c Actor,
    draws: &'c Draws,
    revoking: Cell<Option<i64>>,
    /// The rows that this transaction has appended to the audit log; `None` if no one asks for
    /// them.
    appended: RefCell<Option<Vec<AuditEntry>>>,
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        moment: Moment,
        purpose: Purpose,
        actor: &'c Actor,
        draws: &'c Draws,
    ) -> Self {
        let read = ReadTx { connection, moment };
        let (revoking, appended) = (Cell::new(None), RefCell::new(None));
        Self { read, purpose, actor, draws, revoking, appended }
    }

    /// Fails with `Misuse` in an ordinary write: on a full disk that is refused without a denial
    /// in memory, so the credential would stay valid.
    pub(crate) fn check_revokes(&self) -> Result<()> {
        match self.purpose {
            Purpose::Revocation => Ok(()),
            Purpose::Ordinary => Err(Error::misuse(
                "Gatepost's own error: a write revokes credentials without having declared it",
            )),
        }
    }

    /// From now on, keeps the rows of the audit log that this transaction appends.
    pub(crate) fn keep_appended(&self) {
        self.appended.borrow_mut().get_or_insert_default();
    }

    /// A row was appended to the audit log.
    pub(crate) fn appended(&self, entry: impl FnOnce() -> AuditEntry) {
        if let Some(kept) = &mut *self.appended.borrow_mut() {
            kept.push(entry());
        }
    }

    /// The rows that were kept so far.
    pub(crate) fn take_appended(&self) -> Vec<AuditEntry> {
        self.appended.borrow_mut().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The actor of this write, for the audit log.
    pub(crate) fn actor(&self) -> &Actor {
        self.actor
    }

    pub(crate) fn random(&self) -> &dyn RandomSource {
        self.draws.source()
    }

    /// The salt of the next audit row.
    pub(crate) fn salt(&self) -> [u8; 8] {
        self.draws.salt()
    }

    /// Draws an id for which `is_taken` finds no row, in at most [`limits::ID_DRAWS_MAX`] draws.
    ///
    /// # Errors
    /// `NoRandom` if the random source repeats itself.
    pub(crate) fn draw_id<I: ToSql>(
        &self,
        draw: fn(Timestamp, &dyn RandomSource) -> Result<I>,
        is_taken: &'static str,
    ) -> Result<I> {
        for _ in 0..limits::ID_DRAWS_MAX {
            let id = draw(self.now(), self.random())?;
            if !self.exactly_one(is_taken, [&id], |row| row.get(0))? {
                return Ok(id);
            }
        }
        Err(Error::new(
            ErrorKind::NoRandom,
            "the random source repeats itself: Options::random_source gives the same bytes again",
        ))
    }

    /// Runs a statement that writes; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &'static str, params: impl Params) -> Result<usize> {
        self.check_still_open()?;
        note(sql);
        let mut statement = self.read.connection.prepare_cached(sql).map_err(fault)?;
        statement.execute(params).map_err(fault)
    }

    /// Runs `job` without the triggers of the schema: for a restore, which replaces the rows of a
    /// table by those of another file that had the same triggers.
    pub(crate) fn without_triggers<T>(&self, job: impl FnOnce() -> Result<T>) -> Result<T> {
        let enable = |on| {
            let config = DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
            self.read.connection.set_db_config(config, on).map(drop).map_err(fault)
        };
        enable(false)?;
        let done = job();
        enable(true)?;
        done
    }

    /// The number of the change row that the next UPDATE of this transaction writes: the new value
    /// of a watermark. It is computed once; the statement that uses it must write that row.
    pub(crate) fn revoking_seq(&self) -> Result<i64> {
        if let Some(seq) = self.revoking.get() {
            return Ok(seq);
        }
        let seq = self.head()?.saturating_add(1);
        self.revoking.set(Some(seq));
        Ok(seq)
    }

    /// Fails if SQLite has rolled the transaction back by itself, as it does after some errors:
    /// the next statement would run outside any transaction.
    pub(crate) fn check_still_open(&self) -> Result<()> {
        if self.read.connection.is_autocommit() {
            return Err(Error::new(
                ErrorKind::Io,
                "an earlier error ended the transaction; nothing of it was applied",
            ));
        }
        Ok(())
    }

    /// Called before the commit. A watermark above the head would revoke sessions that are not
    /// opened yet.
    pub(super) fn check_revoking(&self) -> Result<()> {
        match self.revoking.get() {
            Some(seq) if self.head()? < seq => Err(Error::misuse(
                "Gatepost's own error: a watermark was taken and its change row not written",
            )),
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
    note(sql);
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    statement.query_row(params, map).optional().map_err(fault)
}

/// Runs `job` on one snapshot, which is released even if `job` fails.
pub(super) fn read<T>(
    connection: &Connection,
    moment: Moment,
    job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Result<T> {
    let snapshot = connection.unchecked_transaction().map_err(fault)?;
    let answer = job(&ReadTx { connection, moment })?;
    snapshot.finish().map_err(fault)?;
    Ok(answer)
}

#[cfg(feature = "test-util")]
thread_local! {
    /// The statements of this thread, while a test asks for them.
    static NOTED: RefCell<Option<Vec<&'static str>>> = const { RefCell::new(None) };
}

#[cfg(feature = "test-util")]
fn note(sql: &'static str) {
    NOTED.with_borrow_mut(|noted| noted.iter_mut().for_each(|noted| noted.push(sql)));
}

#[cfg(not(feature = "test-util"))]
fn note(_: &'static str) {}

#[cfg(feature = "test-util")]
impl ReadTx<'_> {
    /// What `job` returns, and the statements that this thread ran meanwhile.
    pub(crate) fn noting<T>(job: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        NOTED.set(Some(Vec::new()));
        let answer = job();
        (answer, NOTED.take().unwrap_or_default())
    }
}
