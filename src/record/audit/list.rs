//! Read the audit log.

use super::{Audit, AuditSource};
use crate::error::Result;
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::storage::{ReadTx, Row, params};
use crate::value::event::{Actor, AuditEntry, ClientInfo, EventKind};
use crate::value::id::{Page, UserId, rows};
use crate::value::limits;
use crate::value::time::Timestamp;

/// Selects the rows of a list; all if nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct AuditFilter {
    user: Option<UserId>,
    actor: Option<UserId>,
    kind: Option<EventKind>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    from_host: Option<bool>,
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

    /// Rows of what this user did, in a session, with an API key or otherwise.
    pub fn actor(self, actor: UserId) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// Rows of this kind.
    pub fn kind(self, kind: EventKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Rows at this moment or later.
    pub fn since(self, since: Timestamp) -> Self {
        Self { since: Some(since), ..self }
    }

    /// Rows before this moment.
    pub fn before(self, before: Timestamp) -> Self {
        Self { before: Some(before), ..self }
    }

    /// Only rows that the host recorded.
    pub fn from_host(self) -> Self {
        Self { from_host: Some(true), ..self }
    }

    /// Only rows that the library recorded.
    pub fn from_library(self) -> Self {
        Self { from_host: Some(false), ..self }
    }
}

macro_rules! columns {
    () => {
        "SELECT seq, source, at, event, outcome, actor, actor_user_id, actor_via_id, user_id,
             branch_id, organisation_id, session_id, api_key_id, ip, user_agent, reason, count,
             detail, chain"
    };
}

pub(super) use columns;

/// The conditions of a filter on a row.
macro_rules! conditions {
    () => {
        "AND (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR event = ?2)
         AND (?3 IS NULL OR actor_user_id = ?3)
         AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR at < ?5)
         AND (?6 IS NULL OR (source = 1) = ?6) AND (?7 IS NULL OR (source = 1) = ?7)"
    };
}

/// How the rows of a filter are found: by the index that leaves the fewest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    All,
    OfUser,
    OfActor,
    OfEvent,
    OfHost,
}

/// A statement of each way, from its parts before and after the table and the condition.
macro_rules! by_way {
    ($way:expr, $before:expr, $after:expr) => {
        by_way!($way, $before, $after, "")
    };
    ($way:expr, $before:expr, $after:expr, $rest:expr) => {
        match $way {
            Way::All => concat!($before, " FROM audit WHERE 1 ", $after, $rest),
            Way::OfUser => concat!(
                $before,
                " FROM audit INDEXED BY audit_by_user WHERE user_id = ?1 ",
                $after,
                $rest
            ),
            Way::OfActor => concat!(
                $before,
                " FROM audit INDEXED BY audit_by_actor WHERE actor_user_id = ?3 ",
                $after,
                $rest
            ),
            Way::OfEvent => concat!(
                $before,
                " FROM audit INDEXED BY audit_by_event WHERE event = ?2 ",
                $after,
                $rest
            ),
            Way::OfHost => concat!(
                $before,
                " FROM audit INDEXED BY audit_by_source WHERE source = 1 ",
                $after,
                $rest
            ),
        }
    };
}

