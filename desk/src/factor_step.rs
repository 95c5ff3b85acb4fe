//! A sign-in that waits for a second factor.

use gatepost::second_factors::{FactorCode, NewTotp, TotpEnrolment};
use gatepost::sessions::StepDemand;
use gatepost::{CompleteLogin, Password, PendingStep, Timestamp};
use zeroize::Zeroizing;

use crate::desk::Desk;
use crate::error::Result;
use crate::outcome::Outcome;
use crate::sign_in::SignIn;
use crate::vault::SavedToken;

/// A sign-in whose password was right and whose second factor is missing: valid for 10 minutes and
/// five wrong codes.
///
/// A wrong code is refused and leaves the step as it is. After
/// [`StepNotLive`](gatepost::LoginRefusal::StepNotLive) drop it, and ask for the password again.
///
/// ```
/// use gatepost::Options;
/// use gatepost::host::{KeyId, Keys, SealingKey};
/// use gatepost::policy::SecondFactorPolicy;
/// use gatepost::sessions::StepDemand;
/// use gatepost_desk::{Desk, SignIn};
///
/// # let directory = tempfile::tempdir()?;
/// # let folder = gatepost_desk::Folder::at(directory.path())?;
/// let keys = Keys::new(KeyId::new("2026-11")?, SealingKey::random()?);
/// let options = Options::desktop().keyring(std::sync::Arc::new(keys));
/// let options = options.second_factor(SecondFactorPolicy::All);
/// let desk = Desk::builder("com.example.till").options(options).folder(folder).open()?;
/// desk.first_administrator("ada", "lantern over wet slate")?;
///
/// let SignIn::Refused(why) = desk.sign_in("ada", "lantern over wet slate")? else { panic!() };
/// let step = why.into_step().ok_or("no step")?;
/// assert_eq!(step.demand(), StepDemand::Enrolment);
/// let enrolment = step.enrol()?.done()?; // Show its QR code, and ask for two codes.
/// assert!(enrolment.uri.expose().starts_with("otpauth://totp/"));
/// assert!(step.confirm("123456", "654321")?.granted().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FactorStep {
    desk: Desk,
    token: SavedToken,
    demand: StepDemand,
    expires_at: Timestamp,
    new_password_required: bool,
    new_password: Option<Zeroizing<String>>,
    keeps: bool,
}

impl FactorStep {
    pub(crate) fn new(
        desk: Desk,
        step: PendingStep,
        keeps: bool,
        new_password: Option<Zeroizing<String>>,
    ) -> Self {
        let PendingStep { token, demand, expires_at, new_password_required, .. } = step;
        let token = SavedToken::new(token.expose().to_owned());
        Self { desk, token, demand, expires_at, new_password_required, new_password, keeps }
    }

    /// What the step waits for: a code, or the enrolment of a second factor.
    #[must_use]
    pub const fn demand(&self) -> StepDemand {
        self.demand
    }

    /// The first moment at which it is expired.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether a new password is still missing: [`set_new_password`](Self::set_new_password).
    #[must_use]
    pub const fn new_password_required(&self) -> bool {
        self.new_password_required && self.new_password.is_none()
    }

    /// The new password, which comes into force when the step is completed. The last call counts.
    pub fn set_new_password(&mut self, new: impl Into<String>) {
        self.new_password = Some(Zeroizing::new(new.into()));
    }

    /// Begins the enrolment of a second factor, where the step [demands](Self::demand) one: show
    /// the secret once, as a QR code of its URI and as text, and go on with
    /// [`confirm`](Self::confirm).
    ///
    /// # Errors
    /// [`Store`](crate::DeskError::Store), of the kind [`KeyMissing`](gatepost::ErrorKind) if the
    /// options have no keyring.
    pub fn enrol(&self) -> Result<Outcome<TotpEnrolment>> {
        let factors = self.desk.store().second_factors();
        let begun =
            factors.enrol_at_login(self.token.expose(), self.desk.device(), NewTotp::new())?;
        Ok(begun.into())
    }

    /// Signs the user in with a code of the authenticator.
    ///
    /// # Errors
    /// As of [`Desk::sign_in`].
    pub fn complete(&self, code: impl Into<FactorCode>) -> Result<SignIn> {
        self.complete_with(|token, desk| {
            CompleteLogin::with_code(token, desk.device().clone(), code)
        })
    }

    /// Signs the user in with a recovery code, which is used up.
    ///
    /// # Errors
    /// As of [`Desk::sign_in`].
    pub fn complete_with_recovery_code(&self, code: impl Into<FactorCode>) -> Result<SignIn> {
        self.complete_with(|token, desk| {
            CompleteLogin::with_recovery_code(token, desk.device().clone(), code)
        })
    }

    /// Confirms the enrolment that [`enrol`](Self::enrol) began by two codes that follow each
    /// other, and signs the user in. The seat has the recovery codes to show:
    /// [`take_recovery_codes`](crate::Seat::take_recovery_codes).
    ///
    /// # Errors
    /// As of [`Desk::sign_in`].
    pub fn confirm(
        &self,
        first: impl Into<FactorCode>,
        second: impl Into<FactorCode>,
    ) -> Result<SignIn> {
        self.complete_with(|token, desk| {
            CompleteLogin::with_enrolment(token, desk.device().clone(), first, second)
        })
    }

    fn complete_with(&self, request: impl FnOnce(&str, &Desk) -> CompleteLogin) -> Result<SignIn> {
        let turn = self.desk.turn()?;
        let mut request = request(self.token.expose(), &self.desk);
        if let Some(new) = &self.new_password {
            request = request.new_password(Password::from(new.as_str()));
        }
        let outcome = self.desk.store().complete_login(request)?;
        Ok(SignIn::of(&self.desk, &turn, outcome, self.keeps, None))
    }
}
