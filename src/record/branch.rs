//! Branches, which users belong to. Each branch belongs to one organisation or to none.

mod inside;

use crate::error::{Error, ErrorKind, Result};
use crate::record::audit::Written;
use crate::record::organisation::{self, check_imported};
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId, Page, rows};
use crate::value::limits::{DISPLAY_NAME_MAX_BYTES, LIST_PIECE_ROWS};
use crate::value::name::{required_text, trimmed};
use crate::value::time::Timestamp;

/// A branch, which users belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Branch {
    /// Its id.
    pub id: BranchId,
    /// Its name, without white space around it and composed (NFC); two branches may have the same.
    pub name: String,
    /// The organisation that the branch belongs to; `None` if it belongs to none.
    pub organisation: Option<OrganisationId>,
    /// Whether users of the branch can log in, if nothing else refuses them.
    pub active: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Branch {
    /// Whether a typed text is the name of this branch: white space around it does not count, and
    /// nor does the form of Unicode in which it was typed. Case does.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let branch = store.branches().create("Orl\u{e9}ans", None)?;
    /// assert!(branch.has_name("Orle\u{301}ans ") && !branch.has_name("orl\u{e9}ans"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_name(&self, text: &str) -> bool {
        self.name == trimmed(text)
    }
}

impl Store {
    /// Returns the handle of the branches.
    #[must_use]
    pub fn branches(&self) -> Branches<'_> {
        Branches { store: self }
    }
}

/// The branches of a store.
///
/// ```
/// use gatepost::directory::BranchFilter;
/// use gatepost::Page;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let northern = store.organisations().create("Northern")?;
/// let york = store.branches().create("York", northern.id)?;
/// let alone = store.branches().create("Head office", None)?;
///
/// assert_eq!(york.organisation, Some(northern.id));
/// assert_eq!(alone.organisation, None);
/// let of_northern = BranchFilter::new().organisation(northern.id);
/// assert_eq!(store.branches().list(&of_northern, Page::default())?, [york]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Branches<'s> {
    pub(crate) store: &'s Store,
}

/// Selects the branches of a list; all if nothing is set.
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

    /// Only active branches, or only inactive ones, whatever the state of their organisations.
    pub fn active(self, active: bool) -> Self {
        Self { active: Some(active), ..self }
    }
}

/// The branches of one piece that a filter selects.
macro_rules! wanted {
    () => {
        "(?1 IS NULL OR organisation_id = ?1) AND (?2 IS NULL OR active = ?2)
         AND id > ?3 AND id <= ?4"
    };
}

impl<'s> Branches<'s> {
    /// Creates an active branch without users, in an organisation or in none.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?.id;
    /// let york = store.branches().create("York", northern)?;
    /// assert_eq!(york.organisation, Some(northern));
    /// assert_eq!(store.branches().find(york.id)?, Some(york));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the name is blank, longer than 256 bytes or has
    ///   control characters;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such organisation;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
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

    /// Returns the branch with this id; `None` if there is none.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?;
    /// assert_eq!(store.branches().find(york.id)?, Some(york));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find(&self, id: BranchId) -> Result<Option<Branch>> {
        self.store.read(|tx| find(tx, id))
    }

    /// Renames a branch and returns it. Revokes nothing. Writes nothing if the name is the same.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?;
    /// let york = store.branches().rename(york.id, "York station")?;
    /// assert_eq!(york.name, "York station");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if [`create`](Self::create) would refuse the name;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch.
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

    /// Deletes a branch without users, with its settings and credits. Deleted users who were in it
    /// can no longer be restored.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?.id;
    /// let ada = store.users().create(NewUser::person("ada").branch(york))?.id;
    /// assert_eq!(store.branches().delete(york).unwrap_err().kind(), ErrorKind::NotEmpty);
    ///
    /// store.users().move_to(ada, None)?;
    /// store.branches().delete(york)?;
    /// assert_eq!(store.branches().find(york)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch;
    /// - [`NotEmpty`](crate::ErrorKind::NotEmpty) if a user is in it.
    pub fn delete(&self, id: BranchId) -> Result<()> {
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if has_users(tx, id)? {
                return Err(Error::new(ErrorKind::NotEmpty, "the branch still has users"));
            }
            tx.execute("DELETE FROM branch WHERE id = ?1", params![id])?;
            let event =
                Event::new(EventKind::BranchDeleted).branch(id).organisation(before.organisation);
            Ok(Written::With((), event.detail(before.name)))
        })
    }

    /// Returns a page of the branches that the filter selects, oldest first. A call reads at most
    /// 2,000 of them in one snapshot, so a page is not one snapshot.
    ///
    /// ```
    /// use gatepost::Page;
    /// use gatepost::directory::BranchFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?;
    /// let leeds = store.branches().create("Leeds", None)?;
    /// assert_eq!(store.branches().list(&BranchFilter::new(), Page::first(50))?, [york, leeds]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(&self, filter: &BranchFilter, page: Page<BranchId>) -> Result<Vec<Branch>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
            selected(tx, filter, after, end.unwrap_or(LAST), left)
        })
    }

    /// Iterates over all branches that the filter selects, oldest first, reading as
    /// [`Users::iter`](crate::directory::Users::iter) does.
    ///
    /// ```
    /// use gatepost::directory::BranchFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.branches().create("York", None)?;
    /// store.branches().create("Leeds", None)?;
    /// let names = store.branches().iter(&BranchFilter::new()).map(|branch| Ok(branch?.name));
    /// assert_eq!(names.collect::<Result<Vec<_>, gatepost::Error>>()?, ["York", "Leeds"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(&self, filter: &BranchFilter) -> impl Iterator<Item = Result<Branch>> + use<'s> {
        let (branches, filter) = (Branches { store: self.store }, filter.clone());
        let list =
            move |after: Option<&BranchId>| branches.list(&filter, Page::longest(after.copied()));
        rows(list, |branch| branch.id)
    }

    /// Returns how many branches the filter selects.
    ///
    /// ```
    /// use gatepost::directory::BranchFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = store.branches().create("York", None)?;
    /// store.branches().set_active(york.id, false)?;
    /// assert_eq!(store.branches().count(&BranchFilter::new().active(false))?, 1);
    /// assert_eq!(store.branches().count(&BranchFilter::new().active(true))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn count(&self, filter: &BranchFilter) -> Result<u64> {
        count_in_pieces(self.store, FIRST, piece_end, |tx, after, end| {
            counted(tx, filter, after, end.unwrap_or(LAST))
        })
    }
}

