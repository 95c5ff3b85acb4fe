//! What revokes what: the table, as one `match`.

use crate::error::Result;
use crate::flow::verify::Decision;
use crate::record::watermarks::Watermarks;
use crate::storage::WriteTx;
use crate::value::facts::RefusalReason;
use crate::value::target::Ends;

/// What ending a session came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use]
pub enum Ended {
    /// It has ended now.
    Now,
    /// There was no live session to end: it had ended before, or was never known.
    Before,
}

impl Ended {
    /// What revoking a session comes to whose check gave `found`; `None` if the stored row is
    /// already over for every process.
    ///
    /// A session that is out of time for this process may not be for another, whose clock is behind
    /// or which has seen a use that is not written yet; one that is suspended would come back. So
    /// these rows are deleted as well.
    pub(super) fn of(found: &Decision) -> Option<Self> {
        match found {
            Ok(_) | Err(RefusalReason::Suspended | RefusalReason::NotYet) => Some(Self::Now),
            Err(RefusalReason::Expired | RefusalReason::Idle) => Some(Self::Before),
            Err(
                RefusalReason::Malformed
                | RefusalReason::Unknown
                | RefusalReason::WrongDevice
                | RefusalReason::Revoked,
            ) => None,
        }
    }
}

/// Why credentials are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// A caller asked for the revocation, and for nothing else.
    Asked,
    /// The user changed the own password, in a session or at a login.
    OwnPasswordChange,
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
    /// A branch or organisation was made inactive.
    PlaceSuspended,
    /// A device that the user had logged in on was forgotten.
    DeviceForgotten,
}

impl Cause {
    /// The table of the manual ("What revokes what"), row by row. API keys are suspended by
    /// statuses, which verify reads.
    pub(crate) const fn ends(self) -> Ends {
        let (sessions, keys, tokens) = match self {
            Self::Asked | Self::ChangeDemanded | Self::DeviceForgotten => (true, false, false),
            Self::OwnPasswordChange | Self::PasswordSetByAdministrator => (true, false, true),
            Self::UserSuspended | Self::PlaceSuspended => (true, false, true),
            Self::FirstConfirmed | Self::UserDeleted => (true, true, true),
            Self::ContactChanged => (false, false, true),
        };
        Ends { sessions, keys, tokens }
    }

    /// The reason that the audit log gives for a revocation which was written late.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::OwnPasswordChange => "own_password_change",
            Self::PasswordSetByAdministrator => "password_set",
            Self::ChangeDemanded => "change_demanded",
            Self::UserSuspended => "user_suspended",
            Self::UserDeleted => "user_deleted",
            Self::ContactChanged => "contact_changed",
            Self::FirstConfirmed => "first_confirmed",
            Self::PlaceSuspended => "place_suspended",
            Self::DeviceForgotten => "device_forgotten",
        }
    }

    /// What is refused from memory while the revocation is not written. The status that suspends
    /// API keys is not written either, so they are refused as well.
    pub(super) const fn refuses_meanwhile(self) -> Ends {
        let ends = self.ends();
        match self {
            Self::UserSuspended | Self::PlaceSuspended => Ends { keys: true, ..ends },
            _ => ends,
        }
    }

    /// The watermarks for the next UPDATE of this transaction.
    pub(crate) fn watermarks(self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        Watermarks::raise(tx, self.ends())
    }
}
