//! The time as a store tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::value::limits;
use crate::value::time::{Clock, Timestamp};

/// A clock that never runs backwards within a process.
///
/// Built on the wall clock, not on an `Instant`, which misses the time a machine sleeps.
#[derive(Debug)]
pub(super) struct SteadyClock {
    /// `None`: the clock of the system, without a detour through a calendar.
    wall: Option<Arc<dyn Clock>>,
    latest: AtomicI64,
    /// What the wall clock says while it is well behind that, as it was set back.
    set_back: AtomicI64,
}

const NOT_SET_BACK: i64 = i64::MIN;

impl SteadyClock {
    pub(super) fn new(wall: Option<Arc<dyn Clock>>) -> Self {
        let set_back = AtomicI64::new(NOT_SET_BACK);
        Self { wall, latest: AtomicI64::new(i64::MIN), set_back }
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
            self.set_back.store(NOT_SET_BACK, Ordering::Relaxed);
        } else if before.saturating_sub(wall) >= limits::FILE_LOOK_MS {
            self.set_back.store(wall, Ordering::Relaxed);
        }
        Timestamp::from_millis(before.max(wall))
    }

    /// `now` by a clock that goes on: for what is done every so often, which must not wait until
    /// a clock that was set back is again where it had been.
    #[inline]
    pub(super) fn ticks(&self, now: Timestamp) -> Timestamp {
        match self.set_back.load(Ordering::Relaxed) {
            NOT_SET_BACK => now,
            wall => Timestamp::from_millis(wall),
        }
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

    #[test]
    fn it_goes_on_ticking_where_it_stands_still() {
        let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let steady = SteadyClock::new(Some(Arc::new(wall.clone())));
        let ticks = || steady.ticks(steady.now()).as_millis();
        let first = ticks();
        wall.go_back(std::time::Duration::from_secs(3_600));
        assert_eq!(ticks(), first - 3_600_000);
        wall.advance(std::time::Duration::from_secs(1));
        assert_eq!(ticks(), first - 3_599_000);
        wall.advance(std::time::Duration::from_secs(3_600));
        assert_eq!((ticks(), steady.now().as_millis()), (first + 1_000, first + 1_000));
    }
}
