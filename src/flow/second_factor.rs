//! Enrol, replace, remove, reset and import second factors, and reissue recovery codes.
//!
//! A change that a user makes in a session takes the password and a code. It is charged to the gate
//! of the user before either is evaluated, as a change of the password is. Then one write evaluates
//! the code, which uses it up, and makes the change with its revocation.

mod administer;
mod at_login;
mod change;
mod enrol;

use crate::error::{Error, ErrorKind, Result};
use crate::flow::held::Held;
use crate::flow::login::{Attempt, Reserved, failed, subject_event};
use crate::flow::revoke::{Cause, Revocation};
use crate::flow::verify::session_token;
use crate::hasher::Admission;
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::second_factor::{self, CodeUse};
use crate::record::throttle;
use crate::record::user::User;
use crate::storage::WriteTx;
use crate::store::Store;
use crate::value::event::{Event, EventKind, reasons};
use crate::value::factor_code::FactorCode;
use crate::value::presented::Presented;
use crate::value::principal::{InvalidTokenReason, UserKind};
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Password;
use crate::value::totp::TotpShape;

/// Why the calls of this module revoke.
const CAUSE: Cause = Cause::SecondFactorChanged;

/// The result of a change that a user makes to the second factor in a session. An error of the
/// store is neither of the two.
#[expect(clippy::exhaustive_enums, reason = "complete: it was done or refused")]
#[derive(Debug)]
#[must_use = "it says whether the change was made"]
pub enum FactorOutcome<T> {
    /// The change was made.
    Done(T),
    /// Nothing was changed, for this reason; a right code of the authenticator is used up.
    Refused(LoginRefusal),
}

impl<T> FactorOutcome<T> {
    /// Returns the result of the change, or the refusal as an error for `?`.
    ///
    /// ```
    /// use gatepost::LoginRefusal;
    /// use gatepost::second_factors::NewTotp;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let device = gatepost::DeviceId::random()?;
    /// let outcome = store.second_factors().enrol(("gps_forged", &device), NewTotp::new())?;
    /// assert_eq!(outcome.done().unwrap_err(), LoginRefusal::SessionNotLive);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The [`LoginRefusal`], if the change was refused.
    pub fn done(self) -> std::result::Result<T, LoginRefusal> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// What a user presents for a change of the second factor.
struct Proof<'p> {
    presented: Presented<'p>,
    password: Password,
    code: FactorCode,
}

/// A change that needs a proof: its name in the audit log, and whether it revokes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Replace,
    Remove,
    Reissue,
}

impl Change {
    const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Reissue => "reissue",
        }
    }

    /// A new factor revokes when it is confirmed.
    const fn revokes(self) -> bool {
        !matches!(self, Self::Replace)
    }
}

impl Store {
    /// The live session that is presented, if its user may change the second factor in it.
    fn session_presented(
        &self,
        presented: Presented<'_>,
    ) -> Result<std::result::Result<Held, LoginRefusal>> {
        let Some((parsed, session)) = session_token(presented.token()) else {
            self.count_refusal(InvalidTokenReason::Malformed);
            return Ok(Err(LoginRefusal::SessionNotLive));
        };
        let Some(held) = self.held(presented, parsed, session)? else {
            return Ok(Err(LoginRefusal::SessionNotLive));
        };
        Ok(held.refused_if_impersonated().map_or(Ok(held), Err))
    }

