//! Where a user and the branches were when a row of the log was written, and which revocation of a
//! place ended a session.

use std::collections::BTreeMap;

use super::rows::{Ending, OF_PLACES, done, of_kinds, rows};
use crate::error::Result;
use crate::record::audit::AuditFilter;
use crate::record::{branch, user};
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind};
use crate::value::id::{BranchId, OrganisationId, UserId};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Branch(BranchId),
    Organisation(OrganisationId),
}

/// Considers the revocations at the place that the user was in, and the moves into a place where
/// all sessions had been revoked since `base`.
pub(super) fn by_place(
    store: &Store,
    user: UserId,
    is_trimmed: bool,
    base: i64,
    first: &mut Ending,
) -> Result<()> {
    let at_places = of_kinds(store, &OF_PLACES, base)?;
    if at_places.is_empty() {
        return Ok(());
    }
    let places = Places::of(store, user, is_trimmed)?;
    for row in &at_places {
        first.consider(row, places.is_under(place_of(row), row.seq));
    }
    let before = |row: &AuditEntry| {
        let end = row.seq;
        at_places.iter().take_while(move |revoked| revoked.seq < end)
    };
    for (kind, row) in places.of_user.iter().filter_map(done).filter(|(_, row)| row.seq > base) {
        if let (EventKind::UserMoved, Some(to)) = (kind, row.branch) {
            first.consider(row, any(before(row).map(|one| places.has_been_under(to, one, row))));
        }
    }
    for row in places.of_branches.iter().filter(|row| row.seq > base && is_move(row)) {
        let (Some(branch), Some(to)) = (row.branch, row.organisation) else { continue };
        let to = Place::Organisation(to);
        if before(row).any(|revoked| place_of(revoked) == Some(to)) {
            first.consider(row, places.is_under(Some(Place::Branch(branch)), row.seq));
        }
    }
    Ok(())
}

/// The place whose sessions a row of [`OF_PLACES`] revokes.
fn place_of(row: &AuditEntry) -> Option<Place> {
    let of_branch = [EventKind::BranchSessionsRevoked, EventKind::BranchDeactivated];
    match of_branch.iter().any(|kind| kind.name() == row.event) {
        true => row.branch.map(Place::Branch),
        false => row.organisation.map(Place::Organisation),
    }
}

fn is_branch(place: Option<Place>, branch: Option<BranchId>) -> bool {
    branch.is_some() && place == branch.map(Place::Branch)
}

fn is_move(row: &AuditEntry) -> bool {
    row.event == EventKind::BranchMoved.name()
}

/// Whether one is so; `None` if none is for certain, and one may be.
fn any(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut of_all = Some(false);
    for one in each {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => of_all = None,
        }
    }
    of_all
}

/// Where a user and the branches were: by the last row that placed them, and without one by the
/// file, if no later row moved them. The log loses its oldest rows first, so no row is missing
/// after one that it has. A restore of a backup moves without a row, so a row says nothing of what
/// was on the other side of one.
pub(super) struct Places {
    of_user: Vec<AuditEntry>,
    of_branches: Vec<AuditEntry>,
    /// The branch of the user, by the file.
    user_now: Option<Option<BranchId>>,
    /// The organisations of the branches that the user was in, by the file.
    branches_now: BTreeMap<BranchId, Option<OrganisationId>>,
    /// The rows of the restores of a backup.
    restores: Vec<i64>,
    is_trimmed: bool,
}

impl Places {
    /// Reads the file before the log: what is moved in between has its row.
    pub(super) fn of(store: &Store, user: UserId, is_trimmed: bool) -> Result<Self> {
        let user_now = store.read(|tx| user::find(tx, user))?.map(|user| user.branch);
        let of_user = rows(store, AuditFilter::new().user(user).from_library(), 0)?;
        let mut branches_now = BTreeMap::new();
        for id in of_user.iter().filter_map(|row| row.branch).chain(user_now.flatten()) {
            if let Some(found) = store.read(|tx| branch::find(tx, id))? {
                branches_now.insert(id, found.organisation);
            }
        }
        let moves = [EventKind::BranchCreated, EventKind::BranchMoved];
        let of_branches = of_kinds(store, &moves, 0)?;
        let restores = of_kinds(store, &[EventKind::StoreRestored], 0)?;
        let restores = restores.iter().map(|row| row.seq).collect();
        Ok(Self { of_user, of_branches, user_now, branches_now, restores, is_trimmed })
    }

