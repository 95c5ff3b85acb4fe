//! The audit log: who did what, to whom, when, from where, with what outcome.
//!
//! Every write goes through [`Store::write`], whose job returns the one event of the write, so that
//! no event can be forgotten or written twice. Rows are append-only and chained: the hash of each
//! covers the hash of the row before it of the same source. The library's own events, the host's,
//! and those that unauthenticated callers can cause are three sources, each with a chain and a
//! maximum number of rows, so that no source can displace the rows of another.

mod actor;
mod anchor;
mod chain;
mod check;
mod consumer;
mod list;
mod naming;
mod notice;
mod person;
mod seal;
mod source;
mod tally;

pub use anchor::AuditAnchor;
pub use check::{ChainCheck, CheckedChain};
pub use consumer::{AuditConsumer, MissedRows, UnseenRows};
pub use list::AuditFilter;
pub(crate) use naming::{is_trimmed, rows_naming};
pub use notice::Notice;
pub(crate) use person::forget;
pub use source::AuditSource;

use crate::error::{Error, ErrorKind, Result};
use crate::record::{change, clock, options};
use crate::storage::{Finished, Purpose, ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::digest::Digest;
use crate::value::event::{AuditEntry, ClientInfo, Event, HostEvent};
use crate::value::limits;
use crate::value::time::Timestamp;

/// The result of the job of a write.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack of one write")]
pub(crate) enum Written<T> {
    /// The job changed the file: commit, and record this event.
    With(T, Event),
    /// The job found nothing to change: roll back, record nothing.
    Nothing(T),
}

impl<T> Written<T> {
    /// As [`With`](Self::With), for what does not fit into one row: appends the events before the
    /// last one. Without an event, the job found nothing to change.
    pub(crate) fn with_all(tx: &WriteTx<'_>, value: T, events: Vec<Event>) -> Result<Self> {
        let mut last = None;
        for event in events {
            if let Some(before) = last.replace(event) {
                append(tx, &before)?;
            }
        }
        Ok(match last {
            Some(event) => Self::With(value, event),
            None => Self::Nothing(value),
        })
    }
}

impl Store {
    /// The one way to write: one transaction, one event.
    pub(crate) fn write<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<T> {
        self.write_as(Purpose::Ordinary, job)
    }

    /// As [`Store::write`], for a given purpose: revocations have their own.
    pub(crate) fn write_as<T>(
        &self,
        purpose: Purpose,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<T> {
        let written = self.transact_as(purpose, |tx| match job(tx)? {
            Written::With(value, event) => {
                append(tx, &event)?;
                let (most, ahead) = (limits::AUDIT_TRIMMED_PER_APPEND, limits::AUDIT_AHEAD_ROWS);
                trim_over_age(tx, most, ahead)?;
                if purpose == Purpose::Ordinary {
                    change::trim(tx, limits::CHANGES_TRIMMED_PER_WRITE)?;
                }
                Ok(Finished::Commit(value))
            }
            Written::Nothing(value) => Ok(Finished::Nothing(value)),
        });
        if written.is_ok() {
            self.flush_tally_if_due();
        }
        written
    }

    /// Returns the handle of the audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit { store: self }
    }
}

/// The audit log of a store.
///
/// ```
/// use gatepost::audit::{AuditFilter, HostEvent};
/// use gatepost::{NewUser, Page};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?;
/// store.acting_as(ada.id).audit().record(&[HostEvent::new("report.printed")?])?;
///
/// let log = store.audit().list(&AuditFilter::new(), Page::first(10))?;
/// assert_eq!(log[0].event, "store.created");
/// assert_eq!(log[1].event, "user.created");
/// assert_eq!(log[2].event, "report.printed");
/// assert_eq!(log[2].actor.user(), Some(ada.id));
/// assert!(store.audit().verify_chain(None)?.is_intact());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Audit<'s> {
    store: &'s Store,
}

