//! Where a reader of the change log stands, and whether the rows that are left tell it everything.
//! Arithmetic alone: the statements are in `read.rs` and in `record/change.rs`.

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

/// How the change log stands in one snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    pub(crate) lineage: [u8; 16],
    /// The number of the newest row there ever was.
    pub(crate) head: i64,
    /// The number of the oldest row that is left.
    pub(crate) oldest: Option<i64>,
}

impl Log {
    pub(crate) fn here(&self) -> Bookmark {
        Bookmark { seq: self.head, lineage: self.lineage }
    }

    /// The row behind which all tell what happened since `place`; none if they do not tell all:
    /// it was another history, or too much, or the log was trimmed past it.
    pub(crate) fn read_on(&self, place: Option<Bookmark>) -> Option<i64> {
        let followed = place.filter(|place| {
            place.lineage == self.lineage
                && place.seq <= self.head
                && self.head.saturating_sub(place.seq) <= limits::CHANGE_ROWS_FOLLOWED
                && self.oldest.is_some_and(|oldest| oldest <= place.seq.saturating_add(1))
        });
        followed.map(|place| place.seq)
    }
}

/// The first and the last row that may be trimmed, of at most `most`: the oldest, far behind the
/// head. The newest always stays, or a reader would take what is left for all there was.
pub(crate) fn trimmable(oldest: i64, head: i64, most: i64) -> (i64, i64) {
    let last = oldest.saturating_add(most).saturating_sub(1);
    (oldest, last.min(head.saturating_sub(limits::CHANGE_ROWS_KEPT)))
}

impl Changes {
    /// All that happened, as a reader would have it who has followed so far.
    #[cfg(test)]
    pub(crate) fn of(rows: Vec<Change>) -> Self {
        let place = Bookmark { seq: 1, lineage: [0; 16] };
        Self { place, complete: true, rows, swept_to: Timestamp::from_millis(i64::MIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_log_the_oldest_rows_go_and_never_the_newest() {
        let kept = limits::CHANGE_ROWS_KEPT;
        assert_eq!(trimmable(1, kept + 5, 32), (1, 5));
        assert_eq!(trimmable(1, kept + 500, 32), (1, 32));
        for head in [1, kept - 1, kept] {
            let (first, last) = trimmable(1, head, 32);
            assert!(last < first && last < head, "{head}");
        }
    }

    #[test]
    fn a_reader_reads_on_only_where_the_rows_tell_all() {
        let log = Log { lineage: [1; 16], head: 9, oldest: Some(4) };
        let at = |seq, lineage| Some(Bookmark { seq, lineage: [lineage; 16] });
        assert_eq!(log.read_on(at(9, 1)), Some(9));
        assert_eq!(log.read_on(at(3, 1)), Some(3));
        assert_eq!(log.read_on(None), None);
        assert_eq!(log.read_on(at(2, 1)), None, "trimmed past it");
        assert_eq!(log.read_on(at(9, 2)), None, "another history");
        assert_eq!(log.read_on(at(10, 1)), None, "above the head");
        assert_eq!(Log { oldest: None, ..log }.read_on(at(9, 1)), None, "nothing is left");
        let head = 9 + limits::CHANGE_ROWS_FOLLOWED;
        assert_eq!(Log { head, ..log }.read_on(at(9, 1)), Some(9));
        assert_eq!(Log { head: head + 1, ..log }.read_on(at(9, 1)), None, "too much");
    }
}
