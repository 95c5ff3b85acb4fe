//! Administration by subtree: handles that are limited to what a principal may administer.
//!
//! Each call of these handles is a call of the store's own handle, on a store whose transactions
//! begin with a check ([`Store::checking`]): the principal's session or key is live, what it names
//! is inside, and the call grants nothing that the principal lacks. So check and operation are one
//! transaction, and nothing that commits between them is missed. A record outside fails the check
//! with the error of a record that does not exist, at the same statement.

mod credentials;
mod places;
mod users;

pub use credentials::{
    AdministeredApiKeys, AdministeredSecondFactors, AdministeredSessions, AdministeredTokens,
};
pub use places::{AdministeredBranches, AdministeredOrganisations};
pub use users::AdministeredUsers;

use crate::error::{Error, ErrorKind, Result};
use crate::record::administration::{self, Authority, Inside};
use crate::record::api_key;
use crate::record::branch;
use crate::record::organisation;
use crate::record::proof::Proof;
use crate::record::user;
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::principal::Principal;
use crate::value::subtree::Subtree;

/// The handles of an administrator, limited to what the principal may administer; from
/// [`Store::administering`].
///
/// A principal with the privilege `admin` administers everything. Any other administers the
/// organisations and branches that [`Users::grant_administration`] gave its user, with all that is
/// in them. An API key with [scopes](crate::sessions::NewApiKey::scopes) administers everything if
/// `admin` is among them, and nothing otherwise.
///
/// - **Outside** is as if it did not exist: in results, counts, errors and the number of SQL
///   statements.
/// - **An administrator of more is not touched**: a user who administers something that the
///   principal does not is listed, and every write to it fails with
///   [`NotPermitted`](crate::ErrorKind::NotPermitted). The same holds for the principal's own user,
///   whose own calls ask for its password.
/// - **No user administers as another**: each call from the session of an
///   [impersonation](crate::manual::impersonation) fails with
///   [`NotPermitted`](crate::ErrorKind::NotPermitted).
/// - **Nothing is granted that the principal lacks**: neither a privilege nor an administration.
/// - Each call checks all this in the transaction in which it reads or writes, as fresh as a
///   verify, and fails with [`SessionEnded`](crate::ErrorKind::SessionEnded) once the session or
///   key of the principal is not live any more.
/// - The audit log names the principal as the actor.
///
/// The page [`administration`](crate::manual::administration) has the rules and their reasons.
///
/// ```
/// use gatepost::directory::UserFilter;
/// use gatepost::{ErrorKind, NewUser, Page};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let york = store.branches().create("York", None)?.id;
/// let leeds = store.branches().create("Leeds", None)?.id;
/// let ada = store.users().create(NewUser::person("ada"))?.id;
/// let ben = store.users().create(NewUser::person("ben").branch(york))?;
/// let cai = store.users().create(NewUser::person("cai").branch(leeds))?.id;
/// store.users().grant_administration(ada, york)?;
/// # let device = gatepost::DeviceId::new("till-1")?;
/// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
/// # let reply = store.sessions().open(open)?.granted()?;
/// let principal = store.verify((&reply.session.token, &device))?.valid()?;
///
/// let of_ada = store.administering(&principal);
/// assert_eq!(of_ada.users().list(&UserFilter::new(), Page::default())?, [ben]);
/// assert_eq!(of_ada.users().delete(cai).unwrap_err().kind(), ErrorKind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Users::grant_administration`]: crate::directory::Users::grant_administration
#[doc(alias("delegated administration", "tenant", "scoped administrator"))]
#[derive(Debug, Clone)]
pub struct Administration {
    /// Acts as the principal, and checks nothing by itself.
    store: Store,
    principal: Principal,
}

impl Store {
    /// Returns handles limited to what this principal may administer. Reads nothing: each call of
    /// the handles does.
    ///
    /// ```
    /// use gatepost::{NewUser, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.users().grant_administration(ada, york)?;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// assert_eq!(store.administering(&principal).subtrees()?, [Subtree::Branch(york)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn administering(&self, principal: &Principal) -> Administration {
        Administration { store: self.acting_as(principal), principal: *principal }
    }
}

impl Administration {
    /// Returns what the principal administers now: [`Subtree::Store`] alone for everything, else
    /// the organisations and branches, at most 64.
    ///
    /// ```
    /// use gatepost::{NewUser, Subtree};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").privilege("admin"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let principal = store.verify((&reply.session.token, &device))?.valid()?;
    /// assert_eq!(store.administering(&principal).subtrees()?, [Subtree::Store]);
    /// store.users().set_privileges(ada, &[])?;
    /// assert_eq!(store.administering(&principal).subtrees()?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`SessionEnded`](crate::ErrorKind::SessionEnded) if the session or key of the principal is
    ///   no longer live.
    pub fn subtrees(&self) -> Result<Vec<Subtree>> {
        self.store.read(|tx| match self.now(tx)?.authority {
            Authority { everything: true, .. } => Ok(vec![Subtree::Store]),
            Authority { administrator: Some(user), .. } => administration::of_user(tx, user),
            Authority { administrator: None, .. } => Ok(Vec::new()),
        })
    }

