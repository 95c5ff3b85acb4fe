//! Digests: SHA-256 with framed parts, compared in constant time.

use std::fmt;
use std::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name([u8; $len]);

        impl $name {
            pub(crate) const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            pub(crate) const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Whether both are the same, in constant time: the time does not depend on where
            /// they differ.
            pub(crate) fn ct_eq(&self, other: &Self) -> bool {
                const { assert!($len % 16 == 0) };
                let ((own, _), (other, _)) = (self.0.as_chunks(), other.0.as_chunks());
                // In words of 128 bits: byte by byte it takes four times as many instructions.
                let word = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
                let same = |(own, other)| word(own).ct_eq(&word(other));
                own.iter().zip(other).map(same).fold(Choice::from(1), |all, same| all & same).into()
            }
        }

        // `==` is constant-time as well.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.ct_eq(other)
            }
        }

        impl Eq for $name {}

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

digest! {
    /// A SHA-256.
    Digest, 32
}

digest! {
    /// The digest of a device identifier, which the file stores instead of the identifier.
    DeviceDigest, 16
}

digest! {
    /// The code by which a store recognises a ticket that it has minted.
    TicketCode, 16
}

/// The digest of a device identifier; other modules call `DeviceDigest::of`.
pub(crate) fn device_digest(device: &str) -> DeviceDigest {
    let digest = sha256("gatepost.device.v1", &[device.as_bytes()]);
    DeviceDigest(first16(digest.as_bytes()))
}

/// The SHA-256 of all that the reader has, as the tool `sha256sum` computes it.
pub(crate) fn sha256_of_file(mut from: impl std::io::Read) -> std::io::Result<Digest> {
    let mut hasher = Sha256::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(hasher.finalize().into())),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// The SHA-256 of parts, each preceded by its length, under a domain that no other use shares.
///
/// Without the lengths, parts of different splits would have the same digest; and with a hash of
/// plain concatenations, a long name once pushed the password out of a cache key (Okta, 2024).
pub(crate) fn sha256(domain: &'static str, parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    let mut frame = |part: &[u8]| {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    };
    frame(domain.as_bytes());
    for part in parts {
        frame(part);
    }
    Digest(hasher.finalize().into())
}

/// The plain SHA-256 of a token's secret: 256 random bits need neither salt nor domain.
pub(crate) fn secret_hash(secret: &[u8; 32]) -> Digest {
    Digest(Sha256::digest(secret).into())
}

/// The first half of an HMAC-SHA-256 of domain and bytes.
pub(crate) fn keyed16(key: &[u8; 32], domain: &'static str, bytes: &[u8]) -> [u8; 16] {
    first16(&keyed(key, domain, &[bytes]))
}

/// The code of a ticket with these parts, each preceded by its length. 128 bits cannot be guessed
/// by presenting tickets (ASVS 7.2.3).
pub(crate) fn ticket_code(key: &[u8; 32], parts: [&[u8]; 5]) -> TicketCode {
    let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
    let framed: Vec<&[u8]> =
        lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]).collect();
    TicketCode(first16(&keyed(key, "gatepost.ticket.v1", &framed)))
}

/// The HMAC-SHA-256 of domain and bytes, which may come in several pieces.
pub(crate) fn keyed(key: &[u8; 32], domain: &'static str, pieces: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a short key with zeros to the block; a padded key makes the call infallible.
    let mut block = zeroize::Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    mac.update(&(domain.len() as u64).to_be_bytes());
    mac.update(domain.as_bytes());
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

fn first16(bytes: &[u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    first
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn a_border_moved_between_parts_changes_the_digest() {
        assert_ne!(sha256("d", &[b"ab", b"c"]), sha256("d", &[b"a", b"bc"]));
        assert_ne!(sha256("d", &[b"a"]), sha256("d", &[b"a", b""]));
        assert_ne!(sha256("da", &[b""]), sha256("d", &[b"a"]));
    }

    #[test]
    fn the_hash_of_a_secret_is_the_plain_one() {
        let expect = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(HEXLOWER.encode(secret_hash(&[0; 32]).as_bytes()), expect);
    }

    #[test]
    fn the_forms_in_the_file_are_frozen() {
        let device = device_digest("till-1");
        assert_eq!(HEXLOWER.encode(device.as_bytes()), "d149a73ec7b74c265eacfa3b73904962");
        assert_eq!(
            HEXLOWER.encode(&keyed16(&[1; 32], "test.v1", b"ada")),
            "f43ecfe0b559b74e2e6179cbcb6a1f97"
        );
    }

    #[test]
    fn a_border_moved_between_parts_changes_the_code_of_a_ticket() {
        let code = |method: &[u8], resource: &[u8]| {
            ticket_code(&[1; 32], [b"", b"", b"", method, resource])
        };
        assert_ne!(code(b"GET", b"/a"), code(b"GET/", b"a"));
        assert_ne!(code(b"GET", b""), code(b"", b"GET"));
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", sha256("d", &[])), "Digest");
    }
}
