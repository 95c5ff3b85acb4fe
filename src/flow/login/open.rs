//! Opening a session: the device, the limit, the lifetime.

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::flow::login::reply::OpenedSession;
use crate::flow::revoke::make_way;
use crate::options::Options;
use crate::record::session::{self, NewSession};
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::Origin;
use crate::value::facts::Assurance;
use crate::value::id::{SessionId, UserId};
use crate::value::name::DeviceId;
use crate::value::policy::WhenFull;
use crate::value::refusal::Refusal;
use crate::value::time::Timestamp;
use crate::value::token::{self, TokenKind};

/// For whom and how.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'o> {
    pub(crate) user: UserId,
    pub(crate) device: Option<&'o DeviceId>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) label: Option<&'o str>,
    pub(crate) origin: Option<&'o Origin>,
    pub(crate) assurance: Assurance,
    /// Whether the same transaction ends all other sessions of the user: then there is room.
    pub(crate) ends_others: bool,
}

/// Room for a session: what has to make way for it.
pub(crate) struct Room {
    making_way: Vec<SessionId>,
}

/// Whether the policy allows the session, as this snapshot stands; changes nothing.
pub(crate) fn room(
    tx: &ReadTx<'_>,
    options: &Options,
    opening: &Opening<'_>,
) -> Result<std::result::Result<Room, Refusal>> {
    let policy = &options.sessions;
    let replaced = match opening.device.map(DeviceDigest::of) {
        Some(device) => session::on_device(tx, &device)?,
        None => None,
    };
    if replaced.is_some_and(|other| other.live && other.user != opening.user)
        && !policy.device_takeover
    {
        return Ok(Err(Refusal::DeviceInUse));
    }
    let replaced = replaced.map(|other| other.id);
    if opening.ends_others {
        return Ok(Ok(Room { making_way: replaced.into_iter().collect() }));
    }
    let live = session::live_of(tx, opening.user, replaced)?;
    let allowed = usize::try_from(policy.per_user).unwrap_or(usize::MAX);
    let surplus = (live.len() + 1).saturating_sub(allowed);
    if surplus > 0 && policy.when_full == WhenFull::Refuse {
        return Ok(Err(Refusal::TooManySessions));
    }
    let making_way = replaced.into_iter().chain(live.into_iter().take(surplus)).collect();
    Ok(Ok(Room { making_way }))
}

/// Opens a session in the room that this transaction has found for it.
pub(crate) fn open(
    tx: &WriteTx<'_>,
    options: &Options,
    opening: &Opening<'_>,
    room: Room,
) -> Result<OpenedSession> {
    for replaced in room.making_way {
        make_way(tx, replaced)?;
    }
    let (expires_at, clamped) = end(options, opening.expires_at, tx.now());
    let id = session::draw_id(tx)?;
    let (token, secret_hash) = token::mint(TokenKind::Session, *id.as_bytes(), tx.random())?;
    session::insert(
        tx,
        &NewSession {
            id,
            secret_hash,
            device: opening.device.map(DeviceDigest::of),
            user: opening.user,
            expires_at,
            idle_ms: options.sessions.idle.and_then(|idle| i64::try_from(idle.as_millis()).ok()),
            assurance: opening.assurance,
            label: opening.label,
            origin: opening.origin,
        },
    )?;
    Ok(OpenedSession { id, token, expires_at: expires_at.to_datetime(), clamped })
}

/// Flushes this process's queued uses of the user's sessions, then deletes those that are idle, so
/// that a late flush by another process cannot revive one beside the session opened now.
pub(crate) fn settle_idleness(
    tx: &WriteTx<'_>,
    store: &Store,
    user: UserId,
    device: Option<&DeviceId>,
) -> Result<()> {
    for session in session::with_idle_limit(tx, user, device.map(DeviceDigest::of))? {
        if let Some(at) = store.core().pending.uses.last_use(session) {
            session::touch(tx, session, at)?;
        }
    }
    for session in session::out_of_use(tx, user)? {
        make_way(tx, session)?;
    }
    Ok(())
}

/// When it ends, and whether that is earlier than was asked for.
fn end(options: &Options, asked: Option<DateTime<Utc>>, now: Timestamp) -> (Timestamp, bool) {
    let latest = now.plus(options.sessions.lifetime_max);
    match asked.map(Timestamp::from_datetime) {
        Some(asked) if asked > latest => (latest, true),
        Some(asked) => (asked, false),
        None => (now.plus(options.sessions.lifetime), false),
    }
}
