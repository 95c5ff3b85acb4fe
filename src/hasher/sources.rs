//! The texts in which other systems keep password hashes, read into the typed form.
//!
//! Each system has its own text for the same algorithms. A text is read once, at the import; the
//! file has the form of `phc`. What is refused is refused with the reason.

use data_encoding::{BASE64, BASE64_NOPAD, Encoding, HEXLOWER_PERMISSIVE, Specification};
use zeroize::Zeroizing;

use super::algorithm::{
    Argon2Variant, Digest, HashAlgorithm, Normalisation, OUTPUT_MAX_BYTES, OUTPUT_MIN_BYTES,
};
use super::phc::{SALT_MAX_BYTES, SALT_MIN_BYTES, Stored, read_number};

/// Longer than any text that is accepted.
const TEXT_MAX_BYTES: usize = 512;

type Read<T = Stored> = std::result::Result<T, &'static str>;

const MALFORMED: &str = "the password hash is malformed: a part is missing, or is not in the form \
    that its beginning announces";
const BOUNDS: &str = "the password hash is malformed or beyond a bound: a salt of 8 to 64 bytes, \
    an output of 16 to 64, or a cost that the page `moving` of the manual lists";
const LDAP: &str = "the password hash is of LDAP: its schemes are fast hashes, many of them \
    without a salt, which protect no password";
const FAST: &str = "the password hash is a fast hash, or has no salt: it protects no password";
const CRYPT: &str = "the password hash is of crypt(3) or PHPass, which are not supported; of their \
    schemes only bcrypt ($2a$, $2b$, $2y$) is";
const BCRYPT_2X: &str = "the password hash is of a bcrypt with a known error ($2x$, or $2$)";
const IDENTITY_V2: &str = "the password hash is of ASP.NET Identity version 2 or of an unknown \
    version: only version 3 is supported";
const UNKNOWN: &str = "the password hash is of no known form: the page `moving` of the manual \
    lists the forms that can be imported";

/// Reads a hash in the form of its source.
pub(super) fn read(text: &str) -> Read {
    if text.len() > TEXT_MAX_BYTES {
        return Err(BOUNDS);
    }
    let (first, rest) = text.split_once('$').unwrap_or((text, ""));
    match first {
        "" => modular(text, rest),
        "argon2" => modular(text.trim_start_matches("argon2"), rest).map(as_typed),
        "bcrypt" => bcrypt(rest, false),
        "bcrypt_sha256" => bcrypt(rest, true),
        "scrypt" => django_scrypt(rest),
        "pbkdf2_sha256" => django_pbkdf2(Digest::Sha256, rest),
        "pbkdf2_sha1" => django_pbkdf2(Digest::Sha1, rest),
        "md5" | "sha1" | "unsalted_md5" | "unsalted_sha1" | "crypt" => Err(FAST),
        _ if first.starts_with("scrypt:") => werkzeug_scrypt(first, rest),
        _ if first.starts_with("pbkdf2:") => werkzeug_pbkdf2(first, rest),
        _ if first.starts_with('{') => Err(LDAP),
        _ if rest.is_empty() => without_dollar(text),
        _ => Err(UNKNOWN),
    }
}

/// Texts that begin with `$`: PHC strings, and the older modular crypt format.
fn modular(text: &str, rest: &str) -> Read {
    let (name, parameters) = rest.split_once('$').ok_or(MALFORMED)?;
    match name {
        "argon2id" | "argon2i" | "argon2d" => argon2(name, text, parameters),
        "2a" | "2b" | "2y" => bcrypt(text, false),
        "2" | "2x" => Err(BCRYPT_2X),
        "scrypt" | "pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512" => phc(text),
        "bcrypt" | "django-bcrypt-sha256" | "firebase-scrypt" => Stored::read(text).ok_or(BOUNDS),
        "firescrypt" => kratos_firebase(parameters),
        "1" | "3" | "5" | "6" | "7" | "y" | "gy" | "md5" | "sha1" | "apr1" | "P" | "H" => {
            Err(CRYPT)
        }
        _ => Err(UNKNOWN),
    }
}

/// Argon2; without a version it is 16. Argon2id alone may be of this library, which normalises to
/// NFC.
fn argon2(name: &str, text: &str, parameters: &str) -> Read {
    let named = match parameters.starts_with("v=") {
        true => text.to_owned(),
        false => ["$", name, "$v=16$", parameters].concat(),
    };
    let named = Zeroizing::new(named);
    let stored = Stored::read(&named).ok_or(BOUNDS)?;
    match stored.algorithm {
        HashAlgorithm::Argon2 { variant: Argon2Variant::Id, .. } if stored.algorithm.is_own() => {
            Ok(stored)
        }
        _ => Ok(as_typed(stored)),
    }
}

