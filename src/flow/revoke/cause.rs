//! What revokes what: the table, as one `match`.

use crate::error::Result;
use crate::flow::verify::Decision;
use crate::record::watermarks::Watermarks;
use crate::storage::WriteTx;
use crate::value::event::reasons;
use crate::value::principal::InvalidTokenReason;
use crate::value::target::Revokes;

/// The result of revoking one session.
#[expect(clippy::exhaustive_enums, reason = "complete: it was live or it was not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The call revoked it.
    Now,
    /// The token has no live session on this device: it was revoked or had expired before, or there
    /// never was one.
    Before,
}

impl Ended {
    /// The outcome to report when revoking a session whose check gave `found`; `None` if the stored
    /// row is already invalid for every process.
    ///
    /// A session that is out of time for this process may not be for another, whose clock is behind
    /// or which has seen a use that is not written yet; a suspended one would become valid again.
    /// So these rows are deleted as well.
    pub(super) fn of(found: &Decision) -> Option<Self> {
        match found {
            Ok(_) | Err(InvalidTokenReason::Suspended | InvalidTokenReason::NotYet) => {
                Some(Self::Now)
            }
            Err(InvalidTokenReason::Expired | InvalidTokenReason::Idle) => Some(Self::Before),
            Err(
                InvalidTokenReason::Malformed
                | InvalidTokenReason::Unknown
                | InvalidTokenReason::WrongDevice
                | InvalidTokenReason::Revoked,
            ) => None,
        }
    }
}

/// Why credentials are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// A caller asked for the revocation of a session or of an API key, and for nothing else.
    Asked,
    /// A caller revoked all sessions of a user, a place or the store.
    AllAsked,
    /// The user changed their own password, in a session or at a login.
    OwnPasswordChange {
        /// Whether the caller asked to revoke the API keys too.
        and_keys: bool,
    },
    /// An administrator set or removed the password, or marked it compromised.
    PasswordSetByAdministrator,
    /// A change is demanded at the next login, and the sessions are revoked until then.
    ChangeDemanded,
    /// Locked by an administrator, disabled, or made pending again.
    UserSuspended,
    /// The user was deleted.
    UserDeleted,
    /// The username or the e-mail address changed, or was confirmed once more.
    ContactChanged,
    /// The account was confirmed for the first time: until then it was not known to be its owner's,
    /// so neither were the credentials made before.
    FirstConfirmed,
    /// The user set a new password with a one-time token; API keys stay.
    PasswordReset,
    /// The same, and API keys are revoked as well.
    PasswordResetWithKeys,
    /// A pending user accepted an invitation: until then the account was not known to be its
    /// owner's.
    InvitationAccepted,
    /// A caller revoked all API keys of a user.
    ApiKeysAsked,
    /// A caller revoked all one-time tokens of a user.
    OneTimeTokensAsked,
    /// A branch or organisation was made inactive.
    PlaceSuspended,
    /// The user or an administrator changed the user's second factor or its recovery codes, or a
    /// recovery code was used.
    SecondFactorChanged,
    /// A device that the user had logged in on was forgotten.
    DeviceForgotten,
    /// A caller revoked the trust of all devices of a user.
    DeviceTrustAsked,
}

impl Cause {
    /// The table of the manual ("What revokes what"), row by row. A status suspends API keys by
    /// itself: verify reads it. Keys that were made from a session end with it, in every row.
    pub(crate) const fn revokes(self) -> Revokes {
        let (sessions, keys, tokens, trust) = match self {
            Self::Asked | Self::ChangeDemanded | Self::DeviceForgotten => {
                (true, false, false, false)
            }
            Self::OwnPasswordChange { and_keys } => (true, and_keys, true, true),
            Self::AllAsked | Self::PlaceSuspended => (true, false, true, false),
            Self::PasswordSetByAdministrator => (true, false, true, true),
            Self::PasswordReset | Self::SecondFactorChanged => (true, false, true, true),
            Self::UserSuspended => (true, false, true, true),
            Self::PasswordResetWithKeys | Self::InvitationAccepted => (true, true, true, true),
            Self::FirstConfirmed | Self::UserDeleted => (true, true, true, true),
            Self::ContactChanged | Self::OneTimeTokensAsked => (false, false, true, false),
            Self::ApiKeysAsked => (false, true, false, false),
            Self::DeviceTrustAsked => (false, false, false, true),
        };
        Revokes { sessions, keys, tokens, trust }
    }

    /// The reason in the audit log of a revocation that was written late. Those that revoke the API
    /// keys as well as the sessions are in `reasons::LATE_WITH_KEYS`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::AllAsked => "all_asked",
            Self::OwnPasswordChange { and_keys: false } => "own_password_change",
            Self::OwnPasswordChange { and_keys: true } => {
                reasons::OWN_PASSWORD_CHANGE_KEYS_REVOKED
            }
            Self::PasswordSetByAdministrator => "password_set",
            Self::ChangeDemanded => "change_demanded",
            Self::UserSuspended => "user_suspended",
            Self::UserDeleted => reasons::USER_DELETED,
            Self::ContactChanged => "contact_changed",
            Self::FirstConfirmed => reasons::FIRST_CONFIRMED,
            Self::PasswordReset => "password_reset",
            Self::PasswordResetWithKeys => reasons::PASSWORD_RESET_KEYS_REVOKED,
            Self::InvitationAccepted => reasons::INVITATION_ACCEPTED,
            Self::ApiKeysAsked => "api_keys_asked",
            Self::OneTimeTokensAsked => "one_time_tokens_asked",
            Self::PlaceSuspended => "place_suspended",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::DeviceForgotten => "device_forgotten",
            Self::DeviceTrustAsked => "device_trust_asked",
        }
    }

    /// The credentials to refuse from memory until the revocation is written. The status that
    /// suspends API keys is not written either, so they are refused as well.
    pub(super) const fn refuses_meanwhile(self) -> Revokes {
        let ends = self.revokes();
        match self {
            Self::UserSuspended | Self::PlaceSuspended => Revokes { keys: true, ..ends },
            _ => ends,
        }
    }

    /// The watermarks for the next UPDATE of this transaction.
    pub(super) fn watermarks(self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        Watermarks::raise(tx, self.revokes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Cause; 19] = [
        Cause::Asked,
        Cause::AllAsked,
        Cause::OwnPasswordChange { and_keys: false },
        Cause::OwnPasswordChange { and_keys: true },
        Cause::PasswordSetByAdministrator,
        Cause::ChangeDemanded,
        Cause::UserSuspended,
        Cause::UserDeleted,
        Cause::ContactChanged,
        Cause::FirstConfirmed,
        Cause::PasswordReset,
        Cause::PasswordResetWithKeys,
        Cause::InvitationAccepted,
        Cause::ApiKeysAsked,
        Cause::OneTimeTokensAsked,
        Cause::PlaceSuspended,
        Cause::SecondFactorChanged,
        Cause::DeviceForgotten,
        Cause::DeviceTrustAsked,
    ];

    /// A row of sessions that were revoked late says by its reason alone that keys were, too.
    #[test]
    fn the_reason_of_a_late_revocation_says_whether_it_revoked_the_keys_too() {
        for cause in ALL {
            let Revokes { sessions, keys, .. } = cause.revokes();
            let is_said = reasons::LATE_WITH_KEYS.contains(&cause.name());
            assert_eq!(is_said, sessions && keys, "{cause:?}");
        }
    }
}
