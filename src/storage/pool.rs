//! The pool of read connections of a file.
//!
//! A verify must not wait for a long list. So every read has a class, [`Reader`]: all other reads
//! together have at most half of the connections that could be opened, and never the last one, and
//! each class waits on a condition variable of its own.
//!
//! A thread that cannot open a connection (the program has used up its descriptors) waits for one
//! that is open.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;

use super::connection::{self, Stopwatch};
use super::files::Files;
use super::fork::OpenMark;
use super::{fault, guard};
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// How long a read waits for a free connection; verify has its own, shorter wait.
pub(super) const READ_WAIT: Duration = limits::WRITE_WAIT;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A verify: one row by its key.
    Verify,
    /// Any other read.
    Other,
}

/// The connections of a store that read.
#[derive(Debug)]
pub(super) enum Readers {
    Pool(ReadPool),
    /// That of the writer, in memory.
    #[cfg_attr(
        not(feature = "test-util"),
        expect(dead_code, reason = "a store without a file is for tests")
    )]
    Writer,
    /// One for each read, closed after it, on a file that this process never writes.
    EachTime(Files),
}

impl Readers {
    /// A connection for one read; `None` if it is that of the writer.
    pub(super) fn take(&self, reader: Reader, wait: Duration) -> Option<Result<Taken<'_>>> {
        match self {
            Self::Pool(pool) => Some(pool.take(reader, wait).map(Taken::Lent)),
            Self::EachTime(files) => {
                let opened = guard::check_beside(files)
                    .and_then(|()| connection::read_only(&files.main, wait));
                Some(opened.map(Taken::Own))
            }
            Self::Writer => None,
        }
    }
}

/// A connection that is returned or closed when it is dropped.
pub(super) enum Taken<'p> {
    Lent(Loan<'p>),
    Own(Connection),
}

impl Deref for Taken<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Lent(loan) => loan,
            Self::Own(connection) => connection,
        }
    }
}

/// Connections are opened when needed, at most [`limits::READ_CONNECTIONS`], and kept open.
#[derive(Debug)]
pub(super) struct ReadPool {
    path: PathBuf,
    shelf: Mutex<Shelf>,
    for_verify: Condvar,
    for_others: Condvar,
}

#[derive(Debug)]
struct Shelf {
    idle: Vec<Connection>,
    lent: Counts,
    /// Connections that are being opened.
    opening: Counts,
    waiting: Counts,
    /// The number of connections that could be open at once, as far as is known: fewer than the
    /// bound after an opening has failed.
    reach: usize,
    /// When an opening last failed; `None` once one was successful.
    failed: Option<Stopwatch>,
    closed: bool,
    /// `None` once the pool is closed and no connection is lent.
    open_mark: Option<OpenMark>,
}

/// A number for each class of reads.
#[derive(Debug, Default)]
struct Counts {
    verify: usize,
    others: usize,
}

impl Counts {
    fn of(&mut self, reader: Reader) -> &mut usize {
        match reader {
            Reader::Verify => &mut self.verify,
            Reader::Other => &mut self.others,
        }
    }

    fn all(&self) -> usize {
        self.verify + self.others
    }
}

impl Shelf {
    fn open(&self) -> usize {
        self.idle.len() + self.lent.all()
    }

    /// Whether this class may have one more. The connection that is left to verify need not be
    /// idle: a verify gives it back within microseconds.
    fn allows(&self, reader: Reader, open: usize) -> bool {
        let others = self.lent.others + self.opening.others;
        match reader {
            Reader::Verify => true,
            // Where only one can be open, the reads share it.
            Reader::Other if open == 1 && self.failed.is_some() => others == 0,
            Reader::Other => others < (self.reach / 2).max(1) && others + 1 < open,
        }
    }

    fn has_one_for(&self, reader: Reader) -> bool {
        !self.idle.is_empty() && self.allows(reader, self.open())
    }

    fn may_open(&self) -> bool {
        self.open() + self.opening.all() < limits::READ_CONNECTIONS
            && (self.lent.all() == 0
                || self.failed.is_none_or(|failed| failed.elapsed() >= limits::READ_REOPEN))
    }

    fn opened(&mut self) {
        if self.failed.take().is_some() {
            self.reach = self.open();
        }
        self.reach = self.reach.max(self.open());
    }

    fn failed_to_open(&mut self) {
        self.reach = self.open();
        self.failed = Some(Stopwatch::start());
    }

    /// A mark that keeps the store marked as open until the caller has closed a connection.
    fn mark_to_close(&mut self) -> Option<OpenMark> {
        if self.closed && self.lent.all() + self.opening.all() == 0 {
            self.open_mark.take()
        } else {
            self.open_mark.clone()
        }
    }
}

/// A borrowed connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Loan<'p> {
    pool: &'p ReadPool,
    reader: Reader,
    connection: Option<Connection>,
}

impl ReadPool {
    /// A pool with its first connections, [`limits::READ_CONNECTIONS_AT_OPENING`]: a program that
    /// uses up its descriptors later can go on reading and verifying.
    pub(super) fn new(path: PathBuf, open_mark: OpenMark) -> Result<Self> {
        let open = || {
            let connection = connection::for_reading(&path)?;
            // SQLite opens the log and its shared memory at the first read.
            connection.query_row("PRAGMA schema_version", [], |_| Ok(())).map_err(fault)?;
            Ok(connection)
        };
        let idle = (0..limits::READ_CONNECTIONS_AT_OPENING).map(|_| open());
        let shelf = Shelf {
            idle: idle.collect::<Result<_>>()?,
            lent: Counts::default(),
            opening: Counts::default(),
            waiting: Counts::default(),
            reach: limits::READ_CONNECTIONS,
            failed: None,
            closed: false,
            open_mark: Some(open_mark),
        };
        Ok(Self {
            path,
            shelf: Mutex::new(shelf),
            for_verify: Condvar::new(),
            for_others: Condvar::new(),
        })
    }

