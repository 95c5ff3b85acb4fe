//! The policies that a host sets: for passwords and for sessions.

mod api_version;
mod breach;
mod passwords;

use std::time::Duration;

pub use api_version::ApiVersion;
pub use breach::BreachCheck;
pub(crate) use breach::Breaches;
pub use passwords::PasswordPolicy;

use super::limits::*;
use super::time::in_units;
use crate::error::{Error, Result};

/// What a login does if its user already has as many sessions as
/// [`SessionPolicy::per_user`] allows; given to [`SessionPolicy::at_limit`].
///
/// ```
/// use gatepost::policy::SessionLimit;
///
/// assert_eq!(SessionLimit::default(), SessionLimit::EvictLeastRecentlyUsed);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionLimit {
    /// The login revokes the least recently used session of the user, and opens its own. The last
    /// use is kept in steps of a 24th of the lifetime, at least 1 h, and shorter ones with an
    /// inactivity timeout; a use in another process counts once it has reached the file.
    #[default]
    EvictLeastRecentlyUsed,
    /// The login is refused as
    /// [`TooManySessions`](crate::LoginRefusal::TooManySessions).
    Refuse,
}

/// How long sessions live, how many a user may have, and whether each needs a device; given to
/// [`Options::sessions`](crate::Options::sessions).
///
/// Start from a preset and chain the setters. A session expires when its lifetime has passed, or
/// when its inactivity timeout passes without a verify.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::policy::{SessionLimit, SessionPolicy};
///
/// let policy = SessionPolicy::aal2().per_user(1).at_limit(SessionLimit::Refuse);
/// assert_ne!(policy, SessionPolicy::default());
/// let hour = Duration::from_secs(3_600);
/// assert_eq!(policy.inactivity_timeout(hour), policy);
/// assert_ne!(policy.inactivity_timeout(None), policy);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct SessionPolicy {
    pub(crate) lifetime: Duration,
    pub(crate) max_lifetime: Duration,
    pub(crate) inactivity_timeout: Option<Duration>,
    pub(crate) per_user: u32,
    pub(crate) at_limit: SessionLimit,
    pub(crate) require_device: bool,
    pub(crate) device_takeover: bool,
}

