//! The status of users; move, delete and restore them.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation, watermarks};
use crate::record::audit::Written;
use crate::record::user::{self, User, Users};
use crate::record::{external_identity, options};
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, UserId};
use crate::value::principal::UserStatus;
use crate::value::target::Target;

impl Users<'_> {
    /// Sets a user's status and returns the user after the change. Writes nothing if it has that
    /// status.
    ///
    /// Every status except [`UserStatus::Active`] revokes the user's sessions and one-time tokens
    /// and suspends its API keys until it is active again
    /// ([what revokes what](crate::manual::revocation); ASVS 7.4.2).
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserStatus;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let ada = store.users().set_status(ada.id, UserStatus::Locked)?;
    /// assert_eq!(ada.status, UserStatus::Locked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn set_status(&self, id: UserId, status: UserStatus) -> Result<User> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            give_status(tx, user::existing(tx, id)?, status, revocation)
        };
        let revokes = (Target::User(id), Cause::UserSuspended);
        self.store.revoke_if((status != UserStatus::Active).then_some(revokes), job)
    }

    /// Activates a user whose status is [`UserStatus::Locked`], and returns the user. One that is
    /// disabled or pending stays so, also if another process disables it at the same time.
    ///
    /// Forgives no failed attempts: [`unlock`](Self::unlock) does.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserStatus;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// drop(store.users().set_status(ada, UserStatus::Locked)?);
    /// assert_eq!(store.users().activate_locked(ada)?.status, UserStatus::Active);
    ///
    /// drop(store.users().set_status(ada, UserStatus::Disabled)?);
    /// assert_eq!(store.users().activate_locked(ada)?.status, UserStatus::Disabled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn activate_locked(&self, id: UserId) -> Result<User> {
        self.store.write(|tx| match user::existing(tx, id)? {
            locked if locked.status == UserStatus::Locked => {
                give_status(tx, locked, UserStatus::Active, None)
            }
            other => Ok(Written::Nothing(other)),
        })
    }

    /// Moves a user to a branch, or out of all with `None`, and returns the user after the change.
    ///
    /// Its sessions stay, and the next verify reports the new place; a session that is older than
    /// the last revocation of all sessions of the new place is revoked
    /// ([what revokes what](crate::manual::revocation)), also if the branch took that revocation
    /// along from an organisation that it has left
    /// ([`Branches::move_to`](crate::directory::Branches::move_to)). The user takes the
    /// last revocation of the old place along. In a place that is not active, the
    /// sessions are refused until it is.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// assert_eq!(store.users().move_to(ada, york)?.branch, Some(york));
    /// assert_eq!(store.users().move_to(ada, None)?.branch, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user or no such branch.
    pub fn move_to(&self, id: UserId, branch: impl Into<Option<BranchId>>) -> Result<User> {
        let branch = branch.into();
        self.store.write(|tx| {
            let before = user::existing(tx, id)?;
            if before.branch == branch {
                return Ok(Written::Nothing(before));
            }
            user::place(tx, id, branch)?;
            let event = Event::new(EventKind::UserMoved).user(id).branch(branch);
            Ok(Written::With(User { branch, ..before }, event))
        })
    }

    /// Deletes a user and frees its username and its external identities.
    ///
    /// Revokes its sessions, API keys and one-time tokens for good
    /// ([what revokes what](crate::manual::revocation); ASVS 7.4.2). The rest is kept for
    /// [`Users::restore`].
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.users().delete(ada)?;
    /// assert_eq!(store.users().find(ada)?, None);
    /// assert!(store.users().create(NewUser::person("ada")).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, or it was deleted
    ///   before.
    ///
    /// If the disk refuses the revocation, this process refuses the credentials from memory.
    pub fn delete(&self, id: UserId) -> Result<()> {
        self.store.revoke(Target::User(id), Cause::UserDeleted, |tx, revocation| {
            let before = user::existing(tx, id)?;
            user::delete(tx, id, revocation.watermarks(tx)?)?;
            let event = Event::new(EventKind::UserDeleted).user(id).branch(before.branch);
            Ok(Written::With((), event))
        })
    }

    /// Restores a deleted user, with its password, privileges, external identities and branch, and
    /// returns it. Nothing that was revoked becomes valid again.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// store.users().delete(ada.id)?;
    /// let other = store.users().create(NewUser::person("Ada"))?;
    /// assert_eq!(store.users().restore(ada.id).unwrap_err().kind(), ErrorKind::Taken);
    ///
    /// store.users().rename(other.id, "Ada the second")?;
    /// assert_eq!(store.users().restore(ada.id)?, ada);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Taken`](crate::ErrorKind::Taken) if another user has its username now, one of its
    ///   external identities, or its e-mail address where those log in;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if no deleted user has this id, or its branch was
    ///   deleted.
    pub fn restore(&self, id: UserId) -> Result<User> {
        self.store.write(|tx| {
            let unique_email = options::of_file(tx)?.login_by_email;
            external_identity::check_free(tx, id)?;
            user::restore(tx, id, unique_email)?;
            let restored = user::existing(tx, id)?;
            let event = Event::new(EventKind::UserRestored).user(id).branch(restored.branch);
            Ok(Written::With(restored, event))
        })
    }
}

/// Sets the status of a user, which it may have already.
fn give_status(
    tx: &WriteTx<'_>,
    before: User,
    status: UserStatus,
    revocation: Option<&Revocation>,
) -> Result<Written<User>> {
    if before.status == status {
        return Ok(Written::Nothing(before));
    }
    let kind = match status {
        UserStatus::Active => EventKind::UserActivated,
        UserStatus::Pending => EventKind::UserMadePending,
        UserStatus::Locked => EventKind::UserLocked,
        UserStatus::Disabled => EventKind::UserDisabled,
    };
    user::set_status(tx, before.id, status, watermarks(tx, revocation)?)?;
    let event = Event::new(kind).user(before.id);
    Ok(Written::With(User { status, ..before }, event))
}
