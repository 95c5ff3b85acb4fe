//! The wal-index of one process, over the model of the file that the program has.

use std::sync::Arc;

use crate::bookmark::{AuditHead, Bookmark, Changes, RowsOfBookmark};
use crate::error::Result;
use crate::storage::{File, Header};

#[derive(Debug)]
pub(crate) struct WalIndex(Arc<File>);

/// One reading of it.
pub(crate) struct Reading<'i>(&'i File);

impl WalIndex {
    pub(crate) fn new(file: &Arc<File>) -> Self {
        Self(Arc::clone(file))
    }

    pub(crate) fn read(&self) -> Option<Reading<'_>> {
        Some(Reading(&self.0))
    }

    pub(crate) fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl Reading<'_> {
    pub(crate) fn now(&self) -> Header {
        self.0.now()
    }

    pub(crate) fn stable(&self) -> Option<Header> {
        self.0.stable()
    }

    pub(crate) fn changes_since(&self, place: Option<Bookmark>) -> Result<Changes> {
        Ok(self.0.changes_since(place))
    }
}

/// The random bytes of a file that has one history. A restore of the model changes the lineage.
pub(crate) fn rows_of_one_history() -> (Option<[u8; 8]>, AuditHead, RowsOfBookmark) {
    let audit = AuditHead { seq: 0, chain: [0; 32] };
    let tag = Some([0; 8]);
    (tag, audit, RowsOfBookmark { tag, chain: Some(audit.chain) })
}
