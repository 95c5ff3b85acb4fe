//! Enrol a second factor, or replace it, and confirm the new one by two codes.

use super::{CAUSE, Change, FactorOutcome, Proof, check_person, event_of};
use crate::error::{Error, Result};
use crate::flow::held::{Held, is_stepped_up};
use crate::flow::login::{Reserved, failed, subject_event};
use crate::flow::revoke::Revocation;
use crate::record::audit::Written;
use crate::record::second_factor::{
    self, NewFactor, NewTotp, RecoveryCodes, SecondFactors, TotpEnrolment,
};
use crate::record::throttle::Subject;
use crate::record::user;
use crate::storage::{Finished, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::factor_code::FactorCode;
use crate::value::id::{SessionId, UserId};
use crate::value::presented::Presented;
use crate::value::refusal::LoginRefusal;
use crate::value::secret::Password;
use crate::value::totp::{FactorOrigin, TotpSecret, TotpShape};

impl SecondFactors<'_> {
    /// Begins to enrol a second factor of the user whose session is presented, and returns the
    /// secret for the user's authenticator. Nothing is in force yet:
    /// [`confirm`](Self::confirm) finishes it, in the same session within 10 minutes. An earlier
    /// enrolment of the user that was not confirmed ends.
    ///
    /// Show the secret only to the user, and show it once: as a QR code of the URI and as text.
    /// An invalid token is refused as [`SessionNotLive`](LoginRefusal::SessionNotLive). A user who
    /// has not proved in the last 15 minutes to be the user is refused as
    /// [`StepUpRequired`](LoginRefusal::StepUpRequired), because a thief of the session could
    /// otherwise put another factor in force and keep the user out (ASVS 7.5.1):
    /// [`Store::prove`](crate::Store::prove) with the password, a login or
    /// [`Sessions::open`](crate::sessions::Sessions::open) is such a proof.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gatepost::host::{KeyId, Keys, SealingKey};
    /// use gatepost::second_factors::NewTotp;
    /// use gatepost::sessions::OpenSession;
    /// use gatepost::{DeviceId, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let keys = Arc::new(Keys::new(KeyId::new("2026-11")?, SealingKey::random()?));
    /// let store = Store::open(path, Options::server().keyring(keys))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let device = DeviceId::random()?;
    /// let open = OpenSession::new(ada, device.clone());
    /// let token = store.sessions().open(open)?.granted()?.session.token;
    ///
    /// let enrolment = store.second_factors().enrol((&token, &device), NewTotp::new())?.done()?;
    /// assert!(enrolment.uri.expose().starts_with("otpauth://totp/Gatepost:ada?secret="));
    /// assert_eq!(store.second_factors().info(ada)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [every write](crate::manual::errors#every-write) does, and
    /// with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the user has a second factor
    ///   ([`replace`](Self::replace) takes its place) or is a system user, or for a number of
    ///   digits that is neither 6 nor 8;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process has no keyring, or one that
    ///   lacks the key under which the file seals;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn enrol<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        new: NewTotp,
    ) -> Result<FactorOutcome<TotpEnrolment>> {
        let shape = new.checked()?;
        let store = self.store;
        let held = match store.session_presented(presented.into())? {
            Ok(held) => held,
            Err(refusal) => return Ok(store.refused_change(refusal)),
        };
        store.write(|tx| {
            let refused = |refusal| Ok(Written::Nothing(store.refused_change(refusal)));
            let Ok(live) = store.held_now(tx, &held)? else {
                return refused(LoginRefusal::SessionNotLive);
            };
            if second_factor::is_in_force(tx, held.principal.user)? {
                return Err(Error::invalid(
                    "the user has a second factor: second_factors().replace takes its place",
                ));
            }
            if !is_stepped_up(tx, &live.principal)? {
                return refused(LoginRefusal::StepUpRequired);
            }
            let (enrolment, event) = begin(store, tx, of_session(&held), shape)?;
            let event = event.user(held.principal.user).device(held.device).session(held.session);
            Ok(Written::With(FactorOutcome::Done(enrolment), event))
        })
    }

    /// Begins to enrol a second factor in the place of the one that the user has, which stays in
    /// force until [`confirm`](Self::confirm). Takes the password and a code, which is used up: of
    /// the authenticator in force, or a recovery code, which also revokes all other sessions
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// Counts as an attempt and hashes, as [`remove`](Self::remove) does.
    ///
    /// ```
    /// use gatepost::second_factors::{FactorCode, NewTotp};
    /// use gatepost::{DeviceId, ErrorKind, LoginRequest, NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let password = || Password::from("till and tally");
    /// store.users().create(NewUser::person("ada").password(password()))?;
    /// let device = DeviceId::random()?;
    /// let login = LoginRequest::new("ada", password(), device.clone());
    /// let token = store.log_in(login)?.granted()?.session.token;
    ///
    /// let code = FactorCode::from("123456");
    /// let factors = store.second_factors();
    /// let error = factors.replace((&token, &device), password(), code, NewTotp::new());
    /// assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](Self::remove), and with `Invalid` for a number of digits that is neither 6 nor
    /// 8.
    pub fn replace<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        password: Password,
        code: FactorCode,
        new: NewTotp,
    ) -> Result<FactorOutcome<TotpEnrolment>> {
        let shape = new.checked()?;
        let proof = Proof { presented: presented.into(), password, code };
        self.store.change_with_proof(proof, Change::Replace, |tx, held| {
            begin(self.store, tx, of_session(held), shape)
        })
    }

    /// Confirms the enrolment that was begun in the session presented, by two codes that follow
    /// each other: the authenticator's code, and the next one 30 s later. The factor is in force
    /// when the call returns, in the place of an earlier one, and both codes are used up.
    ///
    /// Revokes all other sessions and the one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)). Returns a new set of recovery codes; an
    /// earlier set ends. The two codes also measure the clock of the authenticator: if it is a step
    /// of 30 s away from the store's, the window in which codes are accepted is shifted by that
    /// step. Codes of a clock further away are refused.
    ///
    /// Wrong codes are refused as [`InvalidCredentials`](LoginRefusal::InvalidCredentials), count
    /// as a failed attempt and leave the enrolment as it is. Codes that confirm it are not counted,
    /// and forgive no other failure.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    /// use gatepost::second_factors::FactorCode;
    /// # use gatepost::sessions::OpenSession;
    /// # use gatepost::{DeviceId, NewUser};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(NewUser::person("ada"))?.id;
    /// # let device = DeviceId::random()?;
    /// # let open = OpenSession::new(ada, device.clone());
    /// # let token = store.sessions().open(open)?.granted()?.session.token;
    /// let (first, second) = (FactorCode::from("123456"), FactorCode::from("654321"));
    /// let error = store.second_factors().confirm((&token, &device), first, second).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound, "no enrolment was begun");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [every write](crate::manual::errors#every-write) does, and
    /// with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if no enrolment was begun in this session, or it
    ///   has expired, ended, or was begun under a key that this process lacks;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if a code is longer than 64 bytes;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// After [`Full`](crate::ErrorKind::Full) the factor is not in force; the other sessions are
    /// revoked, or this process refuses them from memory.
    pub fn confirm<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        first: FactorCode,
        second: FactorCode,
    ) -> Result<FactorOutcome<RecoveryCodes>> {
        first.check_length()?;
        second.check_length()?;
        let store = self.store;
        let held = match store.session_presented(presented.into())? {
            Ok(held) => held,
            Err(refusal) => return Ok(store.refused_change(refusal)),
        };
        let outcome = store.revoke(held.others(), CAUSE, |tx, revocation| {
            confirm(store, tx, &held, (&first, &second), revocation)
        })?;
        Ok(match outcome {
            FactorOutcome::Refused(closed @ LoginRefusal::TooManyAttempts { .. }) => {
                store.unwritten_change(closed)
            }
            FactorOutcome::Refused(refusal) => store.refused_change(refusal),
            done => done,
        })
    }
}

