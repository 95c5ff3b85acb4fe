//! The SQLite file of a store: connections, transactions, opening, migrations. Nothing here knows
//! a record type.
//!
//! **Access.** All SQL runs through [`Storage::read`], [`Storage::select_one`], [`Storage::write`]
//! and their variants. No module outside `storage` names a `Connection`.
//!
//! **Locking.** SQLite's POSIX locks belong to the process: closing any descriptor of the file
//! drops them all. So no code opens, closes or copies the file, its `-wal` or its `-shm` while a
//! connection is open; the file is examined by path, with `stat` and `chmod` only.
//!
//! **Failure.** A write returns `Ok` only once it is committed. If a commit fails with an input or
//! output error, its outcome is resolved before the call returns; otherwise the call fails with
//! [`ErrorKind::CommitUnknown`].
#![allow(clippy::disallowed_types, reason = "the transaction types are made of connections here")]

mod backup;
mod change_log;
mod clock;
mod connection;
mod fault;
mod files;
mod fork;
mod guard;
mod header;
mod key_file;
mod migrate;
mod open;
mod pool;
mod reading;
mod reserve;
mod restore;
mod sql;
mod transaction;
mod upkeep;
mod wal_index;
mod watch;
mod whereabouts;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use backup::Manifest;
pub use backup::{BackupProgress, BackupReport};
pub(crate) use change_log::{Bookmark, Change, Changes, trimmable};
pub(crate) use fault::fault;
pub(crate) use files::{Files, Identity};
pub(crate) use fork::{OpenMark, ThisProcess};
pub use guard::OpenWarning;
pub(crate) use guard::{FilePlace, Tolerances};
use migrate::Recorder;
pub(crate) use migrate::{FileEvent, SCHEMA_VERSION, sqlite_version};
pub(crate) use restore::{Before, Replaced, RestoreRequest, adopt, restore};
pub(crate) use rusqlite::{Row, params};
pub(crate) use transaction::{Finished, Purpose, ReadTx, WriteTx};
pub(crate) use wal_index::{Header, Reading, WalIndex};

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::{Draws, RandomSource, random_bytes};
use crate::value::time::{Clock, Timestamp};
use clock::SteadyClock;
use pool::{ReadPool, Reader, Readers};
use reserve::Reserve;
use upkeep::Upkeep;
pub use watch::FileState;
use watch::Watch;
pub(crate) use whereabouts::Whereabouts;
pub use writer::CommitOutcome;
pub(crate) use writer::not_begun;
use writer::{Author, FileKey, Writer};

/// The arguments of [`Storage::open`].
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(crate) whereabouts: Whereabouts,
    pub(crate) tolerances: Tolerances,
    pub(crate) for_tests: bool,
    /// Size of the disk reserve for revocations; 0 for no reserve.
    pub(crate) reserve_bytes: u64,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) open_mark: OpenMark,
}

/// One open file, or one in-memory database.
#[derive(Debug)]
pub(crate) struct Storage {
    clock: SteadyClock,
    draws: Draws,
    place: Option<FilePlace>,
    writer: Writer,
    readers: Readers,
    watch: Watch,
    reserve: Option<Reserve>,
    /// `None` once the writer is closed.
    open_mark: Mutex<Option<OpenMark>>,
    upkeep: Upkeep,
}

