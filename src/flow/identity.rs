//! What a user is called and where it is reached. Both lead to its account, so what was sent under
//! the old name or address is revoked.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::throttle;
use crate::record::user::{self, User, Users};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::name::{EmailAddress, Username};
use crate::value::target::Target;

impl Users<'_> {
    /// Gives a user another username; answers how it stands now. Sessions and API keys go on,
    /// one-time tokens end. Failed attempts follow the user.
    ///
    /// # Errors
    /// `Invalid` (the name), `Taken`, `NotFound`, `Busy`, `Full`, `Io`.
    pub fn rename(&self, id: UserId, username: &str) -> Result<User> {
        let username = Username::parse(username)?;
        let unique_email = self.store.options().login_by_email;
        self.store.write(|tx| {
            let before = user::existing(tx, id)?;
            if before.username == username.shown {
                return Ok(Written::Nothing(before));
            }
            let old_key = user::username_key(tx, id)?.ok_or_else(user::gone)?;
            let marks = Cause::ContactChanged.watermarks(tx)?;
            user::rename(tx, &before, &username, unique_email, marks)?;
            if old_key != username.key {
                throttle::renamed(tx, id, &old_key, &username.key)?;
            }
            let event = Event::new(EventKind::UserRenamed).user(id);
            Ok(Written::With(user::existing(tx, id)?, event))
        })
    }

    /// Sets or removes a user's e-mail address; answers how it stands now. Sessions and API keys
    /// go on, one-time tokens end.
    ///
    /// # Errors
    /// `Invalid` (the address), `Taken` (where the e-mail address logs in), `NotFound`, `Busy`,
    /// `Full`, `Io`.
    pub fn set_email(&self, id: UserId, email: Option<&str>) -> Result<User> {
        let email = email.map(EmailAddress::parse).transpose()?;
        let unique_email = self.store.options().login_by_email;
        self.store.write(|tx| {
            let before = user::existing(tx, id)?;
            if before.email.as_deref() == email.as_ref().map(|email| email.shown.as_str()) {
                return Ok(Written::Nothing(before));
            }
            let marks = Cause::ContactChanged.watermarks(tx)?;
            user::set_email(tx, &before, email.as_ref(), unique_email, marks)?;
            let event = Event::new(EventKind::UserEmailChanged).user(id);
            Ok(Written::With(user::existing(tx, id)?, event))
        })
    }

    /// Notes that the account was proved to be its owner's, say by a link in an e-mail; a pending
    /// user becomes active. Answers how it stands now.
    ///
    /// The first time, all sessions, API keys and one-time tokens are revoked: until then the
    /// account was not known to be its owner's, so neither were the credentials made before. Later,
    /// one-time tokens alone are revoked.
    ///
    /// # Errors
    /// `NotFound`, `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after
    /// which, the first time, this process refuses the sessions and keys all the same.
    pub fn confirm(&self, id: UserId) -> Result<User> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            let is_first = user::existing(tx, id)?.confirmed_at.is_none();
            let marks = match revocation.filter(|_| is_first) {
                Some(revocation) => revocation.watermarks(tx)?,
                None => Cause::ContactChanged.watermarks(tx)?,
            };
            user::confirm(tx, id, marks)?;
            let event = Event::new(EventKind::UserConfirmed).user(id);
            Ok(Written::With(user::existing(tx, id)?, event))
        };
        // Once confirmed, an account stays so.
        let is_first = self.store.read(|tx| Ok(user::existing(tx, id)?.confirmed_at.is_none()))?;
        if !is_first {
            return self.store.write(|tx| job(tx, None));
        }
        let (target, cause) = (Target::User(id), Cause::FirstConfirmed);
        self.store.revoke(target, cause, |tx, revocation| job(tx, Some(revocation)))
    }
}
