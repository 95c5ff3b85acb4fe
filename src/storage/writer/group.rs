//! A group: one transaction in which several threads write, one after the other, with one commit.
//!
//! The first member, the leader, begins the transaction. Each member runs its job on its own
//! thread, behind its own savepoint; the last one commits for all. If a job fails, it is rolled
//! back to its savepoint, and the other members are not affected. The leader needs no savepoint:
//! if it has nothing to commit, the transaction is rolled back, and the next thread begins
//! another.
//!
//! No member gets its result before the commit, not even one that failed or found nothing to do:
//! it may have read what another member wrote, and that may still be rolled back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, params};

use super::super::connection::{Stopwatch, pause};
use super::super::fault::{fault, leaves_doubt};
use super::super::migrate::{SchemaCookie, check_schema_since};
use super::super::transaction::{Finished, Purpose, WriteTx, select_one};
use super::super::watch::Watch;
use super::Author;
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;
use crate::value::time::Timestamp;

/// The right to write, and the state that only its owner needs.
#[derive(Debug)]
pub(super) struct Baton {
    pub(super) connection: Connection,
    /// Commits without a flush; `None` until a verify needs it.
    pub(super) unsynced: Option<Connection>,
    /// The schema that was checked last; `None` where none is checked.
    pub(super) schema: Option<SchemaCookie>,
    /// A checkpoint failed on this connection: the next writer replaces it.
    pub(super) must_be_replaced: bool,
    /// When a checkpoint last waited for readers without success.
    pub(super) blocked: Option<Stopwatch>,
    /// The mark that was used last; the next group writes one higher.
    mark: u128,
    /// The mark that this process wrote last.
    written: Option<Mark>,
    /// When the last group ended, and how long it had the write lock of the file.
    held: Option<(Stopwatch, Duration)>,
    /// When the disk was last found full, by the wall clock; `None` once there was room again.
    pub(super) full: Option<Timestamp>,
    /// For this many more groups, the writer pauses so that another process gets its turn.
    gives_way: u32,
}

/// The mark of a group, written into the `store` row: it proves later whether the group was
/// committed.
pub(super) type Mark = [u8; 16];

/// The mark that a group wrote, and the one that it replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitMarks {
    pub(super) written: Mark,
    pub(super) found: Option<Mark>,
}

/// An open transaction, passed from member to member.
#[derive(Debug)]
pub(super) struct Group {
    baton: Baton,
    outcome_of_group: Arc<GroupOutcome>,
    begun: Stopwatch,
    members: u64,
    /// Number of members whose writes are to be committed.
    kept: u64,
    /// No other member may join.
    ends: bool,
    /// The purpose of the leader. If a revocation finds room on the disk, an ordinary write need
    /// not.
    purpose: Purpose,
    /// The error because of which the whole group is rolled back.
    broken: Option<Error>,
}

/// The outcome of a group, reported to each of its members.
#[derive(Debug, Default)]
pub(super) struct GroupOutcome {
    outcome: Mutex<Option<Result<()>>>,
    changed: Condvar,
}

/// How a group ended.
#[derive(Debug)]
pub(super) enum GroupEnd {
    /// The transaction was committed, or there was nothing to commit.
    Applied,
    /// Nothing of the transaction was applied.
    NotApplied(Error),
    /// The commit failed with this kind of error, and its pages may be recovered from the WAL
    /// after a power loss.
    Doubt(CommitMarks, ErrorKind),
}

impl Baton {
    /// `first_mark` is random for each opening, so that no two marks are equal.
    pub(super) fn new(
        connection: Connection,
        schema: Option<SchemaCookie>,
        first_mark: u128,
    ) -> Self {
        Self {
            connection,
            unsynced: None,
            schema,
            must_be_replaced: false,
            blocked: None,
            mark: first_mark,
            written: None,
            held: None,
            full: None,
            gives_way: 0,
        }
    }