    /// Borrows a connection, waiting at most `wait`. The rest of `wait` is the time that the
    /// connection may wait for the file.
    pub(super) fn take(&self, reader: Reader, wait: Duration) -> Result<Loan<'_>> {
        let (connection, left) = self.take_any(reader, wait)?;
        let loan = Loan { pool: self, reader, connection: Some(connection) };
        loan.busy_timeout(left).map_err(fault)?;
        Ok(loan)
    }

    /// A connection, and the rest of the wait.
    fn take_any(&self, reader: Reader, wait: Duration) -> Result<(Connection, Duration)> {
        let mut shelf = self.shelf.lock();
        // Started where no connection is idle: two readings of the clock are a part of a verify
        // that shows, and the lock is never held for long.
        let mut waiting: Option<Stopwatch> = None;
        loop {
            if shelf.closed {
                return Err(Error::new(ErrorKind::Closed, "the store is closed"));
            }
            if shelf.has_one_for(reader)
                && let Some(connection) = shelf.idle.pop()
            {
                *shelf.lent.of(reader) += 1;
                return Ok((connection, waiting.map_or(wait, |waiting| waiting.left_of(wait))));
            }
            let waiting = *waiting.get_or_insert_with(Stopwatch::start);
            // The first one is opened by any read: there is none to leave to verify.
            let is_allowed = shelf.open() == 0 || shelf.allows(reader, shelf.open() + 1);
            if shelf.may_open() && is_allowed {
                let (locked, opened) = self.open(shelf, reader);
                shelf = locked;
                match opened {
                    Ok(connection) => return Ok((connection, waiting.left_of(wait))),
                    // None is open, so that none will be returned.
                    Err(error) if shelf.open() == 0 => return Err(error),
                    Err(_) => continue,
                }
            }
            let left = waiting.left_of(wait);
            if left.is_zero() {
                let busy = Error::new(ErrorKind::Busy, "all read connections are in use");
                return Err(busy.waited(waiting.elapsed()));
            }
            *shelf.waiting.of(reader) += 1;
            self.returned(reader).wait_for(&mut shelf, left);
            *shelf.waiting.of(reader) -= 1;
        }
    }

    /// Opens a connection and lends it. The shelf is not locked meanwhile; the connection is
    /// counted before, so that the bounds are kept.
    fn open<'p>(
        &'p self,
        mut shelf: MutexGuard<'p, Shelf>,
        reader: Reader,
    ) -> (MutexGuard<'p, Shelf>, Result<Connection>) {
        *shelf.opening.of(reader) += 1;
        let opened = MutexGuard::unlocked(&mut shelf, || connection::for_reading(&self.path));
        *shelf.opening.of(reader) -= 1;
        if opened.is_ok() {
            *shelf.lent.of(reader) += 1;
            shelf.opened();
        } else {
            shelf.failed_to_open();
            drop(shelf.mark_to_close());
        }
        self.wake(&shelf);
        (shelf, opened)
    }

    pub(super) fn close(&self) {
        let mut shelf = self.shelf.lock();
        shelf.closed = true;
        let idle = std::mem::take(&mut shelf.idle);
        let open_mark = shelf.mark_to_close();
        drop(shelf);
        self.for_verify.notify_all();
        self.for_others.notify_all();
        drop(idle);
        drop(open_mark);
    }

    fn give_back(&self, reader: Reader, connection: Option<Connection>) {
        // A connection inside a transaction or statement would pin an old snapshot: it is closed.
        let reusable = connection.filter(|one| one.is_autocommit() && !one.is_busy());
        let mut shelf = self.shelf.lock();
        let lent = shelf.lent.of(reader);
        *lent = lent.saturating_sub(1);
        // Closed after the lock is released, as closing may take long.
        let surplus = match reusable {
            Some(connection) if !shelf.closed => {
                shelf.idle.push(connection);
                None
            }
            other => other,
        };
        let open_mark =
            if surplus.is_some() || shelf.closed { shelf.mark_to_close() } else { None };
        self.wake(&shelf);
        drop(shelf);
        drop(surplus);
        drop(open_mark);
    }

    /// Wakes one waiting thread of each class that may have a connection now.
    fn wake(&self, shelf: &Shelf) {
        if shelf.waiting.verify > 0 {
            self.for_verify.notify_one();
        }
        if shelf.waiting.others > 0 && shelf.allows(Reader::Other, shelf.open()) {
            self.for_others.notify_one();
        }
    }

    fn returned(&self, reader: Reader) -> &Condvar {
        match reader {
            Reader::Verify => &self.for_verify,
            Reader::Other => &self.for_others,
        }
    }
}

impl Deref for Loan<'_> {
    type Target = Connection;

    #[expect(clippy::unreachable, reason = "take_any() fills it before it returns the loan")]
    fn deref(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a loan holds its connection until it is dropped"),
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.pool.give_back(self.reader, self.connection.take());
    }
}

#[cfg(test)]
mod tests;
