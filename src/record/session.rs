//! Sessions: logins that were opened on a device.
//!
//! A row is updated only by its id, inserted once and never upserted: no late write makes a revoked
//! session valid again. `record/proof.rs` has the rule of a live session.

mod data;
mod list;

pub use data::SessionData;
pub(crate) use data::data_of;
pub use list::{SessionFilter, SessionInfo};
pub(crate) use list::{stored_by, stored_of};

use std::time::Duration;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::proof::{current, in_use, live, session_joined, watermark_of};
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::digest::{DeviceDigest, Digest};
use crate::value::event::{ClientInfo, Event, EventKind};
use crate::value::id::{SessionId, UserId};
use crate::value::limits::LABEL_MAX_BYTES;
use crate::value::name::text;
use crate::value::principal::Assurance;
use crate::value::time::Timestamp;

/// The sessions of a store.
///
/// ```
/// use gatepost::sessions::{OpenSession, SessionFilter};
/// use gatepost::{DeviceId, NewUser, Page};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada"))?;
/// let reply = store
///     .sessions()
///     .open(OpenSession::new(ada.id, DeviceId::new("till-1")?).label("Till 1"))?
///     .granted()?;
///
/// let of_ada = SessionFilter::new().under(ada.id);
/// let list = store.sessions().list(&of_ada, Page::default())?;
/// assert_eq!(list[0].id, reply.session.id);
/// assert_eq!(list[0].label.as_deref(), Some("Till 1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sessions<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// Returns the handle of the sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { store: self }
    }
}

impl Sessions<'_> {
    /// Sets the label of a live session, at most 128 bytes, or removes it with `None`.
    ///
    /// The id may be of any user's session. If a caller chooses it, the host first checks that the
    /// session is the caller's, for example that it is `principal.credential.session()`.
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
    /// store.sessions().set_label(id, Some("Till by the door"))?;
    /// let label = store.sessions().find(id)?.and_then(|session| session.label);
    /// assert_eq!(label.as_deref(), Some("Till by the door"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the label is longer than 128 bytes or has
    ///   control characters;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the session is not live.
    pub fn set_label(&self, session: SessionId, label: Option<&str>) -> Result<()> {
        let label = label.map(check_label).transpose()?;
        self.store.write(|tx| {
            let user = require_live(tx, session)?;
            let changed = tx.execute(
                "UPDATE session SET label = ?2 WHERE id = ?1 AND label IS NOT ?2",
                params![session, label],
            )?;
            if changed == 0 {
                return Ok(Written::Nothing(()));
            }
            let event = Event::new(EventKind::SessionLabelled).user(user).session(session);
            Ok(Written::With((), event))
        })
    }
}

/// The columns of a session to be opened.
#[derive(Debug)]
pub(crate) struct NewSession<'n> {
    pub(crate) id: SessionId,
    pub(crate) secret_hash: Digest,
    pub(crate) device: Option<DeviceDigest>,
    pub(crate) user: UserId,
    pub(crate) expires_at: Timestamp,
    pub(crate) idle_ms: Option<i64>,
    pub(crate) assurance: Assurance,
    pub(crate) label: Option<&'n str>,
    pub(crate) client_info: Option<&'n ClientInfo>,
    /// Set for an impersonation.
    pub(crate) actor: Option<ActorSession>,
}

/// An administrator, and the session from which the administrator impersonates a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActorSession {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// A session, and whether it is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) live: bool,
}

/// Draws the id of a session that is about to be opened.
pub(crate) fn draw_id(tx: &WriteTx<'_>) -> Result<SessionId> {
    tx.draw_id(SessionId::draw, "SELECT EXISTS (SELECT 1 FROM session WHERE id = ?1)")
}

