//! The entry of a session or key, packed into the words of a table record, and unpacked.
//!
//! A time has 48 bits of a word. The 16 bits above it have something else: the number of the set of
//! privileges, the flags, and a third of the expiry each.

use super::privileges::SetNumber;
use super::table::WORDS;
use super::{Epoch, Image};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::principal::{Assurance, Credential, Principal, UserKind};
use crate::value::time::Timestamp;

/// The times at which an entry answers without the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// An earlier time, by more than the tolerated clock skew, shows that a clock is wrong.
    pub(crate) from: Timestamp,
    /// From here on the session may be over, or a step of its last use is.
    pub(crate) until: Timestamp,
}

/// A session or key that was valid at its fill.
pub(crate) struct CachedEntry {
    record: [u64; WORDS],
}

const IS_KEY: u16 = 1;
const HAS_BRANCH: u16 = 1 << 1;
const HAS_ORGANISATION: u16 = 1 << 2;
const IS_SYSTEM: u16 = 1 << 3;
const IS_ADMIN: u16 = 1 << 4;
const HAS_END: u16 = 1 << 5;
const IS_AAL2: u16 = 1 << 6;
const IS_AAL3: u16 = 1 << 7;
const IS_IMPERSONATED: u16 = 1 << 8;

/// Number of bits of the lower part of a word; a session that needs more is not cached.
const LOW_BITS: u32 = 48;
const LOW_MAX: u64 = (1 << LOW_BITS) - 1;

/// The record of an entry; `None` if a value does not fit.
pub(super) fn pack(
    filled_in: Epoch,
    principal: &Principal,
    privileges: SetNumber,
    span: Span,
) -> Option<[u64; WORDS]> {
    let [id_a, id_b] = words(principal.credential.id());
    let [user_a, user_b] = words(principal.user.as_bytes());
    let [branch_a, branch_b] = principal.branch.map_or([0; 2], |id| words(id.as_bytes()));
    let [organisation_a, organisation_b] =
        principal.organisation.map_or([0; 2], |id| words(id.as_bytes()));
    let end = principal.expires_at.map_or(Some(0), millis)?;
    Some([
        both(fitting(filled_in.0)?, privileges.0),
        id_a,
        id_b,
        user_a,
        user_b,
        branch_a,
        branch_b,
        organisation_a,
        organisation_b,
        both(millis(span.from)?, end as u16),
        // The end of time has more bits, and a time beyond the bound finds no entry.
        both(millis(span.until.min(at(LOW_MAX)))?, (end >> 16) as u16),
        both(millis(principal.opened_at)?, (end >> 32) as u16),
        both(millis(principal.authenticated_at)?, flags(principal)),
    ])
}

/// A word of 48 bits and the 16 above them.
fn both(low: u64, high: u16) -> u64 {
    low | (u64::from(high) << LOW_BITS)
}

#[inline]
fn low(word: u64) -> u64 {
    word & LOW_MAX
}

#[inline]
fn high(word: u64) -> u64 {
    word >> LOW_BITS
}

fn fitting(number: u64) -> Option<u64> {
    (number <= LOW_MAX).then_some(number)
}

fn millis(time: Timestamp) -> Option<u64> {
    u64::try_from(time.as_millis()).ok().and_then(fitting)
}

#[inline]
fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis as i64)
}

fn flags(principal: &Principal) -> u16 {
    let level = match principal.assurance {
        Assurance::Aal1 => 0,
        Assurance::Aal2 => IS_AAL2,
        Assurance::Aal3 => IS_AAL3,
    };
    [
        (principal.credential.api_key().is_some(), IS_KEY),
        (principal.branch.is_some(), HAS_BRANCH),
        (principal.organisation.is_some(), HAS_ORGANISATION),
        (principal.kind == UserKind::System, IS_SYSTEM),
        (principal.is_admin, IS_ADMIN),
        (principal.is_impersonated, IS_IMPERSONATED),
        (principal.expires_at.is_some(), HAS_END),
    ]
    .into_iter()
    .fold(level, |flags, (is, flag)| if is { flags | flag } else { flags })
}

fn words(id: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *id;
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
}

fn bytes(low: u64, high: u64) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
}

impl CachedEntry {
    #[inline]
    pub(super) fn new(record: [u64; WORDS]) -> Self {
        Self { record }
    }

    #[inline]
    pub(super) fn filled_in(&self) -> Epoch {
        let [filled_in, ..] = self.record;
        Epoch(low(filled_in))
    }

    /// The id of the session or key.
    #[inline]
    pub(super) fn id(&self) -> [u8; 16] {
        let [_, a, b, ..] = self.record;
        bytes(a, b)
    }

    #[inline]
    pub(super) fn user(&self) -> UserId {
        let [_, _, _, a, b, ..] = self.record;
        UserId::from_bytes(bytes(a, b))
    }

    #[inline]
    pub(crate) fn span(&self) -> Span {
        let [.., from, until, _, _] = self.record;
        Span { from: at(low(from)), until: at(low(until)) }
    }

    #[inline]
    pub(super) fn privileges(&self) -> SetNumber {
        let [first, ..] = self.record;
        SetNumber(high(first) as u16)
    }

    /// The session or key of the entry.
    #[inline]
    pub(crate) fn credential(&self) -> Credential {
        let [.., last] = self.record;
        let id = self.id();
        if high(last) & u64::from(IS_KEY) != 0 {
            Credential::ApiKey(ApiKeyId::from_bytes(id))
        } else {
            Credential::Session(SessionId::from_bytes(id))
        }
    }

    /// The principal of the entry, which was found under `image`.
    #[inline]
    pub(crate) fn principal(&self, image: Image) -> Principal {
        let [_, _, _, _, _, b0, b1, o0, o1, end_a, end_b, opened, authenticated] = self.record;
        let flags = high(authenticated);
        let has = |flag| flags & u64::from(flag) != 0;
        let end = high(end_a) | (high(end_b) << 16) | (high(opened) << 32);
        Principal {
            credential: self.credential(),
            user: self.user(),
            branch: has(HAS_BRANCH).then_some(BranchId::from_bytes(bytes(b0, b1))),
            organisation: has(HAS_ORGANISATION)
                .then_some(OrganisationId::from_bytes(bytes(o0, o1))),
            kind: if has(IS_SYSTEM) { UserKind::System } else { UserKind::Person },
            is_admin: has(IS_ADMIN),
            assurance: match (has(IS_AAL2), has(IS_AAL3)) {
                (_, true) => Assurance::Aal3,
                (true, false) => Assurance::Aal2,
                (false, false) => Assurance::Aal1,
            },
            opened_at: at(low(opened)),
            authenticated_at: at(low(authenticated)),
            expires_at: has(HAS_END).then_some(at(end)),
            is_impersonated: has(IS_IMPERSONATED),
            place: image.place(),
        }
    }
}
