//! The audit log: who did what, to whom, when, from where, with what outcome.
//!
//! Every write goes through [`Store::write`], whose job answers with the one event that the write
//! leaves, so that none can be forgotten and none be written twice. Rows are append-only and
//! chained: the hash of each covers the one before it of the same source. Gatepost's own events and
//! the host's are two sources with a chain and a cap each, so that neither can push the other out.

mod chain;
mod list;

pub use chain::{Anchor, ChainCheck};
pub use list::{AuditEntry, AuditFilter};

use crate::error::{Error, Reason, Result};
use crate::storage::{Purpose, Settled, WriteTx, params};
use crate::store::Store;
use crate::value::digest::Digest;
use crate::value::event::{Event, HostEvent};
use crate::value::limits;
use crate::value::time::Timestamp;

/// What a write came to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack of one write")]
pub(crate) enum Written<T> {
    /// It changed the file, and this is its event.
    With(T, Event),
    /// There was nothing to change: roll back, record nothing.
    Nothing(T),
}

impl Store {
    /// The door through which everything is written: one transaction, one event.
    pub(crate) fn write<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<T> {
        self.write_as(Purpose::Ordinary, job)
    }

    /// The same for a purpose: the door of revocations has its own.
    pub(crate) fn write_as<T>(
        &self,
        purpose: Purpose,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Written<T>>,
    ) -> Result<T> {
        self.transact_as(purpose, |tx| match job(tx)? {
            Written::With(value, event) => {
                let keep = self.options().audit_kept_rows;
                append(tx, Source::Gatepost, event.kind.name(), &event, keep)?;
                Ok(Settled::Commit(value))
            }
            Written::Nothing(value) => Ok(Settled::Nothing(value)),
        })
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit { store: self }
    }
}

/// The audit log of a store.
///
/// ```
/// use gatepost::{AuditFilter, HostEvent, NewUser, Options, Page, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let ada = store.users().create(NewUser::person("ada"))?;
/// store.acting_as(ada.id).audit().record(&[HostEvent::new("report.printed")?])?;
///
/// let log = store.audit().list(&AuditFilter::new(), Page::first(10))?;
/// assert_eq!(log[0].event, "store.created");
/// assert_eq!(log[1].event, "user.created");
/// assert_eq!(log[2].event, "report.printed");
/// assert_eq!(log[2].actor.user(), Some(ada.id));
/// assert!(store.audit().verify_chain(None)?.is_intact());
/// # Ok::<(), gatepost::Error>(())
/// ```
#[derive(Debug)]
pub struct Audit<'s> {
    store: &'s Store,
}

impl Audit<'_> {
    /// Keeps events of the host's own, 1 to 1,000, in one commit. They have a cap of their own.
    ///
    /// # Errors
    /// `Invalid` for no event or more than 1,000; `Busy`, `Full`, `Io`.
    pub fn record(&self, events: &[HostEvent]) -> Result<()> {
        if events.is_empty() || events.len() > limits::HOST_EVENTS_PER_CALL {
            return Err(Error::invalid("the events to record are not 1 to 1,000"));
        }
        let keep = self.store.options().audit_kept_rows;
        self.store.transact(|tx| {
            for event in events {
                append(tx, Source::Host, event.name(), event.event(), keep)?;
            }
            Ok(Settled::Commit(()))
        })
    }
}

/// Which of the two chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Gatepost,
    Host,
}

impl Source {
    pub(crate) const ALL: [Self; 2] = [Self::Gatepost, Self::Host];

    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Gatepost => 0,
            Self::Host => 1,
        }
    }
}

/// Appends a row to its chain and, if that makes more than `keep`, trims the oldest.
pub(crate) fn append(
    tx: &WriteTx<'_>,
    source: Source,
    name: &str,
    event: &Event,
    keep: u64,
) -> Result<()> {
    let (before, kept): (Digest, i64) = tx.exactly_one(
        "SELECT head_chain, kept_rows FROM audit_chain WHERE source = ?1",
        params![source.number()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let seq: i64 =
        tx.exactly_one("SELECT max(head_seq) + 1 FROM audit_chain", [], |row| row.get(0))?;
    let row = chain::Row::new(tx, source, seq, name, event);
    let link = row.link(&before);
    tx.execute(
        "INSERT INTO audit (seq, source, at, event, outcome, actor, actor_user_id, actor_via_id,
             user_id, branch_id, organisation_id, session_id, api_key_id, device_hash, ip,
             user_agent, reason, count, detail, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20)",
        params![
            row.seq,
            row.source,
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
            link
        ],
    )
    .map_err(|error| match error.reason() {
        // A hand has put a row where the next one belongs.
        Reason::Invalid | Reason::Taken => {
            Error::corrupt("the audit log has a row beyond the end of its chain")
        }
        _ => error,
    })?;
    tx.execute(
        "UPDATE audit_chain SET head_seq = ?2, head_chain = ?3, kept_rows = kept_rows + 1
         WHERE source = ?1",
        params![source.number(), seq, link],
    )?;
    let surplus = (kept + 1).saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX));
    if surplus > 0 {
        trim(tx, source, surplus.min(limits::AUDIT_TRIMMED_PER_APPEND))?;
    }
    Ok(())
}

/// Trims the oldest `rows` rows of a source.
pub(crate) fn trim(tx: &WriteTx<'_>, source: Source, rows: i64) -> Result<usize> {
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

/// Trims at most `most` rows of a source that are older than `before`.
pub(crate) fn trim_older(
    tx: &WriteTx<'_>,
    source: Source,
    before: Timestamp,
    most: i64,
) -> Result<usize> {
    // The oldest come first; a row in between whose clock ran ahead waits for its turn.
    let mut last = None;
    for (seq, at, chain) in tx.all(
        "SELECT seq, at, chain FROM audit WHERE source = ?1 ORDER BY seq LIMIT ?2",
        params![source.number(), most],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Timestamp>(1)?, row.get::<_, Digest>(2)?)),
    )? {
        if at >= before {
            break;
        }
        last = Some((seq, chain));
    }
    match last {
        Some((seq, chain)) => trim_to(tx, source, seq, &chain),
        None => Ok(0),
    }
}

/// The anchor is moved first: the file lets no row go that is above it.
fn trim_to(tx: &WriteTx<'_>, source: Source, seq: i64, chain: &Digest) -> Result<usize> {
    tx.execute(
        "UPDATE audit_chain SET trimmed_seq = ?2, trimmed_chain = ?3,
             kept_rows = kept_rows - (SELECT count(*) FROM audit WHERE source = ?1 AND seq <= ?2)
         WHERE source = ?1",
        params![source.number(), seq, chain],
    )?;
    tx.execute("DELETE FROM audit WHERE source = ?1 AND seq <= ?2", params![source.number(), seq])
}