/// Inserts a session that opens now, with the head of the change log as its number.
pub(crate) fn insert(tx: &WriteTx<'_>, new: &NewSession<'_>) -> Result<()> {
    let ip = new.client_info.and_then(ClientInfo::address).map(|ip| ip.to_string());
    let agent = new.client_info.and_then(ClientInfo::agent);
    // At least 1 ms: the session may have expired while its login waited for the file.
    let lifetime_ms = (new.expires_at.as_millis().saturating_sub(tx.now().as_millis())).max(1);
    tx.execute(
        "INSERT INTO session (id, secret_hash, device_hash, user_id, opened_seq, opened_at,
             authenticated_at, lifetime_from, expires_at, idle_ms, aal, last_seen, label, ip,
             user_agent, lifetime_ms, actor_user_id, actor_session_id)
         VALUES (?1, ?2, ?3, ?4, (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?5, ?5,
             ?5, ?6, ?7, ?8, ?5, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            new.id,
            new.secret_hash,
            new.device,
            new.user,
            tx.now(),
            new.expires_at,
            new.idle_ms,
            level(new.assurance),
            new.label,
            ip,
            agent,
            lifetime_ms,
            new.actor.map(|actor| actor.user),
            new.actor.map(|actor| actor.session)
        ],
    )
    .map(drop)
}

/// The absolute lifetime of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// How long the session was to last when it was opened.
    pub(crate) span: Duration,
    /// When it began: the login, or a later change of the password.
    pub(crate) from: Timestamp,
}

/// The absolute lifetime of a session; `None` if there is no such row.
pub(crate) fn lifetime(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<Lifetime>> {
    tx.one(
        "SELECT lifetime_ms, lifetime_from FROM session WHERE id = ?1",
        params![session],
        |row| {
            let span = Duration::from_millis(row.get::<_, i64>(0)?.unsigned_abs());
            Ok(Lifetime { span, from: row.get(1)? })
        },
    )
}

/// Moves the expiry of a session to a later moment. This transaction has read the session as live.
pub(crate) fn set_end(tx: &WriteTx<'_>, session: SessionId, expires_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE session SET expires_at = ?2 WHERE id = ?1 AND expires_at < ?2",
        params![session, expires_at],
    )?;
    Ok(())
}

/// Gives a session a new secret and deadline and, if its user was authenticated again, the time of
/// that, at which its lifetime begins. Restarts its inactivity timeout, and makes it newer
/// than the watermark that revokes the user's other sessions in this transaction, which has read
/// the session as live.
pub(crate) fn replace_token(
    tx: &WriteTx<'_>,
    session: SessionId,
    secret_hash: &Digest,
    authenticated: Option<Timestamp>,
    expires_at: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE session SET secret_hash = ?2, expires_at = ?4,
             authenticated_at = coalesce(?3, authenticated_at),
             lifetime_from = coalesce(?3, lifetime_from), last_seen = max(last_seen, ?5),
             opened_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
         WHERE id = ?1",
        params![session, secret_hash, authenticated, expires_at, tx.now()],
    )?;
    Ok(())
}

/// Gives a session a new secret, a level and the present as the time of its authentication. Its
/// absolute lifetime stays. This transaction has read the session as live.
pub(crate) fn prove(
    tx: &WriteTx<'_>,
    session: SessionId,
    secret_hash: &Digest,
    assurance: Assurance,
) -> Result<()> {
    tx.execute(
        "UPDATE session SET secret_hash = ?2, aal = ?3, authenticated_at = ?4,
             last_seen = max(last_seen, ?4)
         WHERE id = ?1",
        params![session, secret_hash, level(assurance), tx.now()],
    )
    .map(drop)
}

/// Lowers a session of AAL2 to AAL1: the authenticator that it was proved with is gone. One of AAL3
/// keeps its level, which the host has proved.
pub(crate) fn lower(tx: &WriteTx<'_>, session: SessionId) -> Result<()> {
    let (from, to) = (level(Assurance::Aal2), level(Assurance::Aal1));
    tx.execute(
        "UPDATE session SET aal = ?3 WHERE id = ?1 AND aal = ?2",
        params![session, from, to],
    )
    .map(drop)
}

/// Makes a session newer than the watermark that revokes the others. This transaction has read the
/// session as live.
pub(crate) fn keep(tx: &WriteTx<'_>, session: SessionId) -> Result<()> {
    tx.execute(
        "UPDATE session SET opened_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
         WHERE id = ?1",
        params![session],
    )?;
    Ok(())
}

