//! Time-based codes (TOTP, RFC 6238) over steps of 30 s, and the secrets from which an
//! authenticator computes them.
//!
//! A code is compared as a number, in constant time, and every step that may match is computed.

use std::fmt;
use std::ops::RangeInclusive;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::limits::{
    TOTP_SECRET_BYTES, TOTP_SECRET_MAX_BYTES, TOTP_SECRET_MIN_BYTES, TOTP_STEP_MS,
};
use super::principal::words;
use super::random::{RandomSource, random_bytes};
use super::secret::Secret;
use super::time::Timestamp;
use crate::error::{Error, Result};

words! {
    /// The hash function from which an authenticator computes its codes.
    ///
    /// ```
    /// use gatepost::second_factors::TotpAlgorithm;
    ///
    /// assert_eq!(TotpAlgorithm::Sha1.as_str(), "sha1");
    /// assert_eq!(TotpAlgorithm::parse("sha256"), Some(TotpAlgorithm::Sha256));
    /// ```
    TotpAlgorithm {
        /// HMAC-SHA-1: the default, and the only one that every authenticator program computes.
        Sha1 = "sha1",
        /// HMAC-SHA-256.
        Sha256 = "sha256",
    }
}

words! {
    /// How a second factor came into the store.
    ///
    /// ```
    /// use gatepost::second_factors::FactorOrigin;
    ///
    /// assert_eq!(FactorOrigin::Imported.as_str(), "imported");
    /// ```
    FactorOrigin {
        /// The user enrolled it and confirmed it with two codes.
        Enrolled = "enrolled",
        /// The host imported its secret.
        Imported = "imported",
    }
}

impl TotpAlgorithm {
    /// The name in an `otpauth` URI.
    const fn in_uri(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }
}

