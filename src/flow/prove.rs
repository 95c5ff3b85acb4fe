//! Step-up: a user proves again, in a session, to be the user; and the check that this was done
//! lately.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::held::Held;
use crate::flow::login::{
    Attempt, LoginOutcome, LoginReply, OpenedSession, Reserved, granted, subject_event,
};
use crate::flow::password_change::refused_in_session;
use crate::flow::verify::session_token;
use crate::hasher::Admission;
use crate::record::audit::Written;
use crate::record::second_factor::{self, CodeUse};
use crate::record::throttle;
use crate::record::{credential, session};
use crate::spans;
use crate::storage::WriteTx;
use crate::store::Store;
use crate::value::event::EventKind;
use crate::value::factor_code::FactorCode;
use crate::value::freshness::{FreshSession, Freshness, is_fresh};
use crate::value::presented::Presented;
use crate::value::principal::{Assurance, InvalidToken, InvalidTokenReason, Principal};
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Password;
use crate::value::token::{self, TokenKind};

/// What a user proves with in a session: given to [`Store::prove`].
///
/// ```
/// use gatepost::sessions::Reauthentication;
///
/// let code = Reauthentication::code("123456");
/// assert!(!format!("{code:?}").contains("123456"));
/// ```
#[derive(Debug)]
#[must_use]
pub struct Reauthentication(Typed);

#[derive(Debug)]
enum Typed {
    Password(Password),
    Code(FactorCode),
}

impl Reauthentication {
    /// The password of the user: for a session of the level
    /// [`Aal1`](crate::sessions::Assurance::Aal1), which keeps its level.
    pub fn password(password: impl Into<Password>) -> Self {
        Self(Typed::Password(password.into()))
    }

    /// A code of the user's authenticator: the session has the level
    /// [`Aal2`](crate::sessions::Assurance::Aal2) from then on.
    pub fn code(code: impl Into<FactorCode>) -> Self {
        Self(Typed::Code(code.into()))
    }
}

