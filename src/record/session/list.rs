//! List sessions: handles, never tokens.

use std::time::Duration;

use super::Sessions;
use crate::error::Result;
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::record::proof::{assurance, live, session_joined};
use crate::storage::{ReadTx, Row, params};
use crate::value::event::ClientInfo;
use crate::value::id::{Page, SessionId, UserId, rows};
use crate::value::limits;
use crate::value::principal::{Assurance, Credential};
use crate::value::subtree::Subtree;
use crate::value::time::Timestamp;

/// A live session, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public handle. It opens nothing.
    pub id: SessionId,
    /// The user whose session it is.
    pub user: UserId,
    /// Whether it is bound to a device.
    pub has_device: bool,
    /// The label.
    pub label: Option<String>,
    /// Where the login came from, if the host gave it.
    pub client_info: Option<ClientInfo>,
    /// How strongly it was authenticated.
    pub assurance: Assurance,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When the user last proved the password, or the host opened the session.
    pub authenticated_at: Timestamp,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
    /// How long without use until the session expires; `None` if it has no inactivity timeout.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "inactivity_timeout_ms", serialize_with = "crate::value::time::as_millis")
    )]
    pub inactivity_timeout: Option<Duration>,
    /// The last use, in steps: with an inactivity timeout of a tenth of it and at most a minute,
    /// without one of a 24th of the lifetime and at least an hour. Uses of another process count
    /// once they have reached the file.
    pub last_seen_at: Timestamp,
    /// The administrator who opened it to act as the user
    /// ([`Sessions::impersonate`]); `None` for the user's own sessions.
    pub impersonator: Option<UserId>,
}

/// Selects the live sessions of a list; all if nothing is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SessionFilter {
    under: Subtree,
}

impl Default for SessionFilter {
    fn default() -> Self {
        Self { under: Subtree::Store }
    }
}

impl SessionFilter {
    /// Every live session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sessions of a user, or of all users under a branch or an organisation. The last call counts.
    pub fn under(self, subtree: impl Into<Subtree>) -> Self {
        Self { under: subtree.into() }
    }
}

macro_rules! columns {
    () => {
        "SELECT s.id, s.user_id, s.device_hash IS NOT NULL, s.label, s.ip, s.user_agent, s.aal,
             s.opened_at, s.authenticated_at, s.expires_at, s.idle_ms, s.last_seen,
             s.actor_user_id "
    };
}

/// The users of one kind of place, whose id is `?1`: at most a piece of a list and one more.
macro_rules! users_of {
    (organisation) => {
        users_of!(
            "FROM branch AS wb JOIN user AS wu ON wu.branch_id = wb.id
             WHERE wb.organisation_id = ?1"
        )
    };
    (branch) => {
        users_of!("FROM user AS wu WHERE wu.branch_id = ?1")
    };
    (user) => {
        users_of!("FROM user AS wu WHERE wu.id = ?1")
    };
    ($users:literal) => {
        concat!("(SELECT wu.id AS id ", $users, " LIMIT ?2 + 1) AS w")
    };
}

/// Whether a place has at most `?2` users and sessions to examine at the time `?3`: each user
/// counts as one row or as many as it has sessions that have not expired.
macro_rules! few {
    ($place:ident) => {
        concat!(
            "SELECT count(*) <= ?2 FROM (SELECT 1 FROM ",
            users_of!($place),
            " LEFT JOIN session AS s ON s.user_id = w.id AND s.expires_at > ?3
              LIMIT ?2 + 1)"
        )
    };
}

/// The live sessions of a place with few, found by its users; `?3` is the time.
macro_rules! of_users {
    ($place:ident) => {
        concat!(
            "FROM ",
            users_of!($place),
            " CROSS JOIN session AS s ON s.user_id = w.id
             JOIN user AS u ON u.id = s.user_id
             JOIN store AS st ON st.id = 1
             LEFT JOIN branch AS b ON b.id = u.branch_id
             LEFT JOIN organisation AS o ON o.id = b.organisation_id
             WHERE ",
            live!("?3")
        )
    };
}

/// The live sessions of a place in one piece of the table: those after `?3` up to `?4`; `?2` is the
/// time. The unary
/// plus keeps SQLite from beginning with the users of the place.
macro_rules! of_piece {
    ($place:literal) => {
        concat!(
            "FROM ",
            session_joined!(),
            " WHERE ",
            $place,
            " AND ",
            live!("?2"),
            " AND s.id > ?3 AND s.id <= ?4"
        )
    };
}

/// The statements of one kind of subtree. `?1` is the id of the place.
struct Statements {
    /// How the sessions of a place with few are found; `None` for the whole store.
    of_few: Option<OfFew>,
    /// At most `?5` sessions of a piece.
    of_piece: &'static str,
    count_of_piece: &'static str,
}

