//! What a host may choose about passwords and sessions.

mod api_version;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

pub use api_version::ApiVersion;

use super::limits::*;
use crate::error::{Error, Result};

/// What a new password must be. It is tested when a password is set, never at login.
///
/// The default asks for 8 characters, refuses what everybody uses and what names the user, and
/// demands no mixture of characters (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 6.2).
///
/// ```
/// use gatepost::PasswordPolicy;
///
/// assert_eq!(PasswordPolicy::default().min_chars(8), PasswordPolicy::default());
/// assert_ne!(PasswordPolicy::nist(), PasswordPolicy::default());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PasswordPolicy {
    /// Characters that a password has at least.
    pub(crate) min_chars: usize,
    /// The same for a user with a second factor.
    pub(crate) min_chars_with_mfa: usize,
    /// Bytes of UTF-8 that a password has at most.
    pub(crate) max_bytes: usize,
    pub(crate) blocklist: bool,
    pub(crate) context: bool,
    pub(crate) breach: Option<Arc<dyn BreachCheck>>,
}

impl PasswordPolicy {
    /// What NIST SP 800-63B-4 asks of a password that is the only factor: 15 characters; with a
    /// second factor 8.
    pub fn nist() -> Self {
        Self { min_chars: PASSWORD_MIN_CHARS_ALONE, ..Self::default() }
    }

    /// The least number of characters, with a second factor or without: 8 to 64.
    pub fn min_chars(self, min_chars: usize) -> Self {
        Self { min_chars, min_chars_with_mfa: min_chars, ..self }
    }

    /// The least number of characters for a user with a second factor: 8 to 64.
    pub fn min_chars_with_mfa(self, min_chars_with_mfa: usize) -> Self {
        Self { min_chars_with_mfa, ..self }
    }

    /// The greatest number of bytes: 256 to 4,096.
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Whether passwords of the built-in list of common ones are refused: yes if left out.
    pub fn blocklist(self, blocklist: bool) -> Self {
        Self { blocklist, ..self }
    }

    /// Whether passwords that are a name of the user, branch, organisation or service are
    /// refused: yes if left out.
    pub fn context(self, context: bool) -> Self {
        Self { context, ..self }
    }

    /// A list of breached passwords to ask besides: none if left out.
    pub fn breach_check(self, check: Arc<dyn BreachCheck>) -> Self {
        Self { breach: Some(check), ..self }
    }

    /// Whether every value is within its bounds; asked once, when a store is opened.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        let chars = PASSWORD_MIN_CHARS..=PASSWORD_MIN_CHARS_MAX;
        if !chars.contains(&self.min_chars) || !chars.contains(&self.min_chars_with_mfa) {
            return Err(Error::invalid("the least length of a password is not 8 to 64"));
        }
        if !(PASSWORD_MAX_BYTES_LEAST..=PASSWORD_MAX_BYTES).contains(&self.max_bytes) {
            return Err(Error::invalid("the greatest size of a password is not 256 to 4,096"));
        }
        Ok(())
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_chars: PASSWORD_MIN_CHARS,
            min_chars_with_mfa: PASSWORD_MIN_CHARS,
            max_bytes: PASSWORD_MAX_BYTES,
            blocklist: true,
            context: true,
            breach: None,
        }
    }
}

/// Equal if all values are; a breach check is equal to itself alone.
impl PartialEq for PasswordPolicy {
    fn eq(&self, other: &Self) -> bool {
        let same_check = match (&self.breach, &other.breach) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        };
        let values = |policy: &Self| {
            (
                policy.min_chars,
                policy.min_chars_with_mfa,
                policy.max_bytes,
                policy.blocklist,
                policy.context,
            )
        };
        same_check && values(self) == values(other)
    }
}

impl Eq for PasswordPolicy {}

/// A host's own list of breached passwords.
///
/// It is asked before a write begins, once for each new password that passed every other rule. If
/// it cannot tell, it decides itself whether that is yes or no. It must not keep or log what it
/// is given.
pub trait BreachCheck: Debug + Send + Sync {
    /// Whether that password is known to have been breached.
    fn is_breached(&self, password: &str) -> bool;
}

