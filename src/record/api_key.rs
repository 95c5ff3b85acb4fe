//! API keys: credentials for background work, shown once and stored as a hash.
//!
//! A key is live if it was issued after the last revocation of its user's keys and has not expired,
//! and the session that it was made from, if any, is current and neither expired nor idle. Statuses
//! do not count here: the key of a locked user is live and suspended.
//!
//! **Attenuated keys.** A row keeps the whole chain of keys that it was made from, and the session
//! that the chain began with. So the triggers of `schema.sql` find all descendants of a key by one
//! index: they delete them with it, and let none expire later.

mod new;

pub use new::NewApiKey;
pub(crate) use new::{Draft, Parent, Scopes};

use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::proof::{current, in_use, key_current, key_end, key_joined, lineage_of_row};
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{ApiKeyId, UserId};
use crate::value::limits::SWEEP_PER_LOGIN_ROWS;
use crate::value::principal::Credential;
use crate::value::secret::Secret;
use crate::value::target::Lineage;
use crate::value::time::{Deadline, Timestamp, millis_of};
use crate::value::token::{TokenKind, mint};

/// An API key that was just issued: the only time that the key itself can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedApiKey {
    /// Its public handle.
    pub id: ApiKeyId,
    /// The key itself, for the program that will present it. The store keeps only a hash (ASVS
    /// 13.2.1).
    pub key: Secret,
    /// When it expires; `None` if it does not. An attenuated key may expire earlier than was asked
    /// for: with its parent.
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
    /// The session or key that it was made from; `None` if it was issued to its user.
    pub parent: Option<Credential>,
    /// The only privileges that it may use, sorted by name; `None` for all that its user has.
    pub scopes: Option<Vec<String>>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires; `None` if it does not.
    pub expires_at: Option<Timestamp>,
    /// The last use; `None` if it was never used. In steps of a 24th of the lifetime and at least
    /// an hour, so that use costs few writes. Uses of another process count once they have reached
    /// the file.
    pub last_used_at: Option<Timestamp>,
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
    ///   control characters, the expiry is not in the future, or the scopes are more than 64 or one
    ///   cannot be the name of a privilege;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the user has as many live keys as
    ///   [`Options::api_keys_per_user`](crate::Options::api_keys_per_user) allows, one by default.
    ///   Attenuated keys do not count;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn issue(&self, user: UserId, new: NewApiKey) -> Result<IssuedApiKey> {
        let draft = Draft::of(new, self.store.now())?;
        let most = self.store.options().api_keys_per_user;
        self.store.write(|tx| {
            check_user(tx, user)?;
            let issued = living_of(tx, user)?.into_iter().filter(|key| key.parent.is_none());
            if issued.count() >= rows(most) {
                return Err(Error::limit_reached(
                    "the user has as many API keys as Options::api_keys_per_user allows",
                )
                .advising(
                    "Raise Options::api_keys_per_user, revoke one of the user's keys first, or \
                     replace it with api_keys().rotate.",
                ));
            }
            delete_revoked_of(tx, user)?;
            let issued = insert(tx, user, &draft, &Lineage::default())?;
            let event = Event::new(EventKind::ApiKeyIssued).user(user).api_key(issued.id);
            Ok(Written::With(issued, event))
        })
    }

    /// Returns the live API keys of a user, oldest first, suspended and attenuated ones included.
    /// Empty if there is no such user.
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
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn list(&self, user: UserId) -> Result<Vec<ApiKeyInfo>> {
        self.store.read(|tx| {
            let mut keys = living_of(tx, user)?;
            let uses = &self.store.core().pending.uses;
            for key in &mut keys {
                let waiting = uses.last_use(Credential::ApiKey(key.id), tx.now());
                key.last_used_at = key.last_used_at.max(waiting);
            }
            Ok(keys)
        })
    }
}

