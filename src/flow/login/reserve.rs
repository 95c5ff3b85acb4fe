//! The first half of a login: whose attempt it is, and whether its password is compared.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{LoginOutcome, LoginRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::{Ticket, Verification};
use crate::pending::words::{Passage, Word, WordCharge};
use crate::record::credential::{self, StoredPassword};
use crate::record::pending_step::{self, PendingStepRow, Proved};
use crate::record::throttle::{self, Charge, Reservation, Subject};
use crate::record::{one_time_token, options, store, user};
use crate::storage::{Finished, ReadTx, WriteTx};
use crate::store::Store;
use crate::value::digest::{DeviceDigest, keyed16};
use crate::value::event::EventKind;
use crate::value::id::UserId;
use crate::value::name::typed::TypedName;
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Password;
use crate::value::token::ParsedToken;

/// What the first write of a login learned.
pub(crate) struct Attempt {
    pub(crate) subject: Subject,
    /// `None` at a closed gate: the password is hashed and refused.
    charge: Option<Charge>,
    /// What the typed text was charged; `None` from a known device and in a session.
    words: Option<WordCharge>,
    pub(crate) credential: Option<StoredPassword>,
    /// What is hashed where there is no credential.
    stand_in: String,
    /// The temporary password of the user, if it was typed in the place of the password.
    pub(super) temporary: Option<ParsedToken>,
    /// Whether the password was not compared, as its hash is sealed under a key that this process
    /// lacks. False where something else was typed: a code, or a temporary password.
    pub(super) lacks_key: bool,
    /// The pending step that the attempt completes, and what the login proved.
    pub(super) step: Option<([u8; 16], Proved)>,
}

pub(crate) enum Reserved {
    Attempt(Box<Attempt>),
    Refused(LoginRefusal),
}

/// What the comparison of a password came to.
pub(super) struct Compared {
    pub(super) verification: Verification,
    /// Whether another hash was computed in the place of the stored one.
    lacks_key: bool,
}

impl Attempt {
    /// The answer if it fails, which the table of typed texts alone decides.
    pub(crate) fn failed(&self) -> LoginRefusal {
        match self.words.and_then(|words| words.waits) {
            Some(retry_after) => LoginRefusal::TooManyAttempts { retry_after },
            None => LoginRefusal::InvalidCredentials,
        }
    }

    /// Whether its failure stops further attempts for a day, or until an administrator acts.
    pub(crate) fn stops(&self) -> bool {
        self.charge.is_some_and(|charge| charge.stops)
    }

    /// Takes the charge back in the file: the password or code was right, or not compared.
    pub(crate) fn refund(&self, tx: &WriteTx<'_>) -> Result<()> {
        if let Some((step, _)) = &self.step {
            pending_step::refund(tx, step)?;
        }
        self.charge.map_or(Ok(()), |charge| throttle::refund(tx, &self.subject, &charge))
    }

    /// Whether it completes a step of a user whom the host has authenticated, without a password.
    pub(super) const fn is_by_host(&self) -> bool {
        matches!(self.step, Some((_, Proved::ByHost)))
    }

    /// The id of the pending step that it completes.
    pub(super) fn step(&self) -> Option<&[u8; 16]> {
        self.step.as_ref().map(|(id, _)| id)
    }

    /// Whether the gate was open for it.
    pub(super) const fn is_compared(&self) -> bool {
        self.charge.is_some()
    }

    /// A compromised password is worth nothing, and takes as long as any.
    fn may_match(&self) -> bool {
        self.is_compared()
            && self.credential.as_ref().is_some_and(|credential| !credential.compromised)
    }

    fn hash(&self) -> &str {
        self.credential.as_ref().map_or(&self.stand_in, |credential| &credential.phc)
    }
}

impl Store {
    /// Whether the typed text is in the first 30 s of a wait: refused without a hash or a write,
    /// unless the device is known.
    pub(super) fn turned_away(
        &self,
        request: &LoginRequest,
        typed: &TypedName,
        word: Word,
    ) -> Result<Option<LoginRefusal>> {
        let wall = self.core().storage.wall();
        let Some(retry_after) = self.core().pending.words.turns_away(word, wall) else {
            return Ok(None);
        };
        let is_known = self.read(|tx| {
            let device = request.device.as_ref().map(DeviceDigest::of);
            let (user, near) = find(tx, typed)?;
            Ok(throttle::known(tx, &Subject { user, near, device })?.is_some())
        })?;
        Ok((!is_known).then_some(LoginRefusal::TooManyAttempts { retry_after }))
    }