    /// Begins a transaction with the write lock; nothing up to its commit can then fail with
    /// `Busy`.
    pub(super) fn begin(&mut self, waiting: Stopwatch, wait: Duration) -> Result<()> {
        // A rollback that failed is tried again: with the transaction open, every later BEGIN
        // would fail.
        if !self.connection.is_autocommit() {
            run(&self.connection, "ROLLBACK")?;
        }
        self.give_way(waiting, wait);
        let mut step = limits::WRITE_POLL_FIRST;
        loop {
            let error = match run(&self.connection, "BEGIN IMMEDIATE") {
                Ok(()) => return self.check_schema(),
                Err(error) => error,
            };
            let left = waiting.left_of(wait);
            if error.kind() != ErrorKind::Busy {
                return Err(error);
            }
            if left.is_zero() {
                return Err(error.waited(waiting.elapsed()));
            }
            pause(step.min(left));
            step = (step * 2).min(limits::WRITE_POLL_LONGEST);
        }
    }

    /// Fails with `Corrupt` if another program has added a trigger or an index, or changed one,
    /// since the store was opened: before any statement that could run it.
    fn check_schema(&mut self) -> Result<()> {
        let Some(checked) = self.schema else {
            return Ok(());
        };
        match check_schema_since(&self.connection, checked) {
            Ok(now) => {
                self.schema = Some(now);
                Ok(())
            }
            Err(error) => {
                // If this rollback fails, the next writer tries it again.
                let _ = run(&self.connection, "ROLLBACK");
                Err(error)
            }
        }
    }

    /// Leaves the file alone after a group for as long as the group had it, if another process was
    /// seen to write. SQLite's lock goes to the first that asks, and a thread that has just
    /// released it would always ask before a process that polls.
    fn give_way(&self, waiting: Stopwatch, wait: Duration) {
        if let Some((ended, held)) = self.held
            && self.gives_way > 0
        {
            let turn = held.min(limits::WRITE_POLL_LONGEST);
            pause(ended.left_of(turn).min(waiting.left_of(wait)));
        }
    }

    /// Writes the mark of this group. If the mark in the file is not this process's own, another
    /// process has written since.
    fn write_mark(&mut self) -> Result<CommitMarks> {
        let sql = "SELECT last_group FROM store WHERE id = 1";
        let found: Option<Option<Mark>> = select_one(&self.connection, sql, [], |row| row.get(0))?;
        let found = found.flatten();
        self.gives_way = match (self.written, found) {
            (Some(written), Some(found)) if written != found => limits::GROUPS_GIVING_WAY,
            _ => self.gives_way.saturating_sub(1),
        };
        let written = self.next_mark();
        write_mark(&self.connection, written)?;
        Ok(CommitMarks { written, found })
    }

    /// A mark that was never used before.
    pub(super) fn next_mark(&mut self) -> Mark {
        self.mark = self.mark.wrapping_add(1);
        self.mark.to_be_bytes()
    }
}

impl Group {
    /// A transaction that has begun. While the disk is full no other member joins, so that a write
    /// fails only because of its own size.
    pub(super) fn new(baton: Baton, purpose: Purpose) -> Self {
        Self {
            outcome_of_group: Arc::default(),
            begun: Stopwatch::start(),
            members: 0,
            kept: 0,
            ends: baton.full.is_some(),
            purpose,
            broken: None,
            baton,
        }
    }

    /// Lets no other member join.
    pub(super) fn close(&mut self) {
        self.ends = true;
    }

    pub(super) fn outcome_of_group(&self) -> Arc<GroupOutcome> {
        Arc::clone(&self.outcome_of_group)
    }

