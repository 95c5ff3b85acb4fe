//! What an authenticator program on a telephone does (RFC 6238).

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use gatepost::host::Clock;
use gatepost::second_factors::FactorCode;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// How long a code is shown.
pub const STEP: Duration = Duration::from_secs(30);

pub struct Authenticator(Vec<u8>);

impl Authenticator {
    /// Reads the secret, as from the QR code.
    pub fn scan(base32: &str) -> Self {
        Self(BASE32_NOPAD.decode(base32.as_bytes()).expect("a secret in Base32"))
    }

    /// The code that it shows now.
    pub fn code(&self, clock: &impl Clock) -> FactorCode {
        let step = clock.now().as_millis() / 30_000;
        let mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("a key of any length");
        let mac = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
        let at = usize::from(mac[19] & 15);
        let four: [u8; 4] = mac[at..at + 4].try_into().expect("four bytes");
        FactorCode::new(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
    }
}
