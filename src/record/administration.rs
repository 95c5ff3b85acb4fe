//! Administrations: which users administer which organisations and branches, and what is inside.
//!
//! The predicates below are the one definition of "inside" and of "above". A statement that applies
//! them names the administrator, so that a record outside is found by no statement: it is the same
//! as a record that does not exist.

use crate::error::Result;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::subtree::Subtree;
use crate::value::time::Timestamp;

/// The branches that the user `$who` administers, each by itself or with its organisation; only
/// those after `$after` and up to `$end` if these are given.
macro_rules! own_branches {
    ($who:literal) => {
        concat!(
            "(SELECT own.branch_id FROM administration AS own
              WHERE own.user_id = ",
            $who,
            " AND own.branch_id IS NOT NULL
              UNION ALL
              SELECT below.id FROM administration AS own
              JOIN branch AS below ON below.organisation_id = own.organisation_id
              WHERE own.user_id = ",
            $who,
            ")"
        )
    };
    ($who:literal, $after:literal, $end:literal) => {
        concat!(
            "(SELECT own.branch_id FROM administration AS own
              WHERE own.user_id = ",
            $who,
            " AND own.branch_id > ",
            $after,
            " AND own.branch_id <= ",
            $end,
            " UNION ALL
              SELECT below.id FROM administration AS own
              JOIN branch AS below ON below.organisation_id = own.organisation_id
              WHERE own.user_id = ",
            $who,
            " AND below.id > ",
            $after,
            " AND below.id <= ",
            $end,
            ")"
        )
    };
}

/// The organisations that the user `$who` administers.
macro_rules! own_organisations {
    ($who:literal) => {
        concat!(
            "(SELECT own.organisation_id FROM administration AS own
              WHERE own.user_id = ",
            $who,
            " AND own.organisation_id IS NOT NULL)"
        )
    };
}

pub(crate) use {own_branches, own_organisations};

/// Whether user `u`, deleted or not, is inside what the user `?2` administers; `?3` says that this
/// is everything.
macro_rules! inside {
    () => {
        concat!(
            "u.erased_seq IS NULL
             AND (?3 OR coalesce(u.branch_id, u.former_branch_id) IN ",
            own_branches!("?2"),
            ")"
        )
    };
}

/// Whether the administration `t` covers something that the user `?2` does not administer.
macro_rules! exceeds {
    () => {
        concat!(
            "((t.branch_id IS NULL OR t.branch_id NOT IN ",
            own_branches!("?2"),
            ") AND (t.organisation_id IS NULL OR t.organisation_id NOT IN ",
            own_organisations!("?2"),
            "))"
        )
    };
}

/// Whether user `u` administers something that the user `?2` does not; never if `?3` says that this
/// one administers everything.
macro_rules! above {
    () => {
        concat!(
            "(NOT ?3 AND (
                 EXISTS (SELECT 1 FROM user_privilege AS p
                         WHERE p.user_id = u.id AND p.name = 'admin')
                 OR EXISTS (SELECT 1 FROM administration AS t WHERE t.user_id = u.id AND ",
            exceeds!(),
            ")))"
        )
    };
}

/// As `above`, for any user of whom `$there` is true.
macro_rules! anyone_above {
    ($there:literal) => {
        concat!(
            "(NOT ?3 AND (
                 EXISTS (SELECT 1 FROM user_privilege AS p JOIN user AS u ON u.id = p.user_id
                         WHERE p.name = 'admin' AND ",
            $there,
            ") OR EXISTS (SELECT 1 FROM administration AS t JOIN user AS u ON u.id = t.user_id
                          WHERE ",
            $there,
            " AND ",
            exceeds!(),
            ")))"
        )
    };
}

/// What a principal may administer, as it is in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The user whose administrations count; `None` if none do.
    pub(crate) administrator: Option<UserId>,
    /// Whether it is everything.
    pub(crate) everything: bool,
}

/// A user inside of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) user: UserId,
    /// Whether the user administers something that the administrator does not.
    pub(crate) is_above: bool,
}

/// An organisation or branch inside of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InsidePlace {
    /// Whether the administrator also administers what contains it.
    pub(crate) is_contained: bool,
    /// Whether a user in it administers something that the administrator does not.
    pub(crate) has_above: bool,
}

impl Authority {
    /// Of a call that is limited to nothing.
    pub(crate) const EVERYTHING: Self = Self { administrator: None, everything: true };

    /// The user, deleted or not; `None` if there is none of this id, or it is outside.
    pub(crate) fn user(self, tx: &ReadTx<'_>, id: UserId) -> Result<Option<Inside>> {
        tx.one(
            concat!("SELECT u.id, ", above!(), " FROM user AS u WHERE u.id = ?1 AND ", inside!()),
            params![id, self.administrator, self.everything],
            user,
        )
    }

