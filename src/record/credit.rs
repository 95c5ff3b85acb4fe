//! Credits: how many a branch or an organisation has left, where they are counted.

use crate::error::{Error, ErrorKind, Result};
use crate::record::audit::Written;
use crate::record::{branch, organisation};
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId};

/// The branch or organisation that has a count of credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CreditHolder {
    /// A branch. Its count is independent of its organisation's.
    Branch(BranchId),
    /// An organisation. Its count is independent of its branches'.
    Organisation(OrganisationId),
}

/// The credits of a user's branch and organisation. A login reply carries them if either is
/// counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Credits {
    /// The credits that the branch has left; `None` if they are not counted.
    pub branch: Option<u64>,
    /// The credits that the organisation has left; `None` if they are not counted.
    pub organisation: Option<u64>,
}

impl Store {
    /// Returns the handle of the credits.
    #[must_use]
    pub fn credits(&self) -> CreditBook<'_> {
        CreditBook { store: self }
    }
}

/// The counts of credits of a store.
///
/// A branch and an organisation each have a count of 0 to `i64::MAX`, or none; the two are
/// independent. Spending is atomic over all processes and never goes below zero. No change of
/// credits revokes a session.
///
/// ```
/// use gatepost::directory::CreditHolder;
/// use gatepost::ErrorKind;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let york = CreditHolder::Branch(store.branches().create("York", None)?.id);
/// assert_eq!(store.credits().remaining(york)?, None);
///
/// store.credits().set(york, Some(10))?;
/// assert_eq!(store.credits().spend(york, 7)?, 3);
/// let refused = store.credits().spend(york, 4).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Insufficient);
/// assert_eq!(store.credits().add(york, 1)?, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CreditBook<'s> {
    store: &'s Store,
}

impl CreditBook<'_> {
    /// Sets how many credits are left; `None` stops counting them. Writes nothing if nothing
    /// changes.
    ///
    /// ```
    /// use gatepost::directory::CreditHolder;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = CreditHolder::Branch(store.branches().create("York", None)?.id);
    /// store.credits().set(york, 10)?;
    /// assert_eq!(store.credits().remaining(york)?, Some(10));
    /// store.credits().set(york, None)?;
    /// assert_eq!(store.credits().remaining(york)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) above `i64::MAX`;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such branch or organisation.
    pub fn set(&self, holder: CreditHolder, remaining: impl Into<Option<u64>>) -> Result<()> {
        let remaining = remaining.into().map(in_bounds).transpose()?;
        self.store.write(|tx| {
            check_holder(tx, holder)?;
            let kind = match (find(tx, holder)?, remaining) {
                (None, None) => return Ok(Written::Nothing(())),
                (Some(before), Some(count)) if before.remaining == count => {
                    return Ok(Written::Nothing(()));
                }
                (Some(before), Some(count)) => {
                    update(tx, before.id, count)?;
                    EventKind::CreditsSet
                }
                (None, Some(count)) => {
                    insert(tx, holder, count)?;
                    EventKind::CreditsSet
                }
                (Some(before), None) => {
                    tx.execute("DELETE FROM credit WHERE id = ?1", params![before.id])?;
                    EventKind::CreditsRemoved
                }
            };
            Ok(Written::With((), event_of(holder, kind).count(remaining)))
        })
    }

    /// Returns how many credits are left; `None` if they are not counted, or if there is no such
    /// branch or organisation.
    ///
    /// ```
    /// use gatepost::directory::CreditHolder;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = CreditHolder::Branch(store.branches().create("York", None)?.id);
    /// assert_eq!(store.credits().remaining(york)?, None);
    /// store.credits().set(york, 10)?;
    /// assert_eq!(store.credits().remaining(york)?, Some(10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn remaining(&self, holder: CreditHolder) -> Result<Option<u64>> {
        let found = self.store.read(|tx| find(tx, holder))?;
        Ok(found.map(|count| count.remaining.unsigned_abs()))
    }

    /// Adds credits and returns how many are left then.
    ///
    /// ```
    /// use gatepost::directory::CreditHolder;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = CreditHolder::Branch(store.branches().create("York", None)?.id);
    /// store.credits().set(york, 10)?;
    /// assert_eq!(store.credits().add(york, 5)?, 15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with one of these, after
    /// which nothing was added:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if no credits are counted there: adding would
    ///   turn "not limited" into a limit, so [`set`](Self::set) begins to count;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if `credits` is above `i64::MAX`;
    /// - [`LimitReached`](crate::ErrorKind::LimitReached) if there would be more than `i64::MAX`.
    pub fn add(&self, holder: CreditHolder, credits: u64) -> Result<u64> {
        let more = in_bounds(credits)?;
        self.store.write(|tx| {
            let before = counted(tx, holder)?;
            let after = before.remaining.checked_add(more).ok_or_else(|| {
                Error::limit_reached("there would be more credits than i64::MAX")
                    .advising("Add fewer credits.")
            })?;
            change(tx, holder, before, after, EventKind::CreditsAdded, more)
        })
    }

    /// Spends credits and returns how many are left. Atomic over all processes.
    ///
    /// ```
    /// use gatepost::ErrorKind;
    /// use gatepost::directory::CreditHolder;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let york = CreditHolder::Branch(store.branches().create("York", None)?.id);
    /// store.credits().set(york, 10)?;
    /// assert_eq!(store.credits().spend(york, 7)?, 3);
    /// assert_eq!(store.credits().spend(york, 4).unwrap_err().kind(), ErrorKind::Insufficient);
    /// assert_eq!(store.credits().remaining(york)?, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with one of these, after
    /// which nothing was spent:
    /// - [`Insufficient`](crate::ErrorKind::Insufficient) if fewer are left;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if no credits are counted there.
    pub fn spend(&self, holder: CreditHolder, credits: u64) -> Result<u64> {
        self.store.write(|tx| {
            let before = counted(tx, holder)?;
            let spent = i64::try_from(credits).ok().filter(|spent| *spent <= before.remaining);
            let Some(spent) = spent else {
                return Err(Error::new(
                    ErrorKind::Insufficient,
                    "fewer credits are left than the call would spend",
                ));
            };
            change(tx, holder, before, before.remaining - spent, EventKind::CreditsSpent, spent)
        })
    }
}

