//! Why a login was refused, and what may be said of it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::policy::PasswordRule;

/// Why a login opened no session.
///
/// Everything that could tell a stranger something is
/// [`InvalidCredentials`](Self::InvalidCredentials), after the same work: an unknown user, no
/// password, a wrong password. What follows it in this list is told only to somebody who gave the
/// right password (OWASP ASVS 6.3.8), but for the last three, which are told before anything is
/// compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Unknown user, no password, or wrong password: one and the same answer.
    InvalidCredentials,
    /// A new password must be given with the login.
    NewPasswordRequired,
    /// The new password breaks this rule.
    PasswordRejected(PasswordRule),
    /// A new password was given by a user who is not asked for one.
    PasswordChangeNotAllowed,
    /// An administrator locked the account; or, with `Options::reveal_lock`, failed attempts did,
    /// until this time.
    #[non_exhaustive]
    AccountLocked {
        /// When the lock by failed attempts ends; none if only an administrator can end it.
        until: Option<DateTime<Utc>>,
    },
    /// The account is disabled.
    AccountDisabled,
    /// The account was not yet let in.
    AccountPending,
    /// The user's branch is not active.
    BranchDisabled,
    /// The organisation of the user's branch is not active.
    OrganisationDisabled,
    /// The login asked for an administrator and the user is none.
    AdministratorRequired,
    /// The user may not use the desktop client.
    DesktopClientDenied,
    /// The client speaks an API version that is not served.
    IncompatibleApiVersion,
    /// The user has all the sessions that the policy allows.
    TooManySessions,
    /// Another user has a live session on this device.
    DeviceInUse,
    /// Too many attempts failed; none is evaluated before the wait is over.
    #[non_exhaustive]
    TooManyAttempts {
        /// How long to wait.
        retry_after: Duration,
    },
    /// All hashing capacity is in use.
    #[non_exhaustive]
    Overloaded {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The session in which something should be done is not live.
    SessionNotLive,
}

impl Refusal {
    /// One sentence that may be shown to whoever tried.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "The username or password is wrong.",
            Self::NewPasswordRequired => "A new password is required.",
            Self::PasswordRejected(rule) => rule.message(),
            Self::PasswordChangeNotAllowed => "The password cannot be changed here.",
            Self::AccountLocked { .. } => "The account is locked.",
            Self::AccountDisabled => "The account is disabled.",
            Self::AccountPending => "The account is not yet active.",
            Self::BranchDisabled => "The branch is disabled.",
            Self::OrganisationDisabled => "The organisation is disabled.",
            Self::AdministratorRequired => "This needs an administrator.",
            Self::DesktopClientDenied => "The desktop client is denied for this account.",
            Self::IncompatibleApiVersion => "This version of the client is not supported.",
            Self::TooManySessions => "There are too many sessions of this account.",
            Self::DeviceInUse => "Somebody else is logged in on this device.",
            Self::TooManyAttempts { .. } => "Too many attempts. Try again later.",
            Self::Overloaded { .. } => "The service is busy. Try again in a moment.",
            Self::SessionNotLive => "The session has ended.",
        }
    }

    /// How long to wait before another try can succeed, where waiting helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry_after } | Self::Overloaded { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// The name in the audit log. It never changes.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid_credentials",
            Self::NewPasswordRequired => "new_password_required",
            Self::PasswordRejected(_) => "password_rejected",
            Self::PasswordChangeNotAllowed => "password_change_not_allowed",
            Self::AccountLocked { .. } => "account_locked",
            Self::AccountDisabled => "account_disabled",
            Self::AccountPending => "account_pending",
            Self::BranchDisabled => "branch_disabled",
            Self::OrganisationDisabled => "organisation_disabled",
            Self::AdministratorRequired => "administrator_required",
            Self::DesktopClientDenied => "desktop_client_denied",
            Self::IncompatibleApiVersion => "incompatible_api_version",
            Self::TooManySessions => "too_many_sessions",
            Self::DeviceInUse => "device_in_use",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Overloaded { .. } => "overloaded",
            Self::SessionNotLive => "session_not_live",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}
