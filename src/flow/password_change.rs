//! Change the own password in a session.
//!
//! In one write the password changes, all other sessions of the user end, and this one goes on with
//! a new token: old password and old tokens die together or not at all.

use std::time::Duration;

use crate::error::{Reason, Result};
use crate::flow::login::{
    Attempt, LoginReply, OpenedSession, Reserved, charge, fresh, granted, subject_event,
};
use crate::flow::revoke::{Cause, Revocation};
use crate::flow::verify::session_token;
use crate::hasher::{Admission, Hashed};
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::proof::{Holder, Proof};
use crate::record::session;
use crate::record::throttle;
use crate::record::user;
use crate::storage::{Settled, WriteTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::EventKind;
use crate::value::facts::{Facts, RefusalReason};
use crate::value::id::SessionId;
use crate::value::name::DeviceId;
use crate::value::refusal::Refusal;
use crate::value::secret::Password;
use crate::value::target::Target;
use crate::value::time::Timestamp;
use crate::value::token::{self, ParsedToken, TokenKind};

/// What a change of the own password came to.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub enum PasswordChange {
    /// It holds; the same session has a new token, both deadlines restarted.
    Changed(Box<LoginReply>),
    /// Nothing was changed, for this reason.
    Refused(Refusal),
}

impl PasswordChange {
    /// The reply, or the refusal as an error: for `?`.
    ///
    /// # Errors
    /// The [`Refusal`], if it was refused.
    pub fn changed(self) -> std::result::Result<LoginReply, Refusal> {
        match self {
            Self::Changed(reply) => Ok(*reply),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

impl Store {
    /// Changes the password of whoever holds this session, ends all other sessions of the user,
    /// and gives this one a new token.
    ///
    /// A wrong current password counts as any wrong password does. Hashes twice and writes the
    /// file twice; in an async program, call it from a blocking thread.
    ///
    /// After `Full` the password is the old one; the other sessions are revoked, or refused by this
    /// process.
    ///
    /// # Errors
    /// `Invalid` for a password over 4,096 bytes; the store could not tell: `Busy`, `Full`, `Io`,
    /// `ReadOnly`, `Corrupt`, `NoRandom`, `CommitUnknown`, `Closed`.
    ///
    /// ```
    /// # use gatepost::{DeviceId, LogIn, NewUser, Options, Password, Store};
    /// # let store = Store::in_memory(Options::for_tests())?;
    /// # store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// # let device = DeviceId::new("till-1")?;
    /// # let login = LogIn::new("ada", Password::from("till and tally"), device.clone());
    /// let old = store.log_in(login)?.granted()?.session.token;
    /// let (current, new) = (Password::from("till and tally"), Password::from("nine brass bells"));
    /// let reply = store.change_password(old.expose(), &device, current, new)?.changed()?;
    ///
    /// assert!(store.verify(old.expose(), &device)?.valid().is_err());
    /// assert!(store.verify(reply.session.token.expose(), &device)?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn change_password<'d>(
        &self,
        token: &str,
        device: impl Into<Option<&'d DeviceId>>,
        current: Password,
        new: Password,
    ) -> Result<PasswordChange> {
        current.check_length()?;
        new.check_length()?;
        let device = device.into();
        let refused = |refusal| Ok(PasswordChange::Refused(refusal));
        let Some(held) = self.held(token, device)? else {
            return refused(Refusal::SessionNotLive);
        };
        let ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                return refused(self.overloaded(retry_after));
            }
        };
        let attempt = match self.reserve_for(&held) {
            Ok(Reserved::Attempt(attempt)) => attempt,
            Ok(Reserved::Refused(refusal)) => return refused(refusal),
            Err(error) => {
                if error.reason() == Reason::Full {
                    self.revoke_others_alone(&held);
                }
                return Err(error);
            }
        };
        let right = self.evaluate(&ticket, &attempt, &current)?.matches;
        let hash = if right {
            fresh(self, &ticket, held.facts.user, &current, &new)?
                .map_err(Refusal::PasswordRejected)
        } else {
            Err(Refusal::InvalidCredentials)
        };
        // Others may hash while this one waits for the file.
        drop(ticket);
        match hash {
            Ok(hash) => {
                let target = Target::OtherSessions { user: held.facts.user, kept: held.session };
                self.revoke(target, Cause::OwnPasswordChange, |tx, revocation| {
                    self.exchange(tx, &held, &attempt, &hash, revocation)
                })
            }
            Err(refusal) => self.write(|tx| {
                let refusal =
                    if self.is_live(tx, &held)? { refusal } else { Refusal::SessionNotLive };
                refuse(tx, &held, &attempt, refusal)
            }),
        }
    }

