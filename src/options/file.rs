//! The options of the file, which govern every process that has the file open.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::value::limits;
use crate::value::second_factor::SecondFactorPolicy;
use crate::value::time::in_units;

/// What happens after 90 failed attempts in a row on an account from unknown devices, and after ten
/// from its known devices; given to [`Options::lockout`](crate::Options::lockout).
///
/// ```
/// use gatepost::policy::Lockout;
/// use gatepost::Options;
///
/// assert_eq!(Options::server().lockout(Lockout::Timed), Options::server());
/// assert_ne!(Options::server().lockout(Lockout::Permanent), Options::server());
/// ```
#[doc(alias("brute force", "rate limit"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Lockout {
    /// One attempt a day is compared. The default: with [`Permanent`](Self::Permanent), a stranger
    /// who guesses 90 times locks the account on all devices that it has not used before.
    #[default]
    Timed,
    /// No attempt is compared until
    /// [`Users::unlock`](crate::directory::Users::unlock) is called.
    Permanent,
}

impl Lockout {
    /// The text in the file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timed => "timed",
            Self::Permanent => "permanent",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Timed, Self::Permanent].into_iter().find(|one| one.as_str() == text)
    }
}

/// The values of the options of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileOptions {
    pub(crate) login_by_email: bool,
    pub(crate) lockout: Lockout,
    pub(crate) second_factor: SecondFactorPolicy,
    pub(crate) audit_max_age: Duration,
    pub(crate) audit_max_rows: u64,
    pub(crate) for_tests: bool,
}

impl FileOptions {
    pub(super) const fn server() -> Self {
        Self {
            login_by_email: false,
            lockout: Lockout::Timed,
            second_factor: SecondFactorPolicy::Optional,
            audit_max_age: Duration::from_millis(limits::AUDIT_KEPT_SERVER_MS),
            audit_max_rows: limits::AUDIT_KEPT_SERVER_ROWS,
            for_tests: false,
        }
    }

    pub(super) const fn desktop() -> Self {
        Self {
            audit_max_age: Duration::from_millis(limits::AUDIT_KEPT_DESKTOP_MS),
            audit_max_rows: limits::AUDIT_KEPT_DESKTOP_ROWS,
            ..Self::server()
        }
    }

    /// The names of the options in which the two differ. The file stores whole milliseconds.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        // Destructured, so that a new option does not compile before it is compared here.
        let Self {
            login_by_email,
            lockout,
            second_factor,
            audit_max_age,
            audit_max_rows,
            for_tests,
        } = *self;
        let same = [
            ("for_tests", for_tests == other.for_tests),
            ("login_by_email", login_by_email == other.login_by_email),
            ("lockout", lockout == other.lockout),
            ("second_factor", second_factor == other.second_factor),
            ("audit_max_age", audit_max_age.as_millis() == other.audit_max_age.as_millis()),
            ("audit_max_rows", audit_max_rows == other.audit_max_rows),
        ];
        same.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
    }

    /// Whether every value is within its bounds.
    pub(crate) fn check_bounds(&self) -> Result<()> {
        let Self { audit_max_age: age, audit_max_rows: rows, .. } = *self;
        let (least, most) = (limits::AUDIT_KEPT_LEAST, limits::AUDIT_KEPT_MOST);
        if !(least..=most).contains(&age) {
            let (age, least, most) = (in_units(age), in_units(least), in_units(most));
            return Err(Error::invalid(format!("audit_max_age ({age}) is not {least} to {most}")));
        }
        let (least, most) = (limits::AUDIT_KEPT_ROWS_LEAST, limits::AUDIT_KEPT_ROWS_MOST);
        if !(least..=most).contains(&rows) {
            return Err(Error::invalid(format!(
                "audit_max_rows ({rows}) is not {least} to {most}"
            )));
        }
        Ok(())
    }
}