impl Audit<'_> {
    /// Records events of the host's own, 1 to 1,000 in one commit. They have a chain and a maximum
    /// number of rows of their own.
    ///
    /// ```
    /// use gatepost::Page;
    /// use gatepost::audit::{AuditFilter, HostEvent};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let event = HostEvent::new("report.printed")?.detail("monthly")?;
    /// store.audit().record(&[event])?;
    ///
    /// let log = store.audit().list(&AuditFilter::new().from_host(), Page::first(10))?;
    /// assert_eq!(log[0].event, "report.printed");
    /// assert_eq!(log[0].detail.as_deref(), Some("monthly"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) for no event, or more than 1,000.
    pub fn record(&self, events: &[HostEvent]) -> Result<()> {
        if events.is_empty() || events.len() > limits::HOST_EVENTS_PER_CALL {
            return Err(Error::invalid("audit().record takes 1 to 1,000 events in one call"));
        }
        self.store.transact(|tx| {
            for event in events {
                append_to(tx, AuditSource::Host, event.name(), event.event())?;
            }
            // As many as these rows would have trimmed one by one.
            let appended = i64::try_from(events.len()).unwrap_or(i64::MAX);
            let most = appended.saturating_mul(limits::AUDIT_TRIMMED_PER_APPEND);
            trim_over_age(tx, most, limits::AUDIT_AHEAD_ROWS)?;
            Ok(Finished::Commit(()))
        })
    }
}

/// Appends the row of one of the library's events to the chain of its source.
pub(crate) fn append(tx: &WriteTx<'_>, event: &Event) -> Result<()> {
    append_to(tx, AuditSource::of(event.kind), event.kind.name(), event)
}

/// Appends a row to a chain and, if the source then has more rows than the file keeps, trims the
/// oldest.
fn append_to(tx: &WriteTx<'_>, source: AuditSource, name: &str, event: &Event) -> Result<()> {
    let (before, kept): (Digest, i64) = tx.exactly_one(
        "SELECT head_chain, kept_rows FROM audit_chain WHERE source = ?1",
        params![source.number()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let seq = next_seq(tx)?;
    let row = chain::Row::new(tx, source, seq, name, event)?;
    let link = row.link(&before);
    insert(tx, &row, &link)?;
    tx.execute(
        "UPDATE audit_chain SET head_seq = ?2, head_chain = ?3, kept_rows = kept_rows + 1
         WHERE source = ?1",
        params![source.number(), seq, link],
    )?;
    let cap = source.cap(options::of_file(tx)?.audit_max_rows);
    let surplus = (kept + 1).saturating_sub(cap);
    if surplus > 0 {
        trim(tx, source, surplus.min(limits::AUDIT_TRIMMED_PER_APPEND))?;
    }
    tx.appended(|| AuditEntry {
        id: list::entry_id(seq, link.as_bytes()),
        client_info: ClientInfo::from_columns(row.ip, row.user_agent.map(str::to_owned)),
        seq,
        from_host: source == AuditSource::Host,
        at: row.at,
        event: row.event.to_owned(),
        outcome: event.outcome,
        actor: *tx.actor(),
        user: row.user,
        branch: row.branch,
        organisation: row.organisation,
        session: row.session,
        api_key: row.api_key,
        reason: row.reason.map(str::to_owned),
        count: row.count,
        detail: row.detail.map(str::to_owned),
    });
    Ok(())
}

fn insert(tx: &WriteTx<'_>, row: &chain::Row<'_>, link: &Digest) -> Result<()> {
    tx.execute(
        "INSERT INTO audit (seq, source, salt, at, event, outcome, actor, actor_user_id,
             actor_via_id, user_id, branch_id, organisation_id, session_id, api_key_id,
             device_hash, ip, user_agent, reason, count, detail, person_hash, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22)",
        params![
            row.seq,
            row.source,
            row.salt,
            row.at,
            row.event,
            row.outcome,
            row.actor,
            row.actor_user,
            row.actor_via,
            row.user,
            row.branch,
            row.organisation,
            row.session,
            row.api_key,
            row.device,
            row.ip,
            row.user_agent,
            row.reason,
            row.count,
            row.detail,
            row.person_hash,
            link
        ],
    )
    .map_err(|error| match error.kind() {
        // Another program has put a row where the next one belongs.
        ErrorKind::Invalid | ErrorKind::Taken => {
            Error::corrupt("the audit log has a row beyond the end of its chain")
        }
        _ => error,
    })
    .map(drop)
}

/// The number of the next row.
pub(crate) fn next_seq(tx: &ReadTx<'_>) -> Result<i64> {
    tx.exactly_one("SELECT max(head_seq) + 1 FROM audit_chain", [], |row| row.get(0))
}

/// Trims the oldest `rows` rows of a source.
fn trim(tx: &WriteTx<'_>, source: AuditSource, rows: i64) -> Result<usize> {
    let last = tx.one(
        "SELECT seq, chain FROM audit WHERE source = ?1 ORDER BY seq LIMIT 1 OFFSET ?2",
        params![source.number(), rows - 1],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Digest>(1)?)),
    )?;
    match last {
        Some((seq, chain)) => trim_to(tx, source, seq, &chain),
        None => Ok(0),
    }
}

