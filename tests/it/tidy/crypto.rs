//! Which cryptography is used, where it comes from, and how secrets are compared.

use super::source::{Project, Source, is_name};

/// The parts of each cryptographic dependency that are used: no other may be named.
#[rustfmt::skip]
const INVENTORY: &[(&str, &[&str])] = &[
    ("argon2",    &["Algorithm", "Argon2", "Params", "Version", "Block", "Result"]),
    ("sha1",      &["Sha1"]), // inside TOTP (RFC 6238) and imported PBKDF2 alone
    ("sha2",      &["Digest", "Sha256", "Sha512"]),
    // What other systems hashed with, until the first login.
    ("bcrypt",    &[]),
    ("scrypt",    &["Params"]),
    ("pbkdf2",    &["Sha1", "Sha256", "Sha512"]),
    ("aes",       &["Aes256"]),
    ("ctr",       &["Ctr128BE", "KeyIvInit", "StreamCipher"]),
    ("hmac",      &["Hmac", "KeyInit", "Mac"]),
    ("subtle",    &["Choice", "ConstantTimeEq"]),
    ("getrandom", &[]),
    ("zeroize",   &["Zeroize", "Zeroizing"]),
    ("chacha20poly1305", &["AeadInOut", "KeyInit", "XChaCha20Poly1305"]),
    ("siphasher", &["Hasher128", "SipHasher24"]),
];

/// The dependencies that decide nothing secret. A checksum is no cryptography.
#[rustfmt::skip]
const PLAIN: &[&str] = &[
    "caseless", "chrono", "crc32fast", "data-encoding", "libc", "parking_lot",
    "rusqlite", "rustix", "serde", "serde_json", "tracing",
    "unicode-general-category", "unicode-normalization", "uuid",
];

/// Names whose value must not be compared byte by byte, up to the first difference.
const SECRET: [&str; 6] = ["secret", "secret_hash", "output", "expose", "as_bytes", "device_hash"];

/// Comparisons of something public: part of the line, and why.
#[rustfmt::skip]
const PUBLIC: &[(&str, &str)] = &[
    ("kind.prefix().as_bytes() == prefix",  "the first letters name the kind of a token"),
    ("checksum != crc(kind, id, secret)",   "a sender of the rest can compute its checksum"),
];

/// Dependencies without a stated purpose.
pub(crate) fn unlisted_dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let named = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let is_listed =
        |name: &str| PLAIN.contains(&name) || INVENTORY.iter().any(|(listed, _)| *listed == name);
    let unlisted = named.filter(|name| !name.starts_with('#') && !is_listed(name));
    unlisted.map(|name| format!("Cargo.toml: say in tidy/crypto.rs what {name} is for")).collect()
}

/// Other algorithms, or other parts of a cryptographic crate than the listed ones.
pub(crate) fn unlisted_algorithms(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (crate_, listed) in INVENTORY {
        for at in file.find(crate_) {
            let rest = &file.code[at..];
            let after = rest.trim_start_matches(is_name);
            if !after.starts_with("::") {
                continue;
            }
            let end = match after.strip_prefix("::{") {
                Some(list) => list.find('}').unwrap_or_default() + 3,
                None => after.find(|c| !is_name(c) && c != ':').unwrap_or(after.len()),
            };
            let named = after[..end].split(|c| !is_name(c));
            let is_type = |name: &&str| name.starts_with(char::is_uppercase);
            let in_list = |name: &str| listed.contains(&name) || INVENTORY[0].1.contains(&name);
            for name in named.filter(is_type).filter(|name| !in_list(name)) {
                findings.push(format!("{}: {crate_} gives no {name} here", file.place(at)));
            }
        }
    }
    for at in file.find("Algorithm::") {
        // Where imported hashes are verified, the other kinds of Argon2 are named too.
        let verifies_imports = file.name == "src/hasher/mod.rs";
        let kind = if verifies_imports { "Algorithm::Argon2" } else { "Algorithm::Argon2id" };
        if !file.code[at..].starts_with(kind) {
            findings.push(format!("{}: passwords are hashed with Argon2id", file.place(at)));
        }
    }
    findings
}

/// Lines that compare a secret, or its digest, without `ct_eq`.
pub(crate) fn variable_time(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in file.code.lines().enumerate() {
        let compares = [" == ", " != "].iter().any(|sign| line.contains(sign));
        let mut words = line.split(|c| !is_name(c));
        let is_public = PUBLIC.iter().any(|(part, _)| line.contains(part));
        if compares && !is_public && words.any(|word| SECRET.contains(&word)) {
            findings.push(format!("{}:{}: compare with ct_eq", file.name, number + 1));
        }
    }
    findings
}

/// Digests compare in constant time, whichever sign is used.
pub(crate) fn digest_comparison(project: &Project) -> Vec<String> {
    let digest = project.sources.iter().find(|file| file.name == "src/value/digest.rs");
    let code = digest.map(|file| file.code.as_str()).unwrap_or_default();
    let is_constant = code.contains("word(own).ct_eq(&word(other))")
        && code.contains("self.ct_eq(other)")
        && !code.contains("derive(Clone, Copy, PartialEq");
    if is_constant { Vec::new() } else { vec!["src/value/digest.rs: compare with ct_eq".into()] }
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[dependencies]\nsha2 = \"1\"\n# md5 = 1\nmd5 = \"0.7\"\n\n\
            [dev-dependencies]\nx = \"1\"\n";
        assert_eq!(
            unlisted_dependencies(manifest),
            ["Cargo.toml: say in tidy/crypto.rs what md5 is for"]
        );
    }

    #[test]
    fn another_algorithm_is_found() {
        let check = |text: &str| unlisted_algorithms(&Source::new("src/a.rs", text)).len();
        assert_eq!(check("use sha2::{Digest as _, Sha256};"), 0);
        assert_eq!(check("use sha2::{Digest, Sha224};"), 1);
        assert_eq!(check("sha2::Sha384::digest(x)"), 1);
        assert_eq!(check("Argon2::new(Algorithm::Argon2d, Version::V0x13, p)"), 1);
        assert_eq!(check("Argon2::new(Algorithm::Argon2id, Version::V0x13, p)"), 0);
        let check = |text| unlisted_algorithms(&Source::new("src/hasher/mod.rs", text)).len();
        assert_eq!(check("Variant::D => Algorithm::Argon2d,"), 0);
        assert_eq!(check("Variant::D => Algorithm::Bcrypt,"), 1);
    }

    #[test]
    fn a_comparison_in_variable_time_is_found() {
        let check = |text: &str| variable_time(&Source::new("src/a.rs", text)).len();
        assert_eq!(check("if a.secret_hash.as_bytes() == b.secret_hash.as_bytes() {}"), 1);
        assert_eq!(check("if self.output.as_slice() != output {}"), 1);
        assert_eq!(check("a.secret_hash.ct_eq(&b.secret_hash);\na.count == b.count"), 0);
        let digest = "fn ct_eq() { self.0 == other.0 }";
        assert_eq!(digest_comparison(&Project::of(&[("src/value/digest.rs", digest)])).len(), 1);
    }
}
