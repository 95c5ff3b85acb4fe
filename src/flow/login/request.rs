//! The request of a login.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::record::session::check_label;
use crate::record::user::User;
use crate::value::event::Origin;
use crate::value::limits;
use crate::value::name::{DeviceId, Privilege};
use crate::value::policy::ApiVersion;
use crate::value::refusal::Refusal;
use crate::value::secret::Password;
use crate::value::time::Timestamp;

/// What kind of program logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientKind {
    /// The desktop client, which some users are denied.
    Desktop,
    /// A client of the host's API.
    Api,
}

/// A request to log in, with all that it may say.
///
/// `Debug` shows neither passwords nor the name: people type their password where the name is
/// asked.
///
/// ```
/// use std::net::Ipv4Addr;
/// use gatepost::{ClientKind, DeviceId, LogIn, Origin, Password};
///
/// let request = LogIn::new("ada", Password::from("till and tally"), DeviceId::new("till-1")?)
///     .client(ClientKind::Desktop)
///     .label("Till 1")
///     .origin(Origin::new().ip(Ipv4Addr::LOCALHOST));
/// assert!(!format!("{request:?}").contains("tally"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[must_use]
pub struct LogIn {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) device: Option<DeviceId>,
    pub(crate) new_password: Option<Password>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) require_admin: bool,
    pub(crate) client: Option<ClientKind>,
    pub(crate) api_version: Option<ApiVersion>,
    pub(crate) label: Option<String>,
    pub(crate) origin: Option<Origin>,
}

impl LogIn {
    /// A user name (or, with `Options::login_by_email`, an e-mail address), a password, and the
    /// device to open the session on.
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
            expires_at: None,
            require_admin: false,
            client: None,
            api_version: None,
            label: None,
            origin: None,
        }
    }

    /// The password to set in the same step, for a user who is asked for one.
    pub fn new_password(self, password: Password) -> Self {
        Self { new_password: Some(password), ..self }
    }

    /// The moment from which the session is not valid. Any future time; beyond the policy's
    /// maximum it is brought forward, and the reply says so. The policy's lifetime if left out.
    pub fn expires_at(self, at: DateTime<Utc>) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// Refuses whoever is not an administrator.
    pub fn require_admin(self) -> Self {
        Self { require_admin: true, ..self }
    }

    /// The kind of program that logs in.
    pub fn client(self, client: ClientKind) -> Self {
        Self { client: Some(client), ..self }
    }

    /// The API version that the client speaks; accepted if left out.
    pub fn api_version(self, version: ApiVersion) -> Self {
        Self { api_version: Some(version), ..self }
    }

    /// What lists call the session: at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Where the request came from.
    pub fn origin(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// What no user could ask for is refused before anything is looked up or hashed.
    pub(crate) fn check(&self, options: &Options, now: Timestamp) -> Result<()> {
        if self.username.len() > limits::EMAIL_MAX_BYTES {
            return Err(Error::invalid("the username is longer than 254 bytes"));
        }
        for password in std::iter::once(&self.password).chain(&self.new_password) {
            password.check_length()?;
        }
        check_opening(options, self.device.as_ref(), self.expires_at, now)?;
        self.label.as_deref().map(check_label).transpose().map(drop)
    }

    /// What the request itself demands of the user.
    pub(crate) fn refused_for(&self, user: &User, options: &Options) -> Option<Refusal> {
        if user.desktop_client_denied && self.client == Some(ClientKind::Desktop) {
            return Some(Refusal::DesktopClientDenied);
        }
        let served = options.api_oldest..=options.api_newest;
        if self.api_version.is_some_and(|version| !served.contains(&version)) {
            return Some(Refusal::IncompatibleApiVersion);
        }
        if self.require_admin && !user.privileges.iter().any(|name| name == Privilege::ADMIN) {
            return Some(Refusal::AdministratorRequired);
        }
        None
    }
}

/// Without the name: people type their password there.
impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogIn")
            .field("device", &self.device)
            .field("expires_at", &self.expires_at)
            .field("require_admin", &self.require_admin)
            .field("client", &self.client)
            .field("api_version", &self.api_version)
            .field("label", &self.label)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// What holds for every session that is opened.
pub(crate) fn check_opening(
    options: &Options,
    device: Option<&DeviceId>,
    expires_at: Option<DateTime<Utc>>,
    now: Timestamp,
) -> Result<()> {
    if options.sessions.require_device && device.is_none() {
        return Err(Error::invalid("a session needs a device"));
    }
    if expires_at.is_some_and(|at| Timestamp::from_datetime(at) <= now) {
        return Err(Error::invalid("the end of the session is not in the future"));
    }
    Ok(())
}
