//! Upkeep: what expired is swept, what waited in memory is written, and the end of a store.
//!
//! Each login sweeps a few rows of each kind, so that nothing depends on anyone calling
//! [`Store::maintain`]. A sweep first says how far it goes (`store.swept_to`) and then deletes, so
//! that it leaves no change rows: whoever cached such a session drops it by its deadline.

use crate::cache::coherence::Coherence;
use crate::error::Result;
use crate::record::audit::{self, Source, Written};
use crate::record::{api_key, change, session, store, throttle};
use crate::storage::{Settled, WriteTx};
use crate::store::Store;
use crate::value::event::{Actor, Event, EventKind};
use crate::value::limits;

/// What one call of [`Store::maintain`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Sessions that had expired.
    pub sessions: usize,
    /// API keys that had expired.
    pub api_keys: usize,
    /// Attempts under names that nobody tried for a day.
    pub attempts: usize,
    /// Audit rows beyond what is kept.
    pub audit_rows: usize,
}

impl Store {
    /// Sweeps what has expired, trims the audit log to what is kept, writes what waited in memory
    /// and frees the memory of hashing that was not used for a minute.
    ///
    /// Works in batches of 8 rows of each kind. While other threads write, it leaves them the file
    /// between two batches for ten times as long as a batch takes, so that a million sessions may
    /// take a quarter of an hour. Nothing depends on it being called; a server calls it every few
    /// minutes.
    ///
    /// # Errors
    /// `Busy` if another writer holds the file for 5 s, `Full`, `Io`. What was removed before
    /// stays removed.
    pub fn maintain(&self) -> Result<Maintained> {
        self.flush_uses();
        self.flush_tally();
        self.core().hasher.release_idle(self.now());
        // Before the reserve takes the room that there is.
        self.core().settle_denials()?;
        self.core().storage.fill_reserve();
        let mut sum = Maintained::default();
        self.core().storage.in_pieces(|| {
            let batch = self.transact(|tx| {
                let swept = sweep(tx, limits::SWEEP_PER_BATCH_ROWS)?;
                let audit_rows = self.trim_audit(tx)?;
                Ok(Settled::Commit(Maintained { audit_rows, ..swept }))
            })?;
            sum.sessions += batch.sessions;
            sum.api_keys += batch.api_keys;
            sum.attempts += batch.attempts;
            sum.audit_rows += batch.audit_rows;
            Ok(batch != Maintained::default())
        })?;
        if sum != Maintained::default() {
            let rows = sum.sessions + sum.api_keys + sum.attempts + sum.audit_rows;
            let event = Event::new(EventKind::StoreMaintained).count(i64::try_from(rows).ok());
            self.write(|_| Ok(Written::With((), event)))?;
        }
        Ok(sum)
    }

    /// Writes what waited in memory and closes the store in every handle of this process. Every
    /// later call answers `Closed`.
    ///
    /// # Errors
    /// `Busy` if a write of another thread does not end within 5 s, `Io`.
    pub fn close(&self) -> Result<()> {
        // What the disk refuses is lost to this process, and the file never knew it.
        let _ = self.core().settle_denials();
        while self.flush_uses() {}
        let counts = self.core().pending.counts.take_all();
        self.keep_counts(counts);
        self.core().storage.close()?;
        self.core().coherence.as_ref().map_or(Ok(()), Coherence::close)
    }

    /// Tries to write a batch of uses, without waiting for anyone; answers whether it wrote one.
    /// What could not be written waits for the next try, and no answer depends on it.
    pub(crate) fn flush_uses(&self) -> bool {
        let uses = &self.core().pending.uses;
        let batch = uses.batch(limits::TOUCHES_PER_BATCH);
        if batch.is_empty() {
            return false;
        }
        let written = self.core().storage.try_write(&Actor::Host, |tx| {
            for (session, at) in &batch {
                session::touch(tx, *session, *at)?;
            }
            Ok(Settled::Commit(()))
        });
        let written = matches!(written, Ok(Some(())));
        if written {
            uses.written(&batch, self.now());
        } else {
            uses.failed(self.now());
        }
        written
    }

    /// Tries to keep the counts of the minutes that are over.
    pub(crate) fn flush_tally(&self) {
        let counts = self.core().pending.counts.take_finished(self.now());
        self.keep_counts(counts);
    }

    fn keep_counts(&self, counts: Vec<crate::pending::counts::Counted>) {
        if counts.is_empty() {
            return;
        }
        let keep = self.options().audit_kept_rows;
        let kept = self.core().storage.try_write(&Actor::Host, |tx| {
            for one in &counts {
                let event = Event::new(one.kind)
                    .refused(one.reason)
                    .count(one.count)
                    .detail(one.minute.to_datetime().to_rfc3339());
                audit::append(tx, Source::Gatepost, one.kind.name(), &event, keep)?;
            }
            Ok(Settled::Commit(()))
        });
        if !matches!(kept, Ok(Some(()))) {
            self.core().pending.counts.put_back(counts);
        }
    }

    fn trim_audit(&self, tx: &WriteTx<'_>) -> Result<usize> {
        let before = tx.now().minus(self.options().audit_kept_for);
        let mut rows = 0;
        for source in Source::ALL {
            rows += audit::trim_older(tx, source, before, limits::SWEEP_PER_BATCH_ROWS)?;
        }
        Ok(rows)
    }
}

/// What each login does for upkeep, unless somebody else is at it.
pub(crate) fn sweep_a_little(store: &Store, tx: &WriteTx<'_>) -> Result<()> {
    if store.core().storage.is_in_upkeep() {
        return Ok(());
    }
    sweep(tx, limits::SWEEP_PER_LOGIN_ROWS).map(drop)
}

/// Removes at most `most` expired rows of each kind.
fn sweep(tx: &WriteTx<'_>, most: i64) -> Result<Maintained> {
    let expired = [session::expired_to(tx, most)?, api_key::expired_to(tx, most)?];
    if let Some(to) = expired.into_iter().flatten().max() {
        store::swept_to(tx, to)?;
    }
    change::trim(tx, most)?;
    Ok(Maintained {
        sessions: session::sweep(tx, most)?,
        api_keys: api_key::sweep(tx, most)?,
        attempts: throttle::sweep(tx, tx.now(), most)?,
        audit_rows: 0,
    })
}
