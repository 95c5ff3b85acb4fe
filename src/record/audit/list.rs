//! Reading the audit log.

use chrono::{DateTime, Utc};

use super::{Audit, Source};
use crate::error::Result;
use crate::storage::{Row, params};
use crate::value::event::{Actor, EventKind, Origin, Outcome};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, Page, SessionId, UserId};
use crate::value::time::Timestamp;

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Its number; both sources share one sequence without gaps.
    pub seq: i64,
    /// Whether the host recorded it, and not the library.
    pub from_host: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened: the name of an [`EventKind`], or the host's own.
    pub event: String,
    /// With what outcome.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Actor,
    /// The user whom it concerned.
    pub user: Option<UserId>,
    /// The branch.
    pub branch: Option<BranchId>,
    /// The organisation.
    pub organisation: Option<OrganisationId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The API key.
    pub api_key: Option<ApiKeyId>,
    /// From where, if the host said.
    pub origin: Option<Origin>,
    /// Why it was refused, or which rule applied.
    pub reason: Option<String>,
    /// How many, where the row counts.
    pub count: Option<i64>,
    /// One line more.
    pub detail: Option<String>,
}

/// Which rows a list shows; all if nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct AuditFilter {
    user: Option<UserId>,
    kind: Option<EventKind>,
    since: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
    source: Option<i64>,
}

impl AuditFilter {
    /// Every row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows that concern this user.
    pub fn user(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Rows of this kind.
    pub fn kind(self, kind: EventKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Rows from this moment on.
    pub fn since(self, since: DateTime<Utc>) -> Self {
        Self { since: Some(since), ..self }
    }

    /// Rows before this moment.
    pub fn before(self, before: DateTime<Utc>) -> Self {
        Self { before: Some(before), ..self }
    }

    /// Only what the host recorded.
    pub fn from_host(self) -> Self {
        Self { source: Some(Source::Host.number()), ..self }
    }

    /// Only what the library recorded.
    pub fn from_library(self) -> Self {
        Self { source: Some(Source::Gatepost.number()), ..self }
    }
}

impl Audit<'_> {
    /// A page of the log, oldest first; the next page begins after the last `seq` of this one.
    /// Reads row by row from there until the page is full: what few rows meet takes as long as
    /// the rest of the log, in one snapshot.
    ///
    /// # Errors
    /// `Invalid` for a page limit that is not 1 to 500; `Busy`, `Io`, `Corrupt`.
    pub fn list(&self, filter: &AuditFilter, page: Page<i64>) -> Result<Vec<AuditEntry>> {
        let limit = page.limit()?;
        // A host may give its own event the name of one of ours.
        let (kind, source_of_kind) = match filter.kind {
            None => (None, None),
            Some(EventKind::HostRecorded) => (None, Some(Source::Host.number())),
            Some(kind) => (Some(kind.name()), Some(Source::Gatepost.number())),
        };
        self.store.read(|tx| {
            tx.all(
                "SELECT seq, source, at, event, outcome, actor, actor_user_id, actor_via_id,
                     user_id, branch_id, organisation_id, session_id, api_key_id, ip, user_agent,
                     reason, count, detail
                 FROM audit
                 WHERE seq > ?1 AND (?2 IS NULL OR user_id = ?2) AND (?3 IS NULL OR event = ?3)
                   AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR at < ?5)
                   AND (?6 IS NULL OR source = ?6) AND (?7 IS NULL OR source = ?7)
                 ORDER BY seq LIMIT ?8",
                params![
                    page.after_id().unwrap_or(0),
                    filter.user,
                    kind,
                    filter.since.map(Timestamp::from_datetime),
                    filter.before.map(Timestamp::from_datetime),
                    filter.source,
                    source_of_kind,
                    limit
                ],
                entry,
            )
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        seq: row.get(0)?,
        from_host: row.get::<_, i64>(1)? == Source::Host.number(),
        at: row.get::<_, Timestamp>(2)?.to_datetime(),
        event: row.get(3)?,
        outcome: row.get(4)?,
        actor: actor(row)?,
        user: row.get(8)?,
        branch: row.get(9)?,
        organisation: row.get(10)?,
        session: row.get(11)?,
        api_key: row.get(12)?,
        origin: Origin::from_columns(row.get(13)?, row.get(14)?),
        reason: row.get(15)?,
        count: row.get(16)?,
        detail: row.get(17)?,
    })
}

/// A row that names an actor without its id, which the library never writes, was the host's doing.
fn actor(row: &Row<'_>) -> rusqlite::Result<Actor> {
    let kind: String = row.get(5)?;
    let user: Option<UserId> = row.get(6)?;
    Ok(match (kind.as_str(), user) {
        ("user", Some(user)) => Actor::User(user),
        ("session", Some(user)) => Actor::Session { user, session: row.get(7)? },
        ("api_key", Some(user)) => Actor::ApiKey { user, key: row.get(7)? },
        _ => Actor::Host,
    })
}
