//! The second call of a login: completing a pending step.
//!
//! It runs through the decisions of the first call again, in the same functions: a user who was
//! locked meanwhile, or whose password changed, gets no session.

use std::time::Duration;

use super::request::check_trust;
use super::reserve::{Attempt, Reserved};
use super::{ClientKind, LoginOutcome, LoginRequest};
use crate::error::Result;
use crate::flow::login::check_opening;
use crate::hasher::{Admission, Verification};
use crate::record::credential;
use crate::record::pending_step::{self, Asked, PendingStepRow};
use crate::spans;
use crate::storage::Finished;
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::ClientInfo;
use crate::value::factor_code::FactorCode;
use crate::value::name::DeviceId;
use crate::value::password_check;
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::TypedFactor;
use crate::value::secret::{Password, Secret};
use crate::value::token::{self, ParsedToken, TokenKind};

/// A request that completes a pending login: the token of the step, the device of the login, and
/// the second factor.
///
/// ```
/// use gatepost::{CompleteLogin, DeviceId};
///
/// let request = CompleteLogin::with_code("gpm_token", DeviceId::new("till-1")?, "123 456");
/// assert!(!format!("{request:?}").contains("456"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct CompleteLogin {
    token: Secret,
    device: Option<DeviceId>,
    factor: TypedFactor,
    new_password: Option<Password>,
    revoke_api_keys: bool,
    trust: Option<Duration>,
    client_info: Option<ClientInfo>,
}

impl CompleteLogin {
    /// A step that waits for a code, with a code of the user's authenticator.
    pub fn with_code(
        token: impl Into<String>,
        device: impl Into<Option<DeviceId>>,
        code: impl Into<FactorCode>,
    ) -> Self {
        Self::new(token.into(), device.into(), TypedFactor::Code(code.into()))
    }

    /// A step that waits for a code, with a recovery code of the user, by the rules of
    /// [`LoginRequest::recovery_code`].
    pub fn with_recovery_code(
        token: impl Into<String>,
        device: impl Into<Option<DeviceId>>,
        code: impl Into<FactorCode>,
    ) -> Self {
        Self::new(token.into(), device.into(), TypedFactor::RecoveryCode(code.into()))
    }

    /// A step that waits for an enrolment, with two consecutive codes of the authenticator that
    /// [`enrol_at_login`](crate::second_factors::SecondFactors::enrol_at_login) enrolled: the
    /// factor is in force from then on.
    pub fn with_enrolment(
        token: impl Into<String>,
        device: impl Into<Option<DeviceId>>,
        first: impl Into<FactorCode>,
        second: impl Into<FactorCode>,
    ) -> Self {
        let typed = TypedFactor::Enrolment(first.into(), second.into());
        Self::new(token.into(), device.into(), typed)
    }

    fn new(token: String, device: Option<DeviceId>, factor: TypedFactor) -> Self {
        Self {
            token: Secret::new(token),
            device,
            factor,
            new_password: None,
            revoke_api_keys: false,
            trust: None,
            client_info: None,
        }
    }

    /// The new password, by the rules of [`LoginRequest::new_password`]. A step that says
    /// [`new_password_required`](crate::PendingStep::new_password_required) needs it. A step of
    /// [`Sessions::open`](crate::sessions::Sessions::open) takes none: the completion is refused as
    /// [`PasswordChangeNotAllowed`](LoginRefusal::PasswordChangeNotAllowed), and uses no code up.
    pub fn new_password(self, password: Password) -> Self {
        Self { new_password: Some(password), ..self }
    }

    /// Revokes all API keys of the user in the same step as the
    /// [new password](Self::new_password) is set. Without a new password it does nothing.
    pub fn revoke_api_keys(self) -> Self {
        Self { revoke_api_keys: true, ..self }
    }

    /// Trusts the device, by the rules of [`LoginRequest::trust_device`].
    pub fn trust_device(self, lifetime: Duration) -> Self {
        Self { trust: Some(lifetime), ..self }
    }

    /// Where the request came from.
    pub fn client_info(self, client_info: ClientInfo) -> Self {
        Self { client_info: Some(client_info), ..self }
    }
}

