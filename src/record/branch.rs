//! Branches: what users are in; each belongs to one organisation or to none.

use chrono::{DateTime, Utc};

use crate::error::{Error, Reason, Result};
use crate::record::audit::Written;
use crate::record::organisation;
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, Page};
use crate::value::limits::DISPLAY_NAME_MAX_BYTES;
use crate::value::name::required_text;
use crate::value::time::Timestamp;

/// A branch: it contains users, or none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Branch {
    /// Its id.
    pub id: BranchId,
    /// Its name; two branches may have the same.
    pub name: String,
    /// The organisation that it belongs to, if it belongs to one.
    pub organisation: Option<OrganisationId>,
    /// Whether users in it can log in, as far as the branch is concerned.
    pub active: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// The branches.
    #[must_use]
    pub fn branches(&self) -> Branches<'_> {
        Branches { store: self }
    }
}

/// The branches of a store.
///
/// ```
/// use gatepost::{BranchFilter, Options, Page, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let northern = store.organisations().create("Northern")?;
/// let york = store.branches().create("York", northern.id)?;
/// let alone = store.branches().create("Head office", None)?;
///
/// assert_eq!(york.organisation, Some(northern.id));
/// assert_eq!(alone.organisation, None);
/// let of_northern = BranchFilter::new().organisation(northern.id);
/// assert_eq!(store.branches().list(&of_northern, Page::default())?, [york]);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct Branches<'s> {
    pub(crate) store: &'s Store,
}

/// Which branches a list shows; all if nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct BranchFilter {
    organisation: Option<OrganisationId>,
    active: Option<bool>,
}

impl BranchFilter {
    /// Every branch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Branches of this organisation.
    pub fn organisation(self, organisation: OrganisationId) -> Self {
        Self { organisation: Some(organisation), ..self }
    }

    /// Branches that are active, or that are not. Their organisations are not asked.
    pub fn active(self, active: bool) -> Self {
        Self { active: Some(active), ..self }
    }
}

impl Branches<'_> {
    /// Creates an active branch without users.
    ///
    /// # Errors
    /// `Invalid` for a name that is blank, longer than 256 bytes or has control characters;
    /// `NotFound` if there is no such organisation; `NoRandom`, `Busy`, `Full`, `Io`.
    pub fn create(
        &self,
        name: &str,
        organisation: impl Into<Option<OrganisationId>>,
    ) -> Result<Branch> {
        let name = checked_name(name)?;
        let parent = organisation.into();
        self.store.write(|tx| {
            if let Some(parent) = parent {
                organisation::existing(tx, parent)?;
            }
            let is_taken = "SELECT EXISTS (SELECT 1 FROM branch WHERE id = ?1)";
            let id = tx.draw_id(BranchId::draw, is_taken)?;
            tx.execute(
                "INSERT INTO branch (id, organisation_id, name, created_at)
                 VALUES (?1, ?2, ?3, ?4)",
                params![id, parent, name, tx.now()],
            )?;
            let event = Event::new(EventKind::BranchCreated).branch(id).organisation(parent);
            Ok(Written::With(existing(tx, id)?, event.detail(&name)))
        })
    }

    /// The branch of that id, if there is one.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find(&self, id: BranchId) -> Result<Option<Branch>> {
        self.store.read(|tx| find(tx, id))
    }

    /// Gives a branch another name. Ends no session.
    ///
    /// # Errors
    /// `Invalid` for a name that [`create`](Self::create) refuses, `NotFound`; `Busy`, `Full`,
    /// `Io`.
    pub fn rename(&self, id: BranchId, name: &str) -> Result<Branch> {
        let name = checked_name(name)?;
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if before.name == name {
                return Ok(Written::Nothing(before));
            }
            tx.execute("UPDATE branch SET name = ?2 WHERE id = ?1", params![id, name])?;
            let event = Event::new(EventKind::BranchRenamed).branch(id).detail(&name);
            Ok(Written::With(Branch { name, ..before }, event))
        })
    }

    /// Deletes a branch that no user is in, with its settings and credits. Deleted users who were
    /// in it can no longer be restored.
    ///
    /// # Errors
    /// `NotFound`, `NotEmpty` if a user is in it; `Busy`, `Full`, `Io`.
    pub fn delete(&self, id: BranchId) -> Result<()> {
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if has_users(tx, id)? {
                return Err(Error::new(Reason::NotEmpty, "the branch has users"));
            }
            tx.execute("DELETE FROM branch WHERE id = ?1", params![id])?;
            let event =
                Event::new(EventKind::BranchDeleted).branch(id).organisation(before.organisation);
            Ok(Written::With((), event.detail(before.name)))
        })
    }

    /// A page of the branches that the filter lets through, oldest first.
    ///
    /// # Errors
    /// `Invalid` for a page limit that is not 1 to 500; `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, filter: &BranchFilter, page: Page<BranchId>) -> Result<Vec<Branch>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(BranchId::from_bytes([0; 16]));
        self.store.read(|tx| {
            tx.all(
                "SELECT id, name, organisation_id, active, created_at FROM branch
                 WHERE id > ?1 AND (?2 IS NULL OR organisation_id = ?2)
                   AND (?3 IS NULL OR active = ?3)
                 ORDER BY id LIMIT ?4",
                params![after, filter.organisation, filter.active, limit],
                branch,
            )
        })
    }
}

