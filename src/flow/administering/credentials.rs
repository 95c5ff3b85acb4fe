//! The sessions, API keys, one-time tokens and second factors of the users inside of what an
//! administrator administers.

use std::time::Duration;

use super::{Administration, Administrator, or_absent};
use crate::error::Result;
use crate::flow::revoke::Ended;
use crate::record::api_key::{self, ApiKeyInfo, Draft, IssuedApiKey, NewApiKey};
use crate::record::one_time_token::{IssuedOneTimeToken, NewOneTimeToken, OneTimeTokenInfo};
use crate::record::second_factor::SecondFactor;
use crate::record::session::SessionInfo;
use crate::record::user;
use crate::storage::ReadTx;
use crate::value::id::{ApiKeyId, Page, SessionId, UserId};
use crate::value::subtree::Subtree;

/// The sessions of the users inside of what an administrator administers.
///
/// Each call does what the call of [`Sessions`](crate::sessions::Sessions) with its name does, and
/// fails as that one does, and also:
/// - with [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal
///   is no longer live;
/// - with [`NotPermitted`](crate::ErrorKind::NotPermitted) if it revokes sessions of an
///   administrator of more, or those of the principal's own user by its id.
///
/// ```
/// use gatepost::sessions::OpenSession;
/// use gatepost::{DeviceId, Ended, NewUser, Page};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let york = store.branches().create("York", None)?.id;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # let ben = store.users().create(NewUser::person("ben").branch(york))?.id;
/// # store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers the branch that ben is in, and is not in it.
/// let open = OpenSession::new(ben, DeviceId::new("till-2")?);
/// let of_ben = store.sessions().open(open)?.granted()?.session.id;
/// let of_ada = store.administering(&principal);
/// assert_eq!(of_ada.sessions().list(ben, Page::default())?[0].id, of_ben);
/// assert_eq!(of_ada.sessions().revoke(of_ben)?, Ended::Now);
/// assert_eq!(of_ada.sessions().revoke(reply.session.id)?, Ended::Before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredSessions<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredSessions<'_> {
    /// Returns a live session of a user inside by its handle; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`AdministeredSessions`].
    pub fn find(&self, session: SessionId) -> Result<Option<SessionInfo>> {
        let store = self.by.checking(move |tx, by| {
            by.authority.user_of_session(tx, session)?.map(drop).ok_or_else(user::gone)
        });
        or_absent(store.sessions().find(session), None)
    }

    /// Returns a page of the live sessions of one user, oldest first; empty if the user is outside.
    ///
    /// # Errors
    /// Those of [`AdministeredSessions`], and:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(&self, user: UserId, page: Page<SessionId>) -> Result<Vec<SessionInfo>> {
        or_absent(self.by.seeing(user).sessions().list_of_user(user, page), Vec::new())
    }

    /// Revokes a session of a user inside. One outside has ended before, as one that does not
    /// exist.
    ///
    /// # Errors
    /// Those of [`AdministeredSessions`].
    pub fn revoke(&self, session: SessionId) -> Result<Ended> {
        let store = self.by.checking(move |tx, by| {
            let inside = by.authority.user_of_session(tx, session)?;
            by.may_change_inside(inside.ok_or_else(user::gone)?)
        });
        or_absent(store.sessions().revoke(session), Ended::Before)
    }

    /// Revokes all sessions of a user, or of all users of a branch or organisation inside; the
    /// administrator's own as well, if its user is there. Only an administrator of everything
    /// revokes those of the whole store.
    ///
    /// # Errors
    /// Those of [`AdministeredSessions`], and:
    /// - [`NotFound`](crate::ErrorKind::NotFound) for a user, branch or organisation outside, as
    ///   for one that does not exist;
    /// - [`NotPermitted`](crate::ErrorKind::NotPermitted) if an administrator of more is in the
    ///   branch or organisation: revoke the sessions of the other users one by one.
    pub fn revoke_all(&self, subtree: impl Into<Subtree>) -> Result<()> {
        let subtree = subtree.into();
        let store = self.by.checking(move |tx, by| by.may_revoke_all(tx, subtree));
        store.sessions().revoke_all(subtree)
    }
}

