//! The target of a revocation, and the kinds of credentials that it revokes there.

use crate::value::digest::DeviceDigest;
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::principal::{Credential, Principal};
use crate::value::time::Timestamp;

/// The credentials that one revocation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Session(SessionId),
    /// A device of a user with its trust, and the session of the user that was found on it.
    Device {
        user: UserId,
        device: DeviceDigest,
        session: Option<SessionId>,
    },
    /// All sessions of a user except one.
    OtherSessions {
        user: UserId,
        kept: SessionId,
    },
    /// All credentials of a user.
    User(UserId),
    /// All credentials of all users of a branch.
    Branch(BranchId),
    /// All credentials of all users of all branches of an organisation.
    Organisation(OrganisationId),
    /// All credentials in the store.
    Store,
    /// An API key and its descendants, from the time `from` on.
    ApiKey {
        id: ApiKeyId,
        from: Timestamp,
    },
}

/// What an API key was made from. Empty for a session, and for a key that was issued to its user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The session that its chain began with.
    pub(crate) session: Option<SessionId>,
    /// The keys of its chain, the first one first.
    pub(crate) keys: Vec<ApiKeyId>,
}

impl Lineage {
    /// The session or key that it was made from.
    pub(crate) fn parent(&self) -> Option<Credential> {
        let key = self.keys.last().copied().map(Credential::ApiKey);
        key.or(self.session.map(Credential::Session))
    }
}

/// The kinds of credentials that a revocation revokes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Revokes {
    pub(crate) sessions: bool,
    pub(crate) keys: bool,
    /// One-time tokens and pending steps.
    pub(crate) tokens: bool,
    /// The trust of devices.
    pub(crate) trust: bool,
}

impl Target {
    /// Whether the revocation raises a watermark, and does not delete rows.
    pub(crate) const fn has_watermarks(self) -> bool {
        match self {
            Self::OtherSessions { .. }
            | Self::User(_)
            | Self::Branch(_)
            | Self::Organisation(_)
            | Self::Store => true,
            Self::Session(_) | Self::Device { .. } | Self::ApiKey { .. } => false,
        }
    }

