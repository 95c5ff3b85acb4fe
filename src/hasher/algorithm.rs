//! The algorithms of stored hashes, with their parameters and the bounds of these.
//!
//! New hashes are Argon2id (version 19). All others come from other systems and are replaced at the
//! first granted login. Every parameter is bounded when it is read, before any memory or time is
//! spent on it.

use super::cost::Cost;
use crate::value::limits::{
    BCRYPT_ROUNDS_LOG2_MAX, HASH_MEMORY_MAX_KIB, HASH_OUTPUT_BYTES, HASH_PASSES_MAX,
    PBKDF2_ITERATIONS_MAX, PBKDF2_ITERATIONS_MIN, SCRYPT_LANES_MAX, SCRYPT_N_LOG2_MIN,
};

/// The shortest and the longest output of an imported hash.
pub(super) const OUTPUT_MIN_BYTES: usize = 16;
pub(super) const OUTPUT_MAX_BYTES: usize = 64;
/// The output of bcrypt: it leaves the last of 24 bytes out.
pub(super) const BCRYPT_OUTPUT_BYTES: usize = 23;
pub(super) const BCRYPT_SALT_BYTES: usize = 16;
/// The key of a project that signs passwords in Firebase has 64 bytes.
const FIREBASE_OUTPUT_BYTES: usize = 64;

