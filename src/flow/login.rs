//! Log in with a password: admission, charge, hash, session.
//!
//! 1. If the typed name waits, and the wait is younger than 30 s, the login is refused. Otherwise
//!    the hashing queue admits the login, or refuses it with `Overloaded`.
//! 2. A short write looks the name up and charges the attempt, so that no crash and no race gives a
//!    guess for free. While the gate of the user is closed, its password is hashed, not compared.
//! 3. Exactly one password hash is verified, whether the user exists or not.
//! 4. One write reads everything again, then opens the session, or refuses, and records the event.
//!
//! A stored hash of a lower cost is replaced at the very end, after all else succeeded.

mod complete;
mod grant;
mod new_password;
mod open;
mod reply;
mod request;
mod reserve;
mod second_factor;
mod status;
mod temporary;

pub use complete::CompleteLogin;
pub(crate) use complete::step_token;
pub(crate) use new_password::{Current, hash_new_password};
use open::seen_on;
pub(crate) use open::{Displaced, Opening, Room, open, room, write_uses_of};
pub use reply::{LoginOutcome, LoginReply, OpenedSession, PendingStep, Profile};
pub(crate) use reply::{granted, profile};
pub(crate) use request::check_opening;
pub use request::{ClientKind, LoginRequest};
pub(crate) use reserve::{Attempt, Reserved};
pub(crate) use second_factor::{Need, need, suspended};
pub(crate) use status::refusal_of_status;

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation};
use crate::hasher::{Admission, Hashed, Ticket, Verification};
use crate::options::ChangeAtLogin;
use crate::record::audit;
use crate::record::credential::{self, Former, StoredPassword};
use crate::record::pending_step;
use crate::record::second_factor::CodeUse;
use crate::record::throttle::Subject;
use crate::record::user::{self, User};
use crate::spans;
use crate::storage::{Finished, ReadTx, WriteTx};
use crate::store::Store;
use crate::value::event::{ClientInfo, Event, EventKind};
use crate::value::id::UserId;
use crate::value::name::typed::TypedName;
use crate::value::refusal::LoginRefusal;
use crate::value::second_factor::TypedFactor;
use crate::value::secret::Password;
use crate::value::target::Target;
use crate::value::time::Timestamp;

impl Store {
    /// Logs a user in on a device, and opens a session.
    ///
    /// Every refusal costs exactly one password hash, except overloaded, too many attempts in the
    /// first 30 s of a wait, and a new password that is the stored one, which costs a second. An
    /// unknown user and a wrong password get the same refusal (ASVS 6.3.8); the other refusals need
    /// the right password. A
    /// [temporary password](crate::sessions::NewOneTimeToken::temporary_password) is accepted once,
    /// with a new password beside it. Each outcome after a hash leaves one row in the audit log
    /// (ASVS 16.3.1). The manual lists
    /// [which sessions a login replaces](crate::manual::revocation).
    ///
    /// Waits for a free hashing slot, hashes one password (about 15 ms with the default cost; a new
    /// password is a second hash) and writes the file twice. In an async program, call it from a
    /// blocking thread.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let device = DeviceId::new("till-1")?;
    ///
    /// let wrong = LoginRequest::new("ada", Password::from("till and tall"), device.clone());
    /// assert_eq!(store.log_in(wrong)?.granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    ///
    /// let right = LoginRequest::new("ADA", Password::from("till and tally"), device);
    /// assert_eq!(store.log_in(right)?.granted()?.profile.user.username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refused login is a value, a [`LoginRefusal`]. Fails as
    /// [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for a request that no user could make: a password
    ///   over 4,096 bytes, a name over 254 bytes, a label over 128 bytes, an expiry that is not in
    ///   the future, or no device where one is required;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals: nothing is charged;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// If a new password comes with the right current one and the disk refuses the write, this
    /// process refuses the user's sessions from memory.
    #[doc(alias("login", "signin", "authenticate"))]
    pub fn log_in(&self, request: LoginRequest) -> Result<LoginOutcome> {
        spans::span!("log_in");
        self.log_in_with(&request).inspect(|outcome| self.count_login(outcome))
    }