/// The rule that a new password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PasswordRule {
    /// It has too few characters.
    TooShort,
    /// It has too many bytes.
    TooLong,
    /// It is among the passwords that everybody tries first.
    Common,
    /// It is a name of the user, the branch, the organisation or the service.
    Context,
    /// It is known to have been breached.
    Breached,
    /// It is the one that should be replaced.
    Unchanged,
}

impl PasswordRule {
    /// The name in the audit log. It never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Common => "common",
            Self::Context => "context",
            Self::Breached => "breached",
            Self::Unchanged => "unchanged",
        }
    }

    /// One sentence for the person who chose it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooShort => "The password is too short.",
            Self::TooLong => "The password is too long.",
            Self::Common => "The password is one that many people use.",
            Self::Context => "The password is a name that others can guess.",
            Self::Breached => "The password is known from a breach elsewhere.",
            Self::Unchanged => "The new password is the old one.",
        }
    }

    /// The same as a clause of an error.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::TooShort => "the password is too short",
            Self::TooLong => "the password is too long",
            Self::Common => "the password is one that many people use",
            Self::Context => "the password is a name that others can guess",
            Self::Breached => "the password is known from a breach elsewhere",
            Self::Unchanged => "the new password is the old one",
        }
    }
}

/// What to do with a login of a user who has all the sessions that the policy allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// End the session that was not used for the longest time.
    #[default]
    EndOldest,
    /// Refuse the login.
    Refuse,
}

/// How long sessions live, how many there are, and how they are tied to devices.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::{SessionPolicy, WhenFull};
///
/// let policy = SessionPolicy::aal2().per_user(1).when_full(WhenFull::Refuse);
/// assert_ne!(policy, SessionPolicy::default());
/// assert_eq!(policy.idle(Duration::from_secs(60)), policy.idle(Some(Duration::from_secs(60))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct SessionPolicy {
    pub(crate) lifetime: Duration,
    pub(crate) lifetime_max: Duration,
    pub(crate) idle: Option<Duration>,
    pub(crate) per_user: u32,
    pub(crate) when_full: WhenFull,
    pub(crate) require_device: bool,
    pub(crate) device_takeover: bool,
}