/// Deletes one session; `false` if there is no such row.
pub(crate) fn delete(tx: &WriteTx<'_>, session: SessionId) -> Result<bool> {
    Ok(tx.execute("DELETE FROM session WHERE id = ?1", params![session])? == 1)
}

/// Deletes every session of a user who is erased, with the host's data of it. The deletion of the
/// user has revoked them.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.check_revokes()?;
    tx.execute("DELETE FROM session WHERE user_id = ?1", params![user]).map(drop)
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing { id: row.get(0)?, user: row.get(1)?, live: row.get(2)? })
}

/// The session of this device, live or not.
pub(crate) fn on_device(tx: &ReadTx<'_>, device: &DeviceDigest) -> Result<Option<Standing>> {
    tx.one(
        concat!(
            "SELECT s.id, s.user_id, coalesce(",
            live!("?2"),
            ", 0) FROM ",
            session_joined!(),
            " WHERE s.device_hash = ?1"
        ),
        params![device, tx.now()],
        standing,
    )
}

/// The session of the user that is on a device, live or not.
pub(crate) fn of_user_on(
    tx: &ReadTx<'_>,
    user: UserId,
    device: &DeviceDigest,
) -> Result<Option<SessionId>> {
    let found = on_device(tx, device)?;
    Ok(found.filter(|session| session.user == user).map(|session| session.id))
}

/// The sessions that were opened from an administrator's session as another user.
pub(crate) fn impersonations(tx: &ReadTx<'_>, from: SessionId) -> Result<Vec<Standing>> {
    tx.all(
        concat!(
            "SELECT s.id, s.user_id, coalesce(",
            live!("?2"),
            ", 0) FROM ",
            session_joined!(),
            " WHERE s.actor_session_id = ?1"
        ),
        params![from, tx.now()],
        standing,
    )
}

/// The ids of the sessions of the user `?1` that are neither revoked nor expired at `?2`. Found in
/// the index alone: no limit counts the others, and no row of the table is read for them.
macro_rules! not_over_of {
    () => {
        concat!(
            "SELECT r.id FROM session AS r
             WHERE r.user_id = ?1 AND r.expires_at > ?2 AND r.opened_seq >= ",
            watermark_of!("?1")
        )
    };
}

const COUNTED_SQL: &str = concat!(
    "SELECT s.id, s.user_id, ",
    live!("?2"),
    " AS live FROM ",
    session_joined!(),
    " WHERE s.id IN (",
    not_over_of!(),
    ") AND s.id IS NOT ?3 AND s.actor_session_id IS NULL AND (live OR NOT (",
    in_use!("?2"),
    ")) ORDER BY s.last_seen, s.id"
);

/// The sessions of a user that its limit counts, except one, least recently used first: the live
/// ones, and those that are neither revoked nor expired and yet not in use, which are idle or from
/// the future. A suspended session is neither, and an impersonation takes no place of its user.
pub(crate) fn counted(
    tx: &ReadTx<'_>,
    user: UserId,
    except: Option<SessionId>,
) -> Result<Vec<Standing>> {
    tx.all(COUNTED_SQL, params![user, tx.now(), except], standing)
}

const NOT_OVER_SQL: &str = concat!(
    "SELECT coalesce(s.actor_session_id, s.id) FROM ",
    session_joined!(),
    " WHERE s.id IN (",
    not_over_of!(),
    " UNION ALL SELECT r.id FROM session AS r WHERE r.device_hash = ?3)
       AND s.expires_at > ?2 AND ",
    current!()
);

/// The sessions of a user, and the one of a device, that are neither revoked nor expired; for an
/// impersonation the administrator's session, on whose use it depends. They may be idle.
pub(crate) fn not_over(
    tx: &ReadTx<'_>,
    user: UserId,
    device: Option<DeviceDigest>,
) -> Result<Vec<SessionId>> {
    tx.all(NOT_OVER_SQL, params![user, tx.now(), device], |row| row.get(0))
}

/// The user of a session that is live, or `NotFound`.
pub(crate) fn require_live(tx: &ReadTx<'_>, session: SessionId) -> Result<UserId> {
    user_of_live(tx, session)?
        .ok_or_else(|| Error::not_found("there is no live session of this id"))
}

