//! The steps of the last use of a session or key, and how long an answer may be repeated from the
//! cache.

use crate::cache::Span;
use crate::pending::uses::latest;
use crate::value::limits;
use crate::value::time::Timestamp;

/// The last use of a session or key before a call at `now`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastUse {
    pub(super) at: Timestamp,
    /// The last use that the file has.
    pub(super) written: Timestamp,
    pub(super) now: Timestamp,
    pub(super) has_timeout: bool,
    pub(super) step_ms: i64,
}

impl LastUse {
    /// Whether a step is over, so that the call is a use to add.
    pub(super) fn is_due(&self) -> bool {
        self.are_over(1, self.at)
    }

    /// Whether the file is so far behind that a verify must write.
    pub(super) fn is_late(&self) -> bool {
        let most = if self.has_timeout { 1 } else { 2 };
        self.are_over(most, self.written)
    }

    /// Whether that many steps are over since `time`.
    fn are_over(&self, steps: i64, time: Timestamp) -> bool {
        let since = self.now.as_millis().saturating_sub(time.as_millis());
        since >= self.step_ms.saturating_mul(steps)
    }

    /// The times at which the cache may answer: to the end of the step that has begun; while the
    /// file is late, to the next attempt to write.
    pub(super) fn span(&self) -> Span {
        let from = if self.is_due() { self.now } else { self.at.min(latest(self.now)) };
        let until = if self.is_late() {
            let retry_ms = self.step_ms / limits::USE_RETRIES_PER_STEP;
            later(self.now, retry_ms.clamp(1, limits::USE_RETRY_MAX_MS))
        } else {
            later(from, self.step_ms)
        };
        Span { from, until }
    }
}

pub(super) fn later(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add(millis))
}
