//! The branches and organisations inside of what an administrator administers.

use super::{Administration, Administrator, or_absent};
use crate::error::{Error, Result};
use crate::record::branch::{self, Branch, BranchFilter};
use crate::record::organisation::{self, Organisation, OrganisationFilter};
use crate::storage::ReadTx;
use crate::value::id::{BranchId, OrganisationId, Page};
use crate::value::subtree::Subtree;

/// The branches inside of what an administrator administers.
///
/// Each call does what the call of [`Branches`](crate::directory::Branches) with its name does, and
/// fails as that one does, and also:
/// - with [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal
///   is no longer live;
/// - with [`NotFound`](crate::ErrorKind::NotFound) for a branch or an organisation outside, as for
///   one that does not exist; calls that show branches show none;
/// - with [`NotPermitted`](crate::ErrorKind::NotPermitted) if it changes a branch whose
///   organisation the administrator does not administer: the administrator of a branch administers
///   what is in it, and not the branch itself;
/// - with `NotPermitted` if it moves, or makes inactive or active, a branch that an administrator
///   of more is in.
///
/// A branch is shown without its organisation if that is outside.
///
/// ```
/// use gatepost::{ErrorKind, NewUser};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let northern = store.organisations().create("Northern")?.id;
/// # let southern = store.organisations().create("Southern")?.id;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # store.users().grant_administration(ada, northern)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers the organisation Northern, and not Southern.
/// let of_ada = store.administering(&principal);
/// let york = of_ada.branches().create("York", northern)?;
/// assert_eq!(of_ada.branches().find(york.id)?, Some(york.clone()));
/// let error = of_ada.branches().move_to(york.id, southern).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredBranches<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredBranches<'_> {
    /// Returns the branch with this id; `None` if there is none inside.
    ///
    /// # Errors
    /// Those of [`AdministeredBranches`].
    pub fn find(&self, id: BranchId) -> Result<Option<Branch>> {
        self.by.store.read(|tx| {
            let by = self.by.now(tx)?;
            let Some(inside) = by.authority.branch(tx, id)? else { return Ok(None) };
            let found = branch::find(tx, id)?;
            let shown = |organisation: Option<OrganisationId>| {
                organisation.filter(|_| inside.is_contained)
            };
            Ok(found.map(|found| Branch { organisation: shown(found.organisation), ..found }))
        })
    }

    /// Returns a page of the branches inside that the filter selects, oldest first. An organisation
    /// of the filter that is outside selects none.
    ///
    /// # Errors
    /// Those of [`Branches::list`](crate::directory::Branches::list) and of
    /// [`AdministeredBranches`].
    pub fn list(&self, filter: &BranchFilter, page: Page<BranchId>) -> Result<Vec<Branch>> {
        let authority = |tx: &ReadTx<'_>| Ok(self.by.now(tx)?.authority);
        self.by.store.branches().list_inside(&authority, filter, page)
    }

    /// Returns how many branches inside the filter selects.
    ///
    /// # Errors
    /// Those of [`AdministeredBranches`].
    pub fn count(&self, filter: &BranchFilter) -> Result<u64> {
        let authority = |tx: &ReadTx<'_>| Ok(self.by.now(tx)?.authority);
        self.by.store.branches().count_inside(&authority, filter)
    }

    /// Creates a branch in an organisation inside. Only an administrator of everything creates one
    /// in no organisation.
    ///
    /// # Errors
    /// Those of [`Branches::create`](crate::directory::Branches::create) and of
    /// [`AdministeredBranches`].
    pub fn create(
        &self,
        name: &str,
        organisation: impl Into<Option<OrganisationId>>,
    ) -> Result<Branch> {
        let organisation = organisation.into();
        let store = self.by.checking(move |tx, by| {
            by.administers(tx, organisation.map_or(Subtree::Store, Subtree::Organisation))
        });
        store.branches().create(name, organisation)
    }

    /// Renames a branch.
    ///
    /// # Errors
    /// Those of [`Branches::rename`](crate::directory::Branches::rename) and of
    /// [`AdministeredBranches`].
    pub fn rename(&self, id: BranchId, name: &str) -> Result<Branch> {
        let store = self.by.checking(move |tx, by| by.may_change_branch(tx, id).map(drop));
        store.branches().rename(id, name)
    }

    /// Makes a branch active or inactive.
    ///
    /// # Errors
    /// Those of [`Branches::set_active`](crate::directory::Branches::set_active) and of
    /// [`AdministeredBranches`].
    pub fn set_active(&self, id: BranchId, active: bool) -> Result<Branch> {
        let store = self.by.checking(move |tx, by| {
            let has_above = by.may_change_branch(tx, id)?;
            without_above(has_above)
        });
        store.branches().set_active(id, active)
    }

    /// Moves a branch to another organisation inside. Only an administrator of everything moves one
    /// out of all organisations.
    ///
    /// # Errors
    /// Those of [`Branches::move_to`](crate::directory::Branches::move_to) and of
    /// [`AdministeredBranches`].
    pub fn move_to(
        &self,
        id: BranchId,
        organisation: impl Into<Option<OrganisationId>>,
    ) -> Result<Branch> {
        let organisation = organisation.into();
        let store = self.by.checking(move |tx, by| {
            let has_above = by.may_change_branch(tx, id)?;
            without_above(has_above)?;
            by.administers(tx, organisation.map_or(Subtree::Store, Subtree::Organisation))
        });
        store.branches().move_to(id, organisation)
    }

    /// Deletes a branch without users, and the administrations of it.
    ///
    /// # Errors
    /// Those of [`Branches::delete`](crate::directory::Branches::delete) and of
    /// [`AdministeredBranches`].
    pub fn delete(&self, id: BranchId) -> Result<()> {
        let store = self.by.checking(move |tx, by| by.may_change_branch(tx, id).map(drop));
        store.branches().delete(id)
    }
}

