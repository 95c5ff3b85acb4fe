//! What is done about a commit that failed half way, and about a log that cannot be checkpointed.
//!
//! A commit whose write or flush failed is not seen by anyone, but its pages may stand in the log
//! and come back when the log is read after a power loss. Another commit in their place decides
//! it, once it and the whole log are known to be in the file itself. Only then the members of the
//! group are told. Opening the file anew beside other connections would decide nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::super::connection::{self, Checkpoint, Stopwatch};
use super::super::files::{self, Files};
use super::super::guard;
use super::super::transaction::{Purpose, select_one};
use super::Author;
use super::doubt::{CommitOutcome, Doubt};
use super::group::{Baton, Mark, run, write_mark};
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// What only a writer of a file needs, and one in memory does not.
#[derive(Debug)]
pub(super) struct Log {
    files: Files,
}

impl Log {
    pub(super) fn new(files: Files) -> Self {
        Self { files }
    }

    /// Finds out whether the file holds the commit in doubt, and makes the answer true for ever.
    ///
    /// The writer goes on with a new connection: what the old one believes of the log is what its
    /// failed commit left.
    pub(super) fn settle(&self, baton: &mut Baton, doubt: &mut Doubt) -> Result<CommitOutcome> {
        let waiting = Stopwatch::start();
        replace(&self.files.main, baton)?;
        baton.begin(waiting, limits::WRITE_WAIT)?;
        let fence = baton.next_mark();
        let fenced = fence_in(&baton.connection, doubt, fence);
        if fenced.is_err() && !baton.connection.is_autocommit() {
            let _ = run(&baton.connection, "ROLLBACK");
        }
        let outcome = fenced?;
        let left = waiting.left_of(limits::WRITE_WAIT);
        connection::checkpoint(&baton.connection, Checkpoint::Truncate, left)?;
        Ok(outcome)
    }

    /// Moves the log into the file once it is longer than what is kept of it.
    ///
    /// Only the next commit after a whole checkpoint begins the log anew and cuts it back, so its
    /// size on disk tells when it is time. What readers still need stays in the log, and where they
    /// take turns some of it always does; so once it is long they are waited for, if `patient`.
    pub(super) fn keep_short(&self, baton: &mut Baton, patient: bool) {
        self.fold(baton, patient && self.is_longer(limits::WAL_LONG_BYTES));
    }

    /// As [`Log::keep_short`], however short it is: for who needs its room.
    pub(super) fn make_room(&self, baton: &mut Baton) {
        self.fold(baton, true);
    }

    /// Moves the log into the file; if `waits`, such that the next commit begins it anew, unless a
    /// reader does not let go of it in time.
    fn fold(&self, baton: &mut Baton, waits: bool) {
        if try_fold(baton, waits).is_err() {
            // It may be wrong by now about what has reached the file.
            baton.is_worn = true;
        }
    }

    /// While the disk is full, only revocations are let through; now and then an ordinary write may
    /// try whether there is room again.
    pub(super) fn check_room(&self, baton: &mut Baton, author: Author<'_>) -> Result<()> {
        let Some(found) = baton.full.filter(|_| author.purpose == Purpose::Ordinary) else {
            return Ok(());
        };
        let now = author.clock.now();
        let since = now.as_millis().saturating_sub(found.as_millis());
        if since >= limits::FULL_PROBE_MS {
            if guard::has_room(&self.files.main, limits::FULL_ROOM_BYTES) {
                return Ok(());
            }
            baton.full = Some(now);
        }
        Err(Error::new(Reason::Full, "the disk was full a moment ago"))
    }

    /// Replaces a connection whose checkpoint failed.
    pub(super) fn renew(&self, baton: &mut Baton) -> Result<()> {
        if baton.is_worn {
            replace(&self.files.main, baton)?;
        }
        Ok(())
    }

    /// Longer than what is kept of it.
    pub(super) fn is_long(&self) -> bool {
        self.is_longer(limits::WAL_KEPT_BYTES)
    }

    pub(super) fn length(&self) -> u64 {
        files::length(&self.files.wal)
    }

    fn is_longer(&self, bytes: i64) -> bool {
        self.length() > u64::try_from(bytes).unwrap_or(0)
    }
}

/// Most is moved while others can write; only the rest is moved, and waited for, while nobody can.
fn try_fold(baton: &mut Baton, waits: bool) -> Result<()> {
    connection::checkpoint(&baton.connection, Checkpoint::Passive, Duration::ZERO)?;
    let rests = baton.blocked.is_some_and(|at| at.elapsed() < limits::WAL_READERS_RETRY);
    if !waits || rests {
        return Ok(());
    }
    let wait = limits::WAL_READERS_WAIT;
    baton.blocked = match connection::checkpoint(&baton.connection, Checkpoint::Restart, wait) {
        Err(error) if error.reason() == Reason::Busy => Some(Stopwatch::start()),
        moved => moved.map(|()| None)?,
    };
    Ok(())
}

/// The new connection is opened before the old one is closed: the last one to close would drop
/// the locks of the process.
fn replace(path: &Path, baton: &mut Baton) -> Result<()> {
    let fresh = connection::for_writer(path)?;
    let old = std::mem::replace(&mut baton.connection, fresh);
    baton.is_worn = false;
    if !old.is_autocommit() {
        // Closing it rolls back as well.
        let _ = run(&old, "ROLLBACK");
    }
    drop(old);
    Ok(())
}

fn fence_in(connection: &Connection, doubt: &mut Doubt, fence: Mark) -> Result<CommitOutcome> {
    let sql = "SELECT last_group FROM store WHERE id = 1";
    let found: Option<Option<Mark>> = select_one(connection, sql, [], |row| row.get(0))?;
    let outcome = doubt.outcome(found.flatten());
    doubt.fence(fence, outcome);
    write_mark(connection, fence)?;
    super::commit(connection)?;
    Ok(outcome)
}

pub(super) fn unknown() -> Error {
    Error::new(
        Reason::CommitUnknown,
        "a commit failed with an input or output error and may or may not hold",
    )
}

/// Nothing of this write was begun, so that it is not in doubt itself.
pub(crate) fn not_begun() -> Error {
    Error::new(Reason::Io, "an earlier commit is in doubt; nothing of this write was applied")
        .advising(
            "Open the store again on the same path, which settles the earlier commit; then repeat \
             this write.",
        )
}
