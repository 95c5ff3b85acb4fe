//! The standing of organisations and branches.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::branch::{self, Branch, Branches};
use crate::record::organisation::{self, Organisation, Organisations};
use crate::record::watermarks::Watermarks;
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId};
use crate::value::target::Target;

impl Organisations<'_> {
    /// Makes an organisation active or inactive.
    ///
    /// Inactive ends all sessions and one-time tokens under it, for good, and suspends the API
    /// keys under it until it is active again. The same state again changes nothing.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let northern = store.organisations().create("Northern")?;
    /// let northern = store.organisations().set_active(northern.id, false)?;
    /// assert!(!northern.active);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound`, `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after
    /// which this process refuses what should have been revoked all the same.
    pub fn set_active(&self, id: OrganisationId, active: bool) -> Result<Organisation> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            let before = organisation::existing(tx, id)?;
            if before.active == active {
                return Ok(Written::Nothing(before));
            }
            organisation::set_active(tx, id, active, watermarks(tx, revocation)?)?;
            let kind = if active {
                EventKind::OrganisationActivated
            } else {
                EventKind::OrganisationDeactivated
            };
            let event = Event::new(kind).organisation(id);
            Ok(Written::With(Organisation { active, ..before }, event))
        };
        if active {
            return self.store.write(|tx| job(tx, None));
        }
        let cause = Cause::PlaceSuspended;
        let target = Target::Organisation(id);
        self.store.revoke(target, cause, |tx, revocation| job(tx, Some(revocation)))
    }
}

impl Branches<'_> {
    /// Makes a branch active or inactive.
    ///
    /// Inactive ends all sessions and one-time tokens under it, for good, and suspends the API
    /// keys under it until it is active again. The same state again changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after
    /// which this process refuses what should have been revoked all the same.
    pub fn set_active(&self, id: BranchId, active: bool) -> Result<Branch> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            let before = branch::existing(tx, id)?;
            if before.active == active {
                return Ok(Written::Nothing(before));
            }
            branch::set_active(tx, id, active, watermarks(tx, revocation)?)?;
            let kind =
                if active { EventKind::BranchActivated } else { EventKind::BranchDeactivated };
            let event = Event::new(kind).branch(id).organisation(before.organisation);
            Ok(Written::With(Branch { active, ..before }, event))
        };
        if active {
            return self.store.write(|tx| job(tx, None));
        }
        let cause = Cause::PlaceSuspended;
        let target = Target::Branch(id);
        self.store.revoke(target, cause, |tx, revocation| job(tx, Some(revocation)))
    }

    /// Moves a branch to another organisation, or to none; the next verify reports the new place.
    ///
    /// That ends no session, but one that is older than the last time all sessions of the new
    /// organisation were ended is refused there; what was ended in the old one stays ended. Under
    /// an inactive organisation everything is refused while it is inactive.
    ///
    /// # Errors
    /// `NotFound` if there is no such branch or no such organisation; `Busy`, `Full`, `Io`.
    pub fn move_to(
        &self,
        id: BranchId,
        organisation: impl Into<Option<OrganisationId>>,
    ) -> Result<Branch> {
        let to = organisation.into();
        self.store.write(|tx| {
            let before = branch::existing(tx, id)?;
            if let Some(to) = to {
                organisation::existing(tx, to)?;
            }
            if before.organisation == to {
                return Ok(Written::Nothing(before));
            }
            branch::place(tx, id, to)?;
            let event = Event::new(EventKind::BranchMoved).branch(id).organisation(to);
            Ok(Written::With(Branch { organisation: to, ..before }, event))
        })
    }
}

fn watermarks(tx: &WriteTx<'_>, revocation: Option<&Revocation>) -> Result<Watermarks> {
    revocation.map_or(Ok(Watermarks::UNCHANGED), |revocation| revocation.watermarks(tx))
}