impl Administrator {
    /// Whether an administrator of more is in the branch, which the administrator may change.
    ///
    /// # Errors
    /// `NotFound` if there is no such branch, or it is outside; `NotPermitted` if what contains it
    /// is.
    fn may_change_branch(&self, tx: &ReadTx<'_>, id: BranchId) -> Result<bool> {
        let inside = self.authority.branch(tx, id)?.ok_or_else(branch::gone)?;
        if !inside.is_contained {
            return Err(Error::not_permitted(
                "the administrator administers what is in the branch, and not the branch itself",
            ));
        }
        Ok(inside.has_above)
    }

    /// Checks that the administrator may revoke everything in this part of the hierarchy.
    pub(super) fn may_revoke_all(&self, tx: &ReadTx<'_>, subtree: Subtree) -> Result<()> {
        match subtree {
            Subtree::Store => self.administers_everything(),
            Subtree::User(user) => self.may_change(tx, user),
            Subtree::Branch(id) => {
                let inside = self.authority.branch(tx, id)?.ok_or_else(branch::gone)?;
                without_above(inside.has_above)
            }
            Subtree::Organisation(id) => {
                let inside =
                    self.authority.organisation(tx, id)?.ok_or_else(organisation::gone)?;
                without_above(inside.has_above)
            }
        }
    }
}

fn without_above(has_above: bool) -> Result<()> {
    if !has_above {
        return Ok(());
    }
    Err(Error::not_permitted("a user there administers something that the administrator does not"))
}

/// The organisations inside of what an administrator administers. Only the host's own handle
/// ([`Store::organisations`](crate::Store::organisations)) changes them.
///
/// ```
/// use gatepost::NewUser;
/// use gatepost::Page;
/// use gatepost::directory::OrganisationFilter;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// # let northern = store.organisations().create("Northern")?;
/// # let southern = store.organisations().create("Southern")?;
/// # let ada = store.users().create(NewUser::person("ada"))?.id;
/// # store.users().grant_administration(ada, northern.id)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// # let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// // Ada administers the organisation Northern, and not Southern.
/// let organisations = store.administering(&principal);
/// let organisations = organisations.organisations();
/// assert_eq!(organisations.list(&OrganisationFilter::new(), Page::default())?, [northern]);
/// assert_eq!(organisations.find(southern.id)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AdministeredOrganisations<'a> {
    pub(super) by: &'a Administration,
}

impl AdministeredOrganisations<'_> {
    /// Returns the organisation with this id; `None` if there is none inside.
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal is
    ///   no longer live.
    pub fn find(&self, id: OrganisationId) -> Result<Option<Organisation>> {
        let store = self.by.checking(move |tx, by| by.administers(tx, id.into()));
        or_absent(store.organisations().find(id), None)
    }

    /// Returns a page of the organisations inside that the filter selects, oldest first.
    ///
    /// # Errors
    /// Those of [`find`](Self::find), and:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(
        &self,
        filter: &OrganisationFilter,
        page: Page<OrganisationId>,
    ) -> Result<Vec<Organisation>> {
        let authority = |tx: &ReadTx<'_>| Ok(self.by.now(tx)?.authority);
        self.by.store.organisations().list_inside(&authority, filter, page)
    }
}
