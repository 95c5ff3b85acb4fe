//! The PHC string of a stored hash: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<output>`.
//!
//! Hashes of other systems are stored in this form too: `sources` reads the form of each source.
//! The first part, up to the salt, says algorithm, parameters and normalisation. It is the cost by
//! which the file counts its users, so two hashes that take different times differ in it.
//!
//! Parsing is strict, because a stored hash may be damaged or chosen by an attacker: there is one
//! spelling for each number, the parameters are in this order, and there are no others. Every
//! number is bounded here, before any memory is allocated for it.

use std::cmp::Ordering;

use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::algorithm::{
    Argon2Variant, Argon2Version, Digest, HashAlgorithm, Normalisation, OUTPUT_MAX_BYTES,
    OUTPUT_MIN_BYTES,
};
use super::cost::Cost;
use crate::value::limits::{HASH_OUTPUT_BYTES, HASH_SALT_BYTES};

/// An imported hash may have a salt as short as Argon2 itself allows.
pub(super) const SALT_MIN_BYTES: usize = 8;
pub(super) const SALT_MAX_BYTES: usize = 64;
/// Longer than any text within the bounds above.
const TEXT_MAX_BYTES: usize = 256;

/// The salt of the hash that is computed for a user without a stored hash.
pub(super) const STAND_IN_SALT: &[u8; HASH_SALT_BYTES] = b"stand-in, unused";

/// A parsed hash.
pub(super) struct Stored {
    pub(super) algorithm: HashAlgorithm,
    pub(super) normalisation: Normalisation,
    pub(super) salt: Vec<u8>,
    pub(super) output: Zeroizing<Vec<u8>>,
}

impl Stored {
    /// Parses a PHC string; `None` unless it is a hash within the bounds.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX_BYTES {
            return None;
        }
        let (rest, output) = text.rsplit_once('$')?;
        let (head, salt) = rest.rsplit_once('$')?;
        let (algorithm, normalisation) = read_head(head)?;
        let salt = read_base64(salt, SALT_MIN_BYTES, SALT_MAX_BYTES)?;
        let output = Zeroizing::new(read_base64(output, OUTPUT_MIN_BYTES, OUTPUT_MAX_BYTES)?);
        algorithm.fits(&salt, &output).then_some(Self { algorithm, normalisation, salt, output })
    }

    /// A hash with this first part that is computed and compared where there is none.
    pub(super) fn stand_in(head: &str) -> Option<Self> {
        let (algorithm, normalisation) = read_head(head)?;
        Some(Self::standing_in(algorithm, normalisation))
    }

    pub(super) fn standing_in(algorithm: HashAlgorithm, normalisation: Normalisation) -> Self {
        let output = Zeroizing::new(vec![0; algorithm.output_bytes()]);
        Self { algorithm, normalisation, salt: STAND_IN_SALT.to_vec(), output }
    }

    pub(super) fn write(&self) -> Zeroizing<String> {
        let head = write_head(self.algorithm, self.normalisation);
        // With room for all of it: growing would leave copies in memory.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX_BYTES));
        text.push_str(&head);
        for bytes in [&self.salt, &*self.output] {
            text.push('$');
            BASE64_NOPAD.encode_append(bytes, &mut text);
        }
        text
    }

    /// Whether `output` equals the stored output, compared in constant time.
    pub(super) fn is_output(&self, output: &[u8]) -> bool {
        self.output.as_slice().ct_eq(output).into()
    }

    /// Whether the hash should be replaced by one of `cost`: it is of another system, takes less
    /// work, or takes the same work with a short salt or output. A hash of more work is kept, even
    /// with a short salt.
    pub(super) fn is_weaker_than(&self, cost: Cost) -> bool {
        let own = match self.algorithm {
            HashAlgorithm::Argon2 { cost, .. } if self.algorithm.is_own() => cost,
            _ => return true,
        };
        let is_short = self.salt.len() < HASH_SALT_BYTES || self.output.len() < HASH_OUTPUT_BYTES;
        match own.work().cmp(&cost.work()) {
            Ordering::Less => true,
            Ordering::Equal => is_short,
            Ordering::Greater => false,
        }
    }
}

