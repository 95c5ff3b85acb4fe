//! Change one's own password in a session.
//!
//! One write changes the password, revokes all other sessions of the user and gives this one a new
//! token: old password and old tokens become invalid together or not at all.

use crate::error::{Error, ErrorKind, Result};
use crate::flow::held::Held;
use crate::flow::login::{
    Attempt, Current, LoginOutcome, LoginReply, OpenedSession, Reserved, failed, granted,
    hash_new_password, subject_event,
};
use crate::flow::revoke::{Cause, Revocation};
use crate::flow::verify::session_token;
use crate::hasher::{Admission, Hashed};
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::second_factor;
use crate::record::session;
use crate::record::throttle::{self, Subject};
use crate::record::user;
use crate::spans;
use crate::storage::{Finished, WriteTx};
use crate::store::Store;
use crate::value::event::{EventKind, reasons};
use crate::value::freshness::is_fresh;
use crate::value::limits::STEP_UP_MAX_AGE;
use crate::value::password_check;
use crate::value::presented::Presented;
use crate::value::principal::{Assurance, InvalidTokenReason, Principal};
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Password;
use crate::value::token::{self, TokenKind};

impl Store {
    /// Changes the password of the user whose session is presented.
    ///
    /// Revokes all other sessions of the user, and gives this session a new token
    /// ([what revokes what](crate::manual::revocation); ASVS 7.2.4): old password and old tokens
    /// become invalid in one write. A wrong current password (ASVS 6.2.3) counts as a failed
    /// attempt. An invalid token, a text that is no token, and an API key are refused as
    /// [`SessionNotLive`](LoginRefusal::SessionNotLive).
    ///
    /// A user who has a second factor must have proved it in this session in the last 15 minutes,
    /// by the login or by [`prove`](Self::prove); otherwise the change is refused as
    /// [`StepUpRequired`](LoginRefusal::StepUpRequired) (ASVS 7.5.1). The change forgives the
    /// failed attempts of a user without a second factor; for a user who has one it takes back its
    /// own charge alone, because a password forgives no wrong code.
    ///
    /// The session keeps its assurance level. A session above AAL1 also keeps its end and the time
    /// of its authentication, as a password alone does not repeat that (SP 800-63B-4 2.2.3). A
    /// session of AAL1 has as much time as its login was given.
    ///
    /// Hashes twice (about 15 ms each with the default cost) and writes the file twice. In an async
    /// program, call it from a blocking thread.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// # let device = DeviceId::new("till-1")?;
    /// # let login = LoginRequest::new("ada", Password::from("till and tally"), device.clone());
    /// let old = store.log_in(login)?.granted()?.session.token;
    /// let (current, new) = (Password::from("till and tally"), Password::from("nine brass bells"));
    /// let reply = store.change_password((&old, &device), current, new)?.granted()?;
    ///
    /// assert!(store.verify((&old, &device))?.valid().is_err());
    /// assert!(store.verify((&reply.session.token, &device))?.valid().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value, a [`LoginRefusal`]. Fails as
    /// [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if a password is longer than 4,096 bytes;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals: nothing is charged;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// After [`Full`](crate::ErrorKind::Full) the password is the old one; the other sessions are
    /// revoked, or this process refuses them from memory.
    pub fn change_password<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        current: Password,
        new: Password,
    ) -> Result<LoginOutcome> {
        spans::span!("change_password");
        let cause = Cause::OwnPasswordChange { and_keys: false };
        self.counted_change(presented.into(), current, new, cause)
    }

    /// As [`change_password`](Self::change_password), and revokes all API keys of the user in the
    /// same write: for a user who believes that another person knows them.
    ///
    /// ```
    /// use gatepost::sessions::NewApiKey;
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let current = || Password::from("till and tally");
    /// let new = Password::from("nine brass bells");
    /// let ada = store.users().create(NewUser::person("ada").password(current()))?.id;
    /// let issued = store.api_keys().issue(ada, NewApiKey::new())?;
    /// let device = DeviceId::new("till-1")?;
    /// let login = LoginRequest::new("ada", current(), device.clone());
    /// let old = store.log_in(login)?.granted()?.session.token;
    ///
    /// store.change_password_and_revoke_keys((&old, &device), current(), new)?.granted()?;
    /// assert!(store.verify((&issued.key, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password). After
    /// [`Full`](crate::ErrorKind::Full) the API keys are revoked as the other sessions are.
    pub fn change_password_and_revoke_keys<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        current: Password,
        new: Password,
    ) -> Result<LoginOutcome> {
        let cause = Cause::OwnPasswordChange { and_keys: true };
        self.counted_change(presented.into(), current, new, cause)
    }

    fn counted_change(
        &self,
        presented: Presented<'_>,
        current: Password,
        new: Password,
        cause: Cause,
    ) -> Result<LoginOutcome> {
        let outcome = self.change_password_for(presented, current, new, cause)?;
        self.count_login(&outcome);
        Ok(outcome)
    }

    fn change_password_for(
        &self,
        presented: Presented<'_>,
        current: Password,
        new: Password,
        cause: Cause,
    ) -> Result<LoginOutcome> {
        self.check_passwords(&current, &new)?;
        let refused = |refusal| Ok(LoginOutcome::Refused(refusal));
        let Some((parsed, session)) = session_token(presented.token()) else {
            self.count_refusal(InvalidTokenReason::Malformed);
            return refused(LoginRefusal::SessionNotLive);
        };
        let Some(held) = self.held(presented, parsed, session)? else {
            return refused(LoginRefusal::SessionNotLive);
        };
        if let Some(refusal) = self.refusal_of_change(&held)? {
            return refused(refusal);
        }
        let mut ticket = match self.core().hasher.admit(self.now()) {
            Admission::Admitted(ticket) => ticket,
            Admission::Overloaded { retry_after } => {
                let refusal = LoginRefusal::Overloaded { retry_after };
                return Ok(self.unheard_as(EventKind::PasswordChangeRefused, refusal));
            }
        };
        let mut attempt = match self.reserve_for(&held) {
            Ok(Reserved::Attempt(attempt)) => attempt,
            Ok(Reserved::Refused(refusal @ LoginRefusal::TooManyAttempts { .. })) => {
                return Ok(self.unheard_as(EventKind::PasswordChangeRefused, refusal));
            }
            Ok(Reserved::Refused(refusal)) => return refused(refusal),
            Err(error) => {
                if error.kind() == ErrorKind::Full {
                    self.revoke_others_alone(&held, cause);
                }
                return Err(error);
            }
        };
        let right = self.evaluate(&ticket, &mut attempt, &current)?.matches;
        let hash = if right {
            hash_new_password(
                self,
                &mut ticket,
                held.principal.user,
                Current::Typed(&current),
                &new,
            )
            .inspect_err(|_| self.uncharge(&attempt))?
            .map_err(LoginRefusal::PasswordRejected)
        } else {
            Err(LoginRefusal::InvalidCredentials)
        };
        // Frees the slot: another login may hash while this one waits for the file.
        drop(ticket);
        match hash {
            Ok(hash) => self
                .revoke(held.others(), cause, |tx, revocation| {
                    self.exchange(tx, &held, &attempt, &hash, revocation)
                })
                .inspect_err(|error| self.uncharge_without_key(&attempt, error)),
            Err(refusal) => self.write(|tx| {
                let shown =
                    if self.is_live(tx, &held)? { refusal } else { LoginRefusal::SessionNotLive };
                // That the session ended meanwhile proves no password.
                refuse(tx, &held, &attempt, shown, right)
            }),
        }
    }

    /// Refuses what no user could ask for, before anything is looked up.
    fn check_passwords(&self, current: &Password, new: &Password) -> Result<()> {
        current.check_length()?;
        password_check::check_length(&self.options().passwords, new)?;
        self.options().breaches().map(drop)
    }

    /// Why the user may not change the password in the session. A user who has a second factor must
    /// have proved it lately: a password and an old session are less than a login needs. Without a
    /// factor the current password is all there is to prove.
    fn refusal_of_change(&self, held: &Held) -> Result<Option<LoginRefusal>> {
        if let Some(refusal) = held.refused_if_impersonated() {
            return Ok(Some(refusal));
        }
        let (principal, level) = (&held.principal, Assurance::Aal2);
        let is_allowed = is_fresh(principal, STEP_UP_MAX_AGE, level, self.now())
            || !self.read(|tx| second_factor::is_in_force(tx, principal.user))?;
        Ok((!is_allowed).then_some(LoginRefusal::StepUpRequired))
    }

    /// On a full disk the password cannot change, but what the change would have revoked is
    /// revoked: the caller may do that with this session alone.
    pub(crate) fn revoke_others_alone(&self, held: &Held, cause: Cause) {
        let _ = self.revoke(held.others(), cause, |tx, revocation| {
            if !self.is_live(tx, held)? {
                return Ok(Written::Nothing(()));
            }
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event_alone()))
        });
    }

    /// Charges the attempt of a user who presents a session to the gate.
    pub(crate) fn reserve_for(&self, held: &Held) -> Result<Reserved> {
        self.transact_before_revoking(|tx| {
            let user = held.principal.user;
            if !user::exists(tx, user)? {
                // Deleted since the session was checked.
                return Ok(Finished::Nothing(Reserved::Refused(LoginRefusal::SessionNotLive)));
            }
            let subject = Subject { user: Some(user), near: user, device: held.device };
            self.reserve_in_session(tx, subject)
        })
    }

    /// Reads everything again: the session may have been revoked and the password may have changed
    /// while the new one was hashed.
    fn exchange(
        &self,
        tx: &WriteTx<'_>,
        held: &Held,
        attempt: &Attempt,
        hash: &Hashed,
        revocation: &Revocation,
    ) -> Result<Written<LoginOutcome>> {
        let live = match self.held_now(tx, held)? {
            Ok(live) => live.principal,
            Err(_) => return refuse(tx, held, attempt, LoginRefusal::SessionNotLive, true),
        };
        let user = held.principal.user;
        let version = credential::of(tx, user)?.map(|now| now.version);
        if version.is_none() || version != attempt.credential.as_ref().map(|then| then.version) {
            return refuse(tx, held, attempt, LoginRefusal::InvalidCredentials, false);
        }
        credential::set(tx, self.options(), user, hash.as_str(), false)?;
        // Revokes all sessions: `renewed` then makes the presented one newer than the watermark.
        user::raise(tx, user, revocation.watermarks(tx)?)?;
        // The password is less than a login of a user with a factor needs: a code is still to be
        // guessed, so no failure is forgiven.
        if second_factor::is_in_force(tx, user)? {
            attempt.refund(tx)?;
        } else {
            throttle::succeeded(tx, user, None)?;
        }
        let reply = self.renewed(tx, &live, held)?;
        let event =
            subject_event(EventKind::PasswordChanged, &attempt.subject).session(held.session);
        let event = match revocation.revokes_keys() {
            true => event.reason(reasons::KEYS_REVOKED),
            false => event,
        };
        Ok(Written::With(LoginOutcome::Granted(Box::new(reply)), event))
    }

    fn is_live(&self, tx: &WriteTx<'_>, held: &Held) -> Result<bool> {
        Ok(self.held_now(tx, held)?.is_ok())
    }

    /// Gives the session a new token. The password authenticates a session of AAL1 again, so its
    /// lifetime restarts. A session above that keeps the deadlines of its own authentication, which
    /// a password alone does not repeat.
    fn renewed(&self, tx: &WriteTx<'_>, live: &Principal, held: &Held) -> Result<LoginReply> {
        let lifetime = session::lifetime(tx, held.session)?
            .ok_or_else(|| Error::corrupt("a session that is live is not in the file"))?;
        let latest = tx.now() + lifetime.span.min(self.options().sessions.max_lifetime);
        let (authenticated, expires_at) = if live.assurance > Assurance::Aal1 {
            (None, live.expires_at.map_or(latest, |end| end.min(latest)))
        } else {
            (Some(tx.now()), latest)
        };
        let (token, secret_hash) =
            token::mint(TokenKind::Session, *held.session.as_bytes(), tx.random())?;
        session::replace_token(tx, held.session, &secret_hash, authenticated, expires_at)?;
        let session = OpenedSession { id: held.session, token, expires_at, clamped: false };
        granted(tx, self, held.principal.user, session)
    }
}

fn refuse(
    tx: &WriteTx<'_>,
    held: &Held,
    attempt: &Attempt,
    refusal: LoginRefusal,
    password_was_right: bool,
) -> Result<Written<LoginOutcome>> {
    refused_in_session(
        tx,
        EventKind::PasswordChangeRefused,
        held,
        attempt,
        refusal,
        password_was_right,
    )
}

/// Refuses what was asked for in a session, under the event `kind`. What was no wrong guess takes
/// back its charge.
pub(crate) fn refused_in_session(
    tx: &WriteTx<'_>,
    kind: EventKind,
    held: &Held,
    attempt: &Attempt,
    refusal: LoginRefusal,
    is_no_guess: bool,
) -> Result<Written<LoginOutcome>> {
    if is_no_guess {
        attempt.refund(tx)?;
    } else {
        failed(tx, attempt, None)?;
    }
    let event =
        subject_event(kind, &attempt.subject).session(held.session).refused(refusal.name());
    Ok(Written::With(LoginOutcome::Refused(refusal), event))
}