    /// Returns the handle of the users inside.
    #[must_use]
    pub const fn users(&self) -> AdministeredUsers<'_> {
        AdministeredUsers { by: self }
    }

    /// Returns the handle of the branches inside.
    #[must_use]
    pub const fn branches(&self) -> AdministeredBranches<'_> {
        AdministeredBranches { by: self }
    }

    /// Returns the handle of the organisations inside.
    #[must_use]
    pub const fn organisations(&self) -> AdministeredOrganisations<'_> {
        AdministeredOrganisations { by: self }
    }

    /// Returns the handle of the sessions of the users inside.
    #[must_use]
    pub const fn sessions(&self) -> AdministeredSessions<'_> {
        AdministeredSessions { by: self }
    }

    /// Returns the handle of the API keys of the users inside.
    #[must_use]
    pub const fn api_keys(&self) -> AdministeredApiKeys<'_> {
        AdministeredApiKeys { by: self }
    }

    /// Returns the handle of the one-time tokens of the users inside.
    #[must_use]
    pub const fn one_time_tokens(&self) -> AdministeredTokens<'_> {
        AdministeredTokens { by: self }
    }

    /// Returns the handle of the second factors of the users inside.
    #[must_use]
    pub const fn second_factors(&self) -> AdministeredSecondFactors<'_> {
        AdministeredSecondFactors { by: self }
    }

    /// The principal as this transaction finds it, and what it may administer.
    ///
    /// # Errors
    /// `SessionEnded` if its session or key is not live, and `NotPermitted` if it is an
    /// impersonation.
    fn now(&self, tx: &ReadTx<'_>) -> Result<Administrator> {
        let (live, proof) = self.store.still_proven(tx, &self.principal)?;
        let user = live.principal.user;
        if live.principal.is_impersonated {
            return Err(Error::not_permitted(
                "an administrator who acts as another user administers nothing as that user",
            ));
        }
        let is_limited = match live.principal.credential.api_key() {
            Some(key) => api_key::scopes_of(tx, key)?.is_some(),
            None => false,
        };
        let everything = live.principal.is_admin;
        let administrator = (!is_limited || everything).then_some(user);
        Ok(Administrator { user, proof, authority: Authority { administrator, everything } })
    }

    /// The store, each of whose transactions begins with this check.
    fn checking(
        &self,
        check: impl Fn(&ReadTx<'_>, &Administrator) -> Result<()> + Send + Sync + 'static,
    ) -> Store {
        let own = self.clone();
        self.store.checking(move |tx| check(tx, &own.now(tx)?))
    }

    /// The store, for a call that only shows this user.
    fn seeing(&self, user: UserId) -> Store {
        self.checking(move |tx, by| by.sees(tx, user).map(drop))
    }

    /// The store, for a call that changes this user.
    fn changing(&self, user: UserId) -> Store {
        self.checking(move |tx, by| by.may_change(tx, user))
    }
}

/// A principal in one transaction.
struct Administrator {
    user: UserId,
    proof: Proof,
    authority: Authority,
}

impl Administrator {
    /// # Errors
    /// `NotFound` if there is no such user, or it is outside.
    fn sees(&self, tx: &ReadTx<'_>, user: UserId) -> Result<Inside> {
        self.authority.user(tx, user)?.ok_or_else(user::gone)
    }

    /// # Errors
    /// As [`sees`](Self::sees), and `NotPermitted` as
    /// [`may_change_inside`](Self::may_change_inside).
    fn may_change(&self, tx: &ReadTx<'_>, user: UserId) -> Result<()> {
        self.may_change_inside(self.sees(tx, user)?)
    }

    /// # Errors
    /// `NotPermitted` if it is the administrator's own user, or administers more.
    fn may_change_inside(&self, inside: Inside) -> Result<()> {
        if inside.user == self.user {
            return Err(Error::not_permitted(
                "an administrator does not change its own user by Store::administering",
            )
            .advising("Use the user's own calls, such as Store::change_password."));
        }
        if inside.is_above {
            return Err(Error::not_permitted(
                "the user administers something that the administrator does not",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// `NotPermitted` if one of the privileges is none of the administrator's own.
    fn holds<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Result<()> {
        if names.any(|name| !self.proof.has_privilege(name)) {
            return Err(Error::not_permitted(
                "the administrator does not have every privilege that the call would give",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// `NotFound` if there is no such place, or it is outside; `NotPermitted` for the store, unless
    /// the administrator administers everything.
    fn administers(&self, tx: &ReadTx<'_>, subtree: Subtree) -> Result<()> {
        match subtree {
            Subtree::Store => self.administers_everything(),
            Subtree::User(user) => self.sees(tx, user).map(drop),
            Subtree::Branch(id) => {
                self.authority.branch(tx, id)?.map(drop).ok_or_else(branch::gone)
            }
            Subtree::Organisation(id) => {
                self.authority.organisation(tx, id)?.map(drop).ok_or_else(organisation::gone)
            }
        }
    }

    fn administers_everything(&self) -> Result<()> {
        if self.authority.everything {
            return Ok(());
        }
        Err(Error::not_permitted("only an administrator of everything may do this"))
    }
}

/// The answer for a record that does not exist, where the check or the call says that it does not.
fn or_absent<T>(answer: Result<T>, absent: T) -> Result<T> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(absent),
        answer => answer,
    }
}
