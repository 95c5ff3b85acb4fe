//! The position of a reader in the change log, and whether the remaining rows are complete from
//! there.
//!
//! Arithmetic only: the statements are in `read.rs` and in `record/change.rs`.

use crate::value::id::{ApiKeyId, SessionId, UserId};
use crate::value::limits;
use crate::value::time::Timestamp;

/// A row of the change log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The store, an organisation or a branch changed: every session and key may be affected.
    Everyone,
    User(UserId),
    Session(SessionId),
    ApiKey(ApiKeyId),
}

/// The changes between a bookmark and a snapshot.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The bookmark of the snapshot.
    pub(crate) place: Bookmark,
    /// Whether `rows` has every change; if not, anything may have changed.
    pub(crate) complete: bool,
    pub(crate) rows: Vec<Change>,
    /// Sessions and keys that expired by this time may have been deleted without a row.
    pub(crate) swept_to: Timestamp,
}

/// The state of the file that a reader has followed: its lineage, its newest change row, and the
/// newest row of the library's own audit source.
///
/// Each session that opens adds an audit row, and each revocation a change row. Both rows have
/// random bytes. So a file into which an older copy was restored lacks one of the two rows, or has
/// another one of its number, unless the copy has everything that the reader has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bookmark {
    pub(crate) seq: i64,
    pub(crate) lineage: [u8; 16],
    /// The tag of the change row.
    pub(crate) tag: Option<[u8; 8]>,
    pub(crate) audit: AuditHead,
}

/// The newest row of the library's own audit source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuditHead {
    pub(crate) seq: i64,
    pub(crate) chain: [u8; 32],
}

/// What the file has now under the numbers of a bookmark; `None` for a row that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RowsOfBookmark {
    pub(crate) tag: Option<[u8; 8]>,
    pub(crate) chain: Option<[u8; 32]>,
}

impl RowsOfBookmark {
    /// Whether these are the rows that the bookmark names.
    fn are_of(&self, place: &Bookmark) -> bool {
        place.tag.is_some() && self.tag == place.tag && self.chain == Some(place.audit.chain)
    }
}

/// The state of the change log in one snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogState {
    pub(crate) lineage: [u8; 16],
    /// The number of the newest row ever written.
    pub(crate) head: i64,
    /// The number of the oldest row that was not trimmed.
    pub(crate) oldest: Option<i64>,
    /// The tag of the newest row.
    pub(crate) tag: Option<[u8; 8]>,
    pub(crate) audit: AuditHead,
    /// The rows that the reader's bookmark names, as they are now.
    pub(crate) named: RowsOfBookmark,
}

impl LogState {
    pub(crate) fn here(&self) -> Bookmark {
        Bookmark { seq: self.head, lineage: self.lineage, tag: self.tag, audit: self.audit }
    }

    /// The number after which the rows have every change since `place`. `None` if they do not:
    /// `place` is of another lineage or history, too far behind, or the log was trimmed past it.
    pub(crate) fn read_on(&self, place: Option<Bookmark>) -> Option<i64> {
        let followed = place.filter(|place| {
            place.lineage == self.lineage
                && self.named.are_of(place)
                && place.seq <= self.head
                && self.head.saturating_sub(place.seq) <= limits::CHANGE_ROWS_FOLLOWED
                && self.oldest.is_some_and(|oldest| oldest <= place.seq.saturating_add(1))
        });
        followed.map(|place| place.seq)
    }
}

/// The first and the last row that may be trimmed, at most `most` rows: the oldest ones, far
/// behind the head. The newest row always stays; without it a reader could not notice that rows
/// are missing.
pub(crate) fn trimmable(oldest: i64, head: i64, most: i64) -> (i64, i64) {
    let last = oldest.saturating_add(most).saturating_sub(1);
    (oldest, last.min(head.saturating_sub(limits::CHANGE_ROWS_KEPT)))
}

impl Changes {
    /// Complete changes with these rows.
    #[cfg(test)]
    pub(crate) fn of(rows: Vec<Change>) -> Self {
        let audit = AuditHead { seq: 1, chain: [0; 32] };
        let place = Bookmark { seq: 1, lineage: [0; 16], tag: Some([0; 8]), audit };
        Self { place, complete: true, rows, swept_to: Timestamp::from_millis(i64::MIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_change_rows_are_trimmed_and_never_the_newest() {
        let kept = limits::CHANGE_ROWS_KEPT;
        assert_eq!(trimmable(1, kept + 5, 32), (1, 5));
        assert_eq!(trimmable(1, kept + 500, 32), (1, 32));
        for head in [1, kept - 1, kept] {
            let (first, last) = trimmable(1, head, 32);
            assert!(last < first && last < head, "{head}");
        }
    }

    #[test]
    fn a_reader_reads_on_only_where_the_rows_are_complete() {
        let audit = AuditHead { seq: 7, chain: [3; 32] };
        let tag = Some([5; 8]);
        let named = RowsOfBookmark { tag, chain: Some(audit.chain) };
        let log = LogState { lineage: [1; 16], head: 9, oldest: Some(4), tag, audit, named };
        let at = |seq, lineage| Some(Bookmark { seq, lineage: [lineage; 16], tag, audit });
        assert_eq!(log.read_on(at(9, 1)), Some(9));
        assert_eq!(log.read_on(at(3, 1)), Some(3));
        assert_eq!(log.read_on(None), None);
        assert_eq!(log.read_on(at(2, 1)), None, "trimmed past it");
        assert_eq!(log.read_on(at(9, 2)), None, "another history");
        assert_eq!(log.read_on(at(10, 1)), None, "above the head");
        for (named, why) in [
            (RowsOfBookmark { tag: Some([6; 8]), ..named }, "another change row"),
            (RowsOfBookmark { tag: None, ..named }, "no change row"),
            (RowsOfBookmark { chain: Some([4; 32]), ..named }, "another audit row"),
            (RowsOfBookmark { chain: None, ..named }, "no audit row"),
        ] {
            assert_eq!(LogState { named, ..log }.read_on(at(9, 1)), None, "{why}");
        }
        assert_eq!(LogState { oldest: None, ..log }.read_on(at(9, 1)), None, "nothing is left");
        let head = 9 + limits::CHANGE_ROWS_FOLLOWED;
        assert_eq!(LogState { head, ..log }.read_on(at(9, 1)), Some(9));
        assert_eq!(LogState { head: head + 1, ..log }.read_on(at(9, 1)), None, "too much");
    }
}
