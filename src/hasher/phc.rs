//! The PHC string of a stored hash: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<output>`.
//!
//! Parsing is strict, because a stored hash may be damaged or chosen by an attacker: there is one
//! spelling for each number, the parameters are in this order, and there are no others. Every
//! number is bounded here, before any memory is allocated for it.

use std::cmp::Ordering;

use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cost::Cost;
use crate::value::limits::{HASH_OUTPUT_BYTES, HASH_SALT_BYTES};

/// An imported hash may have a salt as short as Argon2 itself allows.
const SALT_MIN_BYTES: usize = 8;
const SALT_MAX_BYTES: usize = 64;
const OUTPUT_MIN_BYTES: usize = 16;
const OUTPUT_MAX_BYTES: usize = 64;
/// Longer than any text within the bounds above.
const TEXT_MAX_BYTES: usize = 256;

pub(super) const HEAD: &str = "$argon2id$v=19$";

/// A parsed hash.
pub(super) struct Stored {
    pub(super) cost: Cost,
    pub(super) salt: Vec<u8>,
    pub(super) output: Zeroizing<Vec<u8>>,
}

impl Stored {
    /// Parses a PHC string; `None` unless it is an Argon2id hash within the bounds.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX_BYTES {
            return None;
        }
        let mut fields = text.strip_prefix(HEAD)?.split('$');
        let cost = read_cost(fields.next()?)?;
        let salt = read_base64(fields.next()?, SALT_MIN_BYTES, SALT_MAX_BYTES)?;
        let output = read_base64(fields.next()?, OUTPUT_MIN_BYTES, OUTPUT_MAX_BYTES)?;
        if fields.next().is_some() {
            return None;
        }
        Some(Self { cost, salt, output: Zeroizing::new(output) })
    }

    pub(super) fn write(&self) -> Zeroizing<String> {
        let cost = self.cost;
        let head = format!("{HEAD}m={},t={},p={}", cost.memory_kib(), cost.passes(), cost.lanes());
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

    /// Whether the hash should be replaced by one of `cost`: it takes less work, or the same work
    /// with a short salt or output. A hash of more work is kept, even with a short salt.
    pub(super) fn is_weaker_than(&self, cost: Cost) -> bool {
        let is_short = self.salt.len() < HASH_SALT_BYTES || self.output.len() < HASH_OUTPUT_BYTES;
        match self.cost.work().cmp(&cost.work()) {
            Ordering::Less => true,
            Ordering::Equal => is_short,
            Ordering::Greater => false,
        }
    }
}

fn read_cost(text: &str) -> Option<Cost> {
    let mut fields = text.split(',');
    let memory_kib = read_number(fields.next()?.strip_prefix("m=")?)?;
    let passes = read_number(fields.next()?.strip_prefix("t=")?)?;
    let lanes = read_number(fields.next()?.strip_prefix("p=")?)?;
    if fields.next().is_some() {
        return None;
    }
    Cost::of_stored(memory_kib, passes, lanes)
}

/// Parses digits without a sign or a leading zero: `parse` alone would accept `+7` and `007`.
fn read_number(text: &str) -> Option<u32> {
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
            Stored { cost: Cost::recommended(), salt, output }.write()
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
    fn only_argon2id_of_version_19_is_read() {
        check("", false);
        check("$", false);
        check(&GOOD.replace("argon2id", "argon2i"), false);
        check(&GOOD.replace("argon2id", "argon2d"), false);
        check(&GOOD.replace("v=19", "v=16"), false);
        check(&GOOD.replace("$v=19", ""), false);
        check("$2b$12$abcdefghijklmnopqrstuuxK1u0Yv8dHnC6wXjF0kqvYb9nJ7h5yW", false);
        check(
            "$scrypt$ln=17,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            false,
        );
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
