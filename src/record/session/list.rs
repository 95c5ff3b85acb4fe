//! List sessions: handles, never tokens.

use std::time::Duration;

use super::Sessions;
use crate::error::Result;
use crate::record::pieces::{count_in_pieces, page_in_pieces};
use crate::record::proof::{assurance, highest_watermark, live, session_joined, watermark_of};
use crate::storage::{ReadTx, Row, params};
use crate::value::event::ClientInfo;
use crate::value::id::{Page, SessionId, UserId, rows};
use crate::value::limits;
use crate::value::principal::Assurance;
use crate::value::subtree::Subtree;
use crate::value::time::Timestamp;
#[cfg(feature = "serde")]
use crate::value::time::millis_of;

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
        serde(rename = "inactivity_timeout_ms", serialize_with = "millis")
    )]
    pub inactivity_timeout: Option<Duration>,
    /// The last use, in steps: with an inactivity timeout of a tenth of it and at most a minute,
    /// without one of a 24th of the lifetime and at least an hour. Uses of another process count
    /// once they have reached the file.
    pub last_seen_at: Timestamp,
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
             s.opened_at, s.authenticated_at, s.expires_at, s.idle_ms, s.last_seen "
    };
}

/// The live sessions of one kind of subtree: `?1` is the time and `?2` the subtree's id. The search
/// for the sessions of a user begins behind those that a watermark has revoked.
macro_rules! live_under {
    (store) => {
        concat!("FROM ", session_joined!(), " WHERE ?2 IS NULL AND ", live!("?1"))
    };
    (organisation) => {
        live_under!(
            "FROM branch AS wb JOIN user AS wu ON wu.branch_id = wb.id
             JOIN store AS ws ON ws.id = 1
             LEFT JOIN organisation AS wo ON wo.id = wb.organisation_id
             WHERE wb.organisation_id = ?2"
        )
    };
    (branch) => {
        live_under!(
            "FROM user AS wu JOIN store AS ws ON ws.id = 1
             LEFT JOIN branch AS wb ON wb.id = wu.branch_id
             LEFT JOIN organisation AS wo ON wo.id = wb.organisation_id
             WHERE wu.branch_id = ?2"
        )
    };
    (user) => {
        concat!(
            "FROM ",
            session_joined!(),
            " WHERE s.user_id = ?2 AND s.opened_seq >= ",
            watermark_of!("?2"),
            " AND ",
            live!("?1")
        )
    };
    ($users:literal) => {
        concat!(
            "FROM (SELECT wu.id AS id, ",
            highest_watermark!(),
            " AS watermark ",
            $users,
            ") AS w CROSS JOIN session AS s ON s.user_id = w.id AND s.opened_seq >= w.watermark
             JOIN user AS u ON u.id = s.user_id
             JOIN store AS st ON st.id = 1
             LEFT JOIN branch AS b ON b.id = u.branch_id
             LEFT JOIN organisation AS o ON o.id = b.organisation_id
             WHERE ",
            live!("?1")
        )
    };
}

/// A page of them, after the id `?3`. The unary plus keeps SQLite from scanning all sessions in the
/// order of their ids where an index finds those of the users.
macro_rules! listed {
    (store) => {
        concat!(
            columns!(),
            live_under!(store),
            " AND s.id > ?3 AND s.id <= ?5 ORDER BY s.id LIMIT ?4"
        )
    };
    ($scope:ident) => {
        concat!(columns!(), live_under!($scope), " AND +s.id > ?3 ORDER BY s.id LIMIT ?4")
    };
}

macro_rules! counted {
    (store) => {
        concat!("SELECT count(*) ", live_under!(store), " AND s.id > ?3 AND s.id <= ?4")
    };
    ($scope:ident) => {
        concat!("SELECT count(*) ", live_under!($scope))
    };
}