/// The API keys of the users inside of what an administrator administers.
///
/// Each call does what the call of [`ApiKeys`](crate::sessions::ApiKeys) with its name does, and
/// fails as that one does, and also:
/// - with [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal
///   is no longer live;
/// - with [`NotFound`](crate::ErrorKind::NotFound) for a user or key outside, as for one that does
///   not exist;
/// - with [`NotPermitted`](crate::ErrorKind::NotPermitted) if the key is or would be that of an
///   administrator of more or of the principal's own user, or would have a privilege that the
///   administrator lacks.
///
/// ```
/// use gatepost::sessions::NewApiKey;
/// use gatepost::{ErrorKind, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let york = store.branches().create("York", None)?.id;
/// # let ada = store.users().create(NewUser::person("ada").privilege("reports.read"))?.id;
/// # store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers York, and has the privilege `reports.read` alone.
/// let printer = NewUser::system("printer").branch(york);
/// let printer = printer.privileges(["reports.read", "reports.write"]);
/// let printer = store.users().create(printer)?.id;
/// let keys = store.administering(&principal);
/// let keys = keys.api_keys();
/// let error = keys.issue(printer, NewApiKey::new()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotPermitted);
/// let key = keys.issue(printer, NewApiKey::new().scopes(["reports.read"]))?;
/// assert_eq!(keys.list(printer)?[0].id, key.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredApiKeys<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredApiKeys<'_> {
    /// Returns the live API keys of a user, oldest first; empty if the user is outside.
    ///
    /// # Errors
    /// Those of [`AdministeredApiKeys`].
    pub fn list(&self, user: UserId) -> Result<Vec<ApiKeyInfo>> {
        or_absent(self.by.seeing(user).api_keys().list(user), Vec::new())
    }

    /// Issues an API key to a user. Each privilege of the user that the key's scopes leave must be
    /// one of the administrator's, who sees the key.
    ///
    /// # Errors
    /// Those of [`ApiKeys::issue`](crate::sessions::ApiKeys::issue) and of [`AdministeredApiKeys`].
    pub fn issue(&self, user: UserId, new: NewApiKey) -> Result<IssuedApiKey> {
        let draft = Draft::of(new.clone(), self.by.store.now())?;
        let store = self.by.checking(move |tx, by| {
            by.may_change(tx, user)?;
            by.may_hold_key(tx, user, &draft)
        });
        store.api_keys().issue(user, new)
    }

    /// Replaces an API key by a new one of the same scopes, which must be as those of
    /// [`issue`](Self::issue).
    ///
    /// # Errors
    /// Those of [`ApiKeys::rotate`](crate::sessions::ApiKeys::rotate) and of
    /// [`AdministeredApiKeys`].
    pub fn rotate(&self, id: ApiKeyId, overlap: Duration) -> Result<IssuedApiKey> {
        let store = self.by.checking(move |tx, by| {
            by.may_change_key(tx, id)?;
            let old = api_key::living(tx, id)?.ok_or_else(api_key::gone)?;
            by.may_hold_key(tx, old.user, &old.draft)
        });
        store.api_keys().rotate(id, overlap)
    }

    /// Revokes an API key.
    ///
    /// # Errors
    /// Those of [`ApiKeys::revoke`](crate::sessions::ApiKeys::revoke) and of
    /// [`AdministeredApiKeys`].
    pub fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let store = self.by.checking(move |tx, by| by.may_change_key(tx, id));
        store.api_keys().revoke(id)
    }

    /// Revokes all API keys of a user.
    ///
    /// # Errors
    /// Those of [`ApiKeys::revoke_all`](crate::sessions::ApiKeys::revoke_all) and of
    /// [`AdministeredApiKeys`].
    pub fn revoke_all(&self, user: UserId) -> Result<()> {
        self.by.changing(user).api_keys().revoke_all(user)
    }
}

impl Administrator {
    fn may_change_key(&self, tx: &ReadTx<'_>, id: ApiKeyId) -> Result<()> {
        let inside = self.authority.user_of_key(tx, id)?;
        self.may_change_inside(inside.ok_or_else(api_key::gone)?)
    }

    /// Checks that the administrator has what a key of this draft gives, and each of its scopes:
    /// the user may get that privilege later, and the key with it.
    fn may_hold_key(&self, tx: &ReadTx<'_>, user: UserId, draft: &Draft) -> Result<()> {
        let privileges = user::existing(tx, user)?.privileges;
        let given = draft.scopes().unwrap_or(privileges);
        self.holds(given.iter().map(String::as_str))
    }
}