/// The secret that an authenticator and the store share: 16 to 64 bytes (RFC 4226, section 4: at
/// least 128 bits), to be imported from another system.
///
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
///
/// ```
/// use gatepost::ErrorKind;
/// use gatepost::second_factors::TotpSecret;
///
/// let secret = TotpSecret::from_base32("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ")?;
/// assert_eq!(format!("{secret:?}"), "TotpSecret");
/// let short = TotpSecret::new(vec![7; 15]).unwrap_err();
/// assert_eq!(short.kind(), ErrorKind::Invalid);
/// # Ok::<(), gatepost::Error>(())
/// ```
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl TotpSecret {
    /// The secret of these bytes, without a copy of them.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if they are not 16 to 64 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        let bytes = Zeroizing::new(bytes);
        if !(TOTP_SECRET_MIN_BYTES..=TOTP_SECRET_MAX_BYTES).contains(&bytes.len()) {
            return Err(Error::invalid(
                "the secret of the authenticator is not 16 to 64 bytes long",
            ));
        }
        Ok(Self(bytes))
    }

    /// The secret of a text in Base32 (RFC 4648), as other systems show and store it: in any case,
    /// with or without padding, spaces and hyphens. The caller wipes its own text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the text is no Base32, or not of 16 to 64 bytes.
    pub fn from_base32(text: &str) -> Result<Self> {
        let no_base32 = || Error::invalid("the secret of the authenticator is no Base32");
        let plain = plain_base32(text, '=').ok_or_else(no_base32)?;
        Self::new(BASE32_NOPAD.decode(plain.as_bytes()).map_err(|_| no_base32())?)
    }

    /// A new secret of 160 random bits (RFC 4226, section 4 recommends that length).
    pub(crate) fn draw(random: &dyn RandomSource) -> Result<Self> {
        let bytes = Zeroizing::new(random_bytes::<TOTP_SECRET_BYTES>(random)?);
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The secret of bytes from the file; `None` if they are no secret.
    pub(crate) fn of_stored(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let lengths = TOTP_SECRET_MIN_BYTES..=TOTP_SECRET_MAX_BYTES;
        lengths.contains(&bytes.len()).then_some(Self(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text that a person types into an authenticator.
    pub(crate) fn base32(&self) -> Secret {
        // Allocate the whole capacity: a text that grows leaves copies of the secret behind.
        let mut text = String::with_capacity(BASE32_NOPAD.encode_len(self.0.len()));
        BASE32_NOPAD.encode_append(&self.0, &mut text);
        Secret::new(text)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret")
    }
}

/// The characters of a typed Base32 text, without those between its groups and without the padding;
/// `None` if the text is longer than any that the library reads.
pub(super) fn plain_base32(text: &str, padding: char) -> Option<Zeroizing<String>> {
    // With its separators, the longest secret has fewer characters.
    const LONGEST_BYTES: usize = 4 * TOTP_SECRET_MAX_BYTES;
    if text.len() > LONGEST_BYTES {
        return None;
    }
    let text = text.trim_end_matches(padding);
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let is_between = |c: char| c.is_ascii_whitespace() || c == '-';
    plain.extend(text.chars().filter(|c| !is_between(*c)).map(|c| c.to_ascii_uppercase()));
    Some(plain)
}

/// How an authenticator computes its codes, except its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TotpShape {
    pub(crate) algorithm: TotpAlgorithm,
    /// 6 or 8.
    pub(crate) digits: u8,
}

impl TotpShape {
    /// The code of a step; `None` before 1970.
    fn code(self, secret: &TotpSecret, step: i64) -> Option<u32> {
        let counter = u64::try_from(step).ok()?.to_be_bytes();
        let value = match self.algorithm {
            TotpAlgorithm::Sha1 => {
                let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.expose()).ok()?;
                truncated(&mac.chain_update(counter).finalize().into_bytes())?
            }
            TotpAlgorithm::Sha256 => {
                let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose()).ok()?;
                truncated(&mac.chain_update(counter).finalize().into_bytes())?
            }
        };
        // A damaged file may have any number of digits.
        Some(value % 10_u32.checked_pow(self.digits.into())?)
    }

    /// Whether the typed code is the one of that step.
    fn is_code_of(self, secret: &TotpSecret, typed: u32, step: i64) -> bool {
        let code = self.code(secret, step);
        code.is_some_and(|code| code.to_be_bytes().ct_eq(&typed.to_be_bytes()).into())
    }

    /// The newest of these steps that has the typed code.
    pub(crate) fn step_of(
        self,
        secret: &TotpSecret,
        typed: u32,
        steps: RangeInclusive<i64>,
    ) -> Option<i64> {
        let right = steps.filter(|step| self.is_code_of(secret, typed, *step));
        right.max()
    }

    /// The step of the second of two codes that follow each other, if its clock is no more than a
    /// step away from that of the store, and the shift of the window that its clock needs.
    ///
    /// A second code that is a step old was typed slowly, or the clock is behind: both are within
    /// the window, so it needs no shift.
    pub(crate) fn consecutive(
        self,
        secret: &TotpSecret,
        (first, second): (u32, u32),
        now: Timestamp,
    ) -> Option<(i64, i64)> {
        let now = step_at(now);
        let follow = |step: &i64| {
            // Both are computed for each step, whichever is wrong.
            let right = [(first, step - 1), (second, *step)];
            let right = right.map(|(code, step)| self.is_code_of(secret, code, step));
            right == [true, true]
        };
        let step = (now - 2..=now + 1).filter(follow).max()?;
        let shift = match step - now {
            ..=-2 => -1,
            -1 | 0 => 0,
            1.. => 1,
        };
        Some((step, shift))
    }

    /// The text of a QR code with which an authenticator reads all of it, in the form of the
    /// "Key URI Format" that authenticators share.
    pub(crate) fn uri(self, secret: &TotpSecret, issuer: &str, account: &str) -> Secret {
        let base32 = secret.base32();
        let (issuer, account) = (percent_encoded(issuer), percent_encoded(account));
        let (algorithm, digits) = (self.algorithm.in_uri(), self.digits.to_string());
        let parts = [
            "otpauth://totp/",
            &issuer,
            ":",
            &account,
            "?secret=",
            base32.expose(),
            "&issuer=",
            &issuer,
            "&algorithm=",
            algorithm,
            "&digits=",
            &digits,
            "&period=30",
        ];
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
        text.extend(parts);
        Secret::new(text)
    }
}

/// The steps whose codes are accepted: the current one and, unless `strict`, the one before it,
/// both shifted as the user's clock needs.
pub(crate) fn window(now: Timestamp, shift: i64, strict: bool) -> RangeInclusive<i64> {
    let newest = step_at(now) + shift.clamp(-1, 1);
    (if strict { newest } else { newest - 1 })..=newest
}

/// The number of the step of that time.
pub(crate) fn step_at(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(TOTP_STEP_MS)
}

/// Dynamic truncation (RFC 4226, section 5.3).
fn truncated(mac: &[u8]) -> Option<u32> {
    let at = usize::from(mac.last()? & 0x0f);
    let four = mac.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*four) & 0x7fff_ffff)
}

