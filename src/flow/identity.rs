//! Change the username and e-mail address of a user, or confirm the account. Both lead to the
//! account, so one-time tokens that were sent under the old ones are revoked.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::credential;
use crate::record::options;
use crate::record::user::{self, User, Users};
use crate::storage::{ReadTx, WriteTx};
use crate::value::event::{Event, EventKind, PASSWORD_REMOVED, reasons};
use crate::value::id::UserId;
use crate::value::name::{EmailAddress, Username};
use crate::value::target::Target;

impl Users<'_> {
    /// Gives a user another username and returns the user after the change.
    ///
    /// Sessions and API keys stay; one-time tokens are revoked
    /// ([what revokes what](crate::manual::revocation)). Failed attempts follow the user to the new
    /// name.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let ada = store.users().rename(ada.id, "countess")?;
    /// assert_eq!(ada.username, "countess");
    /// assert_eq!(store.users().find_by_username("ada")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text cannot be a username;
    /// - [`Taken`](crate::ErrorKind::Taken) if another user has it, or has it as an e-mail address
    ///   that logs in;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn rename(&self, id: UserId, username: &str) -> Result<User> {
        let username = Username::parse(username)?;
        self.store.revoke(Target::User(id), Cause::ContactChanged, |tx, revocation| {
            let unique_email = options::of_file(tx)?.login_by_email;
            let before = user::existing(tx, id)?;
            if before.username == username.shown {
                return Ok(Written::Nothing(before));
            }
            let marks = revocation.watermarks(tx)?;
            user::rename(tx, &before, &username, unique_email, marks)?;
            let event = Event::new(EventKind::UserRenamed).user(id);
            Ok(Written::With(user::existing(tx, id)?, event))
        })
    }

    /// Sets a user's e-mail address, or removes it with `None`, and returns the user after the
    /// change.
    ///
    /// Sessions and API keys stay; one-time tokens are revoked
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let ada = store.users().set_email(ada.id, Some("ada@example.com"))?;
    /// assert_eq!(ada.email.as_deref(), Some("ada@example.com"));
    /// let ada = store.users().set_email(ada.id, None)?;
    /// assert_eq!(ada.email, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text is not an address of at most 254 bytes;
    /// - [`Taken`](crate::ErrorKind::Taken) if another user has it, where e-mail addresses log in;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn set_email(&self, id: UserId, email: Option<&str>) -> Result<User> {
        let email = email.map(EmailAddress::parse).transpose()?;
        self.store.revoke(Target::User(id), Cause::ContactChanged, |tx, revocation| {
            let unique_email = options::of_file(tx)?.login_by_email;
            let before = user::existing(tx, id)?;
            if before.email.as_deref() == email.as_ref().map(|email| email.shown.as_str()) {
                return Ok(Written::Nothing(before));
            }
            let marks = revocation.watermarks(tx)?;
            user::set_email(tx, &before, email.as_ref(), unique_email, marks)?;
            let event = Event::new(EventKind::UserEmailChanged).user(id);
            Ok(Written::With(user::existing(tx, id)?, event))
        })
    }

    /// Records that the account was proved to be its owner's, for example by a link in an e-mail,
    /// and returns the user after the change. A pending user becomes active.
    ///
    /// The first confirmation revokes all sessions, API keys and one-time tokens
    /// ([what revokes what](crate::manual::revocation)): until then the account was not known to be
    /// its owner's, so neither were the credentials made before. The password stays; where
    /// another person may have chosen it, use
    /// [`confirm_and_remove_password`](Self::confirm_and_remove_password). A later confirmation
    /// revokes only one-time tokens.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserStatus;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").status(UserStatus::Pending))?;
    /// let ada = store.users().confirm(ada.id)?;
    /// assert_eq!(ada.status, UserStatus::Active);
    /// assert!(ada.confirmed_at.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn confirm(&self, id: UserId) -> Result<User> {
        self.confirm_keeping(id, true)
    }

    /// As [`confirm`](Self::confirm), and the first confirmation also removes the user's password,
    /// in the same write: for accounts that anyone can register under an address that is not
    /// theirs. A later one keeps the password.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = || Password::from("chosen by a squatter");
    /// let ada = store.users().create(NewUser::person("ada").password(password()))?.id;
    /// store.users().confirm_and_remove_password(ada)?;
    ///
    /// let login = LoginRequest::new("ada", password(), DeviceId::new("till-1")?);
    /// assert_eq!(store.log_in(login)?.granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`confirm`](Self::confirm).
    pub fn confirm_and_remove_password(&self, id: UserId) -> Result<User> {
        self.confirm_keeping(id, false)
    }

    fn confirm_keeping(&self, id: UserId, keeps_password: bool) -> Result<User> {
        let cause = self.store.read(|tx| confirmation(tx, id))?;
        self.store.revoke(Target::User(id), cause, |tx, revocation| {
            let is_first = user::existing(tx, id)?.confirmed_at.is_none();
            let removed = is_first && !keeps_password && credential::remove(tx, id)?;
            let event = confirm(tx, id, revocation)?;
            let event = if removed { event.detail(PASSWORD_REMOVED) } else { event };
            Ok(Written::With(user::existing(tx, id)?, event))
        })
    }
}

/// Why a confirmation of this account revokes. A confirmed account stays confirmed.
pub(crate) fn confirmation(tx: &ReadTx<'_>, id: UserId) -> Result<Cause> {
    let is_first = user::find(tx, id)?.is_none_or(|user| user.confirmed_at.is_none());
    Ok(if is_first { Cause::FirstConfirmed } else { Cause::ContactChanged })
}

/// Confirms the account, in a write whose cause [`confirmation`] gave, and returns its event.
/// Another call may have confirmed it since, so that less is revoked.
pub(crate) fn confirm(tx: &WriteTx<'_>, id: UserId, revocation: &Revocation) -> Result<Event> {
    let cause = confirmation(tx, id)?;
    user::confirm(tx, id, revocation.watermarks_of(tx, cause)?)?;
    let event = Event::new(EventKind::UserConfirmed).user(id);
    Ok(if cause == Cause::FirstConfirmed { event.reason(reasons::FIRST) } else { event })
}