/// The user of a session, if it is live.
pub(crate) fn user_of_live(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<UserId>> {
    tx.one(
        concat!("SELECT s.user_id FROM ", session_joined!(), " WHERE s.id = ?1 AND ", live!("?2")),
        params![session, tx.now()],
        |row| row.get(0),
    )
}

/// Stores that a session was used at `at`. Never moves `last_seen` back, and never writes to a
/// revoked or expired session.
///
/// Does not check the inactivity timeout: the file may lack the uses in between, and the process
/// that saw this one has checked it against them.
pub(crate) fn write_use(tx: &WriteTx<'_>, session: SessionId, at: Timestamp) -> Result<()> {
    tx.execute(
        concat!(
            "UPDATE session SET last_seen = ?2
             WHERE id = ?1 AND last_seen < ?2
               AND EXISTS (SELECT 1 FROM ",
            session_joined!(),
            " WHERE s.id = ?1 AND s.expires_at > ?2 AND ",
            current!(),
            ")"
        ),
        params![session, at],
    )?;
    Ok(())
}

/// The latest expiry among the `most` sessions that expired first; `None` if no session had
/// expired at `at`.
pub(crate) fn expired_to(tx: &ReadTx<'_>, at: Timestamp, most: i64) -> Result<Option<Timestamp>> {
    tx.exactly_one(
        "SELECT max(expires_at) FROM (
             SELECT expires_at FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
        |row| row.get(0),
    )
}

/// Deletes at most `most` sessions that had expired at `at`, the first ones first.
pub(crate) fn sweep(tx: &WriteTx<'_>, at: Timestamp, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM session WHERE id IN (
             SELECT id FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
    )
}

/// Deletes at most `most` sessions of a user that a watermark has revoked and that have not
/// expired: no limit counts them, and a login reads them until they have. So a user has at most as
/// many of them as it had sessions at once. The sweep deletes those that have expired.
pub(crate) fn delete_revoked_of(tx: &WriteTx<'_>, user: UserId, most: i64) -> Result<usize> {
    tx.execute(
        concat!(
            "DELETE FROM session WHERE id IN (
                 SELECT id FROM session WHERE user_id = ?1 AND expires_at > ?3 AND opened_seq < ",
            watermark_of!("?1"),
            " ORDER BY expires_at DESC LIMIT ?2)"
        ),
        params![user, most, tx.now()],
    )
}

pub(crate) fn check_label(label: &str) -> Result<String> {
    text(label, "the label is longer than 128 bytes or has control characters", LABEL_MAX_BYTES)
}

const fn level(assurance: Assurance) -> i64 {
    match assurance {
        Assurance::Aal1 => 1,
        Assurance::Aal2 => 2,
        Assurance::Aal3 => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::options::Options;
    use crate::record::audit::Written;

    /// Every login runs these statements in its write. No limit counts the sessions that have
    /// expired.
    #[test]
    fn a_login_searches_behind_the_sessions_that_have_expired() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let by_index = "COVERING INDEX session_by_user (user_id=? AND expires_at>?)";
        for sql in [COUNTED_SQL, NOT_OVER_SQL] {
            let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
            let parameters = params![UserId::NIL, 0, None::<SessionId>];
            let plan = store.read(|tx| tx.all(explain, parameters, |row| row.get::<_, String>(3)));
            let plan = plan.unwrap();
            let sessions: Vec<&String> =
                plan.iter().filter(|line| line.contains("session_by_user")).collect();
            assert_eq!(sessions.len(), 1, "{plan:?}");
            assert!(sessions[0].contains(by_index), "{plan:?}");
            assert!(!plan.iter().any(|line| line.starts_with("SCAN s")), "{plan:?}");
        }
    }

    /// A full disk would refuse such a write without denying the session from memory.
    #[test]
    fn an_ordinary_write_cannot_revoke_a_session() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let erased = store.write(|tx| erase_of(tx, UserId::NIL).map(Written::Nothing));
        assert_eq!(erased.unwrap_err().kind(), ErrorKind::Misuse);
    }
}
