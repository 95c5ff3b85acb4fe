//! Users: people and programs, their names, their standing and their privileges.

mod fields;
mod list;
mod new;
mod standing;
mod update;

use chrono::{DateTime, Utc};

pub use list::UserFilter;
pub use new::NewUser;
pub(crate) use standing::{
    confirm, delete, logged_in, place, raise, rename, restore, set_email, set_status,
};
pub use update::UserUpdate;

use crate::error::{Error, Result};
use crate::record::throttle;
use crate::storage::{ReadTx, Row, params};
use crate::store::Store;
use crate::value::facts::{UserKind, UserStatus};
use crate::value::id::{BranchId, UserId};
use crate::value::name::{EmailAddress, Username, folded};
use crate::value::time::Timestamp;

/// A user as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What there is to say about the user.
    pub description: Option<String>,
    /// The branch; a deleted user is in none.
    pub branch: Option<BranchId>,
    /// The names of the privileges, in order. The library itself asks about `admin` alone.
    pub privileges: Vec<String>,
    /// Person or system.
    pub kind: UserKind,
    /// What an administrator says of the user.
    pub status: UserStatus,
    /// When the user was deleted; none if it was not.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Whether the next login must set a new password.
    pub set_initial_password: bool,
    /// Failed attempts since the last successful login.
    pub failed_password_attempt_count: i64,
    /// Until when failed attempts keep the user from logging in on devices it has not used
    /// before; the end of time if only an administrator can unlock it.
    pub locked_out_until: Option<DateTime<Utc>>,
    /// Whether desktop clients are turned away.
    pub desktop_client_denied: bool,
    /// The host's own JSON document.
    pub attributes: Option<String>,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
    /// When the user last logged in.
    pub last_login_at: Option<DateTime<Utc>>,
    /// When the account was first confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
}

impl User {
    /// Whether failed attempts keep the user out at that time. Not the administrator's lock, which
    /// is [`UserStatus::Locked`].
    #[must_use]
    pub fn is_locked_out(&self, at: DateTime<Utc>) -> bool {
        self.locked_out_until.is_some_and(|until| at < until)
    }
}

/// The users of a store.
///
/// ```
/// use gatepost::{NewUser, Options, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let ada = store.users().create(NewUser::person("Ada").email("ada@example.com"))?;
/// assert_eq!(store.users().find_by_username("ADA")?, Some(ada));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct Users<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// The users.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users { store: self }
    }
}

impl Users<'_> {
    /// The user of that id; none if there is none or it was deleted.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find(&self, id: UserId) -> Result<Option<User>> {
        self.store.read(|tx| find(tx, id))
    }

    /// The user of that name, in any case; none for a text that cannot be a name.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        let Ok(username) = Username::parse(username) else { return Ok(None) };
        self.store.read(|tx| match by_username_key(tx, &username.key)? {
            Some(user) => find(tx, user.id),
            None => Ok(None),
        })
    }

    /// The user of that e-mail address, in any case; none if there is none or more than one.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find_by_email(&self, email: &str) -> Result<Option<User>> {
        let Ok(email) = EmailAddress::parse(email) else { return Ok(None) };
        self.store.read(|tx| match by_email_key(tx, &email.key)? {
            Some(user) => find(tx, user.id),
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
                 user.last_login_at, user.confirmed_at, user.username_key
             FROM user LEFT JOIN credential ON credential.user_id = user.id ",
            $rest
        )
    };
}
use selecting;

/// The user of that id; none if there is none or it was deleted.
pub(crate) fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>> {
    let found =
        tx.one(selecting!("WHERE user.id = ?1 AND user.deleted_at IS NULL"), params![id], row)?;
    found.map(|found| with_attempts(tx, found)).transpose()
}

/// As [`find`], for a user that must be there.
pub(crate) fn existing(tx: &ReadTx<'_>, id: UserId) -> Result<User> {
    find(tx, id)?.ok_or_else(gone)
}

pub(crate) fn gone() -> Error {
    Error::not_found("the user does not exist")
}

/// A user by its name, and the folded name itself.
pub(crate) struct Named {
    pub(crate) id: UserId,
    pub(crate) username_key: String,
}

