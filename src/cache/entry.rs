//! What is remembered of a session or key, as words, and back.
//!
//! Ids stay bytes until somebody asks, and times are kept with their day; uses of a session with an
//! idle limit are the marks of its record.

use chrono::{DateTime, Utc};

use super::Epoch;
use super::table::{Found, WORDS};
use crate::value::facts::{Assurance, Facts, UserKind};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::{Day, Timestamp};

/// The idle limit of a session, and its last use as this process knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) limit_ms: i64,
    pub(crate) last_use: Timestamp,
    /// What the file says, or will say once the use that was last told on is written.
    pub(crate) written: Timestamp,
}

/// A session or key that was live when it was filled, and what can end it without a change.
pub(crate) struct Remembered<'c> {
    found: Found<'c>,
}

/// The uses of a remembered session.
pub(crate) struct Idle<'r> {
    pub(crate) limit_ms: i64,
    found: &'r Found<'r>,
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
/// The rest is the idle limit; zero for none.
const LIMIT_SHIFT: u32 = 16;

/// Marks and the idle limit have 48 bits: whatever needs more is left to the file.
const MILLIS_MAX: i64 = (1 << 48) - 1;
/// An epoch shares its word with the day of the end: a later one is left to the file as well.
const EPOCH_MAX: u64 = u64::MAX >> Day::BITS;
/// Below the day of a moment: its milliseconds since midnight.
const OF_DAY_BITS: u32 = 27;

/// The words of an entry, and the marks of its uses; none for what does not fit.
pub(super) fn pack(
    filled_in: Epoch,
    facts: &Facts,
    expires_at: Timestamp,
    last: Option<Use>,
) -> Option<([u64; WORDS], Option<[u64; 2]>)> {
    let holder = match (facts.session, facts.api_key) {
        (Some(session), None) => *session.as_bytes(),
        (None, Some(key)) => *key.as_bytes(),
        _ => return None,
    };
    let [holder_a, holder_b] = words(&holder);
    let [user_a, user_b] = words(facts.user.as_bytes());
    let [branch_a, branch_b] = facts.branch.map_or([0; 2], |id| words(id.as_bytes()));
    let [organisation_a, organisation_b] =
        facts.organisation.map_or([0; 2], |id| words(id.as_bytes()));
    let limit = last.map_or(Some(0), |last| millis(last.limit_ms))?;
    let marks = match last {
        Some(Use { last_use, written, .. }) => {
            Some([millis(last_use.as_millis())?, millis(written.as_millis())?])
        }
        None => None,
    };
    let end_day = facts.expires_at.map_or(Some(0), |end| Day::of(end).map(Day::bits))?;
    let epoch = Some(filled_in.0).filter(|epoch| *epoch <= EPOCH_MAX)?;
    let record = [
        (epoch << Day::BITS) | u64::from(end_day),
        holder_a,
        holder_b,
        user_a,
        user_b,
        branch_a,
        branch_b,
        organisation_a,
        organisation_b,
        moment(facts.opened_at)?,
        moment(facts.authenticated_at)?,
        expires_at.as_millis() as u64,
        flags(facts) | (limit << LIMIT_SHIFT),
    ];
    Some((record, marks))
}

fn flags(facts: &Facts) -> u64 {
    let level = match facts.assurance {
        Assurance::Aal1 => 0,
        Assurance::Aal2 => IS_AAL2,
        Assurance::Aal3 => IS_AAL3,
    };
    [
        (facts.api_key.is_some(), IS_KEY),
        (facts.branch.is_some(), HAS_BRANCH),
        (facts.organisation.is_some(), HAS_ORGANISATION),
        (facts.kind == UserKind::System, IS_SYSTEM),
        (facts.is_admin, IS_ADMIN),
        (facts.expires_at.is_some(), HAS_END),
    ]
    .into_iter()
    .fold(level, |flags, (is, flag)| if is { flags | flag } else { flags })
}

/// A moment and its day, in one word.
fn moment(at: DateTime<Utc>) -> Option<u64> {
    let of_day = Timestamp::from_datetime(at).of_day();
    Some((u64::from(Day::of(at)?.bits()) << OF_DAY_BITS) | u64::from(of_day))
}

#[inline]
fn datetime(moment: u64) -> Option<DateTime<Utc>> {
    let of_day = moment & !(!0 << OF_DAY_BITS);
    Day::from_bits((moment >> OF_DAY_BITS) as u32).at(of_day as u32)
}

/// Milliseconds that fit.
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

impl<'c> Remembered<'c> {
    #[inline]
    pub(super) fn new(found: Found<'c>) -> Self {
        Self { found }
    }

    #[inline]
    pub(super) fn filled_in(&self) -> Epoch {
        let [filled_in, ..] = self.found.record;
        Epoch(filled_in >> Day::BITS)
    }

    /// The day of the end, if there is one.
    #[inline]
    fn end_day(&self) -> Day {
        let [filled_in, ..] = self.found.record;
        Day::from_bits(filled_in as u32 & !(!0 << Day::BITS))
    }

    /// The id of the session or key.
    #[inline]
    pub(super) fn holder(&self) -> [u8; 16] {
        let [_, a, b, ..] = self.found.record;
        bytes(a, b)
    }

    #[inline]
    pub(super) fn user(&self) -> UserId {
        let [_, _, _, a, b, ..] = self.found.record;
        UserId::from_bytes(bytes(a, b))
    }

    /// The first moment at which it is expired; the end of time for a key without end.
    #[inline]
    pub(crate) fn expires_at(&self) -> Timestamp {
        let [.., expires_at, _] = self.found.record;
        Timestamp::from_millis(expires_at as i64)
    }

    #[inline]
    pub(crate) fn idle(&self) -> Option<Idle<'_>> {
        let [.., flags] = self.found.record;
        let limit = flags >> LIMIT_SHIFT;
        (limit != 0).then_some(Idle { limit_ms: limit as i64, found: &self.found })
    }

    /// None if its times are none that [`pack`] made.
    #[inline]
    pub(crate) fn facts(&self) -> Option<Facts> {
        let [_, _, _, _, _, b0, b1, o0, o1, opened, authenticated, _, flags] = self.found.record;
        let has = |flag| flags & flag != 0;
        let holder = self.holder();
        let opened_at = datetime(opened)?;
        let authenticated_at =
            if authenticated == opened { opened_at } else { datetime(authenticated)? };
        let expires_at =
            if has(HAS_END) { Some(self.end_day().at(self.expires_at().of_day())?) } else { None };
        Some(Facts {
            session: (!has(IS_KEY)).then_some(SessionId::from_bytes(holder)),
            api_key: has(IS_KEY).then_some(ApiKeyId::from_bytes(holder)),
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
            opened_at,
            authenticated_at,
            expires_at,
        })
    }
}

impl Idle<'_> {
    /// None if the entry has gone since it was found.
    pub(crate) fn last_use(&self) -> Option<Timestamp> {
        self.found.mark(LAST_USE).map(at)
    }

    pub(crate) fn used(&self, now: Timestamp) {
        let Some(now) = millis(now.as_millis()) else { return };
        while let Some(last) = self.found.mark(LAST_USE) {
            if last >= now || self.found.change_mark(LAST_USE, last, now) {
                return;
            }
        }
    }

    /// What the file says, if it is `interval_ms` behind: to one caller, who is to tell on the
    /// use.
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