/// The user, and the session in which the enrolment is begun.
fn of_session(held: &Held) -> (UserId, SessionId) {
    (held.principal.user, held.session)
}

/// Draws a secret and begins the enrolment of a user in a session, or at a pending step.
pub(super) fn begin(
    store: &Store,
    tx: &WriteTx<'_>,
    (user, begun_in): (UserId, SessionId),
    shape: TotpShape,
) -> Result<(TotpEnrolment, Event)> {
    let user = user::existing(tx, user)?;
    check_person(&user)?;
    let secret = TotpSecret::draw(tx.random())?;
    let of = (user.id, begun_in);
    let expires_at = second_factor::begin_enrolment(tx, store.options(), of, shape, &secret)?;
    let uri = shape.uri(&secret, &store.options().service_name, &user.username);
    let enrolment = TotpEnrolment { base32: secret.base32(), uri, expires_at };
    Ok((enrolment, Event::new(EventKind::SecondFactorEnrolmentBegun)))
}

/// Charges, evaluates and settles in one transaction: no answer leaves it before the charge is in
/// the file.
fn confirm(
    store: &Store,
    tx: &WriteTx<'_>,
    held: &Held,
    (first, second): (&FactorCode, &FactorCode),
    revocation: &Revocation,
) -> Result<Written<FactorOutcome<RecoveryCodes>>> {
    let user = held.principal.user;
    if store.held_now(tx, held)?.is_err() {
        return Ok(Written::Nothing(FactorOutcome::Refused(LoginRefusal::SessionNotLive)));
    }
    let no_enrolment =
        || Error::not_found("no enrolment of a second factor in this session can be confirmed");
    let sealed = second_factor::enrolment(tx, user, held.session)?.ok_or_else(no_enrolment)?;
    let secret = sealed.open_enrolment(store.options(), user)?.ok_or_else(no_enrolment)?;
    let subject = Subject { user: Some(user), near: user, device: held.device };
    let attempt = match store.reserve_in_session(tx, subject)? {
        Finished::Commit(Reserved::Attempt(attempt))
        | Finished::Nothing(Reserved::Attempt(attempt)) => attempt,
        Finished::Commit(Reserved::Refused(refusal))
        | Finished::Nothing(Reserved::Refused(refusal)) => {
            return Ok(Written::Nothing(FactorOutcome::Refused(refusal)));
        }
    };
    let digits = sealed.shape.digits;
    let typed = first.number(digits).zip(second.number(digits));
    let measured = typed.and_then(|typed| sealed.shape.consecutive(&secret, typed, tx.now()));
    let Some((last_step, shift)) = measured else {
        failed(tx, &attempt, None)?;
        let refusal = LoginRefusal::InvalidCredentials;
        let event = subject_event(EventKind::SecondFactorRefused, &subject)
            .session(held.session)
            .refused(refusal.name())
            .detail("confirm");
        return Ok(Written::With(FactorOutcome::Refused(refusal), event));
    };
    attempt.refund(tx)?;
    revocation.apply(tx)?;
    let (shape, origin) = (sealed.shape, FactorOrigin::Enrolled);
    let new = NewFactor { shape, secret: &secret, origin, shift, last_step };
    let kind = if second_factor::put(tx, store.options(), user, &new)? {
        EventKind::SecondFactorReplaced
    } else {
        EventKind::SecondFactorAdded
    };
    let codes = second_factor::issue_recovery_codes(tx, user)?;
    let event = event_of(kind, shape).user(user).device(held.device).session(held.session);
    Ok(Written::With(FactorOutcome::Done(codes), event))
}
