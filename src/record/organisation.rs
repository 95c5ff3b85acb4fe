//! Organisations, which branches belong to: the top of three levels.

use crate::error::{Error, ErrorKind, Result};
use crate::record::administration::{Authority, own_organisations};
use crate::record::audit::Written;
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{OrganisationId, Page, rows};
use crate::value::limits::{DISPLAY_NAME_MAX_BYTES, LIST_PIECE_ROWS};
use crate::value::name::{required_text, trimmed};
use crate::value::time::Timestamp;

/// An organisation, which branches belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its name, without white space around it and composed (NFC); two organisations may have the
    /// same.
    pub name: String,
    /// Whether users under it can log in, if nothing else refuses them.
    pub active: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Organisation {
    /// Whether a typed text is the name of this organisation, by the rule of
    /// [`Branch::has_name`](crate::directory::Branch::has_name).
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// assert!(northern.has_name(" Northern") && !northern.has_name("north"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_name(&self, text: &str) -> bool {
        self.name == trimmed(text)
    }
}

impl Store {
    /// Returns the handle of the organisations.
    #[must_use]
    pub fn organisations(&self) -> Organisations<'_> {
        Organisations { store: self }
    }
}

/// The organisations of a store.
///
/// ```
/// use gatepost::directory::OrganisationFilter;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let northern = store.organisations().create("Northern")?;
/// store.organisations().rename(northern.id, "Northern Trust")?;
///
/// let found = store.organisations().find(northern.id)?;
/// assert_eq!(found.map(|found| found.name).as_deref(), Some("Northern Trust"));
/// assert_eq!(store.organisations().count(&OrganisationFilter::new().active(true))?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Organisations<'s> {
    pub(crate) store: &'s Store,
}

/// Selects the organisations of a list; all if nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct OrganisationFilter {
    active: Option<bool>,
}

impl OrganisationFilter {
    /// Every organisation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only active organisations, or only inactive ones.
    pub fn active(self, active: bool) -> Self {
        Self { active: Some(active) }
    }
}

/// The organisations of one piece that a filter selects.
macro_rules! wanted {
    () => {
        "(?1 IS NULL OR active = ?1) AND id > ?2 AND id <= ?3"
    };
}

