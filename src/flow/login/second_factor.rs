//! The second factor of a login: whether one is needed, and the use of what was typed.
//!
//! A code is checked last, when nothing else refuses the login, so that a refusal for another
//! reason uses up no code and says nothing about one.

use super::reserve::Attempt;
use super::{ClientKind, Login, LoginOutcome, PendingStep, subject_event};
use crate::error::Result;
use crate::flow::login::request::check_end;
use crate::options::Options;
use crate::record::audit::{self, Written};
use crate::record::pending_step::{self, Asked, NewStep, Proved};
use crate::record::second_factor::{self, CodeUse, NewFactor, RecoveryCodes};
use crate::record::user::User;
use crate::record::{device, options};
use crate::storage::{ReadTx, WriteTx};
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind};
use crate::value::factor_code::FactorCode;
use crate::value::id::{OneTimeTokenId, SessionId, UserId};
use crate::value::name::Privilege;
use crate::value::principal::{Assurance, UserKind};
use crate::value::second_factor::{SecondFactorPolicy, StepDemand, TypedFactor};
use crate::value::totp::{FactorOrigin, TotpSecret, TotpShape};

/// What a login needs besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the user has no second factor and need not have one.
    Nothing,
    /// Nothing, although a factor is in force: the device is trusted.
    Trusted,
    /// What was typed must be right.
    Typed,
    /// The login has to wait for this.
    Missing(StepDemand),
}

impl Need {
    /// The level of the session that is opened.
    pub(super) const fn assurance(self) -> Assurance {
        match self {
            Self::Typed => Assurance::Aal2,
            Self::Nothing | Self::Trusted | Self::Missing(_) => Assurance::Aal1,
        }
    }
}

/// What a login of the user on the device needs besides the password.
pub(crate) fn need(
    tx: &ReadTx<'_>,
    user: &User,
    device: Option<DeviceDigest>,
    typed: Option<&TypedFactor>,
) -> Result<Need> {
    if second_factor::is_in_force(tx, user.id)? {
        if matches!(typed, Some(TypedFactor::Code(_) | TypedFactor::RecoveryCode(_))) {
            return Ok(Need::Typed);
        }
        let trusted = match device {
            Some(device) => device::is_trusted(tx, user.id, device)?,
            None => false,
        };
        return Ok(if trusted { Need::Trusted } else { Need::Missing(StepDemand::Code) });
    }
    if matches!(typed, Some(TypedFactor::Enrolment(..))) {
        return Ok(Need::Typed);
    }
    let is_admin = || user.privileges.iter().any(|name| name == Privilege::ADMIN);
    let must = user.kind == UserKind::Person
        && match options::of_file(tx)?.second_factor {
            SecondFactorPolicy::Optional => false,
            SecondFactorPolicy::Administrators => is_admin(),
            SecondFactorPolicy::All => true,
        };
    Ok(if must { Need::Missing(StepDemand::Enrolment) } else { Need::Nothing })
}

/// What a typed factor came to.
#[derive(Debug)]
pub(super) enum Checked {
    /// It is right, and used up. An enrolment that it finished has these recovery codes.
    Right(Option<RecoveryCodes>),
    /// It is not right, or could not be compared.
    Not(CodeUse),
}

/// Checks what was typed before the write that uses it up: only a right factor may revoke.
pub(super) fn check(
    tx: &ReadTx<'_>,
    options: &Options,
    user: UserId,
    step: Option<&[u8; 16]>,
    typed: &TypedFactor,
) -> Result<CodeUse> {
    match typed {
        TypedFactor::Code(code) => second_factor::check_totp(tx, options, user, code),
        TypedFactor::RecoveryCode(code) => {
            let is_right = second_factor::check_recovery_code(tx, user, code)?;
            Ok(if is_right { CodeUse::Recovery } else { CodeUse::Wrong })
        }
        TypedFactor::Enrolment(first, second) => {
            // No test fails without this: only `CompleteLogin` has such a factor, and a step.
            let Some(step) = step else { return Ok(CodeUse::Wrong) };
            Ok(match confirmed(tx, options, (user, step), (first, second))? {
                Confirmation::Right { .. } => CodeUse::Totp,
                Confirmation::Wrong => CodeUse::Wrong,
                Confirmation::LacksKey => CodeUse::LacksKey,
            })
        }
    }
}

