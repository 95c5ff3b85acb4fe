//! Revocation: every write that revokes credentials goes through [`Store::revoke`].
//!
//! It takes the target and the cause once. On a full disk it makes room for its
//! write: it moves the write-ahead log into the file, then gives up the reserve. If the revocation
//! still cannot be written, every verify of this process refuses the target from memory
//! (`pending/denials.rs`), and the revocation is written before anything else as soon as there is
//! room.
//!
//! `cause.rs` is the table of what each cause revokes. `apply.rs` is the one implementation of each
//! target, used at once and late. The other files are the public calls that revoke and do nothing
//! else; a call that changes something besides (a status, a password) passes its change to it.

mod apply;
mod cause;
mod devices;
mod keys;
mod logout;
mod sessions;

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};
use crate::pending::denials::Denial;
use crate::record::audit::{self, Written};
use crate::record::watermarks::Watermarks;
use crate::storage::{Finished, Purpose, Storage, WriteTx};
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

    /// Revokes; `false` if there is no such target.
    pub(crate) fn apply(&self, tx: &WriteTx<'_>) -> Result<bool> {
        let marks = self.watermarks(tx)?;
        apply::apply(tx, self.target, marks)
    }

    /// The audit event of the revocation, if the call does nothing else.
    pub(crate) fn event(&self) -> Event {
        apply::event(self.target, self.cause.revokes())
    }

    /// The event of a revocation that is written without the rest of its call.
    pub(crate) fn event_alone(&self) -> Event {
        self.event().reason(self.cause.name())
    }

    /// Whether the cause revokes API keys.
    pub(crate) fn revokes_keys(&self) -> bool {
        self.cause.revokes().keys
    }

    /// The watermarks for the UPDATE that revokes together with its other changes. It must be the
    /// next statement of the transaction that writes a change row.
    pub(crate) fn watermarks(&self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        self.watermarks_of(tx, self.cause)
    }

    /// As [`Self::watermarks`], where the transaction finds that a lesser cause applies.
    pub(crate) fn watermarks_of(&self, tx: &WriteTx<'_>, cause: Cause) -> Result<Watermarks> {
        self.made.set(true);
        if self.target.has_watermarks() { cause.watermarks(tx) } else { Ok(Watermarks::UNCHANGED) }
    }
}

impl Store {
    /// As [`Store::write`], for a write that revokes `target`. The job may run up to four times.
    ///
    /// The job makes the revocation through the [`Revocation`], or finds that there is nothing to
    /// revoke and does not use it. If the write fails although the job wanted the revocation, every
    /// verify of this process refuses the target from now on.
    pub(crate) fn revoke<T>(
        &self,
        target: Target,
        cause: Cause,
        job: impl Fn(&WriteTx<'_>, &Revocation) -> Result<Written<T>>,
    ) -> Result<T> {
        // Unknown until the job has run.
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
            // An earlier revocation that waits could not be written, so the job never ran.
            match self.without_a_trace(job) {
                Ok(Written::Nothing(value)) => return Ok(value),
                Err(error) if !is_trouble(&error) => return Err(error),
                Ok(Written::With(..)) | Err(_) => {}
            }
        }
        if wanted.get().unwrap_or_else(|| self.is_permitted()) {
            self.deny(target, cause);
            // The revocation alone is less than what the job writes: it may fit. Not if a status
            // suspends keys besides, which are refused only as long as the denial waits.
            if is_full(&answer) && cause.refuses_meanwhile() == cause.revokes() {
                let _ = self.core().write_denials();
            }
        }
        answer
    }