    /// One target for two revocations, if one write can do both: they have the same target, or
    /// revoke the same key, from the earlier time on.
    pub(crate) fn merged(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::ApiKey { id, from }, Self::ApiKey { id: same, from: other }) if id == same => {
                Some(Self::ApiKey { id, from: from.min(other) })
            }
            (one, other) => (one == other).then_some(one),
        }
    }

    /// Whether a revocation of the kinds in `ends` revokes the credential of this principal at
    /// `now`. A key is revoked with what it was made from.
    pub(crate) fn reaches(
        self,
        ends: Revokes,
        principal: &Principal,
        lineage: &Lineage,
        now: Timestamp,
    ) -> bool {
        let credential = principal.credential;
        let session = credential.session().or(lineage.session);
        let is_key = credential.api_key().is_some();
        let of_kind = (ends.sessions && session.is_some()) || (ends.keys && is_key);
        match self {
            Self::Session(id) => session == Some(id),
            Self::Device { session: found, .. } => session.is_some() && session == found,
            Self::OtherSessions { user, kept } => {
                let is_kept = session == Some(kept);
                principal.user == user && of_kind && (!is_kept || (ends.keys && is_key))
            }
            Self::User(user) => of_kind && principal.user == user,
            Self::Branch(branch) => of_kind && principal.branch == Some(branch),
            Self::Organisation(organisation) => {
                of_kind && principal.organisation == Some(organisation)
            }
            Self::Store => of_kind,
            Self::ApiKey { id, from } => {
                from <= now && (credential == Credential::ApiKey(id) || lineage.keys.contains(&id))
            }
        }
    }

    /// Whether it revokes the tickets of this principal's session: those of a session that it
    /// revokes, and, where one-time tokens end, also those of a session that goes on.
    pub(crate) fn reaches_tickets(
        self,
        ends: Revokes,
        principal: &Principal,
        now: Timestamp,
    ) -> bool {
        let is_above = match self {
            Self::OtherSessions { user, .. } | Self::User(user) => principal.user == user,
            Self::Branch(branch) => principal.branch == Some(branch),
            Self::Organisation(organisation) => principal.organisation == Some(organisation),
            Self::Store => true,
            Self::Session(_) | Self::Device { .. } | Self::ApiKey { .. } => false,
        };
        (ends.tokens && is_above) || self.reaches(ends, principal, &Lineage::default(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::name::DeviceId;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const BEN: UserId = UserId::from_bytes([2; 16]);
    const OFFICE: SessionId = SessionId::from_bytes([3; 16]);
    const HOME: SessionId = SessionId::from_bytes([4; 16]);
    const KEY: ApiKeyId = ApiKeyId::from_bytes([5; 16]);
    const OTHER_KEY: ApiKeyId = ApiKeyId::from_bytes([6; 16]);
    const THIRD_KEY: ApiKeyId = ApiKeyId::from_bytes([9; 16]);
    const ALL: Revokes = Revokes { sessions: true, keys: true, tokens: true, trust: true };
    const SESSIONS: Revokes = Revokes { sessions: true, keys: false, tokens: false, trust: false };
    const KEYS: Revokes = Revokes { sessions: false, keys: true, tokens: false, trust: false };

    fn till() -> DeviceId {
        DeviceId::new("till-1").unwrap()
    }

    fn session(user: UserId, id: SessionId) -> Principal {
        Principal { credential: Credential::Session(id), ..Principal::for_tests(user) }
    }

    fn key(user: UserId, id: ApiKeyId) -> Principal {
        Principal { credential: Credential::ApiKey(id), ..Principal::for_tests(user) }
    }

    fn is_reached(target: Target, ends: Revokes, principal: &Principal, from: &Lineage) -> bool {
        target.reaches(ends, principal, from, Timestamp::from_millis(9))
    }

    #[track_caller]
    fn check(target: Target, ends: Revokes, expect: [bool; 4]) {
        let all = [session(ADA, OFFICE), session(ADA, HOME), key(ADA, KEY), session(BEN, HOME)];
        let reached = all.map(|one| is_reached(target, ends, &one, &Lineage::default()));
        assert_eq!(reached, expect, "{target:?} {ends:?}");
    }

    /// For ada's keys: one that was issued, one made from the session `OFFICE`, one made from that.
    #[track_caller]
    fn check_keys(target: Target, ends: Revokes, expect: [bool; 3]) {
        let made = |session, keys: &[ApiKeyId]| Lineage { session, keys: keys.to_vec() };
        let office = Some(OFFICE);
        let all = [
            (OTHER_KEY, made(None, &[])),
            (KEY, made(office, &[])),
            (THIRD_KEY, made(office, &[KEY])),
        ];
        let reached = all.map(|(id, from)| is_reached(target, ends, &key(ADA, id), &from));
        assert_eq!(reached, expect, "{target:?} {ends:?}");
    }

    #[test]
    fn a_target_reaches_the_keys_that_were_made_from_it() {
        let made = [false, true, true];
        check_keys(Target::Session(OFFICE), SESSIONS, made);
        check_keys(Target::Session(HOME), SESSIONS, [false; 3]);
        let on_device =
            |session| Target::Device { user: ADA, device: DeviceDigest::of(&till()), session };
        check_keys(on_device(Some(OFFICE)), SESSIONS, made);
        check_keys(on_device(Some(HOME)), SESSIONS, [false; 3]);
        check_keys(on_device(None), SESSIONS, [false; 3]);
        check_keys(Target::OtherSessions { user: ADA, kept: HOME }, SESSIONS, made);
        check_keys(Target::OtherSessions { user: ADA, kept: OFFICE }, SESSIONS, [false; 3]);
        check_keys(Target::OtherSessions { user: ADA, kept: OFFICE }, ALL, [true; 3]);
        check_keys(Target::User(ADA), SESSIONS, made);
        check_keys(Target::User(ADA), KEYS, [true; 3]);
        check_keys(Target::User(BEN), ALL, [false; 3]);
        check_keys(Target::Store, SESSIONS, made);
        let at_once = Timestamp::MIN;
        check_keys(Target::ApiKey { id: KEY, from: at_once }, SESSIONS, made);
        check_keys(Target::ApiKey { id: THIRD_KEY, from: at_once }, ALL, [false, false, true]);
        let later = Timestamp::from_millis(10);
        check_keys(Target::ApiKey { id: KEY, from: later }, ALL, [false; 3]);
    }

    #[test]
    fn the_parent_of_a_key_is_the_last_of_its_chain() {
        let made = |session, keys: &[ApiKeyId]| Lineage { session, keys: keys.to_vec() }.parent();
        assert_eq!(made(None, &[]), None);
        assert_eq!(made(Some(OFFICE), &[]), Some(Credential::Session(OFFICE)));
        assert_eq!(made(Some(OFFICE), &[KEY, OTHER_KEY]), Some(Credential::ApiKey(OTHER_KEY)));
    }

    #[test]
    fn a_target_reaches_its_own_credentials_of_the_kinds_that_end() {
        check(Target::Session(OFFICE), SESSIONS, [true, false, false, false]);
        let others = Target::OtherSessions { user: ADA, kept: OFFICE };
        check(others, SESSIONS, [false, true, false, false]);
        check(Target::User(ADA), SESSIONS, [true, true, false, false]);
        check(Target::User(ADA), KEYS, [false, false, true, false]);
        check(Target::User(ADA), ALL, [true, true, true, false]);
        check(Target::Store, SESSIONS, [true, true, false, true]);
    }

    #[test]
    fn tickets_end_with_their_session_and_with_the_one_time_tokens_of_its_user() {
        let tokens = Revokes { tokens: true, ..Revokes::default() };
        let others = Target::OtherSessions { user: ADA, kept: OFFICE };
        let reached = |target: Target, ends, principal: &Principal| {
            target.reaches_tickets(ends, principal, Timestamp::from_millis(9))
        };
        let (office, home, ben) = (session(ADA, OFFICE), session(ADA, HOME), session(BEN, HOME));
        for (target, ends, expect) in [
            (Target::Session(OFFICE), SESSIONS, [true, false, false]),
            (others, SESSIONS, [false, true, false]),
            (others, tokens, [true, true, false]),
            (Target::User(ADA), SESSIONS, [true, true, false]),
            (Target::User(ADA), tokens, [true, true, false]),
            (Target::User(ADA), KEYS, [false; 3]),
            (Target::Store, tokens, [true; 3]),
            (Target::Branch(BranchId::from_bytes([7; 16])), tokens, [false; 3]),
        ] {
            let found = [&office, &home, &ben].map(|principal| reached(target, ends, principal));
            assert_eq!(found, expect, "{target:?} {ends:?}");
        }
        let (york, north) = (BranchId::from_bytes([7; 16]), OrganisationId::from_bytes([8; 16]));
        let under = Principal { branch: Some(york), organisation: Some(north), ..office };
        assert!(reached(Target::Branch(york), tokens, &under));
        assert!(reached(Target::Organisation(north), tokens, &under));
    }

    #[test]
    fn a_key_is_reached_from_its_moment_on() {
        for (from, reached) in [(i64::MIN, true), (8, true), (9, true), (10, false)] {
            let from = Timestamp::from_millis(from);
            check(Target::ApiKey { id: KEY, from }, SESSIONS, [false, false, reached, false]);
            check(Target::ApiKey { id: OTHER_KEY, from }, ALL, [false; 4]);
        }
    }

    #[test]
    fn a_place_reaches_what_is_under_it() {
        let (york, north) = (BranchId::from_bytes([7; 16]), OrganisationId::from_bytes([8; 16]));
        let under =
            Principal { branch: Some(york), organisation: Some(north), ..session(ADA, OFFICE) };
        for target in [Target::Branch(york), Target::Organisation(north)] {
            let none = Lineage::default();
            assert!(is_reached(target, SESSIONS, &under, &none), "{target:?}");
            assert!(!is_reached(target, SESSIONS, &session(ADA, OFFICE), &none), "{target:?}");
        }
    }
}
