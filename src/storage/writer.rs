//! The writer of a store: one connection and group commit, by passing the baton.
//!
//! **Group commit.** A thread that wants to write queues for the connection ([`queue`]). The first
//! thread begins a transaction; each next thread runs its job in it, on its own thread and behind
//! a savepoint ([`group`]); the last one, when the queue is empty or the group is full, commits
//! once for all. So many writes cost one flush of the disk. Each caller gets the outcome of the
//! group: applied, not applied, or unknown ([`resolve`]).
//!
//! **Waiting.** A caller waits for its turn no longer than the `wait` that it passes; then it
//! fails with `Busy`, and nothing was done. Once it has its turn, it waits for the jobs of the
//! members that join after it, whose number and time are bounded, and for the commit. No write is
//! ever interrupted, as that would roll back the writes of other members. A write inside a write
//! of the same thread would wait for itself: it fails with `Misuse`.

mod doubt;
mod group;
mod queue;
mod resolve;
mod unsynced;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::clock::SteadyClock;
use super::connection::Stopwatch;
use super::fault;
use super::migrate::SchemaCookie;
use super::transaction::{Finished, Purpose, WriteTx};
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::Draws;
pub use doubt::CommitOutcome;
pub(super) use doubt::FileKey;
use doubt::{Doubt, Doubts};
use group::{Baton, Group, GroupEnd};
use queue::{Handed, WriteQueue};
pub(crate) use resolve::not_begun;
use resolve::{WalFile, not_applied, unknown};

#[derive(Debug)]
pub(super) struct Writer {
    queue: WriteQueue,
    /// `None` in memory.
    log: Option<WalFile>,
    doubts: Arc<Doubts>,
    writes: AtomicU64,
    commits: AtomicU64,
}

/// The context of a write: its actor, clock and random source, and whether it may wait.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) actor: &'a Actor,
    pub(super) clock: &'a SteadyClock,
    pub(super) draws: &'a Draws,
    /// Checked before each commit.
    pub(super) watch: &'a Watch,
    pub(super) purpose: Purpose,
    /// Whether the thread may wait for readers of the WAL, after the members have their results.
    pub(super) patient: bool,
}

impl Writer {
    /// `first_mark` is random; `file` is `None` in memory, `schema` where none was checked.
    pub(super) fn new(
        connection: Connection,
        file: Option<FileKey>,
        schema: Option<SchemaCookie>,
        first_mark: [u8; 16],
    ) -> Self {
        let baton = Baton::new(connection, schema, u128::from_be_bytes(first_mark));
        Self {
            queue: WriteQueue::new(baton, limits::WRITES_WAITING_MAX),
            log: file.as_ref().map(|file| WalFile::new(file.files.clone())),
            doubts: Doubts::of(file),
            writes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        }
    }

    /// Of a file that is only read: it has no connection to it, and refuses every write.
    pub(super) fn closed() -> Result<Self> {
        let none = Connection::open_in_memory().map_err(fault)?;
        let writer = Self::new(none, None, None, [0; 16]);
        writer.close().map(|()| writer)
    }

    /// Runs `job` in a transaction. Waits for its turn among threads and processes at most `wait`.
    pub(super) fn write<T>(
        &self,
        author: Author<'_>,
        wait: Duration,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        let waiting = Stopwatch::start();
        let group = match self.queue.enter(waiting, wait, true)? {
            Handed::Join(group) => group,
            Handed::Lead(baton) => self.begin(baton, author, waiting, wait)?,
            Handed::Closed => return Err(queue::closed()),
        };
        self.take_part(group, author, job)
    }