/// An algorithm with its parameters, within their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashAlgorithm {
    Argon2 {
        variant: Argon2Variant,
        version: Argon2Version,
        cost: Cost,
    },
    /// With `sha256`, of the password's SHA-256 in hexadecimal (Django's `bcrypt_sha256`).
    Bcrypt {
        rounds_log2: u32,
        sha256: bool,
    },
    /// With `firebase`, the output is what the derived key encrypts.
    Scrypt {
        n_log2: u8,
        r: u32,
        p: u32,
        firebase: bool,
    },
    Pbkdf2 {
        digest: Digest,
        iterations: u32,
        output_bytes: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argon2Variant {
    Id,
    I,
    D,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argon2Version {
    V16,
    V19,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// What the source did with the typed password before it hashed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Normalisation {
    /// As this library does.
    Nfc,
    /// Nothing.
    Typed,
    Nfkc,
}

impl HashAlgorithm {
    /// The algorithm of new hashes.
    pub(super) const fn own(cost: Cost) -> Self {
        let (variant, version) = (Argon2Variant::Id, Argon2Version::V19);
        Self::Argon2 { variant, version, cost }
    }

    /// bcrypt, if the cost is 4 to 16.
    pub(super) fn bcrypt(rounds_log2: u32, sha256: bool) -> Option<Self> {
        (4..=BCRYPT_ROUNDS_LOG2_MAX)
            .contains(&rounds_log2)
            .then_some(Self::Bcrypt { rounds_log2, sha256 })
    }

    /// scrypt, if its memory and work are at most those of the costliest Argon2.
    pub(super) fn scrypt(n_log2: u32, r: u32, p: u32, firebase: bool) -> Option<Self> {
        let kib = scrypt_kib(u8::try_from(n_log2).ok()?, r)?;
        let work_max = u64::from(HASH_MEMORY_MAX_KIB) * u64::from(HASH_PASSES_MAX);
        let is_within_bounds = n_log2 >= SCRYPT_N_LOG2_MIN
            && r >= 1
            && (1..=SCRYPT_LANES_MAX).contains(&p)
            && kib <= u64::from(HASH_MEMORY_MAX_KIB)
            && kib * u64::from(p) <= work_max;
        let n_log2 = u8::try_from(n_log2).ok()?;
        is_within_bounds.then_some(Self::Scrypt { n_log2, r, p, firebase })
    }

    /// PBKDF2, if the iterations of all blocks of its output are 1,000 to 10 million.
    pub(super) fn pbkdf2(digest: Digest, iterations: u32, output_bytes: usize) -> Option<Self> {
        let is_within_bounds = iterations >= PBKDF2_ITERATIONS_MIN
            && (OUTPUT_MIN_BYTES..=OUTPUT_MAX_BYTES).contains(&output_bytes)
            && u64::from(iterations) * blocks(digest, output_bytes)
                <= u64::from(PBKDF2_ITERATIONS_MAX);
        is_within_bounds.then_some(Self::Pbkdf2 { digest, iterations, output_bytes })
    }

    /// Whether this library makes such hashes.
    pub(super) const fn is_own(self) -> bool {
        matches!(
            self,
            Self::Argon2 { variant: Argon2Variant::Id, version: Argon2Version::V19, .. }
        )
    }

    /// Whether this build can compute it.
    pub(super) const fn is_computable(self) -> bool {
        match self {
            Self::Argon2 { .. } => true,
            Self::Bcrypt { .. } | Self::Scrypt { .. } | Self::Pbkdf2 { .. } => {
                cfg!(feature = "import-hashes")
            }
        }
    }

    /// Whether a store of this cost accepts the hash of another system. Argon2 is held to the
    /// floor; what is replaced at the first login anyway, to the bounds alone.
    pub(super) fn is_accepted(self, in_force: Cost) -> bool {
        match self {
            Self::Argon2 { cost, .. } => cost.meets_floor() || cost == in_force,
            Self::Bcrypt { .. } | Self::Scrypt { .. } | Self::Pbkdf2 { .. } => true,
        }
    }

    /// A number that orders all costs: about the time that the hash takes, in fifths of a
    /// microsecond on a machine of 2026. The order is all that counts, and is the same in every
    /// process.
    pub(super) fn work(self) -> u64 {
        match self {
            Self::Argon2 { cost, .. } => 2 * cost.work(),
            Self::Bcrypt { rounds_log2, .. } => 300 << rounds_log2,
            Self::Scrypt { n_log2, r, p, .. } => {
                scrypt_kib(n_log2, r).unwrap_or(u64::MAX >> 16) * u64::from(p) * 25 / 2
            }
            Self::Pbkdf2 { digest, iterations, output_bytes } => {
                let iterations = u64::from(iterations) * blocks(digest, output_bytes);
                match digest {
                    Digest::Sha1 | Digest::Sha256 => iterations * 5 / 4,
                    Digest::Sha512 => iterations * 5 / 2,
                }
            }
        }
    }

    /// The length of the output of a stand-in.
    pub(super) const fn output_bytes(self) -> usize {
        match self {
            Self::Argon2 { .. } | Self::Scrypt { firebase: false, .. } => HASH_OUTPUT_BYTES,
            Self::Scrypt { firebase: true, .. } => FIREBASE_OUTPUT_BYTES,
            Self::Bcrypt { .. } => BCRYPT_OUTPUT_BYTES,
            Self::Pbkdf2 { output_bytes, .. } => output_bytes,
        }
    }

    /// Whether the algorithm can have such a salt and output.
    pub(super) fn fits(self, salt: &[u8], hash: &[u8]) -> bool {
        match self {
            Self::Argon2 { .. } | Self::Scrypt { .. } => true,
            Self::Bcrypt { .. } => {
                salt.len() == BCRYPT_SALT_BYTES && hash.len() == BCRYPT_OUTPUT_BYTES
            }
            Self::Pbkdf2 { output_bytes, .. } => hash.len() == output_bytes,
        }
    }

    /// Whether the algorithm reads this whole password. bcrypt ignores what follows the 72nd byte,
    /// and repeats the password after a zero byte, so that `a` and `a\0a` have one hash. scrypt and
    /// PBKDF2 key HMAC, which appends zero bytes, so that `a` and `a\0` have one (RFC 2104).
    pub(super) fn reads_all_of(self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt { sha256: false, .. } => password.len() <= 72 && !password.contains(&0),
            Self::Scrypt { .. } | Self::Pbkdf2 { .. } => !password.ends_with(&[0]),
            Self::Bcrypt { sha256: true, .. } | Self::Argon2 { .. } => true,
        }
    }
}

/// The memory of scrypt in KiB; `None` if it does not fit a number.
fn scrypt_kib(n_log2: u8, r: u32) -> Option<u64> {
    let blocks = 1_u64.checked_shl(n_log2.into())?;
    blocks.checked_mul(u64::from(r))?.checked_mul(128).map(|bytes| bytes.div_ceil(1_024))
}

/// How often PBKDF2 runs all of its iterations.
fn blocks(digest: Digest, output_bytes: usize) -> u64 {
    let each = match digest {
        Digest::Sha1 => 20,
        Digest::Sha256 => 32,
        Digest::Sha512 => 64,
    };
    u64::try_from(output_bytes.div_ceil(each)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_scrypt_are_memory_and_work_of_the_costliest_argon2() {
        let accepts = |n, r, p| HashAlgorithm::scrypt(n, r, p, false).is_some();
        assert!(accepts(10, 8, 1) && accepts(17, 8, 1) && accepts(18, 8, 1) && accepts(14, 8, 16));
        assert!(!accepts(9, 8, 1), "less than SCRYPT_N_LOG2_MIN");
        assert!(!accepts(19, 8, 1), "512 MiB");
        assert!(!accepts(18, 9, 1) && !accepts(14, 8, 17));
        assert!(!accepts(14, 0, 1) && !accepts(14, 8, 0));
        assert!(!accepts(63, u32::MAX, 1) && !accepts(64, 1, 1) && !accepts(u32::MAX, 1, 1));
    }

    #[test]
    fn the_bounds_of_bcrypt_and_pbkdf2_are_numbers_of_rounds() {
        let bcrypt = |rounds| HashAlgorithm::bcrypt(rounds, false).is_some();
        assert!(!bcrypt(3) && bcrypt(4) && bcrypt(16) && !bcrypt(17) && !bcrypt(u32::MAX));
        let pbkdf2 =
            |digest, iterations, bytes| HashAlgorithm::pbkdf2(digest, iterations, bytes).is_some();
        assert!(!pbkdf2(Digest::Sha256, 999, 32) && pbkdf2(Digest::Sha256, 1_000, 32));
        assert!(pbkdf2(Digest::Sha256, 10_000_000, 32));
        assert!(!pbkdf2(Digest::Sha256, 10_000_001, 32));
        assert!(!pbkdf2(Digest::Sha1, 10_000_000, 32), "two blocks");
        assert!(pbkdf2(Digest::Sha1, 5_000_000, 32));
        assert!(!pbkdf2(Digest::Sha512, 1_000, 15) && !pbkdf2(Digest::Sha512, 1_000, 65));
    }
}
