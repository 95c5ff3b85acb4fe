//! Why a login of a user is refused, and why the keys and sessions of a user are suspended.

use super::rows::rows;
use super::{AuditEvidence, Explanation, RefusalCause};
use crate::error::{ErrorKind, Result};
use crate::record::audit::{self, AuditFilter};
use crate::record::user::User;
use crate::record::{branch, credential, examine, organisation, user};
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind, reasons};
use crate::value::id::UserId;
use crate::value::principal::UserStatus;

/// What `users().confirm_and_remove_password` adds to its row, if there was a password.
const PASSWORD_REMOVED: &str = "password removed";

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
            let kinds = [EventKind::AttemptsThrottled, EventKind::LoginRefused];
            let evidence = self.last_of_user(id, &kinds)?;
            let at = user.locked_out_until;
            return Ok(Explanation { at, evidence, ..of_user(id, RefusalCause::LockedOut) });
        }
        let (options, stored) = (self.options(), credential.as_ref());
        let expired_at = stored.and_then(|stored| stored.expired_at(options, now));
        let (cause, kinds): (_, &[EventKind]) = match stored {
            None => (
                RefusalCause::NoPassword,
                &[EventKind::PasswordRemoved, EventKind::UserConfirmed, EventKind::UserCreated],
            ),
            Some(stored) if credential::lacks_key(options, &stored.phc) => {
                return Ok(of_user(id, RefusalCause::KeyMissing));
            }
            Some(stored) if stored.compromised => {
                (RefusalCause::PasswordCompromised, &[EventKind::PasswordMarkedCompromised])
            }
            Some(stored) if stored.must_change => (
                RefusalCause::NewPasswordRequired,
                &[EventKind::PasswordChangeRequired, EventKind::UserCreated],
            ),
            Some(_) if expired_at.is_some() => {
                let (at, evidence) = (expired_at, self.setting_of_password(id)?);
                let expired = of_user(id, RefusalCause::NewPasswordRequired);
                return Ok(Explanation { at, evidence, ..expired });
            }
            Some(_) if codes_from.is_some() => {
                return Ok(Explanation { at: codes_from, ..of_user(id, RefusalCause::Clock) });
            }
            Some(_) => return Ok(of_user(id, RefusalCause::Accepted)),
        };
        Ok(Explanation { evidence: self.last_of_user(id, kinds)?, ..of_user(id, cause) })
    }

    fn explain_absent(&self, id: UserId) -> Result<Explanation> {
        let evidence = self.last_of_user(id, &[EventKind::UserDeleted])?;
        let is_stored = self.read(|tx| match user::stored(tx, id) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })?;
        if evidence.row().is_some() || is_stored {
            return Ok(Explanation { evidence, ..of_user(id, RefusalCause::UserDeleted) });
        }
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
            // A user may be created in every status.
            let evidence = self.last_of_user(of.id, &[kind, EventKind::UserCreated])?;
            return Ok(Some(Explanation { evidence, ..of_user(of.id, cause) }));
        }
        let (place, above) = self.read(|tx| {
            let place = of.branch.map(|id| branch::find(tx, id)).transpose()?.flatten();
            let above = place.as_ref().and_then(|place| place.organisation);
            let above = above.map(|id| organisation::find(tx, id)).transpose()?.flatten();
            Ok((place, above))
        })?;
        let (cause, kind) = match (&place, &above) {
            (Some(place), _) if !place.active => {
                (RefusalCause::BranchInactive, EventKind::BranchDeactivated)
            }
            (_, Some(above)) if !above.active => {
                (RefusalCause::OrganisationInactive, EventKind::OrganisationDeactivated)
            }
            _ => return Ok(None),
        };
        let branch = place.map(|place| place.id);
        let organisation = above.map(|above| above.id);
        let all = rows(self, AuditFilter::new().kind(kind), 0)?;
        let evidence = self.last_where(all, |row| match kind {
            EventKind::BranchDeactivated => row.branch == branch,
            _ => row.organisation == organisation,
        })?;
        Ok(Some(Explanation { evidence, ..of_user(of.id, cause) }))
    }

    /// The last row about a user that has one of these kinds.
    fn last_of_user(&self, id: UserId, kinds: &[EventKind]) -> Result<AuditEvidence> {
        let all = rows(self, AuditFilter::new().user(id).from_library(), 0)?;
        self.last_where(all, |row| {
            let is_kind = kinds.iter().any(|kind| kind.name() == row.event);
            // The only confirmation that is asked for is the one that removed the password.
            let is_confirmed = row.event == EventKind::UserConfirmed.name();
            let has_removed = row.detail.as_deref() == Some(PASSWORD_REMOVED);
            is_kind && (!is_confirmed || has_removed)
        })
    }

    /// The row that set the password of the user.
    fn setting_of_password(&self, id: UserId) -> Result<AuditEvidence> {
        let all = rows(self, AuditFilter::new().user(id).from_library(), 0)?;
        self.last_where(all, |row| match EventKind::from_name(&row.event) {
            Some(EventKind::LoginGranted) => {
                let reason = row.reason.as_deref();
                let sets = [reasons::PASSWORD_CHANGED, reasons::PASSWORD_CHANGED_KEYS_REVOKED];
                reason.is_some_and(|reason| sets.contains(&reason))
            }
            Some(
                EventKind::UserCreated
                | EventKind::FirstAdministratorCreated
                | EventKind::InvitationAccepted
                | EventKind::PasswordSet
                | EventKind::PasswordChanged
                | EventKind::PasswordReset,
            ) => true,
            _ => false,
        })
    }

    fn last_where(
        &self,
        all: Vec<AuditEntry>,
        is_it: impl Fn(&AuditEntry) -> bool,
    ) -> Result<AuditEvidence> {
        let last = all.into_iter().filter(|row| is_it(row)).last();
        if last.is_none() && self.read(audit::is_trimmed)? {
            return Ok(AuditEvidence::Trimmed);
        }
        Ok(AuditEvidence::of(last))
    }
}

fn of_user(id: UserId, cause: RefusalCause) -> Explanation {
    Explanation { user: Some(id), ..Explanation::new(cause) }
}
