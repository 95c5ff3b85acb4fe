//! Credits: how many a branch and an organisation have left, where anyone counts them.

use crate::error::{Error, Reason, Result};
use crate::record::audit::Written;
use crate::record::{branch, organisation};
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::{BranchId, OrganisationId};

/// Who has a count of credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holder {
    /// A branch, whatever its organisation has.
    Branch(BranchId),
    /// An organisation, whatever its branches have.
    Organisation(OrganisationId),
}

/// The credits around a user: what the reply to a login carries if either is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credits {
    /// What the branch has left, if that is counted.
    pub branch: Option<u64>,
    /// What the organisation has left, if that is counted.
    pub organisation: Option<u64>,
}

impl Store {
    /// The credits.
    #[must_use]
    pub fn credits(&self) -> CreditBook<'_> {
        CreditBook { store: self }
    }
}

/// The counts of credits of a store.
///
/// A branch and an organisation each have a count of 0 to `i64::MAX`, or none; neither says
/// anything of the other. Spending is atomic over all processes and never goes below zero. No
/// change of credits ends a session.
///
/// ```
/// use gatepost::{Holder, Options, Reason, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let york = Holder::Branch(store.branches().create("York", None)?.id);
/// assert_eq!(store.credits().remaining(york)?, None);
///
/// store.credits().set(york, Some(10))?;
/// assert_eq!(store.credits().spend(york, 7)?, 3);
/// let refused = store.credits().spend(york, 4).unwrap_err();
/// assert_eq!(refused.reason(), Reason::Insufficient);
/// assert_eq!(store.credits().add(york, 1)?, 4);
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct CreditBook<'s> {
    store: &'s Store,
}

impl CreditBook<'_> {
    /// Sets how many are left, or, with `None`, that nothing is counted any more.
    ///
    /// # Errors
    /// `Invalid` above `i64::MAX`, `NotFound` if the holder is not there; `Busy`, `Full`, `Io`.
    pub fn set(&self, holder: Holder, remaining: impl Into<Option<u64>>) -> Result<()> {
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

    /// How many are left; `None` if nothing is counted, or the holder is not there.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn remaining(&self, holder: Holder) -> Result<Option<u64>> {
        let found = self.store.read(|tx| find(tx, holder))?;
        Ok(found.map(|count| count.remaining.unsigned_abs()))
    }

    /// Adds credits; answers how many there are now.
    ///
    /// # Errors
    /// `NotFound` if nothing is counted there ([`set`](Self::set) begins to count: adding would
    /// turn "not limited" into a limit), `Invalid` if there would be more than `i64::MAX`;
    /// `Busy`, `Full`, `Io`. Then nothing was added.
    pub fn add(&self, holder: Holder, credits: u64) -> Result<u64> {
        let more = in_bounds(credits)?;
        self.store.write(|tx| {
            let before = counted(tx, holder)?;
            let after = before.remaining.checked_add(more).ok_or_else(|| {
                Error::invalid("there would be more credits than can be counted")
            })?;
            change(tx, holder, before, after, EventKind::CreditsAdded, more)
        })
    }

    /// Spends credits; answers how many are left.
    ///
    /// # Errors
    /// `Insufficient` if fewer are left, `NotFound` if nothing is counted there; `Busy`, `Full`,
    /// `Io`. Then nothing was spent.
    pub fn spend(&self, holder: Holder, credits: u64) -> Result<u64> {
        self.store.write(|tx| {
            let before = counted(tx, holder)?;
            let spent = i64::try_from(credits).ok().filter(|spent| *spent <= before.remaining);
            let Some(spent) = spent else {
                return Err(Error::new(
                    Reason::Insufficient,
                    "fewer credits are left than are to be spent",
                ));
            };
            change(tx, holder, before, before.remaining - spent, EventKind::CreditsSpent, spent)
        })
    }
}

/// What a branch and its organisation have left; `None` only if neither is counted.
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

/// A row: never below zero, says the file.
#[derive(Debug, Clone, Copy)]
struct Count {
    id: i64,
    remaining: i64,
}

fn find(tx: &ReadTx<'_>, holder: Holder) -> Result<Option<Count>> {
    let (branch, organisation) = sides(holder);
    tx.one(
        "SELECT id, remaining FROM credit WHERE branch_id = ?1
         UNION ALL SELECT id, remaining FROM credit WHERE organisation_id = ?2",
        params![branch, organisation],
        |row| Ok(Count { id: row.get(0)?, remaining: row.get(1)? }),
    )
}

fn counted(tx: &ReadTx<'_>, holder: Holder) -> Result<Count> {
    find(tx, holder)?.ok_or_else(|| Error::not_found("no credits are counted there"))
}

fn change(
    tx: &WriteTx<'_>,
    holder: Holder,
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

fn insert(tx: &WriteTx<'_>, holder: Holder, remaining: i64) -> Result<()> {
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

fn check_holder(tx: &ReadTx<'_>, holder: Holder) -> Result<()> {
    match holder {
        Holder::Branch(id) => branch::existing(tx, id).map(drop),
        Holder::Organisation(id) => organisation::existing(tx, id).map(drop),
    }
}

fn event_of(holder: Holder, kind: EventKind) -> Event {
    let (branch, organisation) = sides(holder);
    Event::new(kind).branch(branch).organisation(organisation)
}

const fn sides(holder: Holder) -> (Option<BranchId>, Option<OrganisationId>) {
    match holder {
        Holder::Branch(id) => (Some(id), None),
        Holder::Organisation(id) => (None, Some(id)),
    }
}

fn in_bounds(credits: u64) -> Result<i64> {
    i64::try_from(credits)
        .map_err(|_| Error::invalid("there are more credits than can be counted"))
}
