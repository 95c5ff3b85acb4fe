//! The request of a login.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::options::Options;
use crate::record::session::check_label;
use crate::record::user::User;
use crate::value::event::ClientInfo;
use crate::value::factor_code::FactorCode;
use crate::value::limits;
use crate::value::name::{DeviceId, Privilege};
use crate::value::password_check;
use crate::value::policy::ApiVersion;
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::TypedFactor;
use crate::value::secret::Password;
use crate::value::time::{Deadline, Timestamp};

/// The kind of program that logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientKind {
    /// The desktop client, which
    /// [`NewUser::desktop_client_denied`](crate::NewUser::desktop_client_denied) refuses for a
    /// user.
    Desktop,
    /// A client of the host's API.
    Api,
}

/// A request to log in.
///
/// `Debug` shows neither passwords nor the name: people type their password where the name is
/// asked.
///
/// ```
/// use std::net::Ipv4Addr;
/// use gatepost::{ClientInfo, ClientKind, DeviceId, LoginRequest, Password};
///
/// let device = DeviceId::new("till-1")?;
/// let request = LoginRequest::new("ada", Password::from("till and tally"), device)
///     .client(ClientKind::Desktop)
///     .label("Till 1")
///     .client_info(ClientInfo::new().ip(Ipv4Addr::LOCALHOST));
/// assert!(!format!("{request:?}").contains("tally"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[must_use]
pub struct LoginRequest {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) device: Option<DeviceId>,
    pub(crate) new_password: Option<Password>,
    pub(crate) revoke_api_keys: bool,
    pub(crate) end: Option<Deadline>,
    pub(crate) require_admin: bool,
    pub(crate) client: Option<ClientKind>,
    pub(crate) api_version: Option<ApiVersion>,
    pub(crate) label: Option<String>,
    pub(crate) client_info: Option<ClientInfo>,
    pub(crate) factor: Option<TypedFactor>,
    pub(crate) trust: Option<Duration>,
}

impl LoginRequest {
    /// A request with a username (or, with [`Options::login_by_email`], an e-mail address), a
    /// password, and the device to open the session on.
    pub fn new(
        username: impl Into<String>,
        password: Password,
        device: impl Into<Option<DeviceId>>,
    ) -> Self {
        Self {
            username: username.into(),
            password,
            device: device.into(),
            new_password: None,
            revoke_api_keys: false,
            end: None,
            require_admin: false,
            client: None,
            api_version: None,
            label: None,
            client_info: None,
            factor: None,
            trust: None,
        }
    }

