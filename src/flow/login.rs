//! Log in with a password: admission, reservation, hash, settlement.
//!
//! 1. The hashing queue admits, or answers `Overloaded`: nothing has been looked up yet.
//! 2. A short write looks the name up and charges the attempt, so that no crash and no race gives a
//!    guess away. While the name or the device waits, nothing is evaluated.
//! 3. Exactly one password hash is verified, whoever it is and whether they exist or not.
//! 4. One write reads everything anew and settles: the session, the reply, the event.
//!
//! A stored hash of a lower cost is made anew at the very end, after all else succeeded.

mod fresh;
mod open;
mod reply;
mod request;

pub(crate) use fresh::fresh;
pub(crate) use open::{Opening, Room, open, room, settle_idleness};
pub use reply::{LoginAnswer, LoginReply, OpenedSession, Profile};
pub(crate) use reply::{granted, profile};
pub(crate) use request::check_opening;
pub use request::{ClientKind, LogIn};

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Revocation};
use crate::flow::sweep::sweep_a_little;
use crate::hasher::{Admission, Hashed, Ticket, Verification};
use crate::options::{ChangeAtLogin, Options};
use crate::record::audit::{self, Source, Written};
use crate::record::credential::{self, Credential};
use crate::record::throttle::{self, Charge, Reservation, Subject};
use crate::record::user::{self, Named, User};
use crate::record::{branch, device, organisation};
use crate::storage::{ReadTx, Settled, WriteTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::{Event, EventKind};
use crate::value::facts::{Assurance, UserStatus};
use crate::value::id::UserId;
use crate::value::name::{EmailAddress, Username, folded};
use crate::value::refusal::Refusal;
use crate::value::secret::Password;
use crate::value::target::Target;
use crate::value::time::Timestamp;

impl Store {
    /// Logs a user in on a device.
    ///
    /// Every refusal but bad input, too many attempts and overloaded costs exactly one password
    /// hash, and an unknown user is told the same as a wrong password. Other refusals are told
    /// only to somebody who gave the right password. Every outcome leaves one row in the audit log.
    ///
    /// Hashes a password (about 15 ms with the default cost) and writes the file twice; waits for
    /// a free hashing slot. In an async program, call it from a blocking thread.
    ///
    /// # Errors
    /// `Invalid` for a request that no user could make (a password over 4,096 bytes, a name over
    /// 254, a label over 128, an end in the past, no device where one is required), and the
    /// store could not tell: `Busy`, `Full`, `Io`, `ReadOnly`, `CommitUnknown`, `Corrupt`,
    /// `NoRandom`, `Closed`. If a new password was given and the current one proven, this process
    /// refuses the user's sessions after `Full`, `Io`, `ReadOnly` and `CommitUnknown`. A refused
    /// login is a value.
    ///
    /// ```
    /// use gatepost::{DeviceId, LogIn, NewUser, Options, Password, Refusal, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let device = DeviceId::new("till-1")?;
    ///
    /// let wrong = LogIn::new("ada", Password::from("till and tall"), device.clone());
    /// assert_eq!(store.log_in(wrong)?.granted().unwrap_err(), Refusal::InvalidCredentials);
    ///
    /// let right = LogIn::new("ADA", Password::from("till and tally"), device);
    /// assert_eq!(store.log_in(right)?.granted()?.user.username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_in(&self, request: LogIn) -> Result<LoginAnswer> {
        request.check(self.options(), self.now())?;
        let ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                return Ok(LoginAnswer::Refused(self.overloaded(retry_after)));
            }
        };
        let attempt = match self.reserve(&request)? {
            Reserved::Attempt(attempt) => attempt,
            Reserved::Refused(refusal) => return Ok(LoginAnswer::Refused(refusal)),
        };
        let verification = self.evaluate(&ticket, &attempt, &request.password)?;
        let step = self.next_step(&request, &attempt, &ticket, verification)?;
        // Others may hash while this one waits for the file.
        drop(ticket);
        let answer = self.settle(&request, &attempt, verification, &step)?;
        if verification.needs_upgrade && matches!(step, Step::Open) && answer.is_granted() {
            self.upgrade_hash(&attempt, &request.password);
        }
        Ok(answer)
    }

    /// Verifies the password of an attempt that is charged. What could not be evaluated is not
    /// charged, as far as the file can still be written.
    pub(crate) fn evaluate(
        &self,
        ticket: &Ticket<'_>,
        attempt: &Attempt,
        password: &Password,
    ) -> Result<Verification> {
        ticket.verify(password, attempt.usable_hash()).inspect_err(|_| {
            let _ = self.transact(|tx| {
                throttle::refund(tx, &attempt.subject, &attempt.charge).map(Settled::Commit)
            });
        })
    }

    /// Counted, not written: what is too busy to hash shall not be kept busy by its log.
    pub(crate) fn overloaded(&self, retry_after: std::time::Duration) -> Refusal {
        let refusal = Refusal::Overloaded { retry_after };
        if self.core().pending.counts.count(EventKind::LoginRefused, refusal.name(), self.now()) {
            self.flush_tally();
        }
        refusal
    }

    fn reserve(&self, request: &LogIn) -> Result<Reserved> {
        let options = self.options();
        let device = request.device.as_ref().map(DeviceDigest::of);
        self.transact(|tx| {
            // Fold in both cases, so that timing does not reveal whether the user exists.
            let typed = folded(&request.username);
            let (name_key, user) = match find(tx, options, &request.username)? {
                Some(user) => (user.username_key, Some(user.id)),
                None => (typed, None),
            };
            let subject = throttle::subject(tx, &name_key, user, device)?;
            charge(tx, self, subject, request.origin.as_ref())
        })
    }

    /// What the settlement is to do. A new password is hashed only if nothing is against the
    /// login so far: a refusal costs one verification and no second hash.
    fn next_step(
        &self,
        request: &LogIn,
        attempt: &Attempt,
        ticket: &Ticket<'_>,
        verification: Verification,
    ) -> Result<Step> {
        let (Some(new), Some(user), true) =
            (&request.new_password, attempt.subject.user, verification.matches)
        else {
            return Ok(Step::Open);
        };
        let login = Login { store: self, request, attempt };
        if let Err(refusal) = self.read(|tx| login.decide(tx, verification))? {
            return Ok(Step::Refuse(refusal));
        }
        Ok(match fresh(self, ticket, user, &request.password, new)? {
            Ok(hash) => Step::OpenWith(user, hash),
            Err(rule) => Step::Refuse(Refusal::PasswordRejected(rule)),
        })
    }

    fn settle(
        &self,
        request: &LogIn,
        attempt: &Attempt,
        verification: Verification,
        step: &Step,
    ) -> Result<LoginAnswer> {
        let login = Login { store: self, request, attempt };
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            if let Some(user) = attempt.subject.user.filter(|_| verification.matches) {
                settle_idleness(tx, self, user, request.device.as_ref())?;
            }
            let decided = match step {
                Step::Refuse(refusal) => Err(*refusal),
                Step::Open | Step::OpenWith(..) => login.decide(tx, verification)?,
            };
            let fresh = match (step, revocation) {
                (Step::OpenWith(_, hash), Some(revocation)) => Some((hash, revocation)),
                _ => None,
            };
            match decided {
                Ok((user, room)) => login.grant(tx, &user, room, fresh),
                Err(refusal) => login.refuse(tx, refusal, verification.matches),
            }
        };
        match step {
            Step::OpenWith(user, _) => {
                let (target, cause) = (Target::User(*user), Cause::OwnPasswordChange);
                self.revoke(target, cause, |tx, revocation| job(tx, Some(revocation)))
            }
            Step::Open | Step::Refuse(_) => self.write(|tx| job(tx, None)),
        }
    }

    /// Failing to raise a cost is no reason to take back a login.
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
            let _ = self.transact(|tx| {
                credential::upgrade(tx, user, &credential.phc, hash.as_str()).map(Settled::Commit)
            });
        }
    }
}

