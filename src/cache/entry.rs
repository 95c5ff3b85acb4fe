//! The entry of a session or key, packed into the words of a table record, and unpacked.
//!
//! The uses of a session with an inactivity timeout are the marks of its record.

use super::privileges::SetNumber;
use super::table::{Hit, WORDS};
use super::{Epoch, Image};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::principal::{Assurance, Credential, Principal, UserKind};
use crate::value::time::Timestamp;

/// The inactivity timeout of a session, and its last use as this process knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) limit_ms: i64,
    pub(crate) last_use: Timestamp,
    /// The `last_seen` of the file, or the value that it gets once the queued use is written.
    pub(crate) written: Timestamp,
}

/// A session or key that was valid at its fill, and what can make it expire without a change.
pub(crate) struct CachedEntry<'c> {
    found: Hit<'c>,
}

/// The inactivity timeout and the uses of a cached session.
pub(crate) struct Inactivity<'r> {
    pub(crate) limit_ms: i64,
    found: &'r Hit<'r>,
}

const LAST_USE: usize = 0;
const WRITTEN: usize = 1;

const IS_KEY: u64 = 1;
const HAS_BRANCH: u64 = 1 << 1;
const HAS_ORGANISATION: u64 = 1 << 2;
const IS_SYSTEM: u64 = 1 << 3;
const IS_ADMIN: u64 = 1 << 4;
const HAS_END: u64 = 1 << 5;
const IS_AAL2: u64 = 1 << 6;
const IS_AAL3: u64 = 1 << 7;
/// From here, 16 bits have the number of the set of privileges.
const SET_SHIFT: u32 = 8;
/// From here, the rest has the inactivity timeout in milliseconds; zero if there is none.
const LIMIT_SHIFT: u32 = 24;

/// Marks have 48 bits, the inactivity timeout 40: a session that needs more is not cached.
const MILLIS_MAX: i64 = (1 << 48) - 1;
const LIMIT_MAX: u64 = (1 << 40) - 1;

/// The record of an entry, and the marks of its uses; `None` if a value does not fit.
pub(super) fn pack(
    filled_in: Epoch,
    principal: &Principal,
    privileges: SetNumber,
    expires_at: Timestamp,
    last: Option<Use>,
) -> Option<([u64; WORDS], Option<[u64; 2]>)> {
    let [id_a, id_b] = words(principal.credential.id());
    let [user_a, user_b] = words(principal.user.as_bytes());
    let [branch_a, branch_b] = principal.branch.map_or([0; 2], |id| words(id.as_bytes()));
    let [organisation_a, organisation_b] =
        principal.organisation.map_or([0; 2], |id| words(id.as_bytes()));
    let limit = last.map_or(Some(0), |last| millis(last.limit_ms))?;
    let limit = (limit <= LIMIT_MAX).then_some(limit)?;
    let marks = match last {
        Some(Use { last_use, written, .. }) => {
            Some([millis(last_use.as_millis())?, millis(written.as_millis())?])
        }
        None => None,
    };
    let record = [
        filled_in.0,
        id_a,
        id_b,
        user_a,
        user_b,
        branch_a,
        branch_b,
        organisation_a,
        organisation_b,
        principal.opened_at.as_millis() as u64,
        principal.authenticated_at.as_millis() as u64,
        expires_at.as_millis() as u64,
        flags(principal) | (u64::from(privileges.0) << SET_SHIFT) | (limit << LIMIT_SHIFT),
    ];
    Some((record, marks))
}

fn flags(principal: &Principal) -> u64 {
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
        (principal.expires_at.is_some(), HAS_END),
    ]
    .into_iter()
    .fold(level, |flags, (is, flag)| if is { flags | flag } else { flags })
}

/// The milliseconds, if they fit into a mark.
fn millis(millis: i64) -> Option<u64> {
    (0..=MILLIS_MAX).contains(&millis).then_some(millis as u64)
}

fn words(id: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *id;
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
}

fn bytes(low: u64, high: u64) -> [u8; 16] {
    ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
}

impl<'c> CachedEntry<'c> {
    #[inline]
    pub(super) fn new(found: Hit<'c>) -> Self {
        Self { found }
    }

    #[inline]
    pub(super) fn filled_in(&self) -> Epoch {
        let [filled_in, ..] = self.found.record;
        Epoch(filled_in)
    }

    /// The id of the session or key.
    #[inline]
    pub(super) fn id(&self) -> [u8; 16] {
        let [_, a, b, ..] = self.found.record;
        bytes(a, b)
    }

    #[inline]
    pub(super) fn user(&self) -> UserId {
        let [_, _, _, a, b, ..] = self.found.record;
        UserId::from_bytes(bytes(a, b))
    }

    /// The first moment at which it is expired; the end of time for a key that does not expire.
    #[inline]
    pub(crate) fn expires_at(&self) -> Timestamp {
        let [.., expires_at, _] = self.found.record;
        Timestamp::from_millis(expires_at as i64)
    }

    #[inline]
    pub(crate) fn idle(&self) -> Option<Inactivity<'_>> {
        let [.., flags] = self.found.record;
        let limit = flags >> LIMIT_SHIFT;
        (limit != 0).then_some(Inactivity { limit_ms: limit as i64, found: &self.found })
    }

    #[inline]
    pub(super) fn privileges(&self) -> SetNumber {
        let [.., flags] = self.found.record;
        SetNumber((flags >> SET_SHIFT) as u16)
    }

    /// The principal of the entry, which was found under `image`.
    #[inline]
    pub(crate) fn principal(&self, image: Image) -> Principal {
        let [_, _, _, _, _, b0, b1, o0, o1, opened, authenticated, _, flags] = self.found.record;
        let has = |flag| flags & flag != 0;
        let id = self.id();
        Principal {
            credential: if has(IS_KEY) {
                Credential::ApiKey(ApiKeyId::from_bytes(id))
            } else {
                Credential::Session(SessionId::from_bytes(id))
            },
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
            opened_at: at(opened),
            authenticated_at: at(authenticated),
            expires_at: has(HAS_END).then_some(self.expires_at()),
            place: image.place(),
        }
    }
}

impl Inactivity<'_> {
    /// The last use; `None` if the entry was replaced since it was found.
    pub(crate) fn last_use(&self) -> Option<Timestamp> {
        self.found.mark(LAST_USE).map(at)
    }

    /// Raises the last use to `now`.
    pub(crate) fn used(&self, now: Timestamp) {
        let Some(now) = millis(now.as_millis()) else { return };
        while let Some(last) = self.found.mark(LAST_USE) {
            if last >= now || self.found.change_mark(LAST_USE, last, now) {
                return;
            }
        }
    }

    /// The `last_seen` of the file, if it is `interval_ms` behind. Only one caller gets it, and
    /// must queue the use.
    pub(crate) fn behind(&self, now: Timestamp, interval_ms: i64) -> Option<Timestamp> {
        let written = self.found.mark(WRITTEN)?;
        let behind = now.as_millis().saturating_sub(at(written).as_millis());
        let mine = behind >= interval_ms
            && self.found.change_mark(WRITTEN, written, millis(now.as_millis())?);
        mine.then(|| at(written))
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis as i64)
}