struct OfFew {
    is_few: &'static str,
    /// At most `?5` sessions after `?4`.
    listed: &'static str,
    counted: &'static str,
}

macro_rules! statements {
    (of $place:ident, $is_there:literal) => {
        statements!(
            Some(OfFew {
                is_few: few!($place),
                listed: concat!(
                    columns!(),
                    of_users!($place),
                    " AND s.id > ?4 ORDER BY s.id LIMIT ?5"
                ),
                counted: concat!("SELECT count(*) ", of_users!($place)),
            }),
            $is_there
        )
    };
    ($of_few:expr, $place:literal) => {
        Statements {
            of_few: $of_few,
            of_piece: concat!(columns!(), of_piece!($place), " ORDER BY s.id LIMIT ?5"),
            count_of_piece: concat!("SELECT count(*) ", of_piece!($place)),
        }
    };
}

const OF_STORE: Statements = statements!(None, "?1 IS NULL");
const OF_ORGANISATION: Statements = statements!(of organisation, "+b.organisation_id = ?1");
const OF_BRANCH: Statements = statements!(of branch, "+u.branch_id = ?1");
const OF_USER: Statements = statements!(of user, "+s.user_id = ?1");

impl SessionFilter {
    fn statements(&self) -> (&'static Statements, Option<[u8; 16]>) {
        match self.under {
            Subtree::Store => (&OF_STORE, None),
            Subtree::Organisation(id) => (&OF_ORGANISATION, Some(*id.as_bytes())),
            Subtree::Branch(id) => (&OF_BRANCH, Some(*id.as_bytes())),
            Subtree::User(id) => (&OF_USER, Some(*id.as_bytes())),
        }
    }
}

impl<'s> Sessions<'s> {
    /// Returns a page of the live sessions that the filter selects, oldest first. Empty if the
    /// user, branch or organisation of the filter does not exist. A call reads at most 2,000
    /// sessions in one snapshot, so a page is not one snapshot.
    ///
    /// ```
    /// use gatepost::Page;
    /// use gatepost::sessions::SessionFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let of_ada = SessionFilter::new().under(ada);
    /// let list = store.sessions().list(&of_ada, Page::first(50))?;
    /// assert_eq!(list[0].id, reply.session.id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(&self, filter: &SessionFilter, page: Page<SessionId>) -> Result<Vec<SessionInfo>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        let (statements, place) = filter.statements();
        let few = self.of_few(statements, place, |tx, of_few, most| {
            let params = params![place, most, tx.now(), after, limit];
            Ok(self.with_waiting_uses(tx.all(of_few.listed, params, info)?, tx.now()))
        })?;
        if let Some(page) = few {
            return Ok(page);
        }
        page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
            let params = params![place, tx.now(), after, end.unwrap_or(LAST), left];
            Ok(self.with_waiting_uses(tx.all(statements.of_piece, params, info)?, tx.now()))
        })
    }

    /// Iterates over all live sessions that the filter selects, oldest first, reading as
    /// [`Users::iter`](crate::directory::Users::iter) does.
    ///
    /// ```
    /// use gatepost::sessions::SessionFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let mut all = store.sessions().iter(&SessionFilter::new());
    /// assert_eq!(all.next().transpose()?.map(|session| session.user), Some(ada));
    /// assert!(all.next().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Self::list). An error is the last item.
    pub fn iter(
        &self,
        filter: &SessionFilter,
    ) -> impl Iterator<Item = Result<SessionInfo>> + use<'s> {
        let (sessions, filter) = (Sessions { store: self.store }, filter.clone());
        let list =
            move |after: Option<&SessionId>| sessions.list(&filter, Page::longest(after.copied()));
        rows(list, |session| session.id)
    }

    /// Returns how many live sessions the filter selects. Reads each session of its users if these
    /// are few, otherwise every session of the store, at most 2,000 of them in one snapshot.
    ///
    /// ```
    /// use gatepost::sessions::SessionFilter;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let of_ada = SessionFilter::new().under(ada);
    /// assert_eq!(store.sessions().count(&of_ada)?, 1);
    /// store.sessions().revoke_all(ada)?;
    /// assert_eq!(store.sessions().count(&of_ada)?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn count(&self, filter: &SessionFilter) -> Result<u64> {
        let (statements, place) = filter.statements();
        let few = self.of_few(statements, place, |tx, of_few, most| {
            tx.count(of_few.counted, params![place, most, tx.now()])
        })?;
        if let Some(count) = few {
            return Ok(count);
        }
        count_in_pieces(self.store, FIRST, piece_end, |tx, after, end| {
            tx.count(
                statements.count_of_piece,
                params![place, tx.now(), after, end.unwrap_or(LAST)],
            )
        })
    }

    /// A page of the live sessions of one user, which never reads those of other users: in one
    /// snapshot, as a user has at most 10,000.
    pub(crate) fn list_of_user(
        &self,
        user: UserId,
        page: Page<SessionId>,
    ) -> Result<Vec<SessionInfo>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        let place = Some(*user.as_bytes());
        let Some(of_user) = &OF_USER.of_few else { return Ok(Vec::new()) };
        self.store.read(|tx| {
            let params = params![place, limits::LIST_PIECE_ROWS, tx.now(), after, limit];
            Ok(self.with_waiting_uses(tx.all(of_user.listed, params, info)?, tx.now()))
        })
    }

    /// Returns a live session by its handle; `None` if it is not live.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let id = reply.session.id;
    /// assert_eq!(store.sessions().find(id)?.map(|session| session.user), Some(ada));
    /// store.sessions().revoke(id)?;
    /// assert_eq!(store.sessions().find(id)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn find(&self, session: SessionId) -> Result<Option<SessionInfo>> {
        self.store.read(|tx| {
            let row = tx.one(
                concat!(
                    columns!(),
                    "FROM ",
                    session_joined!(),
                    " WHERE s.id = ?1 AND ",
                    live!("?2")
                ),
                params![session, tx.now()],
                info,
            )?;
            Ok(self.with_waiting_uses(row, tx.now()))
        })
    }

    /// What `read` returns, which finds the sessions by the users of the place; `None` if the place
    /// has more users or sessions than a piece of a list has rows.
    fn of_few<T>(
        &self,
        statements: &Statements,
        place: Option<[u8; 16]>,
        read: impl FnOnce(&ReadTx<'_>, &OfFew, i64) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(of_few) = &statements.of_few else { return Ok(None) };
        let most = limits::LIST_PIECE_ROWS;
        self.store.read(|tx| {
            let params = params![place, most, tx.now()];
            let is_few = tx.exactly_one(of_few.is_few, params, |row| row.get(0))?;
            if is_few { read(tx, of_few, most).map(Some) } else { Ok(None) }
        })
    }

    /// Rows of the file, with the uses of this process that are not in the file yet.
    fn with_waiting_uses<R>(&self, mut rows: R, now: Timestamp) -> R
    where
        for<'r> &'r mut R: IntoIterator<Item = &'r mut SessionInfo>,
    {
        for row in &mut rows {
            if let Some(at) =
                self.store.core().pending.uses.last_use(Credential::Session(row.id), now)
            {
                row.last_seen_at = row.last_seen_at.max(at);
            }
        }
        rows
    }
}