/// Uses up what was typed, if it is right.
pub(super) fn use_up(
    tx: &WriteTx<'_>,
    options: &Options,
    user: UserId,
    step: Option<&[u8; 16]>,
    typed: &TypedFactor,
) -> Result<Checked> {
    let used = match typed {
        TypedFactor::Code(code) => second_factor::use_totp(tx, options, user, code)?,
        TypedFactor::RecoveryCode(code) => {
            let is_right = second_factor::use_recovery_code(tx, user, code)?;
            if is_right { CodeUse::Recovery } else { CodeUse::Wrong }
        }
        TypedFactor::Enrolment(first, second) => {
            // No test fails without this: only `CompleteLogin` has such a factor, and a step.
            let Some(step) = step else { return Ok(Checked::Not(CodeUse::Wrong)) };
            return match confirmed(tx, options, (user, step), (first, second))? {
                Confirmation::Right { shape, secret, at, shift } => {
                    let origin = FactorOrigin::Enrolled;
                    let new = NewFactor { shape, secret: &secret, origin, shift, last_step: at };
                    second_factor::put(tx, options, user, &new)?;
                    let detail = format!("{} {}", shape.algorithm.as_str(), shape.digits);
                    let event = Event::new(EventKind::SecondFactorAdded).user(user).detail(detail);
                    audit::append(tx, &event)?;
                    let codes = second_factor::issue_recovery_codes(tx, user)?;
                    Ok(Checked::Right(Some(codes)))
                }
                Confirmation::Wrong => Ok(Checked::Not(CodeUse::Wrong)),
                Confirmation::LacksKey => Ok(Checked::Not(CodeUse::LacksKey)),
            };
        }
    };
    Ok(match used {
        CodeUse::Totp | CodeUse::Recovery => Checked::Right(None),
        found @ (CodeUse::Wrong | CodeUse::Used | CodeUse::LacksKey) => Checked::Not(found),
    })
}

/// What two codes say about the enrolment that was begun at a pending step.
enum Confirmation {
    Right { shape: TotpShape, secret: TotpSecret, at: i64, shift: i64 },
    Wrong,
    LacksKey,
}

fn confirmed(
    tx: &ReadTx<'_>,
    options: &Options,
    (user, step): (UserId, &[u8; 16]),
    (first, second): (&FactorCode, &FactorCode),
) -> Result<Confirmation> {
    let begun_in = SessionId::from_bytes(*step);
    let Some(sealed) = second_factor::enrolment(tx, user, begun_in)? else {
        return Ok(Confirmation::Wrong);
    };
    let shape = sealed.shape;
    let Some(secret) = sealed.open_enrolment(options, user)? else {
        return Ok(Confirmation::LacksKey);
    };
    let codes = first.number(shape.digits).zip(second.number(shape.digits));
    let found = codes.and_then(|codes| shape.consecutive(&secret, codes, tx.now()));
    Ok(match found {
        Some((at, shift)) => Confirmation::Right { shape, secret, at, shift },
        None => Confirmation::Wrong,
    })
}

impl Login<'_> {
    /// The factor that was typed, if one is needed.
    pub(super) fn typed(&self, need: Need) -> Option<&TypedFactor> {
        self.request.factor.as_ref().filter(|_| need == Need::Typed)
    }

    /// Uses up a right code beside a wrong password, so that who saw it cannot use it. Recovery
    /// codes stay: the owner may have mistyped the password. At a closed gate no code is compared
    /// either: it would be a guess that nothing charges.
    pub(super) fn use_up_code(&self, tx: &WriteTx<'_>) -> Result<()> {
        let Some(TypedFactor::Code(code)) = &self.request.factor else { return Ok(()) };
        let subject = &self.attempt.subject;
        let is_compared = subject.user.is_some() && self.attempt.is_compared();
        second_factor::spoil_totp(tx, self.store.options(), (subject.near, is_compared), code)
    }

    /// Issues the pending step of a login that waits. The right password is no failed guess, and
    /// forgives none: a code is still to be guessed.
    pub(super) fn suspend(
        &self,
        tx: &WriteTx<'_>,
        user: &User,
        demand: StepDemand,
        new_password_required: bool,
    ) -> Result<Written<LoginOutcome>> {
        self.attempt.refund(tx)?;
        let request = self.request;
        let asked = Asked {
            require_admin: request.require_admin,
            is_desktop: request.client == Some(ClientKind::Desktop),
            end: request.end,
            label: request.label.clone(),
        };
        let device = self.attempt.subject.device;
        let proved = self.attempt.proved();
        let new = NewStep { user: user.id, device, demand, proved, asked };
        let event = subject_event(EventKind::LoginPending, &self.attempt.subject)
            .client_info(request.client_info.clone());
        suspended(tx, &new, new_password_required, event)
    }
}

/// Issues a pending step.
pub(crate) fn suspended(
    tx: &WriteTx<'_>,
    new: &NewStep,
    new_password_required: bool,
    event: Event,
) -> Result<Written<LoginOutcome>> {
    // Again: hashing takes its time.
    check_end(new.asked.end, tx.now())?;
    let (token, expires_at) = pending_step::issue(tx, new)?;
    let step = PendingStep { token, demand: new.demand, expires_at, new_password_required };
    Ok(Written::With(LoginOutcome::Pending(step), event.detail(new.demand.as_str())))
}

impl Attempt {
    fn proved(&self) -> Proved {
        match (&self.temporary, &self.credential) {
            (Some(token), _) => Proved::Temporary(OneTimeTokenId::from_bytes(token.id)),
            (None, Some(credential)) => Proved::Password(credential.version),
            (None, None) => Proved::ByHost,
        }
    }
}
