//! Why a login of a user is refused, and why the keys and sessions of a user are suspended.

use super::rows::{of_kinds, rows};
use super::{AuditEvidence, Explanation, RefusalCause};
use crate::error::{ErrorKind, Result};
use crate::record::audit::{self, AuditFilter};
use crate::record::user::User;
use crate::record::{branch, credential, examine, organisation, user};
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind, PASSWORD_REMOVED, reasons};
use crate::value::id::UserId;
use crate::value::principal::UserStatus;

/// What a row of the log says of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It set the state.
    Set,
    /// It may have: a user or a place may be created in every state.
    Created,
    /// It set another state.
    Undone,
    /// A backup was restored, which may have brought every state.
    Restored,
}

/// What of a user, or of a place, refuses the user.
#[derive(Clone, Copy)]
enum State {
    /// The status that such a row sets.
    Status(EventKind),
    Deleted,
    BranchInactive,
    OrganisationInactive,
    LockedOut,
    NoPassword,
    PasswordCompromised,
    ChangeDemanded,
    PasswordExpired,
}

impl Store {
    /// What of the user, or of the user's place, refuses everything of the user.
    pub(super) fn explain_standing(&self, id: UserId) -> Result<Explanation> {
        let Some(user) = self.read(|tx| user::find(tx, id))? else {
            return self.explain_absent(id);
        };
        Ok(self.standing_of(&user)?.unwrap_or_else(|| of_user(id, RefusalCause::Accepted)))
    }

    pub(super) fn explain_login(&self, id: UserId) -> Result<Explanation> {
        let found = self.read(|tx| {
            let Some(user) = user::find(tx, id)? else { return Ok(None) };
            Ok(Some((user, credential::of(tx, id)?, examine::codes_from(tx, id)?, tx.now())))
        })?;
        let Some((user, credential, codes_from, now)) = found else {
            return self.explain_absent(id);
        };
        if let Some(explanation) = self.standing_of(&user)? {
            return Ok(explanation);
        }
        if user.is_locked_out(now) {
            let evidence = self.behind_user(id, State::LockedOut)?;
            let at = user.locked_out_until;
            return Ok(Explanation { at, evidence, ..of_user(id, RefusalCause::LockedOut) });
        }
        let (options, stored) = (self.options(), credential.as_ref());
        let expired_at = stored.and_then(|stored| stored.expired_at(options, now));
        let (cause, state, at) = match stored {
            None => (RefusalCause::NoPassword, State::NoPassword, None),
            Some(stored) if credential::lacks_key(options, &stored.phc) => {
                return Ok(of_user(id, RefusalCause::KeyMissing));
            }
            Some(stored) if stored.compromised => {
                (RefusalCause::PasswordCompromised, State::PasswordCompromised, None)
            }
            Some(stored) if stored.must_change => {
                (RefusalCause::NewPasswordRequired, State::ChangeDemanded, None)
            }
            Some(_) if expired_at.is_some() => {
                (RefusalCause::NewPasswordRequired, State::PasswordExpired, expired_at)
            }
            Some(_) if codes_from.is_some() => {
                return Ok(Explanation { at: codes_from, ..of_user(id, RefusalCause::Clock) });
            }
            Some(_) => return Ok(of_user(id, RefusalCause::Accepted)),
        };
        let evidence = self.behind_user(id, state)?;
        Ok(Explanation { at, evidence, ..of_user(id, cause) })
    }

    fn explain_absent(&self, id: UserId) -> Result<Explanation> {
        let is_stored = self.read(|tx| match user::stored(tx, id) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })?;
        let of_id = rows(self, AuditFilter::new().user(id).from_library(), 0)?;
        let says = |row: &AuditEntry| row.event == EventKind::UserDeleted.name();
        if is_stored || of_id.iter().any(says) {
            let evidence = self.behind(of_id, State::Deleted)?;
            return Ok(Explanation { evidence, ..of_user(id, RefusalCause::UserDeleted) });
        }
        let is_trimmed = self.read(audit::is_trimmed)?;
        let evidence = if is_trimmed { AuditEvidence::Trimmed } else { AuditEvidence::None };
        Ok(Explanation { evidence, ..Explanation::new(RefusalCause::Unknown) })
    }

    fn standing_of(&self, of: &User) -> Result<Option<Explanation>> {
        let by_status = match of.status {
            UserStatus::Active => None,
            UserStatus::Locked => Some((RefusalCause::UserLocked, EventKind::UserLocked)),
            UserStatus::Disabled => Some((RefusalCause::UserDisabled, EventKind::UserDisabled)),
            UserStatus::Pending => Some((RefusalCause::UserPending, EventKind::UserMadePending)),
        };
        if let Some((cause, kind)) = by_status {
            let evidence = self.behind_user(of.id, State::Status(kind))?;
            return Ok(Some(Explanation { evidence, ..of_user(of.id, cause) }));
        }
        let (place, above) = self.read(|tx| {
            let place = of.branch.map(|id| branch::find(tx, id)).transpose()?.flatten();
            let above = place.as_ref().and_then(|place| place.organisation);
            let above = above.map(|id| organisation::find(tx, id)).transpose()?.flatten();
            Ok((place, above))
        })?;
        let (cause, state) = match (&place, &above) {
            (Some(place), _) if !place.active => {
                (RefusalCause::BranchInactive, State::BranchInactive)
            }
            (_, Some(above)) if !above.active => {
                (RefusalCause::OrganisationInactive, State::OrganisationInactive)
            }
            _ => return Ok(None),
        };
        let mut of_place = of_kinds(self, &OF_ACTIVITY, 0)?;
        of_place.retain(|row| match state {
            State::BranchInactive => row.branch == of.branch,
            _ => row.organisation == above.as_ref().map(|above| above.id),
        });
        let evidence = self.behind(of_place, state)?;
        Ok(Some(Explanation { evidence, ..of_user(of.id, cause) }))
    }

    fn behind_user(&self, id: UserId, state: State) -> Result<AuditEvidence> {
        self.behind(rows(self, AuditFilter::new().user(id).from_library(), 0)?, state)
    }

    /// The row behind a state, of those about the user or the place: the last that set it. A
    /// restore keeps a state that was set before. Without such a row, or after one that set another
    /// state, the restore has brought it.
    fn behind(&self, mut all: Vec<AuditEntry>, state: State) -> Result<AuditEvidence> {
        all.extend(of_kinds(self, &[EventKind::StoreRestored], 0)?);
        all.sort_by_key(|row| row.seq);
        let is_trimmed = self.read(audit::is_trimmed)?;
        let mut last: Option<(Said, AuditEntry)> = None;
        for row in all {
            let Some(said) = state.said_by(&row) else { continue };
            // The row that set it may be among those that were trimmed.
            let may_be_set = last.as_ref().map_or(is_trimmed, |(said, _)| *said == Said::Set);
            if said != Said::Restored || !may_be_set {
                last = Some((said, row));
            }
        }
        Ok(match last {
            // Another state was set, and then this one by hand.
            Some((Said::Undone, _)) => AuditEvidence::None,
            Some((_, row)) => AuditEvidence::of(Some(row)),
            None if is_trimmed => AuditEvidence::Trimmed,
            None => AuditEvidence::None,
        })
    }
}

