//! What has changed since a place in the change log.

use rusqlite::params;

use super::migrate::SCHEMA_VERSION;
use super::transaction::ReadTx;
use crate::error::{Error, Reason, Result};
use crate::value::id::{ApiKeyId, SessionId, UserId};
use crate::value::limits;
use crate::value::time::Timestamp;

/// A row of the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The store, an organisation or a branch: it concerns everybody under it.
    Everyone,
    User(UserId),
    Session(SessionId),
    ApiKey(ApiKeyId),
}

/// Everything that happened between a place and a snapshot.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The place of the snapshot.
    pub(crate) place: Bookmark,
    /// Whether `rows` tell all; if not, everything may have changed.
    pub(crate) complete: bool,
    pub(crate) rows: Vec<Change>,
    /// Sessions and keys that expired up to here may be gone without a row.
    pub(crate) swept_to: Timestamp,
}

/// Up to where a reader has followed which history of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bookmark {
    seq: i64,
    lineage: [u8; 16],
}

impl Changes {
    /// All that happened, as a reader would have it who has followed so far.
    #[cfg(test)]
    pub(crate) fn of(rows: Vec<Change>) -> Self {
        let place = Bookmark { seq: 1, lineage: [0; 16] };
        Self { place, complete: true, rows, swept_to: Timestamp::from_millis(i64::MIN) }
    }

    /// What one snapshot says of the time since `place`; none stands for the beginning.
    ///
    /// # Errors
    /// `TooNew` if another process has migrated the file beyond what this one may read.
    pub(super) fn since(tx: &ReadTx<'_>, place: Option<Bookmark>) -> Result<Self> {
        let (min_reader, lineage, swept_to) = tx.exactly_one(
            "SELECT min_reader, lineage, swept_to FROM store WHERE id = 1",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        if min_reader > SCHEMA_VERSION {
            return Err(Error::new(
                Reason::TooNew,
                "another program has brought the file to a version that this one may not read",
            ));
        }
        let head = tx.head()?;
        let oldest: Option<i64> =
            tx.exactly_one("SELECT min(seq) FROM change", [], |row| row.get(0))?;
        let here = Bookmark { seq: head, lineage };
        let followed = place.filter(|place| {
            place.lineage == lineage
                && place.seq <= head
                && head.saturating_sub(place.seq) <= limits::CHANGE_ROWS_FOLLOWED
                && oldest.is_some_and(|oldest| oldest <= place.seq.saturating_add(1))
        });
        let Some(followed) = followed else {
            return Ok(Self { place: here, complete: false, rows: Vec::new(), swept_to });
        };
        let rows = tx.all(
            "SELECT kind, id FROM change WHERE seq > ?1 ORDER BY seq",
            params![followed.seq],
            |row| {
                Ok(match row.get(0)? {
                    3 => Change::User(row.get(1)?),
                    4 => Change::Session(row.get(1)?),
                    5 => Change::ApiKey(row.get(1)?),
                    _ => Change::Everyone,
                })
            },
        )?;
        Ok(Self { place: here, complete: true, rows, swept_to })
    }
}
