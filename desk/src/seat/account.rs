//! The account of a signed-in user: sessions, password and second factor.

use gatepost::second_factors::{
    FactorCode, FactorOutcome, NewTotp, RecoveryCodes, SecondFactor, SecondFactors, TotpEnrolment,
};
use gatepost::sessions::{SessionFilter, SessionInfo};
use gatepost::{Ended, Error, ErrorKind, LoginRefusal, Password, Presented, SessionId};

use crate::error::{DeskError, Result};
use crate::outcome::Outcome;
use crate::seat::Seat;
use crate::seat::lock::Opens;

impl Seat {
    /// The session of this seat: a handle that may be shown, to find it in
    /// [`sessions`](Self::sessions).
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.0.session
    }

    /// The live sessions of the user, this one among them.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
    /// let sessions = seat.sessions()?;
    /// assert_eq!(sessions.len(), 1);
    /// assert_eq!(sessions[0].id, seat.session());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked) and [`Store`](DeskError::Store).
    pub fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let user = self.profile()?.user.id;
        let filter = SessionFilter::new().under(user);
        Ok(self.0.desk.store().sessions().iter(&filter).collect::<Result<_, Error>>()?)
    }

    /// Revokes one of the user's sessions: its own as well, which signs the user out. Returns
    /// whether the session had ended before.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked), [`Busy`](DeskError::Busy) and
    /// [`Store`](DeskError::Store).
    pub fn revoke(&self, session: SessionId) -> Result<Ended> {
        let principal = self.open()?;
        if session == self.0.session {
            return self.end_session();
        }
        let sessions = self.0.desk.store().sessions();
        sessions.revoke_own(&principal, session).map_err(|error| self.failed(error))
    }

    /// Revokes all sessions of the user except this one.
    ///
    /// # Errors
    /// As of [`revoke`](Self::revoke).
    pub fn revoke_others(&self) -> Result<()> {
        let principal = self.open()?;
        let sessions = self.0.desk.store().sessions();
        sessions.revoke_others(&principal).map_err(|error| self.failed(error))
    }

    /// Changes the password: all other sessions of the user end, and this one gets a new token.
    ///
    /// A user with a second factor must have proved it in the last 15 minutes; otherwise the change
    /// is refused as [`StepUpRequired`](LoginRefusal::StepUpRequired): call
    /// [`unlock`](Self::unlock) with a code first.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let folder = gatepost_desk::Folder::at(directory.path())?;
    /// # let desk = gatepost_desk::Desk::builder("com.example.till").folder(folder).open()?;
    /// # desk.first_administrator("ada", "lantern over wet slate")?;
    /// let seat = desk.sign_in("ada", "lantern over wet slate")?.granted()?;
    /// seat.change_password("lantern over wet slate", "nine brass bells")?.done()?;
    /// assert!(desk.resume()?.is_some());
    /// assert!(desk.sign_in("ada", "lantern over wet slate")?.granted().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked), [`Busy`](DeskError::Busy),
    /// [`Vault`](DeskError::Vault) and [`Store`](DeskError::Store).
    pub fn change_password(
        &self,
        current: impl Into<Password>,
        new: impl Into<Password>,
    ) -> Result<Outcome<()>> {
        self.open()?;
        let turn = self.0.desk.turn()?;
        self.change_token(&turn, Opens::No, |desk, token| {
            let presented = (token.expose(), desk.device());
            desk.store().change_password(presented, current.into(), new.into())
        })
    }

    /// The second factor of the user, without its secret; `None` if there is none.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked) and [`Store`](DeskError::Store).
    pub fn second_factor(&self) -> Result<Option<SecondFactor>> {
        let user = self.profile()?.user.id;
        Ok(self.0.desk.store().second_factors().info(user)?)
    }

    /// Begins to enrol a second factor: show the secret once, as a QR code of its URI and as text,
    /// and go on with [`confirm_second_factor`](Self::confirm_second_factor) within 10 minutes.
    ///
    /// # Errors
    /// [`Ended`](DeskError::Ended), [`Locked`](DeskError::Locked), [`Busy`](DeskError::Busy),
    /// [`Vault`](DeskError::Vault) and [`Store`](DeskError::Store), of the kind `KeyMissing` if the
    /// options have no keyring.
    pub fn enrol_second_factor(&self) -> Result<Outcome<TotpEnrolment>> {
        self.with_factors(|factors, presented| factors.enrol(presented, NewTotp::new()))
    }

    /// Confirms the enrolment by two codes that follow each other. The user's other sessions end.
    /// Returns the recovery codes, which can be read only now.
    ///
    /// # Errors
    /// As of [`enrol_second_factor`](Self::enrol_second_factor), and `NotFound` if no enrolment was
    /// begun.
    pub fn confirm_second_factor(
        &self,
        first: impl Into<FactorCode>,
        second: impl Into<FactorCode>,
    ) -> Result<Outcome<RecoveryCodes>> {
        self.with_factors(|factors, presented| {
            factors.confirm(presented, first.into(), second.into())
        })
    }

    /// Removes the second factor, by the password and a code. The user's other sessions end.
    ///
    /// # Errors
    /// As of [`enrol_second_factor`](Self::enrol_second_factor), and `NotFound` if there is none.
    pub fn remove_second_factor(
        &self,
        password: impl Into<Password>,
        code: impl Into<FactorCode>,
    ) -> Result<Outcome<()>> {
        self.with_factors(|factors, presented| {
            factors.remove(presented, password.into(), code.into())
        })
    }

    /// Issues a new set of recovery codes, by the password and a code. The earlier codes and the
    /// user's other sessions end.
    ///
    /// # Errors
    /// As of [`remove_second_factor`](Self::remove_second_factor).
    pub fn reissue_recovery_codes(
        &self,
        password: impl Into<Password>,
        code: impl Into<FactorCode>,
    ) -> Result<Outcome<RecoveryCodes>> {
        self.with_factors(|factors, presented| {
            factors.reissue_recovery_codes(presented, password.into(), code.into())
        })
    }

    fn with_factors<T>(
        &self,
        call: impl FnOnce(SecondFactors<'_>, Presented<'_>) -> Result<FactorOutcome<T>, Error>,
    ) -> Result<Outcome<T>> {
        self.open()?;
        let desk = &self.0.desk;
        let turn = desk.turn()?;
        let token = self.current_token(&turn)?;
        let presented = Presented::from((token.expose(), desk.device()));
        match call(desk.store().second_factors(), presented)? {
            // Revoked since the token was checked.
            FactorOutcome::Refused(LoginRefusal::SessionNotLive) => Err(self.ended_in(&turn)),
            outcome => Ok(outcome.into()),
        }
    }

    fn failed(&self, error: Error) -> DeskError {
        if error.kind() == ErrorKind::SessionEnded { self.ended() } else { error.into() }
    }
}
