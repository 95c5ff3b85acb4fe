//! Rows of the audit log in their order, and the first of them that ended a session or key.

use super::AuditEvidence;
use crate::error::Result;
use crate::record::audit::AuditFilter;
use crate::store::Store;
use crate::value::event::{AuditEntry, EventKind, Outcome};
use crate::value::id::Page;
use crate::value::time::Timestamp;

pub(super) const OF_PLACES: [EventKind; 4] = [
    EventKind::BranchSessionsRevoked,
    EventKind::BranchDeactivated,
    EventKind::OrganisationSessionsRevoked,
    EventKind::OrganisationDeactivated,
];
pub(super) const OF_STORE: [EventKind; 3] =
    [EventKind::StoreSessionsRevoked, EventKind::StoreRestored, EventKind::StoreAdopted];

/// The first row that ended a session or key, as far as the log says.
#[derive(Default)]
pub(super) struct Ending {
    /// The first that did so for certain.
    pub(super) row: Option<AuditEntry>,
    /// The number of the first that may have done so: the row that would say was trimmed.
    pub(super) doubt: Option<i64>,
    /// When it was over at the latest: no later row ended it.
    pub(super) over_at: Option<Timestamp>,
}

impl Ending {
    /// Considers a row; `ends` is whether it ended the session or key, `None` if the row that would
    /// say was trimmed.
    pub(super) fn consider(&mut self, row: &AuditEntry, ends: Option<bool>) {
        if !self.is_in_time(row) {
            return;
        }
        match ends {
            Some(true) if self.row.as_ref().is_none_or(|first| row.seq < first.seq) => {
                self.row = Some(row.clone());
            }
            Some(_) => {}
            None => self.doubt = Some(self.doubt.map_or(row.seq, |first| first.min(row.seq))),
        }
    }

    pub(super) fn is_in_time(&self, row: &AuditEntry) -> bool {
        self.over_at.is_none_or(|end| row.at <= end)
    }

    /// Whether some row ended it for certain, be it the first or not.
    pub(super) fn is_certain(&self) -> bool {
        self.row.is_some()
    }

    /// Whether a row comes before each that ended it, or may have.
    pub(super) fn is_after(&self, row: &AuditEntry) -> bool {
        let certain = self.row.as_ref().map(|first| first.seq);
        certain.into_iter().chain(self.doubt).all(|first| row.seq < first)
    }

    pub(super) fn evidence(&self) -> AuditEvidence {
        match (&self.row, self.doubt) {
            (Some(row), doubt) if doubt.is_none_or(|doubt| row.seq < doubt) => {
                AuditEvidence::of(Some(row.clone()))
            }
            (None, None) => AuditEvidence::None,
            _ => AuditEvidence::Trimmed,
        }
    }
}

/// The kind of a row of something that was done.
pub(super) fn done(row: &AuditEntry) -> Option<(EventKind, &AuditEntry)> {
    let kind = EventKind::from_name(&row.event).filter(|_| !row.from_host)?;
    (row.outcome == Outcome::Done).then_some((kind, row))
}

/// The rows of something that was done, of some kinds, after a row, in their order.
pub(super) fn of_kinds(store: &Store, kinds: &[EventKind], after: i64) -> Result<Vec<AuditEntry>> {
    let mut all = Vec::new();
    for kind in kinds {
        all.extend(rows(store, AuditFilter::new().kind(*kind), after)?);
    }
    all.retain(|row| done(row).is_some());
    all.sort_by_key(|row| row.seq);
    Ok(all)
}

/// All rows that a filter selects after a row.
pub(super) fn rows(store: &Store, filter: AuditFilter, after: i64) -> Result<Vec<AuditEntry>> {
    let (mut all, mut after) = (Vec::new(), after);
    loop {
        let page = store.audit().list(&filter, Page::longest(Some(after)))?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.seq;
        all.extend(page);
    }
}