/// Trims at most `most` rows of each source that are over `audit_max_age`, as far as the clock is
/// believed. A row of the future was written while the clock was ahead: it goes with the first row
/// after it that is over age, as the log has the order of the commits. Up to `ahead` such rows are
/// passed over.
pub(crate) fn trim_over_age(tx: &WriteTx<'_>, most: i64, ahead: i64) -> Result<usize> {
    let up_to = clock::deletes_up_to(tx)?;
    // Nearly always none is, and that takes one statement.
    let is_any_over: bool = tx.exactly_one(
        "SELECT EXISTS (SELECT 1 FROM store AS s, audit_chain AS c JOIN audit AS a
             ON a.seq = (SELECT min(seq) FROM audit WHERE source = c.source)
             WHERE a.at <= ?1 - s.audit_max_age_ms OR a.at > ?2)",
        params![up_to, tx.wall()],
        |row| row.get(0),
    )?;
    if !is_any_over {
        return Ok(0);
    }
    let over = up_to - options::of_file(tx)?.audit_max_age;
    let mut rows = 0;
    for source in AuditSource::ALL {
        if let Some((seq, chain)) = last_over_age(tx, source, over, (most, ahead))? {
            rows += trim_to(tx, source, seq, &chain)?;
        }
    }
    Ok(rows)
}

/// The last of the oldest rows of a source that were written up to `over`, before the first one of
/// which that is not known.
fn last_over_age(
    tx: &WriteTx<'_>,
    source: AuditSource,
    over: Timestamp,
    (most, ahead): (i64, i64),
) -> Result<Option<(i64, Digest)>> {
    let (mut last, mut after, mut left) = (None, 0, most);
    let mut passed = 0;
    while left > 0 && passed <= ahead {
        let rows = tx.all(
            "SELECT seq, at, chain FROM audit WHERE source = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            params![source.number(), after, left],
            |row| Ok((row.get(0)?, row.get::<_, Timestamp>(1)?, row.get(2)?)),
        )?;
        if rows.is_empty() {
            break;
        }
        for (seq, at, chain) in rows {
            after = seq;
            if at > tx.wall() {
                passed += 1;
            } else if at <= over {
                left -= 1;
                last = Some((seq, chain));
            } else {
                return Ok(last);
            }
        }
    }
    Ok(last)
}

/// Moves the anchor first: the schema refuses to delete a row above it.
fn trim_to(tx: &WriteTx<'_>, source: AuditSource, seq: i64, chain: &Digest) -> Result<usize> {
    tx.execute(
        "UPDATE audit_chain SET trimmed_seq = ?2, trimmed_chain = ?3,
             kept_rows = kept_rows - (SELECT count(*) FROM audit WHERE source = ?1 AND seq <= ?2)
         WHERE source = ?1",
        params![source.number(), seq, chain],
    )?;
    tx.execute("DELETE FROM audit WHERE source = ?1 AND seq <= ?2", params![source.number(), seq])
}