impl<'s> Organisations<'s> {
    /// Creates an active organisation without branches.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// assert!(northern.active);
    /// assert_eq!(store.organisations().find(northern.id)?, Some(northern));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the name is blank, longer than 256 bytes or has
    ///   control characters;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn create(&self, name: &str) -> Result<Organisation> {
        let name = checked_name(name)?;
        self.store.write(|tx| {
            let is_taken = "SELECT EXISTS (SELECT 1 FROM organisation WHERE id = ?1)";
            let id = tx.draw_id(OrganisationId::draw, is_taken)?;
            tx.execute(
                "INSERT INTO organisation (id, name, created_at) VALUES (?1, ?2, ?3)",
                params![id, name, tx.now()],
            )?;
            let event = Event::new(EventKind::OrganisationCreated).organisation(id).detail(&name);
            Ok(Written::With(existing(tx, id)?, event))
        })
    }

    /// Returns the organisation with this id; `None` if there is none.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// assert_eq!(store.organisations().find(northern.id)?, Some(northern));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find(&self, id: OrganisationId) -> Result<Option<Organisation>> {
        self.store.read(|tx| find(tx, id))
    }

    /// Renames an organisation and returns it. Revokes nothing. Writes nothing if the name is the
    /// same.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// let northern = store.organisations().rename(northern.id, "Northern Trust")?;
    /// assert_eq!(northern.name, "Northern Trust");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if [`create`](Self::create) would refuse the name;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such organisation.
    pub fn rename(&self, id: OrganisationId, name: &str) -> Result<Organisation> {
        let name = checked_name(name)?;
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if before.name == name {
                return Ok(Written::Nothing(before));
            }
            tx.execute("UPDATE organisation SET name = ?2 WHERE id = ?1", params![id, name])?;
            let event = Event::new(EventKind::OrganisationRenamed).organisation(id).detail(&name);
            Ok(Written::With(Organisation { name, ..before }, event))
        })
    }

    /// Deletes an organisation without branches, with its settings and credits.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?.id;
    /// let york = store.branches().create("York", northern)?.id;
    /// assert_eq!(store.organisations().delete(northern).unwrap_err().kind(), ErrorKind::NotEmpty);
    ///
    /// store.branches().move_to(york, None)?;
    /// store.organisations().delete(northern)?;
    /// assert_eq!(store.organisations().find(northern)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such organisation;
    /// - [`NotEmpty`](crate::ErrorKind::NotEmpty) if a branch belongs to it.
    pub fn delete(&self, id: OrganisationId) -> Result<()> {
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if has_branches(tx, id)? {
                return Err(Error::new(
                    ErrorKind::NotEmpty,
                    "the organisation still has branches",
                ));
            }
            tx.execute("DELETE FROM organisation WHERE id = ?1", params![id])?;
            let event =
                Event::new(EventKind::OrganisationDeleted).organisation(id).detail(before.name);
            Ok(Written::With((), event))
        })
    }

    /// Returns a page of the organisations that the filter selects, oldest first. A call
    /// reads at most 2,000 of them in one snapshot, so a page is not one snapshot.
    ///
    /// ```
    /// use gatepost::Page;
    /// use gatepost::directory::OrganisationFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// let found = store.organisations().list(&OrganisationFilter::new(), Page::first(50))?;
    /// assert_eq!(found, [northern]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(
        &self,
        filter: &OrganisationFilter,
        page: Page<OrganisationId>,
    ) -> Result<Vec<Organisation>> {
        self.list_inside(&|_| Ok(Authority::EVERYTHING), filter, page)
    }

    /// As [`list`](Self::list), of the organisations inside of what `authority` says in each
    /// transaction.
    pub(crate) fn list_inside(
        &self,
        authority: &dyn Fn(&ReadTx<'_>) -> Result<Authority>,
        filter: &OrganisationFilter,
        page: Page<OrganisationId>,
    ) -> Result<Vec<Organisation>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        // No user administers as many by themselves as a piece has.
        let piece_end = |tx: &ReadTx<'_>, after| match authority(tx)?.everything {
            true => piece_end(tx, after),
            false => Ok(None),
        };
        page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
            selected(tx, authority(tx)?, filter, (after, end.unwrap_or(LAST)), left)
        })
    }

    /// Iterates over all organisations that the filter selects, oldest first, reading as
    /// [`Users::iter`](crate::directory::Users::iter) does.
    ///
    /// ```
    /// use gatepost::directory::OrganisationFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let northern = store.organisations().create("Northern")?;
    /// let mut all = store.organisations().iter(&OrganisationFilter::new());
    /// assert_eq!(all.next().transpose()?, Some(northern));
    /// assert!(all.next().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(
        &self,
        filter: &OrganisationFilter,
    ) -> impl Iterator<Item = Result<Organisation>> + use<'s> {
        let (organisations, filter) = (Organisations { store: self.store }, filter.clone());
        let list = move |after: Option<&OrganisationId>| {
            organisations.list(&filter, Page::longest(after.copied()))
        };
        rows(list, |organisation| organisation.id)
    }

    /// Returns how many organisations the filter selects.
    ///
    /// ```
    /// use gatepost::directory::OrganisationFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.organisations().create("Northern")?;
    /// assert_eq!(store.organisations().count(&OrganisationFilter::new())?, 1);
    /// assert_eq!(store.organisations().count(&OrganisationFilter::new().active(false))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn count(&self, filter: &OrganisationFilter) -> Result<u64> {
        count_in_pieces(self.store, FIRST, piece_end, |tx, after, end| {
            tx.count(
                concat!("SELECT count(*) FROM organisation WHERE ", wanted!()),
                params![filter.active, after, end.unwrap_or(LAST)],
            )
        })
    }
}

const FIRST: OrganisationId = OrganisationId::from_bytes([0; 16]);
const LAST: OrganisationId = OrganisationId::from_bytes([u8::MAX; 16]);

/// The last row of the piece after the row of `after`; `None` if the rest is shorter than a piece.
fn piece_end(tx: &ReadTx<'_>, after: OrganisationId) -> Result<Option<OrganisationId>> {
    tx.one(
        "SELECT id FROM organisation WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
        params![after, LIST_PIECE_ROWS - 1],
        |row| row.get(0),
    )
}

