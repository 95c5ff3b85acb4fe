//! Update the fields and privileges of a user, and unlock it.

use super::fields::{
    UserFields, grant, json_is_valid, privileges, privileges_changed, store_fields, withdraw,
};
use super::{User, Users, existing};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::throttle;
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind, in_lines};
use crate::value::id::UserId;
use crate::value::name::Privilege;

/// Changes to the fields of a user. A field that is not named stays; an empty text removes the
/// value.
///
/// Username, e-mail address, status, branch and privileges have calls of their own, because they
/// have other effects.
///
/// ```
/// use gatepost::NewUser;
/// use gatepost::directory::UserUpdate;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada").last_name("Byron"))?;
/// let ada = store.users().update(ada.id, UserUpdate::new().last_name("King"))?;
/// assert_eq!(ada.last_name.as_deref(), Some("King"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct UserUpdate {
    fields: UserFields,
}

impl UserUpdate {
    /// An update that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first name, at most 256 bytes.
    pub fn first_name(mut self, first_name: impl Into<String>) -> Self {
        self.fields.first_name = Some(first_name.into());
        self
    }

    /// The last name, at most 256 bytes.
    pub fn last_name(mut self, last_name: impl Into<String>) -> Self {
        self.fields.last_name = Some(last_name.into());
        self
    }

    /// The description, at most 4,096 bytes.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.fields.description = Some(description.into());
        self
    }

    /// Whether logins of desktop clients are refused.
    pub fn desktop_client_denied(mut self, denied: bool) -> Self {
        self.fields.desktop_client_denied = Some(denied);
        self
    }

    /// The host's own JSON document, at most 16,384 bytes. JSON that another reader could refuse is
    /// `Invalid`: a lone surrogate, more than 127 levels, a number beyond a double, an object with
    /// the same name twice.
    pub fn attributes(mut self, json: impl Into<String>) -> Self {
        self.fields.attributes = Some(json.into());
        self
    }
}

impl Users<'_> {
    /// Changes fields of a user and returns the user after the change. Revokes nothing. Writes
    /// nothing if no field changes.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserUpdate;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").description("On leave"))?;
    /// let update = UserUpdate::new().first_name("Ada").description("");
    /// let ada = store.users().update(ada.id, update)?;
    /// assert_eq!(ada.first_name.as_deref(), Some("Ada"));
    /// assert_eq!(ada.description, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if a text breaks its bounds;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn update(&self, id: UserId, update: UserUpdate) -> Result<User> {
        let fields = update.fields.checked()?;
        self.store.write(|tx| {
            json_is_valid(tx, &fields)?;
            let before = existing(tx, id)?;
            let mut after = before.clone();
            fields.apply(&mut after);
            if after == before {
                return Ok(Written::Nothing(before));
            }
            store_fields(tx, &after)?;
            Ok(Written::With(after, Event::new(EventKind::UserUpdated).user(id)))
        })
    }

    /// Gives the user these privileges and no others, and returns the user after the change.
    ///
    /// Revokes no session: the next verify and the next [`Store::may`](crate::Store::may), in every
    /// process, see the new privileges (ASVS 8.3.2).
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").privilege("admin"))?;
    /// let ada = store.users().set_privileges(ada.id, &["reports.read", "reports.write"])?;
    /// assert_eq!(ada.privileges, ["reports.read", "reports.write"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if a name is not 1 to 64 of `a-z 0-9 . _ : -`, or
    ///   there are more than 64 names;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn set_privileges(&self, id: UserId, names: &[&str]) -> Result<User> {
        let wanted = privileges(names)?;
        self.store.write(|tx| give(tx, existing(tx, id)?, &wanted))
    }

    /// Grants and withdraws privileges and leaves the others, also those that another process
    /// changes at the same time; returns the user after the change. To grant what the user has, or
    /// to withdraw what it lacks, changes nothing.
    ///
    /// Otherwise as [`set_privileges`](Self::set_privileges).
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let names = ["reports.read", "reports.write"];
    /// let ada = store.users().create(NewUser::person("ada").privileges(names))?;
    /// let ada = store.users().change_privileges(ada.id, &["print"], &["reports.write"])?;
    /// assert_eq!(ada.privileges, ["print", "reports.read"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`set_privileges`](Self::set_privileges), and
    /// [`Invalid`](crate::ErrorKind::Invalid) if a name is both granted and withdrawn.
    pub fn change_privileges(
        &self,
        id: UserId,
        granted: &[&str],
        withdrawn: &[&str],
    ) -> Result<User> {
        let (granted, withdrawn) = (privileges(granted)?, privileges(withdrawn)?);
        if granted.iter().any(|name| withdrawn.contains(name)) {
            return Err(Error::invalid("a privilege is both granted and withdrawn"));
        }
        self.store.write(|tx| {
            let user = existing(tx, id)?;
            let stays = |name: &&str| !withdrawn.iter().any(|gone| gone.as_str() == *name);
            let kept = user.privileges.iter().map(String::as_str).filter(stays);
            let wanted: Vec<&str> = kept.chain(granted.iter().map(Privilege::as_str)).collect();
            let wanted = privileges(&wanted)?;
            give(tx, user, &wanted)
        })
    }

    /// Forgives the user's failed attempts, on every device, and ends every wait of the user;
    /// `false` if there was nothing to forgive. Needs no session and changes no status.
    ///
    /// A process goes on to answer `TooManyAttempts` for as long as a name that was typed there
    /// waits, at most 30 s for a right password.
    ///
    /// ```
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("lantern over wet slate");
    /// let ada = store.users().create(NewUser::person("ada").password(password))?.id;
    /// let device = DeviceId::new("till-1")?;
    /// let _ = store.log_in(LoginRequest::new("ada", Password::from("a guess"), device))?;
    /// assert_eq!(store.users().find(ada)?.map(|ada| ada.failed_attempts), Some(1));
    ///
    /// assert!(store.users().unlock(ada)?);
    /// assert_eq!(store.users().find(ada)?.map(|ada| ada.failed_attempts), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn unlock(&self, id: UserId) -> Result<bool> {
        self.store.write(|tx| {
            if !super::exists(tx, id)? {
                return Err(super::gone());
            }
            if !throttle::clear(tx, id)? {
                return Ok(Written::Nothing(false));
            }
            Ok(Written::With(true, Event::new(EventKind::AttemptsUnlocked).user(id)))
        })
    }
}

/// Gives the user these privileges and no others. Writes only the difference, so that a privilege
/// which stays leaves no change row.
fn give(tx: &WriteTx<'_>, mut user: User, wanted: &[Privilege]) -> Result<Written<User>> {
    let is_wanted = |name: &String| wanted.iter().any(|wanted| wanted.as_str() == name);
    let has = |name: &&Privilege| user.privileges.iter().any(|own| own == name.as_str());
    let gone: Vec<&String> = user.privileges.iter().filter(|name| !is_wanted(name)).collect();
    let come: Vec<&Privilege> = wanted.iter().filter(|name| !has(name)).collect();
    if gone.is_empty() && come.is_empty() {
        return Ok(Written::Nothing(user));
    }
    let mut detail = Vec::new();
    for name in gone {
        withdraw(tx, user.id, name)?;
        detail.push(["-", name.as_str()].concat());
    }
    for name in come {
        grant(tx, user.id, name)?;
        detail.push(["+", name.as_str()].concat());
    }
    user.privileges = wanted.iter().map(|name| name.as_str().to_owned()).collect();
    let events = in_lines(&detail).into_iter().map(|line| privileges_changed(user.id, line));
    let events = events.collect();
    Written::with_all(tx, user, events)
}
