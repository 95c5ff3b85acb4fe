//! What the file says of a presented token: the two statements of verify, and the shape they fill.
//!
//! Both join everything that can end a session or suspend a key. Whoever adds a column to one of
//! them adds it to the triggers of its table (`schema.sql`, "Changes that a verify must see").

use crate::storage::{Row, params};
use crate::value::digest::{DeviceDigest, Digest};
use crate::value::facts::{Assurance, UserKind};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::time::Timestamp;

/// Whether the branch and the organisation of user `u` let it work: a parent that is named but
/// missing does not.
macro_rules! standing {
    () => {
        "u.status = 'active' AND u.deleted_at IS NULL
         AND (u.branch_id IS NULL OR b.active = 1)
         AND (b.organisation_id IS NULL OR o.active = 1)"
    };
}

/// Whether session `s` was opened after everything that would have ended it.
macro_rules! current {
    () => {
        "s.opened_seq >= u.sessions_ended_seq
         AND s.opened_seq >= coalesce(b.sessions_ended_seq, 0)
         AND s.opened_seq >= coalesce(o.sessions_ended_seq, 0)
         AND s.opened_seq >= st.sessions_ended_seq"
    };
}

/// Whether API key `k` was issued after everything that would have ended it.
macro_rules! key_current {
    () => {
        "k.issued_seq >= u.keys_ended_seq AND k.issued_seq >= st.keys_ended_seq"
    };
}

/// A session with all that it depends on.
macro_rules! session_joined {
    () => {
        "session AS s
         JOIN user AS u ON u.id = s.user_id
         JOIN store AS st ON st.id = 1
         LEFT JOIN branch AS b ON b.id = u.branch_id
         LEFT JOIN organisation AS o ON o.id = b.organisation_id"
    };
}

/// Whether session `s` is live at the time `$now`, a parameter of the statement: for statements
/// that count or list. `Store::judge` says the same of one [`Proof`], with the reason and with the
/// uses that this process has not written yet; a test holds the two against each other.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "(",
            $crate::record::proof::current!(),
            ") AND (",
            $crate::record::proof::standing!(),
            ") AND s.expires_at > ",
            $now,
            " AND (s.idle_ms IS NULL OR s.last_seen + s.idle_ms > ",
            $now,
            ") AND s.opened_at <= ",
            $crate::value::limits::clock_skew_max_ms!(),
            " + ",
            $now,
            " AND s.last_seen <= ",
            $crate::value::limits::clock_skew_max_ms!(),
            " + ",
            $now
        )
    };
}

pub(crate) use {current, key_current, live, session_joined, standing};

/// The statement of a verify that presents a session's token; `?1` is the session's id.
pub(crate) const VERIFY_SESSION_SQL: &str = concat!(
    "SELECT s.secret_hash, s.device_hash, s.user_id, u.branch_id, b.organisation_id, u.kind,
         EXISTS (SELECT 1 FROM user_privilege AS p
                 WHERE p.user_id = s.user_id AND p.name = 'admin'),
         ",
    current!(),
    ",
         ",
    standing!(),
    ",
         s.opened_at, s.authenticated_at, s.expires_at, s.aal, s.idle_ms, s.last_seen
     FROM ",
    session_joined!(),
    "
     WHERE s.id = ?1"
);

/// The statement of a verify that presents an API key; `?1` is the key's id.
pub(crate) const VERIFY_API_KEY_SQL: &str = concat!(
    "SELECT k.secret_hash, NULL, k.user_id, u.branch_id, b.organisation_id, u.kind,
         EXISTS (SELECT 1 FROM user_privilege AS p
                 WHERE p.user_id = k.user_id AND p.name = 'admin'),
         ",
    key_current!(),
    ",
         ",
    standing!(),
    ",
         k.issued_at, k.issued_at, k.expires_at, 1, NULL, k.issued_at
     FROM api_key AS k
     JOIN user AS u ON u.id = k.user_id
     JOIN store AS st ON st.id = 1
     LEFT JOIN branch AS b ON b.id = u.branch_id
     LEFT JOIN organisation AS o ON o.id = b.organisation_id
     WHERE k.id = ?1"
);

/// Everything a verify needs to decide, read at one point in time.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) secret_hash: Digest,
    pub(crate) device: Option<DeviceDigest>,
    pub(crate) user: UserId,
    pub(crate) branch: Option<BranchId>,
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) kind: UserKind,
    pub(crate) is_admin: bool,
    /// Not older than anything that would have ended it.
    pub(crate) current: bool,
    /// User, branch and organisation are active.
    pub(crate) standing: bool,
    pub(crate) opened_at: Timestamp,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) assurance: Assurance,
    pub(crate) idle_ms: Option<i64>,
    pub(crate) last_seen: Timestamp,
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Session(SessionId),
    ApiKey(ApiKeyId),
}

impl Holder {
    /// The one statement that fills a [`Proof`] for it.
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Session(_) => VERIFY_SESSION_SQL,
            Self::ApiKey(_) => VERIFY_API_KEY_SQL,
        }
    }

    pub(crate) const fn id(&self) -> &[u8; 16] {
        match self {
            Self::Session(id) => id.as_bytes(),
            Self::ApiKey(id) => id.as_bytes(),
        }
    }
}

impl Proof {
    /// What the open transaction sees of it.
    pub(crate) fn of(
        tx: &crate::storage::ReadTx<'_>,
        holder: Holder,
    ) -> crate::error::Result<Option<Self>> {
        tx.one(holder.sql(), params![holder.id()], Self::from_row)
    }

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            secret_hash: row.get(0)?,
            device: row.get(1)?,
            user: row.get(2)?,
            branch: row.get(3)?,
            organisation: row.get(4)?,
            kind: row.get(5)?,
            is_admin: row.get(6)?,
            current: row.get(7)?,
            // NULL where a parent is named but missing.
            standing: row.get::<_, Option<bool>>(8)?.unwrap_or(false),
            opened_at: row.get(9)?,
            authenticated_at: row.get(10)?,
            expires_at: row.get(11)?,
            assurance: assurance(row.get(12)?),
            idle_ms: row.get(13)?,
            last_seen: row.get(14)?,
        })
    }
}

/// The file holds 1 to 3; anything else claims nothing.
pub(crate) const fn assurance(level: i64) -> Assurance {
    match level {
        3 => Assurance::Aal3,
        2 => Assurance::Aal2,
        _ => Assurance::Aal1,
    }
}
