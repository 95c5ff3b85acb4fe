//! Second factors at a login: what is typed, what a pending step waits for, and who needs one.

use super::factor_code::FactorCode;
use super::principal::words;
use crate::error::Result;

words! {
    /// Which users must have a second factor; given to
    /// [`Options::second_factor`](crate::Options::second_factor).
    ///
    /// A user who has one is asked for it at every login, whatever this says.
    ///
    /// ```
    /// use gatepost::policy::SecondFactorPolicy;
    ///
    /// assert_eq!(SecondFactorPolicy::parse("all"), Some(SecondFactorPolicy::All));
    /// ```
    #[doc(alias("2FA", "MFA"))]
    SecondFactorPolicy {
        /// No user must have one. The default.
        Optional = "optional",
        /// Every user with the privilege `admin` must have one.
        Administrators = "administrators",
        /// Every user must have one.
        All = "all",
    }
}

words! {
    /// What a pending step waits for.
    ///
    /// ```
    /// use gatepost::sessions::StepDemand;
    ///
    /// assert_eq!(StepDemand::Code.as_str(), "code");
    /// ```
    StepDemand {
        /// A code of the user's second factor, or a recovery code.
        Code = "code",
        /// The enrolment of a second factor: the user must have one and has none.
        Enrolment = "enrolment",
    }
}

/// What a person typed as second factor.
#[derive(Debug)]
pub(crate) enum TypedFactor {
    Code(FactorCode),
    RecoveryCode(FactorCode),
    /// The two consecutive codes that finish an enrolment.
    Enrolment(FactorCode, FactorCode),
}

impl TypedFactor {
    /// Fails with `Invalid` if a text is longer than any code.
    pub(crate) fn check_length(&self) -> Result<()> {
        match self {
            Self::Code(code) | Self::RecoveryCode(code) => code.check_length(),
            Self::Enrolment(first, second) => {
                first.check_length().and_then(|()| second.check_length())
            }
        }
    }

    /// Whether it revokes the credentials of the user when it is used.
    pub(crate) const fn revokes(&self) -> bool {
        match self {
            Self::Code(_) => false,
            Self::RecoveryCode(_) | Self::Enrolment(..) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for policy in SecondFactorPolicy::ALL {
            assert_eq!(SecondFactorPolicy::parse(policy.as_str()), Some(*policy));
        }
        for demand in StepDemand::ALL {
            assert_eq!(StepDemand::parse(demand.as_str()), Some(*demand));
        }
    }
}