/// RFC 3986, section 2.1: each byte that is not unreserved.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            data_encoding::HEXUPPER.encode_append(&[byte], &mut encoded);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::random::SystemRandom;

    const SHA1: TotpShape = TotpShape { algorithm: TotpAlgorithm::Sha1, digits: 8 };
    const SHA256: TotpShape = TotpShape { algorithm: TotpAlgorithm::Sha256, digits: 8 };

    fn secret(text: &str) -> TotpSecret {
        TotpSecret::new(text.as_bytes().to_vec()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * second)
    }

    /// RFC 6238, appendix B.
    #[test]
    fn the_vectors_of_the_rfc_are_computed() {
        let twenty = secret("12345678901234567890");
        let thirty_two = secret("12345678901234567890123456789012");
        for (second, sha1, sha256) in [
            (59, 94_287_082, 46_119_246),
            (1_111_111_109, 7_081_804, 68_084_774),
            (1_111_111_111, 14_050_471, 67_062_674),
            (1_234_567_890, 89_005_924, 91_819_424),
            (2_000_000_000, 69_279_037, 90_698_825),
            (20_000_000_000, 65_353_130, 77_737_706),
        ] {
            let step = step_at(at(second));
            assert_eq!(SHA1.code(&twenty, step), Some(sha1), "{second}");
            assert_eq!(SHA256.code(&thirty_two, step), Some(sha256), "{second}");
            let six = TotpShape { digits: 6, ..SHA1 };
            assert_eq!(six.code(&twenty, step), Some(sha1 % 1_000_000), "{second}");
        }
    }

    /// RFC 4226, appendix D: a step is a counter.
    #[test]
    fn the_vectors_of_the_counter_are_computed() {
        let six = TotpShape { digits: 6, ..SHA1 };
        let codes = [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(six.code(&secret("12345678901234567890"), step), Some(code));
        }
        assert_eq!(six.code(&secret("12345678901234567890"), -1), None);
    }

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for algorithm in TotpAlgorithm::ALL {
            assert_eq!(TotpAlgorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
        for origin in FactorOrigin::ALL {
            assert_eq!(FactorOrigin::parse(origin.as_str()), Some(*origin));
        }
    }

    #[test]
    fn the_window_is_the_current_step_and_the_one_before_it() {
        for (millis, newest) in [(29_999, 0), (30_000, 1), (59_999, 1), (60_000, 2), (-1, -1)] {
            let now = Timestamp::from_millis(millis);
            assert_eq!(window(now, 0, false), newest - 1..=newest, "{millis}");
            assert_eq!(window(now, 0, true), newest..=newest, "{millis}");
        }
    }

    /// Also of a number in the file that no call stores.
    #[test]
    fn a_shift_moves_the_window_by_a_step_and_never_widens_it() {
        for (shift, moved) in [(-9, -1), (-1, -1), (0, 0), (1, 1), (9, 1)] {
            assert_eq!(window(at(300), shift, false), 9 + moved..=10 + moved);
            assert_eq!(window(at(300), shift, true), 10 + moved..=10 + moved);
        }
    }

    #[test]
    fn two_codes_that_follow_each_other_measure_the_clock() {
        let secret = secret("12345678901234567890");
        let code = |step| SHA1.code(&secret, step).unwrap();
        for (offset, shift) in
            [(-3, None), (-2, Some(-1)), (-1, Some(0)), (0, Some(0)), (1, Some(1)), (2, None)]
        {
            let step = 10 + offset;
            let pair = (code(step - 1), code(step));
            let measured = SHA1.consecutive(&secret, pair, at(300));
            assert_eq!(measured, shift.map(|shift| (step, shift)), "{offset}");
        }
        for pair in [(code(10), code(9)), (code(10), code(10)), (code(8), code(10)), (0, code(10))]
        {
            assert_eq!(SHA1.consecutive(&secret, pair, at(300)), None, "{pair:?}");
        }
    }

    #[test]
    fn a_secret_has_a_hundred_and_sixty_random_bits_and_no_shorter_one_is_imported() {
        let draw = || TotpSecret::draw(&SystemRandom).unwrap();
        assert_eq!(draw().expose().len(), 20);
        assert_ne!(draw().base32().expose(), draw().base32().expose());
        for (bytes, accepted) in [(0, false), (15, false), (16, true), (64, true), (65, false)] {
            assert_eq!(TotpSecret::new(vec![1; bytes]).is_ok(), accepted, "{bytes}");
            let stored = TotpSecret::of_stored(Zeroizing::new(vec![1; bytes]));
            assert_eq!(stored.is_some(), accepted, "{bytes}");
        }
    }

    #[test]
    fn base32_is_read_as_other_systems_write_it() {
        let read = |text: &str| TotpSecret::from_base32(text).map(|read| read.expose().to_vec());
        let expect = b"12345678901234567890".to_vec();
        for text in [
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
            "GEZDGNBV-GY3TQOJQ-GEZDGNBV-GY3TQOJQ",
        ] {
            assert_eq!(read(text).unwrap(), expect, "{text}");
        }
        let padded = read("AAAAAAAAAAAAAAAAAAAAAAAAAA======").unwrap();
        assert_eq!(padded, [0; 16]);
        for text in ["", "1", "GEZD=GNBV", "\u{e9}", "GEZDGNBVGY3TQOJ0", &"A".repeat(300)] {
            assert!(read(text).is_err(), "{text}");
        }
        let own = secret("12345678901234567890");
        assert_eq!(own.base32().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn the_uri_has_every_value_and_no_text_breaks_out_of_it() {
        let secret = secret("12345678901234567890");
        let uri = SHA256.uri(&secret, "Caf\u{e9} & Co", "ada?x=1:b/c");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Caf%C3%A9%20%26%20Co:ada%3Fx%3D1%3Ab%2Fc\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Caf%C3%A9%20%26%20Co\
             &algorithm=SHA256&digits=8&period=30"
        );
    }
}