impl Store {
    /// Proves again, in the session presented, that its user is the user (step-up): sets the time
    /// of authentication to now and, with a code, raises the level of a session to
    /// [`Aal2`](crate::sessions::Assurance::Aal2). [`require_fresh`](Self::require_fresh) asks for
    /// it.
    ///
    /// The session gets a new token, and the old one is not valid any more (ASVS 7.2.4). Its expiry
    /// stays, and so does the bound of [`renew`](Self::renew): a proof never prolongs the absolute
    /// lifetime (SP 800-63B-4, 2.2.3). No other session is revoked.
    ///
    /// - A password proves nothing in a session above AAL1, whose second factor it does not repeat:
    ///   refused as [`MfaCodeRequired`](LoginRefusal::MfaCodeRequired). A session in which the user
    ///   has removed the factor has AAL1.
    /// - A code of a user without a second factor is refused as
    ///   [`MfaEnrolmentRequired`](LoginRefusal::MfaEnrolmentRequired).
    ///
    /// A wrong password or code counts as a failed attempt on the user, charged before it is
    /// compared, and is refused as [`InvalidCredentials`](LoginRefusal::InvalidCredentials). A
    /// right code forgives the earlier failures; a right password takes back its own charge
    /// alone, because it is not all that a login of the user needs. A code is accepted once,
    /// ever.
    ///
    /// Writes the file twice; a password is hashed (about 15 ms with the default cost).
    ///
    /// ```
    /// use gatepost::sessions::Reauthentication;
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// # let device = DeviceId::random()?;
    /// # let login = LoginRequest::new("ada", Password::from("till and tally"), device.clone());
    /// let old = store.log_in(login)?.granted()?.session.token;
    /// let password = Reauthentication::password("till and tally");
    /// let reply = store.prove((&old, &device), password)?.granted()?;
    ///
    /// assert!(store.verify((&old, &device))?.valid().is_err());
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [every write](crate::manual::errors#every-write) does, and
    /// with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the password is longer than 4,096 bytes, the
    ///   code is longer than 64, or the session has the level
    ///   [`Aal3`](crate::sessions::Assurance::Aal3), which only the host can authenticate again
    ///   ([`Sessions::open`](crate::sessions::Sessions::open));
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals: nothing is charged;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("step-up", "sudo", "reauthenticate", "2FA"))]
    pub fn prove<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        with: Reauthentication,
    ) -> Result<LoginOutcome> {
        spans::span!("prove");
        let outcome = self.prove_with(presented.into(), with.0)?;
        self.count_login(&outcome);
        Ok(outcome)
    }

    /// Checks that the user of the session presented has proved, less than `max_age` ago, to be the
    /// user, and that the session has at least the level `level`: ask before something that a
    /// stolen session must not be enough for, such as a change of the e-mail address (ASVS 7.5.1).
    ///
    /// The proof is a login, a change of the password, or [`prove`](Self::prove). An API key is
    /// never fresh, because no person is there to prove anything. Costs what
    /// [`verify`](Self::verify) costs.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost::sessions::{Assurance, FreshSession};
    /// use gatepost::{DeviceId, Error, LoginRequest, NewUser, Password, Store};
    ///
    /// /// Takes a value that only the check makes.
    /// fn set_email(store: &Store, fresh: &FreshSession, email: &str) -> Result<(), Error> {
    ///     let principal = fresh.principal();
    ///     store.acting_as(principal).users().set_email(principal.user, Some(email)).map(drop)
    /// }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = Store::open(path, gatepost::Options::server())?;
    /// # store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// # let device = DeviceId::random()?;
    /// # let login = LoginRequest::new("ada", Password::from("till and tally"), device.clone());
    /// # let token = store.log_in(login)?.granted()?.session.token;
    /// let quarter = Duration::from_secs(900);
    /// let fresh = store.require_fresh((&token, &device), quarter, Assurance::Aal1)?.granted()?;
    /// set_email(&store, &fresh, "ada@example.com")?;
    /// let strong = store.require_fresh((&token, &device), quarter, Assurance::Aal2)?;
    /// assert!(strong.granted().is_err(), "she has proved no second factor");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    #[doc(alias("step-up", "sudo"))]
    pub fn require_fresh<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        max_age: Duration,
        level: Assurance,
    ) -> Result<Freshness> {
        match self.live(presented.into())? {
            Ok(live) => {
                self.note_use(&live);
                let principal = live.principal;
                Ok(if is_fresh(&principal, max_age, level, self.now()) {
                    Freshness::Fresh(FreshSession::new(principal))
                } else {
                    Freshness::StepUpRequired
                })
            }
            Err(reason) => {
                self.count_refusal(reason);
                Ok(Freshness::Invalid(InvalidToken))
            }
        }
    }

    fn prove_with(&self, presented: Presented<'_>, typed: Typed) -> Result<LoginOutcome> {
        match &typed {
            Typed::Password(password) => password.check_length()?,
            Typed::Code(code) => code.check_length()?,
        }
        let refused = |refusal| Ok(LoginOutcome::Refused(refusal));
        let Some((parsed, session)) = session_token(presented.token()) else {
            self.count_refusal(InvalidTokenReason::Malformed);
            return refused(LoginRefusal::SessionNotLive);
        };
        let Some(held) = self.held(presented, parsed, session)? else {
            return refused(LoginRefusal::SessionNotLive);
        };
        if let Some(refusal) = held.refused_if_impersonated() {
            return refused(refusal);
        }
        if held.principal.assurance > Assurance::Aal2 {
            return Err(Error::invalid(
                "prove: only the host can authenticate a session of AAL3 again (sessions().open)",
            ));
        }
        match typed {
            Typed::Password(_) if held.principal.assurance > Assurance::Aal1 => {
                refused(LoginRefusal::MfaCodeRequired)
            }
            Typed::Password(password) => self.prove_by_password(&held, &password),
            Typed::Code(code) => self.prove_by_code(&held, &code),
        }
    }

    fn prove_by_password(&self, held: &Held, password: &Password) -> Result<LoginOutcome> {
        let ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                let refusal = LoginRefusal::Overloaded { retry_after };
                return Ok(self.unheard_as(EventKind::SessionProofRefused, refusal));
            }
        };
        let mut attempt = match self.reserve_for(held)? {
            Reserved::Attempt(attempt) => attempt,
            Reserved::Refused(refusal) => return Ok(self.not_reserved(refusal)),
        };
        let is_right = self.evaluate(&ticket, &mut attempt, password)?.matches;
        // Frees the slot: a login may hash while this call waits for the file.
        drop(ticket);
        let proved = self.write(|tx| {
            let live = match self.held_now(tx, held)? {
                Ok(live) => live.principal,
                Err(_) => {
                    return refuse(tx, held, &attempt, LoginRefusal::SessionNotLive, is_right);
                }
            };
            let version = credential::of(tx, live.user)?.map(|now| now.version);
            let is_right = is_right
                && version.is_some()
                && version == attempt.credential.as_ref().map(|then| then.version);
            if !is_right {
                return refuse(tx, held, &attempt, LoginRefusal::InvalidCredentials, false);
            }
            if live.assurance > Assurance::Aal1 {
                return refuse(tx, held, &attempt, LoginRefusal::MfaCodeRequired, true);
            }
            attempt.refund(tx)?;
            self.proved(tx, (held, &live), &attempt, live.assurance)
        });
        proved.inspect_err(|error| self.uncharge_without_key(&attempt, error))
    }

    fn prove_by_code(&self, held: &Held, code: &FactorCode) -> Result<LoginOutcome> {
        if !self.read(|tx| second_factor::is_in_force(tx, held.principal.user))? {
            return Ok(LoginOutcome::Refused(LoginRefusal::MfaEnrolmentRequired));
        }
        let attempt = match self.reserve_for(held)? {
            Reserved::Attempt(attempt) => attempt,
            Reserved::Refused(refusal) => return Ok(self.not_reserved(refusal)),
        };
        let proved = self.write(|tx| {
            let live = match self.held_now(tx, held)? {
                Ok(live) => live.principal,
                // Nothing was evaluated.
                Err(_) => return refuse(tx, held, &attempt, LoginRefusal::SessionNotLive, true),
            };
            match second_factor::use_totp(tx, self.options(), live.user, code)? {
                CodeUse::Totp | CodeUse::Recovery => {
                    throttle::succeeded(tx, live.user, None)?;
                    let assurance = live.assurance.max(Assurance::Aal2);
                    self.proved(tx, (held, &live), &attempt, assurance)
                }
                CodeUse::Wrong | CodeUse::Used => {
                    refuse(tx, held, &attempt, LoginRefusal::InvalidCredentials, false)
                }
                CodeUse::LacksKey => {
                    self.core().pending.counts.key_missing();
                    refuse(tx, held, &attempt, LoginRefusal::InvalidCredentials, true)
                }
            }
        });
        proved.inspect_err(|error| self.uncharge_without_key(&attempt, error))
    }

    fn not_reserved(&self, refusal: LoginRefusal) -> LoginOutcome {
        match refusal {
            LoginRefusal::TooManyAttempts { .. } => {
                self.unheard_as(EventKind::SessionProofRefused, refusal)
            }
            refusal => LoginOutcome::Refused(refusal),
        }
    }

    /// Gives the session its level, the present as the time of its authentication, and a new token.
    fn proved(
        &self,
        tx: &WriteTx<'_>,
        (held, live): (&Held, &Principal),
        attempt: &Attempt,
        assurance: Assurance,
    ) -> Result<Written<LoginOutcome>> {
        let (token, secret_hash) =
            token::mint(TokenKind::Session, *held.session.as_bytes(), tx.random())?;
        session::prove(tx, held.session, &secret_hash, assurance)?;
        // As it is now: it may have been renewed since the session was presented.
        let expires_at = live
            .expires_at
            .ok_or_else(|| Error::corrupt("a session without an end is in the file"))?;
        let opened = OpenedSession { id: held.session, token, expires_at, clamped: false };
        let reply: LoginReply = granted(tx, self, live.user, opened)?;
        let event = subject_event(EventKind::SessionProved, &attempt.subject)
            .session(held.session)
            .detail(assurance.as_str());
        Ok(Written::With(LoginOutcome::Granted(Box::new(reply)), event))
    }
}

fn refuse(
    tx: &WriteTx<'_>,
    held: &Held,
    attempt: &Attempt,
    refusal: LoginRefusal,
    is_no_guess: bool,
) -> Result<Written<LoginOutcome>> {
    refused_in_session(tx, EventKind::SessionProofRefused, held, attempt, refusal, is_no_guess)
}
