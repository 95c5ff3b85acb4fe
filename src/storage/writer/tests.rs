//! One thread at a time, and what it is told.

mod doubt;
mod log;
mod together;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::params;

use super::super::files::Files;
use super::super::{connection, files, guard};
use super::*;
use crate::value::random::SystemRandom;
use crate::value::time::ManualClock;

struct Desk {
    writer: Writer,
    wall: ManualClock,
    clock: SteadyClock,
    watch: Watch,
    files: Files,
    _directory: tempfile::TempDir,
}

const TABLES: &str = "
    CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER);
    INSERT INTO change (kind) VALUES (0);
    CREATE TABLE store (id INTEGER PRIMARY KEY, last_group BLOB);
    INSERT INTO store (id) VALUES (1);
    CREATE TABLE note (line INTEGER NOT NULL)";

impl Desk {
    /// A writer of a table that refuses nothing, with the change counter of a real file.
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
        let file = FileKey { files: files.clone(), identity, store_id: [7; 16] };
        let mut writer = Writer::new(connection, Some(file), [7; 16]);
        let baton = writer.line.try_enter().unwrap();
        writer.line = Line::new(baton, waiting_max);
        let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let clock = SteadyClock::new(Some(Arc::new(wall.clone())));
        let watch = Watch::new(Some((files.clone(), identity)));
        Self { writer, wall, clock, watch, files, _directory: directory }
    }

    fn path(&self) -> &Path {
        &self.files.main
    }

    fn author(&self) -> Author<'_> {
        Author {
            actor: &Actor::Host,
            clock: &self.clock,
            random: &SystemRandom,
            watch: &self.watch,
            purpose: Purpose::Ordinary,
            patient: true,
        }
    }

    fn write<T>(&self, job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>) -> Result<T> {
        self.writer.write(self.author(), limits::WRITE_WAIT, job)
    }

    fn lines(&self) -> i64 {
        let count = "SELECT count(*) FROM note";
        self.writer
            .borrow(|one| one.query_row(count, [], |row| row.get(0)).map_err(fault))
            .unwrap()
    }

    /// Begins a write whose job ends only when so many wait behind it.
    fn lead_until(&self, waiting: usize) -> Result<usize> {
        self.write(|tx| {
            while self.writer.line.waiting() < waiting {
                thread::yield_now();
            }
            insert(tx).map(Settled::Commit)
        })
    }

    /// Waits until so many wait.
    fn until_waiting(&self, waiting: usize) {
        while self.writer.line.waiting() < waiting {
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
fn one_callers_panic_rolls_back_and_lets_go_of_the_writer() {
    let desk = Desk::new();
    let panics = AssertUnwindSafe(|| {
        desk.write::<()>(|tx| {
            insert(tx)?;
            panic!("in the middle of a write");
        })
    });
    assert!(catch_unwind(panics).is_err());
    assert!(!desk.writer.is_held_here());
    assert_eq!(desk.lines(), 0);
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
    assert_eq!(desk.lines(), 1);
}

#[test]
fn a_panic_in_a_write_that_would_not_wait_lets_go_of_the_writer() {
    let desk = Desk::new();
    let panics = AssertUnwindSafe(|| {
        desk.writer.try_write::<()>(desk.author(), |_| panic!("in the middle of a write"))
    });
    assert!(catch_unwind(panics).is_err());
    assert!(!desk.writer.is_held_here());
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
}

#[test]
fn an_error_or_nothing_to_do_rolls_back() {
    let desk = Desk::new();
    let error = desk.write::<()>(|tx| {
        insert(tx)?;
        Err(Error::taken("a test"))
    });
    assert_eq!(error.unwrap_err().reason(), Reason::Taken);
    let nothing = desk.write(|tx| Ok(Settled::Nothing(insert(tx)?)));
    assert_eq!((nothing.unwrap(), desk.lines()), (1, 0));
}

/// SQLite itself ends a transaction on some errors (a full disk, for one). A job that went on
/// after such an error would write outside of any transaction.
#[test]
fn nothing_is_written_after_the_transaction_was_ended_beneath_the_job() {
    let desk = Desk::new();
    let answer = desk.write(|tx| {
        insert(tx)?;
        tx.execute("ROLLBACK", [])?;
        let after = insert(tx);
        assert_eq!(after.unwrap_err().reason(), Reason::Io);
        Ok(Settled::Commit(()))
    });
    assert_eq!(answer.unwrap_err().reason(), Reason::Io);
    assert_eq!(desk.lines(), 0);
    desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap();
}

#[test]
fn a_write_inside_a_write_is_misuse_at_once() {
    let desk = Desk::new();
    desk.write(|_| {
        let waiting = Stopwatch::start();
        let inner = desk.write(|tx| insert(tx).map(Settled::Commit));
        assert_eq!(inner.unwrap_err().reason(), Reason::Misuse);
        assert!(waiting.elapsed() < limits::WRITE_WAIT);
        let tried = desk.writer.try_write(desk.author(), |tx| insert(tx).map(Settled::Commit));
        assert_eq!(tried.unwrap(), None);
        Ok(Settled::Commit(()))
    })
    .unwrap();
    assert_eq!(desk.lines(), 0);
}

#[test]
fn a_wait_for_another_thread_is_busy_and_says_how_long() {
    let desk = Desk::new();
    thread::scope(|scope| {
        let (inside, is_inside) = mpsc::channel();
        let (done, is_done) = mpsc::channel::<()>();
        let desk = &desk;
        let holder = scope.spawn(move || {
            desk.write(|_| {
                inside.send(()).unwrap();
                is_done.recv().unwrap();
                Ok(Settled::Commit(()))
            })
        });
        is_inside.recv().unwrap();
        let short = Duration::from_millis(10);
        let job = |tx: &WriteTx<'_>| insert(tx).map(Settled::Commit);
        let error = desk.writer.write(desk.author(), short, job).unwrap_err();
        assert_eq!(error.reason(), Reason::Busy);
        assert!(error.is_retryable() && error.to_string().contains("after waiting"), "{error}");
        assert_eq!(desk.writer.try_write(desk.author(), job).unwrap(), None);
        done.send(()).unwrap();
        holder.join().unwrap().unwrap();
    });
}

#[test]
fn a_watermark_without_its_change_row_is_refused() {
    let desk = Desk::new();
    let answer = desk.write(|tx| tx.ending_seq().map(Settled::Commit));
    assert_eq!(answer.unwrap_err().reason(), Reason::Misuse);
    desk.write(|tx| {
        let ending = tx.ending_seq()?;
        tx.execute("INSERT INTO change (kind) VALUES (0)", [])?;
        assert_eq!((tx.ending_seq()?, tx.head()?), (ending, ending));
        Ok(Settled::Commit(()))
    })
    .unwrap();
}

#[test]
fn a_closed_writer_says_so_and_closes_once() {
    let desk = Desk::new();
    desk.writer.close().unwrap();
    desk.writer.close().unwrap();
    let error = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
    assert_eq!(error.reason(), Reason::Closed);
}
