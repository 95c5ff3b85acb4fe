//! The sessions of the scenes, all of one user.

use crate::cache::{Cache, Image};
use crate::value::facts::{Assurance, Facts, UserKind};
use crate::value::id::{SessionId, UserId};
use crate::value::random::{RandomSource, RandomUnavailable};
use crate::value::time::Timestamp;

pub(crate) const USER: UserId = UserId::from_bytes([9; 16]);
pub(crate) const STRANGER: UserId = UserId::from_bytes([8; 16]);

pub(crate) fn session(which: usize) -> SessionId {
    SessionId::from_bytes([which as u8 + 1; 16])
}

pub(crate) fn image(cache: &Cache, which: usize) -> Image {
    let token = format!("{which:0>width$}", width = crate::value::limits::TOKEN_TEXT_BYTES);
    cache.image(&token, None).expect("as long as a token")
}

/// The explorer decides about everything but the key of an image.
#[derive(Debug)]
pub(crate) struct Zeros;

impl RandomSource for Zeros {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        bytes.fill(0);
        Ok(())
    }
}

pub(crate) fn expiry(which: usize) -> Timestamp {
    Timestamp::from_millis(1_000 + which as i64)
}

/// The number of the facts stands where the time of the login would.
pub(crate) fn facts(which: usize, number: u64) -> Facts {
    let at = Timestamp::from_millis(number as i64).to_datetime();
    Facts {
        session: Some(session(which)),
        api_key: None,
        user: USER,
        branch: None,
        organisation: None,
        kind: UserKind::Person,
        is_admin: false,
        assurance: Assurance::Aal1,
        opened_at: at,
        authenticated_at: at,
        expires_at: Some(expiry(which).to_datetime()),
    }
}

pub(crate) fn told(which: usize, facts: &Facts) -> u64 {
    assert_eq!(facts.session, Some(session(which)), "the session of somebody else");
    assert_eq!(facts.opened_at, facts.authenticated_at, "half of one fact and half of another");
    Timestamp::from_datetime(facts.opened_at).as_millis() as u64
}
