//! Passwords set, removed and distrusted by somebody other than their user.
//!
//! A hash takes long, so it is computed before the write begins. What could change in between is
//! read again there; of two that set a password at once, the later one holds.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::throttle;
use crate::record::user::{self, User, Users};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::facts::UserKind;
use crate::value::id::UserId;
use crate::value::secret::Password;
use crate::value::target::Target;

/// Why the calls below revoke.
const CAUSE: Cause = Cause::PasswordSetByAdministrator;

/// Whether a demand ends the sessions that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndSessions {
    /// They go on.
    #[default]
    Keep,
    /// All sessions of the user end.
    All,
}

impl Users<'_> {
    /// Sets a user's password, which ends all its sessions and one-time tokens and forgives its
    /// failed attempts. Whatever was demanded of the old password is over.
    ///
    /// The policy is tested first. Takes a hash's time.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Password, Reason, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada.lovelace"))?;
    /// let set = |text: &str| store.users().set_password(ada.id, Password::from(text));
    /// assert_eq!(set("Ada.Lovelace1").unwrap_err().reason(), Reason::Invalid);
    /// assert!(set("correct horse battery").is_ok());
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` (the rule of the policy that it breaks, or a system user), `NotFound`, `Busy`
    /// (too many are hashing, or writing), `NoRandom`, `Corrupt`, `Closed`; `Full`, `Io`,
    /// `CommitUnknown` and `ReadOnly`, after which this process refuses the sessions all the same.
    pub fn set_password(&self, id: UserId, password: Password) -> Result<()> {
        let words = self.store.read(|tx| {
            check_person(&user::existing(tx, id)?)?;
            user::context_words(tx, id)
        })?;
        let hashed = credential::hash_new(self.store, &password, &words)?;
        self.store_hash(id, hashed.as_str())
    }

    /// As [`Users::set_password`], with a hash taken over from elsewhere: an Argon2id hash in PHC
    /// form, of a cost that [`Cost::new`](crate::Cost::new) accepts.
    ///
    /// # Errors
    /// `Invalid` (the hash, or a system user); otherwise as [`Users::set_password`].
    pub fn set_password_hash(&self, id: UserId, phc: &str) -> Result<()> {
        self.store.core().hasher.validate_phc(phc)?;
        self.store_hash(id, phc)
    }

    /// Removes a user's password, which ends all its sessions and one-time tokens; false if it had
    /// none.
    ///
    /// # Errors
    /// `NotFound`; otherwise as [`Users::set_password`].
    pub fn remove_password(&self, id: UserId) -> Result<bool> {
        self.store.revoke(Target::User(id), CAUSE, |tx, revocation| {
            user::existing(tx, id)?;
            if !credential::remove(tx, id)? {
                return Ok(Written::Nothing(false));
            }
            revocation.apply(tx)?;
            Ok(Written::With(true, Event::new(EventKind::PasswordRemoved).user(id)))
        })
    }

    /// Demands a new password at the next login; false if it was demanded before and no sessions
    /// are to end.
    ///
    /// # Errors
    /// `Invalid` (the user has no password); otherwise as [`Users::set_password`].
    pub fn require_password_change(&self, id: UserId, sessions: EndSessions) -> Result<bool> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            check_has_password(tx, id)?;
            let is_new = credential::set_must_change(tx, id)?;
            match revocation {
                Some(revocation) => drop(revocation.apply(tx)?),
                None if !is_new => return Ok(Written::Nothing(false)),
                None => {}
            }
            Ok(Written::With(true, Event::new(EventKind::PasswordChangeRequired).user(id)))
        };
        match sessions {
            EndSessions::Keep => self.store.write(|tx| job(tx, None)),
            EndSessions::All => {
                let (target, cause) = (Target::User(id), Cause::ChangeDemanded);
                self.store.revoke(target, cause, |tx, revocation| job(tx, Some(revocation)))
            }
        }
    }

    /// Declares a user's password to be worth nothing: it logs nobody in any more, and all
    /// sessions and one-time tokens end. Only an administrator sets a new one. False if it was
    /// declared so before.
    ///
    /// # Errors
    /// `Invalid` (the user has no password); otherwise as [`Users::set_password`].
    pub fn mark_compromised(&self, id: UserId) -> Result<bool> {
        self.store.revoke(Target::User(id), CAUSE, |tx, revocation| {
            check_has_password(tx, id)?;
            if !credential::set_compromised(tx, id)? {
                return Ok(Written::Nothing(false));
            }
            revocation.apply(tx)?;
            Ok(Written::With(true, Event::new(EventKind::PasswordMarkedCompromised).user(id)))
        })
    }

    fn store_hash(&self, id: UserId, phc: &str) -> Result<()> {
        self.store.revoke(Target::User(id), CAUSE, |tx, revocation| {
            check_person(&user::existing(tx, id)?)?;
            let key = user::username_key(tx, id)?.ok_or_else(user::gone)?;
            credential::set(tx, id, phc, false)?;
            throttle::clear(tx, &key, id)?;
            revocation.apply(tx)?;
            Ok(Written::With((), Event::new(EventKind::PasswordSet).user(id)))
        })
    }
}

fn check_person(user: &User) -> Result<()> {
    match user.kind {
        UserKind::Person => Ok(()),
        UserKind::System => Err(Error::invalid("a system user never has a password")),
    }
}

fn check_has_password(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    user::existing(tx, id)?;
    match credential::of(tx, id)? {
        Some(_) => Ok(()),
        None => Err(Error::invalid("the user has no password")),
    }
}
