//! The two statements with which verify reads the file, and the row that they fill.
//!
//! Both join everything that can revoke a session or suspend a key. A column that is added to one
//! of them must be added to the triggers of its table (`schema.sql`, "Changes that a verify must
//! see").

use crate::storage::{Row, params};
use crate::value::digest::{DeviceDigest, Digest};
use crate::value::id::{ApiKeyId, BranchId, OrganisationId, SessionId, UserId};
use crate::value::name::Privilege;
use crate::value::principal::{Assurance, CacheHint, Credential, Principal, UserKind};
use crate::value::target::Lineage;
use crate::value::time::Timestamp;

/// Whether user `u`, its branch and its organisation are active. A parent that is named but missing
/// is not.
macro_rules! active {
    () => {
        "u.status = 'active' AND u.deleted_at IS NULL
         AND (u.branch_id IS NULL OR b.active = 1)
         AND (b.organisation_id IS NULL OR o.active = 1)"
    };
}

/// Whether session `s` was opened after every revocation that would cover it.
macro_rules! current {
    () => {
        "s.opened_seq >= u.sessions_ended_seq
         AND s.opened_seq >= coalesce(b.sessions_ended_seq, 0)
         AND s.opened_seq >= coalesce(o.sessions_ended_seq, 0)
         AND s.opened_seq >= st.sessions_ended_seq"
    };
}

/// The highest of the watermarks that apply to the user `$user`: its sessions below are revoked.
macro_rules! watermark_of {
    ($user:literal) => {
        concat!(
            "(SELECT max(wu.sessions_ended_seq, ws.sessions_ended_seq,
                 coalesce(wb.sessions_ended_seq, 0), coalesce(wo.sessions_ended_seq, 0))
             FROM user AS wu JOIN store AS ws ON ws.id = 1
             LEFT JOIN branch AS wb ON wb.id = wu.branch_id
             LEFT JOIN organisation AS wo ON wo.id = wb.organisation_id
             WHERE wu.id = ",
            $user,
            ")"
        )
    };
}

/// Whether API key `k` was issued after every revocation that would cover it.
macro_rules! key_current {
    () => {
        "k.issued_seq >= u.keys_ended_seq AND k.issued_seq >= st.keys_ended_seq"
    };
}

/// Whether the session that API key `k` was made from, if any, was opened after every revocation
/// that would cover it. It is joined as `s`; a session that is named but missing is not current.
macro_rules! key_session_current {
    () => {
        concat!("(k.session_id IS NULL OR coalesce(", $crate::record::proof::current!(), ", 0))")
    };
}

/// The expiry of API key `k`: at the latest that of the session that it was made from.
macro_rules! key_end {
    () => {
        "coalesce(min(k.expires_at, s.expires_at), k.expires_at, s.expires_at)"
    };
}

/// The time from which session `s` is valid: its opening, or the later renewal or change of the
/// password since which it has its lifetime. One of a clock that was ahead is in the future.
macro_rules! session_begin {
    () => {
        "max(s.opened_at, s.expires_at - s.lifetime_ms)"
    };
}

/// The time from which API key `k` is valid: its beginning, or that of the longest overlap that
/// ends when the key does, if a rotation brought its end forward. The end of an overlap that a
/// wrong clock gave is farther off. Never before the session that it was made from.
macro_rules! key_begin {
    () => {
        concat!(
            "max(k.issued_at, coalesce(
                 CASE WHEN k.lifetime_ms IS NULL OR k.expires_at < k.issued_at + k.lifetime_ms
                 THEN k.expires_at - ",
            $crate::value::limits::api_key_overlap_max_ms!(),
            " END, k.issued_at), coalesce(s.expires_at - s.lifetime_ms, k.issued_at))"
        )
    };
}

