//! Writes of one thread at a time, and the errors that they return.

mod doubt;
mod log;
mod together;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::params;

use super::super::files::Files;
use super::super::fork::ThisProcess;
use super::super::{connection, files, guard};
use super::*;
use crate::value::random::SystemRandom;
use crate::value::time::{Clock, ManualClock};

struct Fixture {
    writer: Writer,
    wall: ManualClock,
    clock: SteadyClock,
    watch: Watch,
    draws: Draws,
    files: Files,
    _directory: tempfile::TempDir,
}

const TABLES: &str = "
    CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER);
    INSERT INTO change (kind) VALUES (0);
    CREATE TABLE store (id INTEGER PRIMARY KEY, last_group BLOB);
    INSERT INTO store (id) VALUES (1);
    CREATE TABLE note (line INTEGER NOT NULL)";

impl Writer {
    /// Sets what SQLite calls for each of its instructions on the connection of the writer.
    pub(in crate::storage) fn at_each_step<F>(&self, call: Option<F>)
    where
        F: FnMut() -> bool + Send + 'static,
    {
        let mut baton = self.queue.try_enter().unwrap();
        baton.connection.progress_handler(1, call).unwrap();
        self.queue.hand_on(baton);
    }
}

impl Fixture {
    /// A writer on a file with one table without rules, and with the change counter of a real
    /// file.
    fn new() -> Self {
        Self::with(limits::WRITES_WAITING_MAX)
    }

    fn with(waiting_max: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().canonicalize().unwrap().join("auth.db"));
        assert!(guard::create(&files.main).unwrap());
        let connection = connection::for_writer(&files.main).unwrap();
        connection::use_wal(&connection).unwrap();
        connection.execute_batch(TABLES).unwrap();
        let identity = files::identity(&files.main).unwrap();
        let process = ThisProcess::get();
        let file = FileKey { files: files.clone(), identity, store_id: [7; 16], process };
        let mut writer = Writer::new(connection, Some(file), None, [7; 16]);
        let baton = writer.queue.try_enter().unwrap();
        writer.queue = WriteQueue::new(baton, waiting_max);
        let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let clock = SteadyClock::new(Some(Arc::new(wall.clone())));
        let watch = Watch::new(Some((files.clone(), identity))).unwrap();
        let draws = Draws::new(Arc::new(SystemRandom)).unwrap();
        Self { writer, wall, clock, watch, draws, files, _directory: directory }
    }

    fn path(&self) -> &Path {
        &self.files.main
    }

    fn author(&self) -> Author<'_> {
        Author {
            actor: &Actor::Host,
            clock: &self.clock,
            draws: &self.draws,
            watch: &self.watch,
            purpose: Purpose::Ordinary,
            patient: true,
        }
    }

    fn write<T>(&self, job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>) -> Result<T> {
        self.writer.write(self.author(), limits::WRITE_WAIT, job)
    }

    fn lines(&self) -> i64 {
        let count = "SELECT count(*) FROM note";
        self.writer
            .borrow(|one| one.query_row(count, [], |row| row.get(0)).map_err(fault))
            .unwrap()
    }

    /// Writes, with a job that returns only once so many threads wait behind it.
    fn lead_until(&self, waiting: usize) -> Result<usize> {
        self.write(|tx| {
            while self.writer.queue.waiting() < waiting {
                thread::yield_now();
            }
            insert(tx).map(Finished::Commit)
        })
    }

    /// Returns once so many threads wait.
    fn until_waiting(&self, waiting: usize) {
        while self.writer.queue.waiting() < waiting {
            thread::yield_now();
        }
    }
}

fn insert(tx: &WriteTx<'_>) -> Result<usize> {
    insert_line(tx, 1)
}

fn insert_line(tx: &WriteTx<'_>, line: i64) -> Result<usize> {
    tx.execute("INSERT INTO note (line) VALUES (?1)", params![line])
}

fn insert_many(tx: &WriteTx<'_>) -> Result<usize> {
    tx.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO note (line) SELECT 1000000 FROM n",
        [],
    )
}

#[test]
fn a_panic_in_a_job_rolls_back_and_releases_the_writer() {
    let fixture = Fixture::new();
    let panics = AssertUnwindSafe(|| {
        fixture.write::<()>(|tx| {
            insert(tx)?;
            panic!("in the middle of a write");
        })
    });
    assert!(catch_unwind(panics).is_err());
    assert!(!fixture.writer.is_held_here());
    assert_eq!(fixture.lines(), 0);
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    assert_eq!(fixture.lines(), 1);
}

#[test]
fn a_panic_in_a_write_without_wait_releases_the_writer() {
    let fixture = Fixture::new();
    let panics = AssertUnwindSafe(|| {
        fixture.writer.try_write::<()>(fixture.author(), |_| panic!("in the middle of a write"))
    });
    assert!(catch_unwind(panics).is_err());
    assert!(!fixture.writer.is_held_here());
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
}

/// Makes SQLite refuse one kind of statement.
fn deny(baton: &mut Baton, denied: fn(&AuthAction<'_>) -> bool) {
    let hook = move |context: AuthContext<'_>| {
        if denied(&context.action) { Authorization::Deny } else { Authorization::Allow }
    };
    baton.connection.authorizer(Some(hook)).unwrap();
}

