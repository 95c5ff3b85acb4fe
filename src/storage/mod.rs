//! How the file is kept: connections, transactions, opening, migrations. Knows no noun of the
//! domain.
//!
//! The only doors are [`Storage::read`], [`Storage::select_one`] and [`Storage::write`]. No other
//! module names a `Connection`, and nothing here or elsewhere opens, closes or copies the file, its
//! `-wal` or its `-shm` with a descriptor of its own while they are in use: closing one would drop
//! the locks that SQLite holds for the whole process. The file is looked at with `stat` and `chmod`
//! by path only.
#![allow(clippy::disallowed_types, reason = "the transaction types are made of connections here")]

mod backup;
mod change_log;
mod clock;
mod connection;
mod fault;
mod files;
mod fork;
mod guard;
mod migrate;
mod open;
mod pool;
mod reserve;
mod sql;
mod transaction;
mod wal_index;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) use change_log::{Bookmark, Change, Changes, trimmable};
pub(crate) use fault::fault;
pub(crate) use files::{Files, Identity};
pub use guard::Note;
pub(crate) use guard::{Place, Tolerances};
use migrate::Recorder;
pub(crate) use migrate::{FileEvent, SCHEMA_VERSION};
pub(crate) use rusqlite::{Row, params};
pub(crate) use transaction::{Purpose, ReadTx, Settled, WriteTx};
pub(crate) use wal_index::{Header, Look, WalIndex};

use crate::error::{Error, Reason, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::{RandomSource, random_bytes};
use crate::value::time::{Clock, Timestamp};
use clock::SteadyClock;
use connection::Stopwatch;
use pool::Pool;
use reserve::Reserve;
pub use watch::FileGuard;
use watch::Watch;
pub use writer::CommitOutcome;
pub(crate) use writer::not_begun;
use writer::{Author, FileKey, Writer};

/// What opening a store needs to know.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(crate) files: Files,
    pub(crate) tolerances: Tolerances,
    pub(crate) for_tests: bool,
    /// Room on the disk that is held for what must be written; 0 for none.
    pub(crate) reserve_bytes: u64,
    pub(crate) clock: Option<Arc<dyn Clock>>,
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
    watch: Watch,
    reserve: Option<Reserve>,
    /// How many threads are at upkeep.
    in_upkeep: AtomicUsize,
}

/// Upkeep for as long as it lives.
struct Upkeep<'s>(&'s AtomicUsize);

impl Drop for Upkeep<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Storage {
    /// Opens the file, creating it if there is none. `record` writes what happens to the file into
    /// its audit log.
    pub(crate) fn open(
        request: OpenRequest,
        record: &dyn Fn(&WriteTx<'_>, FileEvent) -> Result<()>,
    ) -> Result<Self> {
        let clock = SteadyClock::new(request.clock);
        let seed = migrate::Seed::draw(&*request.random, request.for_tests)?;
        let first_mark = random_bytes(&*request.random)?;
        let recorder = Recorder { now: clock.now(), random: &*request.random, write: record };
        let opened = open::open(request.files, request.tolerances, &seed, recorder)?;
        connection::lead_to_writer(&opened.writer)?;
        let readers = Pool::new(opened.place.files.main.clone());
        let watch = Watch::new(Some((opened.place.files.clone(), opened.place.identity)));
        let file = FileKey {
            files: opened.place.files.clone(),
            identity: opened.place.identity,
            store_id: opened.store_id,
        };
        let reserve = (request.reserve_bytes > 0)
            .then(|| Reserve::new(&opened.place.files, request.reserve_bytes));
        let storage = Self {
            clock,
            random: request.random,
            for_tests: opened.for_tests,
            writer: Writer::new(opened.writer, Some(file), first_mark),
            place: Some(opened.place),
            readers: Some(readers),
            watch,
            reserve,
            in_upkeep: AtomicUsize::new(0),
        };
        // Before anything writes: a mark of this opening would leave the doubt for good.
        storage.settle()?;
        storage.fill_reserve();
        Ok(storage)
    }

    /// A store without a file, on one connection; `record` as for [`Storage::open`].
    #[cfg(feature = "test-util")]
    pub(crate) fn in_memory(
        clock: Option<Arc<dyn Clock>>,
        random: Arc<dyn RandomSource>,
        for_tests: bool,
        record: &dyn Fn(&WriteTx<'_>, FileEvent) -> Result<()>,
    ) -> Result<Self> {
        let clock = SteadyClock::new(clock);
        let seed = migrate::Seed::draw(&*random, for_tests)?;
        let first_mark = random_bytes(&*random)?;
        let connection = connection::in_memory()?;
        let recorder = Recorder { now: clock.now(), random: &*random, write: record };
        migrate::create(&connection, &seed, recorder)?;
        Ok(Self {
            clock,
            random,
            place: None,
            for_tests,
            writer: Writer::new(connection, None, first_mark),
            readers: None,
            watch: Watch::new(None),
            reserve: None,
            in_upkeep: AtomicUsize::new(0),
        })
    }

    /// The signal by which a cache can tell that it still holds; none where there is no shared
    /// wal-index.
    ///
    /// A log that was never written has no header to go by, so something is written to it.
    pub(crate) fn wal_index(&self) -> Result<Option<WalIndex>> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let index = WalIndex::open(&place.files.main);
        let told = |error| fault::explained(place.files.directory(), open::of_the_file(error));
        let Some(index) = index.map_err(told)? else {
            return Ok(None);
        };
        if index.look().is_some_and(|look| look.stable().is_none()) {
            // Each commit leaves its mark.
            match self.write(Purpose::Ordinary, &Actor::Host, |_| Ok(Settled::Commit(()))) {
                // A disk without any room is no reason to turn away who wants to read.
                Err(error) if error.reason() == Reason::Full => return Ok(None),
                written => written.map_err(open::of_the_file)?,
            }
        }
        Ok(Some(index))
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
    /// when this returns `Err` (except with [`Reason::CommitUnknown`]).
    pub(crate) fn write<T>(
        &self,
        purpose: Purpose,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        self.check_open()?;
        let author = Author { purpose, ..self.author(actor) };
        self.writer.write(author, limits::WRITE_WAIT, job)
    }

    /// As [`Storage::write`], but gives up at once if anyone else is writing.
    pub(crate) fn try_write<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        self.writer.try_write(self.author(actor), job)
    }

    /// The files of the store that `path` names, and which file stands there now.
    pub(crate) fn whereabouts(path: &Path) -> Result<(Files, Option<Identity>)> {
        let files = Files::resolve(path)?;
        let identity = files::identity(&files.main).ok();
        Ok((files, identity))
    }

    /// What watches over the file, or why it is closed.
    pub(crate) fn file_guard(&self) -> FileGuard {
        self.watch.file_guard()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.watch.is_closed()
    }

    /// Closes all connections; every later call answers [`Reason::Closed`]. If another thread does
    /// not let go of the writer, this is `Busy`, and the next call tries again; reads that have
    /// begun end as they would have. In the child of a fork nothing is closed: this is `Misuse`.
    pub(crate) fn close(&self) -> Result<()> {
        if fork::happened() {
            return Err(Error::misuse("the store was opened before a fork, in another process"));
        }
        if self.writer.is_held_here() {
            return Err(Error::misuse("a store is not closed inside a write of its own"));
        }
        self.watch.close();
        if let Some(pool) = &self.readers {
            pool.close();
        }
        self.writer.close()
    }

    /// Writes that were kept, and the commits that kept them, since the opening.
    pub(crate) fn write_counts(&self) -> (u64, u64) {
        self.writer.counts()
    }

    /// How many bytes the log has on the disk; none in memory.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.writer.log_bytes()
    }

