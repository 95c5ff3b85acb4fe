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
    tried_at: Option<Timestamp>,
}

impl Touches {
    /// The latest use noted here.
    pub(crate) fn last_use(&self, session: SessionId) -> Option<Timestamp> {
        self.pending.lock().used.get(&session).copied()
    }

    /// Notes a use; answers whether it is time to try and write. `idle_ms` decides how long a use
    /// may wait: a tenth of it, at most a minute.
    pub(crate) fn note(&self, session: SessionId, now: Timestamp, idle_ms: i64) -> bool {
        let interval = (idle_ms / limits::TOUCHES_PER_IDLE_LIMIT).min(limits::TOUCH_WAITS_MAX_MS);
        let mut pending = self.pending.lock();
        let since = *pending.tried_at.get_or_insert(now);
        if pending.used.len() < limits::TOUCHES_PENDING || pending.used.contains_key(&session) {
            let used = pending.used.entry(session).or_insert(now);
            *used = (*used).max(now);
        }
        let due = now.as_millis().saturating_sub(since.as_millis()) >= interval;
        if due {
            pending.tried_at = Some(now);
        }
        due || pending.used.len() >= limits::TOUCHES_PER_BATCH
    }

    /// At most `most` uses, to be written. They stay known until [`Touches::written`], or a session
    /// in use would look idle to everyone else while they are on their way.
    pub(crate) fn batch(&self, most: usize) -> Vec<(SessionId, Timestamp)> {
        self.pending.lock().used.iter().take(most).map(|(id, at)| (*id, *at)).collect()
    }

    /// Forgets what the file knows by now; a later use waits for its own turn.
    pub(crate) fn written(&self, batch: &[(SessionId, Timestamp)]) {
        let mut pending = self.pending.lock();
        for (id, at) in batch {
            if pending.used.get(id).is_some_and(|used| used <= at) {
                pending.used.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_waits_a_tenth_of_the_idle_limit_and_never_falls() {
        let touches = Touches::default();
        let session = SessionId::from_bytes([1; 16]);
        let at = Timestamp::from_millis;
        assert!(!touches.note(session, at(0), 10_000));
        assert!(!touches.note(session, at(999), 10_000));
        assert!(touches.note(session, at(1_000), 10_000));
        assert!(!touches.note(session, at(1_001), 10_000));
        assert!(!touches.note(session, at(500), 10_000));
        assert_eq!(touches.last_use(session), Some(at(1_001)));
        let batch = touches.batch(8);
        assert_eq!(batch, [(session, at(1_001))]);
        assert_eq!(touches.last_use(session), Some(at(1_001)));
        touches.note(session, at(1_500), 10_000);
        touches.written(&batch);
        assert_eq!(touches.last_use(session), Some(at(1_500)));
        touches.written(&touches.batch(8));
        assert_eq!(touches.last_use(session), None);
    }
}
