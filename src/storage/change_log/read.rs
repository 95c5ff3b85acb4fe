//! What has changed since a place in the change log.

use rusqlite::params;

use super::super::migrate::SCHEMA_VERSION;
use super::super::transaction::ReadTx;
use super::bookmark::{Bookmark, Change, Changes, Log};
use crate::error::{Error, Reason, Result};

impl Changes {
    /// What one snapshot says of the time since `place`; none stands for the beginning.
    ///
    /// # Errors
    /// `TooNew` if another process has migrated the file beyond what this one may read.
    pub(crate) fn since(tx: &ReadTx<'_>, place: Option<Bookmark>) -> Result<Self> {
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
        let log = Log { lineage, head, oldest };
        let place_now = log.here();
        let Some(from) = log.read_on(place) else {
            return Ok(Self { place: place_now, complete: false, rows: Vec::new(), swept_to });
        };
        let rows = tx.all(
            "SELECT kind, id FROM change WHERE seq > ?1 ORDER BY seq",
            params![from],
            |row| {
                Ok(match row.get(0)? {
                    3 => Change::User(row.get(1)?),
                    4 => Change::Session(row.get(1)?),
                    5 => Change::ApiKey(row.get(1)?),
                    _ => Change::Everyone,
                })
            },
        )?;
        // Numbers have no gaps: one that is missing was deleted by hand.
        let complete = i64::try_from(rows.len()).is_ok_and(|rows| rows == head - from);
        Ok(Self { place: place_now, complete, rows, swept_to })
    }
}
