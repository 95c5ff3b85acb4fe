//! A signed token, checked without asking anyone: as fast as its signature, and not to be revoked.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use peer_protocol::{Outcome, Peer, serve};
use serde::{Deserialize, Serialize};

const KEY: &[u8] = b"of a benchmark, 32 bytes at least";

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    sid: String,
    admin: bool,
    exp: u64,
}

struct Signed {
    to_sign: EncodingKey,
    to_check: DecodingKey,
    validation: Validation,
    tokens: Vec<String>,
}

impl Signed {
    fn sign(&self, number: usize) -> Outcome<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = Claims {
            sub: "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".to_owned(),
            sid: format!("{number:032x}"),
            admin: true,
            exp: now + 86_400,
        };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &self.to_sign)?)
    }
}

impl Peer for Signed {
    type Presented = String;

    fn open(_: &Path, _: Option<&str>) -> Outcome<Result<Self, String>> {
        Ok(Ok(Self {
            to_sign: EncodingKey::from_secret(KEY),
            to_check: DecodingKey::from_secret(KEY),
            validation: Validation::new(Algorithm::HS256),
            tokens: Vec::new(),
        }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        self.tokens = (0..count).map(|number| self.sign(number)).collect::<Outcome<_>>()?;
        Ok(())
    }

    fn presented(&self, number: usize) -> String {
        self.tokens[number].clone()
    }

    fn load(&mut self, presented: &[String]) -> Outcome<usize> {
        let mut live = 0;
        for token in presented {
            live += usize::from(decode::<Claims>(token, &self.to_check, &self.validation).is_ok());
        }
        Ok(live)
    }

    fn open_one(&mut self) -> Outcome<String> {
        self.sign(self.tokens.len())
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        Ok(decode::<Claims>(token, &self.to_check, &self.validation).is_ok())
    }

    /// Does nothing: no store keeps the token, so that it cannot be revoked.
    fn end(&mut self, _: &str) -> Outcome<()> {
        Ok(())
    }
}

fn main() -> Outcome<()> {
    serve::<Signed>()
}
