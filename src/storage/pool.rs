//! The reader connections of a file.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connection;
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

    pub(super) fn take(&self, wait: Duration) -> Result<Loan<'_>> {
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
            if self.returned.wait_for(&mut shelf, wait).timed_out() {
                return Err(
                    Error::new(Reason::Busy, "all read connections are in use").waited(wait)
                );
            }
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
        shelf.idle.clear();
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut shelf = self.shelf.lock();
        shelf.lent = shelf.lent.saturating_sub(1);
        // A connection still inside a transaction would pin an old snapshot for ever.
        if let Some(connection) = connection
            && connection.is_autocommit()
            && !shelf.closed
        {
            shelf.idle.push(connection);
        }
        drop(shelf);
        self.returned.notify_one();
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