impl Storage {
    /// Opens the file, or creates it if it does not exist. `record` writes the creation or
    /// migration of the file into the audit log.
    pub(crate) fn open(
        request: OpenRequest,
        record: &dyn Fn(&WriteTx<'_>, FileEvent) -> Result<()>,
    ) -> Result<Self> {
        let clock = SteadyClock::new(request.clock);
        let seed = migrate::Seed::draw(&*request.random, request.for_tests)?;
        let first_mark = random_bytes(&*request.random)?;
        let draws = Draws::new(request.random)?;
        let recorder = Recorder { moment: clock.moment(), draws: &draws, write: record };
        let opened = open::open(&request.whereabouts, request.tolerances, &seed, recorder)?;
        connection::configure_writer(&opened.writer)?;
        let (path, mark) = (opened.place.files.main.clone(), request.open_mark.clone());
        let readers = ReadPool::new(path, mark).map_err(|error| {
            fault::explained(opened.place.files.directory(), open::of_the_file(error))
        })?;
        let watch = Watch::new(Some((opened.place.files.clone(), opened.place.identity)))?;
        let file = FileKey {
            files: opened.place.files.clone(),
            identity: opened.place.identity,
            store_id: opened.store_id,
            process: ThisProcess::get(),
        };
        let reserve = (request.reserve_bytes > 0)
            .then(|| Reserve::new(&opened.place.files, request.reserve_bytes));
        let mut storage = Self {
            clock,
            draws,
            writer: Writer::new(opened.writer, Some(file), Some(opened.schema), first_mark),
            place: Some(opened.place),
            readers: Readers::Pool(readers),
            watch,
            reserve,
            open_mark: Mutex::new(Some(request.open_mark)),
            upkeep: Upkeep::default(),
        };
        // Before the first write: the mark of that write would replace the one that proves the
        // outcome.
        storage.resolve_doubt()?;
        storage.fill_reserve();
        if storage.reserve.as_ref().is_some_and(Reserve::is_foreign)
            && let Some(place) = &mut storage.place
        {
            place.warnings.push(OpenWarning::ForeignReserve);
        }
        Ok(storage)
    }

    /// Opens a file to be read alone: a copy that another program follows, or the file of a store.
    /// No connection is kept, so that nothing of the file is locked between two reads.
    pub(crate) fn open_read_only(
        path: &Path,
        clock: Option<Arc<dyn Clock>>,
        random: Arc<dyn RandomSource>,
    ) -> Result<Self> {
        let (open_mark, files) = (OpenMark::new()?, Files::resolve(path)?);
        open::check_readable(&files)?;
        Ok(Self {
            clock: SteadyClock::new(clock),
            draws: Draws::new(random)?,
            place: None,
            writer: Writer::closed()?,
            readers: Readers::EachTime(files),
            watch: Watch::new(None)?,
            reserve: None,
            open_mark: Mutex::new(Some(open_mark)),
            upkeep: Upkeep::default(),
        })
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
        let draws = Draws::new(random)?;
        let recorder = Recorder { moment: clock.moment(), draws: &draws, write: record };
        migrate::create(&connection, &seed, None, recorder)?;
        Ok(Self {
            clock,
            draws,
            place: None,
            writer: Writer::new(connection, None, None, first_mark),
            readers: Readers::Writer,
            watch: Watch::new(None)?,
            reserve: None,
            open_mark: Mutex::new(Some(OpenMark::new()?)),
            upkeep: Upkeep::default(),
        })
    }

    /// The change signal of the file; `None` if it has no shared wal-index: nothing may be cached.
    ///
    /// The header of a WAL that was never written has no salts and could recur, so this commits
    /// once.
    pub(crate) fn wal_index(&self) -> Result<Option<WalIndex>> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let Some(open_mark) = self.open_mark.lock().clone() else {
            return Ok(None);
        };
        let index = WalIndex::open(&place.files.main, open_mark);
        let explain = |error| fault::explained(place.files.directory(), open::of_the_file(error));
        let Some(index) = index.map_err(explain)? else {
            return Ok(None);
        };
        if index.read().is_some_and(|reading| reading.stable().is_none()) {
            // This commits something: every commit writes its mark.
            match self.write(Purpose::Ordinary, &Actor::Host, |_| Ok(Finished::Commit(()))) {
                // On a full disk the store still opens for reading, without a cache.
                Err(error) if error.kind() == ErrorKind::Full => return Ok(None),
                written => written.map_err(open::of_the_file)?,
            }
        }
        Ok(Some(index))
    }

