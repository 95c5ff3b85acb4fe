//! Writes without a flush of the disk, for a verify that writes last uses of sessions.
//!
//! A connection of its own commits them (`synchronous=NORMAL`), so that no other write can lose its
//! flush. A power loss may undo such a write, and never a part of it or an earlier write; the flush
//! of the next other commit includes it. It has no mark and leaves no doubt: if it fails, its last
//! frame, which would make it valid, was not written.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rusqlite::Connection;

use super::super::connection::{for_unsynced_writes, wal_goes_on};
use super::super::migrate::check_schema_since;
use super::super::transaction::{Finished, WriteTx};
use super::group::{Baton, member, run};
use super::resolve::WalFile;
use super::{Author, Writer};
use crate::error::{ErrorKind, Result};

impl Writer {
    /// As [`Writer::try_write`], without a flush. Returns `None` also if the disk was full, a
    /// commit is in doubt, or the WAL is about to begin again or to be checkpointed: all of that
    /// is left to a write that may wait for the disk.
    pub(crate) fn try_write_unsynced<T>(
        &self,
        author: Author<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Option<T>> {
        let Some(log) = &self.log else {
            return self.try_write(author, job);
        };
        let Some(mut baton) = self.queue.try_enter() else {
            return Ok(None);
        };
        let needs_disk = baton.full.is_some() || baton.must_be_replaced || log.is_long();
        if needs_disk || self.doubts.is_open() {
            self.queue.hand_on(baton);
            return Ok(None);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| write(log, &mut baton, author, job)));
        self.queue.hand_on(baton);
        answer.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Keeps the connection for the next time only if nothing failed on it.
fn write<T>(
    log: &WalFile,
    baton: &mut Baton,
    author: Author<'_>,
    job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
) -> Result<Option<T>> {
    let unsynced = match baton.unsynced.take() {
        Some(unsynced) => unsynced,
        None => for_unsynced_writes(log.path())?,
    };
    let written = match run(&unsynced, "BEGIN IMMEDIATE") {
        Ok(()) => commit(&unsynced, baton, author, job),
        Err(error) if error.kind() == ErrorKind::Busy => Ok(None),
        Err(error) => Err(error),
    }?;
    if !unsynced.is_autocommit() {
        run(&unsynced, "ROLLBACK")?;
    }
    baton.unsynced = Some(unsynced);
    Ok(written)
}

/// Runs the job and commits, unless the commit would flush.
fn commit<T>(
    unsynced: &Connection,
    baton: &mut Baton,
    author: Author<'_>,
    job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
) -> Result<Option<T>> {
    if let Some(checked) = baton.schema {
        baton.schema = Some(check_schema_since(unsynced, checked)?);
    }
    if !wal_goes_on(&baton.connection)? {
        return Ok(None);
    }
    let finished = member(unsynced, author, job)?;
    author.watch.check_now()?;
    match finished {
        Finished::Nothing(_) => Ok(None),
        Finished::Commit(value) => run(unsynced, "COMMIT").map(|()| Some(value)),
    }
}