/// The user of that name. Reads the last name up to `key`, which is that one or its neighbour, and
/// seeks behind it, where no name is: a name that nobody has takes as long.
pub(crate) fn by_username_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<Named>> {
    let nearest = tx.one(
        "SELECT id, username_key FROM user WHERE username_key < ?1 || char(0) AND deleted_at IS NULL
         ORDER BY username_key DESC LIMIT 1",
        params![key],
        |row| Ok(Named { id: row.get(0)?, username_key: row.get(1)? }),
    )?;
    Ok(nearest.filter(|user| user.username_key == key))
}

/// None unless exactly one user has this address. Reads neighbours as well, for the same reason.
pub(crate) fn by_email_key(tx: &ReadTx<'_>, key: &str) -> Result<Option<Named>> {
    let mut nearest: Vec<(String, Named)> = tx.all(
        "SELECT email_key, id, username_key FROM user
         WHERE email_key < ?1 || char(0) AND deleted_at IS NULL
         ORDER BY email_key DESC LIMIT 2",
        params![key],
        |row| Ok((row.get(0)?, Named { id: row.get(1)?, username_key: row.get(2)? })),
    )?;
    nearest.retain(|(email_key, _)| email_key == key);
    let only = nearest.pop();
    Ok(only.filter(|_| nearest.is_empty()).map(|(_, user)| user))
}

/// The folded name of a user that is not deleted.
pub(crate) fn username_key(tx: &ReadTx<'_>, id: UserId) -> Result<Option<String>> {
    tx.one(
        "SELECT username_key FROM user WHERE id = ?1 AND deleted_at IS NULL",
        params![id],
        |row| row.get(0),
    )
}

/// What others know about a user, of which no password may be made: its name, address, first and
/// last name, branch and organisation.
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
    let words = words.ok_or_else(|| Error::not_found("the branch does not exist"))?;
    Ok(words.into_iter().flatten().collect())
}

fn check_branch(tx: &ReadTx<'_>, branch: Option<BranchId>) -> Result<()> {
    branch.map_or(Ok(()), |branch| place_words(tx, branch).map(drop))
}

/// A user, and the folded name under which its attempts are counted.
struct Found {
    user: User,
    username_key: String,
}

fn with_attempts(tx: &ReadTx<'_>, found: Found) -> Result<User> {
    let Found { mut user, username_key } = found;
    // The name of a deleted user may be somebody else's by now.
    if user.deleted_at.is_none() {
        let state = throttle::state(tx, &username_key)?;
        user.failed_password_attempt_count = state.failures;
        user.locked_out_until = state.locked_until.map(Timestamp::to_datetime);
    }
    Ok(user)
}

fn row(row: &Row<'_>) -> rusqlite::Result<Found> {
    let time = |column: usize| -> rusqlite::Result<Option<DateTime<Utc>>> {
        Ok(row.get::<_, Option<Timestamp>>(column)?.map(Timestamp::to_datetime))
    };
    let privileges: Option<String> = row.get(7)?;
    let mut privileges: Vec<String> =
        privileges.iter().flat_map(|names| names.split(' ')).map(str::to_owned).collect();
    privileges.sort();
    let user = User {
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
        deleted_at: time(10)?,
        set_initial_password: row.get(11)?,
        failed_password_attempt_count: 0,
        locked_out_until: None,
        desktop_client_denied: row.get(12)?,
        attributes: row.get(13)?,
        created_at: row.get::<_, Timestamp>(14)?.to_datetime(),
        last_login_at: time(15)?,
        confirmed_at: time(16)?,
    };
    Ok(Found { user, username_key: row.get(17)? })
}

/// The text that filters look into: name, address and names, folded, each on a line of its own so
/// that nothing is found across two of them.
fn search_key(
    username: &str,
    email: Option<&str>,
    first_name: Option<&str>,
    last_name: Option<&str>,
) -> String {
    let full_name = [first_name.unwrap_or_default(), last_name.unwrap_or_default()].join(" ");
    folded(&[username, email.unwrap_or_default(), &full_name].join("\n"))
}
