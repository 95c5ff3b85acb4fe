//! External identities: the users as identity providers know them.

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::user;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::limits::{IDENTITIES_PER_USER_MAX, PROVIDER_MAX_BYTES, SUBJECT_MAX_BYTES};
use crate::value::time::Timestamp;

/// A user as an identity provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ExternalIdentity {
    /// The name of the identity provider.
    pub provider: String,
    /// The user's name at the provider.
    pub subject: String,
    /// The user.
    pub user: UserId,
    /// When it was linked to the user.
    pub linked_at: Timestamp,
}

impl Store {
    /// Returns the handle of the external identities.
    #[must_use]
    pub fn external_identities(&self) -> ExternalIdentities<'_> {
        ExternalIdentities { store: self }
    }
}

/// The external identities of users: which user an identity provider means by a subject.
///
/// A pair of provider and subject belongs to exactly one user (ASVS 6.8.1), so that no provider can
/// speak for a user of another. Both are compared byte by byte. Use the provider's issuer (`iss`)
/// and its `sub`, never an e-mail address, which the provider may give to another person.
///
/// The host authenticates the person at the provider, for example by OpenID Connect, finds the user
/// here, and opens the session with [`Sessions::open`](crate::sessions::Sessions::open), which
/// refuses a user who is not active.
///
/// ```
/// use gatepost::sessions::OpenSession;
/// use gatepost::{DeviceId, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// let issuer = "https://login.example.com";
/// store.external_identities().link(ada, issuer, "248289761001")?;
///
/// // The host has verified an ID token of this issuer and subject.
/// let user = store.external_identities().find(issuer, "248289761001")?.expect("a linked user");
/// let open = OpenSession::new(user, DeviceId::random()?);
/// assert_eq!(store.sessions().open(open)?.granted()?.principal.user, ada);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("OIDC", "OpenID Connect", "OAuth", "SAML", "federation", "single sign-on", "SSO"))]
#[derive(Debug)]
pub struct ExternalIdentities<'s> {
    store: &'s Store,
}

impl ExternalIdentities<'_> {
    /// Links an external identity to a user and returns it. Writes nothing if the user has it.
    ///
    /// Provider and subject are 1 to 255 bytes each, without control characters. A user has at most
    /// 32 external identities. Link one only in a session of the user, or to a user whom the host
    /// creates for it: an account of the same name or address may be another person's.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let ben = store.users().create(NewUser::person("ben"))?.id;
    /// let identities = store.external_identities();
    /// assert_eq!(identities.link(ada, "https://login.example.com", "7")?.user, ada);
    /// let error = identities.link(ben, "https://login.example.com", "7").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Taken);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if provider or subject breaks its bound;
    /// - [`Taken`](crate::ErrorKind::Taken) if it belongs to another user;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the user has 32 of them;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted.
    pub fn link(&self, user: UserId, provider: &str, subject: &str) -> Result<ExternalIdentity> {
        check(provider, subject)?;
        self.store.write(|tx| {
            user::existing(tx, user)?;
            match owner(tx, provider, subject)? {
                Some(found) if found.user == user => return Ok(Written::Nothing(found)),
                Some(_) => {
                    return Err(Error::taken("the external identity belongs to another user"));
                }
                None => {}
            }
            if of_user(tx, user)?.len() >= IDENTITIES_PER_USER_MAX {
                return Err(Error::limit_reached("the user has 32 external identities"));
            }
            let (provider, subject) = (provider.to_owned(), subject.to_owned());
            let identity = ExternalIdentity { provider, subject, user, linked_at: tx.now() };
            insert(tx, &identity)?;
            let event = Event::new(EventKind::ExternalIdentityLinked).user(user);
            let event = event.detail(&identity.provider);
            Ok(Written::With(identity, event))
        })
    }

    /// Unlinks an external identity from a user; `false` if the user does not have it.
    ///
    /// Revokes nothing: the sessions that were opened by it stay until they end or the host revokes
    /// them, with [`revoke_all`](crate::sessions::Sessions::revoke_all) if the identity fell into
    /// other hands. Takes the id of a deleted user too, so that it can be restored.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let identities = store.external_identities();
    /// identities.link(ada, "https://login.example.com", "7")?;
    /// assert!(identities.unlink(ada, "https://login.example.com", "7")?);
    /// assert_eq!(identities.find("https://login.example.com", "7")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if provider or subject breaks its bound.
    pub fn unlink(&self, user: UserId, provider: &str, subject: &str) -> Result<bool> {
        check(provider, subject)?;
        self.store.write(|tx| {
            if !delete(tx, user, provider, subject)? {
                return Ok(Written::Nothing(false));
            }
            let event = Event::new(EventKind::ExternalIdentityUnlinked).user(user);
            Ok(Written::With(true, event.detail(provider)))
        })
    }

    /// Returns the user to whom an external identity belongs; `None` if it belongs to none, or to a
    /// deleted one. The user may be locked or disabled: opening a session checks that.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// assert_eq!(store.external_identities().find("https://login.example.com", "7")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if provider or subject breaks its bound.
    pub fn find(&self, provider: &str, subject: &str) -> Result<Option<UserId>> {
        check(provider, subject)?;
        let found = self.store.read(|tx| owner(tx, provider, subject))?;
        Ok(found.map(|identity| identity.user))
    }

    /// Returns the external identities of a user, at most 32, by provider and subject. Those of a
    /// deleted user are the ones that it would have if it were restored.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.external_identities().link(ada, "https://login.example.com", "7")?;
    /// assert_eq!(store.external_identities().list(ada)?[0].subject, "7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn list(&self, user: UserId) -> Result<Vec<ExternalIdentity>> {
        self.store.read(|tx| of_user(tx, user))
    }
}