/// The branch of that id, if there is one.
pub(crate) fn find(tx: &ReadTx<'_>, id: BranchId) -> Result<Option<Branch>> {
    tx.one(
        "SELECT id, name, organisation_id, active, created_at FROM branch WHERE id = ?1",
        params![id],
        branch,
    )
}

/// The branch that a request names.
pub(crate) fn existing(tx: &ReadTx<'_>, id: BranchId) -> Result<Branch> {
    find(tx, id)?.ok_or_else(|| Error::not_found("there is no branch of this id"))
}

/// Makes a branch active or inactive, which must be a change.
pub(crate) fn set_active(
    tx: &WriteTx<'_>,
    id: BranchId,
    active: bool,
    marks: Watermarks,
) -> Result<()> {
    tx.execute(
        "UPDATE branch SET active = ?2,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             tokens_ended_seq = coalesce(?4, tokens_ended_seq)
         WHERE id = ?1",
        params![id, active, marks.sessions, marks.tokens],
    )
    .map(drop)
}

/// Raises the watermarks of a branch; `false` if there is none of that id.
pub(crate) fn raise(tx: &WriteTx<'_>, id: BranchId, marks: Watermarks) -> Result<bool> {
    let rows = tx.execute(
        "UPDATE branch SET sessions_ended_seq = coalesce(?2, sessions_ended_seq),
             tokens_ended_seq = coalesce(?3, tokens_ended_seq)
         WHERE id = ?1",
        params![id, marks.sessions, marks.tokens],
    )?;
    Ok(rows == 1)
}

/// Puts a branch under another organisation, or none.
///
/// It takes the watermarks of the one it leaves along: what was ended there stays ended.
pub(crate) fn place(
    tx: &WriteTx<'_>,
    id: BranchId,
    organisation: Option<OrganisationId>,
) -> Result<()> {
    tx.execute(
        "UPDATE branch SET organisation_id = ?2,
             sessions_ended_seq = max(sessions_ended_seq, coalesce((
                 SELECT o.sessions_ended_seq FROM organisation o
                 WHERE o.id = branch.organisation_id), 0)),
             tokens_ended_seq = max(tokens_ended_seq, coalesce((
                 SELECT o.tokens_ended_seq FROM organisation o
                 WHERE o.id = branch.organisation_id), 0))
         WHERE id = ?1",
        params![id, organisation],
    )
    .map(drop)
}

fn has_users(tx: &ReadTx<'_>, id: BranchId) -> Result<bool> {
    tx.exactly_one("SELECT EXISTS (SELECT 1 FROM user WHERE branch_id = ?1)", params![id], |row| {
        row.get(0)
    })
}

fn branch(row: &Row<'_>) -> rusqlite::Result<Branch> {
    Ok(Branch {
        id: row.get(0)?,
        name: row.get(1)?,
        organisation: row.get(2)?,
        active: row.get(3)?,
        created_at: row.get::<_, Timestamp>(4)?.to_datetime(),
    })
}

fn checked_name(name: &str) -> Result<String> {
    required_text(
        name,
        "the branch's name is blank, longer than 256 bytes or has control characters",
        DISPLAY_NAME_MAX_BYTES,
    )
}