    /// The new password to set in the same step, for a user of whom one is demanded. It revokes the
    /// sessions of the user ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let first = || Password::from("lantern over wet slate");
    /// store.users().create(NewUser::person("ada").password(first()).must_change_password())?;
    /// let device = DeviceId::new("till-1")?;
    /// let login = || LoginRequest::new("ada", first(), device.clone());
    /// let refusal = store.log_in(login())?.granted().unwrap_err();
    /// assert_eq!(refusal, LoginRefusal::NewPasswordRequired);
    ///
    /// let new = login().new_password(Password::from("nine brass bells"));
    /// let reply = store.log_in(new)?.granted()?;
    /// assert!(!reply.profile.user.must_change_password);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new_password(self, password: Password) -> Self {
        Self { new_password: Some(password), ..self }
    }

    /// Revokes all API keys of the user in the same step as the
    /// [new password](Self::new_password) is set. Without a new password it does nothing.
    ///
    /// ```
    /// use gatepost::sessions::NewApiKey;
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let first = || Password::from("lantern over wet slate");
    /// let ada = NewUser::person("ada").password(first()).must_change_password();
    /// let ada = store.users().create(ada)?.id;
    /// let issued = store.api_keys().issue(ada, NewApiKey::new())?;
    ///
    /// let login = LoginRequest::new("ada", first(), DeviceId::new("till-1")?);
    /// let login = login.new_password(Password::from("nine brass bells")).revoke_api_keys();
    /// store.log_in(login)?.granted()?;
    /// assert!(store.verify((&issued.key, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revoke_api_keys(self) -> Self {
        Self { revoke_api_keys: true, ..self }
    }

    /// How long the session is valid from its opening, by the store's clock: more than zero. Above
    /// [`SessionPolicy::max_lifetime`](crate::policy::SessionPolicy::max_lifetime) it is shortened,
    /// and [`OpenedSession::clamped`](crate::OpenedSession::clamped) says so. Default: the policy's
    /// lifetime.
    ///
    /// The last call of this or [`expires_at`](Self::expires_at) counts.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let hour = Duration::from_secs(3_600);
    /// let device = DeviceId::new("till-1")?;
    /// let request = LoginRequest::new("ada", Password::from("till and tally"), device);
    /// let reply = store.log_in(request.lifetime(hour))?.granted()?;
    /// assert_eq!(reply.session.expires_at, reply.principal.opened_at + hour);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("ttl", "remember me"))]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { end: Some(Deadline::After(lifetime)), ..self }
    }

    /// The first moment at which the session is expired: any future time. Beyond the policy's
    /// maximum it is shortened, as [`lifetime`](Self::lifetime) is. The last call of the two
    /// counts.
    pub fn expires_at(self, at: Timestamp) -> Self {
        Self { end: Some(Deadline::At(at)), ..self }
    }

    /// Refuses every user who is not an administrator.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = || Password::from("lantern over wet slate");
    /// store.users().create(NewUser::person("ada").password(password()))?;
    /// let login = LoginRequest::new("ada", password(), DeviceId::new("till-1")?).require_admin();
    /// let refusal = store.log_in(login)?.granted().unwrap_err();
    /// assert_eq!(refusal, LoginRefusal::AdministratorRequired);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn require_admin(self) -> Self {
        Self { require_admin: true, ..self }
    }

    /// The kind of program that logs in.
    pub fn client(self, client: ClientKind) -> Self {
        Self { client: Some(client), ..self }
    }

    /// The API version that the client speaks. Without it, every version is accepted.
    pub fn api_version(self, version: ApiVersion) -> Self {
        Self { api_version: Some(version), ..self }
    }

    /// The label that lists show for the session: at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Where the request came from.
    pub fn client_info(self, client_info: ClientInfo) -> Self {
        Self { client_info: Some(client_info), ..self }
    }

    /// A code of the user's authenticator, for a user who has a second factor. Without one, the
    /// login of such a user is [pending](crate::LoginOutcome::Pending).
    ///
    /// A wrong code is refused as a wrong password is, and counts as a failed attempt. A right code
    /// is accepted once, ever; it is used up by a wrong password as well, and not by any other
    /// refusal. For a user without a second factor the code is ignored.
    ///
    /// The last call of this or [`recovery_code`](Self::recovery_code) counts.
    #[doc(alias("TOTP", "2FA", "MFA"))]
    pub fn code(self, code: impl Into<FactorCode>) -> Self {
        Self { factor: Some(TypedFactor::Code(code.into())), ..self }
    }

    /// A recovery code of the user, in the place of a [code](Self::code).
    ///
    /// It is used up by a login that is granted, and revokes the other sessions of the user, the
    /// one-time tokens and the trust of devices ([what revokes what](crate::manual::revocation)).
    pub fn recovery_code(self, code: impl Into<FactorCode>) -> Self {
        Self { factor: Some(TypedFactor::RecoveryCode(code.into())), ..self }
    }

    /// Trusts the device for so long, at most 90 days, if the login proves a second factor: until
    /// then a login of this user on it needs the password and no code, unless it carries a
    /// [new password](Self::new_password). Its sessions then have the level
    /// [`Aal1`](crate::sessions::Assurance::Aal1).
    ///
    /// A user has at most ten trusted devices; one more takes the trust of the one whose trust ends
    /// first. Trust is as good as the id of the device is secret: use
    /// [`DeviceId::random`](crate::DeviceId::random). The manual lists
    /// [what revokes it](crate::manual::revocation).
    #[doc(alias("remember this device", "remember me"))]
    pub fn trust_device(self, lifetime: Duration) -> Self {
        Self { trust: Some(lifetime), ..self }
    }

    /// Refuses what no user could ask for, before anything is looked up or hashed.
    pub(crate) fn check(&self, options: &Options, now: Timestamp) -> Result<()> {
        if self.username.trim().len() > limits::EMAIL_MAX_BYTES {
            return Err(Error::invalid(
                "the username is longer than the 254 bytes of any login name",
            ));
        }
        self.password.check_length()?;
        if let Some(new) = &self.new_password {
            password_check::check_length(&options.passwords, new)?;
        }
        if self.new_password.is_some() {
            options.breaches()?;
        }
        if let Some(factor) = &self.factor {
            factor.check_length()?;
        }
        check_trust(self.trust, self.device.as_ref())?;
        check_opening(options, self.device.as_ref(), self.end, now)?;
        self.label.as_deref().map(check_label).transpose().map(drop)
    }

    /// Whether a recovery code was typed.
    pub(crate) const fn has_recovery_code(&self) -> bool {
        matches!(self.factor, Some(TypedFactor::RecoveryCode(_)))
    }

    /// The refusal, if the user does not meet what the request demands.
    pub(crate) fn refused_for(&self, user: &User, options: &Options) -> Option<LoginRefusal> {
        if user.desktop_client_denied && self.client == Some(ClientKind::Desktop) {
            return Some(LoginRefusal::DesktopClientDenied);
        }
        let served = options.api_oldest..=options.api_newest;
        if self.api_version.is_some_and(|version| !served.contains(&version)) {
            return Some(LoginRefusal::IncompatibleApiVersion);
        }
        if self.require_admin && !user.privileges.iter().any(|name| name == Privilege::ADMIN) {
            return Some(LoginRefusal::AdministratorRequired);
        }
        None
    }
}