    /// Moves the log into the file, so that the next write uses its room anew; answers whether it
    /// is worth trying again.
    pub(crate) fn fold_log(&self) -> bool {
        self.writer.fold_log()
    }

    /// Deletes the reserve; answers whether there was one.
    pub(crate) fn give_up_reserve(&self) -> bool {
        self.reserve.as_ref().is_some_and(Reserve::give_up)
    }

    /// Writes the reserve anew, if there is room.
    pub(crate) fn fill_reserve(&self) {
        if let Some(reserve) = &self.reserve {
            // Nothing else depends on it, and the disk may be full.
            let _ = reserve.fill(&*self.random);
        }
    }

    /// Does upkeep piece by piece until one finds nothing to do. While others of this process
    /// write, the file is theirs for ten times as long as a piece took.
    pub(crate) fn in_pieces(&self, mut piece: impl FnMut() -> Result<bool>) -> Result<()> {
        self.in_upkeep.fetch_add(1, Ordering::Relaxed);
        let _upkeep = Upkeep(&self.in_upkeep);
        let (mut before, _) = self.writer.counts();
        loop {
            let begun = Stopwatch::start();
            if !piece()? {
                return Ok(());
            }
            let pause = begun.elapsed().saturating_mul(limits::UPKEEP_PAUSE_PIECES);
            let (now, _) = self.writer.counts();
            // One of them was the piece itself.
            if now.saturating_sub(before) > 1 {
                connection::pause(pause.min(limits::UPKEEP_PAUSE_MAX));
            }
            before = now;
        }
    }

    /// Whether a thread of this process is at upkeep.
    pub(crate) fn is_in_upkeep(&self) -> bool {
        self.in_upkeep.load(Ordering::Relaxed) > 0
    }

    /// Settles a commit of this process that is still in doubt, for a new opening of the file.
    pub(crate) fn settle(&self) -> Result<()> {
        self.writer.settle_again()
    }

    /// What became of the last write that was answered [`Reason::CommitUnknown`].
    pub(crate) fn last_unknown_commit(&self) -> Option<CommitOutcome> {
        self.writer.last_unknown_commit()
    }

    fn author<'a>(&'a self, actor: &'a Actor) -> Author<'a> {
        Author {
            actor,
            clock: &self.clock,
            random: &*self.random,
            watch: &self.watch,
            purpose: Purpose::Ordinary,
            patient: true,
        }
    }

    /// `Closed` once the store was closed or has closed itself, `Misuse` in the child of a fork.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        self.watch.check()
    }

    /// As [`Storage::check_open`]; once in a second, also looks whether the file is still ours.
    #[inline]
    pub(crate) fn look_after(&self, now: Timestamp) -> Result<()> {
        self.watch.check()?;
        self.watch.look(self.clock.ticks(now))
    }
}

#[cfg(test)]
mod tests;
