//! The algorithms of other systems, computed by the crates of the feature `import-hashes`.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use data_encoding::HEXLOWER;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::algorithm::{BCRYPT_SALT_BYTES, Digest, HashAlgorithm};
use crate::error::{Error, ErrorKind, Result};

/// bcrypt reads at most so many bytes.
const BCRYPT_KEY_BYTES: usize = 72;

/// Computes the hash of a password as its source did.
///
/// # Errors
/// `OutOfMemory`, `Misuse` for an algorithm that is not computed here or a salt of another length.
pub(super) fn compute(
    algorithm: HashAlgorithm,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
) -> Result<()> {
    match algorithm {
        HashAlgorithm::Argon2 { .. } => Err(uncomputable()),
        HashAlgorithm::Bcrypt { rounds_log2, sha256: false } => {
            bcrypt(rounds_log2, password, salt, output)
        }
        HashAlgorithm::Bcrypt { rounds_log2, sha256: true } => {
            let digest = Zeroizing::new(HEXLOWER.encode(&Sha256::digest(password)));
            bcrypt(rounds_log2, digest.as_bytes(), salt, output)
        }
        HashAlgorithm::Scrypt { n_log2, r, p, firebase: false } => {
            scrypt((n_log2, r, p), password, salt, output)
        }
        HashAlgorithm::Scrypt { n_log2, r, p, firebase: true } => {
            let mut key = Zeroizing::new([0; 32]);
            scrypt((n_log2, r, p), password, salt, key.as_mut_slice())?;
            // Encrypting zeros gives the key stream itself, with which Firebase encrypts its key.
            output.fill(0);
            let mut cipher = Ctr128BE::<Aes256>::new(&(*key).into(), &[0; 16].into());
            cipher.try_apply_keystream(output).map_err(|_| uncomputable())
        }
        HashAlgorithm::Pbkdf2 { digest, iterations, .. } => {
            pbkdf2(digest, iterations, password, salt, output);
            Ok(())
        }
    }
}

/// The password and the zero byte after it, as far as bcrypt reads them.
fn bcrypt(rounds_log2: u32, password: &[u8], salt: &[u8], output: &mut [u8]) -> Result<()> {
    let salt: [u8; BCRYPT_SALT_BYTES] = salt.try_into().map_err(|_| uncomputable())?;
    let mut key = Zeroizing::new(Vec::with_capacity(BCRYPT_KEY_BYTES));
    key.extend(password.iter().chain(&[0]).take(BCRYPT_KEY_BYTES));
    let computed = Zeroizing::new(bcrypt::bcrypt(rounds_log2, salt, &key));
    let computed = computed.get(..output.len()).ok_or_else(uncomputable)?;
    output.copy_from_slice(computed);
    Ok(())
}

fn scrypt(
    (n_log2, r, p): (u8, u32, u32),
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
) -> Result<()> {
    let params = scrypt::Params::new(n_log2, r, p).map_err(|_| uncomputable())?;
    has_room(n_log2, r)?;
    scrypt::scrypt(password, salt, &params, output).map_err(|_| uncomputable())
}

/// Asks for the memory of scrypt and gives it back: the crate itself aborts if there is none.
fn has_room(n_log2: u8, r: u32) -> Result<()> {
    let bytes = (u64::from(r) * 128) << n_log2;
    let room = usize::try_from(bytes).ok().map(|bytes| Vec::<u8>::new().try_reserve_exact(bytes));
    match room {
        Some(Ok(())) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::OutOfMemory,
            "there is not enough memory to verify a password by scrypt",
        )),
    }
}

fn pbkdf2(digest: Digest, iterations: u32, password: &[u8], salt: &[u8], output: &mut [u8]) {
    let compute = match digest {
        Digest::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>,
        Digest::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>,
        Digest::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>,
    };
    compute(password, salt, iterations, output);
}

fn uncomputable() -> Error {
    Error::misuse("a stored password hash has parameters that cannot be computed")
}
