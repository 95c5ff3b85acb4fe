//! The purposes of one-time tokens.

use std::time::Duration;

use super::limits::{
    CONFIRMATION_LIFETIME_DEFAULT, CONFIRMATION_LIFETIME_MAX, FIRST_ADMINISTRATOR_LIFETIME,
    INVITATION_LIFETIME_DEFAULT, INVITATION_LIFETIME_MAX, RESET_LIFETIME_DEFAULT,
    RESET_LIFETIME_MAX, TEMPORARY_LIFETIME_DEFAULT, TEMPORARY_LIFETIME_MAX,
};
use super::principal::words;

words! {
    /// What a one-time token is for. A token of one purpose is refused for every other.
    ///
    /// ```
    /// use gatepost::sessions::OneTimePurpose;
    ///
    /// assert_eq!(OneTimePurpose::Invitation.as_str(), "invitation");
    /// assert_eq!(OneTimePurpose::parse("invitation"), Some(OneTimePurpose::Invitation));
    /// ```
    OneTimePurpose {
        /// The user sets a new password without the old one.
        PasswordReset = "password_reset",
        /// The user proves that the e-mail address is theirs.
        EmailConfirmation = "email_confirmation",
        /// A pending user sets the first password and becomes active.
        Invitation = "invitation",
        /// An active user logs in once, with a new password beside it.
        TemporaryPassword = "temporary_password",
        /// The first administrator of a store is created. Of no user.
        FirstAdministrator = "first_administrator",
    }
}

impl OneTimePurpose {
    /// The lifetime of a token for which the host names none, and the longest one.
    pub(crate) const fn lifetimes(self) -> (Duration, Duration) {
        match self {
            Self::PasswordReset => (RESET_LIFETIME_DEFAULT, RESET_LIFETIME_MAX),
            Self::EmailConfirmation => (CONFIRMATION_LIFETIME_DEFAULT, CONFIRMATION_LIFETIME_MAX),
            Self::Invitation => (INVITATION_LIFETIME_DEFAULT, INVITATION_LIFETIME_MAX),
            Self::TemporaryPassword => (TEMPORARY_LIFETIME_DEFAULT, TEMPORARY_LIFETIME_MAX),
            Self::FirstAdministrator => {
                (FIRST_ADMINISTRATOR_LIFETIME, FIRST_ADMINISTRATOR_LIFETIME)
            }
        }
    }

    /// The refusal of a lifetime beyond the longest one.
    pub(crate) const fn too_long(self) -> &'static str {
        match self {
            Self::PasswordReset => "the lifetime of a password reset is longer than 24 hours",
            Self::EmailConfirmation => "the lifetime of a confirmation is longer than 7 days",
            Self::Invitation => "the lifetime of an invitation is longer than 30 days",
            Self::TemporaryPassword => {
                "the lifetime of a temporary password is longer than 7 days"
            }
            Self::FirstAdministrator => {
                "the lifetime of a first administrator's token is longer than 24 hours"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_read_as_it_is_written_and_has_a_default_within_its_bound() {
        for purpose in OneTimePurpose::ALL {
            assert_eq!(OneTimePurpose::parse(purpose.as_str()), Some(*purpose));
            let (default, most) = purpose.lifetimes();
            assert!(!default.is_zero() && default <= most, "{purpose:?}");
        }
    }
}