impl Store {
    /// Completes a login that is [pending](LoginOutcome::Pending), and opens its session.
    ///
    /// The session has what the login asked for (lifetime, label) and the level
    /// [`Aal2`](crate::sessions::Assurance::Aal2); the reply of an enrolment has the recovery
    /// codes. All that refuses a login is decided again.
    ///
    /// Each code is a guess: it is charged before it is checked, to the budget of the device or, on
    /// an unknown one, of the user, as a password is
    /// ([`LoginRefusal::TooManyAttempts`]), and a right one takes the charge back. A step is spent
    /// after five wrong codes. A token that is not valid, on this device, is refused as
    /// [`StepNotLive`](LoginRefusal::StepNotLive), whatever the reason.
    ///
    /// Writes the file twice. Hashes only if a new password comes with it: twice.
    ///
    /// ```
    /// use gatepost::{CompleteLogin, DeviceId, LoginRefusal};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let forged = CompleteLogin::with_code("gpm_forged", DeviceId::new("till-1")?, "123456");
    /// let refusal = store.complete_login(forged)?.granted().unwrap_err();
    /// assert_eq!(refusal, LoginRefusal::StepNotLive);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [`log_in`](Self::log_in) does.
    #[doc(alias("2FA", "MFA", "TOTP"))]
    pub fn complete_login(&self, request: CompleteLogin) -> Result<LoginOutcome> {
        spans::span!("complete_login");
        self.complete_login_with(request).inspect(|outcome| self.count_login(outcome))
    }

    fn complete_login_with(&self, request: CompleteLogin) -> Result<LoginOutcome> {
        self.core().storage.check_open()?;
        request.check(self)?;
        let refused = |refusal| Ok(self.unheard(refusal));
        let Some(token) = step_token(request.token.expose()) else {
            return refused(LoginRefusal::StepNotLive);
        };
        let mut ticket = match request.new_password.as_ref().map(|_| self.admitted()) {
            None => None,
            Some(Admission::Admitted(ticket)) => Some(ticket),
            Some(Admission::Overloaded { retry_after }) => {
                return refused(LoginRefusal::Overloaded { retry_after });
            }
        };
        let device = request.device.as_ref().map(DeviceDigest::of);
        let (row, attempt) = match self.step_attempt(&token, device)? {
            Ok(found) => found,
            Err(refusal) => return refused(refusal),
        };
        let login = request.of_step(row.asked);
        let verification = Verification { matches: true, needs_upgrade: false };
        let step = self
            .next_step(&login, &attempt, ticket.as_mut(), verification)
            .inspect_err(|_| self.uncharge(&attempt))?;
        // Frees the slot: another login may hash while this one waits for the file.
        drop(ticket);
        self.finish(&login, &attempt, verification, &step)
            .inspect_err(|error| self.uncharge_without_key(&attempt, error))
    }

    fn admitted(&self) -> Admission<'_> {
        self.core().hasher.admit(self.now())
    }

    /// The step of a token, and the charge of a guess at it.
    fn step_attempt(
        &self,
        token: &ParsedToken,
        device: Option<DeviceDigest>,
    ) -> Result<std::result::Result<(PendingStepRow, Box<Attempt>), LoginRefusal>> {
        // An unknown token costs no write.
        if self.read(|tx| pending_step::find(tx, token, device))?.is_none() {
            return Ok(Err(LoginRefusal::StepNotLive));
        }
        self.transact(|tx| {
            credential::check_key(tx, self.options())?;
            let Some(row) = pending_step::find(tx, token, device)? else {
                return Ok(Finished::Nothing(Err(LoginRefusal::StepNotLive)));
            };
            let reserved = self.reserve_step(tx, &row, device)?;
            Ok(match reserved {
                Finished::Commit(Reserved::Attempt(attempt)) => {
                    Finished::Commit(Ok((row, attempt)))
                }
                Finished::Nothing(Reserved::Refused(refusal)) => Finished::Nothing(Err(refusal)),
                _ => Finished::Nothing(Err(LoginRefusal::StepNotLive)),
            })
        })
    }
}

/// The token of a pending step; `None` for every other text.
pub(crate) fn step_token(text: &str) -> Option<ParsedToken> {
    token::parse(text).filter(|token| token.kind == TokenKind::Pending)
}

impl CompleteLogin {
    /// Refuses what no user could ask for, before anything is looked up.
    fn check(&self, store: &Store) -> Result<()> {
        self.factor.check_length()?;
        if let Some(new) = &self.new_password {
            password_check::check_length(&store.options().passwords, new)?;
            store.options().breaches()?;
        }
        check_trust(self.trust, self.device.as_ref())?;
        check_opening(store.options(), self.device.as_ref(), None, store.now())
    }

    /// The login that waited, with what this request adds.
    fn of_step(self, asked: Asked) -> LoginRequest {
        LoginRequest {
            device: self.device,
            new_password: self.new_password,
            revoke_api_keys: self.revoke_api_keys,
            end: asked.end,
            require_admin: asked.require_admin,
            client: asked.is_desktop.then_some(ClientKind::Desktop),
            label: asked.label,
            client_info: self.client_info,
            factor: Some(self.factor),
            trust: self.trust,
            ..LoginRequest::new(String::new(), Password::new(String::new()), None)
        }
    }
}
