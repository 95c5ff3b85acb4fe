//! What ends what: the one table, and the one place that ends sessions.
//!
//! Ending all sessions of anything is one UPDATE that raises a watermark, whatever their number.
//! A session's own row is touched by its id alone.

use crate::error::Result;
use crate::record::watermarks::{Ends, Watermarks};
use crate::storage::WriteTx;

/// Why credentials end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The user changed the own password; the session in hand is renewed afterwards.
    OwnPasswordChange,
    /// Somebody else set or removed the password, or marked it compromised.
    PasswordSetByOther,
    /// A change is demanded at the next login, and the sessions shall end until then.
    ChangeDemanded,
    /// Locked by an administrator, disabled, or made pending again.
    UserSuspended,
    /// The user was deleted.
    UserDeleted,
    /// The username or the e-mail address changed.
    ContactChanged,
    /// A branch or organisation was made inactive.
    PlaceSuspended,
    /// Somebody asked for the sessions to end, and for nothing else.
    Asked,
}

impl Cause {
    /// The table of the manual, row by row. API keys are suspended by statuses, which verify reads;
    /// only a deletion ends them.
    pub(crate) const fn ends(self) -> Ends {
        let (sessions, keys, tokens) = match self {
            Self::OwnPasswordChange | Self::PasswordSetByOther => (true, false, true),
            Self::ChangeDemanded | Self::Asked => (true, false, false),
            Self::UserSuspended | Self::PlaceSuspended => (true, false, true),
            Self::UserDeleted => (true, true, true),
            Self::ContactChanged => (false, false, true),
        };
        Ends { sessions, keys, tokens }
    }

    /// The watermarks for the next UPDATE of this transaction.
    pub(crate) fn watermarks(self, tx: &WriteTx<'_>) -> Result<Watermarks> {
        Watermarks::raise(tx, self.ends())
    }
}
