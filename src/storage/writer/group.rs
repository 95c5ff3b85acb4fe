//! A group: one transaction in which several threads write, one after the other.
//!
//! Its leader begins it; each member runs its job on its own thread with the connection in hand,
//! behind a savepoint of its own; the last one commits once for all. What fails of one member is
//! rolled back to its savepoint and is nobody else's. The first needs no savepoint: if it keeps
//! nothing, the transaction is rolled back, and whoever is next begins another.
//!
//! Nobody is answered before the end, not even who failed or found nothing to do: what it saw may
//! have been written by another member and never hold.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, params};

use super::super::connection::{Stopwatch, pause};
use super::super::fault::{fault, leaves_doubt};
use super::super::transaction::{Purpose, Settled, WriteTx, select_one};
use super::super::watch::Watch;
use super::Author;
use crate::error::{Error, Reason, Result};
use crate::value::limits;
use crate::value::time::Timestamp;

/// The right to write, and all that only its holder needs.
#[derive(Debug)]
pub(super) struct Baton {
    pub(super) connection: Connection,
    /// A checkpoint failed on it: the next who begins opens another.
    pub(super) is_worn: bool,
    /// When readers were last waited for in vain, that the log may begin anew.
    pub(super) blocked: Option<Stopwatch>,
    /// The number that the next group writes into the file.
    mark: u128,
    /// What this process wrote there last.
    written: Option<Mark>,
    /// When the last group ended, and how long it held the file.
    held: Option<(Stopwatch, Duration)>,
    /// When the disk was last found full; none since there was room.
    pub(super) full: Option<Timestamp>,
    /// For so many groups more, another process is given its turn in between.
    gives_way: u32,
}

/// What a group writes into the row of the store, so that it can be told later whether it holds.
pub(super) type Mark = [u8; 16];

/// The mark that a group has written, and the one that it found there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) written: Mark,
    pub(super) found: Option<Mark>,
}

/// A transaction that is open, on its way from member to member.
#[derive(Debug)]
pub(super) struct Group {
    baton: Baton,
    fate: Arc<Fate>,
    begun: Stopwatch,
    members: u64,
    /// How many of them keep what they wrote.
    kept: u64,
    /// Nobody joins any more.
    ends: bool,
    /// What its leader writes for: that a revocation found room says nothing of the room for
    /// ordinary writes.
    purpose: Purpose,
    /// Why nothing of it can hold.
    broken: Option<Error>,
}

/// What became of a group, told to each of its members.
#[derive(Debug, Default)]
pub(super) struct Fate {
    told: Mutex<Option<Result<()>>>,
    bell: Condvar,
}

/// How a group ended.
#[derive(Debug)]
pub(super) enum End {
    /// Everything that was kept holds.
    Applied,
    /// Nothing of it holds, nor ever will.
    NotApplied(Error),
    /// The commit failed such that it may come back after a power loss.
    Doubt(Marks),
}

impl Baton {
    /// `first_mark` is drawn anew each time a file is opened, so that no two marks are alike.
    pub(super) fn new(connection: Connection, first_mark: u128) -> Self {
        Self {
            connection,
            is_worn: false,
            blocked: None,
            mark: first_mark,
            written: None,
            held: None,
            full: None,
            gives_way: 0,
        }
    }

    /// Begins a transaction. Nothing up to its commit can then find the file busy.
    pub(super) fn begin(&mut self, waiting: Stopwatch, wait: Duration) -> Result<()> {
        // A rollback that failed once would make every later write fail as well.
        if !self.connection.is_autocommit() {
            run(&self.connection, "ROLLBACK")?;
        }
        self.give_way(waiting, wait);
        let mut step = limits::WRITE_POLL_FIRST;
        loop {
            let error = match run(&self.connection, "BEGIN IMMEDIATE") {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let left = waiting.left_of(wait);
            if !error.is_retryable() {
                return Err(error);
            }
            if left.is_zero() {
                return Err(error.waited(waiting.elapsed()));
            }
            pause(step.min(left));
            step = (step * 2).min(limits::WRITE_POLL_LONGEST);
        }
    }

    /// SQLite's lock goes to whoever asks first, and a thread that has just let go of it asks
    /// sooner than a process that looks for it now and then. So where other processes write, the
    /// file is left alone after a group for as long as the group held it.
    fn give_way(&self, waiting: Stopwatch, wait: Duration) {
        if let Some((ended, held)) = self.held
            && self.gives_way > 0
        {
            let turn = held.min(limits::WRITE_POLL_LONGEST);
            pause(ended.left_of(turn).min(waiting.left_of(wait)));
        }
    }

    /// Writes the mark of this group; notices whether another process wrote since the last one.
    fn write_mark(&mut self) -> Result<Marks> {
        let sql = "SELECT last_group FROM store WHERE id = 1";
        let found: Option<Option<Mark>> = select_one(&self.connection, sql, [], |row| row.get(0))?;
        let found = found.flatten();
        self.gives_way = match (self.written, found) {
            (Some(written), Some(found)) if written != found => limits::GROUPS_GIVING_WAY,
            _ => self.gives_way.saturating_sub(1),
        };
        let written = self.next_mark();
        write_mark(&self.connection, written)?;
        Ok(Marks { written, found })
    }

    /// Never the same twice.
    pub(super) fn next_mark(&mut self) -> Mark {
        self.mark = self.mark.wrapping_add(1);
        self.mark.to_be_bytes()
    }
}

impl Group {
    /// A transaction that has begun. While the disk is full nobody joins, so that nothing but its
    /// own size can make a write fail.
    pub(super) fn new(baton: Baton, purpose: Purpose) -> Self {
        Self {
            fate: Arc::default(),
            begun: Stopwatch::start(),
            members: 0,
            kept: 0,
            ends: baton.full.is_some(),
            purpose,
            broken: None,
            baton,
        }
    }