/// What the first write of a login learned.
pub(crate) struct Attempt {
    pub(crate) subject: Subject,
    pub(crate) charge: Charge,
    pub(crate) credential: Option<Credential>,
}

pub(crate) enum Reserved {
    Attempt(Attempt),
    Refused(Refusal),
}

impl Attempt {
    /// The stored hash to compare with; none means the same work for nothing. A compromised
    /// password is worth nothing.
    pub(crate) fn usable_hash(&self) -> Option<&str> {
        self.credential
            .as_ref()
            .filter(|credential| !credential.compromised)
            .map(|credential| credential.phc.as_str())
    }
}

/// The user of that name or, where that is allowed, of that e-mail address. Both are looked for in
/// any case: how long it takes shall not tell whether the first was found.
fn find(tx: &ReadTx<'_>, options: &Options, name: &str) -> Result<Option<Named>> {
    let by_name = match Username::parse(name) {
        Ok(username) => user::by_username_key(tx, &username.key)?,
        Err(_) => None,
    };
    if !options.login_by_email {
        return Ok(by_name);
    }
    let by_email = match EmailAddress::parse(name) {
        Ok(email) => user::by_email_key(tx, &email.key)?,
        Err(_) => None,
    };
    Ok(by_name.or(by_email))
}

/// Charges the attempt before anything is evaluated, or turns it away.
pub(crate) fn charge(
    tx: &WriteTx<'_>,
    store: &Store,
    subject: Subject,
    origin: Option<&crate::value::event::Origin>,
) -> Result<Settled<Reserved>> {
    let options = store.options();
    match throttle::reserve(tx, &subject, options.disable_at_100)? {
        Reservation::Granted(charge) => {
            let nothing = store.core().hasher.nobody();
            let user = subject.user.unwrap_or(UserId::NOBODY);
            let credential = credential::sought(tx, user, nothing)?;
            Ok(Settled::Commit(Reserved::Attempt(Attempt { subject, charge, credential })))
        }
        Reservation::Wait { retry_after, until, first_in_window } => {
            let refusal = if options.reveal_lock {
                Refusal::AccountLocked { until: until.map(Timestamp::to_datetime) }
            } else {
                Refusal::TooManyAttempts { retry_after }
            };
            if !first_in_window {
                return Ok(Settled::Nothing(Reserved::Refused(refusal)));
            }
            let event = subject_event(EventKind::AttemptsThrottled, &subject)
                .origin(origin.cloned())
                .refused(Refusal::TooManyAttempts { retry_after }.name());
            let keep = options.audit_kept_rows;
            audit::append(tx, Source::Gatepost, event.kind.name(), &event, keep)?;
            Ok(Settled::Commit(Reserved::Refused(refusal)))
        }
    }
}