    /// Runs the job of one member. A panic is returned, not propagated, so that the group can go
    /// on before the thread unwinds.
    pub(super) fn run<T>(
        &mut self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> thread::Result<Result<Finished<T>>> {
        let first = self.members == 0;
        self.members += 1;
        if !first && let Err(error) = run(&self.baton.connection, "SAVEPOINT member") {
            self.broken = Some(error.again());
            return Ok(Err(error));
        }
        let connection = &self.baton.connection;
        let answer = catch_unwind(AssertUnwindSafe(|| member(connection, author, job)));
        self.keep_or_undo(first, &answer);
        answer
    }

    /// Keeps the writes of the member, or rolls all of them back.
    fn keep_or_undo<T>(&mut self, first: bool, answer: &thread::Result<Result<Finished<T>>>) {
        if self.is_lost() {
            let cause = match answer {
                Ok(Err(error)) => error.again(),
                _ => rolled_back_by_sqlite(),
            };
            self.broken = Some(cause);
            return;
        }
        let connection = &self.baton.connection;
        let undone = match answer {
            Ok(Ok(Finished::Commit(_))) => {
                self.kept += 1;
                if first { Ok(()) } else { run(connection, "RELEASE member") }
            }
            _ if first => {
                self.ends = true;
                Ok(())
            }
            _ => run(connection, "ROLLBACK TO member")
                .and_then(|()| run(connection, "RELEASE member")),
        };
        if let Err(error) = undone {
            self.broken = Some(error);
        }
    }

    /// Whether another member may join.
    pub(super) fn may_grow(&self) -> bool {
        !self.ends
            && self.broken.is_none()
            && self.members < limits::GROUP_MEMBERS_MAX
            && self.begun.elapsed() < limits::GROUP_GROWS
    }

    /// Number of members whose writes the commit keeps.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Ends the transaction: one commit for all members, or a rollback if no member wrote.
    ///
    /// The watch is checked last, so that no write is acknowledged that went into a file that was
    /// deleted or whose locks were lost.
    pub(super) fn end(&mut self, author: Author<'_>) -> GroupEnd {
        let end = self.try_end(author.watch);
        self.baton.held = Some((Stopwatch::start(), self.begun.elapsed()));
        match &end {
            Ok(GroupEnd::Applied) if self.kept > 0 && self.purpose == Purpose::Ordinary => {
                self.baton.full = None
            }
            Err(error) if error.kind() == ErrorKind::Full => {
                self.baton.full = Some(author.clock.moment().wall);
            }
            _ => {}
        }
        end.unwrap_or_else(|error| {
            if !self.is_lost() {
                // If this rollback fails, the next writer tries it again.
                let _ = run(&self.baton.connection, "ROLLBACK");
            }
            GroupEnd::NotApplied(error)
        })
    }

    fn try_end(&mut self, watch: &Watch) -> Result<GroupEnd> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        // Also where there is nothing to commit: what a job found to be over already may be over
        // in a file that was replaced.
        watch.check_now()?;
        if self.kept == 0 {
            run(&self.baton.connection, "ROLLBACK")?;
            return Ok(GroupEnd::Applied);
        }
        let marks = self.baton.write_mark()?;
        let committed = super::commit(&self.baton.connection);
        match committed {
            Ok(()) => {
                self.baton.written = Some(marks.written);
                Ok(GroupEnd::Applied)
            }
            Err(error) if leaves_doubt(&error) => Ok(GroupEnd::Doubt(marks, error.kind())),
            Err(error) => Err(error),
        }
    }

    /// Whether SQLite has rolled the whole transaction back by itself, as it does after some
    /// errors.
    fn is_lost(&self) -> bool {
        self.baton.connection.is_autocommit()
    }

    pub(super) fn into_baton(self) -> Baton {
        self.baton
    }
}

impl GroupOutcome {
    pub(super) fn report(&self, outcome_of_group: Result<()>) {
        *self.outcome.lock() = Some(outcome_of_group);
        self.changed.notify_all();
    }

    /// Waits for the end of the group: the jobs of later members, and the commit.
    pub(super) fn wait(&self) -> Result<()> {
        let mut outcome = self.outcome.lock();
        loop {
            match &*outcome {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) => return Err(error.again()),
                None => self.changed.wait(&mut outcome),
            }
        }
    }
}

/// Runs the job of one member in the transaction that the connection has begun.
pub(super) fn member<T>(
    connection: &Connection,
    author: Author<'_>,
    job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
) -> Result<Finished<T>> {
    // Read here, after the wait: a stored time must not be older than the wait for the turn.
    let moment = author.clock.moment();
    let tx = WriteTx::new(connection, moment, author.purpose, author.actor, author.draws);
    let finished = job(&tx)?;
    if matches!(finished, Finished::Commit(_)) {
        tx.check_revoking()?;
    }
    Ok(finished)
}

pub(super) fn write_mark(connection: &Connection, mark: Mark) -> Result<()> {
    let sql = "UPDATE store SET last_group = ?1 WHERE id = 1";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    statement.execute(params![mark]).map(drop).map_err(fault)
}

pub(super) fn run(connection: &Connection, sql: &'static str) -> Result<()> {
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    statement.execute([]).map(drop).map_err(fault)
}

fn rolled_back_by_sqlite() -> Error {
    Error::new(ErrorKind::Io, "an earlier error ended the transaction; nothing of it was applied")
}
