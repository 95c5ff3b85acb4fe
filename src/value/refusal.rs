//! Why a login was refused, and the sentence that the person may read.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::password_rule::PasswordRule;
use crate::error::ErrorClass;

/// Why a login opened no session: the value of
/// [`LoginOutcome::Refused`](crate::LoginOutcome::Refused).
///
/// A stranger cannot find out whether a user exists: an unknown user, a missing password and a
/// wrong password are all [`InvalidCredentials`](Self::InvalidCredentials), after the same work.
/// A wrong code is the same answer. The other variants are returned only after the right password
/// (OWASP ASVS 6.3.8), except `TooManyAttempts`, `Overloaded`, `SessionNotLive`, `StepNotLive`,
/// `StepUpRequired` and `ImpersonationNotAllowed`, which need no right password or code.
///
/// ```
/// use gatepost::{DeviceId, ErrorClass, LoginRefusal, LoginRequest, Options, Password, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// let password = Password::from("lantern over wet slate");
/// let login = LoginRequest::new("ada", password, DeviceId::random()?);
/// let refusal = store.log_in(login)?.granted().unwrap_err();
/// assert_eq!(refusal, LoginRefusal::InvalidCredentials);
/// assert_eq!(refusal.class(), ErrorClass::SignIn);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// The user is unknown or has no password, or the password is wrong or marked as compromised:
    /// one answer for all of these. After too many failed attempts on a user, from any process,
    /// also the answer to a right password until the user's wait is over.
    InvalidCredentials,
    /// The user must choose a new password: the login must carry it.
    NewPasswordRequired,
    /// The new password breaks this rule.
    PasswordRejected(PasswordRule),
    /// The login carries a new password, and the user need not choose one; or the host has
    /// authenticated the user, so that the stored password is no part of the login.
    PasswordChangeNotAllowed,
    /// An administrator locked the account.
    AccountLocked,
    /// The account is disabled.
    AccountDisabled,
    /// The account is not yet active.
    AccountPending,
    /// The user's branch is not active.
    BranchDisabled,
    /// The organisation of the user's branch is not active.
    OrganisationDisabled,
    /// What was asked for demands an administrator, and the user is not one.
    AdministratorRequired,
    /// The user may not use the desktop client.
    DesktopClientDenied,
    /// The client speaks an API version outside of
    /// [`Options::api_versions`](crate::Options::api_versions).
    IncompatibleApiVersion,
    /// The user already has as many sessions as the policy allows.
    TooManySessions,
    /// Another user has a valid session on this device.
    DeviceInUse,
    /// Too many attempts failed in a row with this typed name (known to this process or not), or
    /// on this known device, or, in a session, on this user.
    #[doc(alias("rate limit", "lockout", "brute force", "throttle"))]
    #[non_exhaustive]
    TooManyAttempts {
        /// The rest of the wait.
        retry_after: Duration,
    },
    /// As many logins wait for a hash as
    /// [`Options::max_waiting_hashes`](crate::Options::max_waiting_hashes) allows.
    #[non_exhaustive]
    Overloaded {
        /// The time after which another attempt is worth it.
        retry_after: Duration,
    },
    /// The session in which the password should be changed, or the user should prove to be the
    /// user, is not valid.
    SessionNotLive,
    /// The password was right, and a code of the second factor is missing.
    MfaCodeRequired,
    /// The password was right, and the user must enrol a second factor first.
    MfaEnrolmentRequired,
    /// The pending step is not valid: it has expired, was completed or revoked, has had its share
    /// of wrong codes, or never existed. The user logs in again. Also the answer to a login during
    /// which its second factor, or the demand for one, came or went, or a change of the password
    /// was demanded; and to a fifth enrolment at one step.
    StepNotLive,
    /// The user must prove in this session first to be the user, with the second factor if there
    /// is one: [`Store::prove`](crate::Store::prove).
    StepUpRequired,
    /// An administrator who acts as another user may not do this: change a credential of the user,
    /// prove to be the user, or impersonate a further one. Also the answer where the user to
    /// impersonate is an administrator
    /// ([`Sessions::impersonate`](crate::sessions::Sessions::impersonate)).
    ImpersonationNotAllowed,
}

