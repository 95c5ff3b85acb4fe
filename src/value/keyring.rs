//! Keys that are kept outside the file, and a secret that one of them seals.

use std::collections::BTreeMap;
use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::digest::keyed;
use super::limits::{KEY_ID_MAX_BYTES, SEALING_KEY_BYTES, SEALING_NONCE_BYTES};
use super::random::{RandomSource, SystemRandom, random_bytes};
use crate::error::{Error, Result};

/// The keys under which a store seals the password hashes of its file; given to
/// [`Options::keyring`](crate::Options::keyring).
///
/// A key never enters the file, so a copy of the file alone gives an attacker no hash to guess
/// passwords against. [`Keys`] is a ready keyring over bytes or key files; implement the trait to
/// take keys from elsewhere, such as the key store of the operating system.
///
/// The store asks for a key at each login and each new password, also while it holds the file, so
/// both calls must answer at once. A key that cannot be had is `None`: a login then fails, or is
/// refused without being charged, and is never accepted. `Debug` must show no key: that of
/// [`Options`](crate::Options) includes it.
///
/// ```
/// use gatepost::host::{KeyId, Keyring, SealingKey};
///
/// #[derive(Debug)]
/// struct Pair;
///
/// impl Keyring for Pair {
///     fn current(&self) -> KeyId {
///         KeyId::new("2026-11").expect("a constant within the bounds")
///     }
///
///     fn key(&self, id: &KeyId) -> Option<SealingKey> {
///         match id.as_str() {
///             "2026-11" => Some(SealingKey::new([7; 32])),
///             "2025-04" => Some(SealingKey::new([5; 32])),
///             _ => None,
///         }
///     }
/// }
///
/// assert!(Pair.key(&Pair.current()).is_some());
/// ```
#[doc(alias("pepper", "HSM", "KMS"))]
pub trait Keyring: fmt::Debug + Send + Sync {
    /// The id of the key under which secrets are to be sealed from now on.
    fn current(&self) -> KeyId;

    /// The key of that id; `None` if this keyring does not have it, or cannot reach it.
    fn key(&self, id: &KeyId) -> Option<SealingKey>;
}

/// The name of a key: 1 to 32 of `a-z 0-9 . _ -`, such as the month in which it was made.
///
/// It is no secret: the file, the audit log and errors show it.
///
/// ```
/// use gatepost::ErrorKind;
/// use gatepost::host::KeyId;
///
/// assert_eq!(KeyId::new("2026-11")?.as_str(), "2026-11");
/// assert_eq!(KeyId::new("my key").unwrap_err().kind(), ErrorKind::Invalid);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct KeyId(String);

