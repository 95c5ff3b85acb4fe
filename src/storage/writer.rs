//! The one writer of this process: group commit by baton.
//!
//! One connection writes. Whoever wants to write queues for it ([`line`]); the first in line begins
//! a transaction, each next one writes in it on its own thread behind a savepoint ([`group`]), and
//! the last one, when nobody is left in line or the group is full, commits once for all: one flush
//! of the disk for many writes. All are answered with what became of the group: it was applied, it
//! was not, or nobody can know ([`settle`]).
//!
//! A caller waits for its turn no longer than it said, then it is `Busy` and nothing was done. Once
//! it has its turn it waits as long as it takes: for the jobs of those who joined after it, whose
//! number and time are bounded, and for the commit. Nothing is ever interrupted, as that would roll
//! back what others wrote. A write started inside a write, which could only wait for itself, is
//! `Misuse`.

mod doubt;
mod group;
mod line;
mod settle;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::clock::SteadyClock;
use super::connection::Stopwatch;
use super::fault;
use super::transaction::{Purpose, Settled, WriteTx};
use super::watch::Watch;
use crate::error::{Error, Reason, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::RandomSource;
pub use doubt::CommitOutcome;
pub(super) use doubt::FileKey;
use doubt::{Doubt, Doubts};
use group::{Baton, End, Group};
use line::{Handed, Line};
pub(crate) use settle::not_begun;
use settle::{Log, unknown};

#[derive(Debug)]
pub(super) struct Writer {
    line: Line,
    /// `None` in memory.
    log: Option<Log>,
    doubts: Arc<Doubts>,
    writes: AtomicU64,
    commits: AtomicU64,
}

/// What a transaction needs besides its job.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) actor: &'a Actor,
    pub(super) clock: &'a SteadyClock,
    pub(super) random: &'a dyn RandomSource,
    /// Asked before a commit whether the file is still ours.
    pub(super) watch: &'a Watch,
    pub(super) purpose: Purpose,
    /// Whether it may wait for readers of the log, once it was answered.
    pub(super) patient: bool,
}

impl Writer {
    /// `first_mark` is random; `file` is `None` in memory.
    pub(super) fn new(
        connection: Connection,
        file: Option<FileKey>,
        first_mark: [u8; 16],
    ) -> Self {
        let baton = Baton::new(connection, u128::from_be_bytes(first_mark));
        Self {
            line: Line::new(baton, limits::WRITES_WAITING_MAX),
            log: file.as_ref().map(|file| Log::new(file.files.clone())),
            doubts: Doubts::of(file),
            writes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        }
    }

    /// Waits for its turn among threads and processes for no longer than `wait`.
    pub(super) fn write<T>(
        &self,
        author: Author<'_>,
        wait: Duration,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        let waiting = Stopwatch::start();
        let group = match self.line.enter(waiting, wait, true)? {
            Handed::Join(group) => group,
            Handed::Lead(baton) => self.begin(baton, author, waiting, wait)?,
            Handed::Closed => return Err(line::closed()),
        };
        self.take_part(group, author, job)
    }