impl<'s> Audit<'s> {
    /// Returns a page of the log, oldest first. The next page begins after the last `seq` of this
    /// one.
    ///
    /// A filter that selects few rows may read many: with a user, all rows of that user; else with
    /// a kind, all of that kind; else the rest of the log. It reads at most 2,000 rows in one
    /// snapshot, so a page is not one snapshot.
    ///
    /// ```
    /// use gatepost::{NewUser, Page};
    /// use gatepost::audit::AuditFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let log = store.audit().list(&AuditFilter::new().user(ada), Page::first(10))?;
    /// assert_eq!(log[0].event, "user.created");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(&self, filter: &AuditFilter, page: Page<i64>) -> Result<Vec<AuditEntry>> {
        let (limit, after) = (page.limit()?, page.after_id().unwrap_or(0));
        let end = |tx: &ReadTx<'_>, after| filter.piece_of_page(tx, after, true);
        page_in_pieces(self.store, after, limit, end, |tx, after, end, left| {
            filter.rows(tx, after, end.unwrap_or(i64::MAX), left, true)
        })
    }

    /// Returns the newest `most` rows that the filter selects, 1 to 500, newest first. Reads
    /// from the end of the log, as [`list`](Self::list) does from its beginning.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::audit::AuditFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// store.users().rename(ada.id, "augusta")?;
    ///
    /// let newest = store.audit().latest(1, &AuditFilter::new().user(ada.id))?;
    /// assert_eq!(newest[0].event, "user.renamed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if `most` is not 1 to 500.
    pub fn latest(&self, most: u32, filter: &AuditFilter) -> Result<Vec<AuditEntry>> {
        let limit = Page::<i64>::first(most).limit()?;
        let end = |tx: &ReadTx<'_>, before| filter.piece_of_page(tx, before, false);
        page_in_pieces(self.store, i64::MAX, limit, end, |tx, before, end, left| {
            filter.rows(tx, end.unwrap_or(i64::MIN), before, left, false)
        })
    }

    /// Iterates over all rows that the filter selects, oldest first, reading as
    /// [`Users::iter`](crate::directory::Users::iter) does.
    ///
    /// ```
    /// use gatepost::audit::AuditFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.branches().create("York", None)?;
    /// let events = store.audit().iter(&AuditFilter::new()).map(|row| Ok(row?.event));
    /// let events = events.collect::<Result<Vec<_>, gatepost::Error>>()?;
    /// assert_eq!(events, ["store.created", "branch.created"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(
        &self,
        filter: &AuditFilter,
    ) -> impl Iterator<Item = Result<AuditEntry>> + use<'s> {
        let (audit, filter) = (Audit { store: self.store }, filter.clone());
        let list = move |after: Option<&i64>| audit.list(&filter, Page::longest(after.copied()));
        rows(list, |entry| entry.seq)
    }

    /// Returns how many rows the filter selects. Reads as many rows as [`list`](Self::list), in the
    /// same pieces.
    ///
    /// ```
    /// use gatepost::audit::{AuditFilter, EventKind};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let created = AuditFilter::new().kind(EventKind::BranchCreated);
    /// store.branches().create("York", None)?;
    /// assert_eq!(store.audit().count(&created)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn count(&self, filter: &AuditFilter) -> Result<u64> {
        let end = |tx: &ReadTx<'_>, after| filter.piece_end(tx, after, true);
        count_in_pieces(self.store, 0, end, |tx, after, end| {
            filter.count(tx, after, end.unwrap_or(i64::MAX))
        })
    }
}

impl AuditFilter {
    fn way(&self) -> Way {
        match (self.user, self.kind_and_origin()) {
            (Some(_), _) => Way::OfUser,
            _ if self.actor.is_some() => Way::OfActor,
            (None, (Some(_), _)) => Way::OfEvent,
            (None, (None, Some(true))) => Way::OfHost,
            _ if self.from_host == Some(true) => Way::OfHost,
            _ => Way::All,
        }
    }

    /// As [`piece_end`](Self::piece_end), for a page. Where every row is selected no more are read
    /// than returned.
    fn piece_of_page(&self, tx: &ReadTx<'_>, from: i64, ascending: bool) -> Result<Option<i64>> {
        if *self == Self::default() { Ok(None) } else { self.piece_end(tx, from, ascending) }
    }

    /// The last row of the piece that begins beside the row `from`, in this direction; `None` if
    /// the rest is shorter than a piece.
    fn piece_end(&self, tx: &ReadTx<'_>, from: i64, ascending: bool) -> Result<Option<i64>> {
        let way = self.way();
        let sql = if ascending {
            by_way!(
                way,
                "SELECT seq",
                "AND seq > ?4 AND ?1 IS ?1 AND ?2 IS ?2 AND ?3 IS ?3
                 ORDER BY seq LIMIT 1 OFFSET ?5"
            )
        } else {
            by_way!(
                way,
                "SELECT seq",
                "AND seq < ?4 AND ?1 IS ?1 AND ?2 IS ?2 AND ?3 IS ?3
                 ORDER BY seq DESC LIMIT 1 OFFSET ?5"
            )
        };
        let (kind, _) = self.kind_and_origin();
        let skipped = limits::LIST_PIECE_ROWS - 1;
        tx.one(sql, params![self.user, kind, self.actor, from, skipped], |row| row.get(0))
    }