    /// Returns `None` at once if another thread or process is writing. No other write joins its
    /// group, and it waits for no reader.
    pub(super) fn try_write<T>(
        &self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Option<T>> {
        let Some(baton) = self.queue.try_enter() else {
            return Ok(None);
        };
        let author = Author { patient: false, ..author };
        match self.begin(baton, author, Stopwatch::start(), Duration::ZERO) {
            Ok(mut group) => {
                group.close();
                self.take_part(group, author, job).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a read on the connection of the writer: an in-memory store has no other.
    pub(super) fn borrow<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let baton = self.enter_alone()?;
        let answer = catch_unwind(AssertUnwindSafe(|| job(&baton.connection)));
        self.queue.hand_on(baton);
        answer.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether the calling thread is inside a write.
    pub(super) fn is_held_here(&self) -> bool {
        self.queue.is_held_here()
    }

    /// Numbers of writes committed and of commits since the opening.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.writes.load(Ordering::Relaxed), self.commits.load(Ordering::Relaxed))
    }

    /// Closes the connection; does nothing the second time.
    pub(super) fn close(&self) -> Result<()> {
        let baton = match self.enter_alone() {
            Ok(baton) => baton,
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
            Err(error) => return Err(error),
        };
        self.queue.shut();
        drop(baton.unsynced);
        baton.connection.close().map_err(|(_, error)| fault(error))
    }

    /// Checkpoints the WAL. Returns `false` only if the store is in memory or the writer is not
    /// available.
    pub(super) fn fold_log(&self) -> bool {
        let (Some(log), Ok(mut baton)) = (&self.log, self.enter_alone()) else {
            return false;
        };
        if log.renew(&mut baton).is_ok() {
            log.make_room(&mut baton);
        }
        self.queue.hand_on(baton);
        true
    }

    /// Cuts the WAL to zero bytes; whether nothing is left in it.
    pub(super) fn empty_log(&self) -> bool {
        let Some(log) = &self.log else { return true };
        let Ok(mut baton) = self.enter_alone() else { return false };
        let emptied = log.renew(&mut baton).is_ok() && log.empty(&mut baton);
        self.queue.hand_on(baton);
        emptied
    }

    /// Length of the WAL on disk in bytes; 0 in memory.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, WalFile::length)
    }

    /// Resolves a commit of this process that is still in doubt, for a new opening of the file.
    pub(super) fn resolve_doubt(&self) -> Result<()> {
        if self.doubts.is_open() {
            let mut baton = self.enter_alone()?;
            // Another thread may have resolved it while this one waited.
            if let Some(doubt) = self.doubts.unresolved()
                && let Some(outcome) = self.resolve(&mut baton, doubt)
            {
                self.doubts.resolved(outcome);
            }
            self.queue.hand_on(baton);
            if self.doubts.is_open() {
                return Err(unknown());
            }
        }
        self.doubts.clear_unprovable();
        Ok(())
    }

    /// The outcome of the last write that failed with `CommitUnknown`.
    pub(super) fn last_unknown_commit(&self) -> Option<CommitOutcome> {
        self.doubts.last()
    }

    /// Takes the baton for an operation that is not a write.
    fn enter_alone(&self) -> Result<Baton> {
        match self.queue.enter(Stopwatch::start(), limits::WRITE_WAIT, false)? {
            Handed::Lead(baton) => Ok(baton),
            Handed::Join(group) => {
                self.queue.hand_on(group.into_baton());
                Err(Error::misuse(
                    "Gatepost's own error: a group commit was handed to a thread that does not \
                     write",
                ))
            }
            Handed::Closed => Err(queue::closed()),
        }
    }

    fn begin(
        &self,
        mut baton: Baton,
        author: Author<'_>,
        waiting: Stopwatch,
        wait: Duration,
    ) -> Result<Group> {
        let ready = match &self.log {
            _ if self.doubts.is_open() => Err(not_begun()),
            Some(log) => log.check_room(&mut baton, author).and_then(|()| log.renew(&mut baton)),
            None => Ok(()),
        };
        match ready.and_then(|()| baton.begin(waiting, wait)) {
            Ok(()) => Ok(Group::new(baton, author.purpose)),
            Err(error) => {
                self.queue.hand_on(baton);
                Err(error)
            }
        }
    }

    /// Runs the job, passes the baton on, and returns once the outcome of the group is known.
    fn take_part<T>(
        &self,
        mut group: Group,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        let outcome_of_group = group.outcome_of_group();
        let answer = group.run(author, job);
        let last = if group.may_grow() { self.queue.pass_on(group) } else { Some(group) };
        if let Some(group) = last {
            self.end(group, author);
        }
        match answer {
            Ok(answer) => outcome_of_group.wait().and(answer).map(|resolved| match resolved {
                Finished::Commit(value) | Finished::Nothing(value) => value,
            }),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Ends the transaction, passes the baton on and reports the outcome to the members.
    fn end(&self, mut group: Group, author: Author<'_>) {
        let end = group.end(author);
        let (kept, outcome_of_group) = (group.kept(), group.outcome_of_group());
        let mut baton = group.into_baton();
        let outcome = match end {
            GroupEnd::Applied => Ok(kept),
            GroupEnd::NotApplied(error) => Err(error),
            GroupEnd::Doubt(marks, kind) => match self.resolve(&mut baton, Doubt::new(marks)) {
                Some(CommitOutcome::Applied) => Ok(kept),
                Some(CommitOutcome::NotApplied) => Err(not_applied(kind)),
                Some(CommitOutcome::Unknown) => {
                    self.doubts.leave_unprovable();
                    Err(unknown())
                }
                None => Err(unknown()),
            },
        };
        let Some(log) =
            self.log.as_ref().filter(|log| outcome.is_ok() && kept > 0 && log.is_long())
        else {
            // The next writer may begin before the waiting members are woken.
            self.queue.hand_on(baton);
            self.report(&outcome_of_group, outcome);
            return;
        };
        self.report(&outcome_of_group, outcome);
        log.keep_short(&mut baton, author.patient);
        self.queue.hand_on(baton);
    }

    fn report(&self, outcome_of_group: &group::GroupOutcome, outcome: Result<u64>) {
        if let Ok(kept @ 1..) = outcome {
            self.writes.fetch_add(kept, Ordering::Relaxed);
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        outcome_of_group.report(outcome.map(drop));
    }

    /// Resolves a commit in doubt. `None` if it could still be recovered from the WAL after a
    /// power loss; then no write is accepted until it is resolved.
    fn resolve(&self, baton: &mut Baton, mut doubt: Doubt) -> Option<CommitOutcome> {
        let resolved = self.log.as_ref().and_then(|log| log.resolve(baton, &mut doubt).ok());
        if resolved.is_none() {
            self.doubts.leave(doubt);
        }
        resolved
    }
}

/// Commits; tests inject failures (see `trouble`).
fn commit(connection: &Connection) -> Result<()> {
    #[cfg(test)]
    if let Some(trouble) = trouble::take() {
        return trouble(connection);
    }
    group::run(connection, "COMMIT")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod trouble;
