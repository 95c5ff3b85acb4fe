//! How long attempts wait after failures, and whether a wait is in force.

use std::time::Duration;

use crate::value::limits::{
    THROTTLE_DAY_MS, THROTTLE_FIRST_WAIT_MS, THROTTLE_FREE_FAILURES, THROTTLE_LONGEST_WAIT_MS,
};
use crate::value::time::Timestamp;

/// The end of a wait that an administrator alone ends.
pub(crate) const UNTIL_UNLOCKED: Timestamp = Timestamp::from_millis(i64::MAX);

/// How long attempts wait after the last charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// So many milliseconds; none for 0.
    Millis(i64),
    /// Until an administrator acts, whatever the clock says.
    UntilUnlocked,
}

impl Wait {
    /// One attempt a day.
    pub(crate) const DAY: Self = Self::Millis(THROTTLE_DAY_MS);

    /// None before the fifth failure, then 30 s, twice as long with each one more, up to an hour.
    pub(crate) fn after(failures: i64) -> Self {
        let Some(doublings) = failures.checked_sub(THROTTLE_FREE_FAILURES).filter(|n| *n >= 0)
        else {
            return Self::Millis(0);
        };
        let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
        let wait =
            2_i64.checked_pow(doublings).and_then(|n| n.checked_mul(THROTTLE_FIRST_WAIT_MS));
        Self::Millis(wait.map_or(THROTTLE_LONGEST_WAIT_MS, |n| n.min(THROTTLE_LONGEST_WAIT_MS)))
    }

    /// Its end, if it is in force: the last charge is not later than the wall clock, and less than
    /// the wait ago. A charge in the future is void: a clock was wrong when it was made.
    pub(crate) fn end(self, last_charge: Timestamp, wall: Timestamp) -> Option<Timestamp> {
        let Self::Millis(wait) = self else { return Some(UNTIL_UNLOCKED) };
        let age = wall.as_millis().checked_sub(last_charge.as_millis())?;
        (0..wait)
            .contains(&age)
            .then(|| Timestamp::from_millis(last_charge.as_millis().saturating_add(wait)))
    }

    /// What is left of it, if it is in force. One that an administrator ends counts as a day, as
    /// its end is not known.
    pub(crate) fn rest(self, last_charge: Timestamp, wall: Timestamp) -> Option<Duration> {
        let end = self.end(last_charge, wall)?;
        let day = Timestamp::from_millis(wall.as_millis().saturating_add(THROTTLE_DAY_MS));
        Some(end.min(day).duration_since(wall))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn waits_begin_at_the_fifth_failure_and_double_up_to_an_hour() {
        let seconds = |failures| match Wait::after(failures) {
            Wait::Millis(wait) => wait / 1_000,
            Wait::UntilUnlocked => panic!("no count waits for an administrator by itself"),
        };
        assert!((i64::MIN..=i64::MIN + 5).chain(0..5).all(|failures| seconds(failures) == 0));
        let waits: Vec<i64> = (5..14).map(seconds).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(seconds(99), 3_600);
    }

    #[test]
    fn a_wait_is_in_force_from_its_charge_to_its_last_millisecond() {
        let wait = Wait::Millis(30_000);
        assert_eq!(wait.rest(at(1_000), at(1_000)), Some(Duration::from_secs(30)));
        assert_eq!(wait.rest(at(1_000), at(30_999)), Some(Duration::from_millis(1)));
        assert_eq!(wait.rest(at(1_000), at(31_000)), None);
        assert_eq!(wait.rest(at(1_000), at(999)), None, "a charge in the future is void");
        assert_eq!(Wait::Millis(0).rest(at(0), at(0)), None);
    }

    #[test]
    fn what_an_administrator_ends_is_in_force_at_any_time() {
        for wall in [i64::MIN, -1, 0, 1_000, i64::MAX] {
            assert_eq!(Wait::UntilUnlocked.end(at(1_000), at(wall)), Some(UNTIL_UNLOCKED));
        }
        let day = Duration::from_secs(86_400);
        assert_eq!(Wait::UntilUnlocked.rest(at(1_000), at(0)), Some(day));
    }

    proptest! {
        #[test]
        fn any_count_and_any_clock_wait_within_the_bounds(
            failures in any::<i64>(), charged in any::<i64>(), wall in any::<i64>(),
        ) {
            let rest = Wait::after(failures).rest(at(charged), at(wall));
            prop_assert!(rest.is_none_or(|rest| rest <= Duration::from_secs(3_600)));
            prop_assert!(rest.is_none() || failures >= THROTTLE_FREE_FAILURES);
        }
    }
}
