//! Activate, deactivate and move organisations and branches.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation, watermarks};
use crate::record::audit::Written;
use crate::record::branch::{self, Branch, Branches};
use crate::record::organisation::{self, Organisation, Organisations};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId};
use crate::value::target::Target;

impl Organisations<'_> {
    /// Makes an organisation active or inactive and returns it. Writes nothing if it is so already.
    ///
    /// Inactive revokes all sessions and one-time tokens under it for good, and suspends the API
    /// keys under it until it is active again ([what revokes what](crate::manual::revocation); ASVS
    /// 7.4.2).
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// let northern = store.organisations().set_active(northern.id, false)?;
    /// assert!(!northern.active);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such organisation.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
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
        let revokes = (Target::Organisation(id), Cause::PlaceSuspended);
        self.store.revoke_if((!active).then_some(revokes), job)
    }
}

impl Branches<'_> {
    /// Makes a branch active or inactive and returns it. Writes nothing if it is so already.
    ///
    /// Inactive revokes all sessions and one-time tokens under it for good, and suspends the API
    /// keys under it until it is active again ([what revokes what](crate::manual::revocation); ASVS
    /// 7.4.2).
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?;
    /// let york = store.branches().set_active(york.id, false)?;
    /// assert!(!york.active);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
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
        let revokes = (Target::Branch(id), Cause::PlaceSuspended);
        self.store.revoke_if((!active).then_some(revokes), job)
    }

    /// Moves a branch to another organisation, or out of all with `None`, and returns it.
    ///
    /// The sessions of its users stay, and the next verify reports the new place; a session that is
    /// older than the last revocation of all sessions of the new organisation is revoked
    /// ([what revokes what](crate::manual::revocation)). What was revoked in the old organisation
    /// stays revoked. The branch takes the last revocation of all sessions of the old organisation
    /// along, even if that was before it came there: a session that is older than this revocation,
    /// and whose user moves into the branch later, is refused. Under an inactive organisation,
    /// every session and API key is refused until it
    /// is active.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?.id;
    /// let york = store.branches().create("York", None)?.id;
    /// assert_eq!(store.branches().move_to(york, northern)?.organisation, Some(northern));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch or no such
    ///   organisation.
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