impl<'s> Sessions<'s> {
    /// Returns a page of the live sessions that the filter selects, oldest first. Empty if the
    /// user, branch or organisation of the filter does not exist.
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
    /// Fails as [every call that uses the file](crate::manual::errors) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the page limit is not 1 to 500.
    pub fn list(&self, filter: &SessionFilter, page: Page<SessionId>) -> Result<Vec<SessionInfo>> {
        let limit = page.limit()?;
        let after = page.after_id().unwrap_or(FIRST);
        if filter.under == Subtree::Store {
            let none = None::<UserId>;
            return page_in_pieces(self.store, after, limit, piece_end, |tx, after, end, left| {
                let rows = tx.all(
                    listed!(store),
                    params![tx.now(), none, after, left, end.unwrap_or(LAST)],
                    info,
                )?;
                Ok(self.with_waiting_uses(rows, tx.now()))
            });
        }
        self.store.read(|tx| {
            let now = tx.now();
            let rows = match filter.under {
                Subtree::Store => Ok(Vec::new()),
                Subtree::Organisation(id) => {
                    tx.all(listed!(organisation), params![now, id, after, limit], info)
                }
                Subtree::Branch(id) => {
                    tx.all(listed!(branch), params![now, id, after, limit], info)
                }
                Subtree::User(id) => tx.all(listed!(user), params![now, id, after, limit], info),
            }?;
            Ok(self.with_waiting_uses(rows, now))
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

    /// Returns how many live sessions the filter selects. Reads each session of its users; without
    /// a filter, every session of the store.
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
    /// Fails as [every call that uses the file](crate::manual::errors) does.
    pub fn count(&self, filter: &SessionFilter) -> Result<u64> {
        if filter.under == Subtree::Store {
            let none = None::<UserId>;
            return count_in_pieces(self.store, FIRST, piece_end, |tx, after, end| {
                tx.count(counted!(store), params![tx.now(), none, after, end.unwrap_or(LAST)])
            });
        }
        self.store.read(|tx| {
            let now = tx.now();
            match filter.under {
                Subtree::Store => Ok(0),
                Subtree::Organisation(id) => tx.count(counted!(organisation), params![now, id]),
                Subtree::Branch(id) => tx.count(counted!(branch), params![now, id]),
                Subtree::User(id) => tx.count(counted!(user), params![now, id]),
            }
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
    /// Fails as [every call that uses the file](crate::manual::errors) does.
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

    /// Rows of the file, with the uses of this process that are not in the file yet.
    fn with_waiting_uses<R>(&self, mut rows: R, now: Timestamp) -> R
    where
        for<'r> &'r mut R: IntoIterator<Item = &'r mut SessionInfo>,
    {
        for row in &mut rows {
            if let Some(at) = self.store.core().pending.uses.last_use(row.id, now) {
                row.last_seen_at = row.last_seen_at.max(at);
            }
        }
        rows
    }
}

#[cfg(feature = "serde")]
fn millis<S: serde::Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&span.map(millis_of), to)
}

/// Every session of a user that the file has, live or not, in the order of their ids.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<SessionInfo>> {
    tx.all(
        concat!(columns!(), "FROM session AS s WHERE s.user_id = ?1 ORDER BY s.id"),
        params![user],
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::store::Store;

    /// How SQLite finds the rows: the lines of the query plan that are about sessions.
    macro_rules! plan {
        ($sql:expr, $($param:expr),+) => {{
            let store = Store::in_memory(Options::for_tests()).unwrap();
            let lines = store.read(|tx| {
                tx.all(concat!("EXPLAIN QUERY PLAN ", $sql), params![$($param),+], |row| {
                    row.get::<_, String>(3)
                })
            });
            let lines = lines.unwrap().into_iter();
            lines.filter(|line| line.split(' ').nth(1) == Some("s")).collect::<Vec<_>>()
        }};
    }

    #[test]
    fn sessions_of_a_user_or_place_are_found_by_an_index() {
        let (now, id, none) = (Timestamp::UNIX_EPOCH, [0_u8; 16], None::<UserId>);
        let by_index = ["SEARCH s USING INDEX session_by_user (user_id=? AND opened_seq>?)"];
        assert_eq!(plan!(listed!(user), now, id, id, 1), by_index);
        assert_eq!(plan!(listed!(branch), now, id, id, 1), by_index);
        assert_eq!(plan!(listed!(organisation), now, id, id, 1), by_index);
        assert_eq!(plan!(counted!(user), now, id), by_index);
        assert_eq!(plan!(counted!(branch), now, id), by_index);
        assert_eq!(plan!(counted!(organisation), now, id), by_index);
        assert_eq!(
            plan!(listed!(store), now, none, id, 1, id),
            ["SEARCH s USING PRIMARY KEY (id>? AND id<?)"]
        );
    }
}
