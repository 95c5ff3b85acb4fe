//! Sessions: logins that were opened on a device.
//!
//! A row is touched by its id alone, inserted once and never upserted: nothing that ended comes
//! back by a late write. Whether it is live is the rule in `record/proof.rs`.

mod document;
mod list;

pub use document::SessionDocument;
pub use list::SessionInfo;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::proof::{current, live, session_joined};
use crate::storage::{ReadTx, WriteTx, params};
use crate::store::Store;
use crate::value::digest::{DeviceDigest, Digest};
use crate::value::event::{Event, EventKind, Origin};
use crate::value::facts::Assurance;
use crate::value::id::{SessionId, UserId};
use crate::value::limits::LABEL_MAX_BYTES;
use crate::value::name::text;
use crate::value::time::Timestamp;

/// The sessions of a store.
///
/// ```
/// use gatepost::{DeviceId, NewUser, OpenSession, Options, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// let ada = store.users().create(NewUser::person("ada"))?;
/// let reply = store
///     .sessions()
///     .open(OpenSession::new(ada.id, DeviceId::new("till-1")?).label("Till 1"))?
///     .granted()?;
///
/// let list = store.sessions().list_of(ada.id)?;
/// assert_eq!(list[0].id, reply.session.id);
/// assert_eq!(list[0].label.as_deref(), Some("Till 1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sessions<'s> {
    pub(crate) store: &'s Store,
}

impl Store {
    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { store: self }
    }
}

impl Sessions<'_> {
    /// Gives a live session another label, of at most 128 bytes, or none.
    ///
    /// # Errors
    /// `Invalid` for a label that is too long or has control characters, `NotFound` if the session
    /// is not live; `Busy`, `Full`, `Io`.
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

/// What a session is opened with.
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
    pub(crate) origin: Option<&'n Origin>,
}

/// A session that stands on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) live: bool,
}

/// The id of a session that is about to be opened.
pub(crate) fn draw_id(tx: &WriteTx<'_>) -> Result<SessionId> {
    tx.draw_id(SessionId::draw, "SELECT EXISTS (SELECT 1 FROM session WHERE id = ?1)")
}

/// Inserts it as of now, at the head of the change log.
pub(crate) fn insert(tx: &WriteTx<'_>, new: &NewSession<'_>) -> Result<()> {
    let ip = new.origin.and_then(Origin::address).map(|ip| ip.to_string());
    let agent = new.origin.and_then(Origin::agent);
    tx.execute(
        "INSERT INTO session (id, secret_hash, device_hash, user_id, opened_seq, opened_at,
             authenticated_at, expires_at, idle_ms, aal, last_seen, label, ip, user_agent)
         VALUES (?1, ?2, ?3, ?4, (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?5, ?5,
             ?6, ?7, ?8, ?5, ?9, ?10, ?11)",
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
            agent
        ],
    )
    .map(drop)
}

/// Renews a session that this transaction has just read as live: a new secret, both deadlines
/// restarted, and younger than whatever ends the user's other sessions in this transaction.
pub(crate) fn renew(
    tx: &WriteTx<'_>,
    session: SessionId,
    secret_hash: &Digest,
    expires_at: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE session SET secret_hash = ?2, expires_at = ?3, authenticated_at = ?4,
             last_seen = max(last_seen, ?4),
             opened_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
         WHERE id = ?1",
        params![session, secret_hash, expires_at, tx.now()],
    )?;
    Ok(())
}

/// Makes a session that this transaction has just read as live younger than what ends the others.
pub(crate) fn keep(tx: &WriteTx<'_>, session: SessionId) -> Result<()> {
    tx.execute(
        "UPDATE session SET opened_seq = (SELECT seq FROM sqlite_sequence WHERE name = 'change')
         WHERE id = ?1",
        params![session],
    )?;
    Ok(())
}

/// Deletes one session; answers whether it was there.
pub(crate) fn delete(tx: &WriteTx<'_>, session: SessionId) -> Result<bool> {
    Ok(tx.execute("DELETE FROM session WHERE id = ?1", params![session])? == 1)
}

/// The session that has this device, live or not.
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
        |row| Ok(Standing { id: row.get(0)?, user: row.get(1)?, live: row.get(2)? }),
    )
}

/// The live sessions of a user but one, the one longest unused first.
pub(crate) fn live_of(
    tx: &ReadTx<'_>,
    user: UserId,
    but: Option<SessionId>,
) -> Result<Vec<SessionId>> {
    tx.all(
        concat!(
            "SELECT s.id FROM ",
            session_joined!(),
            " WHERE s.user_id = ?1 AND s.id IS NOT ?3 AND ",
            live!("?2"),
            " ORDER BY s.last_seen, s.id"
        ),
        params![user, tx.now(), but],
        |row| row.get(0),
    )
}

/// The sessions of a user, and the one on a device, that end by idleness and have not ended
/// otherwise.
pub(crate) fn with_idle_limit(
    tx: &ReadTx<'_>,
    user: UserId,
    device: Option<DeviceDigest>,
) -> Result<Vec<SessionId>> {
    tx.all(
        concat!(
            "SELECT s.id FROM ",
            session_joined!(),
            " WHERE (s.user_id = ?1 OR s.device_hash = ?3) AND s.idle_ms IS NOT NULL
               AND s.expires_at > ?2 AND ",
            current!()
        ),
        params![user, tx.now(), device],
        |row| row.get(0),
    )
}

/// The sessions of a user that have not ended and yet are not live: idle, or from the future.
pub(crate) fn out_of_use(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<SessionId>> {
    tx.all(
        concat!(
            "SELECT s.id FROM ",
            session_joined!(),
            " WHERE s.user_id = ?1 AND s.expires_at > ?2 AND ",
            current!(),
            " AND NOT (",
            live!("?2"),
            ")"
        ),
        params![user, tx.now()],
        |row| row.get(0),
    )
}

/// The user of a session that is live, or `NotFound`.
pub(crate) fn require_live(tx: &ReadTx<'_>, session: SessionId) -> Result<UserId> {
    user_of_live(tx, session)?
        .ok_or_else(|| Error::not_found("the session has ended or never was"))
}

/// The user of a session, if it is live.
pub(crate) fn user_of_live(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<UserId>> {
    tx.one(
        concat!("SELECT s.user_id FROM ", session_joined!(), " WHERE s.id = ?1 AND ", live!("?2")),
        params![session, tx.now()],
        |row| row.get(0),
    )
}

/// Writes that a session was used at `at`. Never backwards, never on one that has ended.
///
/// Whether it was idle is not asked of the file, which may not know of the uses in between:
/// whoever noted this one has judged it by them.
pub(crate) fn touch(tx: &WriteTx<'_>, session: SessionId, at: Timestamp) -> Result<()> {
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

/// The latest expiry among the `most` sessions that expired first, if any has by now.
pub(crate) fn expired_to(tx: &ReadTx<'_>, most: i64) -> Result<Option<Timestamp>> {
    tx.exactly_one(
        "SELECT max(expires_at) FROM (
             SELECT expires_at FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![tx.now(), most],
        |row| row.get(0),
    )
}

/// Deletes at most `most` sessions that expired first.
pub(crate) fn sweep(tx: &WriteTx<'_>, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM session WHERE id IN (
             SELECT id FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![tx.now(), most],
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