/// Only a file that is locked is waited for.
#[test]
fn a_begin_that_fails_without_a_lock_is_not_tried_again() {
    let fixture = Fixture::new();
    let mut baton = fixture.writer.queue.try_enter().unwrap();
    deny(&mut baton, |action| matches!(action, AuthAction::Transaction { .. }));
    let waiting = Stopwatch::start();
    let refused = baton.begin(waiting, limits::WRITE_WAIT).unwrap_err();
    assert_ne!(refused.kind(), ErrorKind::Busy);
    assert!(waiting.elapsed() < limits::WRITE_WAIT);
    fixture.writer.queue.hand_on(baton);
}

/// Its writes could not be rolled back alone.
#[test]
fn a_member_without_a_savepoint_does_not_run_its_job() {
    let fixture = Fixture::new();
    let mut baton = fixture.writer.queue.try_enter().unwrap();
    deny(&mut baton, |action| matches!(action, AuthAction::Savepoint { .. }));
    let begun = fixture.writer.begin(baton, fixture.author(), Stopwatch::start(), Duration::ZERO);
    let mut group = begun.unwrap();
    let commit = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
    assert!(group.run(fixture.author(), commit).unwrap().is_ok());
    let second = group.run::<()>(fixture.author(), |_| panic!("its job ran"));
    assert!(second.is_ok_and(|answer| answer.is_err()));
    assert!(!group.may_grow());
}

/// The connection still has the file open, which no path leads to any more.
#[test]
fn a_write_without_a_flush_into_a_file_that_was_moved_away_is_refused() {
    let fixture = Fixture::new();
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
    let unsynced = || {
        let job = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
        fixture.writer.try_write_unsynced(fixture.author(), job)
    };
    assert_eq!(unsynced().unwrap(), Some(1));
    std::fs::rename(fixture.path(), fixture.path().with_extension("moved")).unwrap();
    assert_eq!(unsynced().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(fixture.lines(), 2);
}

#[test]
fn an_error_or_nothing_to_do_rolls_back() {
    let fixture = Fixture::new();
    let error = fixture.write::<()>(|tx| {
        insert(tx)?;
        Err(Error::taken("a test"))
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Taken);
    let nothing = fixture.write(|tx| Ok(Finished::Nothing(insert(tx)?)));
    assert_eq!((nothing.unwrap(), fixture.lines()), (1, 0));
}

/// SQLite rolls a transaction back by itself after some errors (a full disk, for one). A job that
/// went on after such an error would write outside any transaction.
#[test]
fn nothing_is_written_after_sqlite_has_rolled_the_transaction_back() {
    let fixture = Fixture::new();
    let answer = fixture.write(|tx| {
        insert(tx)?;
        tx.execute("ROLLBACK", [])?;
        let after = insert(tx);
        assert_eq!(after.unwrap_err().kind(), ErrorKind::Io);
        Ok(Finished::Commit(()))
    });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(fixture.lines(), 0);
    fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap();
}

#[test]
fn a_write_inside_a_write_is_misuse_at_once() {
    let fixture = Fixture::new();
    fixture
        .write(|_| {
            let waiting = Stopwatch::start();
            let inner = fixture.write(|tx| insert(tx).map(Finished::Commit));
            assert_eq!(inner.unwrap_err().kind(), ErrorKind::Misuse);
            assert!(waiting.elapsed() < limits::WRITE_WAIT);
            let tried =
                fixture.writer.try_write(fixture.author(), |tx| insert(tx).map(Finished::Commit));
            assert_eq!(tried.unwrap(), None);
            Ok(Finished::Commit(()))
        })
        .unwrap();
    assert_eq!(fixture.lines(), 0);
}

#[test]
fn a_wait_for_another_thread_is_busy_and_says_how_long() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        let (inside, is_inside) = mpsc::channel();
        let (done, is_done) = mpsc::channel::<()>();
        let fixture = &fixture;
        let holder = scope.spawn(move || {
            fixture.write(|_| {
                inside.send(()).unwrap();
                is_done.recv().unwrap();
                Ok(Finished::Commit(()))
            })
        });
        is_inside.recv().unwrap();
        let short = Duration::from_millis(10);
        let job = |tx: &WriteTx<'_>| insert(tx).map(Finished::Commit);
        let error = fixture.writer.write(fixture.author(), short, job).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.is_retryable() && error.to_string().contains("after waiting"), "{error}");
        assert_eq!(fixture.writer.try_write(fixture.author(), job).unwrap(), None);
        done.send(()).unwrap();
        holder.join().unwrap().unwrap();
    });
}

#[test]
fn a_watermark_without_its_change_row_is_refused() {
    let fixture = Fixture::new();
    let answer = fixture.write(|tx| tx.revoking_seq().map(Finished::Commit));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Misuse);
    fixture
        .write(|tx| {
            let ending = tx.revoking_seq()?;
            tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
            assert_eq!((tx.revoking_seq()?, tx.head()?), (ending, ending));
            Ok(Finished::Commit(()))
        })
        .unwrap();
}

#[test]
fn a_closed_writer_says_so_and_closes_once() {
    let fixture = Fixture::new();
    fixture.writer.close().unwrap();
    fixture.writer.close().unwrap();
    let error = fixture.write(|tx| insert(tx).map(Finished::Commit)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
