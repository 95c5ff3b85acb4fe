//! Revocation: the one door for everything that ends credentials.
//!
//! [`Store::revoke`] is told once what is revoked and why. While the disk is full it accepts the
//! write all the same and makes room for it: it moves the log into the file, then gives up the
//! reserve. A revocation that still cannot be written is denied from memory by every verify of this
//! process (`pending/denials.rs`) and written before anything else as soon as there is room.
//!
//! `cause.rs` is the table of what each cause revokes. `apply.rs` is the one implementation of each
//! target, used at once and late. The other files are the public calls that revoke and do nothing
//! else; a call that changes something besides (a status, a password) hands its change to the door.

mod apply;
mod cause;
mod devices;
mod keys;
mod logout;
mod sessions;

use std::cell::Cell;

use crate::error::{Error, Reason, Result};
use crate::pending::denials::Denial;
use crate::record::audit::{self, Source, Written};
use crate::record::watermarks::Watermarks;
use crate::storage::{Purpose, Settled, Storage, WriteTx};
use crate::store::Store;
use crate::value::event::Event;
use crate::value::id::SessionId;
use crate::value::target::Target;
pub(crate) use cause::Cause;
pub use cause::Ended;

/// A revocation that a transaction is about to make.
#[derive(Debug)]
pub(crate) struct Revocation {
    target: Target,
    cause: Cause,
    /// Whether the transaction has made it.
    made: Cell<bool>,
}

impl Revocation {
    fn new(target: Target, cause: Cause) -> Self {
        Self { target, cause, made: Cell::new(false) }
    }

    /// Revokes; answers whether there was such a target.
    pub(crate) fn apply(&self, tx: &WriteTx<'_>) -> Result<bool> {
        let marks = self.watermarks(tx)?;
        apply::apply(tx, self.target, marks)
    }

    /// What the audit log says of it, if it is all that is done.
    pub(crate) fn event(&self) -> Event {
        apply::event(self.target)
    }

    /// The watermarks of the UPDATE that revokes together with what else it changes. It is the next
    /// statement of the transaction that writes a change row.
    pub(crate) fn watermarks(&self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        self.made.set(true);
        if self.target.has_watermarks() {
            self.cause.watermarks(tx)
        } else {
            Ok(Watermarks::UNCHANGED)
        }
    }
}

impl Store {
    /// As `Store::write`, for a write that revokes `target`. It may run up to four times.
    ///
    /// The job makes the revocation through what it is handed, or finds that there is nothing to
    /// revoke and leaves it alone. If the write fails although the revocation was wanted, every
    /// verify of this process refuses the target from now on.
    pub(crate) fn revoke<T>(
        &self,
        target: Target,
        cause: Cause,
        job: impl Fn(&WriteTx<'_>, &Revocation) -> Result<Written<T>>,
    ) -> Result<T> {
        // Not known until the job has run.
        let wanted = Cell::new(None);
        let job = |tx: &WriteTx<'_>| {
            let revocation = Revocation::new(target, cause);
            let written = job(tx, &revocation);
            let is_wanted = written.as_ref().map_or_else(is_trouble, |_| revocation.made.get());
            wanted.set(Some(is_wanted));
            written
        };
        let ways = [Storage::fold_log, Storage::give_up_reserve];
        let answer = self.making_room(&ways, || self.write_as(Purpose::Revocation, job));
        if !answer.as_ref().is_err_and(is_trouble) {
            return answer;
        }
        if wanted.get().is_none() {
            // What waits to be revoked could not be written, so the job never ran.
            match self.without_a_trace(job) {
                Ok(Written::Nothing(value)) => return Ok(value),
                Err(error) if !is_trouble(&error) => return Err(error),
                Ok(Written::With(..)) | Err(_) => {}
            }
        }
        if wanted.get().unwrap_or(true) {
            self.deny(target, cause);
            // The revocation alone is less than what the job writes: it may fit. Not if a status
            // suspends keys besides, which are refused only as long as the denial waits.
            if is_full(&answer) && cause.refuses_meanwhile() == cause.ends() {
                let _ = self.core().settle_denials();
            }
        }
        answer
    }

    /// What a job comes to, and rolls it back.
    fn without_a_trace<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<Written<T>> {
        let actor = self.actor();
        let storage = &self.core().storage;
        storage.write(Purpose::Revocation, &actor, |tx| job(tx).map(Settled::Nothing))
    }

    /// As `Store::transact`, for a write without which a revocation cannot be made: the charge of a
    /// password change in a session. The reserve is not given up for it, as it proves nothing yet.
    pub(crate) fn transact_before_revoking<T>(
        &self,
        job: impl Fn(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        self.making_room(&[Storage::fold_log], || self.transact_as(Purpose::Revocation, &job))
    }

    /// Writes; while the disk is full, once more after each way to make room that did something.
    fn making_room<T>(
        &self,
        ways: &[fn(&Storage) -> bool],
        write: impl Fn() -> Result<T>,
    ) -> Result<T> {
        let mut answer = write();
        for make_room in ways {
            if is_full(&answer) && make_room(&self.core().storage) {
                answer = write();
            }
        }
        answer
    }

    fn deny(&self, target: Target, cause: Cause) {
        let refuses = cause.refuses_meanwhile();
        let reaches_any = refuses.sessions || refuses.keys;
        if !reaches_any {
            return;
        }
        let keep = self.options().audit_kept_rows;
        let write = move |tx: &WriteTx<'_>, target: Target| {
            // A row that cannot be read can be deleted all the same.
            let user = match apply::owner(tx, target) {
                Err(error) if error.reason() == Reason::Corrupt => None,
                user => user?,
            };
            let revocation = Revocation::new(target, cause);
            if !revocation.apply(tx)? {
                return Ok(false);
            }
            let event = revocation.event().user(user).reason(cause.name());
            audit::append(tx, Source::Gatepost, event.kind.name(), &event, keep)?;
            Ok(true)
        };
        let actor = self.actor();
        let ends = cause.ends();
        let denial = Denial { target, ends, refuses, actor, write: Box::new(write) };
        self.core().pending.denials.deny(denial);
    }
}

/// Deletes a session that makes way for the one that this transaction opens, or whose device is
/// forgotten by it. If the transaction fails, nothing was opened or forgotten and the session goes
/// on.
pub(crate) fn make_way(tx: &WriteTx<'_>, id: SessionId) -> Result<bool> {
    apply::apply(tx, Target::Session(id), Watermarks::UNCHANGED)
}

/// Whether a write that failed like this was kept out of the file by the disk.
fn is_trouble(error: &Error) -> bool {
    use Reason::{CommitUnknown, Full, Io, ReadOnly};
    matches!(error.reason(), Full | Io | CommitUnknown | ReadOnly)
}

fn is_full<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(|error| error.reason() == Reason::Full)
}