/// Parses all of a hash up to its salt.
fn read_head(head: &str) -> Option<(HashAlgorithm, Normalisation)> {
    let (name, rest) = head.strip_prefix('$')?.split_once('$')?;
    let (parameters, normalisation) = match rest.rsplit_once(",norm=") {
        Some((parameters, "typed")) => (parameters, Normalisation::Typed),
        Some((parameters, "nfkc")) => (parameters, Normalisation::Nfkc),
        Some(_) => return None,
        None => (rest, Normalisation::Nfc),
    };
    let algorithm = match name {
        "argon2id" => read_argon2(Argon2Variant::Id, parameters),
        "argon2i" => read_argon2(Argon2Variant::I, parameters),
        "argon2d" => read_argon2(Argon2Variant::D, parameters),
        "bcrypt" => HashAlgorithm::bcrypt(read_parameters(parameters, ["r="])?[0], false),
        "django-bcrypt-sha256" => {
            HashAlgorithm::bcrypt(read_parameters(parameters, ["r="])?[0], true)
        }
        "scrypt" => read_scrypt(parameters, false),
        "firebase-scrypt" => read_scrypt(parameters, true),
        "pbkdf2-sha1" => read_pbkdf2(Digest::Sha1, parameters),
        "pbkdf2-sha256" => read_pbkdf2(Digest::Sha256, parameters),
        "pbkdf2-sha512" => read_pbkdf2(Digest::Sha512, parameters),
        _ => None,
    }?;
    Some((algorithm, normalisation))
}

fn write_head(algorithm: HashAlgorithm, normalisation: Normalisation) -> String {
    let head = match algorithm {
        HashAlgorithm::Argon2 { variant, version, cost } => {
            let variant = match variant {
                Argon2Variant::Id => "argon2id",
                Argon2Variant::I => "argon2i",
                Argon2Variant::D => "argon2d",
            };
            let version = match version {
                Argon2Version::V16 => 16,
                Argon2Version::V19 => 19,
            };
            let (memory_kib, passes, lanes) = (cost.memory_kib(), cost.passes(), cost.lanes());
            format!("${variant}$v={version}$m={memory_kib},t={passes},p={lanes}")
        }
        HashAlgorithm::Bcrypt { rounds_log2, sha256 } => {
            let name = if sha256 { "django-bcrypt-sha256" } else { "bcrypt" };
            format!("${name}$r={rounds_log2}")
        }
        HashAlgorithm::Scrypt { n_log2, r, p, firebase } => {
            let name = if firebase { "firebase-scrypt" } else { "scrypt" };
            format!("${name}$ln={n_log2},r={r},p={p}")
        }
        HashAlgorithm::Pbkdf2 { digest, iterations, output_bytes } => {
            let digest = match digest {
                Digest::Sha1 => "sha1",
                Digest::Sha256 => "sha256",
                Digest::Sha512 => "sha512",
            };
            format!("$pbkdf2-{digest}$i={iterations},l={output_bytes}")
        }
    };
    match normalisation {
        Normalisation::Nfc => head,
        Normalisation::Typed => head + ",norm=typed",
        Normalisation::Nfkc => head + ",norm=nfkc",
    }
}

fn read_argon2(variant: Argon2Variant, text: &str) -> Option<HashAlgorithm> {
    let (version, parameters) = text.split_once('$')?;
    let version = match version {
        "v=16" => Argon2Version::V16,
        "v=19" => Argon2Version::V19,
        _ => return None,
    };
    let [memory_kib, passes, lanes] = read_parameters(parameters, ["m=", "t=", "p="])?;
    let cost = Cost::of_stored(memory_kib, passes, lanes)?;
    Some(HashAlgorithm::Argon2 { variant, version, cost })
}

fn read_scrypt(parameters: &str, firebase: bool) -> Option<HashAlgorithm> {
    let [n_log2, r, p] = read_parameters(parameters, ["ln=", "r=", "p="])?;
    HashAlgorithm::scrypt(n_log2, r, p, firebase)
}

fn read_pbkdf2(digest: Digest, parameters: &str) -> Option<HashAlgorithm> {
    let [iterations, output_bytes] = read_parameters(parameters, ["i=", "l="])?;
    HashAlgorithm::pbkdf2(digest, iterations, usize::try_from(output_bytes).ok()?)
}

/// Parses these parameters, in this order and no others.
fn read_parameters<const N: usize>(text: &str, names: [&str; N]) -> Option<[u32; N]> {
    let mut fields = text.split(',');
    let mut values = [0; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = read_number(fields.next()?.strip_prefix(name)?)?;
    }
    fields.next().is_none().then_some(values)
}

/// Parses digits without a sign or a leading zero: `parse` alone would accept `+7` and `007`.
pub(super) fn read_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