/// An API key with all that it depends on.
macro_rules! key_joined {
    () => {
        "api_key AS k
         JOIN user AS u ON u.id = k.user_id
         JOIN store AS st ON st.id = 1
         LEFT JOIN branch AS b ON b.id = u.branch_id
         LEFT JOIN organisation AS o ON o.id = b.organisation_id
         LEFT JOIN session AS s ON s.id = k.session_id"
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

/// The columns of a [`Proof`] of session `s`.
macro_rules! session_columns {
    () => {
        concat!(
            "s.secret_hash, s.device_hash, s.user_id, u.branch_id, b.organisation_id, u.kind,
         (SELECT group_concat(p.name, ' ') FROM user_privilege AS p
          WHERE p.user_id = s.user_id),
         ",
            $crate::record::proof::current!(),
            ",
         ",
            $crate::record::proof::active!(),
            ",
         s.opened_at, s.authenticated_at, s.expires_at, s.aal, s.last_seen, s.lifetime_ms,
         coalesce(s.actor_session_id, s.id), coalesce(a.idle_ms, s.idle_ms),
         coalesce(a.last_seen, s.last_seen), s.actor_session_id IS NOT NULL, st.min_reader, ",
            $crate::record::proof::session_begin!()
        )
    };
}

/// A session with all that it depends on, and as `a` the administrator's session that it was opened
/// from, if it is an impersonation. That session is in the file: the triggers of `schema.sql`
/// delete both together.
macro_rules! session_verified {
    () => {
        concat!(
            $crate::record::proof::session_joined!(),
            "
         LEFT JOIN session AS a ON a.id = s.actor_session_id"
        )
    };
}

/// Whether the administrator's session that session `s` was opened from, if any, is in use at the
/// time `$now`.
macro_rules! actor_in_use {
    ($now:literal) => {
        concat!(
            "(s.actor_session_id IS NULL OR EXISTS (
                 SELECT 1 FROM session AS a WHERE a.id = s.actor_session_id
                     AND (a.idle_ms IS NULL OR (a.last_seen + a.idle_ms > ",
            $now,
            " AND a.last_seen <= ",
            $crate::value::limits::clock_skew_max_ms!(),
            " + ",
            $now,
            "))))"
        )
    };
}

/// Whether session `s` is in use at the time `$now`, a parameter of the statement: neither idle nor
/// from the future. Without an inactivity timeout nothing depends on the last use.
macro_rules! in_use {
    ($now:literal) => {
        concat!(
            "(s.idle_ms IS NULL OR (s.last_seen + s.idle_ms > ",
            $now,
            " AND s.last_seen <= ",
            $crate::value::limits::clock_skew_max_ms!(),
            " + ",
            $now,
            ")) AND ",
            $crate::record::proof::session_begin!(),
            " <= ",
            $crate::value::limits::clock_skew_max_ms!(),
            " + ",
            $now
        )
    };
}

/// Whether session `s` is live at the time `$now`, a parameter of the statement: for statements
/// that count or list. `Store::judge` is the same rule for one [`Proof`], with the reason and with
/// the uses that this process has not written yet; a test compares the two.
macro_rules! live {
    ($now:literal) => {
        concat!(
            "(",
            $crate::record::proof::current!(),
            ") AND (",
            $crate::record::proof::active!(),
            ") AND s.expires_at > ",
            $now,
            " AND ",
            $crate::record::proof::in_use!($now),
            " AND ",
            $crate::record::proof::actor_in_use!($now)
        )
    };
}

pub(crate) use {
    active, actor_in_use, current, in_use, key_current, key_end, key_joined, live, session_begin,
    session_joined, watermark_of,
};

/// The statement of a verify that presents a session's token; `?1` is the session's id.
pub(crate) const VERIFY_SESSION_SQL: &str = concat!(
    "SELECT ",
    session_columns!(),
    "
     FROM ",
    session_verified!(),
    "
     WHERE s.id = ?1"
);

/// The statement of a ticket: the session with what its tickets depend on besides; `?1` is the
/// session's id.
pub(crate) const TICKET_SQL: &str = concat!(
    "SELECT ",
    session_columns!(),
    ",
         max(u.tokens_ended_seq, st.tokens_ended_seq, coalesce(b.tokens_ended_seq, 0),
             coalesce(o.tokens_ended_seq, 0)),
         st.sealing_key, (SELECT seq FROM sqlite_sequence WHERE name = 'change')
     FROM ",
    session_verified!(),
    "
     WHERE s.id = ?1"
);

/// The statement of a verify that presents an API key; `?1` is the key's id. The keys that it was
/// made from are not read: it is deleted with them and expires no later.
pub(crate) const VERIFY_API_KEY_SQL: &str = concat!(
    "SELECT k.secret_hash, NULL, k.user_id, u.branch_id, b.organisation_id, u.kind,
         (SELECT group_concat(p.name, ' ') FROM user_privilege AS p
          WHERE p.user_id = k.user_id
            AND (k.scopes IS NULL OR instr(' ' || k.scopes || ' ', ' ' || p.name || ' ') > 0)),
         ",
    key_current!(),
    " AND ",
    key_session_current!(),
    ",
         ",
    active!(),
    ",
         k.issued_at, k.issued_at, ",
    key_end!(),
    ", 1, k.last_seen, coalesce(k.lifetime_ms, 0), k.session_id, s.idle_ms, s.last_seen, 0,
         st.min_reader, ",
    key_begin!(),
    "
     FROM ",
    key_joined!(),
    "
     WHERE k.id = ?1"
);

/// The statement that reads what an API key was made from; `?1` is the key's id.
pub(crate) const LINEAGE_SQL: &str = "
    SELECT session_id, ancestors, (SELECT min_reader FROM store WHERE id = 1)
    FROM api_key WHERE id = ?1";

/// Everything a verify needs to decide, read at one point in time.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) secret_hash: Digest,
    pub(crate) device: Option<DeviceDigest>,
    pub(crate) user: UserId,
    pub(crate) branch: Option<BranchId>,
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) kind: UserKind,
    /// The names of the user's privileges, without those that the scopes of a key leave out. Spaces
    /// separate them: no name has one.
    pub(crate) privileges: String,
    /// Whether it is newer than every revocation that would cover it.
    pub(crate) current: bool,
    /// Whether user, branch and organisation are active.
    pub(crate) is_active: bool,
    pub(crate) opened_at: Timestamp,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) assurance: Assurance,
    /// The last use that the file has; `None` for a key that was never used.
    pub(crate) last_seen: Option<Timestamp>,
    /// The lifetime at its opening; zero for a key that was issued without one.
    pub(crate) lifetime_ms: i64,
    /// The inactivity timeout of the session, or of the session that a key was made from or that an
    /// impersonation was opened from.
    pub(crate) timeout: Option<Timeout>,
    /// Whether an administrator opened the session as its user.
    pub(crate) is_impersonated: bool,
    /// The time from which it is valid: a later one, by more than the tolerated clock skew, shows
    /// that a clock is wrong.
    pub(crate) valid_from: Timestamp,
}

/// The inactivity timeout of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout {
    pub(crate) session: SessionId,
    pub(crate) idle_ms: i64,
    /// The last use of the session that the file has.
    pub(crate) last_seen: Timestamp,
}

