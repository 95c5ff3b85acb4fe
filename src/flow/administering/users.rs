//! The users inside of what an administrator administers.

use super::{Administration, or_absent};
use crate::error::Result;
use crate::flow::administration::place;
use crate::flow::password_set::RevokeSessions;
use crate::record::user::{self, NewUser, User, UserFilter, UserUpdate};
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::id::{BranchId, Page, UserId};
use crate::value::name::Username;
use crate::value::principal::UserStatus;
use crate::value::secret::Password;
use crate::value::subtree::Subtree;

/// The users inside of what an administrator administers: those in its branches, and the deleted
/// ones that were last there.
///
/// Each call does what the call of [`Users`](crate::directory::Users) with its name does, and fails
/// as that one does, and also:
/// - with [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal
///   is no longer live;
/// - with [`NotFound`](crate::ErrorKind::NotFound) for a user, a branch or an organisation outside,
///   as for one that does not exist; calls that show users show none;
/// - with [`NotPermitted`](crate::ErrorKind::NotPermitted) if it changes an administrator of more,
///   or the principal's own user.
///
/// Usernames are unique in the whole store, and so are e-mail addresses if they log in: a name of a
/// user outside is [`Taken`](crate::ErrorKind::Taken), the one thing that shows of it.
///
/// ```
/// use gatepost::directory::UserStatus;
/// use gatepost::{ErrorKind, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let york = store.branches().create("York", None)?.id;
/// # let leeds = store.branches().create("Leeds", None)?.id;
/// # let ada = store.users().create(NewUser::person("ada").privilege("reports.read"))?.id;
/// # store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers York, and has the privilege `reports.read`.
/// let of_ada = store.administering(&principal);
/// let ben = of_ada.users().create(NewUser::person("ben").branch(york))?.id;
/// of_ada.users().set_privileges(ben, &["reports.read"])?;
/// let ben = of_ada.users().set_status(ben, UserStatus::Locked)?;
/// assert_eq!((ben.status, ben.privileges), (UserStatus::Locked, vec!["reports.read".into()]));
///
/// let error = of_ada.users().set_privileges(ben.id, &["reports.write"]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotPermitted);
/// let error = of_ada.users().move_to(ben.id, leeds).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredUsers<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredUsers<'_> {
    /// Returns the user with this id; `None` if there is none inside, or it was deleted.
    ///
    /// # Errors
    /// Those of [`AdministeredUsers`].
    pub fn find(&self, id: UserId) -> Result<Option<User>> {
        or_absent(self.by.seeing(id).users().find(id), None)
    }

    /// Returns the user with this username; `None` if there is none inside.
    ///
    /// # Errors
    /// Those of [`AdministeredUsers`].
    pub fn find_by_username(&self, username: &str) -> Result<Option<User>> {
        let Ok(username) = Username::parse(username) else { return Ok(None) };
        self.by.store.read(|tx| {
            let by = self.by.now(tx)?;
            // A name outside takes the same statements as one that no user has.
            let id = user::by_username_key(tx, &username.key)?.unwrap_or(UserId::NIL);
            match by.authority.user(tx, id)? {
                Some(_) => user::find(tx, id),
                None => Ok(None),
            }
        })
    }

    /// Returns a page of the users inside that the filter selects, in the order of their ids. A
    /// branch or organisation of the filter that is outside selects none.
    ///
    /// # Errors
    /// Those of [`Users::list`](crate::directory::Users::list) and of [`AdministeredUsers`].
    pub fn list(&self, filter: &UserFilter, page: Page<UserId>) -> Result<Vec<User>> {
        let authority = |tx: &ReadTx<'_>| Ok(self.by.now(tx)?.authority);
        self.by.store.users().list_inside(&authority, filter, page)
    }

    /// Returns how many users inside the filter selects.
    ///
    /// # Errors
    /// Those of [`Users::list`](crate::directory::Users::list) and of [`AdministeredUsers`].
    pub fn count(&self, filter: &UserFilter) -> Result<u64> {
        let authority = |tx: &ReadTx<'_>| Ok(self.by.now(tx)?.authority);
        self.by.store.users().count_inside(&authority, filter)
    }

    /// Creates a user in a branch inside. Only an administrator of everything creates one in no
    /// branch. The administrator must have each privilege of the new user.
    ///
    /// # Errors
    /// Those of [`Users::create`](crate::directory::Users::create) and of [`AdministeredUsers`].
    pub fn create(&self, new: NewUser) -> Result<User> {
        let (branch, privileges) = new.asked();
        let store = self.by.checking(move |tx, by| {
            by.administers(tx, branch.map_or(Subtree::Store, Subtree::Branch))?;
            by.holds(privileges.iter().map(String::as_str))
        });
        // So that an administrator who may not create the user waits for no hash.
        store.read(|_| Ok(()))?;
        store.users().create(new)
    }

    /// Changes fields of a user.
    ///
    /// # Errors
    /// Those of [`Users::update`](crate::directory::Users::update) and of [`AdministeredUsers`].
    pub fn update(&self, id: UserId, update: UserUpdate) -> Result<User> {
        self.by.changing(id).users().update(id, update)
    }

    /// Changes the username.
    ///
    /// # Errors
    /// Those of [`Users::rename`](crate::directory::Users::rename) and of [`AdministeredUsers`].
    pub fn rename(&self, id: UserId, username: &str) -> Result<User> {
        self.by.changing(id).users().rename(id, username)
    }

    /// Sets or removes the e-mail address.
    ///
    /// # Errors
    /// Those of [`Users::set_email`](crate::directory::Users::set_email) and of
    /// [`AdministeredUsers`].
    pub fn set_email(&self, id: UserId, email: Option<&str>) -> Result<User> {
        self.by.changing(id).users().set_email(id, email)
    }

    /// Confirms that the account is its owner's.
    ///
    /// # Errors
    /// Those of [`Users::confirm`](crate::directory::Users::confirm) and of [`AdministeredUsers`].
    pub fn confirm(&self, id: UserId) -> Result<User> {
        self.by.changing(id).users().confirm(id)
    }

    /// Sets the status.
    ///
    /// # Errors
    /// Those of [`Users::set_status`](crate::directory::Users::set_status) and of
    /// [`AdministeredUsers`].
    pub fn set_status(&self, id: UserId, status: UserStatus) -> Result<User> {
        self.by.changing(id).users().set_status(id, status)
    }

    /// Activates a user who is locked; one that is disabled or pending stays so.
    ///
    /// # Errors
    /// Those of [`Users::activate_locked`](crate::directory::Users::activate_locked) and of
    /// [`AdministeredUsers`].
    pub fn activate_locked(&self, id: UserId) -> Result<User> {
        self.by.changing(id).users().activate_locked(id)
    }

    /// Forgives the failed attempts of a user.
    ///
    /// # Errors
    /// Those of [`Users::unlock`](crate::directory::Users::unlock) and of [`AdministeredUsers`].
    pub fn unlock(&self, id: UserId) -> Result<bool> {
        self.by.changing(id).users().unlock(id)
    }

    /// Gives the user these privileges and no others. The administrator must have each privilege
    /// that the user gets; it may withdraw any.
    ///
    /// # Errors
    /// Those of [`Users::set_privileges`](crate::directory::Users::set_privileges) and of
    /// [`AdministeredUsers`].
    pub fn set_privileges(&self, id: UserId, names: &[&str]) -> Result<User> {
        self.granting(id, names).users().set_privileges(id, names)
    }

    /// Grants and withdraws privileges of a user, and leaves the others. The administrator must
    /// have each privilege that the user gets; it may withdraw any.
    ///
    /// # Errors
    /// Those of [`Users::change_privileges`](crate::directory::Users::change_privileges) and of
    /// [`AdministeredUsers`].
    pub fn change_privileges(
        &self,
        id: UserId,
        granted: &[&str],
        withdrawn: &[&str],
    ) -> Result<User> {
        self.granting(id, granted).users().change_privileges(id, granted, withdrawn)
    }

    /// A store that may give the user these privileges: the administrator has those that are new.
    fn granting(&self, id: UserId, names: &[&str]) -> Store {
        let wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.by.checking(move |tx, by| {
            by.may_change(tx, id)?;
            let has = user::existing(tx, id)?.privileges;
            by.holds(wanted.iter().filter(|name| !has.contains(name)).map(String::as_str))
        })
    }

    /// Moves a user to another branch inside. Only an administrator of everything moves one out of
    /// all branches.
    ///
    /// # Errors
    /// Those of [`Users::move_to`](crate::directory::Users::move_to) and of [`AdministeredUsers`].
    pub fn move_to(&self, id: UserId, branch: impl Into<Option<BranchId>>) -> Result<User> {
        let branch = branch.into();
        let store = self.by.checking(move |tx, by| {
            by.may_change(tx, id)?;
            by.administers(tx, branch.map_or(Subtree::Store, Subtree::Branch))
        });
        store.users().move_to(id, branch)
    }

    /// Deletes a user.
    ///
    /// # Errors
    /// Those of [`Users::delete`](crate::directory::Users::delete) and of [`AdministeredUsers`].
    pub fn delete(&self, id: UserId) -> Result<()> {
        self.by.changing(id).users().delete(id)
    }

    /// Restores a deleted user, with the privileges and administrations that it had.
    ///
    /// # Errors
    /// Those of [`Users::restore`](crate::directory::Users::restore) and of [`AdministeredUsers`].
    pub fn restore(&self, id: UserId) -> Result<User> {
        self.by.changing(id).users().restore(id)
    }

    /// Sets the password of a user.
    ///
    /// # Errors
    /// Those of [`Users::set_password`](crate::directory::Users::set_password) and of
    /// [`AdministeredUsers`].
    pub fn set_password(&self, id: UserId, password: Password) -> Result<()> {
        self.by.changing(id).users().set_password(id, password)
    }

    /// Removes the password of a user.
    ///
    /// # Errors
    /// Those of [`Users::remove_password`](crate::directory::Users::remove_password) and of
    /// [`AdministeredUsers`].
    pub fn remove_password(&self, id: UserId) -> Result<bool> {
        self.by.changing(id).users().remove_password(id)
    }

    /// Demands a new password at the next login of a user.
    ///
    /// # Errors
    /// Those of
    /// [`Users::require_password_change`](crate::directory::Users::require_password_change) and of
    /// [`AdministeredUsers`].
    pub fn require_password_change(&self, id: UserId, sessions: RevokeSessions) -> Result<bool> {
        self.by.changing(id).users().require_password_change(id, sessions)
    }

    /// Marks the password of a user as compromised.
    ///
    /// # Errors
    /// Those of [`Users::mark_compromised`](crate::directory::Users::mark_compromised) and of
    /// [`AdministeredUsers`].
    pub fn mark_compromised(&self, id: UserId) -> Result<bool> {
        self.by.changing(id).users().mark_compromised(id)
    }

    /// Returns the organisations and branches that a user administers, as far as they are inside;
    /// empty if the user is outside.
    ///
    /// # Errors
    /// Those of [`AdministeredUsers`].
    pub fn administrations(&self, id: UserId) -> Result<Vec<Subtree>> {
        self.by.store.read(|tx| {
            let by = self.by.now(tx)?;
            match by.authority.user(tx, id)? {
                Some(_) => by.authority.administrations(tx, id),
                None => Ok(Vec::new()),
            }
        })
    }

    /// Makes a user an administrator of an organisation or a branch that the administrator
    /// administers itself.
    ///
    /// # Errors
    /// Those of [`Users::grant_administration`](crate::directory::Users::grant_administration) and
    /// of [`AdministeredUsers`].
    pub fn grant_administration(&self, id: UserId, of: impl Into<Subtree>) -> Result<bool> {
        let of = of.into();
        place(of)?;
        let store = self.by.checking(move |tx, by| {
            by.may_change(tx, id)?;
            by.administers(tx, of)
        });
        store.users().grant_administration(id, of)
    }

    /// Withdraws an administration from a user.
    ///
    /// # Errors
    /// Those of
    /// [`Users::withdraw_administration`](crate::directory::Users::withdraw_administration) and of
    /// [`AdministeredUsers`].
    pub fn withdraw_administration(&self, id: UserId, of: impl Into<Subtree>) -> Result<bool> {
        self.by.changing(id).users().withdraw_administration(id, of)
    }
}
