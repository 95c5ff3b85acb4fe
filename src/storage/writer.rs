//! The one writer of this process.
//!
//! Every write begins IMMEDIATE, so that nothing up to its commit can find the file busy. A write
//! that waits for another thread or process gives up after [`limits::WRITE_WAIT`] in all with
//! `Busy` and the time it waited; a write started inside a write, which could only wait for
//! itself, is `Misuse`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, TransactionBehavior};

use super::clock::SteadyClock;
use super::connection::Stopwatch;
use super::fault;
use super::transaction::{Settled, WriteTx};
use crate::error::{Error, Reason, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::RandomSource;

#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once closed.
    connection: Mutex<Option<Connection>>,
    /// The thread that holds the connection, to tell waiting for others from waiting for oneself.
    holder: Mutex<Option<ThreadId>>,
    /// A commit failed and nobody knows whether it will hold.
    in_doubt: AtomicBool,
}

/// The lock, with the name of its holder kept beside it.
struct Hold<'w> {
    writer: &'w Writer,
    connection: MutexGuard<'w, Option<Connection>>,
}

/// What a transaction needs besides its job.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) actor: &'a Actor,
    pub(super) clock: &'a SteadyClock,
    pub(super) random: &'a dyn RandomSource,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(Some(connection)),
            holder: Mutex::new(None),
            in_doubt: AtomicBool::new(false),
        }
    }

    /// Waits for other threads and processes for no longer than `wait`.
    pub(super) fn write<T>(
        &self,
        author: Author<'_>,
        wait: Duration,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        let waiting = Stopwatch::start();
        let mut hold = self.hold(wait)?;
        let connection = hold.connection()?;
        connection.busy_timeout(waiting.left_of(wait)).map_err(fault)?;
        self.transact(connection, author, waiting, job)
    }

    /// Gives up at once if anyone else writes.
    pub(super) fn try_write<T>(
        &self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<Option<T>> {
        let Some(guard) = self.connection.try_lock() else {
            return Ok(None);
        };
        let mut hold = self.held(guard);
        let connection = hold.connection()?;
        connection.busy_timeout(Duration::ZERO).map_err(fault)?;
        match self.transact(connection, author, Stopwatch::start(), job) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.reason() == Reason::Busy => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lends the connection for a read (in-memory stores have no other).
    pub(super) fn borrow<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut hold = self.hold(limits::WRITE_WAIT)?;
        job(hold.connection()?)
    }

    /// Whether the calling thread is inside a write.
    pub(super) fn is_held_here(&self) -> bool {
        *self.holder.lock() == Some(thread::current().id())
    }

    /// Closes the connection; does nothing the second time.
    pub(super) fn close(&self) -> Result<()> {
        let mut hold = self.hold(limits::WRITE_WAIT)?;
        match hold.connection.take() {
            Some(connection) => connection.close().map_err(|(_, error)| fault(error)),
            None => Ok(()),
        }
    }

    fn transact<T>(
        &self,
        connection: &mut Connection,
        author: Author<'_>,
        waiting: Stopwatch,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        if self.in_doubt.load(Ordering::Acquire) {
            return Err(doubt());
        }
        // A rollback that failed once would make every later write fail as well.
        if !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").map_err(fault)?;
        }
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| {
                let error = fault(error);
                if error.is_retryable() { error.waited(waiting.elapsed()) } else { error }
            })?;
        // Read only now: the time in the file must not be older than the wait for it.
        let tx = WriteTx::new(&transaction, author.clock.now(), author.actor, author.random);
        match job(&tx)? {
            Settled::Nothing(value) => {
                transaction.rollback().map_err(fault)?;
                Ok(value)
            }
            Settled::Commit(value) => {
                tx.check_still_open()?;
                tx.check_ending()?;
                transaction.commit().map_err(|error| self.after_failed_commit(error))?;
                Ok(value)
            }
        }
    }

    /// An input or output error in a commit may come back after a power loss; anything else did
    /// not happen.
    fn after_failed_commit(&self, error: rusqlite::Error) -> Error {
        let error = fault(error);
        if error.reason() == Reason::Io {
            self.in_doubt.store(true, Ordering::Release);
            return doubt();
        }
        error
    }

    fn hold(&self, wait: Duration) -> Result<Hold<'_>> {
        if let Some(guard) = self.connection.try_lock() {
            return Ok(self.held(guard));
        }
        if self.is_held_here() {
            return Err(Error::misuse("a call to the store was made inside a write of its own"));
        }
        let waiting = Stopwatch::start();
        match self.connection.try_lock_for(wait) {
            Some(guard) => Ok(self.held(guard)),
            None => {
                let busy = Error::new(Reason::Busy, "another thread is writing");
                Err(busy.waited(waiting.elapsed()))
            }
        }
    }

    fn held<'w>(&'w self, connection: MutexGuard<'w, Option<Connection>>) -> Hold<'w> {
        *self.holder.lock() = Some(thread::current().id());
        Hold { writer: self, connection }
    }
}

impl Hold<'_> {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| Error::new(Reason::Closed, "the store is closed"))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        *self.writer.holder.lock() = None;
    }
}

fn doubt() -> Error {
    Error::new(
        Reason::CommitUnknown,
        "a commit failed with an input or output error and may or may not hold",
    )
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use rusqlite::params;

    use super::*;
    use crate::value::random::SystemRandom;

    struct Desk {
        writer: Writer,
        clock: SteadyClock,
    }

    impl Desk {
        /// A writer of a table that refuses nothing, with the change counter of a real file.
        fn new() -> Self {
            let connection = Connection::open_in_memory().unwrap();
            connection
                .execute_batch(
                    "CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER);
                     INSERT INTO change (kind) VALUES (0);
                     CREATE TABLE note (line INTEGER NOT NULL)",
                )
                .unwrap();
            let clock = SteadyClock::new(None);
            Self { writer: Writer::new(connection), clock }
        }

        fn author(&self) -> Author<'_> {
            Author { actor: &Actor::Host, clock: &self.clock, random: &SystemRandom }
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
    }

    fn insert(tx: &WriteTx<'_>) -> Result<usize> {
        tx.execute("INSERT INTO note (line) VALUES (?1)", params![1])
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
    fn a_panic_in_a_write_that_would_not_wait_leaves_no_trace_in_the_next() {
        let desk = Desk::new();
        let panics = AssertUnwindSafe(|| {
            desk.writer.try_write::<()>(desk.author(), |_| panic!("in the middle of a write"))
        });
        assert!(catch_unwind(panics).is_err());
        let timeout = desk
            .write(|tx| {
                tx.exactly_one("PRAGMA busy_timeout", [], |row| row.get(0)).map(Settled::Commit)
            })
            .unwrap();
        assert!((4_000..=5_000_i64).contains(&timeout), "{timeout}");
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
            assert!(
                error.is_retryable() && error.to_string().contains("after waiting"),
                "{error}"
            );
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

    #[test]
    fn a_commit_in_doubt_stops_every_later_write() {
        let desk = Desk::new();
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        let error = desk.writer.after_failed_commit(rusqlite::Error::SqliteFailure(code, None));
        assert_eq!(error.reason(), Reason::CommitUnknown);
        let next = desk.write(|tx| insert(tx).map(Settled::Commit)).unwrap_err();
        assert_eq!(next.reason(), Reason::CommitUnknown);
    }
}
