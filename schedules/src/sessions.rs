//! The sessions of the scenes, all of one user.

use crate::cache::{Cache, CachedEntry, Image, Span};
use crate::value::id::{SessionId, UserId};
use crate::value::principal::{Assurance, CacheHint, Credential, Principal, UserKind};
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

pub(crate) fn span(which: usize) -> Span {
    Span { from: Timestamp::UNIX_EPOCH, until: expiry(which) }
}

/// The number of the principal is in the place of the time of the login.
pub(crate) fn principal(which: usize, number: u64) -> Principal {
    let at = Timestamp::from_millis(number as i64);
    Principal {
        credential: Credential::Session(session(which)),
        user: USER,
        branch: None,
        organisation: None,
        kind: UserKind::Person,
        is_admin: false,
        assurance: Assurance::Aal1,
        opened_at: at,
        authenticated_at: at,
        is_impersonated: false,
        expires_at: Some(expiry(which)),
        place: CacheHint::NOWHERE,
    }
}

/// The privileges of the user while the principal has that number.
pub(crate) fn privileges(number: u64) -> String {
    format!("all p{number}")
}

/// The number of the principal of an entry, whose privileges have to be those of that number.
pub(crate) fn remembered(cache: &Cache, which: usize, entry: &CachedEntry) -> u64 {
    let number = number_of(which, &entry.principal(image(cache, which)));
    let has = |name: &str| cache.has_privilege(entry, name);
    let own = format!("p{number}");
    assert_eq!((has(&own), has("p")), (Some(true), Some(false)), "the privileges of another time");
    number
}

pub(crate) fn number_of(which: usize, principal: &Principal) -> u64 {
    assert_eq!(
        principal.credential,
        Credential::Session(session(which)),
        "the session of another user"
    );
    assert_eq!(
        principal.opened_at, principal.authenticated_at,
        "half of one fact and half of another"
    );
    principal.opened_at.as_millis() as u64
}