/// The statement that fills a [`Proof`] for this credential; `?1` is its id.
pub(crate) const fn sql(credential: Credential) -> &'static str {
    match credential {
        Credential::Session(_) => VERIFY_SESSION_SQL,
        Credential::ApiKey(_) => VERIFY_API_KEY_SQL,
    }
}

impl Proof {
    /// The column with `min_reader` of the store.
    const MIN_READER: usize = 19;

    /// The row of a session or key in this transaction.
    pub(crate) fn of(
        tx: &crate::storage::ReadTx<'_>,
        credential: Credential,
    ) -> crate::error::Result<Option<Self>> {
        tx.one(sql(credential), params![credential.id()], Self::from_row)
    }

    /// The identity that it proves.
    pub(crate) fn principal(&self, credential: Credential) -> Principal {
        Principal {
            credential,
            user: self.user,
            branch: self.branch,
            organisation: self.organisation,
            kind: self.kind,
            is_admin: self.has_privilege(Privilege::ADMIN),
            assurance: self.assurance,
            opened_at: self.opened_at,
            authenticated_at: self.authenticated_at,
            expires_at: self.expires_at,
            is_impersonated: self.is_impersonated,
            place: CacheHint::NOWHERE,
        }
    }

    /// Whether the user has this privilege, and the scopes of a key include it.
    pub(crate) fn has_privilege(&self, name: &str) -> bool {
        self.privileges.split(' ').any(|own| own == name)
    }

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            secret_hash: row.get(0)?,
            device: row.get(1)?,
            user: row.get(2)?,
            branch: row.get(3)?,
            organisation: row.get(4)?,
            kind: row.get(5)?,
            // NULL where the user has none.
            privileges: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            current: row.get(7)?,
            // NULL where a parent is named but missing.
            is_active: row.get::<_, Option<bool>>(8)?.unwrap_or(false),
            opened_at: row.get(9)?,
            authenticated_at: row.get(10)?,
            expires_at: row.get(11)?,
            assurance: assurance(row.get(12)?),
            last_seen: row.get(13)?,
            lifetime_ms: row.get(14)?,
            timeout: timeout(row)?,
            is_impersonated: row.get(18)?,
            valid_from: row.get(20)?,
        })
    }

    /// With `min_reader` of the store.
    pub(crate) fn with_reader(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        Ok((Self::from_row(row)?, row.get(Self::MIN_READER)?))
    }
}

