//! Users, branches and organisations as a person names them: by id, or by name.

use clap::Args;
use gatepost::directory::{Branch, BranchFilter, CreditHolder, Organisation, OrganisationFilter};
use gatepost::directory::{UserFilter, UserKind, UserStatus};
use gatepost::{BranchId, Error, OrganisationId, Store, Subtree, User, UserId};

use crate::failure::{Exit, Failure, Result};

/// The user of this id, or of this username.
pub(crate) fn user(store: &Store, name: &str) -> Result<User> {
    let of_id = match name.parse::<UserId>() {
        Ok(id) => store.users().find(id)?,
        Err(_) => None,
    };
    let found = match of_id {
        Some(user) => Some(user),
        None => store.users().find_by_username(name)?,
    };
    found.ok_or_else(|| Failure::not_found(format!("there is no user {name}")))
}

/// The deleted user of this id, or who had this username.
pub(crate) fn deleted_user(store: &Store, name: &str) -> Result<User> {
    let id = name.parse::<UserId>().ok();
    let deleted = store.users().iter(&UserFilter::new().deleted());
    only("deleted user", name, deleted, |user| {
        id.map_or_else(|| user.has_username(name), |id| user.id == id)
    })
}

/// The branch of this id, or the only one of this name.
pub(crate) fn branch(store: &Store, name: &str) -> Result<Branch> {
    if let Ok(id) = name.parse::<BranchId>()
        && let Some(branch) = store.branches().find(id)?
    {
        return Ok(branch);
    }
    only("branch", name, store.branches().iter(&BranchFilter::new()), |one| one.has_name(name))
}

/// The organisation of this id, or the only one of this name.
pub(crate) fn organisation(store: &Store, name: &str) -> Result<Organisation> {
    if let Ok(id) = name.parse::<OrganisationId>()
        && let Some(organisation) = store.organisations().find(id)?
    {
        return Ok(organisation);
    }
    let all = store.organisations().iter(&OrganisationFilter::new());
    only("organisation", name, all, |one| one.has_name(name))
}

fn only<T>(
    what: &str,
    name: &str,
    all: impl Iterator<Item = std::result::Result<T, Error>>,
    is_it: impl Fn(&T) -> bool,
) -> Result<T> {
    let mut found = None;
    for one in all {
        let one = one?;
        if is_it(&one) && found.replace(one).is_some() {
            return Err(Failure::new(
                Exit::Conflict,
                format!("there is more than one {what} {name}"),
                "Name it by its id.",
            ));
        }
    }
    found.ok_or_else(|| Failure::not_found(format!("there is no {what} {name}")))
}

/// One of the narrower scopes; the whole store if none is named.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct Scope {
    /// This user alone, by username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,

    /// This branch alone, by name or id
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,

    /// This organisation alone, by name or id
    #[arg(long, value_name = "ORGANISATION")]
    pub(crate) organisation: Option<String>,
}

impl Scope {
    pub(crate) fn subtree(&self, store: &Store) -> Result<Subtree> {
        Ok(match (&self.user, &self.branch, &self.organisation) {
            (Some(name), ..) => Subtree::User(user(store, name)?.id),
            (None, Some(name), _) => Subtree::Branch(branch(store, name)?.id),
            (None, None, Some(name)) => Subtree::Organisation(organisation(store, name)?.id),
            (None, None, None) => Subtree::Store,
        })
    }
}

/// The branch or the organisation that has credits.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Holder {
    /// The credits of this branch, by name or id
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,

    /// The credits of this organisation, by name or id
    #[arg(long, value_name = "ORGANISATION")]
    organisation: Option<String>,
}

impl Holder {
    pub(crate) fn find(&self, store: &Store) -> Result<CreditHolder> {
        match (&self.branch, &self.organisation) {
            (Some(name), _) => Ok(CreditHolder::Branch(branch(store, name)?.id)),
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                Ok(CreditHolder::Organisation(organisation(store, name)?.id))
            }
        }
    }
}

/// Reads the status of a user.
pub(crate) fn status(text: &str) -> std::result::Result<UserStatus, String> {
    UserStatus::parse(text).ok_or_else(|| "use pending, active, locked or disabled".to_owned())
}

/// Reads the kind of a user.
pub(crate) fn kind(text: &str) -> std::result::Result<UserKind, String> {
    UserKind::parse(text).ok_or_else(|| "use person or system".to_owned())
}