/// Every session of a user that the file has, live or not, in the order of their ids.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<SessionInfo>> {
    tx.all(
        concat!(columns!(), "FROM session AS s WHERE s.user_id = ?1 ORDER BY s.id"),
        params![user],
        info,
    )
}

/// Every session that a user has opened to act as another one, live or not, oldest first.
pub(crate) fn stored_by(tx: &ReadTx<'_>, administrator: UserId) -> Result<Vec<SessionInfo>> {
    tx.all(
        concat!(columns!(), "FROM session AS s WHERE s.actor_user_id = ?1 ORDER BY s.id"),
        params![administrator],
        info,
    )
}

const FIRST: SessionId = SessionId::from_bytes([0; 16]);
const LAST: SessionId = SessionId::from_bytes([u8::MAX; 16]);

/// The last row of the piece after the row of `after`; `None` if the rest is shorter than a piece.
fn piece_end(tx: &ReadTx<'_>, after: SessionId) -> Result<Option<SessionId>> {
    tx.one(
        "SELECT id FROM session WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
        params![after, limits::LIST_PIECE_ROWS - 1],
        |row| row.get(0),
    )
}

fn info(row: &Row<'_>) -> rusqlite::Result<SessionInfo> {
    let ip: Option<String> = row.get(4)?;
    let agent: Option<String> = row.get(5)?;
    let idle: Option<i64> = row.get(10)?;
    Ok(SessionInfo {
        id: row.get(0)?,
        user: row.get(1)?,
        has_device: row.get(2)?,
        label: row.get(3)?,
        client_info: ClientInfo::from_columns(ip, agent),
        assurance: assurance(row.get(6)?),
        opened_at: row.get(7)?,
        authenticated_at: row.get(8)?,
        expires_at: row.get(9)?,
        inactivity_timeout: idle
            .and_then(|idle| u64::try_from(idle).ok())
            .map(Duration::from_millis),
        last_seen_at: row.get(11)?,
        impersonator: row.get(12)?,
    })
}

#[cfg(test)]
mod tests;
