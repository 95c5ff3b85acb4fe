//! The answer of a verify, and the types in it.

use std::fmt;

use super::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use super::time::Timestamp;
use crate::error::ErrorClass;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of])* $word,)+
        }

        impl $name {
            /// All values, in reading order.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The text in the file. It never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// The value whose [`as_str`](Self::as_str) is exactly `text`; `None` for other texts.
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

pub(crate) use words;

words! {
    /// Whether a user is a person or a program.
    ///
    /// ```
    /// use gatepost::directory::UserKind;
    ///
    /// assert_eq!(UserKind::parse("system"), Some(UserKind::System));
    /// ```
    UserKind {
        /// A person, who logs in with a password.
        Person = "person",
        /// A program, which has API keys and never a password.
        System = "system",
    }
}

words! {
    /// The status of a user, which an administrator sets. Only an active user can log in.
    ///
    /// ```
    /// use gatepost::directory::UserStatus;
    ///
    /// assert_eq!(UserStatus::Locked.as_str(), "locked");
    /// assert_eq!(UserStatus::parse("locked"), Some(UserStatus::Locked));
    /// ```
    UserStatus {
        /// The user may not log in yet.
        Pending = "pending",
        /// The user may log in.
        Active = "active",
        /// An administrator has locked the user out for a while. Failed attempts lock a user out
        /// too, for a time, and leave the status as it is.
        Locked = "locked",
        /// The user may not log in any more.
        Disabled = "disabled",
    }
}

words! {
    /// The authenticator assurance level of a session (NIST SP 800-63B-4, section 2), as the host
    /// states it. A stronger level is greater.
    ///
    /// ```
    /// use gatepost::sessions::Assurance;
    ///
    /// assert!(Assurance::Aal2 > Assurance::Aal1);
    /// assert_eq!(Assurance::Aal2.as_str(), "aal2");
    /// ```
    #[doc(alias("2FA", "MFA", "TOTP", "second factor", "step-up"))]
    Assurance {
        /// One factor, such as a password.
        Aal1 = "aal1",
        /// Two factors.
        Aal2 = "aal2",
        /// Two factors, one of them a key that resists phishing.
        Aal3 = "aal3",
    }
}

/// The credential by which a principal was verified: a session or an API key.
///
/// ```
/// use gatepost::{Credential, SessionId};
///
/// let id: SessionId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
/// assert_eq!(Credential::Session(id).session(), Some(id));
/// assert_eq!(Credential::Session(id).api_key(), None);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: nothing else is verified")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Credential {
    /// A session, by its id.
    Session(SessionId),
    /// An API key, by its id.
    ApiKey(ApiKeyId),
}

impl Credential {
    /// The session; `None` for an API key.
    #[must_use]
    pub const fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(id) => Some(id),
            Self::ApiKey(_) => None,
        }
    }

    /// The API key; `None` for a session.
    #[must_use]
    pub const fn api_key(self) -> Option<ApiKeyId> {
        match self {
            Self::Session(_) => None,
            Self::ApiKey(id) => Some(id),
        }
    }

    pub(crate) const fn id(&self) -> &[u8; 16] {
        match self {
            Self::Session(id) => id.as_bytes(),
            Self::ApiKey(id) => id.as_bytes(),
        }
    }
}

/// The identity behind a verified token, and its rights; [`Store::verify`](crate::Store::verify)
/// returns it.
///
/// A principal is a copy of one moment: verify the token again at the next request instead of
/// keeping the principal. [`Store::may`](crate::Store::may) checks a privilege of its user.
///
/// ```
/// use gatepost::sessions::NewApiKey;
/// use gatepost::{NewUser, Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// let mailer = store.users().create(NewUser::system("mailer"))?;
/// let issued = store.api_keys().issue(mailer.id, NewApiKey::new())?;
/// let principal = store.verify((&issued.key, None))?.valid()?;
/// assert_eq!(principal.user, mailer.id);
/// assert_eq!(principal.credential.api_key(), Some(issued.id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("claims", "identity", "facts"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Principal {
    /// The session or API key that was verified.
    pub credential: Credential,
    /// The user.
    pub user: UserId,
    /// The user's branch; `None` if the user is in none.
    pub branch: Option<BranchId>,
    /// The branch's organisation; `None` if there is none.
    pub organisation: Option<OrganisationId>,
    /// Whether the user is a person or a program.
    pub kind: UserKind,
    /// Whether the user has the privilege `admin`; for an API key with scopes, whether these have
    /// it as well.
    pub is_admin: bool,
    /// The assurance level of the session; AAL1 for an API key.
    pub assurance: Assurance,
    /// The time at which the session was opened or the key was issued.
    pub opened_at: Timestamp,
    /// The time at which the user last authenticated.
    pub authenticated_at: Timestamp,
    /// The first moment at which the credential is expired; `None` for a key that never expires.
    pub expires_at: Option<Timestamp>,
    /// Whether an administrator opened the session to act as its user
    /// ([`Sessions::impersonate`](crate::sessions::Sessions::impersonate)).
    /// [`SessionInfo::impersonator`](crate::sessions::SessionInfo::impersonator) names the
    /// administrator.
    pub is_impersonated: bool,
    /// Where the cache of the store that verified it has its entry.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) place: CacheHint,
}

