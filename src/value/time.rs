//! Time: milliseconds since 1970 in UTC. Only this file reads the wall clock.

use std::fmt::{self, Debug};
use std::str::FromStr;
#[cfg(feature = "test-util")]
use std::sync::Arc;
#[cfg(feature = "test-util")]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::{Error, Result};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Every time that Gatepost takes, stores and returns is a `Timestamp`. It is `Copy`, 8 bytes, and
/// converts into [`SystemTime`] and [`chrono::DateTime<Utc>`] and back. A fraction of a
/// millisecond is rounded down, so that no deadline is later than requested. `Display` writes RFC
/// 3339 in UTC, and `FromStr` reads it. With the feature `serde` it is the number of milliseconds.
///
/// ```
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
///
/// use gatepost::Timestamp;
///
/// let at = Timestamp::from_millis(1_700_000_000_123);
/// assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
/// assert_eq!(SystemTime::from(at), UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
/// assert_eq!(gatepost::chrono::DateTime::from(at).timestamp(), 1_700_000_000);
/// assert_eq!((at + Duration::from_secs(1)).duration_since(at), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// The earliest time.
    pub const MIN: Self = Self(i64::MIN);

    /// The latest time.
    pub const MAX: Self = Self(i64::MAX);

    /// The time `millis` milliseconds after 1970-01-01T00:00:00Z; before it if negative.
    ///
    /// ```
    /// use gatepost::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
    /// ```
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The duration since `earlier`; zero if `earlier` is later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::Timestamp;
    ///
    /// let (five, nine) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
    /// assert_eq!(nine.duration_since(five), Duration::from_millis(4));
    /// assert_eq!(five.duration_since(nine), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The current time of the wall clock of the operating system.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub(crate) fn of_the_system() -> Self {
        SystemTime::now().into()
    }
}

/// Saturates at [`Timestamp::MAX`].
impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }
}

/// Saturates at [`Timestamp::MIN`].
impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }
}

/// Rounds down to the millisecond.
impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }
}

/// Saturates at the first and the last time that `chrono` can express.
impl From<Timestamp> for DateTime<Utc> {
    fn from(at: Timestamp) -> Self {
        let beyond = if at.0 < 0 { Self::MIN_UTC } else { Self::MAX_UTC };
        Self::from_timestamp_millis(at.0).unwrap_or(beyond)
    }
}

/// Rounds down to the millisecond.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(millis_of(since)),
            Err(before) => {
                let before = before.duration();
                let part = u128::from(before.subsec_nanos() % 1_000_000 != 0);
                Self(i64::try_from(before.as_millis() + part).map_or(i64::MIN, |millis| -millis))
            }
        }
    }
}

/// Saturates at the first and the last time that `SystemTime` can express.
impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let span = Duration::from_millis(at.0.unsigned_abs());
        let exact = if at.0 < 0 {
            Self::UNIX_EPOCH.checked_sub(span)
        } else {
            Self::UNIX_EPOCH.checked_add(span)
        };
        // Every platform that Gatepost supports can express all of them.
        exact.unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Writes RFC 3339 in UTC with milliseconds, or the number of milliseconds for a time of which
/// `chrono` has no date.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_millis(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// Reads RFC 3339, with any offset.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for any other text.
impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Ok(Self(at.timestamp_millis())),
            Err(_) => Err(Error::invalid("the time is not of the form 2026-01-31T09:00:00Z")),
        }
    }
}

impl Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

/// A duration in whole milliseconds, rounded down; saturates.
pub(crate) fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A span in JSON. The name of its field ends in `_ms`.
#[cfg(feature = "serde")]
pub(crate) fn as_millis<S: serde::Serializer>(
    span: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&span.map(millis_of), serializer)
}

/// The end of a lifetime, as a request states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    At(Timestamp),
    After(Duration),
}

impl Deadline {
    /// The time of the end, for a lifetime that begins at `now`.
    pub(crate) fn of(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(span) => now + span,
        }
    }
}

/// The clock from which a store reads the time; given to
/// [`Options::clock`](crate::Options::clock).
///
/// A store reads it several times in each call, from any thread: [`now`](Self::now) must be cheap
/// and must not wait. It may go backwards: the time of a store then stays where it was until the
/// clock has caught up, for a minute at most, and follows the clock after that.
///
/// ```
/// use gatepost::host::Clock;
/// use gatepost::Timestamp;
///
/// #[derive(Debug)]
/// struct Fixed(Timestamp);
///
/// impl Clock for Fixed {
///     fn now(&self) -> Timestamp {
///         self.0
///     }
/// }
///
/// assert_eq!(Fixed(Timestamp::UNIX_EPOCH).now(), Timestamp::UNIX_EPOCH);
/// ```
pub trait Clock: Debug + Send + Sync {
    /// The current time. It must answer at once: writes read it while they hold the file.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system: the default.
///
/// ```
/// use gatepost::host::{Clock, SystemClock};
/// use gatepost::Timestamp;
///
/// let before = Timestamp::from(std::time::SystemTime::now());
/// assert!(SystemClock::default().now() >= before);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::of_the_system()
    }
}