    /// The rows of a piece that are selected: those after `from` up to `to`, or, descending, those
    /// before `to` down to `from`.
    fn rows(
        &self,
        tx: &ReadTx<'_>,
        from: i64,
        to: i64,
        limit: i64,
        ascending: bool,
    ) -> Result<Vec<AuditEntry>> {
        let way = self.way();
        let sql = if ascending {
            by_way!(
                way,
                columns!(),
                conditions!(),
                " AND seq > ?8 AND seq <= ?9 ORDER BY seq LIMIT ?10"
            )
        } else {
            by_way!(
                way,
                columns!(),
                conditions!(),
                " AND seq >= ?8 AND seq < ?9 ORDER BY seq DESC LIMIT ?10"
            )
        };
        let (kind, origin) = self.kind_and_origin();
        tx.all(
            sql,
            params![
                self.user,
                kind,
                self.actor,
                self.since,
                self.before,
                self.from_host,
                origin,
                from,
                to,
                limit
            ],
            entry,
        )
    }

    fn count(&self, tx: &ReadTx<'_>, after: i64, to: i64) -> Result<u64> {
        let sql =
            by_way!(self.way(), "SELECT count(*)", conditions!(), " AND seq > ?8 AND seq <= ?9");
        let (kind, origin) = self.kind_and_origin();
        tx.count(
            sql,
            params![
                self.user,
                kind,
                self.actor,
                self.since,
                self.before,
                self.from_host,
                origin,
                after,
                to
            ],
        )
    }

    /// The name of the kind, and whether the host records it: a host may give its own event the
    /// name of one of the library's.
    fn kind_and_origin(&self) -> (Option<&'static str>, Option<bool>) {
        match self.kind {
            None => (None, None),
            Some(EventKind::HostRecorded) => (None, Some(true)),
            Some(kind) => (Some(kind.name()), Some(false)),
        }
    }
}

/// The rows after `after`, of every source, in order.
pub(super) fn rows_after(tx: &ReadTx<'_>, after: i64, limit: i64) -> Result<Vec<AuditEntry>> {
    AuditFilter::new().rows(tx, after, i64::MAX, limit, true)
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let seq: i64 = row.get(0)?;
    Ok(AuditEntry {
        seq,
        id: entry_id(seq, row.get_ref(18)?.as_bytes().unwrap_or_default()),
        from_host: row.get::<_, i64>(1)? == AuditSource::Host.number(),
        at: row.get(2)?,
        event: row.get(3)?,
        outcome: row.get(4)?,
        actor: actor(row)?,
        user: row.get(8)?,
        branch: row.get(9)?,
        organisation: row.get(10)?,
        session: row.get(11)?,
        api_key: row.get(12)?,
        client_info: ClientInfo::from_columns(row.get(13)?, row.get(14)?),
        reason: row.get(15)?,
        count: row.get(16)?,
        detail: row.get(17)?,
    })
}

/// The number of a row and the first 16 hexadecimal digits of its hash, which may be of another
/// length in a damaged file.
pub(super) fn entry_id(seq: i64, chain: &[u8]) -> String {
    format!("{seq}-{}", data_encoding::HEXLOWER.encode(chain.get(..8).unwrap_or(chain)))
}

/// A row that names an actor without an id, which the library never writes, counts as the host's.
fn actor(row: &Row<'_>) -> rusqlite::Result<Actor> {
    let kind: String = row.get(5)?;
    let user: Option<UserId> = row.get(6)?;
    Ok(match (kind.as_str(), user) {
        ("user", Some(user)) => Actor::User(user),
        ("session", Some(user)) => Actor::Session { user, session: row.get(7)? },
        ("api_key", Some(user)) => Actor::ApiKey { user, key: row.get(7)? },
        ("impersonation", Some(administrator)) => {
            Actor::Impersonation { administrator, session: row.get(7)? }
        }
        _ => Actor::Host,
    })
}
