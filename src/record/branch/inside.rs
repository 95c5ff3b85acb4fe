//! The branches inside of what an administrator administers.

use super::{Branch, BranchFilter, FIRST, LAST, branch, counted, selected};
use crate::error::Result;
use crate::record::administration::{Authority, own_branches, own_organisations};
use crate::storage::{ReadTx, params};
use crate::value::id::BranchId;

/// The conditions of a filter on a branch that the user `$who` administers. An organisation that
/// this one does not administer is not shown, and selects no branch.
macro_rules! inside {
    ($who:literal) => {
        concat!(
            "id IN ",
            own_branches!($who),
            " AND (?1 IS NULL OR organisation_id = ?1 AND ?1 IN ",
            own_organisations!($who),
            ") AND (?2 IS NULL OR active = ?2)"
        )
    };
}

/// At most `limit` branches after `after` that the filter selects, inside of the authority.
pub(crate) fn list_inside(
    tx: &ReadTx<'_>,
    authority: Authority,
    filter: &BranchFilter,
    after: Option<BranchId>,
    limit: i64,
) -> Result<Vec<Branch>> {
    let after = after.unwrap_or(FIRST);
    if authority.everything {
        return selected(tx, filter, after, LAST, limit);
    }
    tx.all(
        concat!(
            "SELECT id, name, CASE WHEN organisation_id IN ",
            own_organisations!("?3"),
            " THEN organisation_id END, active, created_at FROM branch WHERE ",
            inside!("?3"),
            " AND id > ?4 ORDER BY id LIMIT ?5"
        ),
        params![filter.organisation, filter.active, authority.administrator, after, limit],
        branch,
    )
}

/// How many branches the filter selects, inside of the authority.
pub(crate) fn count_inside(
    tx: &ReadTx<'_>,
    authority: Authority,
    filter: &BranchFilter,
) -> Result<u64> {
    if authority.everything {
        return counted(tx, filter, FIRST, LAST);
    }
    tx.count(
        concat!("SELECT count(*) FROM branch WHERE ", inside!("?3")),
        params![filter.organisation, filter.active, authority.administrator],
    )
}
