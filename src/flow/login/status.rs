//! The refusals of a user, branch or organisation that is not active.

use crate::error::{Error, Result};
use crate::record::user::User;
use crate::record::{branch, organisation};
use crate::storage::ReadTx;
use crate::value::principal::UserStatus;
use crate::value::refusal::LoginRefusal;

/// The refusal that the status of the user, the branch or the organisation demands.
pub(crate) fn refusal_of_status(tx: &ReadTx<'_>, user: &User) -> Result<Option<LoginRefusal>> {
    match user.status {
        UserStatus::Active => {}
        UserStatus::Locked => return Ok(Some(LoginRefusal::AccountLocked)),
        UserStatus::Disabled => return Ok(Some(LoginRefusal::AccountDisabled)),
        UserStatus::Pending => return Ok(Some(LoginRefusal::AccountPending)),
    }
    let Some(branch) = user.branch else {
        return Ok(None);
    };
    let missing = || Error::corrupt("the branch of a user is missing from the file");
    let branch = branch::find(tx, branch)?.ok_or_else(missing)?;
    if !branch.active {
        return Ok(Some(LoginRefusal::BranchDisabled));
    }
    let Some(organisation) = branch.organisation else {
        return Ok(None);
    };
    let missing = || Error::corrupt("the organisation of a branch is missing from the file");
    let organisation = organisation::find(tx, organisation)?.ok_or_else(missing)?;
    Ok((!organisation.active).then_some(LoginRefusal::OrganisationDisabled))
}