/// An event about whoever tried. Of a name that nobody has nothing is kept, not even a digest:
/// people type passwords there, and the log is kept for long.
pub(crate) fn subject_event(kind: EventKind, subject: &Subject) -> Event {
    Event::new(kind).user(subject.user).device(subject.device)
}

/// What follows from the verification.
enum Step {
    Open,
    /// Store this hash of the user's new password, which revokes what was opened before.
    OpenWith(UserId, Hashed),
    Refuse(Refusal),
}

/// A login whose password was verified.
struct Login<'l> {
    store: &'l Store,
    request: &'l LogIn,
    attempt: &'l Attempt,
}

impl Login<'_> {
    /// Whether a session may be opened, as this snapshot stands.
    fn decide(
        &self,
        tx: &ReadTx<'_>,
        verification: Verification,
    ) -> Result<std::result::Result<(User, Room), Refusal>> {
        let Some(id) = self.attempt.subject.user.filter(|_| verification.matches) else {
            return Ok(Err(Refusal::InvalidCredentials));
        };
        let (Some(user), Some(credential)) = (user::find(tx, id)?, credential::of(tx, id)?) else {
            return Ok(Err(Refusal::InvalidCredentials));
        };
        // The password that was verified may have been replaced meanwhile.
        let verified = self.attempt.credential.as_ref().map(|before| before.version);
        if verified != Some(credential.version) || credential.compromised {
            return Ok(Err(Refusal::InvalidCredentials));
        }
        if let Some(refusal) = standing(tx, &user)? {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = self.request.refused_for(&user, self.store.options()) {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = self.password_demand(&credential, tx.now()) {
            return Ok(Err(refusal));
        }
        let room = room(tx, self.store.options(), &self.opening(user.id))?;
        Ok(room.map(|room| (user, room)))
    }

    fn password_demand(&self, credential: &Credential, now: Timestamp) -> Option<Refusal> {
        let options = self.store.options();
        let expired =
            options.password_expiry.is_some_and(|after| credential.set_at.plus(after) <= now);
        let marked = credential.must_change || expired;
        match self.request.new_password {
            None if marked => Some(Refusal::NewPasswordRequired),
            Some(_) if !marked && options.change_at_login != ChangeAtLogin::Always => {
                Some(Refusal::PasswordChangeNotAllowed)
            }
            _ => None,
        }
    }

    fn opening(&self, user: UserId) -> Opening<'_> {
        Opening {
            user,
            device: self.request.device.as_ref(),
            expires_at: self.request.expires_at,
            label: self.request.label.as_deref(),
            origin: self.request.origin.as_ref(),
            assurance: Assurance::Aal1,
            ends_others: self.request.new_password.is_some(),
        }
    }

    fn grant(
        &self,
        tx: &WriteTx<'_>,
        user: &User,
        room: Room,
        fresh: Option<(&Hashed, &Revocation)>,
    ) -> Result<Written<LoginAnswer>> {
        if let Some((hash, revocation)) = fresh {
            credential::set(tx, user.id, hash.as_str(), false)?;
            revocation.apply(tx)?;
        }
        let opened = open(tx, self.store.options(), &self.opening(user.id), room)?;
        throttle::succeeded(tx, &self.attempt.subject)?;
        if let Some(device) = self.attempt.subject.device {
            device::seen(tx, user.id, device)?;
        }
        user::logged_in(tx, user.id)?;
        sweep_a_little(self.store, tx)?;
        let event = subject_event(EventKind::LoginGranted, &self.attempt.subject)
            .session(opened.id)
            .origin(self.request.origin.clone());
        let event = if fresh.is_some() { event.reason("password_changed") } else { event };
        let reply = granted(tx, self.store, user.id, opened)?;
        Ok(Written::With(LoginAnswer::Granted(Box::new(reply)), event))
    }

    /// A right password is no failed guess, even if it opens nothing.
    fn refuse(
        &self,
        tx: &WriteTx<'_>,
        refusal: Refusal,
        password_was_right: bool,
    ) -> Result<Written<LoginAnswer>> {
        if password_was_right && refusal != Refusal::InvalidCredentials {
            throttle::refund(tx, &self.attempt.subject, &self.attempt.charge)?;
        }
        let event = subject_event(EventKind::LoginRefused, &self.attempt.subject)
            .origin(self.request.origin.clone())
            .refused(refusal.name());
        let event = match refusal {
            Refusal::PasswordRejected(rule) => event.detail(rule.name()),
            _ => event,
        };
        Ok(Written::With(LoginAnswer::Refused(refusal), event))
    }
}

/// Whether the user, the branch and the organisation let anyone in.
pub(crate) fn standing(tx: &ReadTx<'_>, user: &User) -> Result<Option<Refusal>> {
    match user.status {
        UserStatus::Active => {}
        UserStatus::Locked => return Ok(Some(Refusal::AccountLocked { until: None })),
        UserStatus::Disabled => return Ok(Some(Refusal::AccountDisabled)),
        UserStatus::Pending => return Ok(Some(Refusal::AccountPending)),
    }
    let Some(branch) = user.branch else {
        return Ok(None);
    };
    let missing = || Error::corrupt("a user stands in a branch that does not exist");
    let branch = branch::find(tx, branch)?.ok_or_else(missing)?;
    if !branch.active {
        return Ok(Some(Refusal::BranchDisabled));
    }
    let Some(organisation) = branch.organisation else {
        return Ok(None);
    };
    let missing = || Error::corrupt("a branch stands in an organisation that does not exist");
    let organisation = organisation::find(tx, organisation)?.ok_or_else(missing)?;
    Ok((!organisation.active).then_some(Refusal::OrganisationDisabled))
}
