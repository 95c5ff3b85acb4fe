//! The version of the host's own API that a client speaks.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A version of the host's own API, as `major.minor`. A login may name the version that its client
/// speaks, and [`Options::api_versions`](crate::Options::api_versions) limits them to a range.
///
/// ```
/// use gatepost::policy::ApiVersion;
///
/// let spoken: ApiVersion = "1.10".parse()?;
/// assert!(spoken > ApiVersion::new(1, 9));
/// assert_eq!(spoken.to_string(), "1.10");
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ApiVersion {
    /// The number that rises when clients must change.
    pub major: u16,
    /// The number that rises when clients may change.
    pub minor: u16,
}

impl ApiVersion {
    /// The version `major.minor`.
    ///
    /// ```
    /// use gatepost::policy::ApiVersion;
    ///
    /// assert_eq!(ApiVersion::new(2, 1).to_string(), "2.1");
    /// ```
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Serialises as text: `"1.0"`.
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for ApiVersion {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Reads `major` or `major.minor`, digits alone, each at most 65,535;
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for everything else.
impl FromStr for ApiVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(Error::invalid("the API version is not two numbers with a dot between")),
        }
    }
}

/// Digits only: `u16::from_str` accepts a plus sign.
fn number(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(ApiVersion::new(1, 10) > ApiVersion::new(1, 9));
        assert!(ApiVersion::new(2, 0) > ApiVersion::new(1, 65_535));
        assert_eq!("3".parse::<ApiVersion>().unwrap(), ApiVersion::new(3, 0));
        for text in ["", ".", "1.", ".1", "1.0.0", "+1.0", "1.-1", " 1.0", "65536.0", "v1"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<ApiVersion>();
        }

        #[test]
        fn what_is_shown_is_read(major: u16, minor: u16) {
            let version = ApiVersion::new(major, minor);
            prop_assert_eq!(version.to_string().parse::<ApiVersion>().unwrap(), version);
        }
    }
}
