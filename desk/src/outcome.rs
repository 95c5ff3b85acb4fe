//! The outcome of what a signed-in user asks for.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gatepost::LoginRefusal;
use gatepost::second_factors::FactorOutcome;

/// The outcome of a call of a [`Seat`](crate::Seat) that takes a password or a code.
#[expect(clippy::exhaustive_enums, reason = "complete: it was done, or it was not")]
#[derive(Debug)]
#[must_use = "it says whether it was done"]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// Nothing was changed, for this reason.
    Refused(SeatRefusal),
}

impl<T> Outcome<T> {
    /// Returns the value, or the refusal as an error for `?`.
    ///
    /// # Errors
    /// The [`SeatRefusal`], if nothing was done.
    pub fn done(self) -> Result<T, SeatRefusal> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(refusal) => Err(refusal),
        }
    }

    pub(crate) fn refused(refusal: LoginRefusal) -> Self {
        Self::Refused(SeatRefusal(refusal))
    }
}

impl<T> From<FactorOutcome<T>> for Outcome<T> {
    fn from(outcome: FactorOutcome<T>) -> Self {
        match outcome {
            FactorOutcome::Done(value) => Self::Done(value),
            FactorOutcome::Refused(refusal) => Self::refused(refusal),
        }
    }
}

/// Why a signed-in user was refused, with sentences for windows that ask for no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatRefusal(LoginRefusal);

impl SeatRefusal {
    /// One sentence that may be shown to the person who tried.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match self.0 {
            LoginRefusal::InvalidCredentials => {
                "The password or code is wrong, or there were too many attempts.".into()
            }
            LoginRefusal::MfaCodeRequired => {
                "A code of the second factor is required instead of the password.".into()
            }
            refusal => refusal.message(),
        }
    }

    /// The refusal, by which a program may choose another window.
    #[must_use]
    pub const fn refusal(&self) -> LoginRefusal {
        self.0
    }

    /// The time before another attempt can succeed; `None` if waiting does not help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}

impl fmt::Display for SeatRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for SeatRefusal {}