    pub(super) fn reserve(
        &self,
        request: &LoginRequest,
        typed: &TypedName,
        word: Word,
    ) -> Result<Reserved> {
        let device = request.device.as_ref().map(DeviceDigest::of);
        let mut charged = None;
        let reserved = self.transact(|tx| {
            // No test fails without this: with all features every hash can be computed. The program
            // of `scripts/beside` has no feature.
            credential::check_algorithms(tx)?;
            credential::check_key(tx, self.options())?;
            let (user, near) = find(tx, typed)?;
            let subject = Subject { user, near, device };
            let lockout = options::of_file(tx)?.lockout;
            let reservation = match throttle::known(tx, &subject)? {
                Some(known) => match throttle::reserve_known(tx, known, lockout)? {
                    Reservation::Closed(rest) => return Ok(Finished::Nothing(wait(rest))),
                    reservation => reservation,
                },
                None => match self.core().pending.words.charge(word, tx.wall()) {
                    Passage::TurnedAway(rest) => return Ok(Finished::Nothing(wait(rest))),
                    Passage::Through(charge) => {
                        charged = Some(charge);
                        throttle::reserve(tx, &subject, lockout)?
                    }
                },
            };
            let stand_in = self.stand_in(tx, typed)?;
            let attempt = self.attempt(tx, subject, reservation, charged, stand_in)?;
            Ok(Finished::Commit(Reserved::Attempt(attempt)))
        });
        if let (Err(_), Some(charge)) = (&reserved, &charged) {
            self.core().pending.words.take_back(charge);
        }
        reserved
    }

    /// As for a login, at the gate of the user who asks in a session.
    pub(crate) fn reserve_in_session(
        &self,
        tx: &WriteTx<'_>,
        subject: Subject,
    ) -> Result<Finished<Reserved>> {
        // No test fails without this: with all features every hash can be computed. The program
        // of `scripts/beside` has no feature.
        credential::check_algorithms(tx)?;
        credential::check_key(tx, self.options())?;
        let reservation = throttle::reserve(tx, &subject, options::of_file(tx)?.lockout)?;
        if let Reservation::Closed(rest) = reservation {
            return Ok(Finished::Nothing(wait(rest)));
        }
        let nothing = self.core().hasher.stand_in(&[], 0);
        let attempt = self.attempt(tx, subject, reservation, None, nothing)?;
        Ok(Finished::Commit(Reserved::Attempt(attempt)))
    }

    /// Charges a guess at a pending step, to the budget of its device and to the share of the step.
    pub(super) fn reserve_step(
        &self,
        tx: &WriteTx<'_>,
        row: &PendingStepRow,
        device: Option<DeviceDigest>,
    ) -> Result<Finished<Reserved>> {
        let subject = Subject { user: Some(row.user), near: row.user, device };
        let lockout = options::of_file(tx)?.lockout;
        let reservation = match throttle::known(tx, &subject)? {
            Some(known) => throttle::reserve_known(tx, known, lockout)?,
            None => throttle::reserve(tx, &subject, lockout)?,
        };
        if let Reservation::Closed(rest) = reservation {
            return Ok(Finished::Nothing(wait(rest)));
        }
        if !pending_step::charge(tx, &row.id, 0)? {
            return Ok(Finished::Nothing(Reserved::Refused(LoginRefusal::StepNotLive)));
        }
        let nothing = self.core().hasher.stand_in(&[], 0);
        let mut attempt = self.attempt(tx, subject, reservation, None, nothing)?;
        attempt.credential =
            attempt.credential.filter(|now| row.proved == Proved::Password(now.version));
        attempt.step = Some((row.id, row.proved));
        if let Proved::Temporary(id) = row.proved {
            attempt.temporary = one_time_token::presented(tx, id)?;
        }
        Ok(Finished::Commit(Reserved::Attempt(attempt)))
    }

    fn attempt(
        &self,
        tx: &ReadTx<'_>,
        subject: Subject,
        reservation: Reservation,
        words: Option<WordCharge>,
        stand_in: String,
    ) -> Result<Box<Attempt>> {
        let charge = match reservation {
            Reservation::Charged(charge) => Some(charge),
            Reservation::Closed(_) => None,
        };
        // What was read for the neighbour of an unknown name is left.
        let credential =
            credential::sought(tx, subject.near, &stand_in)?.filter(|_| subject.user.is_some());
        Ok(Box::new(Attempt {
            subject,
            charge,
            words,
            credential,
            stand_in,
            temporary: None,
            lacks_key: false,
            step: None,
        }))
    }

    /// Verifies the password of an attempt. What could not be compared is not charged, as far as
    /// the file can still be written.
    pub(crate) fn evaluate(
        &self,
        ticket: &Ticket<'_>,
        attempt: &mut Attempt,
        password: &Password,
    ) -> Result<Verification> {
        let compared =
            self.compare(ticket, attempt, password).inspect_err(|_| self.uncharge(attempt))?;
        attempt.lacks_key = compared.lacks_key;
        Ok(compared.verification)
    }

