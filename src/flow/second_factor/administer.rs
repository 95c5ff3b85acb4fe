//! Reset a second factor, and import one from another system, by an administrator.

use super::{CAUSE, FactorOutcome, check_person, event_of};
use crate::error::{Error, Result};
use crate::flow::held::{Held, is_stepped_up};
use crate::flow::revoke::Revocation;
use crate::record::audit::Written;
use crate::record::second_factor::{self, NewFactor, NewTotp, SecondFactors, used_elsewhere};
use crate::record::user;
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::presented::Presented;
use crate::value::refusal::LoginRefusal;
use crate::value::target::Target;
use crate::value::totp::{FactorOrigin, TotpSecret};

impl SecondFactors<'_> {
    /// Removes the second factor of a user who has lost it, with its recovery codes; `false` if the
    /// user has none. Checks no right: for an operator at the command line, or a program that has
    /// rights of its own. [`reset_by`](Self::reset_by) checks the administrator who asks for it.
    ///
    /// Revokes all sessions and one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)). Until the user enrols again, the password
    /// is the only factor: the host first finds out who is asking (SP 800-63B-4, 4.2).
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// assert!(!store.second_factors().reset(ada)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn reset(&self, user: UserId) -> Result<bool> {
        self.store.revoke(Target::User(user), CAUSE, |tx, revocation| {
            Ok(match reset(tx, user, revocation)? {
                Some(event) => Written::With(true, event),
                None => Written::Nothing(false),
            })
        })
    }

    /// Removes the second factor of another user, as [`reset`](Self::reset) does, for an
    /// administrator whose session is presented; `false` if the user has none.
    ///
    /// The user of the session must have the privilege `admin`, else the answer is
    /// [`AdministratorRequired`](LoginRefusal::AdministratorRequired), and must have proved in the
    /// last 15 minutes to be the user, with the second factor if there is one, else it is
    /// [`StepUpRequired`](LoginRefusal::StepUpRequired)
    /// ([`Store::prove`](crate::Store::prove); ASVS 7.5.3). An invalid token is refused as
    /// [`SessionNotLive`](LoginRefusal::SessionNotLive). The audit log names the administrator and
    /// the session as the actor.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = || Password::from("till and tally");
    /// let ada = store.users().create(NewUser::person("ada").password(password()))?.id;
    /// let bob = store.users().create(NewUser::person("bob"))?.id;
    /// let device = DeviceId::random()?;
    /// let login = LoginRequest::new("ada", password(), device.clone());
    /// let token = store.log_in(login)?.granted()?.session.token;
    ///
    /// let refused = store.second_factors().reset_by((&token, &device), bob)?.done();
    /// assert_eq!(refused.unwrap_err(), LoginRefusal::AdministratorRequired);
    /// store.users().set_privileges(ada, &["admin"])?;
    /// assert!(!store.second_factors().reset_by((&token, &device), bob)?.done()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [`reset`](Self::reset) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for the administrator's own second factor, which
    ///   [`remove`](Self::remove) removes by password and code.
    pub fn reset_by<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        user: UserId,
    ) -> Result<FactorOutcome<bool>> {
        let store = self.store;
        let held = match store.session_presented(presented.into())? {
            Ok(held) => held,
            Err(refusal) => return Ok(store.refused_change(refusal)),
        };
        if held.principal.user == user {
            return Err(Error::invalid(
                "reset_by: second_factors().remove removes the factor of the session's own user",
            ));
        }
        // Read first: a write that fails before the right is known must not deny the sessions of
        // another user, nor of one who has no factor.
        let has_factor = store.read(|tx| {
            if let Err(refusal) = may_reset(store, tx, &held)? {
                return Ok(Err(refusal));
            }
            user::existing(tx, user)?;
            second_factor::is_in_force(tx, user).map(Ok)
        })?;
        match has_factor {
            Ok(true) => {}
            Ok(false) => return Ok(FactorOutcome::Done(false)),
            Err(refusal) => return Ok(store.refused_change(refusal)),
        }
        let acting = store.acting_as(held.principal);
        acting.revoke(Target::User(user), CAUSE, |tx, revocation| {
            if let Err(refusal) = may_reset(store, tx, &held)? {
                return Ok(Written::Nothing(store.refused_change(refusal)));
            }
            Ok(match reset(tx, user, revocation)? {
                Some(event) => Written::With(FactorOutcome::Done(true), event),
                None => Written::Nothing(FactorOutcome::Done(false)),
            })
        })
    }

    /// Puts a second factor in force for a user whose authenticator has its secret already, from
    /// another system. It has no recovery codes:
    /// [`reissue_recovery_codes`](Self::reissue_recovery_codes) issues the first set.
    ///
    /// Revokes all sessions and one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)). All codes up to the current one count as
    /// used, because the other system may have accepted them: the first code is accepted up to 30 s
    /// later.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gatepost::host::{KeyId, Keys, SealingKey};
    /// use gatepost::second_factors::{FactorOrigin, NewTotp, TotpSecret};
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let keys = Arc::new(Keys::new(KeyId::new("2026-11")?, SealingKey::random()?));
    /// let store = Store::open(path, Options::server().keyring(keys))?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let secret = TotpSecret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
    /// store.second_factors().import(ada, secret, NewTotp::new())?;
    ///
    /// let factor = store.second_factors().info(ada)?.expect("a second factor");
    /// assert_eq!((factor.origin, factor.recovery_codes_left), (FactorOrigin::Imported, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the user has a second factor
    ///   ([`reset`](Self::reset) removes it) or is a system user, or for a number of digits that is
    ///   neither 6 nor 8;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process has no keyring, or one that
    ///   lacks the key under which the file seals;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn import(&self, user: UserId, secret: TotpSecret, new: NewTotp) -> Result<()> {
        let shape = new.checked()?;
        let store = self.store;
        store.revoke(Target::User(user), CAUSE, |tx, revocation| {
            check_person(&user::existing(tx, user)?)?;
            if second_factor::is_in_force(tx, user)? {
                return Err(Error::invalid(
                    "the user has a second factor: second_factors().reset removes it",
                ));
            }
            revocation.apply(tx)?;
            let (origin, last_step) = (FactorOrigin::Imported, used_elsewhere(tx));
            let new = NewFactor { shape, secret: &secret, origin, shift: 0, last_step };
            second_factor::put(tx, store.options(), user, &new)?;
            let event = event_of(EventKind::SecondFactorImported, shape).user(user);
            Ok(Written::With((), event))
        })
    }
}

/// Whether the user of the session may reset the factors of others now.
fn may_reset(
    store: &Store,
    tx: &ReadTx<'_>,
    held: &Held,
) -> Result<std::result::Result<(), LoginRefusal>> {
    let Ok(live) = store.held_now(tx, held)? else {
        return Ok(Err(LoginRefusal::SessionNotLive));
    };
    if !live.principal.is_admin {
        return Ok(Err(LoginRefusal::AdministratorRequired));
    }
    if !is_stepped_up(tx, &live.principal)? {
        return Ok(Err(LoginRefusal::StepUpRequired));
    }
    Ok(Ok(()))
}

/// Removes the factor and revokes; the event, unless there was none.
fn reset(tx: &WriteTx<'_>, user: UserId, revocation: &Revocation) -> Result<Option<Event>> {
    user::existing(tx, user)?;
    if !second_factor::remove(tx, user)? {
        return Ok(None);
    }
    revocation.apply(tx)?;
    Ok(Some(Event::new(EventKind::SecondFactorReset).user(user)))
}
