//! A part of the hierarchy of store, organisations, branches and users.

use super::id::{BranchId, OrganisationId, UserId};

/// A part of the hierarchy: the whole store, an organisation, a branch, or one user.
///
/// [`Settings::set`](crate::configuration::Settings::set) sets a value for one, and
/// [`Sessions::revoke_all`](crate::sessions::Sessions::revoke_all) revokes the sessions under one.
/// An id converts into it.
///
/// ```
/// use gatepost::{BranchId, Subtree};
///
/// let york: BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse()?;
/// assert_eq!(Subtree::from(york), Subtree::Branch(york));
/// # Ok::<(), gatepost::Error>(())
/// ```
#[expect(clippy::exhaustive_enums, reason = "complete: the hierarchy has these levels")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Subtree {
    /// Every user of the store.
    Store,
    /// All users of all branches of an organisation.
    Organisation(OrganisationId),
    /// All users of a branch.
    Branch(BranchId),
    /// One user.
    User(UserId),
}

impl From<OrganisationId> for Subtree {
    fn from(organisation: OrganisationId) -> Self {
        Self::Organisation(organisation)
    }
}

impl From<BranchId> for Subtree {
    fn from(branch: BranchId) -> Self {
        Self::Branch(branch)
    }
}

impl From<UserId> for Subtree {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}
