//! A model of the file, by the names that the library has for it: a row of bits that are set, each
//! by one commit, and a header of one word that shows them.
//!
//! Only that one word orders the reads: SQLite does more, and the library must not depend on it.
//! Torn headers, kills and trims are for the other program.

use std::sync::Arc;

use crate::bookmark::LogState;
pub(crate) use crate::bookmark::{Bookmark, Change, Changes};
use crate::sync::{AtomicU64, Ordering};
use crate::value::time::Timestamp;
use crate::wal_index::rows_of_one_history;
pub(crate) use crate::wal_index::{Reading, WalIndex};

/// A header of the wal-index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header([u64; 1]);

impl Header {
    pub(crate) const WORDS: usize = 1;

    pub(crate) fn words(&self) -> &[u64; 1] {
        &self.0
    }
}

/// The work of a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Commit {
    Row(Change),
    /// Sessions that expired before are deleted, without a row.
    Sweep(Timestamp),
}

/// A file, and the meaning of each of its bits.
#[derive(Debug)]
pub(crate) struct File {
    header: AtomicU64,
    commits: Vec<Commit>,
}

/// That of the empty file: a header is never zero.
const FIRST: u64 = 1;

impl File {
    pub(crate) fn new(commits: &[Commit]) -> Arc<Self> {
        Arc::new(Self { header: AtomicU64::new(FIRST), commits: commits.to_vec() })
    }

    pub(crate) fn commit(&self, which: usize) {
        self.header.fetch_or(FIRST << (which + 1), Ordering::Release);
    }

    /// The header that a snapshot goes by.
    pub(crate) fn snapshot(&self) -> Header {
        Header([self.header.load(Ordering::Relaxed)])
    }

    pub(crate) fn now(&self) -> Header {
        self.snapshot()
    }

    pub(crate) fn stable(&self) -> Option<Header> {
        Some(self.snapshot())
    }

    pub(crate) fn changes_since(&self, place: Option<Bookmark>) -> Changes {
        let Header([bits]) = self.snapshot();
        let (tag, audit, named) = rows_of_one_history();
        let (lineage, head) = ([0; 16], bits as i64);
        let log = LogState { lineage, head, oldest: Some(1), tag, audit, named };
        let from = log.read_on(place);
        let new = (0..self.commits.len()).filter(|at| {
            let bit = FIRST << (at + 1);
            bits & bit != 0 && from.is_some_and(|from| from as u64 & bit == 0)
        });
        let mut rows = Vec::new();
        let mut swept_to = Timestamp::from_millis(i64::MIN);
        for at in new {
            match self.commits[at] {
                Commit::Row(change) => rows.push(change),
                Commit::Sweep(to) => swept_to = to,
            }
        }
        Changes { place: log.here(), complete: from.is_some(), rows, swept_to }
    }
}

impl Header {
    /// Whether a commit is in it.
    pub(crate) fn has(self, which: usize) -> bool {
        let Self([bits]) = self;
        bits & (FIRST << (which + 1)) != 0
    }
}
