//! Users: people and programs, with their names, status and privileges.

mod fields;
mod lifecycle;
mod list;
mod new;
mod update;

pub(crate) use lifecycle::{
    check_emails_log_in, confirm, delete, emails_are_ambiguous, erase, logged_in, place, raise,
    rename, restore, set_email, set_status,
};
pub use list::UserFilter;
pub(crate) use new::CheckedUser;
pub use new::NewUser;
pub use update::UserUpdate;

use crate::error::{Error, Result};
use crate::record::throttle;
use crate::storage::{ReadTx, Row, params};
use crate::store::Store;
use crate::value::id::{BranchId, UserId};
#[cfg(feature = "serde")]
use crate::value::name::from_json;
use crate::value::name::{EmailAddress, Username, searched};
use crate::value::principal::{UserKind, UserStatus};
use crate::value::time::Timestamp;

/// A user, as it is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name to log in with, as shown. Unique among users that are not deleted, whatever its
    /// case.
    pub username: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// A description, in the host's words.
    pub description: Option<String>,
    /// The branch; `None` for a deleted user.
    pub branch: Option<BranchId>,
    /// The names of the privileges, in order. The library itself checks only `admin`.
    pub privileges: Vec<String>,
    /// A person or a system.
    pub kind: UserKind,
    /// The status that an administrator gave the user.
    pub status: UserStatus,
    /// When the user was deleted; `None` if it is not deleted.
    pub deleted_at: Option<Timestamp>,
    /// Whether the next login must set a new password.
    pub must_change_password: bool,
    /// The failed attempts that count: those since the last login that proved all that a login of
    /// the user needs. A password alone, on a trusted device, forgives only those on the device.
    pub failed_attempts: u64,
    /// Until when failed attempts keep the user from logging in on new devices; `Timestamp::MAX` if
    /// only an administrator can unlock the user.
    pub locked_out_until: Option<Timestamp>,
    /// Whether logins of desktop clients are refused.
    pub desktop_client_denied: bool,
    /// The host's own JSON document.
    pub attributes: Option<String>,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user last logged in.
    pub last_login_at: Option<Timestamp>,
    /// When the account was first confirmed.
    pub confirmed_at: Option<Timestamp>,
}

impl User {
    /// Returns whether failed attempts keep the user from logging in on new devices at that time.
    /// The administrator's lock is another thing: [`UserStatus::Locked`].
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password, Timestamp};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("lantern over wet slate");
    /// let ada = store.users().create(NewUser::person("ada").password(password))?.id;
    /// for _ in 0..5 {
    ///     let device = DeviceId::new("till-1")?;
    ///     let _ = store.log_in(LoginRequest::new("ada", Password::from("a guess"), device))?;
    /// }
    /// let ada = store.users().find(ada)?.expect("a user");
    /// assert!(ada.is_locked_out(Timestamp::from(std::time::SystemTime::now())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_locked_out(&self, at: Timestamp) -> bool {
        self.locked_out_until.is_some_and(|until| at < until)
    }

    /// Whether a typed text is the username of this user, by the rules of
    /// [`find_by_username`](Users::find_by_username): for a deleted user, whom that call does not
    /// find.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let user = store.users().create(NewUser::person("straße"))?;
    /// assert!(user.has_username("STRASSE") && !user.has_username("strase"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_username(&self, text: &str) -> bool {
        let key = |name| Username::parse(name).ok().map(|name| name.key);
        key(text).is_some_and(|typed| key(&self.username) == Some(typed))
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl User {
    /// Returns the host's own JSON document as a `T`; `None` if there is none.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// #[derive(serde::Deserialize)]
    /// struct Desk {
    ///     number: u32,
    /// }
    ///
    /// let ada = store.users().create(NewUser::person("ada").attributes(r#"{"number": 4}"#))?;
    /// assert_eq!(ada.attributes::<Desk>()?.map(|desk| desk.number), Some(4));
    /// assert!(ada.attributes::<String>().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the document is not a `T`.
    pub fn attributes<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>> {
        const OTHER: &str = "the user's attributes are not of the type that is asked for";
        self.attributes.as_deref().map(|json| from_json(json, OTHER)).transpose()
    }
}

/// The users of a store.
///
/// ```
/// use gatepost::NewUser;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("Ada").email("ada@example.com"))?;
/// assert_eq!(store.users().find_by_username("ADA")?, Some(ada));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Users<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// Returns the handle of the users.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users { store: self }
    }
}

