//! Organisations: what branches belong to, where there are three levels.

use chrono::{DateTime, Utc};

use crate::error::{Error, Reason, Result};
use crate::record::audit::Written;
use crate::record::watermarks::Watermarks;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{OrganisationId, Page};
use crate::value::limits::DISPLAY_NAME_MAX_BYTES;
use crate::value::name::required_text;
use crate::value::time::Timestamp;

/// An organisation: it contains branches, or none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its name; two organisations may have the same.
    pub name: String,
    /// Whether users under it can log in.
    pub active: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// The organisations.
    #[must_use]
    pub fn organisations(&self) -> Organisations<'_> {
        Organisations { store: self }
    }
}

/// The organisations of a store.
///
/// ```
/// use gatepost::{Options, Page, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let northern = store.organisations().create("Northern")?;
/// store.organisations().rename(northern.id, "Northern Trust")?;
///
/// let found = store.organisations().find(northern.id)?;
/// assert_eq!(found.map(|found| found.name).as_deref(), Some("Northern Trust"));
/// assert_eq!(store.organisations().list(Page::default())?.len(), 1);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct Organisations<'s> {
    pub(crate) store: &'s Store,
}

impl Organisations<'_> {
    /// Creates an active organisation without branches.
    ///
    /// # Errors
    /// `Invalid` for a name that is blank, longer than 256 bytes or has control characters;
    /// `NoRandom`, `Busy`, `Full`, `Io`.
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

    /// The organisation of that id, if there is one.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find(&self, id: OrganisationId) -> Result<Option<Organisation>> {
        self.store.read(|tx| find(tx, id))
    }

    /// Gives an organisation another name. Ends no session.
    ///
    /// # Errors
    /// `Invalid` for a name that [`create`](Self::create) refuses, `NotFound`; `Busy`, `Full`,
    /// `Io`.
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

    /// Deletes an organisation that has no branch, with its settings and credits.
    ///
    /// # Errors
    /// `NotFound`, `NotEmpty` if a branch belongs to it; `Busy`, `Full`, `Io`.
    pub fn delete(&self, id: OrganisationId) -> Result<()> {
        self.store.write(|tx| {
            let before = existing(tx, id)?;
            if has_branches(tx, id)? {
                return Err(Error::new(Reason::NotEmpty, "the organisation has branches"));
            }
            tx.execute("DELETE FROM organisation WHERE id = ?1", params![id])?;
            let event =
                Event::new(EventKind::OrganisationDeleted).organisation(id).detail(before.name);
            Ok(Written::With((), event))
        })
    }

    /// A page of all organisations, oldest first.
    ///
    /// # Errors
    /// `Invalid` for a page limit that is not 1 to 500; `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, page: Page<OrganisationId>) -> Result<Vec<Organisation>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(OrganisationId::from_bytes([0; 16]));
        self.store.read(|tx| {
            tx.all(
                "SELECT id, name, active, created_at FROM organisation
                 WHERE id > ?1 ORDER BY id LIMIT ?2",
                params![after, limit],
                organisation,
            )
        })
    }
}

/// The organisation of that id, if there is one.
pub(crate) fn find(tx: &ReadTx<'_>, id: OrganisationId) -> Result<Option<Organisation>> {
    tx.one(
        "SELECT id, name, active, created_at FROM organisation WHERE id = ?1",
        params![id],
        organisation,
    )
}

/// The organisation that a request names.
pub(crate) fn existing(tx: &ReadTx<'_>, id: OrganisationId) -> Result<Organisation> {
    find(tx, id)?.ok_or_else(|| Error::not_found("there is no organisation of this id"))
}

/// Makes an organisation active or inactive, which must be a change.
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

/// Raises the watermarks of an organisation; `false` if there is none of that id.
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
        created_at: row.get::<_, Timestamp>(3)?.to_datetime(),
    })
}

fn checked_name(name: &str) -> Result<String> {
    required_text(
        name,
        "the organisation's name is blank, longer than 256 bytes or has control characters",
        DISPLAY_NAME_MAX_BYTES,
    )
}