/// Where the cache looks first for the entry of a principal. Only a hint: all places are equal, so
/// that two principals of one session are equal.
#[derive(Clone, Copy)]
pub(crate) struct CacheHint(pub(crate) [u64; 2]);

impl CacheHint {
    /// The place of a principal that is not cached.
    pub(crate) const NOWHERE: Self = Self([0; 2]);
}

impl PartialEq for CacheHint {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for CacheHint {}

/// Omits the place, which means nothing to a reader.
impl fmt::Debug for CacheHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

#[cfg(test)]
impl Principal {
    pub(crate) fn for_tests(user: UserId) -> Self {
        Self {
            credential: Credential::Session(SessionId::from_bytes([0; 16])),
            user,
            branch: None,
            organisation: None,
            kind: UserKind::Person,
            is_admin: false,
            assurance: Assurance::Aal1,
            opened_at: Timestamp::UNIX_EPOCH,
            authenticated_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            is_impersonated: false,
            place: CacheHint::NOWHERE,
        }
    }
}

/// The answer of [`Store::verify`](crate::Store::verify): valid or not. A failure of the store is
/// an `Err`, and neither of the two.
///
/// ```
/// use gatepost::{Options, Store, Verdict};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// match store.verify(("gps_forged", None))? {
///     Verdict::Valid(principal) => panic!("{principal:?}"),
///     Verdict::Invalid(invalid) => assert_eq!(invalid.to_string(), "the token is not valid"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: a token is valid or not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a verdict that is not read lets every token in"]
pub enum Verdict {
    /// The token is valid: the identity behind it.
    Valid(Principal),
    /// The token is not valid.
    Invalid(InvalidToken),
}

impl Verdict {
    /// The principal, or an error that the program can answer with: for `?`.
    ///
    /// # Errors
    /// [`InvalidToken`] if the token is not valid.
    ///
    /// ```
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let device = DeviceId::new("till-1")?;
    /// let opened = store.sessions().open(OpenSession::new(ada, device.clone()))?.granted()?;
    /// let token = &opened.session.token;
    /// assert_eq!(store.verify((token, &device))?.valid()?.user, ada);
    /// assert!(store.verify((token, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn valid(self) -> Result<Principal, InvalidToken> {
        match self {
            Self::Valid(principal) => Ok(principal),
            Self::Invalid(invalid) => Err(invalid),
        }
    }
}

/// The answer that a token is not valid. It is one value for every reason, so that it reveals
/// nothing to the client; the audit log counts the reasons.
///
/// ```
/// use gatepost::{InvalidToken, Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// let refused = store.verify(("gps_forged", None))?.valid();
/// assert!(matches!(refused, Err(InvalidToken { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InvalidToken;

impl InvalidToken {
    /// The class of the refusal, by which a program chooses its answer: always
    /// [`ErrorClass::SignIn`], HTTP 401.
    ///
    /// ```
    /// use gatepost::{ErrorClass, InvalidToken};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let invalid: InvalidToken = store.verify(("gps_forged", None))?.valid().unwrap_err();
    /// assert_eq!(invalid.class(), ErrorClass::SignIn);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        ErrorClass::SignIn
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token is not valid")
    }
}

impl std::error::Error for InvalidToken {}

/// The reasons under which the audit log counts refused tokens; an [`InvalidToken`] carries none.
///
/// ```
/// use gatepost::status::InvalidTokenReason;
///
/// assert_eq!(InvalidTokenReason::WrongDevice.name(), "wrong_device");
/// assert_eq!(InvalidTokenReason::ALL.len(), 8);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum InvalidTokenReason {
    /// The text does not have the form of a token.
    Malformed,
    /// No session or key has this token; a revoked or expired one may have been deleted.
    Unknown,
    /// The token was presented with another device than its own, without its device, or with a
    /// device though it has none.
    WrongDevice,
    /// The lifetime has passed.
    Expired,
    /// The inactivity timeout has passed.
    Idle,
    /// The session or key was revoked.
    Revoked,
    /// The user, its branch or its organisation is not active now.
    Suspended,
    /// The session was opened or renewed more than a minute in the future, or its password was
    /// changed then, or it has an inactivity timeout and was last used then; or the overlap of a
    /// rotated key would last for more than 30 days: a clock was wrong.
    NotYet,
}

impl InvalidTokenReason {
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
        assert_eq!(size_of::<InvalidToken>(), 0);
        assert_eq!(
            Verdict::Invalid(InvalidToken).valid().unwrap_err().to_string(),
            format!("{InvalidToken}")
        );
        let principal = Principal::for_tests(UserId::from_bytes([1; 16]));
        assert_eq!(Verdict::Valid(principal).valid(), Ok(principal));
    }

    #[test]
    fn a_principal_is_small_enough_to_be_copied_on_every_request() {
        assert!(size_of::<Principal>() <= 176, "{}", size_of::<Principal>());
    }
}