fn check(provider: &str, subject: &str) -> Result<()> {
    let is_plain = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    if !is_plain(provider, PROVIDER_MAX_BYTES) {
        return Err(Error::invalid(
            "the provider is not 1 to 255 bytes long, or has control characters",
        ));
    }
    if !is_plain(subject, SUBJECT_MAX_BYTES) {
        return Err(Error::invalid(
            "the subject is not 1 to 255 bytes long, or has control characters",
        ));
    }
    Ok(())
}

/// Refuses to restore a deleted user while another user has one of its external identities.
///
/// # Errors
/// `Taken`.
pub(crate) fn check_free(tx: &ReadTx<'_>, user: UserId) -> Result<()> {
    let is_taken: bool = tx.exactly_one(
        "SELECT EXISTS (
             SELECT 1 FROM external_identity AS own
             JOIN external_identity AS e ON e.provider = own.provider
                 AND e.subject = own.subject AND e.user_id <> own.user_id
             JOIN user AS u ON u.id = e.user_id
             WHERE own.user_id = ?1 AND u.deleted_at IS NULL)",
        params![user],
        |row| row.get(0),
    )?;
    if is_taken {
        return Err(Error::taken("an external identity of the user belongs to another user")
            .advising("Unlink it from one of the two first (ExternalIdentities::unlink)."));
    }
    Ok(())
}

/// The identity of the user who is not deleted.
fn owner(tx: &ReadTx<'_>, provider: &str, subject: &str) -> Result<Option<ExternalIdentity>> {
    tx.one(
        "SELECT e.provider, e.subject, e.user_id, e.linked_at FROM external_identity AS e
         JOIN user AS u ON u.id = e.user_id
         WHERE e.provider = ?1 AND e.subject = ?2 AND u.deleted_at IS NULL",
        params![provider, subject],
        identity,
    )
}

/// The identities of a user, deleted or not.
pub(crate) fn of_user(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<ExternalIdentity>> {
    tx.all(
        "SELECT provider, subject, user_id, linked_at FROM external_identity
         WHERE user_id = ?1 ORDER BY provider, subject",
        params![user],
        identity,
    )
}

/// Deletes the identities of a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM external_identity WHERE user_id = ?1", params![user]).map(drop)
}

fn insert(tx: &WriteTx<'_>, identity: &ExternalIdentity) -> Result<()> {
    let ExternalIdentity { provider, subject, user, linked_at } = identity;
    tx.execute(
        "INSERT INTO external_identity (provider, subject, user_id, linked_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![provider, subject, user, linked_at],
    )
    .map(drop)
}

fn delete(tx: &WriteTx<'_>, user: UserId, provider: &str, subject: &str) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM external_identity WHERE provider = ?1 AND subject = ?2 AND user_id = ?3",
        params![provider, subject, user],
    )?;
    Ok(deleted > 0)
}

fn identity(row: &Row<'_>) -> rusqlite::Result<ExternalIdentity> {
    Ok(ExternalIdentity {
        provider: row.get(0)?,
        subject: row.get(1)?,
        user: row.get(2)?,
        linked_at: row.get(3)?,
    })
}