/// The credits of a branch and its organisation; `None` if neither is counted.
pub(crate) fn of_place(
    tx: &ReadTx<'_>,
    branch: Option<BranchId>,
    organisation: Option<OrganisationId>,
) -> Result<Option<Credits>> {
    let (branch, organisation) = tx.exactly_one(
        "SELECT (SELECT remaining FROM credit WHERE branch_id = ?1),
             (SELECT remaining FROM credit WHERE organisation_id = ?2)",
        params![branch, organisation],
        |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)),
    )?;
    if branch.is_none() && organisation.is_none() {
        return Ok(None);
    }
    Ok(Some(Credits {
        branch: branch.map(i64::unsigned_abs),
        organisation: organisation.map(i64::unsigned_abs),
    }))
}

/// A row. The schema keeps it from falling below zero.
#[derive(Debug, Clone, Copy)]
struct Count {
    id: i64,
    remaining: i64,
}

fn find(tx: &ReadTx<'_>, holder: CreditHolder) -> Result<Option<Count>> {
    let (branch, organisation) = sides(holder);
    tx.one(
        "SELECT id, remaining FROM credit WHERE branch_id = ?1
         UNION ALL SELECT id, remaining FROM credit WHERE organisation_id = ?2",
        params![branch, organisation],
        |row| Ok(Count { id: row.get(0)?, remaining: row.get(1)? }),
    )
}

fn counted(tx: &ReadTx<'_>, holder: CreditHolder) -> Result<Count> {
    find(tx, holder)?.ok_or_else(|| {
        Error::not_found("no credits are counted for this branch or organisation")
            .advising("Check the id, or begin to count its credits with credits().set.")
    })
}

fn change(
    tx: &WriteTx<'_>,
    holder: CreditHolder,
    before: Count,
    after: i64,
    kind: EventKind,
    by: i64,
) -> Result<Written<u64>> {
    if after == before.remaining {
        return Ok(Written::Nothing(after.unsigned_abs()));
    }
    update(tx, before.id, after)?;
    Ok(Written::With(after.unsigned_abs(), event_of(holder, kind).count(by)))
}

fn insert(tx: &WriteTx<'_>, holder: CreditHolder, remaining: i64) -> Result<()> {
    let (branch, organisation) = sides(holder);
    tx.execute(
        "INSERT INTO credit (branch_id, organisation_id, remaining) VALUES (?1, ?2, ?3)",
        params![branch, organisation, remaining],
    )
    .map(drop)
}

fn update(tx: &WriteTx<'_>, id: i64, remaining: i64) -> Result<()> {
    tx.execute("UPDATE credit SET remaining = ?2 WHERE id = ?1", params![id, remaining]).map(drop)
}

fn check_holder(tx: &ReadTx<'_>, holder: CreditHolder) -> Result<()> {
    match holder {
        CreditHolder::Branch(id) => branch::existing(tx, id).map(drop),
        CreditHolder::Organisation(id) => organisation::existing(tx, id).map(drop),
    }
}

fn event_of(holder: CreditHolder, kind: EventKind) -> Event {
    let (branch, organisation) = sides(holder);
    Event::new(kind).branch(branch).organisation(organisation)
}

/// Inserts the count of a branch or organisation that has just been imported.
///
/// # Errors
/// `Invalid` above `i64::MAX`.
pub(crate) fn import(tx: &WriteTx<'_>, holder: CreditHolder, remaining: u64) -> Result<Event> {
    let remaining = in_bounds(remaining)?;
    insert(tx, holder, remaining)?;
    Ok(event_of(holder, EventKind::CreditsSet).count(remaining))
}

const fn sides(holder: CreditHolder) -> (Option<BranchId>, Option<OrganisationId>) {
    match holder {
        CreditHolder::Branch(id) => (Some(id), None),
        CreditHolder::Organisation(id) => (None, Some(id)),
    }
}

pub(crate) fn in_bounds(credits: u64) -> Result<i64> {
    i64::try_from(credits).map_err(|_| Error::invalid("the credits are more than i64::MAX"))
}