    /// Counts a refused outcome for [`Store::status`].
    pub(crate) fn count_login(&self, outcome: &LoginOutcome) {
        if let LoginOutcome::Refused(refusal) = outcome {
            self.core().pending.counts.login_refused(refusal.name());
        }
    }

    fn log_in_with(&self, request: &LoginRequest) -> Result<LoginOutcome> {
        request.check(self.options(), self.now())?;
        let typed = TypedName::parse(&request.username);
        let word = self.core().pending.words.word(&typed.canonical);
        if let Some(refusal) = self.turned_away(request, &typed, word)? {
            return Ok(self.unheard(refusal));
        }
        let mut ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                return Ok(self.unheard(LoginRefusal::Overloaded { retry_after }));
            }
        };
        let mut attempt = match self.reserve(request, &typed, word)? {
            Reserved::Attempt(attempt) => attempt,
            Reserved::Refused(refusal) => return Ok(self.unheard(refusal)),
        };
        let verification = self.evaluate(&ticket, &mut attempt, &request.password)?;
        attempt.temporary = self.temporary_password(&attempt, &request.password)?;
        attempt.lacks_key &= attempt.temporary.is_none();
        let matches = verification.matches || attempt.temporary.is_some();
        let verification = Verification { matches, ..verification };
        let step = self
            .next_step(request, &attempt, Some(&mut ticket), verification)
            .inspect_err(|_| self.uncharge(&attempt))?;
        // Frees the slot: another login may hash while this one waits for the file.
        drop(ticket);
        let answer = self
            .finish(request, &attempt, verification, &step)
            .inspect_err(|error| self.uncharge_without_key(&attempt, error))?;
        self.settle_words(&attempt, &answer);
        let is_kept = matches!(step, NextStep::Open | NextStep::OpenRevoking(_));
        let is_refused = matches!(answer, LoginOutcome::Refused(_));
        // Where a second factor is missing, this is the only call that knows the password.
        if verification.needs_upgrade && is_kept && !is_refused {
            self.upgrade_hash(&attempt, &request.password);
        }
        Ok(answer)
    }

    /// Decides what the second write does. A new password is hashed only if nothing else refuses
    /// the login, so that a refusal costs one verification and no second hash.
    fn next_step(
        &self,
        request: &LoginRequest,
        attempt: &Attempt,
        ticket: Option<&mut Ticket<'_>>,
        verification: Verification,
    ) -> Result<NextStep> {
        let Some(user) = attempt.subject.user.filter(|_| verification.matches) else {
            return Ok(NextStep::Open);
        };
        if request.new_password.is_none() && request.factor.is_none() {
            return Ok(NextStep::Open);
        }
        let found = self.read(|tx| {
            let login = Login { store: self, request, attempt };
            let decided = match login.decide(tx, verification)? {
                Ok(decided) => decided,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let checked = match (decided.need, &request.factor) {
                (Need::Typed, Some(typed)) => {
                    Some(second_factor::check(tx, self.options(), user, attempt.step(), typed)?)
                }
                _ => None,
            };
            let former = match attempt.temporary {
                Some(_) => Some(Former::of(tx, self.options(), user)?),
                None => None,
            };
            Ok(Ok((decided.need, checked, former)))
        })?;
        let (need, checked, former) = match found {
            Err(refusal) => return Ok(NextStep::Refuse(refusal)),
            Ok(found) => found,
        };
        let revokes = match (need, checked) {
            (Need::Missing(_), _) => return Ok(NextStep::Open),
            (_, None) => false,
            (_, Some(CodeUse::Totp | CodeUse::Recovery)) => {
                request.factor.as_ref().is_some_and(TypedFactor::revokes)
            }
            (_, Some(unproven)) => return Ok(NextStep::RefuseFactor(unproven)),
        };
        let (Some(new), Some(ticket)) = (&request.new_password, ticket) else {
            return Ok(if revokes { NextStep::OpenRevoking(user) } else { NextStep::Open });
        };
        let current = match (attempt.temporary.as_ref().zip(former.as_ref()), attempt.step()) {
            (Some((token, former)), _) => Current::Temporary(token, former),
            (None, Some(_)) => Current::Stored(attempt),
            (None, None) => Current::Typed(&request.password),
        };
        Ok(match hash_new_password(self, ticket, user, current, new)? {
            Ok(hash) => NextStep::OpenWith(user, Fresh { hash, former }),
            Err(rule) => NextStep::Refuse(LoginRefusal::PasswordRejected(rule)),
        })
    }

    fn finish(
        &self,
        request: &LoginRequest,
        attempt: &Attempt,
        verification: Verification,
        step: &NextStep,
    ) -> Result<LoginOutcome> {
        let login = Login { store: self, request, attempt };
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            if let Some(user) = attempt.subject.user.filter(|_| verification.matches) {
                write_uses_of(tx, self, user, request.device.as_ref())?;
            }
            let decided = match step {
                NextStep::RefuseFactor(found) => return login.refuse_factor(tx, *found),
                NextStep::Refuse(refusal) => Err(*refusal),
                NextStep::Open | NextStep::OpenRevoking(_) | NextStep::OpenWith(..) => {
                    login.decide(tx, verification)?
                }
            };
            let fresh = match step {
                NextStep::OpenWith(_, fresh) => Some(fresh),
                _ => None,
            };
            match decided {
                Ok(Decided { need: Need::Missing(demand), user, is_marked, .. }) => {
                    login.suspend(tx, &user, demand, is_marked)
                }
                // A weak hash is sealed when it is replaced.
                Ok(decided) => {
                    login.grant(tx, decided, fresh, revocation, verification.needs_upgrade)
                }
                Err(refusal) if !verification.matches => {
                    login.use_up_code(tx)?;
                    login.refuse(tx, refusal)
                }
                Err(refusal) => login.refuse(tx, refusal),
            }
        };
        self.revoke_if(Self::revocation_of(request, step), job)
    }

    /// What the login revokes if it is granted.
    fn revocation_of(request: &LoginRequest, step: &NextStep) -> Option<(Target, Cause)> {
        match step {
            NextStep::OpenWith(user, _) => {
                let cause = Cause::OwnPasswordChange { and_keys: request.revoke_api_keys };
                Some((Target::User(*user), cause))
            }
            NextStep::OpenRevoking(user) => {
                Some((Target::User(*user), Cause::SecondFactorChanged))
            }
            NextStep::Open | NextStep::Refuse(_) | NextStep::RefuseFactor(_) => None,
        }
    }

    /// Replaces a hash of lower cost. A failure is ignored: the login was granted already.
    fn upgrade_hash(&self, attempt: &Attempt, password: &Password) {
        let (Some(user), Some(credential)) = (attempt.subject.user, &attempt.credential) else {
            return;
        };
        let Admission::Admitted(ticket) = self.core().hasher.admit(self.now()) else {
            return;
        };
        let still_old = self
            .read(|tx| Ok(credential::of(tx, user)?.is_some_and(|now| now.phc == credential.phc)));
        if !matches!(still_old, Ok(true)) {
            return;
        }
        if let Ok(hash) = ticket.hash(password, self.core().storage.random()) {
            let upgraded = self.transact(|tx| {
                let (options, old) = (self.options(), &credential.phc);
                credential::upgrade(tx, options, user, old, hash.as_str()).map(Finished::Commit)
            });
            if matches!(upgraded, Ok(true)) {
                self.core().hasher.count_upgrade();
            }
        }
    }
}