pub(crate) fn scopes_of(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<Scopes>> {
    let scopes: Option<String> =
        tx.exactly_one("SELECT scopes FROM api_key WHERE id = ?1", params![id], |row| row.get(0))?;
    Ok(scopes.map(Scopes))
}

pub(crate) fn insert(
    tx: &WriteTx<'_>,
    user: UserId,
    draft: &Draft,
    lineage: &Lineage,
) -> Result<IssuedApiKey> {
    let is_taken = "SELECT EXISTS (SELECT 1 FROM api_key WHERE id = ?1)";
    let id = tx.draw_id(ApiKeyId::draw, is_taken)?;
    let (key, hash) = mint(TokenKind::ApiKey, *id.as_bytes(), tx.random())?;
    let expires_at = draft.end.map(|end| end.of(tx.now()));
    let lifetime = expires_at.map(|at| millis_of(at.duration_since(tx.now())));
    let ancestors: Vec<u8> = lineage.keys.iter().flat_map(|key| *key.as_bytes()).collect();
    let scopes = draft.scopes.as_ref().map(|Scopes(names)| names);
    tx.execute(
        "INSERT INTO api_key (id, secret_hash, user_id, session_id, ancestors, issued_seq,
             issued_at, expires_at, lifetime_ms, scopes, label)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?6,
             ?7, ?8, ?9, ?10)",
        params![
            id,
            hash,
            user,
            lineage.session,
            ancestors,
            tx.now(),
            expires_at,
            lifetime,
            scopes,
            draft.label
        ],
    )?;
    Ok(IssuedApiKey { id, key, expires_at })
}

/// Makes a key expire at `from`, never later than before; `false` if that changes nothing. A key
/// that is revoked now is deleted, which needs no clock: that of another process may lag. Triggers
/// do the same to its descendants.
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

/// The higher of the watermarks that apply to the keys of the user `?1`: those below are revoked.
macro_rules! key_watermark {
    () => {
        "(SELECT max(u.keys_ended_seq, st.keys_ended_seq)
          FROM user AS u JOIN store AS st ON st.id = 1 WHERE u.id = ?1)"
    };
}

/// Whether a user has a key that was not revoked. It may have expired: the clock of another process
/// may lag.
pub(crate) fn has_unrevoked(tx: &ReadTx<'_>, user: UserId) -> Result<bool> {
    tx.exactly_one(
        concat!(
            "SELECT EXISTS (
                 SELECT 1 FROM api_key WHERE user_id = ?1 AND issued_seq >= ",
            key_watermark!(),
            ")"
        ),
        params![user],
        |row| row.get(0),
    )
}

/// Deletes a few keys of a user that a watermark has revoked: no limit counts them, and they may
/// never expire.
pub(crate) fn delete_revoked_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute(
        concat!(
            "DELETE FROM api_key WHERE id IN (
                 SELECT id FROM api_key WHERE user_id = ?1 AND issued_seq < ",
            key_watermark!(),
            " ORDER BY issued_seq LIMIT ?2)"
        ),
        params![user, SWEEP_PER_LOGIN_ROWS],
    )?;
    Ok(())
}

/// Deletes every key of a user who is erased, and with them their labels.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.check_revokes()?;
    tx.execute("DELETE FROM api_key WHERE user_id = ?1", params![user]).map(drop)
}

/// Every key of a user that the file has, live or not, oldest first.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ApiKeyInfo>> {
    tx.all(
        "SELECT session_id, ancestors, id, user_id, label, scopes, issued_at, expires_at, last_seen
         FROM api_key WHERE user_id = ?1 ORDER BY issued_at, id",
        params![user],
        info,
    )
}

