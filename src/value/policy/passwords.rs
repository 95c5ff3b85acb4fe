//! The policy for new passwords.

use crate::error::{Error, Result};
use crate::value::limits::{
    PASSWORD_MAX_BYTES, PASSWORD_MAX_BYTES_LEAST, PASSWORD_MIN_CHARS, PASSWORD_MIN_CHARS_ALONE,
    PASSWORD_MIN_CHARS_MAX,
};

/// The rules that a new password must meet; given to
/// [`Options::passwords`](crate::Options::passwords). They are checked when a password is set,
/// never at login.
///
/// The default demands 8 characters, permits 4,096 bytes, refuses common passwords and names of
/// the user, and demands no mixture of characters (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 6.2).
///
/// ```
/// use gatepost::policy::PasswordPolicy;
///
/// assert_eq!(PasswordPolicy::default().min_chars(8), PasswordPolicy::default());
/// assert_ne!(PasswordPolicy::nist(), PasswordPolicy::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct PasswordPolicy {
    /// The least number of characters (code points after NFC).
    pub(crate) min_chars: usize,
    /// The same for a user with a second factor.
    pub(crate) min_chars_beside_factor: usize,
    /// The greatest number of bytes of UTF-8.
    pub(crate) max_bytes: usize,
    pub(crate) blocklist: bool,
    pub(crate) context: bool,
}

impl PasswordPolicy {
    /// The rules of NIST SP 800-63B-4 (3.1.1.2): at least 15 characters where the password is the
    /// only factor, and 8 for a user with a [second factor](crate::second_factors). Otherwise as
    /// the default.
    ///
    /// ```
    /// use gatepost::policy::PasswordPolicy;
    ///
    /// let by_hand = PasswordPolicy::default().min_chars(15).min_chars_beside_factor(8);
    /// assert_eq!(PasswordPolicy::nist(), by_hand);
    /// ```
    pub fn nist() -> Self {
        Self::default()
            .min_chars(PASSWORD_MIN_CHARS_ALONE)
            .min_chars_beside_factor(PASSWORD_MIN_CHARS)
    }

    /// The least number of characters (Unicode code points after NFC), 8 to 64. The default is 8.
    /// It holds for users with a second factor too, unless
    /// [`min_chars_beside_factor`](Self::min_chars_beside_factor) is set after it.
    ///
    /// ```
    /// use gatepost::policy::PasswordPolicy;
    /// use gatepost::{Options, Store};
    ///
    /// let options = Options::server().passwords(PasswordPolicy::default().min_chars(7));
    /// let error = Store::open("auth.db", options).unwrap_err();
    /// assert_eq!(error.to_string(), "min_chars (7) is not 8 to 64");
    /// ```
    pub fn min_chars(self, min_chars: usize) -> Self {
        Self { min_chars, min_chars_beside_factor: min_chars, ..self }
    }

    /// The least number of characters of the password of a user with a
    /// [second factor](crate::second_factors): 8 to [`min_chars`](Self::min_chars). The default is
    /// `min_chars`.
    ///
    /// A user whose factor is removed keeps a password that is too short without it. Each login
    /// says so then, in [`LoginReply::password_advice`](crate::LoginReply::password_advice).
    ///
    /// ```
    /// use gatepost::policy::PasswordPolicy;
    /// use gatepost::{Options, Store};
    ///
    /// let policy = PasswordPolicy::default().min_chars(12).min_chars_beside_factor(13);
    /// let error = Store::open("auth.db", Options::server().passwords(policy)).unwrap_err();
    /// assert_eq!(error.to_string(), "min_chars_beside_factor (13) is not 8 to min_chars (12)");
    /// ```
    pub fn min_chars_beside_factor(self, min_chars_beside_factor: usize) -> Self {
        Self { min_chars_beside_factor, ..self }
    }

    /// The greatest number of bytes of UTF-8, 256 to 4,096. The default is 4,096.
    ///
    /// ```
    /// use gatepost::policy::PasswordPolicy;
    /// use gatepost::{Options, Store};
    ///
    /// let options = Options::server().passwords(PasswordPolicy::default().max_bytes(64));
    /// let error = Store::open("auth.db", options).unwrap_err();
    /// assert_eq!(error.to_string(), "max_bytes (64) is not 256 to 4096");
    /// ```
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Whether the passwords in the built-in list of common ones are refused. The default is yes.
    ///
    /// ```
    /// use gatepost::policy::{PasswordPolicy, PasswordRule};
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = PasswordPolicy::default().blocklist(true);
    /// let store = Store::open(path, Options::server().passwords(policy))?;
    /// let ada = NewUser::person("ada").password(Password::from("Password1"));
    /// let error = store.users().create(ada).unwrap_err();
    /// assert_eq!(error.password_rule(), Some(PasswordRule::Common));
    /// assert_ne!(policy.blocklist(false), policy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocklist(self, blocklist: bool) -> Self {
        Self { blocklist, ..self }
    }

    /// Whether a password is refused that is a name of the user, branch, organisation or service.
    /// The default is yes.
    ///
    /// ```
    /// use gatepost::policy::{PasswordPolicy, PasswordRule};
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let policy = PasswordPolicy::default().context(true);
    /// let store = Store::open(path, Options::server().passwords(policy))?;
    /// let ada = NewUser::person("lovelace").password(Password::from("Lovelace-1815"));
    /// let error = store.users().create(ada).unwrap_err();
    /// assert_eq!(error.password_rule(), Some(PasswordRule::Context));
    /// assert_ne!(policy.context(false), policy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn context(self, context: bool) -> Self {
        Self { context, ..self }
    }

    /// The policy for a user with a second factor, or for one whose password is the only factor.
    pub(crate) const fn beside(self, has_factor: bool) -> Self {
        let min_chars = if has_factor { self.min_chars_beside_factor } else { self.min_chars };
        Self { min_chars, ..self }
    }

    /// Whether every value is within its bounds; checked when a store is opened.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        let Self { min_chars, min_chars_beside_factor: beside, max_bytes, .. } = *self;
        if !(PASSWORD_MIN_CHARS..=PASSWORD_MIN_CHARS_MAX).contains(&min_chars) {
            return Err(Error::invalid(format!("min_chars ({min_chars}) is not 8 to 64")));
        }
        if !(PASSWORD_MIN_CHARS..=min_chars).contains(&beside) {
            return Err(Error::invalid(format!(
                "min_chars_beside_factor ({beside}) is not 8 to min_chars ({min_chars})"
            )));
        }
        if !(PASSWORD_MAX_BYTES_LEAST..=PASSWORD_MAX_BYTES).contains(&max_bytes) {
            return Err(Error::invalid(format!("max_bytes ({max_bytes}) is not 256 to 4096")));
        }
        Ok(())
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_chars: PASSWORD_MIN_CHARS,
            min_chars_beside_factor: PASSWORD_MIN_CHARS,
            max_bytes: PASSWORD_MAX_BYTES,
            blocklist: true,
            context: true,
        }
    }
}
