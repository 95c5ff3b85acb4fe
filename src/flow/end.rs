//! How something is ended when the disk is full, or cannot be written.
//!
//! An end is tried again once the log was moved into the file, so that its room is used anew, and
//! once more after the reserve was given up. If it still cannot be written it is refused from
//! memory (`denied.rs`), and the caller is told that it is not in the file.

use crate::denied::{Denial, Whom};
use crate::error::{Reason, Result};
use crate::flow::revoke::Cause;
use crate::record::audit::{self, Source, Written};
use crate::record::proof::{Holder, Proof};
use crate::record::watermarks::{Ends, Watermarks};
use crate::record::{branch, organisation, session, store, user};
use crate::storage::{Storage, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};

impl Store {
    /// As `Store::write`, for what ends the sessions of `whom`.
    ///
    /// The job may run up to three times. If the disk lets none of them hold, what it would have
    /// ended is refused in this process from now on.
    pub(crate) fn end<T>(
        &self,
        whom: Whom,
        cause: Cause,
        job: impl Fn(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<T> {
        let mut answer = self.write_ending(&job);
        for make_room in [Storage::fold_log, Storage::give_up_reserve] {
            if is_full(&answer) && make_room(&self.core().storage) {
                answer = self.write_ending(&job);
            }
        }
        let in_trouble = |reason| {
            matches!(reason, Reason::Full | Reason::Io | Reason::CommitUnknown | Reason::ReadOnly)
        };
        if answer.as_ref().is_err_and(|error| in_trouble(error.reason())) {
            self.core().denied.deny(self.denial(whom, cause));
        }
        answer
    }

    fn denial(&self, whom: Whom, cause: Cause) -> Denial {
        let ends = cause.ends();
        let keep = self.options().audit_kept_rows;
        let write = move |tx: &WriteTx<'_>| {
            let Some(event) = end(tx, whom, ends)? else {
                return Ok(false);
            };
            audit::append(tx, Source::Gatepost, event.kind.name(), &event, keep)?;
            Ok(true)
        };
        // Until then they are suspended as well: the status that would say so is not written.
        let keys = ends.keys || matches!(cause, Cause::UserSuspended | Cause::PlaceSuspended);
        Denial { whom, keys, write: Box::new(write) }
    }
}

fn is_full<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(|error| error.reason() == Reason::Full)
}

/// Ends it late; answers what to record, or nothing if it is gone by now.
fn end(tx: &WriteTx<'_>, whom: Whom, ends: Ends) -> Result<Option<Event>> {
    let (ended, event) = match whom {
        Whom::Session(id) => {
            (session::delete(tx, id)?, Event::new(EventKind::SessionEnded).session(id))
        }
        Whom::User(id) => (
            user::raise(tx, id, Watermarks::raise(tx, ends)?)?,
            Event::new(EventKind::UserSessionsEnded).user(id),
        ),
        Whom::Others(id, kept) => {
            // Kept only if it lives: nothing that has ended may come back.
            let lives = Proof::of(tx, Holder::Session(kept))?.is_some_and(|proof| proof.current);
            let raised = user::raise(tx, id, Watermarks::raise(tx, ends)?)?;
            if lives {
                session::keep(tx, kept)?;
            }
            (raised, Event::new(EventKind::SessionOthersEnded).user(id).session(kept))
        }
        Whom::Branch(id) => (
            branch::raise(tx, id, Watermarks::raise(tx, ends)?)?,
            Event::new(EventKind::BranchSessionsEnded).branch(id),
        ),
        Whom::Organisation(id) => (
            organisation::raise(tx, id, Watermarks::raise(tx, ends)?)?,
            Event::new(EventKind::OrganisationSessionsEnded).organisation(id),
        ),
        Whom::Everyone => {
            store::raise(tx, Watermarks::raise(tx, ends)?)?;
            (true, Event::new(EventKind::StoreSessionsEnded))
        }
    };
    Ok(ended.then_some(event))
}