    /// Makes a change that password and code prove. A right code of the authenticator is used up
    /// although the password is wrong; a recovery code is not, so that a mistyped password costs
    /// none.
    fn change_with_proof<T>(
        &self,
        proof: Proof<'_>,
        change: Change,
        effect: impl Fn(&WriteTx<'_>, &Held) -> Result<(T, Event)>,
    ) -> Result<FactorOutcome<T>> {
        let Proof { presented, password, code } = proof;
        password.check_length()?;
        code.check_length()?;
        let held = match self.session_presented(presented)? {
            Ok(held) => held,
            Err(refusal) => return Ok(self.refused_change(refusal)),
        };
        if !self.read(|tx| second_factor::is_in_force(tx, held.principal.user))? {
            return Err(Error::not_found("the user has no second factor"));
        }
        let ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                return Ok(self.unwritten_change(LoginRefusal::Overloaded { retry_after }));
            }
        };
        let mut attempt = match self.reserve_for(&held) {
            Ok(Reserved::Attempt(attempt)) => attempt,
            Ok(Reserved::Refused(refusal @ LoginRefusal::TooManyAttempts { .. })) => {
                return Ok(self.unwritten_change(refusal));
            }
            Ok(Reserved::Refused(refusal)) => return Ok(self.refused_change(refusal)),
            Err(error) => {
                if error.kind() == ErrorKind::Full && change.revokes() {
                    self.revoke_others_alone(&held, CAUSE);
                }
                return Err(error);
            }
        };
        let is_right = self.evaluate(&ticket, &mut attempt, &password)?.matches;
        // Frees the slot: a login may hash while this call waits for the file.
        drop(ticket);
        let outcome = self
            .revoke(held.others(), CAUSE, |tx, revocation| {
                let evidence = Evidence { held: &held, attempt: &attempt, is_right, code: &code };
                self.judge_change(tx, &evidence, change, revocation, &effect)
            })
            .inspect_err(|error| self.uncharge_without_key(&attempt, error))?;
        if let FactorOutcome::Refused(refusal) = &outcome {
            self.core().pending.counts.login_refused(refusal.name());
        }
        Ok(outcome)
    }

    /// Reads everything again: the session may have been revoked and the password may have changed
    /// since.
    fn judge_change<T>(
        &self,
        tx: &WriteTx<'_>,
        evidence: &Evidence<'_>,
        change: Change,
        revocation: &Revocation,
        effect: impl Fn(&WriteTx<'_>, &Held) -> Result<(T, Event)>,
    ) -> Result<Written<FactorOutcome<T>>> {
        let Evidence { held, attempt, is_right, code } = *evidence;
        let user = held.principal.user;
        if self.held_now(tx, held)?.is_err() {
            // That the session ended meanwhile proves no wrong password.
            if is_right {
                attempt.refund(tx)?;
            } else {
                failed(tx, attempt, None)?;
            }
            return Ok(refused(evidence, change, LoginRefusal::SessionNotLive));
        }
        let version = credential::of(tx, user)?.map(|now| now.version);
        let is_right = is_right
            && version.is_some()
            && version == attempt.credential.as_ref().map(|then| then.version);
        let used = if is_right {
            second_factor::use_code(tx, self.options(), user, code)?
        } else {
            second_factor::use_totp(tx, self.options(), user, code)?
        };
        if used == CodeUse::LacksKey {
            self.core().pending.counts.key_missing();
            attempt.refund(tx)?;
            return Ok(refused(evidence, change, LoginRefusal::InvalidCredentials));
        }
        if !is_right || !used.is_right() {
            failed(tx, attempt, None)?;
            return Ok(refused(evidence, change, LoginRefusal::InvalidCredentials));
        }
        if change.revokes() || used == CodeUse::Recovery {
            revocation.apply(tx)?;
        }
        throttle::succeeded(tx, user, None)?;
        let (done, event) = effect(tx, held)?;
        let event = event.user(user).device(held.device).session(held.session);
        let by_recovery = used == CodeUse::Recovery;
        let event = if by_recovery { event.reason(reasons::RECOVERY_CODE) } else { event };
        Ok(Written::With(FactorOutcome::Done(done), event))
    }

    fn refused_change<T>(&self, refusal: LoginRefusal) -> FactorOutcome<T> {
        self.core().pending.counts.login_refused(refusal.name());
        FactorOutcome::Refused(refusal)
    }

    /// Counted, not written: a refusal before any hash must not keep the log busy.
    fn unwritten_change<T>(&self, refusal: LoginRefusal) -> FactorOutcome<T> {
        let counts = &self.core().pending.counts;
        counts.count(EventKind::SecondFactorRefused, refusal.name(), self.now());
        self.refused_change(refusal)
    }
}

/// What a change is judged by.
#[derive(Clone, Copy)]
struct Evidence<'e> {
    held: &'e Held,
    attempt: &'e Attempt,
    /// Whether the password was right.
    is_right: bool,
    code: &'e FactorCode,
}

fn refused<T>(
    evidence: &Evidence<'_>,
    change: Change,
    refusal: LoginRefusal,
) -> Written<FactorOutcome<T>> {
    let event = subject_event(EventKind::SecondFactorRefused, &evidence.attempt.subject)
        .session(evidence.held.session)
        .refused(refusal.name())
        .detail(change.name());
    Written::With(FactorOutcome::Refused(refusal), event)
}

fn check_person(user: &User) -> Result<()> {
    match user.kind {
        UserKind::Person => Ok(()),
        UserKind::System => {
            Err(Error::invalid("a system user (UserKind::System) never has a second factor"))
        }
    }
}

/// The event of a factor that comes into force.
fn event_of(kind: EventKind, shape: TotpShape) -> Event {
    let TotpShape { algorithm, digits } = shape;
    Event::new(kind).detail(format!("{} {digits}", algorithm.as_str()))
}
