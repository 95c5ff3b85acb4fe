//! What the export of a user has of the second factor beside the factor itself.

use crate::error::Result;
use crate::storage::{ReadTx, params};
use crate::value::id::{SessionId, UserId};
use crate::value::time::Timestamp;
use crate::value::totp::TotpAlgorithm;

/// An enrolment of a second factor that is not confirmed, without its secret; in
/// [`PersonalData`](crate::directory::PersonalData).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct UnfinishedEnrolment {
    /// The hash function of its codes.
    pub algorithm: TotpAlgorithm,
    /// The number of digits of its codes.
    pub digits: u8,
    /// The session in which it was begun.
    pub session: SessionId,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// The first moment at which it can no longer be confirmed.
    pub expires_at: Timestamp,
}

/// The enrolment of a user, also one that can no longer be confirmed.
pub(crate) fn enrolment_of(tx: &ReadTx<'_>, user: UserId) -> Result<Option<UnfinishedEnrolment>> {
    tx.one(
        "SELECT algorithm, digits, session_id, begun_at, expires_at FROM totp_enrolment
         WHERE user_id = ?1",
        params![user],
        |row| {
            Ok(UnfinishedEnrolment {
                algorithm: row.get(0)?,
                digits: row.get(1)?,
                session: row.get(2)?,
                begun_at: row.get(3)?,
                expires_at: row.get(4)?,
            })
        },
    )
}

/// When the recovery codes that are left were issued.
pub(crate) fn recovery_codes_issued_at(
    tx: &ReadTx<'_>,
    user: UserId,
) -> Result<Option<Timestamp>> {
    tx.exactly_one(
        "SELECT max(issued_at) FROM recovery_code WHERE user_id = ?1",
        params![user],
        |row| row.get(0),
    )
}
