//! What a revocation is aimed at, and which kinds of credentials it ends there.

use crate::value::facts::Facts;
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

/// The credentials that one revocation is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Session(SessionId),
    /// All sessions of a user except one.
    OtherSessions {
        user: UserId,
        kept: SessionId,
    },
    /// Everything of a user.
    User(UserId),
    /// Everything of all users of a branch.
    Branch(BranchId),
    /// Everything of all users of all branches of an organisation.
    Organisation(OrganisationId),
    /// Everything there is.
    Store,
    ApiKey(ApiKeyId),
    /// All API keys of a user, from this moment on.
    ApiKeysOf {
        user: UserId,
        from: Timestamp,
    },
}

/// Which kinds of credentials a revocation ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) sessions: bool,
    pub(crate) keys: bool,
    pub(crate) tokens: bool,
}

impl Target {
    /// Whether it is revoked by raising a watermark, and not by deleting rows.
    pub(crate) const fn has_watermarks(self) -> bool {
        match self {
            Self::OtherSessions { .. }
            | Self::User(_)
            | Self::Branch(_)
            | Self::Organisation(_)
            | Self::Store => true,
            Self::Session(_) | Self::ApiKey(_) | Self::ApiKeysOf { .. } => false,
        }
    }

    /// The target of two revocations that are one: of the same, or of all keys of a user, which end
    /// by the earlier moment.
    pub(crate) fn merged(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::ApiKeysOf { user, from }, Self::ApiKeysOf { user: same, from: other })
                if user == same =>
            {
                Some(Self::ApiKeysOf { user, from: from.min(other) })
            }
            (one, other) => (one == other).then_some(one),
        }
    }

    /// Whether the revocation, as `ends` has it, reaches the credential of these facts at `now`.
    pub(crate) fn reaches(self, ends: Ends, facts: &Facts, now: Timestamp) -> bool {
        let of_kind = if facts.session.is_some() { ends.sessions } else { ends.keys };
        match self {
            Self::Session(session) => facts.session == Some(session),
            Self::OtherSessions { user, kept } => {
                of_kind && facts.user == user && facts.session != Some(kept)
            }
            Self::User(user) => of_kind && facts.user == user,
            Self::Branch(branch) => of_kind && facts.branch == Some(branch),
            Self::Organisation(organisation) => {
                of_kind && facts.organisation == Some(organisation)
            }
            Self::Store => of_kind,
            Self::ApiKey(key) => facts.api_key == Some(key),
            Self::ApiKeysOf { user, from } => {
                facts.api_key.is_some() && facts.user == user && from <= now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const BEN: UserId = UserId::from_bytes([2; 16]);
    const OFFICE: SessionId = SessionId::from_bytes([3; 16]);
    const HOME: SessionId = SessionId::from_bytes([4; 16]);
    const KEY: ApiKeyId = ApiKeyId::from_bytes([5; 16]);
    const OTHER_KEY: ApiKeyId = ApiKeyId::from_bytes([6; 16]);
    const ALL: Ends = Ends { sessions: true, keys: true, tokens: true };
    const SESSIONS: Ends = Ends { sessions: true, keys: false, tokens: false };
    const KEYS: Ends = Ends { sessions: false, keys: true, tokens: false };

    fn session(user: UserId, id: SessionId) -> Facts {
        Facts { session: Some(id), ..Facts::for_tests(user) }
    }

    fn key(user: UserId, id: ApiKeyId) -> Facts {
        Facts { api_key: Some(id), ..Facts::for_tests(user) }
    }

    #[track_caller]
    fn check(target: Target, ends: Ends, expect: [bool; 4]) {
        let all = [session(ADA, OFFICE), session(ADA, HOME), key(ADA, KEY), session(BEN, HOME)];
        let reached = all.map(|facts| target.reaches(ends, &facts, Timestamp::from_millis(9)));
        assert_eq!(reached, expect, "{target:?} {ends:?}");
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
        check(Target::ApiKey(KEY), SESSIONS, [false, false, true, false]);
        check(Target::ApiKey(OTHER_KEY), ALL, [false; 4]);
    }

    #[test]
    fn keys_of_a_user_are_reached_from_their_moment_on() {
        for (from, reached) in [(8, true), (9, true), (10, false)] {
            let from = Timestamp::from_millis(from);
            check(Target::ApiKeysOf { user: ADA, from }, SESSIONS, [false, false, reached, false]);
        }
        let at_once = Target::ApiKeysOf { user: BEN, from: Timestamp::from_millis(i64::MIN) };
        check(at_once, SESSIONS, [false; 4]);
    }

    #[test]
    fn a_place_reaches_what_is_under_it() {
        let (york, north) = (BranchId::from_bytes([7; 16]), OrganisationId::from_bytes([8; 16]));
        let under =
            Facts { branch: Some(york), organisation: Some(north), ..session(ADA, OFFICE) };
        let now = Timestamp::from_millis(0);
        for target in [Target::Branch(york), Target::Organisation(north)] {
            assert!(target.reaches(SESSIONS, &under, now), "{target:?}");
            assert!(!target.reaches(SESSIONS, &session(ADA, OFFICE), now), "{target:?}");
        }
    }
}
