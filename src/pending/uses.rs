//! Uses of sessions with an inactivity timeout, queued in memory until `last_seen` in the file is
//! updated.
//!
//! A verify does not write. It queues the use here; now and then a verify that has its result
//! tries to write a batch. Sessions without an inactivity timeout queue nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::value::id::SessionId;
use crate::value::limits;
use crate::value::time::Timestamp;

/// The uses that this process has seen and that are not in the file.
#[derive(Debug)]
pub(crate) struct Uses {
    used: Mutex<HashMap<SessionId, Timestamp>>,
    /// The time from which any verify tries again to write uses that could not be written;
    /// `NEVER_MS` if there are none.
    retry_at_ms: AtomicI64,
}

/// There is nothing to try again.
const NEVER_MS: i64 = i64::MAX;

impl Default for Uses {
    fn default() -> Self {
        Self { used: Mutex::default(), retry_at_ms: AtomicI64::new(NEVER_MS) }
    }
}

impl Uses {
    /// The latest queued use of the session.
    pub(crate) fn last_use(&self, session: SessionId) -> Option<Timestamp> {
        self.used.lock().get(&session).copied()
    }

    /// Queues a use; returns whether a batch should be written now. `written` is the `last_seen`
    /// of the file, which may stay behind for a tenth of `idle_ms`, at most a minute.
    pub(crate) fn note(
        &self,
        session: SessionId,
        now: Timestamp,
        written: Timestamp,
        idle_ms: i64,
    ) -> bool {
        let interval = interval_ms(idle_ms);
        let mut used = self.used.lock();
        if used.len() < limits::TOUCHES_PENDING || used.contains_key(&session) {
            let last = used.entry(session).or_insert(now);
            *last = (*last).max(now);
        }
        let due = now.as_millis().saturating_sub(written.as_millis()) >= interval
            || used.len() >= limits::TOUCHES_PER_BATCH;
        due && self.retry_at_ms.load(Ordering::Relaxed) == NEVER_MS
    }

    /// Whether a batch that was due could not be written.
    #[inline]
    pub(crate) fn waits_to_retry(&self) -> bool {
        self.retry_at_ms.load(Ordering::Relaxed) != NEVER_MS
    }

    /// Whether it is time to try again; `true` for one caller at a time, which tries.
    pub(crate) fn is_to_retry(&self, now: Timestamp) -> bool {
        let at = self.retry_at_ms.load(Ordering::Relaxed);
        let next = (now + limits::TOUCH_RETRY).as_millis();
        at <= now.as_millis()
            && self
                .retry_at_ms
                .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// At most `most` uses, to be written. They stay queued until [`Uses::written`], or a session
    /// in use would seem inactive to other threads while its use is being written.
    pub(crate) fn batch(&self, most: usize) -> Vec<(SessionId, Timestamp)> {
        self.used.lock().iter().take(most).map(|(id, at)| (*id, *at)).collect()
    }

    /// Removes the uses that were written, except those of sessions that were used again since. If
    /// uses are left after a failure, the next batch is due at once.
    pub(crate) fn written(&self, batch: &[(SessionId, Timestamp)], now: Timestamp) {
        let mut used = self.used.lock();
        for (id, at) in batch {
            if used.get(id).is_some_and(|used| used <= at) {
                used.remove(id);
            }
        }
        let goes_on = self.waits_to_retry() && !used.is_empty();
        let next = if goes_on { now.as_millis() } else { NEVER_MS };
        self.retry_at_ms.store(next, Ordering::Relaxed);
    }

    /// Records that nothing could be written at `now`: the next attempt is due after
    /// [`limits::TOUCH_RETRY`], not only when the next use of a session is due.
    pub(crate) fn failed(&self, now: Timestamp) {
        let next = (now + limits::TOUCH_RETRY).as_millis();
        self.retry_at_ms.store(next, Ordering::Relaxed);
    }
}

/// How long `last_seen` in the file may be behind: a tenth of the inactivity timeout, at most a
/// minute.
pub(crate) fn interval_ms(idle_ms: i64) -> i64 {
    (idle_ms / limits::TOUCHES_PER_IDLE_LIMIT).min(limits::TOUCH_WAITS_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_waits_a_tenth_of_the_idle_limit_and_never_falls() {
        let uses = Uses::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        assert!(!uses.note(session, at(999), at(0), 10_000));
        assert!(uses.note(session, at(1_000), at(0), 10_000));
        assert!(!uses.note(session, at(500), at(0), 10_000));
        assert_eq!(uses.last_use(session), Some(at(1_000)));
        let batch = uses.batch(8);
        assert_eq!(batch, [(session, at(1_000))]);
        assert_eq!(uses.last_use(session), Some(at(1_000)));
        uses.written(&batch, at(1_000));
        assert_eq!(uses.last_use(session), None);
        assert!(!uses.waits_to_retry());
    }

    #[test]
    fn a_use_while_another_is_written_is_kept() {
        let uses = Uses::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        uses.note(session, at(1_000), at(0), 10_000);
        let batch = uses.batch(8);
        uses.note(session, at(1_500), at(0), 10_000);
        uses.written(&batch, at(1_500));
        assert_eq!(uses.last_use(session), Some(at(1_500)));
        assert!(!uses.waits_to_retry());
    }

    #[test]
    fn a_busy_file_is_not_tried_again_at_once() {
        let uses = Uses::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        assert!(uses.note(session, at(1_000), at(0), 10_000));
        uses.failed(at(1_000));
        assert!(!uses.note(session, at(1_999), at(0), 10_000));
        assert!(uses.waits_to_retry() && !uses.is_to_retry(at(1_999)));
        // One caller gets `true`, until it fails again or another second has passed.
        assert!(uses.is_to_retry(at(2_000)) && !uses.is_to_retry(at(2_000)));
        assert!(uses.is_to_retry(at(3_000)));
    }

    #[test]
    fn uses_queued_after_a_failure_are_written_batch_after_batch() {
        let uses = Uses::default();
        let at = Timestamp::from_millis;
        for id in 0..3 {
            uses.note(SessionId::from_bytes([id; 16]), at(1_000), at(0), 10_000);
        }
        uses.failed(at(1_000));
        for left in [2, 1, 0] {
            assert!(uses.is_to_retry(at(2_000)), "{left}");
            let batch = uses.batch(1);
            uses.written(&batch, at(2_000));
            assert_eq!(uses.batch(8).len(), left);
        }
        assert!(!uses.waits_to_retry());
    }
}