impl KeyId {
    /// Checks the text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if it is not 1 to 32 of `a-z 0-9 . _ -`.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
        };
        if !(1..=KEY_ID_MAX_BYTES).contains(&text.len()) || !text.bytes().all(is_plain) {
            return Err(Error::invalid("the key id is not 1 to 32 of a-z 0-9 . _ -"));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of 256 bits, for XChaCha20-Poly1305.
///
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
///
/// ```
/// use gatepost::host::SealingKey;
///
/// assert_eq!(format!("{:?}", SealingKey::new([7; 32])), "SealingKey");
/// ```
pub struct SealingKey(Zeroizing<[u8; SEALING_KEY_BYTES]>);

impl SealingKey {
    /// The key of these bytes, which must come from a cryptographically secure source and not from
    /// a password. The caller wipes its own copy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key, from the random source of the operating system.
    ///
    /// # Errors
    /// [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn random() -> Result<Self> {
        random_bytes(&SystemRandom).map(Self::new)
    }

    pub(crate) fn expose(&self) -> &[u8; SEALING_KEY_BYTES] {
        &self.0
    }

    /// A key for another purpose: it neither opens nor seals a secret.
    pub(crate) fn derived(&self, purpose: &'static str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(keyed(self.expose(), purpose, &[]))
    }

    /// Seals a secret with XChaCha20-Poly1305, bound to `place`: nonce, ciphertext and tag. The
    /// nonce is random and so long that no two are alike, whatever process draws it.
    ///
    /// # Errors
    /// `NoRandom`.
    pub(crate) fn seal(
        &self,
        secret: &[u8],
        place: &[u8],
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>> {
        let nonce = random_bytes::<SEALING_NONCE_BYTES>(random)?;
        // With room for the tag, so that no copy of the secret stays behind in memory.
        let mut text = Zeroizing::new(Vec::with_capacity(secret.len() + TAG_BYTES));
        text.extend_from_slice(secret);
        XChaCha20Poly1305::new(self.expose().into())
            .encrypt_in_place(&nonce.into(), place, &mut *text)
            .map_err(|_| Error::misuse("the secret is too long to be sealed"))?;
        Ok([&nonce[..], &text[..]].concat())
    }

    /// The secret that was sealed with this key for this place; `None` for anything else.
    pub(crate) fn open(&self, sealed: &[u8], place: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<SEALING_NONCE_BYTES>()?;
        let mut text = Zeroizing::new(text.to_vec());
        XChaCha20Poly1305::new(self.expose().into())
            .decrypt_in_place(&(*nonce).into(), place, &mut *text)
            .ok()
            .map(|()| text)
    }
}

/// The tag of Poly1305 (RFC 8439, section 2.5).
const TAG_BYTES: usize = 16;

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

/// A keyring over keys in memory: a current one, and older ones that still open what they sealed.
///
/// `Debug` shows the ids alone, and the keys are wiped when the value is dropped. The page
/// [`keys`](crate::manual::keys) says how to make, keep and rotate a key.
///
/// ```
/// use gatepost::host::{KeyId, Keyring, Keys, SealingKey};
///
/// let old = Keys::new(KeyId::new("2025-04")?, SealingKey::new([5; 32]));
/// let keys = Keys::new(KeyId::new("2026-11")?, SealingKey::random()?).with_older(old);
/// assert_eq!(keys.current().as_str(), "2026-11");
/// assert!(keys.key(&KeyId::new("2025-04")?).is_some());
/// assert!(keys.key(&KeyId::new("2024-01")?).is_none());
/// # Ok::<(), gatepost::Error>(())
/// ```
pub struct Keys {
    current: KeyId,
    all: BTreeMap<KeyId, SealingKey>,
}

impl Keys {
    /// A keyring of one key.
    #[must_use]
    pub fn new(id: KeyId, key: SealingKey) -> Self {
        Self { current: id.clone(), all: BTreeMap::from([(id, key)]) }
    }

    /// The same current key, and the keys of `older` to open what they sealed. If both have a key
    /// of one id, that of `self` is kept.
    #[must_use]
    pub fn with_older(mut self, older: Self) -> Self {
        for (id, key) in older.all {
            self.all.entry(id).or_insert(key);
        }
        self
    }
}

impl Keyring for Keys {
    fn current(&self) -> KeyId {
        self.current.clone()
    }

    fn key(&self, id: &KeyId) -> Option<SealingKey> {
        self.all.get(id).map(|key| SealingKey::new(*key.expose()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.all.keys().map(KeyId::as_str).collect();
        f.debug_struct("Keys").field("current", &self.current.0).field("ids", &ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new([byte; 32])
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_vector_of_the_draft_opens() {
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let bytes: Vec<u8> = (0x80..=0x9f).collect();
        let key = SealingKey::new(bytes.try_into().unwrap());
        let sealed = [
            hex("404142434445464748494a4b4c4d4e4f5051525354555657"),
            hex(concat!(
                "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b",
                "0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945",
                "b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f6",
                "15c68b13b52ec0875924c1c7987947deafd8780acf49",
            )),
        ]
        .concat();
        let place = hex("50515253c0c1c2c3c4c5c6c7");
        let opened = key.open(&sealed, &place).unwrap();
        assert!(opened.starts_with(b"Ladies and Gentlemen of the class of '99: If I could"));
    }

    #[test]
    fn a_secret_opens_with_its_key_at_its_place_alone() {
        let sealed = key(1).seal(b"secret", b"ada", &SystemRandom).unwrap();
        assert_eq!(sealed.len(), SEALING_NONCE_BYTES + 6 + TAG_BYTES);
        assert_eq!(&**key(1).open(&sealed, b"ada").unwrap(), b"secret");
        assert!(key(2).open(&sealed, b"ada").is_none());
        assert!(key(1).open(&sealed, b"bob").is_none());
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(key(1).open(&other, b"ada").is_none(), "byte {at}");
            assert!(key(1).open(&sealed[..at], b"ada").is_none(), "the first {at} bytes");
        }
    }

    #[test]
    fn a_secret_sealed_twice_is_two_texts() {
        let seal = || key(1).seal(b"secret", b"ada", &SystemRandom).unwrap();
        assert_ne!(seal(), seal());
    }
}