impl Users<'_> {
    /// Returns the user with this id; `None` if there is none or it was deleted.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// assert_eq!(store.users().find(ada.id)?, Some(ada.clone()));
    /// store.users().delete(ada.id)?;
    /// assert_eq!(store.users().find(ada.id)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find(&self, id: UserId) -> Result<Option<User>> {
        self.store.read(|tx| find(tx, id))
    }

    /// Returns the user with this username; `None` if there is none, or if the text cannot be a
    /// username. Letter case is ignored (ASVS 2.2.1).
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("Ada"))?;
    /// assert_eq!(store.users().find_by_username("ADA")?, Some(ada));
    /// assert_eq!(store.users().find_by_username("bob")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        let Ok(username) = Username::parse(username) else { return Ok(None) };
        self.store.read(|tx| match by_username_key(tx, &username.key)? {
            Some(id) => find(tx, id),
            None => Ok(None),
        })
    }

    /// Returns the user with this e-mail address; `None` unless exactly one user has it.
    ///
    /// White space around it, letter case and compatibility forms (full-width letters, ligatures)
    /// are ignored, so what was typed may be another address for a mail server: **mail to the
    /// stored address**, [`User::email`], never to the typed one.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").email("ada@example.com"))?;
    /// assert_eq!(store.users().find_by_email("ADA@example.com")?, Some(ada));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find_by_email(&self, email: &str) -> Result<Option<User>> {
        let Ok(email) = EmailAddress::parse(email) else { return Ok(None) };
        self.store.read(|tx| match by_email_key(tx, &email.key)? {
            Some(id) => find(tx, id),
            None => Ok(None),
        })
    }
}

/// The columns that [`row`] reads, in its order, before what each statement adds.
macro_rules! selecting {
    ($rest:literal) => {
        concat!(
            "SELECT user.id, user.username, user.email, user.first_name, user.last_name,
                 user.description, user.branch_id,
                 (SELECT group_concat(user_privilege.name, ' ') FROM user_privilege
                  WHERE user_privilege.user_id = user.id),
                 user.kind, user.status, user.deleted_at, coalesce(credential.must_change, 0),
                 user.desktop_client_denied, user.attributes, user.created_at,
                 user.last_login_at, user.confirmed_at
             FROM user LEFT JOIN credential ON credential.user_id = user.id ",
            $rest
        )
    };
}
use selecting;

/// The user with this id; `None` if there is none or it was deleted.
pub(crate) fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>> {
    let found =
        tx.one(selecting!("WHERE user.id = ?1 AND user.deleted_at IS NULL"), params![id], row)?;
    found.map(|found| with_attempts(tx, found)).transpose()
}

/// As [`find`]; fails with `NotFound` if there is no such user.
pub(crate) fn existing(tx: &ReadTx<'_>, id: UserId) -> Result<User> {
    find(tx, id)?.ok_or_else(gone)
}

/// The user with this id, deleted or not; fails with `NotFound` if there is none, or it was erased.
pub(crate) fn stored(tx: &ReadTx<'_>, id: UserId) -> Result<User> {
    let found =
        tx.one(selecting!("WHERE user.id = ?1 AND user.erased_seq IS NULL"), params![id], row)?;
    with_attempts(tx, found.ok_or_else(gone)?)
}

/// The branch that a deleted user was in.
pub(crate) fn former_branch(tx: &ReadTx<'_>, id: UserId) -> Result<Option<BranchId>> {
    let sql = "SELECT former_branch_id FROM user WHERE id = ?1";
    Ok(tx.one(sql, params![id], |row| row.get(0))?.flatten())
}

pub(crate) fn gone() -> Error {
    Error::not_found("there is no user of this id")
}

/// The user with this folded username.
pub(crate) fn by_username_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<UserId>> {
    let (user, _) = near_username_key(tx, key)?;
    Ok(user)
}