/// At most `left` organisations of a piece that the filter selects, inside of the authority.
fn selected(
    tx: &ReadTx<'_>,
    authority: Authority,
    filter: &OrganisationFilter,
    (after, end): (OrganisationId, OrganisationId),
    left: i64,
) -> Result<Vec<Organisation>> {
    if authority.everything {
        return tx.all(
            concat!(
                "SELECT id, name, active, created_at FROM organisation WHERE ",
                wanted!(),
                " ORDER BY id LIMIT ?4"
            ),
            params![filter.active, after, end, left],
            organisation,
        );
    }
    tx.all(
        concat!(
            "SELECT id, name, active, created_at FROM organisation WHERE ",
            wanted!(),
            " AND id IN ",
            own_organisations!("?5"),
            " ORDER BY id LIMIT ?4"
        ),
        params![filter.active, after, end, left, authority.administrator],
        organisation,
    )
}

/// The organisation with this id, if there is one.
pub(crate) fn find(tx: &ReadTx<'_>, id: OrganisationId) -> Result<Option<Organisation>> {
    tx.one(
        "SELECT id, name, active, created_at FROM organisation WHERE id = ?1",
        params![id],
        organisation,
    )
}

/// The organisation that a request names.
pub(crate) fn existing(tx: &ReadTx<'_>, id: OrganisationId) -> Result<Organisation> {
    find(tx, id)?.ok_or_else(gone)
}

pub(crate) fn gone() -> Error {
    Error::not_found("there is no organisation of this id")
}

/// Refuses an id that the library uses for other purposes.
pub(crate) fn check_imported(id: &[u8; 16]) -> Result<()> {
    if *id == [0; 16] || *id == [u8::MAX; 16] {
        return Err(Error::invalid("the id of an imported record is the nil or the max UUID"));
    }
    Ok(())
}

/// Inserts an organisation of another store, with its id; `None` if there is one of that id.
///
/// # Errors
/// `Invalid` for the name, or an id that none can have.
pub(crate) fn import(
    tx: &WriteTx<'_>,
    id: OrganisationId,
    (name, active): (&str, bool),
    created_at: Option<Timestamp>,
) -> Result<Option<Event>> {
    let name = checked_name(name)?;
    check_imported(id.as_bytes())?;
    if find(tx, id)?.is_some() {
        return Ok(None);
    }
    tx.execute(
        "INSERT INTO organisation (id, name, active, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![id, name, active, created_at.unwrap_or(tx.now())],
    )?;
    Ok(Some(Event::new(EventKind::OrganisationCreated).organisation(id).detail(&name)))
}

/// Makes an organisation active or inactive. The caller checks that this is a change.
pub(crate) fn set_active(
    tx: &WriteTx<'_>,
    id: OrganisationId,
    active: bool,
    marks: Watermarks,
) -> Result<()> {
    tx.execute(
        "UPDATE organisation SET active = ?2,
             sessions_ended_seq = coalesce(?3, sessions_ended_seq),
             tokens_ended_seq = coalesce(?4, tokens_ended_seq)
         WHERE id = ?1",
        params![id, active, marks.sessions, marks.tokens],
    )
    .map(drop)
}

/// Raises the watermarks of an organisation; `false` if there is no such organisation.
pub(crate) fn raise(tx: &WriteTx<'_>, id: OrganisationId, marks: Watermarks) -> Result<bool> {
    let rows = tx.execute(
        "UPDATE organisation SET sessions_ended_seq = coalesce(?2, sessions_ended_seq),
             tokens_ended_seq = coalesce(?3, tokens_ended_seq)
         WHERE id = ?1",
        params![id, marks.sessions, marks.tokens],
    )?;
    Ok(rows == 1)
}

fn has_branches(tx: &ReadTx<'_>, id: OrganisationId) -> Result<bool> {
    tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM branch WHERE organisation_id = ?1)",
        params![id],
        |row| row.get(0),
    )
}

fn organisation(row: &Row<'_>) -> rusqlite::Result<Organisation> {
    Ok(Organisation {
        id: row.get(0)?,
        name: row.get(1)?,
        active: row.get(2)?,
        created_at: row.get(3)?,
    })
}

fn checked_name(name: &str) -> Result<String> {
    required_text(
        name,
        "the organisation's name is blank, longer than 256 bytes or has control characters",
        DISPLAY_NAME_MAX_BYTES,
    )
}

#[cfg(test)]
mod tests;
