//! Upkeep: sweep expired rows, write what waits in memory, and close a store.
//!
//! Each login and each attenuated key sweeps a few rows of each kind, so that nothing depends on
//! [`Store::maintain`]. A sweep first writes how far it goes (`store.swept_to`) and then deletes,
//! so that it leaves no change rows: a process that cached such a session drops it at its expiry.

use crate::cache::coherence::Coherence;
use crate::error::Result;
use crate::record::audit::{self, Written};
use crate::record::{
    api_key, change, clock, one_time_token, pending_step, second_factor, session, store,
};
use crate::spans;
use crate::storage::{Finished, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::limits;

/// The number of rows that one call of [`Store::maintain`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MaintenanceReport {
    /// Sessions that had expired.
    pub sessions: usize,
    /// API keys that had expired.
    pub api_keys: usize,
    /// One-time tokens that had expired.
    pub one_time_tokens: usize,
    /// Enrolments of second factors that were not confirmed in time.
    pub enrolments: usize,
    /// Pending steps of logins that had expired.
    pub pending_steps: usize,
    /// Audit rows older than [`Options::audit_max_age`](crate::Options::audit_max_age).
    pub audit_rows: usize,
}

impl Store {
    /// Sweeps expired sessions, keys and one-time tokens, trims the audit log, writes what waits in
    /// memory, and frees the memory of hashing that was not used for a minute.
    ///
    /// One reading of the clock deletes nothing: a row is deleted once the clock was read after the
    /// row was over, and read again at least 20 h later. That is one to two days after it expired,
    /// so a clock that is wrong and corrected within 20 h deletes nothing.
    ///
    /// Works in batches of 8 rows of each kind. While other threads write, it leaves the file to
    /// them between two batches for ten times as long as a batch takes, so that a million sessions
    /// may take a quarter of an hour. No call needs this one first; a server calls it every few
    /// minutes.
    ///
    /// The example moves the clock. Needs the feature `test-util`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use gatepost::host::ManualClock;
    /// use gatepost::{Options, Store, Timestamp};
    ///
    /// let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    /// let store = Store::in_memory(Options::for_tests().clock(Arc::new(clock.clone())))?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// assert_eq!(store.maintain()?.sessions, 0);
    /// // The session has expired, by one reading of the clock.
    /// clock.advance(Duration::from_secs(2 * 86_400));
    /// assert_eq!(store.maintain()?.sessions, 0);
    /// clock.advance(Duration::from_secs(20 * 3_600));
    /// assert_eq!(store.maintain()?.sessions, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does. Rows that were removed
    /// before stay removed.
    #[doc(alias("gc", "cleanup"))]
    pub fn maintain(&self) -> Result<MaintenanceReport> {
        spans::span!("maintain");
        while self.core().write_uses() {}
        self.flush_tally();
        self.core().hasher.release_idle(self.now());
        // Before the reserve takes the free space.
        self.core().write_denials()?;
        self.core().storage.fill_reserve();
        let mut sum = MaintenanceReport::default();
        self.core().storage.in_pieces(|| {
            let batch = self.transact(|tx| {
                let swept = sweep(tx, limits::SWEEP_PER_BATCH_ROWS)?;
                let (most, ahead) = (limits::SWEEP_PER_BATCH_ROWS, limits::AUDIT_AHEAD_SWEPT_ROWS);
                let audit_rows = audit::trim_over_age(tx, most, ahead)?;
                change::trim(tx, most)?;
                Ok(Finished::Commit(MaintenanceReport { audit_rows, ..swept }))
            })?;
            sum.sessions += batch.sessions;
            sum.api_keys += batch.api_keys;
            sum.one_time_tokens += batch.one_time_tokens;
            sum.enrolments += batch.enrolments;
            sum.pending_steps += batch.pending_steps;
            sum.audit_rows += batch.audit_rows;
            Ok(batch != MaintenanceReport::default())
        })?;
        if sum != MaintenanceReport::default() {
            let rows = sum.sessions
                + sum.api_keys
                + sum.one_time_tokens
                + sum.enrolments
                + sum.pending_steps
                + sum.audit_rows;
            let event = Event::new(EventKind::StoreMaintained).count(i64::try_from(rows).ok());
            self.write(|_| Ok(Written::With((), event)))?;
        }
        Ok(sum)
    }

    /// Writes what waits in memory and closes the store in every handle of this process. Every
    /// later call fails with [`Closed`](crate::ErrorKind::Closed).
    ///
    /// ```
    /// use gatepost::ErrorKind;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let other = store.clone();
    /// store.close()?;
    /// assert_eq!(other.maintain().unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Busy`](crate::ErrorKind::Busy) if a write of another thread does not finish within 5 s.
    /// - [`Io`](crate::ErrorKind::Io).
    pub fn close(&self) -> Result<()> {
        spans::span!("close");
        // A revocation that the disk refuses here is lost: the file never had it.
        let _ = self.core().write_denials();
        while self.core().write_uses() {}
        let counts = self.core().pending.counts.take_all();
        self.keep_counts(counts);
        self.core().storage.close()?;
        self.core().coherence.as_ref().map_or(Ok(()), Coherence::close)
    }
}

/// The upkeep of each login of `user`: deletes sessions of the user that a watermark has revoked,
/// and sweeps.
pub(crate) fn sweep_a_little(store: &Store, tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    session::delete_revoked_of(tx, user, limits::SWEEP_PER_LOGIN_ROWS)?;
    sweep_expired(store, tx)
}

/// Sweeps, unless another thread runs [`Store::maintain`]: for each login, and for each attenuated
/// key, of which a program may make many without a login.
pub(crate) fn sweep_expired(store: &Store, tx: &WriteTx<'_>) -> Result<()> {
    if store.core().storage.is_in_upkeep() {
        return Ok(());
    }
    sweep(tx, limits::SWEEP_PER_LOGIN_ROWS).map(drop)
}

/// Removes at most `most` rows of each kind that had expired at the time that is believed.
fn sweep(tx: &WriteTx<'_>, most: i64) -> Result<MaintenanceReport> {
    let at = clock::deletes_up_to(tx)?;
    let expired = [session::expired_to(tx, at, most)?, api_key::expired_to(tx, at, most)?];
    if let Some(to) = expired.into_iter().flatten().max() {
        store::swept_to(tx, to)?;
    }
    Ok(MaintenanceReport {
        sessions: session::sweep(tx, at, most)?,
        api_keys: api_key::sweep(tx, at, most)?,
        one_time_tokens: one_time_token::sweep(tx, at, most)?,
        enrolments: second_factor::sweep(tx, at, most)?,
        pending_steps: pending_step::sweep(tx, at, most)?,
        audit_rows: 0,
    })
}

#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests;
