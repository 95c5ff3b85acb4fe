//! A second implementation of an authenticator, which reads the URI that the store gives it.

use data_encoding::BASE32_NOPAD;
use gatepost::Timestamp;
use gatepost::second_factors::{FactorCode, TotpEnrolment};
use hmac::{Hmac, KeyInit, Mac};

#[derive(Debug, Clone)]
pub(crate) struct Authenticator {
    secret: Vec<u8>,
    is_sha256: bool,
    digits: u32,
}

impl Authenticator {
    /// As if it had scanned the QR code.
    #[track_caller]
    pub(crate) fn scan(enrolment: &TotpEnrolment) -> Self {
        let (_, query) = enrolment.uri.expose().split_once('?').unwrap();
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(own, _)| *own == name).unwrap().1
        };
        assert_eq!(value("secret"), enrolment.base32.expose());
        assert_eq!(value("period"), "30");
        Self {
            secret: BASE32_NOPAD.decode(value("secret").as_bytes()).unwrap(),
            is_sha256: value("algorithm") == "SHA256",
            digits: value("digits").parse().unwrap(),
        }
    }

    /// With six digits from HMAC-SHA-1.
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self { secret: secret.to_vec(), is_sha256: false, digits: 6 }
    }

    /// The code that it shows so many steps after that time.
    pub(crate) fn code(&self, at: Timestamp, later: i64) -> FactorCode {
        FactorCode::new(self.text(at, later))
    }

    pub(crate) fn text(&self, at: Timestamp, later: i64) -> String {
        let step = (at.as_millis() / 30_000 + later).to_be_bytes();
        let mac: Vec<u8> = if self.is_sha256 {
            let mac = Hmac::<sha2::Sha256>::new_from_slice(&self.secret).unwrap();
            mac.chain_update(step).finalize().into_bytes().to_vec()
        } else {
            let mac = Hmac::<sha1::Sha1>::new_from_slice(&self.secret).unwrap();
            mac.chain_update(step).finalize().into_bytes().to_vec()
        };
        let at = usize::from(mac[mac.len() - 1] % 16);
        let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
        let number = (u32::from_be_bytes(four) % (1 << 31)) % 10_u32.pow(self.digits);
        format!("{number:0width$}", width = usize::try_from(self.digits).unwrap())
    }
}
