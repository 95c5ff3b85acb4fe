//! The rules of a password policy, with their names and bounds.

use std::borrow::Cow;

/// The rule of the [`PasswordPolicy`](crate::policy::PasswordPolicy) that a new password breaks;
/// [`Error::password_rule`](crate::Error::password_rule) and
/// [`LoginRefusal::PasswordRejected`](crate::LoginRefusal::PasswordRejected) carry it.
///
/// ```
/// use gatepost::policy::PasswordRule;
///
/// assert_eq!(PasswordRule::Common.name(), "common");
/// assert_eq!(PasswordRule::Common.message(), "The password is one that many people use.");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PasswordRule {
    /// The password has too few characters.
    TooShort {
        /// The least number of characters: code points after normalisation (NFC).
        min_chars: usize,
    },
    /// The password has too many bytes.
    TooLong {
        /// The greatest number of bytes of UTF-8.
        max_bytes: usize,
    },
    /// The password is in the list of common passwords, which an attacker tries first.
    Common,
    /// The password is a name of the user, the branch, the organisation or the service.
    Context,
    /// The host's [`BreachCheck`](crate::policy::BreachCheck) says that the password was breached.
    Breached,
    /// The new password is the same as the current one.
    Unchanged,
}

impl PasswordRule {
    /// The name in the audit log. It never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::Common => "common",
            Self::Context => "context",
            Self::Breached => "breached",
            Self::Unchanged => "unchanged",
        }
    }

    /// One sentence for the person who chose the password, with the bound.
    ///
    /// ```
    /// use gatepost::policy::PasswordRule;
    ///
    /// let rule = PasswordRule::TooShort { min_chars: 8 };
    /// assert_eq!(rule.message(), "The password is shorter than 8 characters.");
    /// ```
    #[must_use]
    pub fn message(self) -> String {
        format!("The {}.", self.clause())
    }

    /// The same sentence as the message of an error.
    pub(crate) fn what(self) -> String {
        format!("the {}", self.clause())
    }

    fn clause(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TooShort { min_chars } => {
                return format!("password is shorter than {min_chars} characters").into();
            }
            Self::TooLong { max_bytes } => {
                return format!("password is longer than {max_bytes} bytes").into();
            }
            Self::Common => "password is one that many people use",
            Self::Context => "password is a name that others can guess",
            Self::Breached => "password is known from a breach elsewhere",
            Self::Unchanged => "new password is the old one",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_with_a_bound_says_it() {
        let short = PasswordRule::TooShort { min_chars: 12 };
        assert_eq!(short.message(), "The password is shorter than 12 characters.");
        let long = PasswordRule::TooLong { max_bytes: 300 };
        assert_eq!(long.what(), "the password is longer than 300 bytes");
        assert_eq!(PasswordRule::Unchanged.message(), "The new password is the old one.");
    }
}
