//! Time: milliseconds UTC inside, `DateTime<Utc>` outside, read in this file alone.

use std::fmt::Debug;
#[cfg(feature = "test-util")]
use std::sync::Arc;
#[cfg(feature = "test-util")]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};

const MILLIS_PER_DAY: i64 = 86_400_000;

/// A point in time as the file keeps it: milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    pub(crate) const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Rounds down, so that no deadline is ever later than it was asked for.
    pub(crate) fn from_datetime(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }

    /// Saturates at the first and last moment that `chrono` can express.
    pub(crate) fn to_datetime(self) -> DateTime<Utc> {
        let beyond = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_millis(self.0).unwrap_or(beyond)
    }

    /// Milliseconds since midnight.
    #[inline]
    pub(crate) fn of_day(self) -> u32 {
        self.0.rem_euclid(MILLIS_PER_DAY) as u32
    }

    /// The wall clock of the operating system.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub(crate) fn of_the_system() -> Self {
        let now = SystemTime::now();
        match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(millis_of(since)),
            Err(before) => Self(0).minus(before.duration()),
        }
    }

    pub(crate) const fn as_millis(self) -> i64 {
        self.0
    }

    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    pub(crate) fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// The time since `earlier`; zero if that is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis_of(span: Duration) -> i64 {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1_000).saturating_add(i64::from(span.subsec_millis()))
}

/// A calendar day of the years 0 to 32,767. To make a `DateTime` on a day that is known is a
/// fraction of the work of finding the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day(u32);

impl Day {
    /// The year above, the day of the year in the lowest nine.
    pub(crate) const BITS: u32 = 24;

    pub(crate) fn of(at: DateTime<Utc>) -> Option<Self> {
        let year = u16::try_from(at.year()).ok().filter(|year| *year < 1 << (Self::BITS - 9))?;
        Some(Self((u32::from(year) << 9) | at.ordinal()))
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// So many milliseconds after its midnight; none for what [`Day::of`] did not make or is no
    /// time of a day.
    #[inline]
    pub(crate) fn at(self, millis: u32) -> Option<DateTime<Utc>> {
        let day = NaiveDate::from_yo_opt((self.0 >> 9) as i32, self.0 & 0x1ff)?;
        let nanos = millis % 1_000 * 1_000_000;
        let time = NaiveTime::from_num_seconds_from_midnight_opt(millis / 1_000, nanos)?;
        Some(day.and_time(time).and_utc())
    }
}

/// Where a store reads the time.
///
/// A store asks it several times in each call, from any thread: an answer must be cheap and must
/// not wait. It may go backwards; a store keeps to the latest value that it has seen.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the operating system: the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still until a test moves it.
///
/// A clone shows and moves the same time.
///
/// ```
/// use std::time::Duration;
///
/// use chrono::DateTime;
/// use gatepost::{Clock, ManualClock};
///
/// let clock = ManualClock::new(DateTime::UNIX_EPOCH);
/// let same = clock.clone();
/// same.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().timestamp(), 90);
/// ```
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

#[cfg(feature = "test-util")]
impl ManualClock {
    /// A clock that shows `start`, rounded down to a millisecond.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(start.timestamp_millis())))
    }

    /// Shows `at` from now on.
    pub fn set(&self, at: DateTime<Utc>) {
        self.0.store(at.timestamp_millis(), Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, span: Duration) {
        self.change(|now| now.plus(span));
    }

    /// Moves backward, as a wall clock does when it is corrected.
    pub fn go_back(&self, span: Duration) {
        self.change(|now| now.minus(span));
    }

    fn change(&self, next: impl Fn(Timestamp) -> Timestamp) {
        // It cannot fail: there is always a next value.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |millis| {
            Some(next(Timestamp::from_millis(millis)).as_millis())
        });
    }
}

#[cfg(feature = "test-util")]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).to_datetime()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_has_a_datetime() {
        for millis in [i64::MIN, -1, 0, 1, 1_700_000_000_123, i64::MAX] {
            let _ = Timestamp::from_millis(millis).to_datetime();
        }
        let at = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(Timestamp::from_datetime(at.to_datetime()), at);
        assert_eq!(
            Timestamp::from_millis(-1),
            Timestamp::from_datetime(Timestamp::from_millis(-1).to_datetime())
        );
    }

    #[test]
    fn a_moment_of_a_known_day_is_the_moment() {
        let leap_years = [951_782_400_000, 1_709_164_800_000].map(Timestamp::from_millis);
        let days = (0..3_000).map(|day| Timestamp::from_millis(day * 100 * MILLIS_PER_DAY + day));
        for at in days.chain(leap_years) {
            for at in [at, at.minus(Duration::from_millis(1))] {
                let day = Day::of(at.to_datetime()).unwrap();
                assert_eq!(day, Day::from_bits(day.bits()));
                assert!(day.bits() < 1 << Day::BITS);
                assert_eq!(day.at(at.of_day()), Some(at.to_datetime()));
            }
        }
    }

    #[test]
    fn what_is_no_day_or_no_time_of_one_is_none() {
        for beyond in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(Day::of(beyond), None);
        }
        assert_eq!(Day::from_bits(0).at(0), None);
        let day = Day::of(DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(day.at(86_400_000), None);
    }

    #[test]
    fn the_clock_of_the_system_is_the_wall_clock() {
        let before = Timestamp::from_datetime(SystemClock.now());
        let now = Timestamp::of_the_system();
        assert!(before <= now && now <= Timestamp::from_datetime(SystemClock.now()));
    }

    #[test]
    fn arithmetic_saturates_and_never_wraps() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::from_millis(i64::MIN).minus(Duration::MAX).as_millis(), i64::MIN);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(
            Timestamp::from_millis(9).since(Timestamp::from_millis(5)),
            Duration::from_millis(4)
        );
    }

    #[test]
    fn a_deadline_rounds_down() {
        let almost = DateTime::from_timestamp(0, 1_999_999).unwrap();
        assert_eq!(Timestamp::from_datetime(almost).as_millis(), 1);
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn a_manual_clock_moves_both_ways() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(10));
        clock.go_back(Duration::from_secs(3));
        assert_eq!(clock.now().timestamp(), 7);
        clock.set(DateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
    }
}