    /// The user of a session.
    pub(crate) fn user_of_session(self, tx: &ReadTx<'_>, id: SessionId) -> Result<Option<Inside>> {
        tx.one(
            concat!(
                "SELECT u.id, ",
                above!(),
                " FROM session AS s JOIN user AS u ON u.id = s.user_id WHERE s.id = ?1 AND ",
                inside!()
            ),
            params![id, self.administrator, self.everything],
            user,
        )
    }

    /// The user of an API key.
    pub(crate) fn user_of_key(self, tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<Inside>> {
        tx.one(
            concat!(
                "SELECT u.id, ",
                above!(),
                " FROM api_key AS k JOIN user AS u ON u.id = k.user_id WHERE k.id = ?1 AND ",
                inside!()
            ),
            params![id, self.administrator, self.everything],
            user,
        )
    }

    /// The branch; `None` if there is none of this id, or it is outside.
    pub(crate) fn branch(self, tx: &ReadTx<'_>, id: BranchId) -> Result<Option<InsidePlace>> {
        tx.one(
            concat!(
                "SELECT ?3 OR coalesce(b.organisation_id IN ",
                own_organisations!("?2"),
                ", 0), ",
                anyone_above!("u.branch_id = b.id"),
                " FROM branch AS b WHERE b.id = ?1 AND (?3 OR b.id IN ",
                own_branches!("?2"),
                ")"
            ),
            params![id, self.administrator, self.everything],
            place,
        )
    }

    /// The organisation; `None` if there is none of this id, or it is outside.
    pub(crate) fn organisation(
        self,
        tx: &ReadTx<'_>,
        id: OrganisationId,
    ) -> Result<Option<InsidePlace>> {
        tx.one(
            concat!(
                "SELECT ?3, ",
                anyone_above!(
                    "u.branch_id IN (SELECT id FROM branch WHERE organisation_id = o.id)"
                ),
                " FROM organisation AS o WHERE o.id = ?1 AND (?3 OR o.id IN ",
                own_organisations!("?2"),
                ")"
            ),
            params![id, self.administrator, self.everything],
            place,
        )
    }

    /// What the user administers, as far as it is inside.
    pub(crate) fn administrations(self, tx: &ReadTx<'_>, user: UserId) -> Result<Vec<Subtree>> {
        tx.all(
            concat!(
                "SELECT t.organisation_id, t.branch_id FROM administration AS t
                 WHERE t.user_id = ?1 AND (?3 OR NOT ",
                exceeds!(),
                ") ORDER BY t.organisation_id, t.branch_id"
            ),
            params![user, self.administrator, self.everything],
            subtree,
        )
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<Inside> {
    Ok(Inside { user: row.get(0)?, is_above: row.get(1)? })
}

fn place(row: &Row<'_>) -> rusqlite::Result<InsidePlace> {
    Ok(InsidePlace { is_contained: row.get(0)?, has_above: row.get(1)? })
}

fn subtree(row: &Row<'_>) -> rusqlite::Result<Subtree> {
    Ok(match row.get(0)? {
        Some(organisation) => Subtree::Organisation(organisation),
        None => Subtree::Branch(row.get(1)?),
    })
}

/// The organisations and branches that a user, deleted or not, administers.
pub(crate) fn of_user(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<Subtree>> {
    tx.all(
        "SELECT organisation_id, branch_id FROM administration
         WHERE user_id = ?1 ORDER BY organisation_id, branch_id",
        params![user],
        subtree,
    )
}

/// A place that a user administers, and since when; in
/// [`PersonalData`](crate::directory::PersonalData).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Administration {
    /// The organisation or the branch.
    pub place: Subtree,
    /// When it was granted.
    pub granted_at: Timestamp,
}

/// As [`of_user`], with the times.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<Administration>> {
    tx.all(
        "SELECT organisation_id, branch_id, granted_at FROM administration
         WHERE user_id = ?1 ORDER BY organisation_id, branch_id",
        params![user],
        |row| Ok(Administration { place: subtree(row)?, granted_at: row.get(2)? }),
    )
}

/// Stores that a user administers an organisation or a branch. The caller checks that it does not
/// yet.
pub(crate) fn insert(
    tx: &WriteTx<'_>,
    user: UserId,
    organisation: Option<OrganisationId>,
    branch: Option<BranchId>,
) -> Result<()> {
    tx.execute(
        "INSERT INTO administration (user_id, organisation_id, branch_id, granted_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![user, organisation, branch, tx.now()],
    )
    .map(drop)
}

/// Deletes the row; `false` if there is none.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    user: UserId,
    organisation: Option<OrganisationId>,
    branch: Option<BranchId>,
) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM administration
         WHERE user_id = ?1 AND organisation_id IS ?2 AND branch_id IS ?3",
        params![user, organisation, branch],
    )?;
    Ok(deleted > 0)
}

/// Deletes the rows of a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM administration WHERE user_id = ?1", params![user]).map(drop)
}
