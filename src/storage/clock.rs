//! The time as a store tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::value::time::{Clock, Timestamp};

/// A clock that never runs backwards within a process.
///
/// Built on the wall clock, not on an `Instant`, which misses the time a machine sleeps.
#[derive(Debug)]
pub(super) struct SteadyClock {
    /// `None`: the clock of the system, without a detour through a calendar.
    wall: Option<Arc<dyn Clock>>,
    latest: AtomicI64,
}

impl SteadyClock {
    pub(super) fn new(wall: Option<Arc<dyn Clock>>) -> Self {
        Self { wall, latest: AtomicI64::new(i64::MIN) }
    }

    pub(super) fn now(&self) -> Timestamp {
        let wall = match &self.wall {
            Some(clock) => Timestamp::from_datetime(clock.now()),
            None => Timestamp::of_the_system(),
        };
        let wall = wall.as_millis();
        let mut before = self.latest.load(Ordering::Acquire);
        if before < wall {
            // Once in a millisecond: writing it each time would take the line from all others.
            before = self.latest.fetch_max(wall, Ordering::AcqRel);
        }
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
        let steady = SteadyClock::new(Some(Arc::new(wall.clone())));
        let first = steady.now();
        wall.go_back(std::time::Duration::from_secs(60));
        assert_eq!(steady.now(), first);
        wall.advance(std::time::Duration::from_secs(61));
        assert_eq!(steady.now().as_millis(), first.as_millis() + 1_000);
    }
}
