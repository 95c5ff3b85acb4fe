//! The standing of users.

use crate::error::Result;
use crate::flow::revoke::{Cause, Revocation};
use crate::record::audit::Written;
use crate::record::throttle;
use crate::record::user::{self, User, Users};
use crate::record::watermarks::Watermarks;
use crate::storage::WriteTx;
use crate::value::event::{Event, EventKind};
use crate::value::facts::UserStatus;
use crate::value::id::{BranchId, UserId};
use crate::value::target::Target;

impl Users<'_> {
    /// Sets what an administrator says of a user; answers how it stands now.
    ///
    /// Any status but active ends its sessions and one-time tokens for good, and suspends its API
    /// keys until it is active again.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store, UserStatus};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let ada = store.users().set_status(ada.id, UserStatus::Locked)?;
    /// assert_eq!(ada.status, UserStatus::Locked);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound`, `Busy`, `Corrupt`, `Closed`; `Full`, `Io`, `CommitUnknown` and `ReadOnly`, after
    /// which this process refuses what should have been revoked all the same.
    pub fn set_status(&self, id: UserId, status: UserStatus) -> Result<User> {
        let job = |tx: &WriteTx<'_>, revocation: Option<&Revocation>| {
            let before = user::existing(tx, id)?;
            if before.status == status {
                return Ok(Written::Nothing(before));
            }
            let kind = match status {
                UserStatus::Active => EventKind::UserActivated,
                UserStatus::Pending => EventKind::UserMadePending,
                UserStatus::Locked => EventKind::UserLocked,
                UserStatus::Disabled => EventKind::UserDisabled,
            };
            let marks = revocation.map_or(Ok(Watermarks::UNCHANGED), |r| r.watermarks(tx))?;
            user::set_status(tx, id, status, marks)?;
            Ok(Written::With(User { status, ..before }, Event::new(kind).user(id)))
        };
        if status == UserStatus::Active {
            return self.store.write(|tx| job(tx, None));
        }
        let cause = Cause::UserSuspended;
        self.store.revoke(Target::User(id), cause, |tx, revocation| job(tx, Some(revocation)))
    }

    /// Moves a user to a branch, or to none; answers how it stands now.
    ///
    /// Its sessions go on, and their next verify reports the new place; one opened before the last
    /// "end all" of the new place ends there.
    ///
    /// # Errors
    /// `NotFound` (the user or the branch), `Busy`, `Full`, `Io`.
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

    /// Deletes a user, which frees its username and ends its sessions, API keys and one-time
    /// tokens for good. The rest is kept for [`Users::restore`].
    ///
    /// # Errors
    /// `NotFound` (also if it was deleted before), `Busy`, `Corrupt`, `Closed`; `Full`, `Io`,
    /// `CommitUnknown` and `ReadOnly`, after which this process refuses what should have been
    /// revoked all the same.
    pub fn delete(&self, id: UserId) -> Result<()> {
        self.store.revoke(Target::User(id), Cause::UserDeleted, |tx, revocation| {
            let before = user::existing(tx, id)?;
            let key = user::username_key(tx, id)?.ok_or_else(user::gone)?;
            user::delete(tx, id, revocation.watermarks(tx)?)?;
            throttle::left(tx, &key)?;
            let event = Event::new(EventKind::UserDeleted).user(id).branch(before.branch);
            Ok(Written::With((), event))
        })
    }

    /// Brings a deleted user back as it was, password, privileges and place included; nothing that
    /// ended returns.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Reason, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// store.users().delete(ada.id)?;
    /// let other = store.users().create(NewUser::person("Ada"))?;
    /// assert_eq!(store.users().restore(ada.id).unwrap_err().reason(), Reason::Taken);
    ///
    /// store.users().rename(other.id, "Ada the second")?;
    /// assert_eq!(store.users().restore(ada.id)?, ada);
    /// # Ok::<(), gatepost::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Taken` if its username is somebody else's by now (or its e-mail address, where that logs
    /// in), `NotFound` if no deleted user has this id or its branch is gone, `Busy`, `Full`, `Io`.
    pub fn restore(&self, id: UserId) -> Result<User> {
        let unique_email = self.store.options().login_by_email;
        self.store.write(|tx| {
            user::restore(tx, id, unique_email)?;
            let restored = user::existing(tx, id)?;
            let event = Event::new(EventKind::UserRestored).user(id).branch(restored.branch);
            Ok(Written::With(restored, event))
        })
    }
}