    /// As [`evaluate`](Self::evaluate), for a caller that takes the charge back after any error.
    pub(super) fn compare(
        &self,
        ticket: &Ticket<'_>,
        attempt: &Attempt,
        password: &Password,
    ) -> Result<Compared> {
        let (hash, is_stored) = self.opened(attempt)?;
        // No test fails without the last: the stand-in is the hash of no password.
        let verification = ticket.verify(password, &hash, attempt.may_match() && is_stored)?;
        Ok(Compared { verification, lacks_key: !is_stored })
    }

    /// The hash to compute, and whether it may match. Where the key is missing, it is one of the
    /// same cost that matches nothing.
    fn opened(&self, attempt: &Attempt) -> Result<(Zeroizing<String>, bool)> {
        let keyring = self.options().keyring.as_deref();
        let user = attempt.subject.user.unwrap_or(attempt.subject.near);
        match credential::open(keyring, user, attempt.hash())? {
            Some(phc) => Ok((phc, true)),
            None => {
                self.core().pending.counts.key_missing();
                let cost = credential::cost(attempt.hash()).to_owned();
                Ok((Zeroizing::new(self.core().hasher.stand_in(&[(cost, 1)], 0)), false))
            }
        }
    }

    /// Takes back the charges of an attempt in a write of its own.
    pub(crate) fn uncharge(&self, attempt: &Attempt) {
        self.take_back_words(attempt);
        let _ = self.transact(|tx| attempt.refund(tx).map(Finished::Commit));
    }

    /// Takes back the charges of an attempt that ended because the key of the file has gone.
    pub(crate) fn uncharge_without_key(&self, attempt: &Attempt, error: &Error) {
        if error.kind() == ErrorKind::KeyMissing {
            self.uncharge(attempt);
        }
    }

    /// A right password that was compared leaves no trace under the typed text.
    pub(super) fn settle_words(&self, attempt: &Attempt, answer: &LoginOutcome) {
        use LoginRefusal::{InvalidCredentials, TooManyAttempts};
        match answer {
            LoginOutcome::Refused(InvalidCredentials | TooManyAttempts { .. }) => {}
            LoginOutcome::Granted(_) | LoginOutcome::Pending(_) | LoginOutcome::Refused(_) => {
                self.take_back_words(attempt);
            }
        }
    }

    fn take_back_words(&self, attempt: &Attempt) {
        if let Some(charge) = &attempt.words {
            self.core().pending.words.take_back(charge);
        }
    }

    /// Counted, not written: a refusal before any hash must not keep the log busy.
    pub(super) fn unheard(&self, refusal: LoginRefusal) -> LoginOutcome {
        self.unheard_as(EventKind::LoginRefused, refusal)
    }

    /// As [`unheard`](Self::unheard), for a call that is no login.
    pub(crate) fn unheard_as(&self, kind: EventKind, refusal: LoginRefusal) -> LoginOutcome {
        self.core().pending.counts.count(kind, refusal.name(), self.now());
        LoginOutcome::Refused(refusal)
    }

    /// The hash to compute where there is none. Drawn for every name, so that the time does not
    /// say for which it is used.
    fn stand_in(&self, tx: &ReadTx<'_>, typed: &TypedName) -> Result<String> {
        let key = store::stand_in_key(tx)?;
        let drawn = u128::from_be_bytes(keyed16(&key, "gatepost.stand_in.v1", &typed.canonical));
        let place = u64::try_from(drawn >> u64::BITS).unwrap_or(u64::MAX);
        Ok(self.core().hasher.stand_in(&credential::costs(tx)?, place))
    }
}

/// The user of that name or, where that is allowed, of that e-mail address, and the user whose rows
/// are read in its place if there is none. Both are looked for in
/// any case, so that the time does not show whether the first was found.
fn find(tx: &ReadTx<'_>, typed: &TypedName) -> Result<(Option<UserId>, UserId)> {
    let (by_name, near) = match &typed.username {
        Some(key) => user::near_username_key(tx, key)?,
        None => (None, UserId::NIL),
    };
    if !options::of_file(tx)?.login_by_email {
        return Ok((by_name, near));
    }
    let by_email = match &typed.email {
        Some(key) => user::by_email_key(tx, key)?,
        None => None,
    };
    let user = by_name.or(by_email);
    Ok((user, user.unwrap_or(near)))
}

fn wait(retry_after: Duration) -> Reserved {
    Reserved::Refused(LoginRefusal::TooManyAttempts { retry_after })
}