fn read_base64(text: &str, min_bytes: usize, max_bytes: usize) -> Option<Vec<u8>> {
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok()?;
    (min_bytes..=max_bytes).contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
        CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    #[track_caller]
    fn check(text: &str, readable: bool) {
        assert_eq!(Stored::read(text).is_some(), readable, "{text:?}");
    }

    #[test]
    fn a_parsed_hash_is_written_unchanged() {
        let stored = Stored::read(GOOD).unwrap();
        assert_eq!(stored.salt, b"somesalt");
        assert_eq!(stored.output.len(), 32);
        assert_eq!(*stored.write(), GOOD);
        let lanes = GOOD.replace("p=1", "p=4");
        assert_eq!(*Stored::read(&lanes).unwrap().write(), lanes);
    }

    #[test]
    fn each_algorithm_is_written_as_it_was_read() {
        let tail = |salt: usize, output: usize| {
            let encoded = |bytes: usize| BASE64_NOPAD.encode(&vec![7; bytes]);
            ["$", &encoded(salt), "$", &encoded(output)].concat()
        };
        for (head, output) in [
            ("$argon2i$v=16$m=65536,t=2,p=1,norm=typed", 32),
            ("$argon2d$v=19$m=65536,t=2,p=1", 32),
            ("$bcrypt$r=12,norm=typed", 23),
            ("$django-bcrypt-sha256$r=12,norm=typed", 23),
            ("$scrypt$ln=14,r=16,p=1,norm=nfkc", 64),
            ("$firebase-scrypt$ln=14,r=8,p=1,norm=typed", 64),
            ("$pbkdf2-sha1$i=260000,l=20,norm=typed", 20),
            ("$pbkdf2-sha256$i=1000000,l=32,norm=typed", 32),
            ("$pbkdf2-sha512$i=100000,l=32,norm=typed", 32),
        ] {
            let text = head.to_owned() + &tail(16, output);
            assert_eq!(*Stored::read(&text).unwrap().write(), text);
            let stand_in = Stored::stand_in(head).unwrap().write();
            assert!(stand_in.starts_with(&format!("{head}$")), "{}", *stand_in);
            assert_eq!(*Stored::read(&stand_in).unwrap().write(), *stand_in);
            check(&text.replace("norm=typed", "norm=nfc"), !head.contains("norm=typed"));
            check(&text.replace("norm=typed", "norm="), !head.contains("norm=typed"));
            check(&text.replace("=1", "=01"), !head.contains("=1"));
        }
        check(&("$bcrypt$r=12,norm=typed".to_owned() + &tail(16, 24)), false);
        check(&("$bcrypt$r=12,norm=typed".to_owned() + &tail(15, 23)), false);
        check(&("$pbkdf2-sha1$i=1000,l=20,norm=typed".to_owned() + &tail(16, 21)), false);
    }

    #[test]
    fn the_bounds_are_tested_on_the_text() {
        check(&GOOD.replace("m=65536", "m=262144"), true);
        check(&GOOD.replace("m=65536", "m=262145"), false);
        check(&GOOD.replace("m=65536", "m=4294967295"), false);
        check(&GOOD.replace("m=65536", "m=4294967296"), false);
        check(&GOOD.replace("t=2", "t=16"), true);
        check(&GOOD.replace("t=2", "t=17"), false);
        check(&GOOD.replace("t=2", "t=0"), false);
        check(&GOOD.replace("p=1", "p=16"), true);
        check(&GOOD.replace("p=1", "p=17"), false);
        check(&GOOD.replace("p=1", "p=16777215"), false);
        let with = |salt: usize, output: usize| {
            let (salt, output) = (vec![1; salt], Zeroizing::new(vec![2; output]));
            let algorithm = HashAlgorithm::own(Cost::recommended());
            Stored { algorithm, normalisation: Normalisation::Nfc, salt, output }.write()
        };
        check(&with(8, 16), true);
        check(&with(7, 16), false);
        check(&with(8, 15), false);
        check(&with(64, 64), true);
        check(&with(65, 64), false);
        check(&with(64, 65), false);
        check(&with(100_000, 32), false);
    }

    #[test]
    fn only_known_algorithms_and_versions_are_read() {
        check("", false);
        check("$", false);
        check(&GOOD.replace("argon2id", "argon2"), false);
        check(&GOOD.replace("argon2id", "argon2ds"), false);
        check(&GOOD.replace("v=19", "v=18"), false);
        check(&GOOD.replace("$v=19", ""), false);
        check("$2b$12$abcdefghijklmnopqrstuuxK1u0Yv8dHnC6wXjF0kqvYb9nJ7h5yW", false);
        check(&GOOD.replace("argon2id$v=19", "yescrypt"), false);
    }

    #[test]
    fn there_is_one_spelling_of_a_hash() {
        check(&GOOD.replace("m=65536", "m=065536"), false);
        check(&GOOD.replace("m=65536", "m=+65536"), false);
        check(&GOOD.replace("m=65536", "m="), false);
        check(&GOOD.replace("m=65536,t=2", "t=2,m=65536"), false);
        check(&GOOD.replace("p=1", "p=1,keyid=AAAA"), false);
        check(&GOOD.replace("p=1", "p=1,p=1"), false);
        check(&format!("{GOOD}="), false);
        check(&format!("{GOOD}$"), false);
        check(&format!("{GOOD} "), false);
        check(&format!(" {GOOD}"), false);
        // The last character carries four bits; the two below them must be zero.
        check(&GOOD.replace("GRPPc", "GRPPd"), false);
        check(&GOOD.replace("$CTF", "$\u{e9}TF"), false);
    }
}