/// The user with this folded username, and the user of the last username up to `key`: that one or
/// its neighbour, so that an unknown name takes as long as a known one.
pub(crate) fn near_username_key(tx: &ReadTx<'_>, key: &str) -> Result<(Option<UserId>, UserId)> {
    let nearest: Option<(UserId, String)> = tx.one(
        "SELECT id, username_key FROM user WHERE username_key < ?1 || char(0) AND deleted_at IS NULL
         ORDER BY username_key DESC LIMIT 1",
        params![key],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(match nearest {
        Some((id, nearest_key)) => ((nearest_key == key).then_some(id), id),
        None => (None, UserId::NIL),
    })
}

/// The user with this folded address; `None` unless exactly one has it. Reads neighbours as well,
/// for the same reason.
pub(crate) fn by_email_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<UserId>> {
    let mut nearest: Vec<(String, UserId)> = tx.all(
        "SELECT email_key, id FROM user
         WHERE email_key < ?1 || char(0) AND deleted_at IS NULL
         ORDER BY email_key DESC LIMIT 2",
        params![key],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    nearest.retain(|(email_key, _)| email_key == key);
    let only = nearest.pop();
    Ok(only.filter(|_| nearest.is_empty()).map(|(_, user)| user))
}

/// The folded e-mail address of a user.
pub(crate) fn email_key(tx: &ReadTx<'_>, id: UserId) -> Result<Option<String>> {
    tx.exactly_one("SELECT email_key FROM user WHERE id = ?1", params![id], |row| row.get(0))
}

/// Whether there is a user of that id that is not deleted.
pub(crate) fn exists(tx: &ReadTx<'_>, id: UserId) -> Result<bool> {
    tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM user WHERE id = ?1 AND deleted_at IS NULL)",
        params![id],
        |row| row.get(0),
    )
}

/// The words that others know of a user and that no password may consist of (ASVS 6.2.11): its
/// username, address, first and last name, branch and organisation.
pub(crate) fn context_words(tx: &ReadTx<'_>, id: UserId) -> Result<Vec<String>> {
    let words: Option<[Option<String>; 6]> = tx.one(
        "SELECT user.username, user.email, user.first_name, user.last_name, branch.name,
             organisation.name
         FROM user LEFT JOIN branch ON branch.id = user.branch_id
             LEFT JOIN organisation ON organisation.id = branch.organisation_id
         WHERE user.id = ?1 AND user.deleted_at IS NULL",
        params![id],
        |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]),
    )?;
    Ok(words.ok_or_else(gone)?.into_iter().flatten().collect())
}

/// The names of a branch and of its organisation.
fn place_words(tx: &ReadTx<'_>, branch: BranchId) -> Result<Vec<String>> {
    let words: Option<[Option<String>; 2]> = tx.one(
        "SELECT branch.name, organisation.name
         FROM branch LEFT JOIN organisation ON organisation.id = branch.organisation_id
         WHERE branch.id = ?1",
        params![branch],
        |row| Ok([row.get(0)?, row.get(1)?]),
    )?;
    let words = words.ok_or_else(|| Error::not_found("there is no branch of this id"))?;
    Ok(words.into_iter().flatten().collect())
}

fn check_branch(tx: &ReadTx<'_>, branch: Option<BranchId>) -> Result<()> {
    branch.map_or(Ok(()), |branch| place_words(tx, branch).map(drop))
}

fn with_attempts(tx: &ReadTx<'_>, mut user: User) -> Result<User> {
    let state = throttle::state(tx, user.id)?;
    user.failed_attempts = state.failures.unsigned_abs();
    user.locked_out_until = state.locked_until;
    Ok(user)
}

fn row(row: &Row<'_>) -> rusqlite::Result<User> {
    let privileges: Option<String> = row.get(7)?;
    let mut privileges: Vec<String> =
        privileges.iter().flat_map(|names| names.split(' ')).map(str::to_owned).collect();
    privileges.sort();
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        first_name: row.get(3)?,
        last_name: row.get(4)?,
        description: row.get(5)?,
        branch: row.get(6)?,
        privileges,
        kind: row.get(8)?,
        status: row.get(9)?,
        deleted_at: row.get(10)?,
        must_change_password: row.get(11)?,
        failed_attempts: 0,
        locked_out_until: None,
        desktop_client_denied: row.get(12)?,
        attributes: row.get(13)?,
        created_at: row.get(14)?,
        last_login_at: row.get(15)?,
        confirmed_at: row.get(16)?,
    })
}

/// The text that filters search: username, address and names, folded, each on a line of its own so
/// that no match spans two of them.
fn search_key(
    username: &str,
    email: Option<&str>,
    first_name: Option<&str>,
    last_name: Option<&str>,
) -> String {
    let full_name = [first_name.unwrap_or_default(), last_name.unwrap_or_default()].join(" ");
    searched(&[username, email.unwrap_or_default(), &full_name].join("\n"))
}