/// A PHC string of an algorithm that this library does not make, perhaps without the length of the
/// output.
fn phc(text: &str) -> Read {
    if let Some(stored) = Stored::read(text) {
        return Ok(as_typed(stored));
    }
    let (rest, output) = text.rsplit_once('$').ok_or(MALFORMED)?;
    let (head, salt) = rest.rsplit_once('$').ok_or(MALFORMED)?;
    let bytes = BASE64_NOPAD.decode(output.as_bytes()).map_err(|_| MALFORMED)?.len();
    let text = Zeroizing::new(format!("{head},l={bytes}${salt}${output}"));
    Stored::read(&text).map(as_typed).ok_or(BOUNDS)
}

/// What a text leaves open: other systems hash the password as it was typed.
fn as_typed(stored: Stored) -> Stored {
    match stored.normalisation {
        Normalisation::Nfc => Stored { normalisation: Normalisation::Typed, ..stored },
        Normalisation::Typed | Normalisation::Nfkc => stored,
    }
}

/// `$2b$12$` and 53 characters of an alphabet of its own: 22 of the salt, 31 of the output.
fn bcrypt(text: &str, sha256: bool) -> Read {
    let (version, rest) =
        text.strip_prefix('$').and_then(|rest| rest.split_once('$')).ok_or(MALFORMED)?;
    match version {
        "2a" | "2b" | "2y" => {}
        "2" | "2x" => return Err(BCRYPT_2X),
        _ => return Err(MALFORMED),
    }
    let (rounds, text) = rest.split_once('$').ok_or(MALFORMED)?;
    if rounds.len() != 2 || text.len() != 53 || !text.is_ascii() {
        return Err(MALFORMED);
    }
    let rounds = read_number(rounds.trim_start_matches('0')).ok_or(MALFORMED)?;
    let algorithm = HashAlgorithm::bcrypt(rounds, sha256).ok_or(BOUNDS)?;
    let (salt, output) = text.split_at(22);
    let encoding = bcrypt_base64().ok_or(MALFORMED)?;
    let decoded = |text: &str| encoding.decode(text.as_bytes()).map_err(|_| MALFORMED);
    typed(algorithm, decoded(salt)?, decoded(output)?)
}

/// Some implementations set bits behind the end of the salt, and all ignore them.
fn bcrypt_base64() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
    specification.check_trailing_bits = false;
    specification.encoding().ok()
}

/// Django: `scrypt$16384$salt$8$5$base64`.
fn django_scrypt(rest: &str) -> Read {
    let [n, salt, r, p, output] = fields(rest, '$')?;
    let algorithm = scrypt(n, r, p)?;
    typed(algorithm, salt.into(), base64(output)?)
}

/// Django: `pbkdf2_sha256$600000$salt$base64`.
fn django_pbkdf2(digest: Digest, rest: &str) -> Read {
    let [iterations, salt, output] = fields(rest, '$')?;
    pbkdf2(digest, iterations, salt, base64(output)?)
}

/// Werkzeug: `scrypt:32768:8:1$salt$hex`.
fn werkzeug_scrypt(first: &str, rest: &str) -> Read {
    let [_, n, r, p] = fields(first, ':')?;
    let [salt, output] = fields(rest, '$')?;
    typed(scrypt(n, r, p)?, salt.into(), hex(output)?)
}

/// Werkzeug: `pbkdf2:sha256:600000$salt$hex`.
fn werkzeug_pbkdf2(first: &str, rest: &str) -> Read {
    let [_, digest, iterations] = fields(first, ':')?;
    let [salt, output] = fields(rest, '$')?;
    let digest = match digest {
        "sha1" => Digest::Sha1,
        "sha256" => Digest::Sha256,
        "sha512" => Digest::Sha512,
        _ => return Err(UNKNOWN),
    };
    pbkdf2(digest, iterations, salt, hex(output)?)
}

/// Firebase, as Ory Kratos writes it: `$firescrypt$ln=14,r=8,p=1$salt$hash$separator$key`. Firebase
/// encrypts the key of the project under what scrypt derives from the password, by AES-256 in
/// counter mode. The key is the same for all users, so only the key stream is stored.
fn kratos_firebase(rest: &str) -> Read {
    let [parameters, salt, encrypted, separator, key] = fields(rest, '$')?;
    let [n, r, p] = fields(parameters, ',')?;
    let number =
        |field: &str, name: &str| field.strip_prefix(name).and_then(read_number).ok_or(MALFORMED);
    let (n, r, p) = (number(n, "ln=")?, number(r, "r=")?, number(p, "p=")?);
    let algorithm = HashAlgorithm::scrypt(n, r, p, true).ok_or(BOUNDS)?;
    let (mut salt, mut stream, key) = (base64(salt)?, base64(encrypted)?, base64(key)?);
    salt.extend(base64(separator)?);
    if stream.len() != key.len() {
        return Err(MALFORMED);
    }
    for (byte, key) in stream.iter_mut().zip(&key) {
        *byte ^= key;
    }
    typed(algorithm, salt, stream)
}

