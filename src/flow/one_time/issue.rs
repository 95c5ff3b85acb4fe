//! Issue one-time tokens, and revoke all of a user.

use crate::error::{Error, Result};
use crate::flow::revoke::Cause;
use crate::record::audit::Written;
use crate::record::one_time_token::{self, IssuedOneTimeToken, NewOneTimeToken, OneTimeTokens};
use crate::record::user::{self, User};
use crate::storage::ReadTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::{UserKind, UserStatus};
use crate::value::target::Target;

impl OneTimeTokens<'_> {
    /// Issues a one-time token to a user. An earlier one of the same purpose ends.
    ///
    /// The host gives the token to the person, for example in a link that it mails to
    /// [`User::email`](crate::User::email): the library sends nothing.
    ///
    /// ```
    /// use gatepost::sessions::{NewOneTimeToken, RevokeApiKeys};
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let tokens = store.one_time_tokens();
    /// let first = tokens.issue(ada, NewOneTimeToken::password_reset())?;
    /// let second = tokens.issue(ada, NewOneTimeToken::password_reset())?;
    ///
    /// let reset = |token: &str| {
    ///     let password = Password::from("lantern over wet slate");
    ///     tokens.reset_password(token, password, RevokeApiKeys::Keep)
    /// };
    /// assert!(reset(first.token.expose())?.valid().is_err());
    /// assert_eq!(reset(second.token.expose())?.valid()?.id, ada);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the lifetime is zero or longer than the purpose
    ///   allows, or the user is not one whom [`NewOneTimeToken`] allows for it;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn issue(&self, user: UserId, new: NewOneTimeToken) -> Result<IssuedOneTimeToken> {
        let lifetime = new.checked_lifetime()?;
        let purpose = new.purpose;
        self.store.write(|tx| {
            let found = user::existing(tx, user)?;
            check(&found, purpose)?;
            let bound = bound_email(tx, &found, purpose)?;
            let issued =
                one_time_token::replace(tx, Some(user), purpose, bound.as_deref(), lifetime)?;
            let event = Event::new(EventKind::OneTimeTokenIssued).user(user);
            Ok(Written::With(issued, event.detail(purpose.as_str())))
        })
    }

    /// Revokes all one-time tokens of a user for good
    /// ([what revokes what](crate::manual::revocation)).
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewOneTimeToken;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset())?;
    /// store.one_time_tokens().revoke_all(ada)?;
    /// assert!(store.one_time_tokens().list(ada)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted.
    ///
    /// If the disk refuses the revocation, this process refuses the tokens.
    pub fn revoke_all(&self, user: UserId) -> Result<()> {
        self.store.revoke(Target::User(user), Cause::OneTimeTokensAsked, |tx, revocation| {
            if !revocation.apply(tx)? {
                return Err(user::gone());
            }
            Ok(Written::With((), revocation.event()))
        })
    }
}

/// Refuses a user for whom a token of this purpose would be of no use.
fn check(user: &User, purpose: OneTimePurpose) -> Result<()> {
    let is_person = user.kind == UserKind::Person;
    match purpose {
        OneTimePurpose::PasswordReset if !is_person || user.status != UserStatus::Active => {
            Err(Error::invalid("a password reset is for an active person"))
        }
        OneTimePurpose::TemporaryPassword if !is_person || user.status != UserStatus::Active => {
            Err(Error::invalid("a temporary password is for an active person"))
        }
        OneTimePurpose::EmailConfirmation
            if !matches!(user.status, UserStatus::Active | UserStatus::Pending) =>
        {
            Err(Error::invalid("a confirmation is for an active or pending user"))
        }
        OneTimePurpose::Invitation if !is_person || user.status != UserStatus::Pending => {
            Err(Error::invalid("an invitation is for a pending person"))
        }
        OneTimePurpose::FirstAdministrator => {
            Err(Error::invalid("the token of the first administrator is of no user"))
        }
        _ => Ok(()),
    }
}

/// The address that a confirmation carries.
fn bound_email(tx: &ReadTx<'_>, user: &User, purpose: OneTimePurpose) -> Result<Option<String>> {
    if purpose != OneTimePurpose::EmailConfirmation {
        return Ok(None);
    }
    let bound = user::email_key(tx, user.id)?;
    bound.map(Some).ok_or_else(|| Error::invalid("the user has no e-mail address to confirm"))
}