    /// Gives up at once if anyone else writes, lets nobody join, and waits for no reader.
    pub(super) fn try_write<T>(
        &self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<Option<T>> {
        let Some(baton) = self.line.try_enter() else {
            return Ok(None);
        };
        let author = Author { patient: false, ..author };
        match self.begin(baton, author, Stopwatch::start(), Duration::ZERO) {
            Ok(mut group) => {
                group.close();
                self.take_part(group, author, job).map(Some)
            }
            Err(error) if error.reason() == Reason::Busy => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lends the connection for a read (in-memory stores have no other).
    pub(super) fn borrow<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let baton = self.enter_alone()?;
        let answer = catch_unwind(AssertUnwindSafe(|| job(&baton.connection)));
        self.line.hand_on(baton);
        answer.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Whether the calling thread is inside a write.
    pub(super) fn is_held_here(&self) -> bool {
        self.line.is_held_here()
    }

    /// Writes kept, and commits that kept them, since the opening.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.writes.load(Ordering::Relaxed), self.commits.load(Ordering::Relaxed))
    }

    /// Closes the connection; does nothing the second time.
    pub(super) fn close(&self) -> Result<()> {
        let baton = match self.enter_alone() {
            Ok(baton) => baton,
            Err(error) if error.reason() == Reason::Closed => return Ok(()),
            Err(error) => return Err(error),
        };
        self.line.shut();
        baton.connection.close().map_err(|(_, error)| fault(error))
    }

    /// Moves the log into the file; answers whether that worked, or may have.
    pub(super) fn fold_log(&self) -> bool {
        let (Some(log), Ok(mut baton)) = (&self.log, self.enter_alone()) else {
            return false;
        };
        if log.renew(&mut baton).is_ok() {
            log.make_room(&mut baton);
        }
        self.line.hand_on(baton);
        true
    }

    /// How many bytes the log has on the disk; none in memory.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::length)
    }

    /// Settles a commit of this process that is still in doubt, for a new opening of the file.
    pub(super) fn settle_again(&self) -> Result<()> {
        if self.doubts.is_open() {
            let mut baton = self.enter_alone()?;
            // Another thread may have settled it while this one waited.
            if let Some(doubt) = self.doubts.open()
                && let Some(outcome) = self.settle(&mut baton, doubt)
            {
                self.doubts.settle(outcome);
            }
            self.line.hand_on(baton);
            if self.doubts.is_open() {
                return Err(unknown());
            }
        }
        self.doubts.begin_anew();
        Ok(())
    }

    /// What became of the last write that was answered `CommitUnknown`.
    pub(super) fn last_unknown_commit(&self) -> Option<CommitOutcome> {
        self.doubts.last()
    }

    /// The baton for something that is not a write.
    fn enter_alone(&self) -> Result<Baton> {
        match self.line.enter(Stopwatch::start(), limits::WRITE_WAIT, false)? {
            Handed::Lead(baton) => Ok(baton),
            Handed::Join(group) => {
                self.line.hand_on(group.into_baton());
                Err(Error::misuse("a group was handed to one who does not write"))
            }
            Handed::Closed => Err(line::closed()),
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
                self.line.hand_on(baton);
                Err(error)
            }
        }
    }

    /// Runs the job, hands on, and answers when it is known what became of the group.
    fn take_part<T>(
        &self,
        mut group: Group,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        let fate = group.fate();
        let answer = group.run(author, job);
        let last = if group.may_grow() { self.line.pass_on(group) } else { Some(group) };
        if let Some(group) = last {
            self.end(group, author);
        }
        match answer {
            Ok(answer) => fate.hear().and(answer).map(|settled| match settled {
                Settled::Commit(value) | Settled::Nothing(value) => value,
            }),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Ends the transaction, hands the baton on and tells the members.
    fn end(&self, mut group: Group, author: Author<'_>) {
        let end = group.end(author);
        let (kept, fate) = (group.kept(), group.fate());
        let mut baton = group.into_baton();
        let told = match end {
            End::Applied => Ok(kept),
            End::NotApplied(error) => Err(error),
            End::Doubt(marks) => match self.settle(&mut baton, Doubt::new(marks)) {
                Some(CommitOutcome::Applied) => Ok(kept),
                Some(CommitOutcome::NotApplied) => Err(Error::new(
                    Reason::Io,
                    "a commit failed with an input or output error; nothing of it was applied",
                )),
                Some(CommitOutcome::Unknown) => {
                    self.doubts.leave_unprovable();
                    Err(unknown())
                }
                None => Err(unknown()),
            },
        };
        let Some(log) = self.log.as_ref().filter(|log| told.is_ok() && kept > 0 && log.is_long())
        else {
            // The next may begin before those who wait are woken.
            self.line.hand_on(baton);
            self.tell(&fate, told);
            return;
        };
        self.tell(&fate, told);
        log.keep_short(&mut baton, author.patient);
        self.line.hand_on(baton);
    }

    fn tell(&self, fate: &group::Fate, told: Result<u64>) {
        if let Ok(kept @ 1..) = told {
            self.writes.fetch_add(kept, Ordering::Relaxed);
            self.commits.fetch_add(1, Ordering::Relaxed);
        }
        fate.tell(told.map(drop));
    }

    /// What became of a commit in doubt. `None` if it may still come back; then it is left, and no
    /// write is accepted until it is settled.
    fn settle(&self, baton: &mut Baton, mut doubt: Doubt) -> Option<CommitOutcome> {
        let settled = self.log.as_ref().and_then(|log| log.settle(baton, &mut doubt).ok());
        if settled.is_none() {
            self.doubts.leave(doubt);
        }
        settled
    }
}

/// In tests it fails as told.
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