const FIRST: BranchId = BranchId::from_bytes([0; 16]);
const LAST: BranchId = BranchId::from_bytes([u8::MAX; 16]);

/// The last row of the piece after the row of `after`; `None` if the rest is shorter than a piece.
fn piece_end(tx: &ReadTx<'_>, after: BranchId) -> Result<Option<BranchId>> {
    tx.one(
        "SELECT id FROM branch WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
        params![after, LIST_PIECE_ROWS - 1],
        |row| row.get(0),
    )
}

/// At most `limit` branches after `after`, and up to `end`, that the filter selects.
fn selected(
    tx: &ReadTx<'_>,
    filter: &BranchFilter,
    after: BranchId,
    end: BranchId,
    limit: i64,
) -> Result<Vec<Branch>> {
    tx.all(
        concat!(
            "SELECT id, name, organisation_id, active, created_at FROM branch WHERE ",
            wanted!(),
            " ORDER BY id LIMIT ?5"
        ),
        params![filter.organisation, filter.active, after, end, limit],
        branch,
    )
}

/// How many branches after `after`, and up to `end`, the filter selects.
fn counted(tx: &ReadTx<'_>, filter: &BranchFilter, after: BranchId, end: BranchId) -> Result<u64> {
    tx.count(
        concat!("SELECT count(*) FROM branch WHERE ", wanted!()),
        params![filter.organisation, filter.active, after, end],
    )
}

/// The branch with this id, if there is one.
pub(crate) fn find(tx: &ReadTx<'_>, id: BranchId) -> Result<Option<Branch>> {
    tx.one(
        "SELECT id, name, organisation_id, active, created_at FROM branch WHERE id = ?1",
        params![id],
        branch,
    )
}

/// The branch that a request names.
pub(crate) fn existing(tx: &ReadTx<'_>, id: BranchId) -> Result<Branch> {
    find(tx, id)?.ok_or_else(gone)
}

pub(crate) fn gone() -> Error {
    Error::not_found("there is no branch of this id")
}

/// Inserts a branch of another store, with its id; `None` if there is one of that id.
///
/// # Errors
/// As for an organisation, and `NotFound` for the organisation.
pub(crate) fn import(
    tx: &WriteTx<'_>,
    (id, parent): (BranchId, Option<OrganisationId>),
    (name, active): (&str, bool),
    created_at: Option<Timestamp>,
) -> Result<Option<Event>> {
    let name = checked_name(name)?;
    check_imported(id.as_bytes())?;
    if find(tx, id)?.is_some() {
        return Ok(None);
    }
    if let Some(parent) = parent {
        organisation::existing(tx, parent)?;
    }
    tx.execute(
        "INSERT INTO branch (id, organisation_id, name, active, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, parent, name, active, created_at.unwrap_or(tx.now())],
    )?;
    let event = Event::new(EventKind::BranchCreated).branch(id).organisation(parent);
    Ok(Some(event.detail(&name)))
}

/// Makes a branch active or inactive. The caller checks that this is a change.
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

/// Raises the watermarks of a branch; `false` if there is no such branch.
pub(crate) fn raise(tx: &WriteTx<'_>, id: BranchId, marks: Watermarks) -> Result<bool> {
    let rows = tx.execute(
        "UPDATE branch SET sessions_ended_seq = coalesce(?2, sessions_ended_seq),
             tokens_ended_seq = coalesce(?3, tokens_ended_seq)
         WHERE id = ?1",
        params![id, marks.sessions, marks.tokens],
    )?;
    Ok(rows == 1)
}

/// Moves a branch to another organisation, or to none.
///
/// The branch keeps the watermarks of the organisation it leaves: what was revoked there stays
/// revoked.
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
        created_at: row.get(4)?,
    })
}

fn checked_name(name: &str) -> Result<String> {
    required_text(
        name,
        "the branch's name is blank, longer than 256 bytes or has control characters",
        DISPLAY_NAME_MAX_BYTES,
    )
}
