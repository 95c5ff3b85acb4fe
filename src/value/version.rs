//! Versions of values that are changed by compare-and-set.

use std::fmt;

/// The version of a session's data, which is changed by compare-and-set: a write names the version
/// that it read, and fails with [`Stale`](crate::ErrorKind::Stale) if there is a newer one.
///
/// ```
/// use gatepost::sessions::Version;
///
/// assert_eq!(Version::from_u64(0), Version::NONE);
/// assert_eq!(Version::from_u64(7).to_string(), "7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Version(u64);

impl Version {
    /// The version of data that was never set.
    pub const NONE: Self = Self(0);

    /// The version with the number that [`as_u64`](Self::as_u64) returned.
    ///
    /// ```
    /// use gatepost::sessions::Version;
    ///
    /// assert_eq!(Version::from_u64(7).as_u64(), 7);
    /// ```
    #[must_use]
    pub const fn from_u64(version: u64) -> Self {
        Self(version)
    }

    /// The version as a number, for a host to store.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
