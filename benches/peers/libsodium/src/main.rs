//! Argon2id as Gatepost calls it, against libsodium's, with the same parameters: m = 19,456 KiB,
//! t = 2, p = 1. In alternation, the median of 21 rounds; both begin with a warm buffer where they
//! take one.

use std::ffi::c_char;
use std::time::Instant;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use libsodium_sys as sodium;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const ROUNDS: usize = 21;
const PASSWORD: &[u8] = b"lantern over wet slate";
const SALT: [u8; 16] = [9; 16];

fn main() {
    // SAFETY: has no precondition; a second call would only say so.
    assert!(unsafe { sodium::sodium_init() } >= 0);
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).unwrap();
    let ours = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = vec![Block::default(); MEMORY_KIB as usize];
    let mut rust = || {
        let mut out = [0; 32];
        ours.hash_password_into_with_memory(PASSWORD, &SALT, &mut out, &mut memory).unwrap();
        out
    };
    assert_eq!(rust(), libsodium(), "they compute the same");

    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| time(&mut rust) / time(libsodium)).collect();
    ratios.sort_by(f64::total_cmp);
    let (min, median, max) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
    println!("figure hash_vs_libsodium = {median:.2} x (min {min:.2} max {max:.2})");
}

fn libsodium() -> [u8; 32] {
    let mut out = [0; 32];
    // SAFETY: the lengths are those of the buffers, and the salt has crypto_pwhash_SALTBYTES.
    let code = unsafe {
        sodium::crypto_pwhash(
            out.as_mut_ptr(),
            out.len() as u64,
            PASSWORD.as_ptr().cast::<c_char>(),
            PASSWORD.len() as u64,
            SALT.as_ptr(),
            u64::from(PASSES),
            MEMORY_KIB as usize * 1_024,
            sodium::crypto_pwhash_ALG_ARGON2ID13 as i32,
        )
    };
    assert_eq!(code, 0);
    out
}

fn time(mut job: impl FnMut() -> [u8; 32]) -> f64 {
    let started = Instant::now();
    std::hint::black_box(job());
    started.elapsed().as_secs_f64()
}