impl SessionPolicy {
    /// Of a server: 24 hours, at most 30 days, 10 sessions a user. The default.
    pub const fn server() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_DEFAULT_MS),
            lifetime_max: Duration::from_millis(SESSION_LIFETIME_MAX_SERVER_MS),
            idle: None,
            per_user: SESSIONS_PER_USER_SERVER,
            when_full: WhenFull::EndOldest,
            require_device: true,
            device_takeover: false,
        }
    }

    /// Of a desktop application: 24 hours, at most 90 days, 5 sessions a user, and another user
    /// may log in where one is still logged in, whose session then ends.
    pub const fn desktop() -> Self {
        Self {
            lifetime_max: Duration::from_millis(SESSION_LIFETIME_MAX_DESKTOP_MS),
            per_user: SESSIONS_PER_USER_DESKTOP,
            device_takeover: true,
            ..Self::server()
        }
    }

    /// What NIST SP 800-63B-4 asks at AAL2: 24 hours, 1 hour idle.
    pub const fn aal2() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_AAL2_MS),
            lifetime_max: Duration::from_millis(SESSION_LIFETIME_AAL2_MS),
            idle: Some(Duration::from_millis(SESSION_IDLE_AAL2_MS)),
            ..Self::server()
        }
    }

    /// What NIST SP 800-63B-4 asks at AAL3: 12 hours, 15 minutes idle.
    pub const fn aal3() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_AAL3_MS),
            lifetime_max: Duration::from_millis(SESSION_LIFETIME_AAL3_MS),
            idle: Some(Duration::from_millis(SESSION_IDLE_AAL3_MS)),
            ..Self::server()
        }
    }

    /// How long a session lives if its login does not say; at most the maximum below.
    pub const fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// How long a session lives at most, whatever its login says: up to 400 days.
    pub const fn lifetime_max(self, lifetime_max: Duration) -> Self {
        Self { lifetime_max, ..self }
    }

    /// After how long without use a session ends: 10 seconds or more, or never.
    pub fn idle(self, idle: impl Into<Option<Duration>>) -> Self {
        Self { idle: idle.into(), ..self }
    }

    /// How many sessions a user may have at once: 1 to 10,000.
    pub const fn per_user(self, per_user: u32) -> Self {
        Self { per_user, ..self }
    }

    /// What to do when there would be one more.
    pub const fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Whether a session needs a device: yes if left out.
    pub const fn require_device(self, require_device: bool) -> Self {
        Self { require_device, ..self }
    }

    /// Whether a login on a device where another user has a session ends that session, instead
    /// of being refused.
    pub const fn device_takeover(self, device_takeover: bool) -> Self {
        Self { device_takeover, ..self }
    }

    /// Whether every value is within its bounds; asked once, when a store is opened.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        let ceiling = Duration::from_millis(SESSION_LIFETIME_CEILING_MS);
        if self.lifetime < Duration::from_millis(1) || self.lifetime > self.lifetime_max {
            return Err(Error::invalid("the lifetime of sessions is not up to its maximum"));
        }
        if self.lifetime_max > ceiling {
            return Err(Error::invalid("the longest lifetime of sessions is above 400 days"));
        }
        if self.idle.is_some_and(|idle| idle < Duration::from_millis(SESSION_IDLE_LEAST_MS)) {
            return Err(Error::invalid("the idle limit of sessions is below 10 seconds"));
        }
        if self.per_user == 0 || self.per_user > SESSIONS_PER_USER_CEILING {
            return Err(Error::invalid("the sessions of a user are not 1 to 10,000"));
        }
        Ok(())
    }
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self::server()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[derive(Debug)]
    struct Never;

    impl BreachCheck for Never {
        fn is_breached(&self, _: &str) -> bool {
            false
        }
    }

    #[test]
    fn every_preset_is_within_bounds() {
        let presets = [
            SessionPolicy::server(),
            SessionPolicy::desktop(),
            SessionPolicy::aal2(),
            SessionPolicy::aal3(),
        ];
        for preset in presets {
            preset.check_bounds().unwrap();
        }
        PasswordPolicy::default().check_bounds().unwrap();
        PasswordPolicy::nist().check_bounds().unwrap();
    }

    #[test]
    fn presets_are_what_the_standard_says() {
        let (two, three) = (SessionPolicy::aal2(), SessionPolicy::aal3());
        assert_eq!((two.lifetime_max, two.idle), (24 * HOUR, Some(HOUR)));
        assert_eq!((three.lifetime_max, three.idle), (12 * HOUR, Some(HOUR / 4)));
        let nist = PasswordPolicy::nist();
        assert_eq!((nist.min_chars, nist.min_chars_with_mfa), (15, 8));
    }

    #[test]
    fn nothing_goes_beyond_its_bounds() {
        let base = SessionPolicy::server();
        for policy in [
            base.lifetime(Duration::ZERO),
            base.lifetime(31 * 24 * HOUR),
            base.lifetime_max(401 * 24 * HOUR),
            base.idle(Duration::from_secs(9)),
            base.per_user(0),
            base.per_user(10_001),
        ] {
            assert!(policy.check_bounds().is_err(), "{policy:?}");
        }
        let base = PasswordPolicy::default();
        for policy in [
            base.clone().min_chars(7),
            base.clone().min_chars(65),
            base.clone().min_chars_with_mfa(0),
            base.clone().max_bytes(255),
            base.clone().max_bytes(4_097),
        ] {
            assert!(policy.check_bounds().is_err(), "{policy:?}");
        }
    }

    #[test]
    fn a_breach_check_is_equal_to_itself_alone() {
        let check: Arc<dyn BreachCheck> = Arc::new(Never);
        let with = PasswordPolicy::default().breach_check(Arc::clone(&check));
        assert_eq!(with, PasswordPolicy::default().breach_check(check));
        assert_ne!(with, PasswordPolicy::default().breach_check(Arc::new(Never)));
        assert_ne!(with, PasswordPolicy::default());
    }
}
