//! The one writer of this process.
//!
//! Every write begins IMMEDIATE, so that nothing up to its commit can find the file busy. A write that waits
//! for another thread or process gives up after [`limits::WRITE_WAIT`] with `Busy` and the time it
//! waited; a write started inside a write, which could only wait for itself, is `Misuse`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, TransactionBehavior};

use super::{Settled, SteadyClock, WriteTx, fault};
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

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(Some(connection)),
            holder: Mutex::new(None),
            in_doubt: AtomicBool::new(false),
        }
    }

    pub(super) fn write<T>(
        &self,
        actor: &Actor,
        clock: &SteadyClock,
        random: &dyn RandomSource,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        let mut hold = self.hold(limits::WRITE_WAIT)?;
        let connection = hold.connection()?;
        self.transact(connection, actor, clock, random, job)
    }

    pub(super) fn try_write<T>(
        &self,
        actor: &Actor,
        clock: &SteadyClock,
        random: &dyn RandomSource,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<Option<T>> {
        let Some(guard) = self.connection.try_lock() else {
            return Ok(None);
        };
        let mut hold = self.held(guard);
        let connection = hold.connection()?;
        connection.busy_timeout(Duration::ZERO).map_err(fault)?;
        let answer = self.transact(connection, actor, clock, random, job);
        connection.busy_timeout(limits::WRITE_WAIT).map_err(fault)?;
        match answer {
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
        actor: &Actor,
        clock: &SteadyClock,
        random: &dyn RandomSource,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        if self.in_doubt.load(Ordering::Acquire) {
            return Err(doubt());
        }
        let started = stopwatch();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| {
                let error = fault(error);
                if error.is_retryable() { error.waited(started.elapsed()) } else { error }
            })?;
        // Read only now: the time in the file must not be older than the wait for it.
        let tx = WriteTx::new(&transaction, clock.now(), actor, random);
        match job(&tx)? {
            Settled::Nothing(value) => {
                drop(tx);
                transaction.rollback().map_err(fault)?;
                Ok(value)
            }
            Settled::Commit(value) => {
                tx.check_ending()?;
                drop(tx);
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
        if *self.holder.lock() == Some(thread::current().id()) {
            return Err(Error::misuse("a write was started inside a write of the same thread"));
        }
        match self.connection.try_lock_for(wait) {
            Some(guard) => Ok(self.held(guard)),
            None => Err(Error::new(Reason::Busy, "another thread is writing").waited(wait)),
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

#[expect(clippy::disallowed_methods, reason = "how long a caller waited, told in the error only")]
fn stopwatch() -> Instant {
    Instant::now()
}