fn timeout(row: &Row<'_>) -> rusqlite::Result<Option<Timeout>> {
    let (session, idle_ms): (Option<SessionId>, Option<i64>) = (row.get(15)?, row.get(16)?);
    match (session, idle_ms) {
        (Some(session), Some(idle_ms)) => {
            Ok(Some(Timeout { session, idle_ms, last_seen: row.get(17)? }))
        }
        _ => Ok(None),
    }
}

/// The administrator's session that an impersonation was opened from; `None` for every other
/// session.
pub(crate) const ACTOR_SQL: &str = "
    SELECT actor_session_id, (SELECT min_reader FROM store WHERE id = 1)
    FROM session WHERE id = ?1";

/// The principal of the session that the session of an impersonation was opened from, if it is one.
pub(crate) fn actor_session(
    tx: &crate::storage::ReadTx<'_>,
    principal: &Principal,
) -> crate::error::Result<Option<Principal>> {
    let Some(session) = principal.credential.session() else { return Ok(None) };
    let own: Option<Option<SessionId>> = tx.one(ACTOR_SQL, params![session], |row| row.get(0))?;
    let Some(own) = own.flatten().map(Credential::Session) else { return Ok(None) };
    Ok(Proof::of(tx, own)?.map(|proof| proof.principal(own)))
}

/// What this credential was made from; `None` if it is a key that is not in the file.
pub(crate) fn lineage(
    tx: &crate::storage::ReadTx<'_>,
    credential: Credential,
) -> crate::error::Result<Option<Lineage>> {
    match credential {
        Credential::Session(_) => Ok(Some(Lineage::default())),
        Credential::ApiKey(id) => tx.one(LINEAGE_SQL, params![id], lineage_of_row),
    }
}

/// The lineage in the first two columns of a row.
pub(crate) fn lineage_of_row(row: &Row<'_>) -> rusqlite::Result<Lineage> {
    let (session, ancestors): (_, Vec<u8>) = (row.get(0)?, row.get(1)?);
    let (ids, _) = ancestors.as_chunks();
    Ok(Lineage { session, keys: ids.iter().copied().map(ApiKeyId::from_bytes).collect() })
}

/// What a ticket depends on, read at one point in time.
#[derive(Debug)]
pub(crate) struct TicketProof {
    /// Of its session.
    pub(crate) session: Proof,
    /// The highest of the watermarks of one-time tokens and tickets that apply to the user.
    pub(crate) tokens_ended_seq: i64,
    /// The id of the key under which the file seals.
    pub(crate) sealing_key: Option<String>,
    /// The number of the newest change row.
    pub(crate) head: i64,
}

impl TicketProof {
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            session: Proof::from_row(row)?,
            tokens_ended_seq: row.get(21)?,
            sealing_key: row.get(22)?,
            head: row.get(23)?,
        })
    }

    /// With `min_reader` of the store.
    pub(crate) fn with_reader(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        Ok((Self::from_row(row)?, row.get(Proof::MIN_READER)?))
    }
}

/// The level of a number from 1 to 3, as the file stores it; any other number is the lowest level.
pub(crate) const fn assurance(level: i64) -> Assurance {
    match level {
        3 => Assurance::Aal3,
        2 => Assurance::Aal2,
        _ => Assurance::Aal1,
    }
}