/// Texts without `$`: better-auth, ASP.NET Core Identity, and hashes without salt or algorithm.
fn without_dollar(text: &str) -> Read {
    if let Some((salt, output)) = text.split_once(':') {
        return better_auth(salt, output);
    }
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && matches!(text.len(), 32 | 40 | 56 | 64 | 96 | 128) {
        return Err(FAST);
    }
    match BASE64.decode(text.as_bytes()) {
        Ok(bytes) => identity(&bytes),
        Err(_) => Err(UNKNOWN),
    }
}

/// better-auth: salt and output in hexadecimal. The text of the salt is the salt.
fn better_auth(salt: &str, output: &str) -> Read {
    if salt.len() != 32 || hex(salt).is_err() {
        return Err(UNKNOWN);
    }
    let output = Zeroizing::new(hex(output)?);
    let bytes = output.len();
    if bytes != 64 {
        return Err(MALFORMED);
    }
    let algorithm = HashAlgorithm::scrypt(14, 16, 1, false).ok_or(BOUNDS)?;
    let normalisation = Normalisation::Nfkc;
    Ok(Stored { algorithm, normalisation, salt: salt.into(), output })
}

/// ASP.NET Core Identity, version 3: a byte 1, digest, iterations and length of the salt as numbers
/// of four bytes, then salt and output.
fn identity(bytes: &[u8]) -> Read {
    let (version, rest) = bytes.split_first().ok_or(UNKNOWN)?;
    if *version != 1 {
        return Err(if bytes.len() == 49 { IDENTITY_V2 } else { UNKNOWN });
    }
    let (digest, rest) = big_endian(rest)?;
    let (iterations, rest) = big_endian(rest)?;
    let (salt_bytes, rest) = big_endian(rest)?;
    let digest = match digest {
        0 => Digest::Sha1,
        1 => Digest::Sha256,
        2 => Digest::Sha512,
        _ => return Err(IDENTITY_V2),
    };
    let salt_bytes = usize::try_from(salt_bytes).map_err(|_| BOUNDS)?;
    let (salt, output) = rest.split_at_checked(salt_bytes).ok_or(MALFORMED)?;
    let algorithm = HashAlgorithm::pbkdf2(digest, iterations, output.len()).ok_or(BOUNDS)?;
    typed(algorithm, salt.to_vec(), output.to_vec())
}

fn big_endian(bytes: &[u8]) -> Read<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(MALFORMED)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// scrypt of a work factor that is a power of two.
fn scrypt(n: &str, r: &str, p: &str) -> Read<HashAlgorithm> {
    let number = |text: &str| read_number(text).ok_or(MALFORMED);
    let (n, r, p) = (number(n)?, number(r)?, number(p)?);
    if !n.is_power_of_two() {
        return Err(MALFORMED);
    }
    HashAlgorithm::scrypt(n.ilog2(), r, p, false).ok_or(BOUNDS)
}

fn pbkdf2(digest: Digest, iterations: &str, salt: &str, output: Vec<u8>) -> Read {
    let iterations = read_number(iterations).ok_or(MALFORMED)?;
    let algorithm = HashAlgorithm::pbkdf2(digest, iterations, output.len()).ok_or(BOUNDS)?;
    typed(algorithm, salt.into(), output)
}

/// A hash of the password as it was typed, if salt and output are within the bounds.
fn typed(algorithm: HashAlgorithm, salt: Vec<u8>, output: Vec<u8>) -> Read {
    let output = Zeroizing::new(output);
    let is_within_bounds = (SALT_MIN_BYTES..=SALT_MAX_BYTES).contains(&salt.len())
        && (OUTPUT_MIN_BYTES..=OUTPUT_MAX_BYTES).contains(&output.len())
        && algorithm.fits(&salt, &output);
    match is_within_bounds {
        true => Ok(Stored { algorithm, normalisation: Normalisation::Typed, salt, output }),
        false if salt.is_empty() => Err(FAST),
        false => Err(BOUNDS),
    }
}

/// Exactly so many parts.
fn fields<const N: usize>(text: &str, separator: char) -> Read<[&str; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().map_err(|_| MALFORMED)
}

fn base64(text: &str) -> Read<Vec<u8>> {
    BASE64.decode(text.as_bytes()).map_err(|_| MALFORMED)
}

fn hex(text: &str) -> Read<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests;
