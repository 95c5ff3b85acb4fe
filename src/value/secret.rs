//! Texts that must not leak: they have no Display, Clone, Serialize or PartialEq, and are wiped
//! when dropped.

use std::fmt;

use zeroize::Zeroizing;

use super::limits::PASSWORD_MAX_BYTES;
use crate::error::{Error, Result};

/// A password as a user typed it.
///
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
/// Give it an owned `String` rather than a borrowed text, so that no second copy remains.
///
/// ```
/// use gatepost::Password;
///
/// let password = Password::from(String::from("correct horse battery staple"));
/// assert_eq!(format!("{password:?}"), "Password");
/// ```
pub struct Password(Zeroizing<String>);

impl Password {
    /// The password `text`, without a copy of it.
    ///
    /// ```
    /// use gatepost::Password;
    ///
    /// let password = Password::new(String::from("lantern over wet slate"));
    /// assert!(!format!("{password:?}").contains("lantern"));
    /// ```
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails with `Invalid` if the password, as received, is longer than 4,096 bytes.
    pub(crate) fn check_length(&self) -> Result<()> {
        if self.0.len() > PASSWORD_MAX_BYTES {
            return Err(Error::invalid("the password is longer than 4,096 bytes"));
        }
        Ok(())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Copies the text; the caller wipes its own.
impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The text of a session's token, an API key, a one-time token or a resource ticket.
///
/// The store keeps only a hash, and of a ticket nothing, so this value is the one chance to send
/// the token to its owner.
/// `Debug` prints only the name of the type, and the memory is wiped when the value is dropped.
/// Every login and every issued key draws a new token, and no call accepts one that a client chose
/// (session fixation).
///
/// ```
/// use gatepost::HeaderCredentials;
///
/// let token = HeaderCredentials::from_header("Bearer gps_token")?.token;
/// assert_eq!(token.expose(), "gps_token");
/// assert_eq!(format!("{token:?}"), "Secret");
/// # Ok::<(), gatepost::Error>(())
/// ```
#[doc(alias("session fixation", "session token"))]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text. Send it to its owner and never log it. Never put that of a session or API key into
    /// a URL (ASVS 14.2.1): a [resource ticket](crate::sessions::Tickets) is for URLs.
    ///
    /// ```
    /// use gatepost::sessions::NewApiKey;
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new())?;
    /// assert!(issued.key.expose().starts_with("gpk_"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_name_of_the_type_alone() {
        assert_eq!(format!("{:?}", Password::from("hunter2hunter2")), "Password");
        assert_eq!(format!("{:#?}", Some(Secret::new("gps_x".into()))), "Some(\n    Secret,\n)");
    }

    #[test]
    fn what_went_in_can_be_used() {
        assert_eq!(Password::from("a b").expose(), "a b");
        assert!(Password::from("").is_empty());
        assert_eq!(Secret::new("gps_x".into()).expose(), "gps_x");
    }
}