/// An event about the subject of an attempt. Nothing is logged of an unknown username, not even a
/// digest: people type passwords there, and the log is kept for long.
pub(crate) fn subject_event(kind: EventKind, subject: &Subject) -> Event {
    Event::new(kind).user(subject.user).device(subject.device)
}

/// Records it if this failure stops further attempts on the user. What could not be compared,
/// because the key of the hash is missing, is no guess and takes its charge back.
pub(crate) fn failed(
    tx: &WriteTx<'_>,
    attempt: &Attempt,
    client_info: Option<&ClientInfo>,
) -> Result<()> {
    if attempt.lacks_key {
        return attempt.refund(tx);
    }
    if !attempt.stops() {
        return Ok(());
    }
    let event = subject_event(EventKind::AttemptsThrottled, &attempt.subject)
        .client_info(client_info.cloned());
    audit::append(tx, &event)
}

/// A login that nothing refuses.
struct Decided {
    user: User,
    room: Room,
    need: Need,
    /// Whether the user must choose a new password.
    is_marked: bool,
}

/// The step that follows the verification.
enum NextStep {
    Open,
    /// The second factor that was typed is right, and its use revokes the user's credentials.
    OpenRevoking(UserId),
    /// Stores this hash of the user's new password, which revokes the earlier sessions.
    OpenWith(UserId, Fresh),
    Refuse(LoginRefusal),
    /// The second factor that was typed is not right, or could not be compared.
    RefuseFactor(CodeUse),
}