    /// The live session under this token on this device; refusals are counted as those of verify.
    fn held(&self, token: &str, device: Option<&DeviceId>) -> Result<Option<Held>> {
        let Some((parsed, session)) = session_token(token) else {
            self.count_refusal(RefusalReason::Malformed);
            return Ok(None);
        };
        match self.live(token, device)? {
            Ok(live) => {
                self.note_use(&live);
                let (facts, device) = (live.facts, device.map(DeviceDigest::of));
                Ok(Some(Held { session, facts, parsed, device }))
            }
            Err(reason) => {
                self.count_refusal(reason);
                Ok(None)
            }
        }
    }

    /// On a full disk the password cannot change, but what the change would have revoked is
    /// revoked: the caller may do that with this session alone.
    fn revoke_others_alone(&self, held: &Held) {
        let (others, cause) = (held.others(), Cause::OwnPasswordChange);
        let _ = self.revoke(others, cause, |tx, revocation| {
            if !self.is_live(tx, held)? {
                return Ok(Written::Nothing(()));
            }
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event()))
        });
    }

    fn reserve_for(&self, held: &Held) -> Result<Reserved> {
        self.transact_before_revoking(|tx| {
            let Some(name_key) = user::username_key(tx, held.facts.user)? else {
                // Deleted since the session was looked at.
                return Ok(Settled::Nothing(Reserved::Refused(Refusal::SessionNotLive)));
            };
            let subject = throttle::subject(tx, &name_key, Some(held.facts.user), held.device)?;
            charge(tx, self, subject, None)
        })
    }

    /// Everything is read anew: the session may have ended and the password may have changed
    /// while this one was hashed.
    fn exchange(
        &self,
        tx: &WriteTx<'_>,
        held: &Held,
        attempt: &Attempt,
        hash: &Hashed,
        revocation: &Revocation,
    ) -> Result<Written<PasswordChange>> {
        if !self.is_live(tx, held)? {
            return refuse(tx, held, attempt, Refusal::SessionNotLive);
        }
        let user = held.facts.user;
        let version = credential::of(tx, user)?.map(|now| now.version);
        if version.is_none() || version != attempt.credential.as_ref().map(|then| then.version) {
            return refuse(tx, held, attempt, Refusal::InvalidCredentials);
        }
        credential::set(tx, user, hash.as_str(), false)?;
        // The session in hand is renewed, which is more than to keep it.
        user::raise(tx, user, revocation.watermarks(tx)?)?;
        throttle::succeeded(tx, &attempt.subject)?;
        let reply = self.renewed(tx, held)?;
        let event =
            subject_event(EventKind::PasswordChanged, &attempt.subject).session(held.session);
        Ok(Written::With(PasswordChange::Changed(Box::new(reply)), event))
    }

    fn is_live(&self, tx: &WriteTx<'_>, held: &Held) -> Result<bool> {
        let holder = Holder::Session(held.session);
        let Some(proof) = Proof::of(tx, holder)? else {
            return Ok(false);
        };
        Ok(self.decide(holder, &proof, &held.parsed, held.device.as_ref(), tx.now()).is_ok())
    }

    /// The session goes on: a new secret, and as much time as its login was given.
    fn renewed(&self, tx: &WriteTx<'_>, held: &Held) -> Result<LoginReply> {
        let span = held.lifetime().min(self.options().sessions.lifetime_max);
        let expires_at = tx.now().plus(span);
        let (token, secret_hash) =
            token::mint(TokenKind::Session, *held.session.as_bytes(), tx.random())?;
        session::renew(tx, held.session, &secret_hash, expires_at)?;
        let session = OpenedSession {
            id: held.session,
            token,
            expires_at: expires_at.to_datetime(),
            clamped: false,
        };
        granted(tx, self, held.facts.user, session)
    }
}

fn refuse(
    tx: &WriteTx<'_>,
    held: &Held,
    attempt: &Attempt,
    refusal: Refusal,
) -> Result<Written<PasswordChange>> {
    if refusal != Refusal::InvalidCredentials {
        throttle::refund(tx, &attempt.subject, &attempt.charge)?;
    }
    let event = subject_event(EventKind::PasswordChangeRefused, &attempt.subject)
        .session(held.session)
        .refused(refusal.name());
    Ok(Written::With(PasswordChange::Refused(refusal), event))
}

/// A session and how it was presented.
struct Held {
    session: SessionId,
    facts: Facts,
    parsed: ParsedToken,
    device: Option<DeviceDigest>,
}

impl Held {
    /// What a change of the password revokes.
    fn others(&self) -> Target {
        Target::OtherSessions { user: self.facts.user, kept: self.session }
    }

    /// How long its login was given.
    fn lifetime(&self) -> Duration {
        let begin = Timestamp::from_datetime(self.facts.authenticated_at);
        match self.facts.expires_at {
            Some(end) => Timestamp::from_datetime(end).since(begin),
            None => Duration::MAX,
        }
    }
}
