//! Writes whose rows of the audit log are reported after their commit: to the observer of the host,
//! and to `tracing`.
//!
//! The rows are kept in memory while the transaction runs, and dropped unless it was committed. The
//! report is made on the thread of the call, after the writer was handed on: no lock is held.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::Core;
use crate::error::Result;
use crate::spans;
use crate::storage::{Finished, Purpose, WriteTx};
use crate::value::event::{Actor, AuditEntry};

thread_local! {
    /// Whether an observer runs on this thread.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// While it exists, nothing that this thread writes is reported: an observer that writes would
/// otherwise be called without end.
struct Reporting;

impl Reporting {
    /// `None` if an observer runs on this thread already.
    fn begin() -> Option<Self> {
        (!REPORTING.replace(true)).then_some(Self)
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        REPORTING.set(false);
    }
}

/// The rows of the audit log that a write has committed.
#[must_use]
pub(crate) struct Appended {
    are_wanted: bool,
    rows: Vec<AuditEntry>,
}

impl Appended {
    /// Runs the job, and keeps the rows that it appended if they are to be committed.
    fn keep<T>(
        &mut self,
        tx: &WriteTx<'_>,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Finished<T>> {
        if self.are_wanted {
            tx.keep_appended();
        }
        let finished = job(tx)?;
        if matches!(finished, Finished::Commit(_)) {
            self.rows = tx.take_appended();
        }
        Ok(finished)
    }
}

impl Core {
    /// As `Storage::write`. The caller reports the rows, once nothing waits for it.
    pub(crate) fn write<T>(
        &self,
        purpose: Purpose,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<(T, Appended)> {
        let mut appended = self.nothing_appended();
        let job = |tx: &WriteTx<'_>| appended.keep(tx, job);
        let written = self.storage.write(purpose, actor, job);
        let answer = written.inspect_err(|error| spans::failed("write", error))?;
        Ok((answer, appended))
    }

    /// As `Storage::try_write`, and reports.
    pub(crate) fn try_write<T>(
        &self,
        actor: &Actor,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<Option<T>> {
        let mut appended = self.nothing_appended();
        let answer = self.storage.try_write(actor, |tx| appended.keep(tx, job))?;
        self.report(&appended);
        Ok(answer)
    }

    /// Asks the subscriber of the host before the write begins.
    fn nothing_appended(&self) -> Appended {
        let are_wanted = self.options.observer.is_some() || spans::are_rows_wanted();
        Appended { are_wanted, rows: Vec::new() }
    }

    /// Reports rows that were committed.
    pub(crate) fn report(&self, Appended { rows, .. }: &Appended) {
        if rows.is_empty() {
            return;
        }
        rows.iter().for_each(spans::committed);
        let Some(observer) = &self.options.observer else { return };
        let Some(_reporting) = Reporting::begin() else { return };
        for entry in rows {
            if catch_unwind(AssertUnwindSafe(|| observer.committed(entry))).is_err() {
                self.observer_panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
