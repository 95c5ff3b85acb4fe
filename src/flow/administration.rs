//! Grant and withdraw the administration of an organisation or a branch.

use crate::error::{Error, Result};
use crate::record::administration;
use crate::record::audit::Written;
use crate::record::branch;
use crate::record::organisation;
use crate::record::user::{self, Users};
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, UserId};
use crate::value::limits::ADMINISTRATIONS_PER_USER_MAX;
use crate::value::subtree::Subtree;

impl Users<'_> {
    /// Makes a user an administrator of an organisation or a branch; `false` if it is one already.
    ///
    /// [`Store::administering`](crate::Store::administering) then gives the user's sessions handles
    /// that are limited to what the user administers. The user may be in any branch or in none, and
    /// may administer up to 64 organisations and branches. An administration is no privilege:
    /// [`Store::may`](crate::Store::may) and [`Principal::is_admin`](crate::Principal) do not know
    /// it. Everything is administered with the privilege `admin` alone. Revokes nothing.
    ///
    /// ```
    /// use gatepost::{NewUser, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// assert!(store.users().grant_administration(ada, york)?);
    /// assert_eq!(store.users().administrations(ada)?, [Subtree::Branch(york)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for [`Subtree::Store`] and [`Subtree::User`];
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user, organisation or branch;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if the user administers 64 places.
    #[doc(alias("delegate", "role assignment", "scoped administrator"))]
    pub fn grant_administration(&self, id: UserId, of: impl Into<Subtree>) -> Result<bool> {
        let of = of.into();
        let (organisation, branch) = place(of)?;
        self.store.write(|tx| {
            user::existing(tx, id)?;
            if let Some(organisation) = organisation {
                organisation::existing(tx, organisation)?;
            }
            if let Some(branch) = branch {
                branch::existing(tx, branch)?;
            }
            let own = administration::of_user(tx, id)?;
            if own.contains(&of) {
                return Ok(Written::Nothing(false));
            }
            if own.len() >= ADMINISTRATIONS_PER_USER_MAX {
                return Err(Error::limit_reached(
                    "the user administers 64 organisations and branches",
                ));
            }
            administration::insert(tx, id, organisation, branch)?;
            let event = Event::new(EventKind::UserAdministrationGranted).user(id);
            Ok(Written::With(true, event.organisation(organisation).branch(branch)))
        })
    }

    /// Withdraws the administration of an organisation or a branch from a user; `false` if the user
    /// does not have it. From the return of this call on, no call of
    /// [`Store::administering`](crate::Store::administering) accepts it, in any process. Revokes no
    /// session.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.users().grant_administration(ada, york)?;
    /// assert!(store.users().withdraw_administration(ada, york)?);
    /// assert_eq!(store.users().administrations(ada)?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for [`Subtree::Store`] and [`Subtree::User`];
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user.
    pub fn withdraw_administration(&self, id: UserId, of: impl Into<Subtree>) -> Result<bool> {
        let (organisation, branch) = place(of.into())?;
        self.store.write(|tx| {
            user::existing(tx, id)?;
            if !administration::delete(tx, id, organisation, branch)? {
                return Ok(Written::Nothing(false));
            }
            let event = Event::new(EventKind::UserAdministrationWithdrawn).user(id);
            Ok(Written::With(true, event.organisation(organisation).branch(branch)))
        })
    }

    /// Returns the organisations and branches that a user administers, at most 64; those of a
    /// deleted user are the ones that it would have if it were restored. A user with the privilege
    /// `admin` administers everything, which is not in the list.
    ///
    /// ```
    /// use gatepost::{NewUser, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.users().grant_administration(ada, northern)?;
    /// assert_eq!(store.users().administrations(ada)?, [Subtree::Organisation(northern)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn administrations(&self, id: UserId) -> Result<Vec<Subtree>> {
        self.store.read(|tx| administration::of_user(tx, id))
    }
}

/// The organisation or the branch of an administration.
///
/// # Errors
/// `Invalid` for the store and for a user.
pub(crate) fn place(of: Subtree) -> Result<(Option<OrganisationId>, Option<BranchId>)> {
    match of {
        Subtree::Organisation(id) => Ok((Some(id), None)),
        Subtree::Branch(id) => Ok((None, Some(id))),
        Subtree::Store => Err(Error::invalid(
            "an administration is of an organisation or a branch: the privilege admin is that of \
             the store",
        )),
        Subtree::User(_) => {
            Err(Error::invalid("an administration is of an organisation or a branch"))
        }
    }
}
