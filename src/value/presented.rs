//! A token and the device with which a client presents it.

use std::fmt;

use super::header::HeaderCredentials;
use super::name::DeviceId;
use super::secret::Secret;

/// A token and the device with which a client presents it, borrowed for one call.
///
/// [`Store::verify`](crate::Store::verify), [`Store::renew`](crate::Store::renew),
/// [`Store::change_password`](crate::Store::change_password) and
/// [`Store::log_out`](crate::Store::log_out) take any value that converts into it: a pair of a
/// token (`&str`, `&String`, [`&Secret`](Secret)) and a device (`&DeviceId`, or an `Option` of
/// it), or [`&HeaderCredentials`](HeaderCredentials). A token alone does not convert, so that a
/// call without the device does not compile. Give `None` for an API key, and for a session that
/// was opened without a device.
///
/// ```
/// use gatepost::{DeviceId, Presented};
///
/// let device = DeviceId::new("till-1")?;
/// let presented = Presented::from(("gps_token", &device));
/// assert_eq!(presented.device(), Some(&device));
/// assert!(!format!("{presented:?}").contains("gps_token"));
/// assert_eq!(Presented::from(("gpk_token", None)).device(), None);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Presented<'p> {
    token: &'p str,
    device: Option<&'p DeviceId>,
}

impl<'p> Presented<'p> {
    /// The token, unchecked.
    ///
    /// ```
    /// use gatepost::Presented;
    ///
    /// assert_eq!(Presented::from(("gpk_token", None)).token(), "gpk_token");
    /// ```
    #[must_use]
    pub const fn token(&self) -> &'p str {
        self.token
    }

    /// The device; `None` if the client presents none.
    #[must_use]
    pub const fn device(&self) -> Option<&'p DeviceId> {
        self.device
    }
}

impl<'p, T: AsRef<str> + ?Sized> From<(&'p T, &'p DeviceId)> for Presented<'p> {
    fn from((token, device): (&'p T, &'p DeviceId)) -> Self {
        Self { token: token.as_ref(), device: Some(device) }
    }
}

impl<'p, T: AsRef<str> + ?Sized> From<(&'p T, Option<&'p DeviceId>)> for Presented<'p> {
    fn from((token, device): (&'p T, Option<&'p DeviceId>)) -> Self {
        Self { token: token.as_ref(), device }
    }
}

impl<'p> From<(&'p Secret, &'p DeviceId)> for Presented<'p> {
    fn from((token, device): (&'p Secret, &'p DeviceId)) -> Self {
        Self { token: token.expose(), device: Some(device) }
    }
}

impl<'p> From<(&'p Secret, Option<&'p DeviceId>)> for Presented<'p> {
    fn from((token, device): (&'p Secret, Option<&'p DeviceId>)) -> Self {
        Self { token: token.expose(), device }
    }
}

impl<'p> From<&Presented<'p>> for Presented<'p> {
    fn from(presented: &Presented<'p>) -> Self {
        *presented
    }
}

impl<'p> From<&'p HeaderCredentials> for Presented<'p> {
    fn from(header: &'p HeaderCredentials) -> Self {
        Self { token: header.token.expose(), device: header.device.as_ref() }
    }
}

/// Shows the device, not the token.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("device", &self.device).finish_non_exhaustive()
    }
}
