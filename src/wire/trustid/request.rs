//! Requests as clients send them; `try_from` converts them into the requests of the library.

use std::fmt;

use super::read::read_in_any_case;
use crate::error::{Error, Result};
use crate::flow::login::{self, ClientKind};
use crate::value::header::HeaderCredentials;
use crate::value::name::DeviceId;
use crate::value::policy::ApiVersion;
use crate::value::secret::{Password, Secret};

/// A request to log in. `try_from` converts it into a [`LoginRequest`](crate::LoginRequest).
///
/// ```
/// use gatepost::{LoginRequest, wire::trustid};
///
/// let json = r#"{"username": "ada", "Password": "till and tally", "DeviceId": "till-1"}"#;
/// let request: trustid::LoginRequest = serde_json::from_str(json)?;
/// assert!(!format!("{request:?}").contains("tally"));
/// assert!(LoginRequest::try_from(request).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct LoginRequest {
    /// The username, or the e-mail address with
    /// [`Options::login_by_email`](crate::Options::login_by_email).
    pub username: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The device to open the session on.
    pub device_id: Option<String>,
    /// Whether to change the password during the login; no if absent.
    pub change_password: Option<bool>,
    /// The new password.
    pub new_password: Option<Password>,
    /// Whether to refuse a user who is not an administrator; no if absent.
    pub require_admin: Option<bool>,
    /// Whether the client is a desktop client; unknown if absent.
    pub desktop_client: Option<bool>,
    /// The API version that the client speaks, as text: `1.0`.
    pub api_version_number: Option<String>,
}

/// Omits the username: users type passwords into that field by mistake.
impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("device_id", &self.device_id)
            .field("change_password", &self.change_password)
            .field("require_admin", &self.require_admin)
            .field("desktop_client", &self.desktop_client)
            .field("api_version_number", &self.api_version_number)
            .finish_non_exhaustive()
    }
}

/// A request that presents a session, for example to log out. `try_from` converts it into
/// [`HeaderCredentials`](crate::HeaderCredentials).
///
/// ```
/// use gatepost::{HeaderCredentials, wire::trustid};
///
/// let request: trustid::SessionRequest = serde_json::from_str(r#"{"sessionid": "gps_x"}"#)?;
/// let presented = HeaderCredentials::try_from(request)?;
/// assert_eq!(presented.token.expose(), "gps_x");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SessionRequest {
    /// The token.
    pub session_id: Option<Secret>,
    /// The device that the session was opened on.
    pub device_id: Option<String>,
}

/// A user's request to change their own password in a session. `try_from` converts it into a
/// [`ChangePassword`].
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"SessionId": "gps_x", "DeviceId": "till-1"}"#;
/// let request: trustid::ChangePasswordRequest = serde_json::from_str(json)?;
/// let error = trustid::ChangePassword::try_from(request).unwrap_err();
/// assert_eq!(error.to_string(), "the request has no CurrentPassword");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ChangePasswordRequest {
    /// The token.
    pub session_id: Option<Secret>,
    /// The device that the session was opened on.
    pub device_id: Option<String>,
    /// The current password.
    pub current_password: Option<Password>,
    /// The new password.
    pub new_password: Option<Password>,
}

/// The arguments of [`Store::change_password`](crate::Store::change_password), from a
/// [`ChangePasswordRequest`].
///
/// ```
/// use gatepost::wire::trustid;
///
/// let json = r#"{"SessionId": "gps_x", "DeviceId": "till-1",
///     "CurrentPassword": "till and tally", "NewPassword": "lantern over wet slate"}"#;
/// let request: trustid::ChangePasswordRequest = serde_json::from_str(json)?;
/// let change = trustid::ChangePassword::try_from(request)?;
/// assert_eq!(change.presented.token.expose(), "gps_x");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ChangePassword {
    /// The token and device of the session.
    pub presented: HeaderCredentials,
    /// The current password.
    pub current: Password,
    /// The new password.
    pub new: Password,
}

/// Fails with [`Invalid`](crate::ErrorKind::Invalid) if the username or password is absent, if the
/// device or the version is malformed, or if only one of `ChangePassword` and `NewPassword` is
/// set.
impl TryFrom<LoginRequest> for login::LoginRequest {
    type Error = Error;

    fn try_from(wire: LoginRequest) -> Result<Self> {
        let username = wire.username.ok_or(Error::invalid("the request has no Username"))?;
        let password = wire.password.ok_or(Error::invalid("the request has no Password"))?;
        let new_password = new_password(wire.change_password, wire.new_password)?;
        let mut request = Self::new(username, password, device(wire.device_id)?);
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

/// The new password of a request. A new password without `ChangePassword` is refused: to ignore it
/// would suggest that the password was changed. An empty one counts as absent, as forms send it.
fn new_password(change: Option<bool>, new: Option<Password>) -> Result<Option<Password>> {
    match (change, new.filter(|new| !new.is_empty())) {
        (Some(true), None) => Err(Error::invalid("ChangePassword is set without a NewPassword")),
        (Some(true), new) => Ok(new),
        (None, Some(_)) => Err(Error::invalid("a NewPassword is given without ChangePassword")),
        (None, None) | (Some(false), _) => Ok(None),
    }
}

/// Fails with [`Invalid`](crate::ErrorKind::Invalid) if the token is absent or the device is
/// malformed.
impl TryFrom<SessionRequest> for HeaderCredentials {
    type Error = Error;

    fn try_from(wire: SessionRequest) -> Result<Self> {
        presented(wire.session_id, wire.device_id)
    }
}

/// Fails with [`Invalid`](crate::ErrorKind::Invalid) if the token or a password is absent, or the
/// device is malformed.
impl TryFrom<ChangePasswordRequest> for ChangePassword {
    type Error = Error;

    fn try_from(wire: ChangePasswordRequest) -> Result<Self> {
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

fn presented(token: Option<Secret>, device_id: Option<String>) -> Result<HeaderCredentials> {
    let token = token.ok_or(Error::invalid("the request has no SessionId"))?;
    Ok(HeaderCredentials { token, device: device(device_id)? })
}

fn device(text: Option<String>) -> Result<Option<DeviceId>> {
    text.as_deref().map(DeviceId::new).transpose()
}

read_in_any_case!(LoginRequest {
    username = "Username",
    password = "Password",
    device_id = "DeviceId",
    change_password = "ChangePassword",
    new_password = "NewPassword",
    require_admin = "RequireAdmin",
    desktop_client = "DesktopClient",
    api_version_number = "ApiVersionNumber",
});

read_in_any_case!(SessionRequest { session_id = "SessionId", device_id = "DeviceId" });

read_in_any_case!(ChangePasswordRequest {
    session_id = "SessionId",
    device_id = "DeviceId",
    current_password = "CurrentPassword",
    new_password = "NewPassword",
});
