//! How the file is kept: connections, transactions, opening, migrations. Knows no noun of the domain.
//!
//! The only doors are [`Storage::read`], [`Storage::select_one`] and [`Storage::write`]. No other module
//! names a `Connection`, and nothing here or elsewhere opens, closes or copies the file, its `-wal` or its
//! `-shm` with a descriptor of its own: closing one would drop the locks that SQLite holds for the
//! whole process. The file is looked at with `stat` and `chmod` by path only.

mod backup;
mod connection;
mod fault;
mod guard;
mod migrate;
mod open;
mod pool;
mod sql;
mod transaction;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

pub(crate) use fault::fault;
pub use guard::Note;
pub(crate) use guard::{Identity, Tolerances};
pub(crate) use migrate::SCHEMA_VERSION;
pub(crate) use rusqlite::{Row, params};
pub(crate) use transaction::{ReadTx, WriteTx};

use crate::error::{Error, Reason, Result};
use crate::value::event::Actor;
use crate::value::random::RandomSource;
use crate::value::time::{Clock, Timestamp};
use pool::Pool;
use writer::Writer;

/// What opening a store needs to know.
#[derive(Debug)]
pub(crate) struct OpenRequest<'a> {
    pub(crate) path: &'a Path,
    pub(crate) tolerances: Tolerances,
    pub(crate) for_tests: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
}

/// One open file, or one in-memory database.
#[derive(Debug)]
pub(crate) struct Storage {
    clock: SteadyClock,
    random: Arc<dyn RandomSource>,
    place: Option<Place>,
    for_tests: bool,
    writer: Writer,
    /// `None` in memory, where the writer's connection serves reads as well.
    readers: Option<Pool>,
    closed: AtomicBool,
}

/// Where the file stands, and what was noticed about it when it was opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) notes: Vec<Note>,
}

impl Storage {
    /// Opens the file, creating it if there is none.
    pub(crate) fn open(request: OpenRequest<'_>) -> Result<Self> {
        let clock = SteadyClock::new(request.clock);
        let seed = migrate::Seed::draw(&*request.random, clock.now(), request.for_tests)?;
        let opened = open::open(request.path, request.tolerances, &seed)?;
        let readers = Pool::new(opened.place.path.clone());
        Ok(Self {
            clock,
            random: request.random,
            for_tests: opened.for_tests,
            place: Some(opened.place),
            writer: Writer::new(opened.writer),
            readers: Some(readers),
            closed: AtomicBool::new(false),
        })
    }

    /// A store without a file, on one connection.
    #[cfg(feature = "test-util")]
    pub(crate) fn in_memory(
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomSource>,
        for_tests: bool,
    ) -> Result<Self> {
        let clock = SteadyClock::new(clock);
        let seed = migrate::Seed::draw(&*random, clock.now(), for_tests)?;
        let connection = connection::in_memory()?;
        migrate::create(&connection, &seed)?;
        Ok(Self {
            clock,
            random,
            place: None,
            for_tests,
            writer: Writer::new(connection),
            readers: None,
            closed: AtomicBool::new(false),
        })
    }

    /// Now: the later of the wall clock and the last value this store saw.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn random(&self) -> &dyn RandomSource {
        &*self.random
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether the file was created for tests and so accepts the cheap hash cost.
    pub(crate) fn is_for_tests(&self) -> bool {
        self.for_tests
    }

    /// Runs `job` on one snapshot of the file, which cannot be written through it.
    pub(crate) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.check_open()?;
        match &self.readers {
            Some(pool) => {
                let connection = pool.take(pool::READ_WAIT)?;
                transaction::read(&connection, self.now(), job)
            }
            None => {
                self.writer.borrow(|connection| transaction::read(connection, self.now(), job))
            }
        }
    }

    /// One SELECT on its own snapshot, without the two statements of a transaction around it.
    pub(crate) fn select_one<T>(
        &self,
        wait: Duration,
        sql: &'static str,
        params: impl rusqlite::Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        match &self.readers {
            Some(pool) => transaction::select_one(&*pool.take(wait)?, sql, params, map),
            None => self
                .writer
                .borrow(|connection| transaction::select_one(connection, sql, params, map)),
        }
    }

    /// Runs `job` in one write transaction: all of it holds when this returns `Ok`, nothing of it
    /// when this returns `Err` (but for [`Reason::CommitUnknown`]).
    pub(crate) fn write<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        self.check_open()?;
        self.writer.write(actor, &self.clock, &*self.random, job)
    }

    /// As [`Storage::write`], but gives up at once if anyone else is writing.
    pub(crate) fn try_write<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        self.writer.try_write(actor, &self.clock, &*self.random, job)
    }

    /// Which file stands at `path` now, if there is one.
    pub(crate) fn identity_of(path: &Path) -> Option<Identity> {
        guard::identity(&guard::resolve(path).ok()?).ok()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes all connections; every later call answers [`Reason::Closed`].
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        if let Some(pool) = &self.readers {
            pool.close();
        }
        self.writer.close()
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(Reason::Closed, "the store is closed"));
        }
        Ok(())
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

/// A clock that never runs backwards within a process.
///
/// Built on the wall clock, not on an `Instant`, which misses the time a machine sleeps.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    wall: Arc<dyn Clock>,
    latest: AtomicI64,
}

impl SteadyClock {
    pub(crate) fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, latest: AtomicI64::new(i64::MIN) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let wall = Timestamp::from_datetime(self.wall.now()).as_millis();
        let before = self.latest.fetch_max(wall, Ordering::AcqRel);
        Timestamp::from_millis(before.max(wall))
    }
}
