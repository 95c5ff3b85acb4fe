//! The reader connections of a file.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connection::{self, Stopwatch};
use super::fault;
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// How long a read other than verify waits for a free connection.
pub(super) const READ_WAIT: Duration = limits::WRITE_WAIT;

/// Opened as needed, up to a bound, and kept.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    shelf: Mutex<Shelf>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Shelf {
    idle: Vec<Connection>,
    lent: usize,
    closed: bool,
}

/// A connection on loan; it returns when dropped.
#[derive(Debug)]
pub(super) struct Loan<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, shelf: Mutex::default(), returned: Condvar::new() }
    }

    /// A connection that waits for the file, too, no longer than is left of `wait`.
    pub(super) fn take(&self, wait: Duration) -> Result<Loan<'_>> {
        let waiting = Stopwatch::start();
        let loan = self.take_any(waiting, wait)?;
        loan.busy_timeout(waiting.left_of(wait)).map_err(fault)?;
        Ok(loan)
    }

    fn take_any(&self, waiting: Stopwatch, wait: Duration) -> Result<Loan<'_>> {
        let mut shelf = self.shelf.lock();
        loop {
            if shelf.closed {
                return Err(Error::new(Reason::Closed, "the store is closed"));
            }
            if let Some(connection) = shelf.idle.pop() {
                shelf.lent += 1;
                return Ok(Loan { pool: self, connection: Some(connection) });
            }
            if shelf.lent < limits::READ_CONNECTIONS {
                break;
            }
            let left = waiting.left_of(wait);
            if left.is_zero() {
                let busy = Error::new(Reason::Busy, "all read connections are in use");
                return Err(busy.waited(waiting.elapsed()));
            }
            self.returned.wait_for(&mut shelf, left);
        }
        // Counted before it is opened, so that the bound holds while the lock is released.
        shelf.lent += 1;
        drop(shelf);
        let mut loan = Loan { pool: self, connection: None };
        loan.connection = Some(connection::for_reading(&self.path)?);
        Ok(loan)
    }

    pub(super) fn close(&self) {
        let mut shelf = self.shelf.lock();
        shelf.closed = true;
        let idle = std::mem::take(&mut shelf.idle);
        drop(shelf);
        self.returned.notify_all();
        drop(idle);
    }

    fn give_back(&self, connection: Option<Connection>) {
        // One inside a transaction or a statement would pin an old snapshot for ever.
        let reusable = connection.filter(|one| one.is_autocommit() && !one.is_busy());
        let mut shelf = self.shelf.lock();
        shelf.lent = shelf.lent.saturating_sub(1);
        // What is not kept is closed when the lock is released, as closing may take long.
        let surplus = match reusable {
            Some(connection) if !shelf.closed => {
                shelf.idle.push(connection);
                None
            }
            other => other,
        };
        drop(shelf);
        self.returned.notify_one();
        drop(surplus);
    }
}

impl Deref for Loan<'_> {
    type Target = Connection;

    #[expect(clippy::unreachable, reason = "take() fills it before it hands the loan out")]
    fn deref(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a loan holds its connection until it is dropped"),
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pool.give_back(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn pool() -> (tempfile::TempDir, Pool) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("auth.db");
        assert!(super::super::guard::create(&path).unwrap());
        let writer = connection::for_writing(&path).unwrap();
        connection::use_wal(&writer).unwrap();
        writer.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").unwrap();
        (directory, Pool::new(path))
    }

    fn idle(pool: &Pool) -> usize {
        pool.shelf.lock().idle.len()
    }

    #[test]
    fn no_more_are_lent_than_the_bound_and_the_next_is_busy() {
        let (_directory, pool) = pool();
        let loans: Vec<_> =
            (0..limits::READ_CONNECTIONS).map(|_| pool.take(Duration::ZERO).unwrap()).collect();
        let wait = Duration::from_millis(20);
        let error = pool.take(wait).unwrap_err();
        assert_eq!(error.reason(), Reason::Busy);
        assert!(error.is_retryable() && error.to_string().contains("after waiting"), "{error}");
        drop(loans);
        assert_eq!(idle(&pool), limits::READ_CONNECTIONS);
        drop(pool.take(Duration::ZERO).unwrap());
        assert_eq!(idle(&pool), limits::READ_CONNECTIONS);
    }

    #[test]
    fn one_that_waits_gets_the_next_that_returns() {
        let (_directory, pool) = pool();
        let mut loans: Vec<_> =
            (0..limits::READ_CONNECTIONS).map(|_| pool.take(Duration::ZERO).unwrap()).collect();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(READ_WAIT).map(drop));
            loans.pop();
            assert!(waiting.join().unwrap().is_ok());
        });
    }

    #[test]
    fn one_inside_a_statement_or_a_transaction_is_not_kept() {
        let (_directory, pool) = pool();
        let loan = pool.take(READ_WAIT).unwrap();
        let mut statement = loan.prepare("SELECT a FROM t").unwrap();
        let mut rows = statement.query([]).unwrap();
        assert!(rows.next().unwrap().is_some());
        std::mem::forget(rows);
        std::mem::forget(statement);
        assert!(loan.is_autocommit());
        drop(loan);
        assert_eq!(idle(&pool), 0);

        let loan = pool.take(READ_WAIT).unwrap();
        loan.execute_batch("BEGIN").unwrap();
        drop(loan);
        assert_eq!((idle(&pool), pool.shelf.lock().lent), (0, 0));
    }

    #[test]
    fn a_wait_holds_for_the_file_as_well() {
        let (_directory, pool) = pool();
        drop(pool.take(limits::LOOK_WAIT).unwrap());
        let loan = pool.take(READ_WAIT).unwrap();
        let timeout = connection::pragma_value(&loan, "busy_timeout").unwrap();
        assert!((4_000..=5_000).contains(&timeout), "{timeout}");
    }

    #[test]
    fn closing_wakes_whoever_waits_and_keeps_nothing() {
        let (_directory, pool) = pool();
        let loans: Vec<_> =
            (0..limits::READ_CONNECTIONS).map(|_| pool.take(Duration::ZERO).unwrap()).collect();
        let (begun, begins) = mpsc::channel();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                begun.send(()).unwrap();
                let waiting = Stopwatch::start();
                let reason = pool.take(READ_WAIT).unwrap_err().reason();
                (reason, waiting.elapsed())
            });
            begins.recv().unwrap();
            pool.close();
            let (reason, waited) = waiting.join().unwrap();
            assert_eq!(reason, Reason::Closed);
            assert!(waited < READ_WAIT, "{waited:?}");
        });
        drop(loans);
        assert_eq!(idle(&pool), 0);
    }
}