    /// Whether the user was in this place.
    pub(super) fn is_under(&self, place: Option<Place>, seq: i64) -> Option<bool> {
        let placing = self.of_user.iter().filter_map(done).filter(|(kind, _)| {
            matches!(
                kind,
                EventKind::UserCreated
                    | EventKind::UserMoved
                    | EventKind::UserRestored
                    | EventKind::UserDeleted
            )
        });
        let near = placing.filter(|(_, row)| !self.is_restored_between(row.seq, seq));
        let (before, after): (Vec<_>, Vec<_>) = near.partition(|(_, row)| row.seq < seq);
        let branch = match (before.last(), after.first()) {
            (Some((_, row)), _) | (None, Some((EventKind::UserDeleted, row))) => Some(row.branch),
            // No row moves a user to where the user is.
            (None, Some((EventKind::UserMoved, row))) if is_branch(place, row.branch) => {
                return Some(false);
            }
            (None, Some(_)) => None,
            (None, None) => self.user_now.filter(|_| self.is_as_now(seq)),
        };
        match branch {
            Some(Some(branch)) => self.is_branch_under(branch, place, seq),
            Some(None) => Some(false),
            None => self.unless_gone(seq),
        }
    }

    /// Whether a branch was in the place of a revocation then or later, up to a move of the user: a
    /// branch keeps what was revoked in an organisation that it has left.
    fn has_been_under(
        &self,
        branch: BranchId,
        revoked: &AuditEntry,
        moved: &AuditEntry,
    ) -> Option<bool> {
        let place = place_of(revoked);
        let since = self.moves_of(branch).filter(|row| row.seq > revoked.seq);
        let since = since.take_while(|row| row.seq < moved.seq);
        let entered = since.map(|row| Some(row.organisation.map(Place::Organisation) == place));
        any(entered.chain([self.is_branch_under(branch, place, revoked.seq)]))
    }

    /// Whether a branch was this place, or in it.
    fn is_branch_under(&self, branch: BranchId, place: Option<Place>, seq: i64) -> Option<bool> {
        let organisation = match place {
            Some(Place::Organisation(id)) => id,
            Some(Place::Branch(id)) => return Some(id == branch),
            None => return Some(false),
        };
        let near = self.moves_of(branch).filter(|row| !self.is_restored_between(row.seq, seq));
        let (before, after): (Vec<_>, Vec<_>) = near.partition(|row| row.seq < seq);
        let above = match (before.last(), after.first()) {
            (Some(row), _) => Some(row.organisation),
            // As for users.
            (None, Some(row)) if row.organisation == Some(organisation) => return Some(false),
            (None, Some(_)) => None,
            (None, None) => {
                self.branches_now.get(&branch).copied().filter(|_| self.is_as_now(seq))
            }
        };
        above.map(|above| above == Some(organisation)).or_else(|| self.unless_gone(seq))
    }

    /// The rows that created a branch or moved it, in their order.
    fn moves_of(&self, branch: BranchId) -> impl Iterator<Item = &AuditEntry> {
        self.of_branches.iter().filter(move |row| row.branch == Some(branch))
    }

    /// Whether the file has had the places of today since this row, if no row says otherwise.
    fn is_as_now(&self, seq: i64) -> bool {
        !self.is_restored_between(seq, i64::MAX)
    }

    fn is_restored_between(&self, one: i64, other: i64) -> bool {
        let (first, last) = (one.min(other), one.max(other));
        self.restores.iter().any(|restored| (first..last).contains(restored))
    }

    /// Not there, if a row before this one would say otherwise.
    fn unless_gone(&self, seq: i64) -> Option<bool> {
        (!self.is_trimmed && !self.is_restored_between(0, seq)).then_some(false)
    }
}
