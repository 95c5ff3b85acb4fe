//! A token as it arrives in an HTTP `Authorization` header.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::limits::HEADER_MAX_BYTES;
use super::name::DeviceId;
use super::secret::Secret;
use crate::error::{Error, Result};

/// The token, and the device if there is one, of an `Authorization` header.
///
/// Two schemes are read, their names in any case:
/// - `Basic` (RFC 7617): the user name is the token; the password is the device, or empty;
/// - `Bearer` (RFC 6750, 2.1): the token alone.
///
/// A browser adds no `Bearer` header by itself, so another site cannot forge such a request
/// (CSRF). A host that puts the token into a cookie defends against that itself.
///
/// ```
/// use gatepost::HeaderCredentials;
///
/// let presented = HeaderCredentials::from_header("Bearer gps_token")?;
/// assert_eq!(presented.token.expose(), "gps_token");
/// assert!(presented.device.is_none());
///
/// let presented = HeaderCredentials::from_header("Basic Z3BzX3Rva2VuOnRpbGwtMQ==")?;
/// assert_eq!(presented.device.unwrap().as_str(), "till-1");
/// # Ok::<(), gatepost::Error>(())
/// ```
#[doc(alias("authorization", "bearer", "CSRF", "middleware", "extractor", "axum"))]
#[derive(Debug)]
#[non_exhaustive]
pub struct HeaderCredentials {
    /// The token, unchecked: [`Store::verify`](crate::Store::verify) checks it.
    pub token: Secret,
    /// The device; `None` if the header has none.
    pub device: Option<DeviceId>,
}

impl HeaderCredentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for another scheme, a value that its RFC does not
    /// allow, an empty token, a value longer than 1,024 bytes, or a device longer than 128 bytes.
    ///
    /// ```
    /// use gatepost::{ErrorKind, HeaderCredentials};
    ///
    /// assert!(HeaderCredentials::from_header("Bearer gps_token").is_ok());
    /// let error = HeaderCredentials::from_header("Digest username=ada").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// ```
    pub fn from_header(value: &str) -> Result<Self> {
        if value.len() > HEADER_MAX_BYTES {
            return Err(Error::invalid("the authorisation header is longer than 1,024 bytes"));
        }
        let Some((scheme, credentials)) = value.split_once(' ') else {
            return Err(Error::invalid(
                "the authorisation header has a scheme and no credentials",
            ));
        };
        let credentials = credentials.trim_start_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            basic(credentials)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            bearer(credentials)
        } else {
            Err(Error::invalid("the authorisation scheme is neither Basic nor Bearer"))
        }
    }
}

fn basic(credentials: &str) -> Result<HeaderCredentials> {
    let wrong = || Error::invalid("the Basic credentials are not base64 of token and device");
    let bytes = Zeroizing::new(BASE64.decode(credentials.as_bytes()).map_err(|_| wrong())?);
    let pair = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    // RFC 7617, 2: the user name has no colon, the password may have one; neither has controls.
    let (token, device) = pair.split_once(':').ok_or_else(wrong)?;
    if token.is_empty() || pair.chars().any(char::is_control) {
        return Err(wrong());
    }
    let device = if device.is_empty() { None } else { Some(DeviceId::new(device)?) };
    Ok(HeaderCredentials { token: Secret::new(token.to_owned()), device })
}

fn bearer(credentials: &str) -> Result<HeaderCredentials> {
    let without_padding = credentials.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if without_padding.is_empty() || !without_padding.bytes().all(allowed) {
        return Err(Error::invalid(
            "the Bearer token is empty or has characters that RFC 6750 does not allow",
        ));
    }
    Ok(HeaderCredentials { token: Secret::new(credentials.to_owned()), device: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;

    #[track_caller]
    fn check(header: &str, expect: Option<(&str, Option<&str>)>) {
        let found = HeaderCredentials::from_header(header);
        let found = found.as_ref().map(|presented| {
            (presented.token.expose(), presented.device.as_ref().map(DeviceId::as_str))
        });
        match (found, expect) {
            (Ok(found), Some(expect)) => assert_eq!(found, expect),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Invalid),
            (found, expect) => panic!("{header:?}: {found:?}, expected {expect:?}"),
        }
    }

    fn basic_of(pair: &[u8]) -> String {
        format!("Basic {}", BASE64.encode(pair))
    }

    #[test]
    fn bearer_carries_a_token_alone() {
        check("Bearer gps_a-b", Some(("gps_a-b", None)));
        check("bEARER   gps_a", Some(("gps_a", None)));
        check("Bearer abc==", Some(("abc==", None)));
        for junk in ["Bearer", "Bearer ", "Bearer ==", "Bearer a b", "Bearer a=b", "Bearer a\n"] {
            check(junk, None);
        }
    }

    #[test]
    fn basic_carries_a_token_and_perhaps_a_device() {
        check(&basic_of(b"gps_a:"), Some(("gps_a", None)));
        check(&basic_of(b"gps_a:till-1"), Some(("gps_a", Some("till-1"))));
        check(&basic_of("gps_a:Käse:1".as_bytes()), Some(("gps_a", Some("Käse:1"))));
        check("BASIC Z3BzX2E6", Some(("gps_a", None)));
        check(&basic_of(b"gps_a"), None);
        check(&basic_of(b":till-1"), None);
        check(&basic_of(b"gps_a:till\x001"), None);
        check(&basic_of(b"gps_a:\xff"), None);
        check(&basic_of(format!("gps_a:{}", "d".repeat(129)).as_bytes()), None);
        check("Basic Z3BzX2E6dGlsbA", None);
        check("Basic Z3Bz X2E6", None);
        check("Digest username=x", None);
        check("", None);
    }

    #[test]
    fn a_header_beyond_its_bound_is_not_read() {
        check(&format!("Bearer {}", "a".repeat(1_017)), Some((&"a".repeat(1_017), None)));
        check(&format!("Bearer {}", "a".repeat(1_018)), None);
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "(?i)((basic|bearer) )?.{0,60}") {
            let _ = HeaderCredentials::from_header(&text);
        }

        #[test]
        fn no_basic_pair_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = HeaderCredentials::from_header(&basic_of(&bytes));
        }
    }
}
