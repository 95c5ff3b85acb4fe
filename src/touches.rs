//! When sessions with an idle limit were last used, until that is written to the file.
//!
//! A verify writes nothing. It notes the use here; now and then one that has its answer already
//! tries to write a batch. Without an idle limit nothing is ever noted.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::value::id::SessionId;
use crate::value::limits;
use crate::value::time::Timestamp;

/// The uses that this process has seen and the file has not.
#[derive(Debug, Default)]
pub(crate) struct Touches {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    used: HashMap<SessionId, Timestamp>,
    /// Nothing is tried before: the file was busy.
    retry_at: Option<Timestamp>,
}

impl Touches {
    /// The latest use noted here.
    pub(crate) fn last_use(&self, session: SessionId) -> Option<Timestamp> {
        self.pending.lock().used.get(&session).copied()
    }

    /// Notes a use; answers whether it is time to try and write. The file may stay behind, with
    /// what it says in `written`, for a tenth of `idle_ms`, at most a minute.
    pub(crate) fn note(
        &self,
        session: SessionId,
        now: Timestamp,
        written: Timestamp,
        idle_ms: i64,
    ) -> bool {
        let interval = interval_ms(idle_ms);
        let mut pending = self.pending.lock();
        if pending.used.len() < limits::TOUCHES_PENDING || pending.used.contains_key(&session) {
            let used = pending.used.entry(session).or_insert(now);
            *used = (*used).max(now);
        }
        let due = now.as_millis().saturating_sub(written.as_millis()) >= interval
            || pending.used.len() >= limits::TOUCHES_PER_BATCH;
        due && pending.retry_at.is_none_or(|retry| retry <= now)
    }

    /// At most `most` uses, to be written. They stay known until [`Touches::written`], or a session
    /// in use would look idle to everyone else while they are on their way.
    pub(crate) fn batch(&self, most: usize) -> Vec<(SessionId, Timestamp)> {
        let pending = self.pending.lock();
        pending.used.iter().take(most).map(|(id, at)| (*id, *at)).collect()
    }

    /// Forgets what has been written and was not used again since.
    pub(crate) fn written(&self, batch: &[(SessionId, Timestamp)]) {
        let mut pending = self.pending.lock();
        pending.retry_at = None;
        for (id, at) in batch {
            if pending.used.get(id).is_some_and(|used| used <= at) {
                pending.used.remove(id);
            }
        }
    }

    /// Nothing could be written at `now`: tries wait a moment.
    pub(crate) fn failed(&self, now: Timestamp) {
        self.pending.lock().retry_at = Some(now.plus(limits::TOUCH_RETRY));
    }
}

/// How long the file may be behind a use: a tenth of the idle limit, at most a minute.
pub(crate) fn interval_ms(idle_ms: i64) -> i64 {
    (idle_ms / limits::TOUCHES_PER_IDLE_LIMIT).min(limits::TOUCH_WAITS_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_waits_a_tenth_of_the_idle_limit_and_never_falls() {
        let touches = Touches::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        assert!(!touches.note(session, at(999), at(0), 10_000));
        assert!(touches.note(session, at(1_000), at(0), 10_000));
        assert!(!touches.note(session, at(500), at(0), 10_000));
        assert_eq!(touches.last_use(session), Some(at(1_000)));
        let batch = touches.batch(8);
        assert_eq!(batch, [(session, at(1_000))]);
        assert_eq!(touches.last_use(session), Some(at(1_000)));
        touches.written(&batch);
        assert_eq!(touches.last_use(session), None);
    }

    #[test]
    fn a_use_while_another_is_written_is_kept() {
        let touches = Touches::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        touches.note(session, at(1_000), at(0), 10_000);
        let batch = touches.batch(8);
        touches.note(session, at(1_500), at(0), 10_000);
        touches.written(&batch);
        assert_eq!(touches.last_use(session), Some(at(1_500)));
    }

    #[test]
    fn a_busy_file_is_not_tried_at_once_again() {
        let touches = Touches::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        touches.failed(at(1_000));
        assert!(!touches.note(session, at(1_999), at(0), 10_000));
        assert!(touches.note(session, at(2_000), at(0), 10_000));
    }
}
