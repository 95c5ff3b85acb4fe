//! The counts of refused tokens, and of logins refused without a hash, as rows of the log.
//!
//! Refusals are counted in memory by the minute. A verify writes nothing: the counts of a minute
//! that is over are written after the next write of any kind, by upkeep, and when the store is
//! closed.

use super::append;
use crate::pending::counts::Counted;
use crate::storage::Finished;
use crate::store::Store;
use crate::value::event::{Actor, Event};

impl Store {
    /// Tries to write the counts of the minutes that are over.
    pub(crate) fn flush_tally(&self) {
        let counts = self.core().pending.counts.take_finished(self.now());
        self.keep_counts(counts);
    }

    /// As [`Store::flush_tally`], after a write: the caller has waited for the disk already.
    pub(super) fn flush_tally_if_due(&self) {
        if self.core().pending.counts.has_finished(self.now()) {
            self.flush_tally();
        }
    }

    pub(crate) fn keep_counts(&self, counts: Vec<Counted>) {
        if counts.is_empty() {
            return;
        }
        let kept = self.core().try_write(&Actor::Host, |tx| {
            for one in &counts {
                let event = Event::new(one.kind)
                    .refused(one.reason)
                    .count(one.count)
                    .detail(one.minute.to_string());
                append(tx, &event)?;
            }
            Ok(Finished::Commit(()))
        });
        if !matches!(kept, Ok(Some(()))) {
            self.core().pending.counts.put_back(counts);
        }
    }
}
