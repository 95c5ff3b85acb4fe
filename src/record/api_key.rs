//! API keys: credentials for background work, shown once and kept as a hash.
//!
//! A key lives while its issue is not older than what ended its user's keys, and it has not
//! expired. Statuses are not asked here: a key of a locked user lives on and is suspended.

use chrono::{DateTime, Utc};

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
use crate::value::time::Timestamp;
use crate::value::token::{TokenKind, mint};

/// A key to be issued: by default without a label, and it does not expire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct NewApiKey {
    label: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

impl NewApiKey {
    /// A key that does not expire.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a list of keys shows of it: one line of at most 128 bytes.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// When it expires, to the millisecond: at that moment it is expired.
    pub fn expires_at(self, at: impl Into<Option<DateTime<Utc>>>) -> Self {
        Self { expires_at: at.into(), ..self }
    }
}

/// A key that was just issued, with its one and only showing.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedApiKey {
    /// Its public handle.
    pub id: ApiKeyId,
    /// The key itself, to be handed to whoever shall use it. The store keeps a hash alone.
    pub key: Secret,
    /// When it expires; none if it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A living key, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKeyInfo {
    /// Its public handle.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// What it was called when it was issued.
    pub label: Option<String>,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it expires; none if it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The API keys.
    #[must_use]
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys { store: self }
    }
}

/// The API keys of a store.
///
/// A key belongs to a person or a system user and is presented without a device. It does not
/// verify while its user is not active, or the user's branch or organisation is not; it does
/// again when they are. The deletion of the user ends it for good.
///
/// ```
/// use std::time::Duration;
///
/// use gatepost::{NewApiKey, NewUser, Options, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let mailer = store.users().create(NewUser::system("mailer"))?.id;
/// let first = store.api_keys().issue(mailer, NewApiKey::new().label("night run"))?;
/// assert!(first.key.expose().starts_with("gpk_"));
///
/// let second = store.api_keys().reassign(mailer, Duration::ZERO)?;
/// let keys = store.api_keys().list(mailer)?;
/// assert_eq!(keys.len(), 1);
/// assert_eq!(keys[0].id, second.id);
/// assert_eq!(keys[0].label.as_deref(), Some("night run"));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct ApiKeys<'s> {
    pub(crate) store: &'s Store,
}

impl ApiKeys<'_> {
    /// Issues a key to a user, whatever the user's status.
    ///
    /// # Errors
    /// `Invalid` for a label that is too long or has control characters, or an expiry that is not
    /// in the future; `NotFound` if there is no such user, or it was deleted; `Taken` if the user
    /// has as many living keys as [`Options::api_keys_per_user`](crate::Options::api_keys_per_user)
    /// allows, one by default; `NoRandom`, `Busy`, `Full`, `Io`.
    pub fn issue(&self, user: UserId, new: NewApiKey) -> Result<IssuedApiKey> {
        let draft = Draft::of(new, self.store.now())?;
        let most = self.store.options().api_keys_per_user;
        self.store.write(|tx| {
            check_user(tx, user)?;
            if living(tx, user)?.len() >= rows(most) {
                return Err(Error::taken("the user has as many API keys as it may have"));
            }
            let issued = insert(tx, user, &draft)?;
            let event = Event::new(EventKind::ApiKeyIssued).user(user).api_key(issued.id);
            Ok(Written::With(issued, event))
        })
    }

    /// The living keys of a user, oldest first, suspended ones among them; none if there is no
    /// such user.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, user: UserId) -> Result<Vec<ApiKeyInfo>> {
        self.store.read(|tx| living(tx, user))
    }
}

/// What is to be issued, checked.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) label: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Draft {
    pub(crate) fn of(new: NewApiKey, now: Timestamp) -> Result<Self> {
        let expires_at = new.expires_at.map(Timestamp::from_datetime);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid("the expiry of the API key is not in the future"));
        }
        let what = "the API key's label is longer than 128 bytes or has control characters";
        let label = new.label.map(|label| text(&label, what, LABEL_MAX_BYTES)).transpose()?;
        Ok(Self { label, expires_at })
    }
}

pub(crate) fn insert(tx: &WriteTx<'_>, user: UserId, draft: &Draft) -> Result<IssuedApiKey> {
    let is_taken = "SELECT EXISTS (SELECT 1 FROM api_key WHERE id = ?1)";
    let id = tx.draw_id(ApiKeyId::draw, is_taken)?;
    let (key, hash) = mint(TokenKind::ApiKey, *id.as_bytes(), tx.random())?;
    tx.execute(
        "INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at, expires_at, label)
         VALUES (?1, ?2, ?3, (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?4, ?5, ?6)",
        params![id, hash, user, tx.now(), draft.expires_at, draft.label],
    )?;
    Ok(IssuedApiKey { id, key, expires_at: draft.expires_at.map(Timestamp::to_datetime) })
}

/// Deletes one key; answers whether it was there.
pub(crate) fn delete(tx: &WriteTx<'_>, id: ApiKeyId) -> Result<bool> {
    tx.check_revokes()?;
    Ok(tx.execute("DELETE FROM api_key WHERE id = ?1", params![id])? == 1)
}

/// Ends all keys of a user by `from`, never later than they were to; answers whether there were
/// any. Those that end now are deleted, which needs no clock: that of another process may lag.
pub(crate) fn end_all_of(tx: &WriteTx<'_>, user: UserId, from: Timestamp) -> Result<bool> {
    tx.check_revokes()?;
    let ended = if from <= tx.now() {
        tx.execute("DELETE FROM api_key WHERE user_id = ?1", params![user])?
    } else {
        tx.execute(
            "UPDATE api_key SET expires_at = ?2
             WHERE user_id = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            params![user, from],
        )?
    };
    Ok(ended > 0)
}

/// The user of a key that was issued and not revoked, whatever else has become of it.
pub(crate) fn user_of(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<UserId>> {
    tx.one("SELECT user_id FROM api_key WHERE id = ?1", params![id], |row| row.get(0))
}

pub(crate) fn living(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ApiKeyInfo>> {
    tx.all(
        concat!(
            "SELECT k.id, k.user_id, k.label, k.issued_at, k.expires_at
             FROM api_key k JOIN user u ON u.id = k.user_id JOIN store st ON st.id = 1
             WHERE k.user_id = ?1 AND u.deleted_at IS NULL AND ",
            key_current!(),
            " AND (k.expires_at IS NULL OR k.expires_at > ?2)
             ORDER BY k.issued_at, k.id"
        ),
        params![user, tx.now()],
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
        issued_at: row.get::<_, Timestamp>(3)?.to_datetime(),
        expires_at: row.get::<_, Option<Timestamp>>(4)?.map(Timestamp::to_datetime),
    })
}

pub(crate) fn rows(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The latest expiry among the `most` keys that expired first, if any has by now.
pub(crate) fn expired_to(tx: &ReadTx<'_>, most: i64) -> Result<Option<Timestamp>> {
    tx.exactly_one(
        "SELECT max(expires_at) FROM (
             SELECT expires_at FROM api_key WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![tx.now(), most],
        |row| row.get(0),
    )
}

/// Deletes at most `most` keys that expired first.
pub(crate) fn sweep(tx: &WriteTx<'_>, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM api_key WHERE id IN (
             SELECT id FROM api_key WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![tx.now(), most],
    )
}
