//! API keys: credentials for background work, shown once and stored as a hash.
//!
//! A key is live if it was issued after the last revocation of its user's keys and has not expired.
//! Statuses do not count here: the key of a locked user is live and suspended.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::proof::key_current;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{ApiKeyId, UserId};
use crate::value::limits::LABEL_MAX_BYTES;
use crate::value::name::text;
use crate::value::secret::Secret;
use crate::value::time::{Deadline, Timestamp, millis_of};
use crate::value::token::{TokenKind, mint};

/// An API key to be issued. Without further calls it has no label and does not expire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct NewApiKey {
    label: Option<String>,
    end: Option<Deadline>,
}

impl NewApiKey {
    /// A key that does not expire.
    pub fn new() -> Self {
        Self::default()
    }

    /// The label that lists show: one line of at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// How long the key is valid from its issue, by the store's clock: more than zero. The last
    /// call of this or [`expires_at`](Self::expires_at) counts.
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
    /// let day = Duration::from_secs(86_400);
    /// store.api_keys().issue(mailer, NewApiKey::new().lifetime(day))?;
    /// let key = &store.api_keys().list(mailer)?[0];
    /// assert_eq!(key.expires_at, Some(key.issued_at + day));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { end: Some(Deadline::After(lifetime)), ..self }
    }

    /// The first moment at which the key is expired; with `None` it does not expire. The last call
    /// of this or [`lifetime`](Self::lifetime) counts.
    pub fn expires_at(self, at: impl Into<Option<Timestamp>>) -> Self {
        Self { end: at.into().map(Deadline::At), ..self }
    }
}

/// An API key that was just issued: the only time that the key itself can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedApiKey {
    /// Its public handle.
    pub id: ApiKeyId,
    /// The key itself, for the program that will present it. The store keeps only a hash (ASVS
    /// 13.2.1).
    pub key: Secret,
    /// When it expires; `None` if it does not.
    pub expires_at: Option<Timestamp>,
}

/// A live API key, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ApiKeyInfo {
    /// Its public handle.
    pub id: ApiKeyId,
    /// The user whose key it is.
    pub user: UserId,
    /// The label that it was issued with.
    pub label: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires; `None` if it does not.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Returns the handle of the API keys.
    #[must_use]
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys { store: self }
    }
}

/// The API keys of a store.
///
/// A key belongs to a person or a system user and is presented without a device. It is suspended
/// while its user, or the user's branch or organisation, is not active. Deleting the user revokes
/// it for good.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::sessions::NewApiKey;
/// use gatepost::NewUser;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let mailer = store.users().create(NewUser::system("mailer"))?.id;
/// let first = store.api_keys().issue(mailer, NewApiKey::new().label("night run"))?;
/// assert!(first.key.expose().starts_with("gpk_"));
///
/// let second = store.api_keys().rotate(first.id, Duration::ZERO)?;
/// let keys = store.api_keys().list(mailer)?;
/// assert_eq!(keys.len(), 1);
/// assert_eq!(keys[0].id, second.id);
/// assert_eq!(keys[0].label.as_deref(), Some("night run"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("pat", "service account", "personal access token"))]
#[derive(Debug)]
pub struct ApiKeys<'s> {
    pub(crate) store: &'s Store,
}

