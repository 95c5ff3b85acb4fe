//! Texts that must not leak: no Display, Clone, Serialize or PartialEq; wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

use super::limits::PASSWORD_MAX_BYTES;
use crate::error::{Error, Result};

/// A password as somebody typed it.
///
/// `Debug` prints the type's name, and the memory is wiped when it is dropped. Give it the
/// `String` that you have rather than a borrowed text, so that no second copy remains.
///
/// ```
/// use gatepost::Password;
///
/// let password = Password::from(String::from("correct horse battery staple"));
/// assert_eq!(format!("{password:?}"), "Password");
/// ```
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text over, without a copy.
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

    /// `Invalid` for a password over 4,096 bytes, as received.
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

/// Copies: the text that was borrowed is the caller's to wipe.
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

/// The text of a token, shown once: a session's token, an API key.
///
/// The store keeps a hash only, so this is the one time that it can be handed on.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Send it to its owner; never log it, never put it in a URL.
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
