//! The sources of the audit log: who can cause a row, and how many rows are kept for them.

use crate::value::event::EventKind;
use crate::value::limits::{AUDIT_KEPT_ROWS_LEAST, AUDIT_UNAUTHENTICATED_SHARE};

/// Who caused a row of the audit log. Each source has a chain and a cap of its own, so that no
/// source can push out the rows of another.
///
/// ```
/// use gatepost::audit::AuditSource;
///
/// assert_eq!(AuditSource::ALL.len(), 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AuditSource {
    /// The library: every write, every login that was granted, and that the failed attempts on a
    /// user reached a limit that lasts a day or longer.
    Library,
    /// The host, by [`Audit::record`](super::Audit::record).
    Host,
    /// Callers that have proven nothing: refused logins and one-time tokens, requests of a password
    /// reset, and the counts of refused tokens and of logins refused without a hash. Their cap is a
    /// quarter of [`Options::audit_max_rows`](crate::Options::audit_max_rows), and at least 1,000
    /// rows.
    Unauthenticated,
}

impl AuditSource {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Library, Self::Host, Self::Unauthenticated];

    /// The number in the file.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Library => 0,
            Self::Host => 1,
            Self::Unauthenticated => 2,
        }
    }

    /// Who can cause an event of this kind.
    pub(super) const fn of(kind: EventKind) -> Self {
        use EventKind::{
            HostRecorded, LoginRefused, OneTimeTokenRefused, PasswordResetRequested, VerifyRefused,
        };
        match kind {
            LoginRefused | VerifyRefused | OneTimeTokenRefused | PasswordResetRequested => {
                Self::Unauthenticated
            }
            HostRecorded => Self::Host,
            _ => Self::Library,
        }
    }

    /// How many rows are kept, as a trigger of the file demands it too.
    pub(super) fn cap(self, audit_max_rows: u64) -> i64 {
        let rows = match self {
            Self::Library | Self::Host => audit_max_rows,
            Self::Unauthenticated => {
                (audit_max_rows / AUDIT_UNAUTHENTICATED_SHARE).max(AUDIT_KEPT_ROWS_LEAST)
            }
        };
        i64::try_from(rows).unwrap_or(i64::MAX)
    }
}