    /// As [`Store::revoke`] if the call revokes something, as `Store::write` if not.
    pub(crate) fn revoke_if<T>(
        &self,
        revokes: Option<(Target, Cause)>,
        job: impl Fn(&WriteTx<'_>, Option<&Revocation>) -> Result<Written<T>>,
    ) -> Result<T> {
        match revokes {
            Some((target, cause)) => self.revoke(target, cause, |tx, made| job(tx, Some(made))),
            None => self.write(|tx| job(tx, None)),
        }
    }

    /// Runs a job and rolls it back.
    fn without_a_trace<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<Written<T>> {
        let actor = self.actor();
        let storage = &self.core().storage;
        storage.write(Purpose::Revocation, &actor, |tx| {
            self.check_precondition(tx)?;
            job(tx).map(Finished::Nothing)
        })
    }

    /// Whether the precondition of this handle holds, where no write could ask. If it cannot be
    /// read, nothing is denied: the caller may have no right to the target.
    fn is_permitted(&self) -> bool {
        !self.has_precondition() || self.read(|_| Ok(())).is_ok()
    }

    /// As [`Store::transact`], for the write that must precede a revocation: the charge of a
    /// password change in a session. The reserve is not given up for it, because it proves nothing
    /// yet.
    pub(crate) fn transact_before_revoking<T>(
        &self,
        job: impl Fn(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        self.making_room(&[Storage::fold_log], || self.transact_as(Purpose::Revocation, &job))
    }

    /// Writes; on a full disk, again after each way to make room that freed some.
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
        // A one-time token is used in a write, and every write makes the denials first.
        let refuses = cause.refuses_meanwhile();
        let write = move |tx: &WriteTx<'_>, target: Target| {
            // A row that cannot be read can be deleted all the same.
            let user = match apply::owner(tx, target) {
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                user => user?,
            };
            let revocation = Revocation::new(target, cause);
            if !revocation.apply(tx)? {
                return Ok(false);
            }
            let event = revocation.event_alone().user(user);
            audit::append(tx, &event)?;
            Ok(true)
        };
        let actor = self.actor();
        let ends = cause.revokes();
        let denial = Denial { target, ends, refuses, actor, write: Box::new(write) };
        self.core().pending.denials.deny(denial);
    }
}

/// The watermarks of an UPDATE that may revoke nothing.
pub(crate) fn watermarks(tx: &WriteTx<'_>, revocation: Option<&Revocation>) -> Result<Watermarks> {
    revocation.map_or(Ok(Watermarks::UNCHANGED), |revocation| revocation.watermarks(tx))
}

/// Deletes a session that is replaced by the one that this transaction opens. If the transaction
/// fails, nothing was opened and the session stays.
pub(crate) fn make_way(tx: &WriteTx<'_>, id: SessionId) -> Result<bool> {
    apply::apply(tx, Target::Session(id), Watermarks::UNCHANGED)
}

/// Whether the disk or the system kept a write out of the file.
fn is_trouble(error: &Error) -> bool {
    use ErrorKind::{CommitUnknown, Full, Io, OutOfMemory, ReadOnly};
    matches!(error.kind(), Full | Io | CommitUnknown | OutOfMemory | ReadOnly)
}

fn is_full<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Full)
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::{Arc, OnceLock};

    use parking_lot::Mutex;

    use super::*;
    use crate::options::Options;
    use crate::record::user::NewUser;
    use crate::value::event::{Actor, AuditEntry, EventKind, Observer};
    use crate::value::target::Revokes;

    /// Keeps how many denials were in force whenever a row was reported.
    #[derive(Debug, Default)]
    struct Denied {
        store: OnceLock<Store>,
        seen: Mutex<Vec<usize>>,
    }

    impl Observer for Denied {
        fn committed(&self, _: &AuditEntry) {
            let denied = self.store.get().map_or(9, |store| store.status().denied);
            self.seen.lock().push(denied);
        }
    }

    /// Otherwise it would refuse what is opened while a slow observer runs.
    #[test]
    fn a_denial_that_was_written_is_over_before_its_row_is_reported() {
        let denied = Arc::new(Denied::default());
        let store = Store::in_memory(Options::for_tests().observer(denied.clone())).unwrap();
        denied.store.set(store.clone()).unwrap();
        let write = Box::new(|tx: &WriteTx<'_>, _| {
            audit::append(tx, &Event::new(EventKind::SessionRevoked)).map(|()| true)
        });
        let all = Revokes { sessions: true, keys: true, tokens: true, trust: true };
        let denial =
            Denial { target: Target::Store, ends: all, refuses: all, actor: Actor::Host, write };
        store.core().pending.denials.deny(denial);
        assert_eq!(store.status().denied, 1);
        denied.seen.lock().clear();
        store.users().create(NewUser::person("ada")).unwrap();
        assert_eq!(*denied.seen.lock(), [0, 0]);
    }
}
