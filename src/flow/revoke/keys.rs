//! Revoke API keys, and rotate them.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::revoke::Cause;
use crate::record::api_key::{self, ApiKeys, Draft, IssuedApiKey, NewApiKey};
use crate::record::audit::Written;
use crate::value::event::{Event, EventKind};
use crate::value::id::{ApiKeyId, UserId};
use crate::value::limits::{API_KEY_OVERLAP_MAX, API_KEYS_PER_USER_MAX};
use crate::value::target::Target;
use crate::value::time::Timestamp;

impl ApiKeys<'_> {
    /// Revokes a key, at once and for good: when this returns, no verify in any process accepts it.
    ///
    /// # Errors
    /// `NotFound` if there is no such key, or none any more; `Busy`, `Corrupt`, `Closed`; `Full`,
    /// `Io`, `CommitUnknown` and `ReadOnly`, after which this process refuses the key all the same.
    pub fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let target = Target::ApiKey(id);
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            let user = api_key::user_of(tx, id)?
                .ok_or_else(|| Error::not_found("there is no API key of this id"))?;
            revocation.apply(tx)?;
            Ok(Written::With((), revocation.event().user(user)))
        })
    }

    /// Revokes all keys of a user, at once and for good.
    ///
    /// ```
    /// use gatepost::{NewApiKey, NewUser, Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new())?;
    ///
    /// store.api_keys().revoke_all(mailer)?;
    /// assert!(store.verify(issued.key.expose(), None)?.valid().is_err());
    /// assert!(store.api_keys().list(mailer)?.is_empty());
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` if there is no such user, or it was deleted; otherwise as
    /// [`revoke`](Self::revoke).
    pub fn revoke_all(&self, user: UserId) -> Result<()> {
        let target = Target::ApiKeysOf { user, from: Timestamp::from_millis(i64::MIN) };
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            api_key::check_user(tx, user)?;
            if !revocation.apply(tx)? {
                return Ok(Written::Nothing(()));
            }
            Ok(Written::With((), revocation.event()))
        })
    }

    /// Issues a key in place of all that the user has: they expire after the overlap, or earlier
    /// if they were to; at once if it is zero. The new one has the label of the newest of them
    /// and does not expire. A user without a key gets one.
    ///
    /// In the overlap both are valid, also beyond the number that a user may have.
    ///
    /// # Errors
    /// As [`reassign_as`](Self::reassign_as).
    pub fn reassign(&self, user: UserId, overlap: Duration) -> Result<IssuedApiKey> {
        self.replace(user, None, overlap)
    }

    /// [`reassign`](Self::reassign), with the label and expiry of the new key as given.
    ///
    /// # Errors
    /// `Invalid` for what [`issue`](Self::issue) finds invalid, or an overlap of more than 30
    /// days; `NotFound` if there is no such user, or it was deleted; `Taken` if 1,000 keys would
    /// still live; `NoRandom`, `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and
    /// `ReadOnly`, after which this process refuses the old keys, once the overlap is over, all the
    /// same.
    pub fn reassign_as(
        &self,
        user: UserId,
        new: NewApiKey,
        overlap: Duration,
    ) -> Result<IssuedApiKey> {
        self.replace(user, Some(Draft::of(new, self.store.now())?), overlap)
    }

    fn replace(
        &self,
        user: UserId,
        draft: Option<Draft>,
        overlap: Duration,
    ) -> Result<IssuedApiKey> {
        if overlap > API_KEY_OVERLAP_MAX {
            return Err(Error::invalid("the overlap of two API keys is longer than 30 days"));
        }
        let from = if overlap.is_zero() {
            // At once, whatever any clock shows.
            Timestamp::from_millis(i64::MIN)
        } else {
            self.store.now().plus(overlap)
        };
        let target = Target::ApiKeysOf { user, from };
        self.store.revoke(target, Cause::Asked, |tx, revocation| {
            api_key::check_user(tx, user)?;
            let old = api_key::living(tx, user)?;
            // However often it is done, what a rotation must look through stays bounded.
            if !overlap.is_zero() && old.len() >= api_key::rows(API_KEYS_PER_USER_MAX) {
                return Err(Error::taken("1,000 API keys of the user still live"));
            }
            if !old.is_empty() {
                revocation.apply(tx)?;
            }
            let label = || old.last().and_then(|newest| newest.label.clone());
            let draft =
                draft.clone().unwrap_or_else(|| Draft { label: label(), expires_at: None });
            let issued = api_key::insert(tx, user, &draft)?;
            let event = Event::new(EventKind::ApiKeyReassigned)
                .user(user)
                .api_key(issued.id)
                .count(i64::try_from(old.len()).ok());
            Ok(Written::With(issued, event))
        })
    }
}
