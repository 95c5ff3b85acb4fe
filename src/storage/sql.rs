//! Conversion of value types to SQL and back: ids and digests as BLOBs, times as INTEGER
//! milliseconds, closed lists of words as TEXT.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::value::digest::{DeviceDigest, Digest};
use crate::value::id::{ApiKeyId, BranchId, OneTimeTokenId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

macro_rules! blob {
    ($($type:ident, $bytes:literal;)*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; $bytes]>::column_result(value).map(Self::from_bytes)
            }
        }
    )*};
}

blob! {
    ApiKeyId, 16;
    BranchId, 16;
    DeviceDigest, 16;
    Digest, 32;
    OneTimeTokenId, 16;
    OrganisationId, 16;
    SessionId, 16;
    UserId, 16;
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_millis().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_millis)
    }
}

/// Types that are stored as one of a closed list of words.
macro_rules! word {
    ($($type:path;)*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    )*};
}

word! {
    crate::value::event::Outcome;
    crate::value::one_time::OneTimePurpose;
    crate::value::totp::FactorOrigin;
    crate::value::totp::TotpAlgorithm;
    crate::value::principal::UserKind;
    crate::value::second_factor::StepDemand;
    crate::value::principal::UserStatus;
}
