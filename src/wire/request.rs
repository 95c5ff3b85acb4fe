//! Requests, as they arrive; what they ask for is made of them by `try_from`.

use std::fmt;

use super::read::read_in_any_case;
use crate::error::{Error, Result};
use crate::flow::login::{ClientKind, LogIn};
use crate::value::header::Presented;
use crate::value::name::DeviceId;
use crate::value::policy::ApiVersion;
use crate::value::secret::{Password, Secret};

/// A request to log in.
///
/// ```
/// use gatepost::{LogIn, WireLogIn};
///
/// let json = r#"{"username": "ada", "Password": "till and tally", "DeviceId": "till-1"}"#;
/// let request: WireLogIn = serde_json::from_str(json)?;
/// assert!(!format!("{request:?}").contains("tally"));
/// let request = LogIn::try_from(request)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct WireLogIn {
    /// The username, or an e-mail address where that is allowed.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The device to open the session on.
    pub device_id: Option<String>,
    /// Whether to change the password in the same step; no if absent.
    pub change_password: Option<bool>,
    /// The password to change to.
    pub new_password: Option<Password>,
    /// Whether to refuse whoever is not an administrator; no if absent.
    pub require_admin: Option<bool>,
    /// Whether this is a desktop client; unknown if absent.
    pub desktop_client: Option<bool>,
    /// The API version that the client speaks, as text: `1.0`.
    pub api_version_number: Option<String>,
}

/// Without the name: people type their password there.
impl fmt::Debug for WireLogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireLogIn")
            .field("device_id", &self.device_id)
            .field("change_password", &self.change_password)
            .field("require_admin", &self.require_admin)
            .field("desktop_client", &self.desktop_client)
            .field("api_version_number", &self.api_version_number)
            .finish_non_exhaustive()
    }
}

/// A request that presents a session: to log out, say.
///
/// ```
/// use gatepost::{Presented, WireSession};
///
/// let request: WireSession = serde_json::from_str(r#"{"sessionid": "gps_x"}"#)?;
/// let presented = Presented::try_from(request)?;
/// assert_eq!(presented.token.expose(), "gps_x");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct WireSession {
    /// The token.
    pub session_id: Option<Secret>,
    /// The device that the session was opened on.
    pub device_id: Option<String>,
}

/// A request to change the own password in a session.
#[derive(Debug)]
#[non_exhaustive]
pub struct WireChangePassword {
    /// The token.
    pub session_id: Option<Secret>,
    /// The device that the session was opened on.
    pub device_id: Option<String>,
    /// The password that holds now.
    pub current_password: Option<Password>,
    /// The one to change to.
    pub new_password: Option<Password>,
}

/// What [`Store::change_password`](crate::Store::change_password) needs, read from a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct ChangePassword {
    /// The session, as presented.
    pub presented: Presented,
    /// The password that holds now.
    pub current: Password,
    /// The one to change to.
    pub new: Password,
}

/// [`Reason::Invalid`](crate::Reason::Invalid) if the username or password is absent, if the
/// device or the version cannot be one, or if a new password and the wish to change it do not
/// come together.
impl TryFrom<WireLogIn> for LogIn {
    type Error = Error;

    fn try_from(wire: WireLogIn) -> Result<Self> {
        let username = wire.username.ok_or(Error::invalid("the request has no Username"))?;
        let password = wire.password.ok_or(Error::invalid("the request has no Password"))?;
        let new_password = new_password(wire.change_password, wire.new_password)?;
        let mut request = LogIn::new(username, password, device(wire.device_id)?);
        if let Some(new_password) = new_password {
            request = request.new_password(new_password);
        }
        if wire.require_admin == Some(true) {
            request = request.require_admin();
        }
        if let Some(desktop) = wire.desktop_client {
            request = request.client(if desktop { ClientKind::Desktop } else { ClientKind::Api });
        }
        if let Some(version) = wire.api_version_number {
            request = request.api_version(version.parse::<ApiVersion>()?);
        }
        Ok(request)
    }
}

/// Nobody shall believe that a password was changed which was not: a new one without the word to
/// change it is refused. Forms send an empty field, which is none.
fn new_password(change: Option<bool>, new: Option<Password>) -> Result<Option<Password>> {
    match (change, new.filter(|new| !new.is_empty())) {
        (Some(true), None) => Err(Error::invalid("ChangePassword is set without a NewPassword")),
        (Some(true), new) => Ok(new),
        (None, Some(_)) => Err(Error::invalid("a NewPassword is given without ChangePassword")),
        (None, None) | (Some(false), _) => Ok(None),
    }
}

/// [`Reason::Invalid`](crate::Reason::Invalid) if the token is absent or the device cannot be one.
impl TryFrom<WireSession> for Presented {
    type Error = Error;

    fn try_from(wire: WireSession) -> Result<Self> {
        presented(wire.session_id, wire.device_id)
    }
}

/// [`Reason::Invalid`](crate::Reason::Invalid) if the token or a password is absent, or the device
/// cannot be one.
impl TryFrom<WireChangePassword> for ChangePassword {
    type Error = Error;

    fn try_from(wire: WireChangePassword) -> Result<Self> {
        let missing = |what| move || Error::invalid(what);
        Ok(Self {
            presented: presented(wire.session_id, wire.device_id)?,
            current: wire
                .current_password
                .ok_or_else(missing("the request has no CurrentPassword"))?,
            new: wire.new_password.ok_or_else(missing("the request has no NewPassword"))?,
        })
    }
}

fn presented(token: Option<Secret>, device_id: Option<String>) -> Result<Presented> {
    let token = token.ok_or(Error::invalid("the request has no SessionId"))?;
    Ok(Presented { token, device: device(device_id)? })
}

fn device(text: Option<String>) -> Result<Option<DeviceId>> {
    text.as_deref().map(DeviceId::new).transpose()
}

read_in_any_case!(WireLogIn {
    username = "Username",
    password = "Password",
    device_id = "DeviceId",
    change_password = "ChangePassword",
    new_password = "NewPassword",
    require_admin = "RequireAdmin",
    desktop_client = "DesktopClient",
    api_version_number = "ApiVersionNumber",
});

read_in_any_case!(WireSession { session_id = "SessionId", device_id = "DeviceId" });

read_in_any_case!(WireChangePassword {
    session_id = "SessionId",
    device_id = "DeviceId",
    current_password = "CurrentPassword",
    new_password = "NewPassword",
});
