//! Revoke API keys, and rotate them.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::revoke::Cause;
use crate::record::api_key::{self, ApiKeys, IssuedApiKey};
use crate::record::audit::Written;
use crate::value::event::{Event, EventKind};
use crate::value::id::{ApiKeyId, UserId};
use crate::value::limits::{API_KEY_OVERLAP_MAX, API_KEYS_PER_USER_MAX};
use crate::value::target::Target;
use crate::value::time::Timestamp;

impl ApiKeys<'_> {
    /// Revokes an API key and its descendants for good
    /// ([what revokes what](crate::manual::revocation)): when this returns, no verify in any
    /// process accepts one of them.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new())?;
    ///
    /// store.api_keys().revoke(issued.id)?;
    /// assert!(store.verify((&issued.key, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such key, or it was revoked
    ///   before.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let target = Target::ApiKey { id, from: AT_ONCE };
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            let user = api_key::user_of(tx, id)?.ok_or_else(api_key::gone)?;
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event().user(user)))
        })
    }

    /// Revokes all API keys of a user for good, also those that were made from its sessions
    /// ([what revokes what](crate::manual::revocation)). One row changes, however many keys there
    /// are; nothing is written if the user has none.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new())?;
    ///
    /// store.api_keys().revoke_all(mailer)?;
    /// assert!(store.verify((&issued.key, None))?.valid().is_err());
    /// assert!(store.api_keys().list(mailer)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn revoke_all(&self, user: UserId) -> Result<()> {
        self.store.revoke(Target::User(user), Cause::ApiKeysAsked, |tx, revocation| {
            api_key::check_user(tx, user)?;
            if !api_key::has_unrevoked(tx, user)? {
                return Ok(Written::Nothing(()));
            }
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event()))
        })
    }

    /// Rotates an API key: issues a new key in place of an old one, to the same user and with the
    /// same label, scopes and parent ([what revokes what](crate::manual::revocation)).
    ///
    /// - The old key is revoked at once if `overlap` is zero. Otherwise it expires after the
    ///   overlap, at most 30 days, or at its own expiry if that is earlier; until then both keys
    ///   are valid, also above the number of keys that a user may have. An overlap that would last
    ///   for more than 30 days from now was given while the clock was wrong: the old key is not
    ///   valid until its time has come.
    /// - The descendants of the old key end when it does: the new key has none.
    /// - The new key has the lifetime that the old one was issued with, from now; if the old one
    ///   does not expire, nor does the new one. An attenuated key expires with its parent at the
    ///   latest.
    /// - Other keys of the user stay. The new key of a suspended key is suspended too.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let old = store.api_keys().issue(mailer, NewApiKey::new().label("night run"))?;
    ///
    /// let hour = Duration::from_secs(3_600);
    /// let new = store.api_keys().rotate(old.id, hour)?;
    /// assert!(store.verify((&old.key, None))?.valid().is_ok());
    /// assert!(store.verify((&new.key, None))?.valid().is_ok());
    ///
    /// store.api_keys().rotate(old.id, Duration::ZERO)?;
    /// assert!(store.verify((&old.key, None))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the overlap is longer than 30 days;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such key, it was revoked or has
    ///   expired, or its user was deleted;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if there is an overlap and the user has
    ///   1,000 keys;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// If the disk refuses the revocation, this process refuses the old key from memory, once the
    /// overlap is over, and no new key exists: [`issue`](Self::issue) one when the disk has room
    /// again.
    pub fn rotate(&self, id: ApiKeyId, overlap: Duration) -> Result<IssuedApiKey> {
        if overlap > API_KEY_OVERLAP_MAX {
            return Err(Error::invalid("the overlap of the two API keys is longer than 30 days"));
        }
        let from = if overlap.is_zero() { AT_ONCE } else { self.store.now() + overlap };
        self.store.revoke(Target::ApiKey { id, from }, Cause::Asked, |tx, revocation| {
            let old = api_key::living(tx, id)?.ok_or_else(api_key::gone)?;
            // Bounds the keys of a user, however often a key is rotated.
            let most = api_key::rows(API_KEYS_PER_USER_MAX);
            if !overlap.is_zero() && api_key::living_of(tx, old.user)?.len() >= most {
                return Err(Error::limit_reached("1,000 API keys of the user are still live")
                    .advising("Revoke some of them first, or rotate without an overlap."));
            }
            revocation.apply(tx)?;
            api_key::delete_revoked_of(tx, old.user)?;
            let issued = api_key::insert(tx, old.user, &old.draft, &old.lineage)?;
            let event = Event::new(EventKind::ApiKeyRotated)
                .user(old.user)
                .api_key(issued.id)
                .detail(api_key::rotation(id, (!overlap.is_zero()).then_some(from)));
            Ok(Written::With(issued, event))
        })
    }
}

/// A moment that has passed by every clock.
const AT_ONCE: Timestamp = Timestamp::MIN;