impl LoginRefusal {
    /// One sentence that may be shown to the person who tried.
    ///
    /// ```
    /// use gatepost::LoginRefusal;
    ///
    /// let message = LoginRefusal::InvalidCredentials.message();
    /// assert!(message.starts_with("The username or password is wrong"));
    /// ```
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::InvalidCredentials => {
                "The username or password is wrong, or there were too many attempts."
            }
            Self::NewPasswordRequired => "A new password is required.",
            Self::PasswordRejected(rule) => return Cow::Owned(rule.message()),
            Self::PasswordChangeNotAllowed => "The password cannot be changed here.",
            Self::AccountLocked => "The account is locked.",
            Self::AccountDisabled => "The account is disabled.",
            Self::AccountPending => "The account is not yet active.",
            Self::BranchDisabled => "The branch is disabled.",
            Self::OrganisationDisabled => "The organisation is disabled.",
            Self::AdministratorRequired => "This needs an administrator.",
            Self::DesktopClientDenied => "The desktop client is denied for this account.",
            Self::IncompatibleApiVersion => "This version of the client is not supported.",
            Self::TooManySessions => "There are too many sessions of this account.",
            Self::DeviceInUse => "Another user is logged in on this device.",
            Self::TooManyAttempts { .. } => "Too many attempts. Try again later.",
            Self::Overloaded { .. } => "The service is busy. Try again in a moment.",
            Self::SessionNotLive => "The session has ended.",
            Self::MfaCodeRequired => "A code of the second factor is required.",
            Self::MfaEnrolmentRequired => "A second factor must be set up first.",
            Self::StepNotLive => "The login took too long. Start again.",
            Self::StepUpRequired => "Confirm first that it is you.",
            Self::ImpersonationNotAllowed => "This is not allowed when acting for another user.",
        })
    }

    /// The class of the refusal, by which a program chooses its answer, such as an HTTP status.
    ///
    /// ```
    /// use gatepost::{ErrorClass, LoginRefusal};
    ///
    /// assert_eq!(LoginRefusal::AccountDisabled.class(), ErrorClass::Forbidden);
    /// ```
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::InvalidCredentials
            | Self::NewPasswordRequired
            | Self::SessionNotLive
            | Self::MfaCodeRequired
            | Self::MfaEnrolmentRequired
            | Self::StepNotLive => ErrorClass::SignIn,
            Self::PasswordChangeNotAllowed
            | Self::StepUpRequired
            | Self::ImpersonationNotAllowed
            | Self::AccountLocked { .. }
            | Self::AccountDisabled
            | Self::AccountPending
            | Self::BranchDisabled
            | Self::OrganisationDisabled
            | Self::AdministratorRequired
            | Self::DesktopClientDenied => ErrorClass::Forbidden,
            Self::PasswordRejected(_) | Self::IncompatibleApiVersion => ErrorClass::Invalid,
            Self::TooManySessions | Self::DeviceInUse => ErrorClass::Conflict,
            Self::TooManyAttempts { .. } => ErrorClass::Wait,
            Self::Overloaded { .. } => ErrorClass::Unavailable,
        }
    }

    /// The time before another attempt can succeed; `None` if waiting does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry_after } | Self::Overloaded { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// The name in the audit log, such as `invalid_credentials`. It never changes, so a reply of
    /// the host may carry it as its code.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid_credentials",
            Self::NewPasswordRequired => "new_password_required",
            Self::PasswordRejected(_) => "password_rejected",
            Self::PasswordChangeNotAllowed => "password_change_not_allowed",
            Self::AccountLocked => "account_locked",
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
            Self::MfaCodeRequired => "mfa_code_required",
            Self::MfaEnrolmentRequired => "mfa_enrolment_required",
            Self::StepNotLive => "step_not_live",
            Self::StepUpRequired => "step_up_required",
            Self::ImpersonationNotAllowed => "impersonation_not_allowed",
        }
    }
}

impl fmt::Display for LoginRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for LoginRefusal {}

#[cfg(test)]
mod tests {
    use LoginRefusal as Of;

    use super::*;

    const PAGE: &str = include_str!("../../manual/errors.md");

    /// The next one in the list; a new refusal does not compile before it is here.
    fn next(refusal: LoginRefusal) -> Option<LoginRefusal> {
        let retry_after = Duration::from_secs(1);
        Some(match refusal {
            Of::InvalidCredentials => Of::NewPasswordRequired,
            Of::NewPasswordRequired => Of::PasswordRejected(PasswordRule::Common),
            Of::PasswordRejected(_) => Of::PasswordChangeNotAllowed,
            Of::PasswordChangeNotAllowed => Of::AccountLocked,
            Of::AccountLocked => Of::AccountDisabled,
            Of::AccountDisabled => Of::AccountPending,
            Of::AccountPending => Of::BranchDisabled,
            Of::BranchDisabled => Of::OrganisationDisabled,
            Of::OrganisationDisabled => Of::AdministratorRequired,
            Of::AdministratorRequired => Of::DesktopClientDenied,
            Of::DesktopClientDenied => Of::IncompatibleApiVersion,
            Of::IncompatibleApiVersion => Of::TooManySessions,
            Of::TooManySessions => Of::DeviceInUse,
            Of::DeviceInUse => Of::TooManyAttempts { retry_after },
            Of::TooManyAttempts { .. } => Of::Overloaded { retry_after },
            Of::Overloaded { .. } => Of::SessionNotLive,
            Of::SessionNotLive => Of::MfaCodeRequired,
            Of::MfaCodeRequired => Of::MfaEnrolmentRequired,
            Of::MfaEnrolmentRequired => Of::StepNotLive,
            Of::StepNotLive => Of::StepUpRequired,
            Of::StepUpRequired => Of::ImpersonationNotAllowed,
            Of::ImpersonationNotAllowed => return None,
        })
    }

    #[test]
    fn the_page_lists_every_refusal_once_with_its_class() {
        let (_, table) = PAGE.split_once("| refusal | class |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let listed: Vec<Vec<&str>> =
            rows.map(|row| row.split('|').skip(1).take(2).map(str::trim).collect()).collect();
        let all = std::iter::successors(Some(Of::InvalidCredentials), |one| next(*one));
        let name = |one: LoginRefusal| {
            let shown = format!("{one:?}");
            let end = shown.find(|c: char| !c.is_alphabetic()).unwrap_or(shown.len());
            format!("`{}`", shown.split_at(end).0)
        };
        let expected: Vec<Vec<String>> =
            all.map(|one| vec![name(one), format!("`{:?}`", one.class())]).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_refused_password_says_its_bound() {
        let refusal = Of::PasswordRejected(PasswordRule::TooShort { min_chars: 8 });
        assert_eq!(refusal.message(), "The password is shorter than 8 characters.");
        assert_eq!(refusal.to_string(), refusal.message());
    }
}