impl ApiKeys<'_> {
    /// Issues an API key to a user of any status. The key of a user who is not active is suspended.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new().label("night run"))?;
    /// assert_eq!(store.verify((&issued.key, None))?.valid()?.user, mailer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the label is longer than 128 bytes or has
    ///   control characters, or the expiry is not in the future;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the user has as many live keys as
    ///   [`Options::api_keys_per_user`](crate::Options::api_keys_per_user) allows, one by default;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn issue(&self, user: UserId, new: NewApiKey) -> Result<IssuedApiKey> {
        let draft = Draft::of(new, self.store.now())?;
        let most = self.store.options().api_keys_per_user;
        self.store.write(|tx| {
            check_user(tx, user)?;
            if living_of(tx, user)?.len() >= rows(most) {
                return Err(Error::limit_reached(
                    "the user has as many API keys as Options::api_keys_per_user allows",
                )
                .advising(
                    "Raise Options::api_keys_per_user, revoke one of the user's keys first, or \
                     replace it with api_keys().rotate.",
                ));
            }
            let issued = insert(tx, user, &draft)?;
            let event = Event::new(EventKind::ApiKeyIssued).user(user).api_key(issued.id);
            Ok(Written::With(issued, event))
        })
    }

    /// Returns the live API keys of a user, oldest first, suspended ones included. Empty if there
    /// is no such user.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::NewApiKey;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let mailer = store.users().create(NewUser::system("mailer"))?.id;
    /// let issued = store.api_keys().issue(mailer, NewApiKey::new().label("night run"))?;
    /// let keys = store.api_keys().list(mailer)?;
    /// assert_eq!(keys[0].id, issued.id);
    /// assert_eq!(keys[0].label.as_deref(), Some("night run"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every call that uses the file](crate::manual::errors) does.
    pub fn list(&self, user: UserId) -> Result<Vec<ApiKeyInfo>> {
        self.store.read(|tx| living_of(tx, user))
    }
}

/// A key to be issued, checked.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) label: Option<String>,
    pub(crate) end: Option<Deadline>,
}

impl Draft {
    pub(crate) fn of(new: NewApiKey, now: Timestamp) -> Result<Self> {
        let end = new.end;
        if end.is_some_and(|end| end.of(now) <= now) {
            return Err(Error::invalid(
                "the API key's lifetime or expires_at is not in the future",
            ));
        }
        let what = "the API key's label is longer than 128 bytes or has control characters";
        let label = new.label.map(|label| text(&label, what, LABEL_MAX_BYTES)).transpose()?;
        Ok(Self { label, end })
    }
}

pub(crate) fn insert(tx: &WriteTx<'_>, user: UserId, draft: &Draft) -> Result<IssuedApiKey> {
    let is_taken = "SELECT EXISTS (SELECT 1 FROM api_key WHERE id = ?1)";
    let id = tx.draw_id(ApiKeyId::draw, is_taken)?;
    let (key, hash) = mint(TokenKind::ApiKey, *id.as_bytes(), tx.random())?;
    let expires_at = draft.end.map(|end| end.of(tx.now()));
    let lifetime = expires_at.map(|at| millis_of(at.duration_since(tx.now())));
    tx.execute(
        "INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at, expires_at,
             lifetime_ms, label)
         VALUES (?1, ?2, ?3, (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?4, ?5, ?6,
             ?7)",
        params![id, hash, user, tx.now(), expires_at, lifetime, draft.label],
    )?;
    Ok(IssuedApiKey { id, key, expires_at })
}

/// Makes a key expire at `from`, never later than before; `false` if that changes nothing. A key
/// that is revoked now is deleted, which needs no clock: that of another process may lag.
pub(crate) fn set_end(tx: &WriteTx<'_>, id: ApiKeyId, from: Timestamp) -> Result<bool> {
    tx.check_revokes()?;
    let ended = if from <= tx.now() {
        tx.execute("DELETE FROM api_key WHERE id = ?1", params![id])?
    } else {
        tx.execute(
            "UPDATE api_key SET expires_at = ?2
             WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            params![id, from],
        )?
    };
    Ok(ended == 1)
}

/// Deletes all keys of a user; `false` if there were none.
pub(crate) fn delete_all_of(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    tx.check_revokes()?;
    Ok(tx.execute("DELETE FROM api_key WHERE user_id = ?1", params![user])? > 0)
}

/// Every key of a user that the file has, live or not, oldest first.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ApiKeyInfo>> {
    tx.all(
        "SELECT id, user_id, label, issued_at, expires_at FROM api_key
         WHERE user_id = ?1 ORDER BY issued_at, id",
        params![user],
        info,
    )
}

