//! Resolving a commit that failed half way, and checkpoints of the WAL, including those that fail.
//!
//! **Resolution.** No reader sees a commit whose write or flush failed, but its pages may be in
//! the WAL and become valid when the WAL is recovered after a power loss. Another commit in their
//! place, the fence, decides the outcome once the fence and the whole WAL are known to be in the
//! main file; only then the members of the group get their results. Opening the file again beside
//! other connections would decide nothing.

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
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// The files of a writer; an in-memory writer has none.
#[derive(Debug)]
pub(super) struct WalFile {
    files: Files,
}

impl WalFile {
    pub(super) fn new(files: Files) -> Self {
        Self { files }
    }

    /// Finds out whether the commit in doubt was applied, and makes that outcome permanent with a
    /// fence.
    ///
    /// The writer continues with a new connection: the old one has a state of the WAL that its
    /// failed commit left.
    pub(super) fn resolve(&self, baton: &mut Baton, doubt: &mut Doubt) -> Result<CommitOutcome> {
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

    /// Checkpoints the WAL once it is longer than [`limits::WAL_KEPT_BYTES`].
    ///
    /// Only the next commit after a complete checkpoint begins the WAL again and truncates it, so
    /// its length on disk shows when a checkpoint is due. Pages that readers need stay in the WAL,
    /// and where readers overlap some always do; so once the WAL is longer than
    /// [`limits::WAL_LONG_BYTES`], a `patient` caller waits for the readers.
    pub(super) fn keep_short(&self, baton: &mut Baton, patient: bool) {
        self.checkpoint(baton, patient && self.is_longer(limits::WAL_LONG_BYTES));
    }

    /// Checkpoints the WAL at any length: for a write that needs its room.
    pub(super) fn make_room(&self, baton: &mut Baton) {
        self.checkpoint(baton, true);
    }

    /// Moves all of the WAL into the main file and cuts it to zero bytes; `false` if a reader or
    /// the disk kept it from that.
    pub(super) fn empty(&self, baton: &mut Baton) -> bool {
        let wait = limits::LOG_EMPTYING_WAIT;
        match connection::checkpoint(&baton.connection, Checkpoint::Truncate, wait) {
            Ok(()) => true,
            Err(error) => {
                baton.must_be_replaced |= error.kind() != ErrorKind::Busy;
                false
            }
        }
    }

    /// Checkpoints the WAL. If `waits`, also waits for readers, so that the next commit begins the
    /// WAL again.
    fn checkpoint(&self, baton: &mut Baton, waits: bool) {
        if try_checkpoint(baton, waits).is_err() {
            // After a failed checkpoint the connection may be wrong about what has reached the
            // main file.
            baton.must_be_replaced = true;
        }
    }

    /// While the disk is full, refuses ordinary writes; once in [`limits::FULL_PROBE_MS`] one of
    /// them checks whether there is room again.
    pub(super) fn check_room(&self, baton: &mut Baton, author: Author<'_>) -> Result<()> {
        let Some(found) = baton.full.filter(|_| author.purpose == Purpose::Ordinary) else {
            return Ok(());
        };
        let now = author.clock.moment().wall;
        let since = now.as_millis().saturating_sub(found.as_millis());
        // A clock that was set back since then prolongs no refusal.
        if since.unsigned_abs() >= limits::FULL_PROBE_MS.unsigned_abs() {
            if guard::has_room(&self.files.main, limits::FULL_ROOM_BYTES) {
                return Ok(());
            }
            baton.full = Some(now);
        }
        Err(Error::new(ErrorKind::Full, "the disk that holds the file was full a moment ago"))
    }

    /// Replaces a connection whose checkpoint failed.
    pub(super) fn renew(&self, baton: &mut Baton) -> Result<()> {
        if baton.must_be_replaced {
            replace(&self.files.main, baton)?;
        }
        Ok(())
    }

    /// Whether the WAL is longer than [`limits::WAL_KEPT_BYTES`].
    pub(super) fn is_long(&self) -> bool {
        self.is_longer(limits::WAL_KEPT_BYTES)
    }

    /// The path of the main file.
    pub(super) fn path(&self) -> &Path {
        &self.files.main
    }

    pub(super) fn length(&self) -> u64 {
        files::length(&self.files.wal)
    }

    fn is_longer(&self, bytes: i64) -> bool {
        self.length() > u64::try_from(bytes).unwrap_or(0)
    }
}

/// Moves most pages with a passive checkpoint, while other processes can write; only the rest is
/// moved, and readers waited for, with the write lock.
fn try_checkpoint(baton: &mut Baton, waits: bool) -> Result<()> {
    connection::checkpoint(&baton.connection, Checkpoint::Passive, Duration::ZERO)?;
    let has_waited = baton.blocked.is_some_and(|at| at.elapsed() < limits::WAL_READERS_RETRY);
    if !waits || has_waited {
        return Ok(());
    }
    let wait = limits::WAL_READERS_WAIT;
    baton.blocked = match connection::checkpoint(&baton.connection, Checkpoint::Restart, wait) {
        Err(error) if error.kind() == ErrorKind::Busy => Some(Stopwatch::start()),
        moved => moved.map(|()| None)?,
    };
    Ok(())
}

/// Replaces the connection. The new one is opened before the old one is closed: the last
/// connection to close would drop the locks of the process.
fn replace(path: &Path, baton: &mut Baton) -> Result<()> {
    let fresh = connection::for_writer(path)?;
    let old = std::mem::replace(&mut baton.connection, fresh);
    baton.must_be_replaced = false;
    if !old.is_autocommit() {
        // Closing the connection rolls back as well.
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

/// The error of a commit that failed with `kind` and was not applied.
pub(super) fn not_applied(kind: ErrorKind) -> Error {
    if kind == ErrorKind::OutOfMemory {
        let what = "there was not enough memory for a commit; nothing of it was applied";
        return Error::new(ErrorKind::OutOfMemory, what);
    }
    let what = "a commit failed with an input or output error; nothing of it was applied";
    Error::new(ErrorKind::Io, what)
}

pub(super) fn unknown() -> Error {
    Error::new(
        ErrorKind::CommitUnknown,
        "a commit failed with an input or output error, and it may or may not have been applied",
    )
}

/// The error of a write that was not begun, so that it is not in doubt itself.
pub(crate) fn not_begun() -> Error {
    Error::new(ErrorKind::Io, "an earlier commit is in doubt; nothing of this write was applied")
        .advising(
            "Open the store again on the same path, which resolves the earlier commit; then \
             repeat this write.",
        )
}