    /// Nobody joins any more.
    pub(super) fn close(&mut self) {
        self.ends = true;
    }

    pub(super) fn fate(&self) -> Arc<Fate> {
        Arc::clone(&self.fate)
    }

    /// Runs the job of one member. A panic is answered like any failure, so that the group can
    /// go on before the thread unwinds.
    pub(super) fn run<T>(
        &mut self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> thread::Result<Result<Settled<T>>> {
        let first = self.members == 0;
        self.members += 1;
        if !first && let Err(error) = run(&self.baton.connection, "SAVEPOINT member") {
            self.broken = Some(error.again());
            return Ok(Err(error));
        }
        let connection = &self.baton.connection;
        let answer = catch_unwind(AssertUnwindSafe(|| member(connection, author, job)));
        self.settle(first, &answer);
        answer
    }

    /// Keeps what the member wrote, or none of it.
    fn settle<T>(&mut self, first: bool, answer: &thread::Result<Result<Settled<T>>>) {
        if self.is_lost() {
            let cause = match answer {
                Ok(Err(error)) => error.again(),
                _ => ended_beneath(),
            };
            self.broken = Some(cause);
            return;
        }
        let connection = &self.baton.connection;
        let undone = match answer {
            Ok(Ok(Settled::Commit(_))) => {
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

    /// Whether one more may join.
    pub(super) fn may_grow(&self) -> bool {
        !self.ends
            && self.broken.is_none()
            && self.members < limits::GROUP_MEMBERS_MAX
            && self.begun.elapsed() < limits::GROUP_GROWS
    }

    /// How many members' writes a commit keeps.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// Ends the transaction: one commit for all, or none if nobody wrote.
    ///
    /// Whether the file is still ours is looked at last, so that nothing is acknowledged that was
    /// written into a file that is gone or whose locks were lost.
    pub(super) fn end(&mut self, author: Author<'_>) -> End {
        let end = self.try_end(author.watch);
        self.baton.held = Some((Stopwatch::start(), self.begun.elapsed()));
        match &end {
            Ok(End::Applied) if self.kept > 0 && self.purpose == Purpose::Ordinary => {
                self.baton.full = None
            }
            Err(error) if error.reason() == Reason::Full => {
                self.baton.full = Some(author.clock.now());
            }
            _ => {}
        }
        end.unwrap_or_else(|error| {
            if !self.is_lost() {
                // If this fails as well, the next who begins tries it again.
                let _ = run(&self.baton.connection, "ROLLBACK");
            }
            End::NotApplied(error)
        })
    }

    fn try_end(&mut self, watch: &Watch) -> Result<End> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        if self.kept == 0 {
            run(&self.baton.connection, "ROLLBACK")?;
            return Ok(End::Applied);
        }
        watch.look_now()?;
        let marks = self.baton.write_mark()?;
        let committed = super::commit(&self.baton.connection);
        match committed {
            Ok(()) => {
                self.baton.written = Some(marks.written);
                Ok(End::Applied)
            }
            Err(error) if leaves_doubt(&error) => Ok(End::Doubt(marks)),
            Err(error) => Err(error),
        }
    }

    /// After some errors SQLite rolls the whole transaction back by itself.
    fn is_lost(&self) -> bool {
        self.baton.connection.is_autocommit()
    }

    pub(super) fn into_baton(self) -> Baton {
        self.baton
    }
}

impl Fate {
    pub(super) fn tell(&self, fate: Result<()>) {
        *self.told.lock() = Some(fate);
        self.bell.notify_all();
    }

    /// Waits for the end of the group: for the jobs of those who joined later, and the commit.
    pub(super) fn hear(&self) -> Result<()> {
        let mut told = self.told.lock();
        loop {
            match &*told {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) => return Err(error.again()),
                None => self.bell.wait(&mut told),
            }
        }
    }
}

fn member<T>(
    connection: &Connection,
    author: Author<'_>,
    job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
) -> Result<Settled<T>> {
    // Read only now: the time in the file must not be older than the wait for it.
    let now = author.clock.now();
    let tx = WriteTx::new(connection, now, author.purpose, author.actor, author.random);
    let settled = job(&tx)?;
    if matches!(settled, Settled::Commit(_)) {
        tx.check_still_open()?;
        tx.check_ending()?;
    }
    Ok(settled)
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

fn ended_beneath() -> Error {
    Error::new(Reason::Io, "an earlier error ended the transaction; nothing of it was applied")
}
