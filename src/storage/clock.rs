//! The clock of a store: the wall clock, held for a minute where it would run backwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::value::limits;
use crate::value::time::{Clock, Timestamp};

/// A clock that waits for the wall clock to catch up after that was set back, for at most
/// [`limits::CLOCK_HELD_MS`], and then follows it: a correction of a clock that was far
/// ahead must not stop the time of a store for as long.
///
/// It uses the wall clock and not `Instant`, which does not count the time a machine sleeps.
#[derive(Debug)]
pub(super) struct SteadyClock {
    /// `None`: the system clock, read without a calendar conversion.
    wall: Option<Arc<dyn Clock>>,
    latest: AtomicI64,
    /// The wall clock while it is at least [`limits::FILE_CHECK_MS`] behind `latest`, because it
    /// was set back.
    set_back: AtomicI64,
    /// What the wall clock read when it was first seen so far behind.
    set_back_since: AtomicI64,
}

/// One reading of the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The time of the store.
    pub(super) now: Timestamp,
    /// What the wall clock says, whatever it said before.
    pub(super) wall: Timestamp,
}

impl Moment {
    /// Where no statement asks for the time.
    pub(super) const EPOCH: Self =
        Self { now: Timestamp::UNIX_EPOCH, wall: Timestamp::UNIX_EPOCH };
}

const NOT_SET_BACK: i64 = i64::MIN;

impl SteadyClock {
    pub(super) fn new(wall: Option<Arc<dyn Clock>>) -> Self {
        let not_set_back = || AtomicI64::new(NOT_SET_BACK);
        let latest = AtomicI64::new(i64::MIN);
        Self { wall, latest, set_back: not_set_back(), set_back_since: not_set_back() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.moment().now
    }

    pub(super) fn moment(&self) -> Moment {
        let wall = match &self.wall {
            Some(clock) => clock.now(),
            None => Timestamp::of_the_system(),
        };
        let wall = wall.as_millis();
        let mut before = self.latest.load(Ordering::Acquire);
        if before < wall {
            // At most one write a millisecond: each write takes the cache line from all other
            // cores.
            before = self.latest.fetch_max(wall, Ordering::AcqRel);
            self.caught_up();
        } else if before.saturating_sub(wall) >= limits::FILE_CHECK_MS {
            before = self.behind(before, wall);
        }
        Moment {
            now: Timestamp::from_millis(before.max(wall)),
            wall: Timestamp::from_millis(wall),
        }
    }

    /// The time of the store while the wall clock is behind it.
    #[cold]
    fn behind(&self, latest: i64, wall: i64) -> i64 {
        let since = self.set_back_since.load(Ordering::Relaxed);
        if since == NOT_SET_BACK || wall < since {
            // Also if it was set back once more: each time counts on its own.
            self.set_back_since.store(wall, Ordering::Relaxed);
        } else if wall.saturating_sub(since) >= limits::CLOCK_HELD_MS {
            let followed =
                self.latest.compare_exchange(latest, wall, Ordering::AcqRel, Ordering::Acquire);
            self.caught_up();
            // Another thread may have followed a later reading.
            return followed.map_or_else(|now| now, |_| wall);
        }
        self.set_back.store(wall, Ordering::Relaxed);
        latest
    }

    fn caught_up(&self) {
        self.set_back.store(NOT_SET_BACK, Ordering::Relaxed);
        self.set_back_since.store(NOT_SET_BACK, Ordering::Relaxed);
    }

    /// `now`, or the wall clock if that was set back: for periodic work, which would otherwise
    /// pause until the wall clock has caught up.
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
    fn time_is_held_until_the_wall_clock_has_caught_up() {
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
    fn after_a_minute_time_follows_the_wall_clock_back() {
        let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let steady = SteadyClock::new(Some(Arc::new(wall.clone())));
        let first = steady.now();
        let behind = |steady: &SteadyClock| (first.as_millis() - steady.now().as_millis()) / 1_000;
        let minute = limits::CLOCK_HELD_MS;
        wall.go_back(std::time::Duration::from_secs(3_600));
        assert_eq!(behind(&steady), 0);
        wall.advance(std::time::Duration::from_millis(minute.unsigned_abs() - 1));
        assert_eq!(behind(&steady), 0);
        // Set back once more: the minute starts again.
        wall.go_back(std::time::Duration::from_secs(3_600));
        assert_eq!(behind(&steady), 0);
        wall.advance(std::time::Duration::from_millis(minute.unsigned_abs() - 1));
        assert_eq!(behind(&steady), 0);
        wall.advance(std::time::Duration::from_millis(1));
        assert_eq!(behind(&steady), 7_080);
        // The next correction has a minute of its own.
        wall.go_back(std::time::Duration::from_secs(3_600));
        assert_eq!(behind(&steady), 7_080);
    }

    #[test]
    fn ticks_go_on_after_the_wall_clock_was_set_back() {
        let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
        let steady = SteadyClock::new(Some(Arc::new(wall.clone())));
        let ticks = || steady.ticks(steady.now()).as_millis();
        let first = ticks();
        wall.go_back(std::time::Duration::from_secs(3_600));
        assert_eq!(ticks(), first - 3_600_000);
        wall.advance(std::time::Duration::from_secs(1));
        assert_eq!(ticks(), first - 3_599_000);
        wall.advance(std::time::Duration::from_secs(59));
        assert_eq!((ticks(), steady.now().as_millis()), (first - 3_540_000, first - 3_540_000));
    }
}
