//! Set, remove or mark as compromised a user's password, by an administrator.
//!
//! A hash takes long, so it is computed before the write begins. The write reads again what could
//! have changed since; of two calls that set a password at once, the later one counts.

use crate::error::{Error, Result};
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::credential::{self, Former};
use crate::record::second_factor;
use crate::record::throttle;
use crate::record::user::{self, User, Users};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind, reasons};
use crate::value::id::UserId;
use crate::value::principal::UserKind;
use crate::value::secret::Password;
use crate::value::target::Target;

/// Why the calls below revoke.
const CAUSE: Cause = Cause::PasswordSetByAdministrator;

/// Whether the demand of a new password revokes the user's sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevokeSessions {
    /// The sessions stay.
    #[default]
    Keep,
    /// All sessions of the user are revoked.
    All,
}

impl Users<'_> {
    /// Sets a user's password.
    ///
    /// Revokes all sessions and one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation); ASVS 6.4.6), and forgives its failed
    /// attempts. A demand of a new password and a mark as compromised belong to the old password
    /// and end with it: where one of them is in force, or the password has expired, the new one
    /// must be another ([`Unchanged`](crate::policy::PasswordRule::Unchanged)), and comparing them
    /// is a second hash.
    ///
    /// The password is checked against the policy (ASVS 6.2) and hashed before the write begins,
    /// which takes about 15 ms with the default cost.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada.lovelace"))?;
    /// let set = |text: &str| store.users().set_password(ada.id, Password::from(text));
    /// assert_eq!(set("Ada.Lovelace1").unwrap_err().kind(), ErrorKind::Invalid);
    /// assert!(set("correct horse battery").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for a system user, or if the password breaks a rule
    ///   of the policy, which [`Error::password_rule`] names;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded) if too many passwords wait to be hashed;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals, or the one of a password that is marked as compromised;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn set_password(&self, id: UserId, password: Password) -> Result<()> {
        let store = self.store;
        loop {
            let (words, has_factor, former) = store.read(|tx| {
                check_person(&user::existing(tx, id)?)?;
                let has_factor = second_factor::is_in_force(tx, id)?;
                let former = Former::of(tx, store.options(), id)?;
                Ok((user::context_words(tx, id)?, has_factor, former))
            })?;
            let new = (&*words, has_factor);
            let hashed = credential::hash_another(store, &password, new, &former)?;
            // If the stored password was marked meanwhile, the new one is compared with it.
            if self.store_hash(id, hashed.as_str(), Some(&former))? {
                return Ok(());
            }
        }
    }

    /// Sets the hash of a user's password, taken from another system, in the form of that system.
    /// Revokes and forgives what [`Users::set_password`] does.
    ///
    /// The hash is verified as its source verified it, also in what that did with the typed
    /// password, and replaced by one of the cost in force at the first granted login. No policy of
    /// new passwords applies, and the hash is not compared with a password that is marked as
    /// compromised: the caller knows that it is of another one. Accepted are salted hashes within
    /// bounds:
    /// - Argon2id, Argon2i and Argon2d as a PHC string or as Django's, of a cost that
    ///   [`Cost::new`](crate::policy::Cost::new) accepts;
    /// - with the feature `import-hashes` also bcrypt of cost 4 to 16, alone or as Django's; scrypt
    ///   of at most 256 MiB, as a PHC string, or as Django, Werkzeug, better-auth and Firebase
    ///   write it; PBKDF2 of 1,000 to 10 million iterations, as a PHC string, or as Django,
    ///   Werkzeug and ASP.NET Core Identity (version 3) write it.
    ///
    /// The page [`moving`](crate::manual::moving) of the manual shows each form. bcrypt reads no
    /// more than 72 bytes: a login with a longer password, or with one that has a zero byte, is
    /// verified and replaces nothing. The page has the other passwords that replace no hash.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let phc = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$\
    ///            MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    /// store.users().set_password_hash(ada, phc)?;
    /// assert!(store.users().remove_password(ada)?);
    ///
    /// let fast = "{SSHA}MTIzNDU2Nzg5MDEyMzQ1Njc4OTBzYWx0";
    /// let refused = store.users().set_password_hash(ada, fast).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Invalid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the hash is of another kind, too weak or beyond
    ///   a bound, or for a system user;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals;
    /// - [`Misuse`](crate::ErrorKind::Misuse) for a hash that needs the feature `import-hashes`, if
    ///   the program was built without it;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom), where there is a keyring.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn set_password_hash(&self, id: UserId, hash: &str) -> Result<()> {
        let phc = self.store.core().hasher.import(hash)?;
        self.store_hash(id, &phc, None).map(drop)
    }

    /// Removes a user's password; `false` if the user had none.
    ///
    /// Revokes all sessions and one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("correct horse battery");
    /// let ada = store.users().create(NewUser::person("ada").password(password))?.id;
    /// assert!(store.users().remove_password(ada)?);
    /// assert!(!store.users().remove_password(ada)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
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

    /// Demands a new password at the user's next login; `false` if it was demanded before and no
    /// session is to be revoked.
    ///
    /// `sessions` says whether the sessions of the user are revoked as well
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::sessions::RevokeSessions;
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("correct horse battery");
    /// let ada = store.users().create(NewUser::person("ada").password(password))?.id;
    /// assert!(store.users().require_password_change(ada, RevokeSessions::Keep)?);
    /// assert_eq!(store.users().find(ada)?.map(|ada| ada.must_change_password), Some(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the user has no password;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn require_password_change(&self, id: UserId, sessions: RevokeSessions) -> Result<bool> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            check_has_password(tx, id)?;
            let is_new = credential::set_must_change(tx, id)?;
            match revocation {
                Some(revocation) => drop(revocation.apply(tx)?),
                None if !is_new => return Ok(Written::Nothing(false)),
                None => {}
            }
            let event = Event::new(EventKind::PasswordChangeRequired).user(id);
            let event = match revocation {
                Some(_) => event.reason(reasons::SESSIONS_REVOKED),
                None => event,
            };
            Ok(Written::With(true, event))
        };
        let revokes = match sessions {
            RevokeSessions::Keep => None,
            RevokeSessions::All => Some((Target::User(id), Cause::ChangeDemanded)),
        };
        self.store.revoke_if(revokes, job)
    }

    /// Marks a user's password as compromised: every login with it is refused until an
    /// administrator, a one-time token or a temporary password sets another one, which the library
    /// compares with it. `false` if it was marked before.
    ///
    /// Revokes all sessions and one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = || Password::from("correct horse battery");
    /// let ada = store.users().create(NewUser::person("ada").password(password()))?.id;
    /// assert!(store.users().mark_compromised(ada)?);
    ///
    /// let login = LoginRequest::new("ada", password(), DeviceId::new("till-1")?);
    /// assert_eq!(store.log_in(login)?.granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the user has no password;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
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

    /// Stores a hash; `false` if its password was not compared with what it must differ from now.
    fn store_hash(&self, id: UserId, phc: &str, former: Option<&Former>) -> Result<bool> {
        self.store.revoke(Target::User(id), CAUSE, |tx, revocation| {
            check_person(&user::existing(tx, id)?)?;
            if let Some(former) = former
                && !former.is_current(tx, self.store.options())?
            {
                return Ok(Written::Nothing(false));
            }
            credential::set(tx, self.store.options(), id, phc, false)?;
            throttle::clear(tx, id)?;
            revocation.apply(tx)?;
            Ok(Written::With(true, Event::new(EventKind::PasswordSet).user(id)))
        })
    }
}

fn check_person(user: &User) -> Result<()> {
    match user.kind {
        UserKind::Person => Ok(()),
        UserKind::System => {
            Err(Error::invalid("a system user (UserKind::System) never has a password"))
        }
    }
}

fn check_has_password(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    user::existing(tx, id)?;
    match credential::of(tx, id)? {
        Some(_) => Ok(()),
        None => Err(Error::invalid("the user has no password")),
    }
}