    /// The time of the store: the wall clock, held for up to a minute if that was set back.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The wall clock as it is, even if it went back.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.moment().wall
    }

    pub(crate) fn random(&self) -> &dyn RandomSource {
        self.draws.source()
    }

    pub(crate) fn place(&self) -> Option<&FilePlace> {
        self.place.as_ref()
    }

    /// Runs `job` on one snapshot of the file, through a read-only transaction.
    pub(crate) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.check_open()?;
        let read = |one: &rusqlite::Connection| reading::read(one, self.clock.moment(), job);
        match self.readers.take(Reader::Other, pool::READ_WAIT) {
            Some(taken) => taken.and_then(|connection| read(&connection)),
            None => self.writer.borrow(read),
        }
        .map_err(|error| self.located(error))
    }

    /// As [`Storage::read`], during the opening of a store: an error of the file names its cause.
    pub(crate) fn read_at_opening<T>(
        &self,
        job: impl FnOnce(&ReadTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.read(job).map_err(|error| match &self.place {
            Some(place) => fault::explained(place.files.directory(), open::of_the_file(error)),
            None => error,
        })
    }

    /// Runs one SELECT of a verify on its own snapshot, without BEGIN and COMMIT around it. Waits
    /// at most `wait` for a connection and for the file. `map` returns `min_reader` of the store as
    /// well.
    pub(crate) fn select_one<T>(
        &self,
        wait: Duration,
        sql: &'static str,
        params: impl rusqlite::Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<(T, i64)>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        match self.readers.take(Reader::Verify, wait) {
            Some(taken) => {
                taken.and_then(|connection| reading::select_one(&connection, sql, params, map))
            }
            None => {
                self.writer.borrow(|connection| reading::select_one(connection, sql, params, map))
            }
        }
        .map_err(|error| self.located(error))
    }

    /// Runs `job` in one write transaction. If this returns `Ok`, all of it is committed; if it
    /// returns `Err`, none of it is (except with [`ErrorKind::CommitUnknown`]).
    pub(crate) fn write<T>(
        &self,
        purpose: Purpose,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        self.check_open()?;
        if purpose == Purpose::Ordinary {
            self.check_reserve()?;
        }
        let author = Author { purpose, ..self.author(actor) };
        let written = self.writer.write(author, limits::WRITE_WAIT, job);
        written.map_err(|error| self.located(error))
    }

    /// As [`Storage::write`], but returns `None` at once if another thread or process is writing.
    pub(crate) fn try_write<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        self.check_reserve()?;
        let written = self.writer.try_write(self.author(actor), job);
        written.map_err(|error| self.located(error))
    }

    /// As [`Storage::try_write`], without a flush of the disk: a power loss may undo the write.
    /// Returns `None` also if the write would need a flush.
    pub(crate) fn try_write_unsynced<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        self.writer.try_write_unsynced(self.author(actor), job)
    }

    /// How the open file is being watched, or why the store is closed.
    pub(crate) fn file_state(&self) -> FileState {
        self.watch.file_state()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.watch.is_closed()
    }

    /// Closes all connections; every later call fails with [`ErrorKind::Closed`]. Reads that have
    /// begun finish.
    ///
    /// Fails with `Busy` if another thread does not release the writer in time (call it again),
    /// and with `Misuse` inside a write of the same store or in the child of a fork, where nothing
    /// is closed.
    pub(crate) fn close(&self) -> Result<()> {
        self.watch.check_process()?;
        if self.writer.is_held_here() {
            return Err(Error::misuse("Store::close was called inside a write of the same store"));
        }
        self.watch.close();
        if let Readers::Pool(pool) = &self.readers {
            pool.close();
        }
        self.writer.close().map_err(|error| self.located(error))?;
        drop(self.open_mark.lock().take());
        Ok(())
    }

    /// Numbers of writes and of commits since the opening; a group commit has several writes.
    pub(crate) fn write_counts(&self) -> (u64, u64) {
        self.writer.counts()
    }

    /// Length of the WAL on disk in bytes; 0 in memory.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.writer.log_bytes()
    }

    /// Checkpoints the WAL, so that its room is used again. Returns whether a retry may succeed.
    pub(crate) fn fold_log(&self) -> bool {
        self.writer.fold_log()
    }

    /// Cuts the WAL to zero bytes, so that nothing that was deleted is left in it. Returns whether
    /// it did; waits up to a second for readers.
    pub(crate) fn empty_log(&self) -> bool {
        self.writer.empty_log()
    }

    /// Deletes the disk reserve; returns whether it existed.
    pub(crate) fn give_up_reserve(&self) -> bool {
        self.reserve.as_ref().is_some_and(|reserve| reserve.give_up(self.wall()))
    }

    fn check_reserve(&self) -> Result<()> {
        let Some(reserve) = &self.reserve else { return Ok(()) };
        reserve.check_back(self.wall(), self.random()).map_err(|error| self.located(error))
    }

    /// Writes the disk reserve again, if there is room.
    pub(crate) fn fill_reserve(&self) {
        if let Some(reserve) = &self.reserve {
            // Best effort: no other operation depends on the reserve, and the disk may be full.
            let _ = reserve.fill(self.random());
        }
    }

    /// Writes a verified backup to `target`.
    pub(crate) fn backup(
        &self,
        target: &Path,
        progress: &mut dyn FnMut(BackupProgress),
    ) -> Result<BackupReport> {
        // Its connections stay open if the store is closed meanwhile.
        let _open_mark = self.open_mark.lock().clone();
        self.check_open()?;
        let Some(place) = &self.place else {
            return Err(Error::misuse("a store in memory has no file to back up"));
        };
        let (own, target) = (&place.files, Files::resolve(target)?.main);
        backup::check_name(own, &target)?;
        let check = |copy: &rusqlite::Connection| migrate::check_schema(copy).map(drop);
        let written = backup::write_verified(&own.main, &target, self.now(), &check, progress);
        written.map_err(|error| error.at(&target))
    }

    /// Calls `piece` until it returns `false`; the writes of other threads come first.
    pub(crate) fn in_pieces(&self, piece: impl FnMut() -> Result<bool>) -> Result<()> {
        self.upkeep.in_pieces(|| self.writer.counts().0, piece)
    }

    /// Whether a thread of this process is inside [`Storage::in_pieces`].
    pub(crate) fn is_in_upkeep(&self) -> bool {
        self.upkeep.is_running()
    }

    /// Resolves a commit of this process that is still in doubt, at each opening of the file.
    pub(crate) fn resolve_doubt(&self) -> Result<()> {
        self.writer.resolve_doubt().map_err(|error| self.located(error))
    }

    /// The outcome of the last write that failed with [`ErrorKind::CommitUnknown`].
    pub(crate) fn last_unknown_commit(&self) -> Option<CommitOutcome> {
        self.writer.last_unknown_commit()
    }

    fn author<'a>(&'a self, actor: &'a Actor) -> Author<'a> {
        Author {
            actor,
            clock: &self.clock,
            draws: &self.draws,
            watch: &self.watch,
            purpose: Purpose::Ordinary,
            patient: true,
        }
    }

    /// Fails with `Closed` once the store was closed or has closed itself, with `Misuse` in the
    /// child of a fork.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        self.watch.check().map_err(|error| self.located(error))
    }

    /// As [`Storage::check_open`]; once a second it also checks that the file at the path is still
    /// the open one and that its locks are held.
    #[inline]
    pub(crate) fn check_file_if_due(&self, now: Timestamp) -> Result<()> {
        self.check_open()?;
        let checked = self.watch.check_if_due(self.clock.ticks(now));
        checked.map_err(|error| self.located(error))
    }

    /// As [`Storage::check_file_if_due`], but checks the file now.
    pub(crate) fn check_file(&self) -> Result<()> {
        self.watch.check_now().map_err(|error| self.located(error))
    }

    /// Adds the path of the file to an error that concerns the file. If the file was replaced or
    /// its locks were lost, that is the error: a descriptor that was closed behind SQLite's back
    /// looks like a damaged file.
    #[cold]
    pub(crate) fn located(&self, error: Error) -> Error {
        use ErrorKind as Kind;
        let error = match error.kind() {
            // Its advice depends on whether the write may have been applied.
            Kind::CommitUnknown => error,
            kind if kind.concerns_file() => self.watch.cause().unwrap_or(error),
            _ => error,
        };
        match &self.place {
            Some(place) if error.kind().concerns_file() => error.at(&place.files.main),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests;
