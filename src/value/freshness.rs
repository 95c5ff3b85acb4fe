//! The answer of `Store::require_fresh`: whether the user of a session has proved it lately.

use std::fmt;
use std::time::Duration;

use super::limits::CLOCK_SKEW_MAX_MS;
use super::principal::{Assurance, InvalidToken, Principal};
use super::time::Timestamp;
use crate::error::ErrorClass;

/// Whether the user of a session has proved lately, and strongly enough, to be the user: the answer
/// of [`Store::require_fresh`](crate::Store::require_fresh). A failure of the store is an `Err`,
/// and none of the three.
#[expect(
    clippy::exhaustive_enums,
    reason = "complete: fresh, not fresh, or no session to ask for"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an answer that is not read lets every session through"]
pub enum Freshness {
    /// The session is valid, and its user has proved it.
    Fresh(FreshSession),
    /// The session or API key is valid, and its user must prove first:
    /// [`Store::prove`](crate::Store::prove).
    StepUpRequired,
    /// The token is not valid.
    Invalid(InvalidToken),
}

impl Freshness {
    /// Returns the session, or an error that the program can answer with: for `?`.
    ///
    /// # Errors
    /// [`NotFresh`], which says whether a proof is missing or the session is not valid.
    ///
    /// ```
    /// use gatepost::sessions::{Freshness, NotFresh};
    ///
    /// let refused = Freshness::StepUpRequired.granted().unwrap_err();
    /// assert_eq!(refused, NotFresh::StepUpRequired);
    /// ```
    pub fn granted(self) -> Result<FreshSession, NotFresh> {
        match self {
            Self::Fresh(session) => Ok(session),
            Self::StepUpRequired => Err(NotFresh::StepUpRequired),
            Self::Invalid(_) => Err(NotFresh::Invalid),
        }
    }
}

/// A session whose user had proved it when [`Store::require_fresh`](crate::Store::require_fresh)
/// returned. No other call makes one, so a function that takes it cannot be called without the
/// check. Use it for one request, and do not keep it.
///
/// ```compile_fail
/// let forged = gatepost::sessions::FreshSession(principal);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshSession(Principal);

impl FreshSession {
    pub(crate) const fn new(principal: Principal) -> Self {
        Self(principal)
    }

    /// The principal that [`Store::verify`](crate::Store::verify) returns for the session.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}

/// Why a session is not fresh: the error of [`Freshness::granted`].
///
/// ```
/// use gatepost::ErrorClass;
/// use gatepost::sessions::NotFresh;
///
/// assert_eq!(NotFresh::StepUpRequired.class(), ErrorClass::Forbidden);
/// assert_eq!(NotFresh::Invalid.class(), ErrorClass::SignIn);
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: a check has no third way to fail")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotFresh {
    /// The user must prove first: HTTP 403.
    StepUpRequired,
    /// The session is not valid: the user must log in, HTTP 401.
    Invalid,
}

impl NotFresh {
    /// The class of the refusal, by which a program chooses its answer, such as an HTTP status.
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::StepUpRequired => ErrorClass::Forbidden,
            Self::Invalid => ErrorClass::SignIn,
        }
    }
}

impl fmt::Display for NotFresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StepUpRequired => "the user must prove again to be the user",
            Self::Invalid => "the session is not valid any more",
        })
    }
}

impl std::error::Error for NotFresh {}

/// Whether the principal has the level, by a proof that is less than `max_age` old at `now`. In an
/// impersonation the user has proved nothing. A proof that is more than a minute in the future is
/// none: the clock was wrong then, or is wrong now.
pub(crate) fn is_fresh(
    principal: &Principal,
    max_age: Duration,
    level: Assurance,
    now: Timestamp,
) -> bool {
    let at = principal.authenticated_at;
    let latest = now.as_millis().saturating_add(CLOCK_SKEW_MAX_MS);
    principal.credential.session().is_some()
        && !principal.is_impersonated
        && principal.assurance >= level
        && at.as_millis() <= latest
        && now < at + max_age
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::{ApiKeyId, UserId};
    use crate::value::principal::Credential;

    fn principal(assurance: Assurance, authenticated_at: i64) -> Principal {
        let authenticated_at = Timestamp::from_millis(authenticated_at);
        let user = UserId::from_bytes([1; 16]);
        Principal { assurance, authenticated_at, ..Principal::for_tests(user) }
    }

    #[track_caller]
    fn check(at: i64, now: i64, expect: bool) {
        let session = principal(Assurance::Aal2, at);
        let now = Timestamp::from_millis(now);
        let fresh = is_fresh(&session, Duration::from_millis(100), Assurance::Aal2, now);
        assert_eq!(fresh, expect, "authenticated at {at}, asked at {now:?}");
    }

    #[test]
    fn a_proof_is_fresh_until_it_is_as_old_as_the_limit() {
        for (now, expect) in [(1_000, true), (1_099, true), (1_100, false), (1_101, false)] {
            check(1_000, now, expect);
        }
    }

    #[test]
    fn a_proof_from_the_future_is_none() {
        check(CLOCK_SKEW_MAX_MS, 0, true);
        check(CLOCK_SKEW_MAX_MS + 1, 0, false);
    }

    #[test]
    fn a_lower_level_and_an_api_key_are_never_fresh() {
        let (day, now) = (Duration::from_secs(86_400), Timestamp::from_millis(1));
        let low = principal(Assurance::Aal1, 0);
        assert!(is_fresh(&low, day, Assurance::Aal1, now));
        assert!(!is_fresh(&low, day, Assurance::Aal2, now));
        let credential = Credential::ApiKey(ApiKeyId::from_bytes([2; 16]));
        assert!(!is_fresh(&Principal { credential, ..low }, day, Assurance::Aal1, now));
    }
}
