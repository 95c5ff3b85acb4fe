//! What a list of sessions shows: handles, never tokens.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Sessions;
use crate::error::Result;
use crate::record::proof::{assurance, live, session_joined};
use crate::storage::{Row, params};
use crate::value::event::Origin;
use crate::value::facts::Assurance;
use crate::value::id::{SessionId, UserId};
use crate::value::time::Timestamp;

/// A live session, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public handle: opens nothing.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Whether it is bound to a device.
    pub has_device: bool,
    /// What the login called it.
    pub label: Option<String>,
    /// Where the login came from, if the host said.
    pub origin: Option<Origin>,
    /// How strongly it was authenticated.
    pub assurance: Assurance,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When its user last proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// The first moment at which it is expired.
    pub expires_at: DateTime<Utc>,
    /// After how long without use it ends.
    pub idle_limit: Option<Duration>,
    /// The last use that reached the file: with an idle limit, at most a tenth of it or a minute
    /// behind; without one, the last login.
    pub last_seen_at: DateTime<Utc>,
}

impl Sessions<'_> {
    /// The live sessions of a user, oldest first; at most as many as the policy allows.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`. A user that does not exist has none.
    pub fn list_of(&self, user: UserId) -> Result<Vec<SessionInfo>> {
        self.store.read(|tx| {
            tx.all(
                concat!(
                    "SELECT s.id, s.user_id, s.device_hash IS NOT NULL, s.label, s.ip,
                         s.user_agent, s.aal, s.opened_at, s.authenticated_at, s.expires_at,
                         s.idle_ms, s.last_seen
                     FROM ",
                    session_joined!(),
                    " WHERE s.user_id = ?1 AND ",
                    live!("?2"),
                    " ORDER BY s.id"
                ),
                params![user, tx.now()],
                info,
            )
        })
    }

    /// A live session by its handle.
    ///
    /// # Errors
    /// `Busy`, `Io`, `Corrupt`.
    pub fn find(&self, session: SessionId) -> Result<Option<SessionInfo>> {
        self.store.read(|tx| {
            tx.one(
                concat!(
                    "SELECT s.id, s.user_id, s.device_hash IS NOT NULL, s.label, s.ip,
                         s.user_agent, s.aal, s.opened_at, s.authenticated_at, s.expires_at,
                         s.idle_ms, s.last_seen
                     FROM ",
                    session_joined!(),
                    " WHERE s.id = ?1 AND ",
                    live!("?2")
                ),
                params![session, tx.now()],
                info,
            )
        })
    }
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
        origin: Origin::from_columns(ip, agent),
        assurance: assurance(row.get(6)?),
        opened_at: row.get::<_, Timestamp>(7)?.to_datetime(),
        authenticated_at: row.get::<_, Timestamp>(8)?.to_datetime(),
        expires_at: row.get::<_, Timestamp>(9)?.to_datetime(),
        idle_limit: idle.and_then(|idle| u64::try_from(idle).ok()).map(Duration::from_millis),
        last_seen_at: row.get::<_, Timestamp>(11)?.to_datetime(),
    })
}