/// A clock that a test sets and moves.
///
/// Needs the feature `test-util`. A clone shows and moves the same time.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::host::{Clock, ManualClock};
/// use gatepost::Timestamp;
///
/// let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
/// let same = clock.clone();
/// same.advance(Duration::from_secs(90));
/// assert_eq!(clock.now().as_millis(), 90_000);
/// ```
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

#[cfg(feature = "test-util")]
impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// Sets the clock to `at`.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }

    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.change(|now| now + span);
    }

    /// Moves the clock backward by `span`, as a correction moves a wall clock.
    pub fn go_back(&self, span: Duration) {
        self.change(|now| now - span);
    }

    fn change(&self, next: impl Fn(Timestamp) -> Timestamp) {
        // `fetch_update` fails only if the closure returns `None`.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |millis| {
            Some(next(Timestamp::from_millis(millis)).as_millis())
        });
    }
}

#[cfg(feature = "test-util")]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A duration in the largest unit that divides it, for messages: "30 d", "90 s".
pub(crate) fn in_units(span: Duration) -> String {
    const UNITS: [(u128, &str); 4] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let millis = span.as_millis();
    if Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) != span {
        return format!("{span:?}");
    }
    let fits = UNITS.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    let (unit, name) = fits.copied().unwrap_or((1, "ms"));
    format!("{} {name}", millis / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_has_a_date_and_is_written() {
        for millis in [i64::MIN, -1, 0, 1, 1_700_000_000_123, i64::MAX] {
            let at = Timestamp::from_millis(millis);
            let (date, system) = (DateTime::from(at), SystemTime::from(at));
            let in_range = DateTime::from_timestamp_millis(millis).is_some();
            assert_eq!(Timestamp::from(date) == at, in_range, "{at}");
            assert_eq!(Timestamp::from(system), at);
        }
        let winter = "2026-01-05T10:00:00.5+01:00".parse::<Timestamp>().unwrap();
        assert_eq!(winter.to_string(), "2026-01-05T09:00:00.500Z");
        assert!("2026-01-05".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::MAX.to_string(), format!("{} ms", i64::MAX));
    }

    #[test]
    fn the_clock_of_the_system_is_the_wall_clock() {
        let before = SystemClock.now();
        let now = Timestamp::of_the_system();
        assert!(before <= now && now <= SystemClock.now());
    }

    #[test]
    fn arithmetic_saturates_and_never_wraps() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        let (five, nine) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(five.duration_since(nine), Duration::ZERO);
        assert_eq!(nine.duration_since(five), Duration::from_millis(4));
        assert_eq!(
            (five + Duration::from_millis(4), nine - Duration::from_millis(4)),
            (nine, five)
        );
    }

    #[test]
    fn a_span_is_said_in_its_largest_whole_unit() {
        let check = |span, expect| assert_eq!(in_units(span), expect);
        check(Duration::from_secs(60 * 86_400), "60 d");
        check(Duration::from_secs(25 * 3_600), "25 h");
        check(Duration::from_secs(90), "90 s");
        check(Duration::from_secs(120), "2 min");
        check(Duration::from_millis(1_500), "1500 ms");
        check(Duration::from_micros(1_500), "1.5ms");
        check(Duration::ZERO, "0 ms");
        check(Duration::MAX, "18446744073709551615.999999999s");
    }

    #[test]
    fn a_deadline_rounds_down() {
        let almost = DateTime::from_timestamp(0, 1_999_999).unwrap();
        assert_eq!(Timestamp::from(almost).as_millis(), 1);
        let nanos = Duration::from_nanos;
        for (before, millis) in [(1_000_000, -1), (1_000_001, -2), (1, -1), (0, 0)] {
            let at = SystemTime::UNIX_EPOCH - nanos(before);
            assert_eq!(Timestamp::from(at).as_millis(), millis, "{before} ns before");
        }
        assert_eq!(Timestamp::from(SystemTime::UNIX_EPOCH + nanos(1_999_999)).as_millis(), 1);
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn a_manual_clock_moves_both_ways() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(10));
        clock.go_back(Duration::from_secs(3));
        assert_eq!(clock.now().as_millis(), 7_000);
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }
}