/// The keys `k` that are live at the time `?1`.
macro_rules! living_joined {
    () => {
        concat!(
            "api_key k JOIN user u ON u.id = k.user_id JOIN store st ON st.id = 1
             WHERE u.deleted_at IS NULL AND ",
            key_current!(),
            " AND (k.expires_at IS NULL OR k.expires_at > ?1)"
        )
    };
}

/// The user of a key that was issued and not revoked, also if it has expired or is suspended.
pub(crate) fn user_of(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<UserId>> {
    tx.one("SELECT user_id FROM api_key WHERE id = ?1", params![id], |row| row.get(0))
}

/// The properties that a new key copies from the live key that it replaces.
pub(crate) struct Living {
    pub(crate) user: UserId,
    /// A key of the same label, for the lifetime that the old one was issued with.
    pub(crate) draft: Draft,
}

/// The live key with this id, if there is one.
pub(crate) fn living(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<Living>> {
    tx.one(
        concat!(
            "SELECT k.user_id, k.label, k.lifetime_ms FROM ",
            living_joined!(),
            " AND k.id = ?2"
        ),
        params![tx.now(), id],
        |row| {
            let lifetime: Option<i64> = row.get(2)?;
            let end = lifetime.map(|ms| Deadline::After(Duration::from_millis(ms.unsigned_abs())));
            Ok(Living { user: row.get(0)?, draft: Draft { label: row.get(1)?, end } })
        },
    )
}

/// The live keys of a user, oldest first.
pub(crate) fn living_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ApiKeyInfo>> {
    tx.all(
        concat!(
            "SELECT k.id, k.user_id, k.label, k.issued_at, k.expires_at FROM ",
            living_joined!(),
            " AND k.user_id = ?2 ORDER BY k.issued_at, k.id"
        ),
        params![tx.now(), user],
        info,
    )
}

pub(crate) fn check_user(tx: &ReadTx<'_>, user: UserId) -> Result<()> {
    tx.one("SELECT 1 FROM user WHERE id = ?1 AND deleted_at IS NULL", params![user], |_| Ok(()))?
        .ok_or_else(|| Error::not_found("there is no user of this id"))
}

fn info(row: &Row<'_>) -> rusqlite::Result<ApiKeyInfo> {
    Ok(ApiKeyInfo {
        id: row.get(0)?,
        user: row.get(1)?,
        label: row.get(2)?,
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
    })
}

pub(crate) fn rows(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The latest expiry among the `most` keys that expired first; `None` if no key had expired at
/// `at`.
pub(crate) fn expired_to(tx: &ReadTx<'_>, at: Timestamp, most: i64) -> Result<Option<Timestamp>> {
    tx.exactly_one(
        "SELECT max(expires_at) FROM (
             SELECT expires_at FROM api_key WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
        |row| row.get(0),
    )
}

/// Deletes at most `most` keys that had expired at `at`, the first ones first.
pub(crate) fn sweep(tx: &WriteTx<'_>, at: Timestamp, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM api_key WHERE id IN (
             SELECT id FROM api_key WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
    )
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::record::audit::Written;
    use crate::value::id::UserId;
    use crate::{Options, Store};

    /// A full disk would refuse such a write without denying the key from memory.
    #[test]
    fn an_ordinary_write_cannot_revoke_a_key() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let none = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";
        let (key, user): (ApiKeyId, UserId) = (none.parse().unwrap(), none.parse().unwrap());
        let one = store.write(|tx| set_end(tx, key, tx.now()).map(Written::Nothing));
        let all = store.write(|tx| delete_all_of(tx, user).map(Written::Nothing));
        for revoked in [one, all] {
            assert_eq!(revoked.unwrap_err().kind(), ErrorKind::Misuse);
        }
    }
}
