//! The time as a store tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::value::time::{Clock, Timestamp};

/// A clock that never runs backwards within a process.
///
/// Built on the wall clock, not on an `Instant`, which misses the time a machine sleeps.
#[derive(Debug)]
pub(super) struct SteadyClock {
    wall: Arc<dyn Clock>,
    latest: AtomicI64,
}

impl SteadyClock {
    pub(super) fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, latest: AtomicI64::new(i64::MIN) }
    }

    pub(super) fn now(&self) -> Timestamp {
        let wall = Timestamp::from_datetime(self.wall.now()).as_millis();
        let before = self.latest.fetch_max(wall, Ordering::AcqRel);
        Timestamp::from_millis(before.max(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::ManualClock;

    #[test]
    fn the_time_of_a_store_never_falls() {
        let start = "2026-01-05T09:00:00Z".parse().unwrap();
        let wall = ManualClock::new(start);
        let steady = SteadyClock::new(Arc::new(wall.clone()));
        let first = steady.now();
        wall.go_back(std::time::Duration::from_secs(60));
        assert_eq!(steady.now(), first);
        wall.advance(std::time::Duration::from_secs(61));
        assert_eq!(steady.now().as_millis(), first.as_millis() + 1_000);
    }
}
