//! Who needs a second factor, and the enrolment at a login that cannot go on without one.

use super::FactorOutcome;
use super::enrol::begin;
use crate::error::Result;
use crate::flow::login::step_token;
use crate::record::audit::Written;
use crate::record::options;
use crate::record::pending_step;
use crate::record::second_factor::{NewTotp, SecondFactors, TotpEnrolment};
use crate::value::digest::DeviceDigest;
use crate::value::id::SessionId;
use crate::value::name::DeviceId;
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::{SecondFactorPolicy, StepDemand};

impl SecondFactors<'_> {
    /// Returns which users must have a second factor, as the file says now
    /// ([`Options::second_factor`](crate::Options::second_factor)).
    ///
    /// ```
    /// use gatepost::policy::SecondFactorPolicy;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// assert_eq!(store.second_factors().policy()?, SecondFactorPolicy::Optional);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn policy(&self) -> Result<SecondFactorPolicy> {
        self.store.read(|tx| Ok(options::of_file(tx)?.second_factor))
    }

    /// Begins the enrolment that a [pending](crate::LoginOutcome::Pending) login waits for: draws a
    /// secret for the user's authenticator, as [`enrol`](Self::enrol) does in a session. Takes the
    /// token of the step and the device of the login.
    ///
    /// [`CompleteLogin::with_enrolment`](crate::CompleteLogin::with_enrolment) confirms it and
    /// opens the session. A step that is not valid, or waits for a code, is refused as
    /// [`StepNotLive`](LoginRefusal::StepNotLive), and so is the fifth call for one step: each call
    /// replaces what the one before it began, and takes one of the five codes that the step may
    /// still be tried with.
    ///
    /// ```
    /// use gatepost::policy::SecondFactorPolicy;
    /// use gatepost::second_factors::NewTotp;
    /// use gatepost::{DeviceId, LoginOutcome, LoginRequest, NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let keys = gatepost::host::Keys::new(
    /// #     gatepost::host::KeyId::new("a")?, gatepost::host::SealingKey::random()?);
    /// # let options = Options::server().keyring(std::sync::Arc::new(keys));
    /// let store = Store::open(path, options.second_factor(SecondFactorPolicy::All))?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let device = DeviceId::random()?;
    /// let login = LoginRequest::new("ada", Password::from("till and tally"), device.clone());
    /// let LoginOutcome::Pending(step) = store.log_in(login)? else { panic!("not pending") };
    ///
    /// let factors = store.second_factors();
    /// let begun = factors.enrol_at_login(step.token.expose(), &device, NewTotp::new())?.done()?;
    /// assert!(begun.uri.expose().starts_with("otpauth://totp/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`enrol`](Self::enrol).
    pub fn enrol_at_login<'d>(
        &self,
        token: &str,
        device: impl Into<Option<&'d DeviceId>>,
        new: NewTotp,
    ) -> Result<FactorOutcome<TotpEnrolment>> {
        let shape = new.checked()?;
        let store = self.store;
        store.core().storage.check_open()?;
        let refused = || store.refused_change(LoginRefusal::StepNotLive);
        let device = device.into().map(DeviceDigest::of);
        let Some(token) = step_token(token) else { return Ok(refused()) };
        store.write(|tx| {
            let step = pending_step::find(tx, &token, device)?;
            let Some(step) = step.filter(|step| step.demand == StepDemand::Enrolment) else {
                return Ok(Written::Nothing(refused()));
            };
            // One guess is left for the codes that confirm it.
            if !pending_step::charge(tx, &step.id, 1)? {
                return Ok(Written::Nothing(refused()));
            }
            let begun_in = SessionId::from_bytes(step.id);
            let (enrolment, event) = begin(store, tx, (step.user, begun_in), shape)?;
            let event = event.user(step.user).device(device);
            Ok(Written::With(FactorOutcome::Done(enrolment), event))
        })
    }
}