/// The one-time tokens of the users inside of what an administrator administers.
///
/// Each call does what the call of [`OneTimeTokens`](crate::sessions::OneTimeTokens) with its name
/// does, and fails as that one does, and also:
/// - with [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal
///   is no longer live;
/// - with [`NotFound`](crate::ErrorKind::NotFound) for a user outside, as for one that does not
///   exist;
/// - with [`NotPermitted`](crate::ErrorKind::NotPermitted) for an administrator of more, and for
///   the principal's own user.
///
/// ```
/// use gatepost::directory::UserStatus;
/// use gatepost::sessions::NewOneTimeToken;
/// use gatepost::{NewUser, Password};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let york = store.branches().create("York", None)?.id;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// let of_ada = store.administering(&principal);
/// let ben = NewUser::person("ben").branch(york).status(UserStatus::Pending);
/// let ben = of_ada.users().create(ben)?.id;
/// let invitation = of_ada.one_time_tokens().issue(ben, NewOneTimeToken::invitation())?;
///
/// let password = Password::from("lantern over wet slate");
/// let token = invitation.token.expose();
/// store.one_time_tokens().accept_invitation(token, password)?.valid()?;
/// assert_eq!(store.users().find(ben)?.map(|ben| ben.status), Some(UserStatus::Active));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredTokens<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredTokens<'_> {
    /// Returns the valid one-time tokens of a user; empty if the user is outside.
    ///
    /// # Errors
    /// Those of [`AdministeredTokens`].
    pub fn list(&self, user: UserId) -> Result<Vec<OneTimeTokenInfo>> {
        or_absent(self.by.seeing(user).one_time_tokens().list(user), Vec::new())
    }

    /// Issues a one-time token to a user.
    ///
    /// # Errors
    /// Those of [`OneTimeTokens::issue`](crate::sessions::OneTimeTokens::issue) and of
    /// [`AdministeredTokens`].
    pub fn issue(&self, user: UserId, new: NewOneTimeToken) -> Result<IssuedOneTimeToken> {
        self.by.changing(user).one_time_tokens().issue(user, new)
    }

    /// Revokes all one-time tokens of a user.
    ///
    /// # Errors
    /// Those of [`OneTimeTokens::revoke_all`](crate::sessions::OneTimeTokens::revoke_all) and of
    /// [`AdministeredTokens`].
    pub fn revoke_all(&self, user: UserId) -> Result<()> {
        self.by.changing(user).one_time_tokens().revoke_all(user)
    }
}

/// The second factors of the users inside of what an administrator administers.
///
/// ```
/// use gatepost::{ErrorKind, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let york = store.branches().create("York", None)?.id;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # let ben = store.users().create(NewUser::person("ben").branch(york))?.id;
/// # store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers the branch that ben is in. Ben has no second factor.
/// let factors = store.administering(&principal);
/// let factors = factors.second_factors();
/// assert_eq!((factors.info(ben)?, factors.reset(ben)?), (None, false));
/// assert_eq!(factors.reset(ada).unwrap_err().kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredSecondFactors<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredSecondFactors<'_> {
    /// Returns the second factor of a user, without its secret; `None` if it has none or is
    /// outside.
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal is
    ///   no longer live.
    pub fn info(&self, user: UserId) -> Result<Option<SecondFactor>> {
        or_absent(self.by.seeing(user).second_factors().info(user), None)
    }

    /// Removes the second factor of a user who has lost it, with its recovery codes. Ask for a
    /// recent proof of the administrator first:
    /// [`Store::require_fresh`](crate::Store::require_fresh).
    ///
    /// # Errors
    /// Those of [`SecondFactors::reset`](crate::second_factors::SecondFactors::reset) and of
    /// [`info`](Self::info), and:
    /// - [`NotFound`](crate::ErrorKind::NotFound) for a user outside, as for one that does not
    ///   exist;
    /// - [`NotPermitted`](crate::ErrorKind::NotPermitted) for an administrator of more, and for the
    ///   principal's own user.
    pub fn reset(&self, user: UserId) -> Result<bool> {
        self.by.changing(user).second_factors().reset(user)
    }
}