/// The keys `k` that are live at the time `?1`.
macro_rules! living_joined {
    () => {
        concat!(
            key_joined!(),
            " WHERE u.deleted_at IS NULL AND ",
            key_current!(),
            " AND (k.expires_at IS NULL OR k.expires_at > ?1)
              AND (k.session_id IS NULL OR (",
            current!(),
            " AND s.expires_at > ?1 AND ",
            in_use!("?1"),
            "))"
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
    /// A key of the same label and scopes, for the lifetime that the old one was issued with.
    pub(crate) draft: Draft,
    pub(crate) lineage: Lineage,
}

/// The live key with this id, if there is one.
pub(crate) fn living(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<Living>> {
    let now = tx.now();
    tx.one(
        concat!(
            "SELECT k.session_id, k.ancestors, k.user_id, k.label, k.lifetime_ms, k.scopes,
                 coalesce((SELECT parent.expires_at FROM api_key AS parent
                           WHERE parent.id = substr(k.ancestors, -16)), s.expires_at) FROM ",
            living_joined!(),
            " AND k.id = ?2"
        ),
        params![now, id],
        |row| {
            let lifetime: Option<i64> = row.get(4)?;
            let end = lifetime.map(|ms| Deadline::After(Duration::from_millis(ms.unsigned_abs())));
            let scopes = row.get::<_, Option<String>>(5)?.map(Scopes);
            let draft = Draft { label: row.get(3)?, end, scopes }.until(row.get(6)?, now);
            Ok(Living { user: row.get(2)?, draft, lineage: lineage_of_row(row)? })
        },
    )
}

/// The live keys of a user, oldest first. Reads none that has expired.
pub(crate) fn living_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ApiKeyInfo>> {
    tx.all(
        concat!(
            "SELECT k.session_id, k.ancestors, k.id, k.user_id, k.label, k.scopes, k.issued_at, ",
            key_end!(),
            ", k.last_seen FROM ",
            living_joined!(),
            " AND k.id IN (
                  SELECT id FROM api_key WHERE user_id = ?2 AND expires_at IS NULL
                  UNION ALL SELECT id FROM api_key WHERE user_id = ?2 AND expires_at > ?1)
              ORDER BY k.issued_at, k.id"
        ),
        params![tx.now(), user],
        info,
    )
}

/// Stores that a key was used at `at`. Never moves the last use back.
pub(crate) fn write_use(tx: &WriteTx<'_>, id: ApiKeyId, at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE api_key SET last_seen = ?2
         WHERE id = ?1 AND (last_seen IS NULL OR last_seen < ?2)",
        params![id, at],
    )?;
    Ok(())
}

pub(crate) fn gone() -> Error {
    Error::not_found("there is no API key of this id")
}

pub(crate) fn check_user(tx: &ReadTx<'_>, user: UserId) -> Result<()> {
    tx.one("SELECT 1 FROM user WHERE id = ?1 AND deleted_at IS NULL", params![user], |_| Ok(()))?
        .ok_or_else(|| Error::not_found("there is no user of this id"))
}

fn info(row: &Row<'_>) -> rusqlite::Result<ApiKeyInfo> {
    let scopes = row.get::<_, Option<String>>(5)?.map(Scopes);
    Ok(ApiKeyInfo {
        id: row.get(2)?,
        user: row.get(3)?,
        label: row.get(4)?,
        parent: lineage_of_row(row)?.parent(),
        scopes: scopes.map(|scopes| scopes.names().map(str::to_owned).collect()),
        issued_at: row.get(6)?,
        expires_at: row.get(7)?,
        last_used_at: row.get(8)?,
    })
}

/// The detail of the row of a rotation: the old key, and until when an overlap leaves it valid.
pub(crate) fn rotation(old: ApiKeyId, overlap_end: Option<Timestamp>) -> String {
    let end = overlap_end.map(|end| format!("{UNTIL}{end}")).unwrap_or_default();
    format!("{old}{end}")
}

/// Reads what [`rotation`] wrote.
pub(crate) fn rotated(detail: &str) -> Option<(ApiKeyId, Option<Timestamp>)> {
    let (old, end) = match detail.split_once(UNTIL) {
        Some((old, end)) => (old, Some(end.parse().ok()?)),
        None => (detail, None),
    };
    Some((old.parse().ok()?, end))
}

const UNTIL: &str = " until ";

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
    use crate::{Options, Store};

    /// A full disk would refuse such a write without denying the key from memory.
    #[test]
    fn an_ordinary_write_cannot_revoke_a_key() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let key: ApiKeyId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
        let revoked = store.write(|tx| set_end(tx, key, tx.now()).map(Written::Nothing));
        assert_eq!(revoked.unwrap_err().kind(), ErrorKind::Misuse);
        let user: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d78".parse().unwrap();
        let erased = store.write(|tx| erase_of(tx, user).map(Written::Nothing));
        assert_eq!(erased.unwrap_err().kind(), ErrorKind::Misuse);
    }
}
