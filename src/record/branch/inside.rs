//! The branches inside of what an administrator administers.

use super::{Branch, BranchFilter, Branches, FIRST, LAST, branch, counted, selected};
use crate::error::Result;
use crate::record::administration::{Authority, own_branches, own_organisations};
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::storage::{ReadTx, params};
use crate::value::id::{BranchId, Page};
use crate::value::limits::LIST_PIECE_ROWS;

/// The conditions of a filter on a branch of the piece that the user `?3` administers. An
/// organisation that this one does not administer is not shown, and selects no branch.
macro_rules! inside {
    () => {
        concat!(
            "id IN ",
            own_branches!("?3", "?4", "?5"),
            " AND (?1 IS NULL OR organisation_id = ?1 AND ?1 IN ",
            own_organisations!("?3"),
            ") AND (?2 IS NULL OR active = ?2)"
        )
    };
}

impl Branches<'_> {
    /// As [`list`](Self::list), of the branches inside of what `authority` says in each
    /// transaction.
    pub(crate) fn list_inside(
        &self,
        authority: &dyn Fn(&ReadTx<'_>) -> Result<Authority>,
        filter: &BranchFilter,
        page: Page<BranchId>,
    ) -> Result<Vec<Branch>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        let piece_end = |tx: &ReadTx<'_>, after| piece_end(tx, authority(tx)?, after);
        page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
            rows(tx, authority(tx)?, filter, (after, end.unwrap_or(LAST)), left)
        })
    }

    /// As [`count`](Self::count), of the same branches.
    pub(crate) fn count_inside(
        &self,
        authority: &dyn Fn(&ReadTx<'_>) -> Result<Authority>,
        filter: &BranchFilter,
    ) -> Result<u64> {
        let piece_end = |tx: &ReadTx<'_>, after| piece_end(tx, authority(tx)?, after);
        count_in_pieces(self.store, FIRST, piece_end, |tx, after, end| {
            count(tx, authority(tx)?, filter, (after, end.unwrap_or(LAST)))
        })
    }
}

fn rows(
    tx: &ReadTx<'_>,
    authority: Authority,
    filter: &BranchFilter,
    (after, end): (BranchId, BranchId),
    left: i64,
) -> Result<Vec<Branch>> {
    if authority.everything {
        return selected(tx, filter, after, end, left);
    }
    tx.all(
        concat!(
            "SELECT id, name, CASE WHEN organisation_id IN ",
            own_organisations!("?3"),
            " THEN organisation_id END, active, created_at FROM branch WHERE ",
            inside!(),
            " ORDER BY id LIMIT ?6"
        ),
        params![filter.organisation, filter.active, authority.administrator, after, end, left],
        branch,
    )
}

fn count(
    tx: &ReadTx<'_>,
    authority: Authority,
    filter: &BranchFilter,
    (after, end): (BranchId, BranchId),
) -> Result<u64> {
    if authority.everything {
        return counted(tx, filter, after, end);
    }
    tx.count(
        concat!("SELECT count(*) FROM branch WHERE ", inside!()),
        params![filter.organisation, filter.active, authority.administrator, after, end],
    )
}

/// As that of all branches; only branches inside of the authority are rows.
fn piece_end(tx: &ReadTx<'_>, authority: Authority, after: BranchId) -> Result<Option<BranchId>> {
    if authority.everything {
        return super::piece_end(tx, after);
    }
    tx.one(END_INSIDE, params![authority.administrator, after, LIST_PIECE_ROWS - 1], |row| {
        row.get(0)
    })
}

/// Merges the branches of each organisation, which come from the index in the order of their ids,
/// with those that are administered by themselves.
const END_INSIDE: &str = concat!(
    "WITH RECURSIVE merged (organisation_id, id) AS (
         SELECT own.organisation_id, (
             SELECT below.id FROM branch AS below INDEXED BY branch_by_organisation
             WHERE below.organisation_id = own.organisation_id AND below.id > ?2
             ORDER BY below.id LIMIT 1)
         FROM administration AS own
         WHERE own.user_id = ?1 AND own.organisation_id IS NOT NULL
         UNION ALL
         SELECT NULL, alone.id FROM branch AS alone
         WHERE alone.id > ?2 AND alone.id IN (
             SELECT own.branch_id FROM administration AS own
             WHERE own.user_id = ?1 AND own.branch_id IS NOT NULL)
             AND (alone.organisation_id IS NULL OR alone.organisation_id NOT IN ",
    own_organisations!("?1"),
    ")
         UNION ALL
         SELECT before.organisation_id, (
             SELECT below.id FROM branch AS below INDEXED BY branch_by_organisation
             WHERE below.organisation_id = before.organisation_id AND below.id > before.id
             ORDER BY below.id LIMIT 1)
         FROM merged AS before
         WHERE before.organisation_id IS NOT NULL AND before.id IS NOT NULL
         ORDER BY 2)
     SELECT id FROM merged WHERE id IS NOT NULL LIMIT 1 OFFSET ?3"
);

#[cfg(test)]
mod tests;