/// A new password that was checked and hashed.
struct Fresh {
    hash: Hashed,
    /// What it was compared with, if a temporary password was proved.
    former: Option<Former>,
}

/// A login whose password was verified.
struct Login<'l> {
    store: &'l Store,
    request: &'l LoginRequest,
    attempt: &'l Attempt,
}

impl Login<'_> {
    /// Decides in this snapshot whether a session may be opened, and what is needed for it.
    fn decide(
        &self,
        tx: &ReadTx<'_>,
        verification: Verification,
    ) -> Result<std::result::Result<Decided, LoginRefusal>> {
        if let Some(step) = self.attempt.step()
            && !pending_step::is_valid(tx, step)?
        {
            return Ok(Err(LoginRefusal::StepNotLive));
        }
        let Some(id) = self.attempt.subject.user.filter(|_| verification.matches) else {
            return Ok(Err(LoginRefusal::InvalidCredentials));
        };
        let Some(user) = user::find(tx, id)? else {
            return Ok(Err(LoginRefusal::InvalidCredentials));
        };
        let credential = credential::of(tx, id)?;
        if !self.attempt.is_proven(tx, id, credential.as_ref())? {
            return Ok(Err(match self.attempt.step() {
                // A step proves no more: nothing was guessed.
                Some(_) => LoginRefusal::StepNotLive,
                None => LoginRefusal::InvalidCredentials,
            }));
        }
        if let Some(refusal) = refusal_of_status(tx, &user)? {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = self.request.refused_for(&user, self.store.options()) {
            return Ok(Err(refusal));
        }
        // Trust replaces no factor where the password is to change (ASVS 7.5.1).
        let trusted = self.attempt.subject.device.filter(|_| self.request.new_password.is_none());
        let need = need(tx, &user, trusted, self.request.factor.as_ref())?;
        if self.attempt.step().is_some() && need != Need::Typed {
            // The factor was removed or added since.
            return Ok(Err(LoginRefusal::StepNotLive));
        }
        let is_marked = self.is_marked(credential.as_ref(), tx.now());
        match self.password_demand(is_marked) {
            // The completion of the step must carry it.
            Some(LoginRefusal::NewPasswordRequired) if matches!(need, Need::Missing(_)) => {}
            Some(refusal) => return Ok(Err(refusal)),
            None => {}
        }
        let room = room(tx, self.store.options(), &self.opening(user.id, need))?;
        Ok(room.map(|room| Decided { user, room, need, is_marked }))
    }

    /// Whether the user must choose a new password. One whom the host has authenticated uses none.
    fn is_marked(&self, credential: Option<&StoredPassword>, now: Timestamp) -> bool {
        if self.attempt.is_by_host() {
            return false;
        }
        let options = self.store.options();
        self.attempt.temporary.is_some()
            || credential.is_some_and(|stored| stored.must_be_replaced(options, now))
    }

    fn password_demand(&self, is_marked: bool) -> Option<LoginRefusal> {
        let always = self.store.options().change_at_login == ChangeAtLogin::Always
            && !self.attempt.is_by_host();
        match self.request.new_password {
            None if is_marked => Some(LoginRefusal::NewPasswordRequired),
            Some(_) if !is_marked && !always => Some(LoginRefusal::PasswordChangeNotAllowed),
            _ => None,
        }
    }

    fn opening(&self, user: UserId, need: Need) -> Opening<'_> {
        Opening {
            user,
            device: self.request.device.as_ref(),
            end: self.request.end,
            label: self.request.label.as_deref(),
            client_info: self.request.client_info.as_ref(),
            assurance: need.assurance(),
            revokes_others: self.request.new_password.is_some()
                || (need == Need::Typed
                    && self.request.factor.as_ref().is_some_and(TypedFactor::revokes)),
        }
    }
}