impl SessionPolicy {
    /// The policy of a server, which is the default: a lifetime of 24 hours, at most 30 days (NIST
    /// SP 800-63B-4, AAL1), no inactivity timeout, 10 sessions for each user.
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    ///
    /// assert_eq!(SessionPolicy::server(), SessionPolicy::default().per_user(10));
    /// ```
    pub const fn server() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_DEFAULT_MS),
            max_lifetime: Duration::from_millis(SESSION_LIFETIME_MAX_SERVER_MS),
            inactivity_timeout: None,
            per_user: SESSIONS_PER_USER_SERVER,
            at_limit: SessionLimit::EvictLeastRecentlyUsed,
            require_device: true,
            device_takeover: false,
        }
    }

    /// The policy of a desktop application: a lifetime of 24 hours, at most 90 days, 5 sessions
    /// for each user. A login of another user on the same device revokes the session there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    ///
    /// let max_lifetime = Duration::from_secs(90 * 86_400);
    /// let policy = SessionPolicy::server().max_lifetime(max_lifetime).per_user(5);
    /// assert_eq!(SessionPolicy::desktop(), policy.device_takeover(true));
    /// ```
    pub const fn desktop() -> Self {
        Self {
            max_lifetime: Duration::from_millis(SESSION_LIFETIME_MAX_DESKTOP_MS),
            per_user: SESSIONS_PER_USER_DESKTOP,
            device_takeover: true,
            ..Self::server()
        }
    }

    /// The policy of a web application: a browser stays signed in for 30 days, or until it was not
    /// used for 7. At most 10 sessions for each user. The device is a cookie of the browser, so a
    /// login of another user in the same browser revokes the session there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    ///
    /// let day = Duration::from_secs(86_400);
    /// let policy = SessionPolicy::server().lifetime(30 * day).inactivity_timeout(7 * day);
    /// assert_eq!(SessionPolicy::web(), policy.device_takeover(true));
    /// ```
    #[doc(alias("remember me", "stay signed in"))]
    pub const fn web() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_WEB_MS),
            max_lifetime: Duration::from_millis(SESSION_LIFETIME_WEB_MS),
            inactivity_timeout: Some(Duration::from_millis(SESSION_INACTIVITY_WEB_MS)),
            device_takeover: true,
            ..Self::server()
        }
    }

    /// The policy of NIST SP 800-63B-4, 2.2.3, for AAL2: a lifetime of 24 hours at most, an
    /// inactivity timeout of 1 hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    ///
    /// let hour = Duration::from_secs(3_600);
    /// let policy = SessionPolicy::server().max_lifetime(24 * hour).inactivity_timeout(hour);
    /// assert_eq!(SessionPolicy::aal2(), policy);
    /// ```
    pub const fn aal2() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_AAL2_MS),
            max_lifetime: Duration::from_millis(SESSION_LIFETIME_AAL2_MS),
            inactivity_timeout: Some(Duration::from_millis(SESSION_INACTIVITY_AAL2_MS)),
            ..Self::server()
        }
    }

    /// The policy of NIST SP 800-63B-4, 2.3.3, for AAL3: a lifetime of 12 hours at most, an
    /// inactivity timeout of 15 minutes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    ///
    /// let hour = Duration::from_secs(3_600);
    /// let policy = SessionPolicy::aal2().lifetime(12 * hour).max_lifetime(12 * hour);
    /// assert_eq!(SessionPolicy::aal3(), policy.inactivity_timeout(hour / 4));
    /// ```
    pub const fn aal3() -> Self {
        Self {
            lifetime: Duration::from_millis(SESSION_LIFETIME_AAL3_MS),
            max_lifetime: Duration::from_millis(SESSION_LIFETIME_AAL3_MS),
            inactivity_timeout: Some(Duration::from_millis(SESSION_INACTIVITY_AAL3_MS)),
            ..Self::server()
        }
    }

    /// The lifetime of a session whose login sets none: 1 ms up to
    /// [`max_lifetime`](Self::max_lifetime).
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// let hour = Duration::from_secs(3_600);
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = SessionPolicy::server().lifetime(hour);
    /// let store = Store::open(path, Options::server().sessions(policy))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let opened = store.sessions().open(OpenSession::new(ada, DeviceId::random()?))?.granted()?;
    /// assert_eq!(opened.session.expires_at, opened.principal.opened_at + hour);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("ttl", "absolute timeout"))]
    pub const fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The longest lifetime of a session, up to 400 days; a login that sets a longer one gets this
    /// one. [`Store::renew`](crate::Store::renew) does not pass it either.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::{Options, Store};
    ///
    /// let day = Duration::from_secs(86_400);
    /// let options = Options::server().sessions(SessionPolicy::server().max_lifetime(401 * day));
    /// let error = Store::open("auth.db", options).unwrap_err();
    /// assert_eq!(error.to_string(), "max_lifetime (401 d) exceeds 400 d");
    /// ```
    pub const fn max_lifetime(self, max_lifetime: Duration) -> Self {
        Self { max_lifetime, ..self }
    }

    /// The time after which a session that is not verified expires: 10 seconds to 400 days, or
    /// `None` for no inactivity timeout. The default is `None`, and 7 days in
    /// [`SessionPolicy::web`]. The last verify is known up to a tenth of the timeout, at most 60 s:
    /// the session may expire that much early, and never late.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gatepost::policy::SessionPolicy;
    ///
    /// let policy = SessionPolicy::server().inactivity_timeout(Duration::from_secs(3_600));
    /// assert_ne!(policy, SessionPolicy::server());
    /// assert_eq!(policy.inactivity_timeout(None), SessionPolicy::server());
    /// ```
    #[doc(alias("idle timeout"))]
    pub fn inactivity_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { inactivity_timeout: timeout.into(), ..self }
    }

    /// How many sessions a user may have at once, 1 to 10,000. The default is 10.
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::sessions::{OpenSession, SessionFilter};
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = SessionPolicy::server().per_user(1);
    /// let store = Store::open(path, Options::server().sessions(policy))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// for device in [DeviceId::new("till-1")?, DeviceId::new("till-2")?] {
    ///     store.sessions().open(OpenSession::new(ada, device))?.granted()?;
    /// }
    /// assert_eq!(store.sessions().count(&SessionFilter::new().under(ada))?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn per_user(self, per_user: u32) -> Self {
        Self { per_user, ..self }
    }

    /// What a login does when the user would have one session more than
    /// [`per_user`](Self::per_user). The default is [`SessionLimit::EvictLeastRecentlyUsed`].
    ///
    /// ```
    /// use gatepost::policy::{SessionLimit, SessionPolicy};
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, LoginRefusal, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse);
    /// let store = Store::open(path, Options::server().sessions(policy))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let open = |till| store.sessions().open(OpenSession::new(ada, DeviceId::new(till)?));
    /// open("till-1")?.granted()?;
    /// assert_eq!(open("till-2")?.granted().unwrap_err(), LoginRefusal::TooManySessions);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn at_limit(self, at_limit: SessionLimit) -> Self {
        Self { at_limit, ..self }
    }

    /// Whether a session needs a device. The default is yes: a stolen token is useless without the
    /// device identifier.
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = SessionPolicy::server().require_device(false);
    /// let store = Store::open(path, Options::server().sessions(policy))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let opened = store.sessions().open(OpenSession::new(ada, None))?.granted()?;
    /// assert!(store.verify((&opened.session.token, None))?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn require_device(self, require_device: bool) -> Self {
        Self { require_device, ..self }
    }

    /// Whether a login on a device where another user has a session revokes that session. With
    /// `false`, the default of `SessionPolicy::server()`, the login is refused as
    /// [`DeviceInUse`](crate::LoginRefusal::DeviceInUse).
    ///
    /// ```
    /// use gatepost::policy::SessionPolicy;
    /// use gatepost::sessions::{OpenSession, SessionFilter};
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = SessionPolicy::server().device_takeover(true);
    /// let store = Store::open(path, Options::server().sessions(policy))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let ben = store.users().create(NewUser::person("ben"))?.id;
    /// for user in [ada, ben] {
    ///     store.sessions().open(OpenSession::new(user, DeviceId::new("till-1")?))?.granted()?;
    /// }
    /// assert_eq!(store.sessions().count(&SessionFilter::new().under(ada))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn device_takeover(self, device_takeover: bool) -> Self {
        Self { device_takeover, ..self }
    }

    /// Whether every value is within its bounds; checked when a store is opened.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        let Self { lifetime, max_lifetime, inactivity_timeout, per_user, .. } = *self;
        let ceiling = Duration::from_millis(SESSION_LIFETIME_CEILING_MS);
        let least = Duration::from_millis(SESSION_INACTIVITY_LEAST_MS);
        let refused = |what: String| Err(Error::invalid(what));
        if max_lifetime > ceiling {
            let value = in_units(max_lifetime);
            return refused(format!("max_lifetime ({value}) exceeds {}", in_units(ceiling)));
        }
        if lifetime < Duration::from_millis(1) {
            return refused(format!("lifetime ({}) is below 1 ms", in_units(lifetime)));
        }
        if lifetime > max_lifetime {
            let (value, bound) = (in_units(lifetime), in_units(max_lifetime));
            return refused(format!("lifetime ({value}) exceeds max_lifetime ({bound})"));
        }
        if let Some(timeout) = inactivity_timeout.filter(|it| !(least..=ceiling).contains(it)) {
            let (value, least, most) = (in_units(timeout), in_units(least), in_units(ceiling));
            return refused(format!("inactivity_timeout ({value}) is not {least} to {most}"));
        }
        if per_user == 0 || per_user > SESSIONS_PER_USER_CEILING {
            return refused(format!(
                "per_user ({per_user}) is not 1 to {SESSIONS_PER_USER_CEILING}"
            ));
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

    #[test]
    fn every_preset_is_within_bounds() {
        let presets = [
            SessionPolicy::server(),
            SessionPolicy::desktop(),
            SessionPolicy::web(),
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
        assert_eq!((two.max_lifetime, two.inactivity_timeout), (24 * HOUR, Some(HOUR)));
        assert_eq!((three.max_lifetime, three.inactivity_timeout), (12 * HOUR, Some(HOUR / 4)));
        assert_eq!(PasswordPolicy::nist().min_chars, 15);
    }

    #[test]
    fn nothing_goes_beyond_its_bounds() {
        let base = SessionPolicy::server();
        for policy in [
            base.lifetime(Duration::ZERO),
            base.lifetime(31 * 24 * HOUR),
            base.max_lifetime(401 * 24 * HOUR),
            base.inactivity_timeout(Duration::from_secs(9)),
            base.inactivity_timeout(401 * 24 * HOUR),
            base.per_user(0),
            base.per_user(10_001),
        ] {
            assert!(policy.check_bounds().is_err(), "{policy:?}");
        }
        let base = PasswordPolicy::default();
        for policy in
            [base.min_chars(7), base.min_chars(65), base.max_bytes(255), base.max_bytes(4_097)]
        {
            assert!(policy.check_bounds().is_err(), "{policy:?}");
        }
    }
}