/// Without the name: people type their password there.
impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("device", &self.device)
            .field("end", &self.end)
            .field("revoke_api_keys", &self.revoke_api_keys)
            .field("require_admin", &self.require_admin)
            .field("client", &self.client)
            .field("api_version", &self.api_version)
            .field("label", &self.label)
            .field("client_info", &self.client_info)
            .finish_non_exhaustive()
    }
}

/// Checks how long a device is to be trusted.
pub(crate) fn check_trust(trust: Option<Duration>, device: Option<&DeviceId>) -> Result<()> {
    let Some(lifetime) = trust else { return Ok(()) };
    if device.is_none() {
        return Err(Error::invalid("trust_device needs a device"));
    }
    if !(limits::DEVICE_TRUST_LEAST..=limits::DEVICE_TRUST_MAX).contains(&lifetime) {
        return Err(Error::invalid("the lifetime of trust_device is not 1 ms to 90 days"));
    }
    Ok(())
}

/// Checks the rules that apply to every session that is opened.
pub(crate) fn check_opening(
    options: &Options,
    device: Option<&DeviceId>,
    end: Option<Deadline>,
    now: Timestamp,
) -> Result<()> {
    if options.sessions.require_device && device.is_none() {
        return Err(Error::invalid(
            "SessionPolicy::require_device asks for a device: use DeviceId::random, or \
             require_device(false)",
        ));
    }
    check_end(end, now)
}

/// Refuses a session that is over when it is opened.
pub(crate) fn check_end(end: Option<Deadline>, now: Timestamp) -> Result<()> {
    if end.is_some_and(|end| end.of(now) <= now) {
        return Err(Error::invalid("the session's lifetime or expires_at is not in the future"));
    }
    Ok(())
}
