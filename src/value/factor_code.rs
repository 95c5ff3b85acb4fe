//! A code of a second factor as a person typed it, and recovery codes.
//!
//! A recovery code has 128 random bits, so the file stores a fast digest of it (SP 800-63B-4,
//! 3.1.2.2 asks for a slow one below 112 bits).

use std::fmt;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::digest::{Digest, sha256};
use super::id::UserId;
use super::limits::{FACTOR_CODE_MAX_BYTES, RECOVERY_CODE_BYTES, RECOVERY_CODE_GROUP_CHARS};
use super::random::{RandomSource, random_bytes};
use super::secret::Secret;
use super::totp::plain_base32;
use crate::error::{Error, Result};

/// A code of a second factor as a person typed it: the six or eight digits that an authenticator
/// shows, or a recovery code. Spaces and hyphens are ignored, and upper and lower case are alike.
///
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
///
/// ```
/// use gatepost::second_factors::FactorCode;
///
/// let code = FactorCode::from("123 456");
/// assert_eq!(format!("{code:?}"), "FactorCode");
/// ```
#[doc(alias("OTP", "one-time password", "backup code"))]
pub struct FactorCode(Zeroizing<String>);

impl FactorCode {
    /// The code `text`, without a copy of it.
    ///
    /// ```
    /// use gatepost::second_factors::FactorCode;
    ///
    /// let code = FactorCode::new(String::from("123456"));
    /// assert!(!format!("{code:?}").contains("123456"));
    /// ```
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Fails with `Invalid` if it is longer than any code with its separators.
    pub(crate) fn check_length(&self) -> Result<()> {
        if self.0.len() > FACTOR_CODE_MAX_BYTES {
            return Err(Error::invalid("the code is longer than 64 bytes"));
        }
        Ok(())
    }

    /// The number that so many digits are; `None` if it is anything else.
    pub(crate) fn number(&self, digits: u8) -> Option<u32> {
        let plain = plain_base32(&self.0, ' ')?;
        let is_number =
            plain.len() == usize::from(digits) && plain.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { plain.parse().ok() } else { None }
    }

    /// The digest of a recovery code of that user; `None` if it is anything else.
    pub(crate) fn recovery_digest(&self, user: UserId) -> Option<Digest> {
        let plain = plain_base32(&self.0, ' ')?;
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(plain.as_bytes()).ok()?);
        let bytes: &[u8; RECOVERY_CODE_BYTES] = bytes.as_slice().try_into().ok()?;
        Some(digest(user, bytes))
    }
}

impl From<String> for FactorCode {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Copies the text; the caller wipes its own.
impl From<&str> for FactorCode {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for FactorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorCode")
    }
}

/// Draws a recovery code: its text, for its user, and the digest to store.
pub(crate) fn draw_recovery_code(
    user: UserId,
    random: &dyn RandomSource,
) -> Result<(Secret, Digest)> {
    let bytes = Zeroizing::new(random_bytes::<RECOVERY_CODE_BYTES>(random)?);
    let plain = Zeroizing::new(BASE32_NOPAD.encode(bytes.as_slice()));
    // Allocate the whole capacity: a text that grows leaves copies of the secret behind.
    let mut text = String::with_capacity(2 * plain.len());
    for (at, c) in plain.chars().enumerate() {
        if at > 0 && at % RECOVERY_CODE_GROUP_CHARS == 0 {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    Ok((Secret::new(text), digest(user, &bytes)))
}

fn digest(user: UserId, bytes: &[u8; RECOVERY_CODE_BYTES]) -> Digest {
    sha256("gatepost.recovery_code.v1", &[user.as_bytes(), bytes])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::random::SystemRandom;

    const ADA: UserId = UserId::from_bytes([1; 16]);

    fn code(text: &str) -> FactorCode {
        FactorCode::from(text)
    }

    #[test]
    fn a_number_has_exactly_its_digits() {
        for (text, six) in [
            ("123456", Some(123_456)),
            ("000007", Some(7)),
            ("123 456", Some(123_456)),
            (" 123-456 ", Some(123_456)),
            ("12345", None),
            ("1234567", None),
            ("12345678", None),
            ("+12345", None),
            ("12345a", None),
            ("\u{661}23456", None),
            ("", None),
        ] {
            assert_eq!(code(text).number(6), six, "{text:?}");
        }
        assert_eq!(code("12345678").number(8), Some(12_345_678));
    }

    #[test]
    fn a_recovery_code_has_a_hundred_and_twenty_eight_bits_and_is_read_as_it_is_typed() {
        let (text, digest) = draw_recovery_code(ADA, &SystemRandom).unwrap();
        let text = text.expose();
        assert_eq!(text.len(), 32, "26 characters in groups of four");
        let (upper, bare) = (text.to_uppercase(), text.replace('-', ""));
        for typed in [text, &upper, &bare, &text.replace('-', " "), &format!(" {text}\n")] {
            assert_eq!(code(typed).recovery_digest(ADA), Some(digest), "{typed}");
            assert_eq!(code(typed).number(6), None);
        }
        let ben = UserId::from_bytes([2; 16]);
        assert_ne!(code(text).recovery_digest(ben), Some(digest), "of another user");
        assert_eq!(code(bare.split_at(1).1).recovery_digest(ADA), None);
        assert_eq!(code(&format!("{bare}a")).recovery_digest(ADA), None);
        assert_ne!(draw_recovery_code(ADA, &SystemRandom).unwrap().1, digest);
    }

    #[test]
    fn the_digest_in_the_file_is_frozen() {
        let digest = code("aaaq-eaye-auda-qcaj-bifq-ydio-b4").recovery_digest(ADA).unwrap();
        let hex = data_encoding::HEXLOWER.encode(digest.as_bytes());
        assert_eq!(hex, "7d9de0c1231bb3e5ba714f17123045302dc36dcfb576c444523231d69b79bd66");
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let code = code(&text);
            let _ = (code.number(6), code.number(8), code.recovery_digest(ADA));
            prop_assert_eq!(code.check_length().is_ok(), text.len() <= 64);
        }
    }
}