impl State {
    fn said_by(self, row: &AuditEntry) -> Option<Said> {
        let kind = EventKind::from_name(&row.event)?;
        if kind == EventKind::StoreRestored {
            return Some(Said::Restored);
        }
        let said = |sets: bool, undoes: bool| match (sets, undoes) {
            (true, _) => Some(Said::Set),
            (false, true) => Some(Said::Undone),
            (false, false) => None,
        };
        match (self, kind) {
            (
                Self::Status(_) | Self::NoPassword | Self::ChangeDemanded,
                EventKind::UserCreated,
            )
            | (Self::BranchInactive, EventKind::BranchCreated)
            | (Self::OrganisationInactive, EventKind::OrganisationCreated) => Some(Said::Created),
            (Self::Status(set), _) => {
                let confirms =
                    set == EventKind::UserMadePending && kind == EventKind::UserConfirmed;
                said(kind == set, confirms || sets_a_status(kind))
            }
            (Self::Deleted, _) => said(
                kind == EventKind::UserDeleted,
                matches!(kind, EventKind::UserRestored | EventKind::UserCreated),
            ),
            (Self::BranchInactive, _) => {
                said(kind == EventKind::BranchDeactivated, kind == EventKind::BranchActivated)
            }
            (Self::OrganisationInactive, _) => said(
                kind == EventKind::OrganisationDeactivated,
                kind == EventKind::OrganisationActivated,
            ),
            (Self::LockedOut, _) => {
                said(may_be_an_attempt(kind), kind == EventKind::AttemptsUnlocked)
            }
            (Self::NoPassword, _) => said(removes_password(kind, row), sets_password(kind, row)),
            (Self::PasswordExpired, _) => {
                said(sets_password(kind, row), removes_password(kind, row))
            }
            (Self::PasswordCompromised, _) => said(
                kind == EventKind::PasswordMarkedCompromised,
                sets_password(kind, row) || removes_password(kind, row),
            ),
            (Self::ChangeDemanded, _) => said(
                kind == EventKind::PasswordChangeRequired,
                sets_password(kind, row) || removes_password(kind, row),
            ),
        }
    }
}

/// The rows that create a place, or make it active or inactive.
const OF_ACTIVITY: [EventKind; 6] = [
    EventKind::BranchCreated,
    EventKind::BranchActivated,
    EventKind::BranchDeactivated,
    EventKind::OrganisationCreated,
    EventKind::OrganisationActivated,
    EventKind::OrganisationDeactivated,
];

/// Whether a user has another status than before after such a row.
const fn sets_a_status(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::UserActivated
            | EventKind::UserMadePending
            | EventKind::UserLocked
            | EventKind::UserDisabled
            | EventKind::InvitationAccepted
    )
}

/// Whether such a row may be of an attempt that counts.
const fn may_be_an_attempt(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::AttemptsThrottled
            | EventKind::LoginRefused
            | EventKind::PasswordChangeRefused
            | EventKind::SessionProofRefused
            | EventKind::SecondFactorRefused
    )
}

fn sets_password(kind: EventKind, row: &AuditEntry) -> bool {
    match kind {
        EventKind::LoginGranted => row.reason.as_deref().is_some_and(reasons::sets_password),
        EventKind::UserCreated
        | EventKind::FirstAdministratorCreated
        | EventKind::InvitationAccepted
        | EventKind::PasswordSet
        | EventKind::PasswordChanged
        | EventKind::PasswordReset => true,
        _ => false,
    }
}

fn removes_password(kind: EventKind, row: &AuditEntry) -> bool {
    let has_removed = row.detail.as_deref() == Some(PASSWORD_REMOVED);
    kind == EventKind::PasswordRemoved || (kind == EventKind::UserConfirmed && has_removed)
}

fn of_user(id: UserId, cause: RefusalCause) -> Explanation {
    Explanation { user: Some(id), ..Explanation::new(cause) }
}
