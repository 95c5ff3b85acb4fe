//! What a verify says of a token, and the words it says it with.

use std::fmt;

use chrono::{DateTime, Utc};

use super::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of])* $word,)+
        }

        impl $name {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The word as the file keeps it. It never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// The value of that word, exactly as [`as_str`](Self::as_str) gives it.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Whether a user is somebody or something.
    UserKind {
        /// Somebody.
        Person = "person",
        /// A program: it has API keys and never a password.
        System = "system",
    }
}

words! {
    /// What an administrator says of a user. Only an active one can log in.
    UserStatus {
        /// Not yet let in.
        Pending = "pending",
        /// Let in.
        Active = "active",
        /// Kept out for a while. Not the lock by failed attempts, which passes by itself.
        Locked = "locked",
        /// Kept out for good.
        Disabled = "disabled",
    }
}

words! {
    /// How strongly a session was authenticated (NIST SP 800-63B-4, section 2); higher is greater.
    Assurance {
        /// One factor.
        Aal1 = "aal1",
        /// Two factors.
        Aal2 = "aal2",
        /// Two factors, one a key that resists phishing, as the host says.
        Aal3 = "aal3",
    }
}

/// What holds of a token that was just verified.
///
/// Everything after a verify can trust [`user`](Self::user). Facts are a copy of one moment: ask
/// again at the next request rather than keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The session; none for an API key.
    pub session: Option<SessionId>,
    /// The API key; none for a session.
    pub api_key: Option<ApiKeyId>,
    /// The user.
    pub user: UserId,
    /// The user's branch.
    pub branch: Option<BranchId>,
    /// The branch's organisation.
    pub organisation: Option<OrganisationId>,
    /// Person or system.
    pub kind: UserKind,
    /// Whether the user has the privilege `admin`.
    pub is_admin: bool,
    /// How strongly the session was authenticated.
    pub assurance: Assurance,
    /// When the session was opened, or the key issued.
    pub opened_at: DateTime<Utc>,
    /// When its user last proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// The first moment at which it is expired; none for a key without end.
    pub expires_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
impl Facts {
    pub(crate) fn for_tests(user: UserId) -> Self {
        Self {
            session: None,
            api_key: None,
            user,
            branch: None,
            organisation: None,
            kind: UserKind::Person,
            is_admin: false,
            assurance: Assurance::Aal1,
            opened_at: DateTime::UNIX_EPOCH,
            authenticated_at: DateTime::UNIX_EPOCH,
            expires_at: None,
        }
    }
}

/// The answer of a verify. An error of the store is neither of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a verdict that nobody reads lets everybody in"]
pub enum Verdict {
    /// The token holds, and this is what it says.
    Valid(Facts),
    /// The token does not hold.
    Refused(Refused),
}

impl Verdict {
    /// The paved path: the facts, or an error to answer with.
    ///
    /// # Errors
    /// [`Refused`] if the token does not hold.
    pub fn valid(self) -> Result<Facts, Refused> {
        match self {
            Self::Valid(facts) => Ok(facts),
            Self::Refused(refused) => Err(refused),
        }
    }
}

/// A token does not hold: the same value whatever the reason, so that it tells nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token is not valid")
    }
}

impl std::error::Error for Refused {}

/// Why tokens were refused, for counting alone: no single [`Refused`] can be asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// It was never a token.
    Malformed,
    /// It has the form of a token, and none such is known; ended ones may have been swept.
    Unknown,
    /// It was presented with another device than its own, or with one, or none, against its rule.
    WrongDevice,
    /// Its time is over.
    Expired,
    /// It was not used for too long.
    Idle,
    /// It was ended, or something that ends it happened.
    Revoked,
    /// Its user, branch or organisation is not active now.
    Suspended,
    /// It begins in the future: a clock went wrong.
    NotYet,
}

impl RefusalReason {
    /// All reasons, in reading order.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::Unknown,
        Self::WrongDevice,
        Self::Expired,
        Self::Idle,
        Self::Revoked,
        Self::Suspended,
        Self::NotYet,
    ];

    /// The name in the audit log. It never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::WrongDevice => "wrong_device",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::NotYet => "not_yet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in UserKind::ALL {
            assert_eq!(UserKind::parse(kind.as_str()), Some(*kind));
        }
        for status in UserStatus::ALL {
            assert_eq!(UserStatus::parse(status.as_str()), Some(*status));
        }
        for level in Assurance::ALL {
            assert_eq!(Assurance::parse(level.as_str()), Some(*level));
        }
        assert_eq!(UserStatus::parse("Active"), None);
        assert!(Assurance::Aal1 < Assurance::Aal2 && Assurance::Aal2 < Assurance::Aal3);
    }

    #[test]
    fn a_refusal_is_one_value_without_a_reason() {
        assert_eq!(size_of::<Refused>(), 0);
        assert_eq!(
            Verdict::Refused(Refused).valid().unwrap_err().to_string(),
            format!("{Refused}")
        );
        let facts = Facts::for_tests(UserId::from_bytes([1; 16]));
        assert_eq!(Verdict::Valid(facts).valid(), Ok(facts));
    }

    #[test]
    fn facts_are_small_enough_to_be_copied_on_every_request() {
        assert!(size_of::<Facts>() <= 160, "{}", size_of::<Facts>());
    }
}
