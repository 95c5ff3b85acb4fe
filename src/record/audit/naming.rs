//! The rows that name one session or API key.

use super::list::{columns, entry};
use crate::error::Result;
use crate::record::pieces::page_in_pieces;
use crate::storage::{ReadTx, params};
use crate::store::Store;
use crate::value::event::AuditEntry;
use crate::value::limits;
use crate::value::principal::Credential;

/// The rows of the library about a session or key and what became of it, oldest first. Reads the
/// whole log, at most 2,000 rows in one snapshot.
pub(crate) fn rows_naming(store: &Store, credential: Credential) -> Result<Vec<AuditEntry>> {
    let text = match credential {
        Credential::Session(id) => id.to_string(),
        Credential::ApiKey(id) => id.to_string(),
    };
    let skipped = limits::LIST_PIECE_ROWS - 1;
    let end = |tx: &ReadTx<'_>, after: i64| {
        tx.one(
            "SELECT seq FROM audit WHERE seq > ?1 ORDER BY seq LIMIT 1 OFFSET ?2",
            params![after, skipped],
            |row| row.get(0),
        )
    };
    page_in_pieces(store, 0, i64::MAX, end, |tx, after, end, _| {
        tx.all(
            concat!(
                columns!(),
                " FROM audit WHERE source = 0 AND seq > ?1 AND seq <= ?2
                  AND (session_id = ?3 OR api_key_id = ?3 OR substr(detail, 1, length(?4)) = ?4)
                  AND event NOT IN ('session.data_set', 'session.labelled', 'session.renewed')
                  ORDER BY seq"
            ),
            params![after, end.unwrap_or(i64::MAX), credential.id(), text],
            entry,
        )
    })
}

/// Whether rows of the library have been trimmed.
pub(crate) fn is_trimmed(tx: &ReadTx<'_>) -> Result<bool> {
    tx.exactly_one("SELECT trimmed_seq > 0 FROM audit_chain WHERE source = 0", [], |row| {
        row.get(0)
    })
}
