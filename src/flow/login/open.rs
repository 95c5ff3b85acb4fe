//! Opening a session: the device, the limit, the lifetime.

use crate::error::Result;
use crate::flow::login::reply::OpenedSession;
use crate::flow::login::request::check_end;
use crate::flow::revoke::make_way;
use crate::options::Options;
use crate::record::session::{self, NewSession, Standing};
use crate::record::{audit, device};
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::{ClientInfo, Event, EventKind};
use crate::value::id::{SessionId, UserId};
use crate::value::name::DeviceId;
use crate::value::policy::SessionLimit;
use crate::value::principal::{Assurance, Credential};
use crate::value::refusal::LoginRefusal;
use crate::value::time::{Deadline, Timestamp};
use crate::value::token::{self, TokenKind};

/// The session to open: for whom and how.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'o> {
    pub(crate) user: UserId,
    pub(crate) device: Option<&'o DeviceId>,
    pub(crate) end: Option<Deadline>,
    pub(crate) label: Option<&'o str>,
    pub(crate) client_info: Option<&'o ClientInfo>,
    pub(crate) assurance: Assurance,
    /// Whether the same transaction revokes all other sessions of the user: then no limit applies.
    pub(crate) revokes_others: bool,
}

/// The sessions that must be deleted for a new one.
pub(crate) struct Room {
    making_way: Vec<Displaced>,
}

/// A session that makes way for another.
pub(crate) struct Displaced {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    /// Why a live session ends; `None` for one that had ended or was out of use.
    pub(crate) reason: Option<&'static str>,
}

/// Decides in this snapshot whether the policy allows the session. Changes nothing.
pub(crate) fn room(
    tx: &ReadTx<'_>,
    options: &Options,
    opening: &Opening<'_>,
) -> Result<std::result::Result<Room, LoginRefusal>> {
    let policy = &options.sessions;
    let replaced = match opening.device.map(DeviceDigest::of) {
        Some(device) => session::on_device(tx, &device)?,
        None => None,
    };
    if replaced.is_some_and(|other| other.live && other.user != opening.user)
        && !policy.device_takeover
    {
        return Ok(Err(LoginRefusal::DeviceInUse));
    }
    let on_device = replaced.map(|other| {
        let reason = if other.user == opening.user { "same_device" } else { "device_takeover" };
        let reason = other.live.then_some(reason);
        Displaced { session: other.id, user: other.user, reason }
    });
    if opening.revokes_others {
        return Ok(Ok(Room { making_way: on_device.into_iter().collect() }));
    }
    let counted = session::counted(tx, opening.user, replaced.map(|other| other.id))?;
    let (live, idle): (Vec<_>, Vec<_>) = counted.into_iter().partition(|session| session.live);
    let allowed = usize::try_from(policy.per_user).unwrap_or(usize::MAX);
    let surplus = (live.len() + 1).saturating_sub(allowed);
    if surplus > 0 && policy.at_limit == SessionLimit::Refuse {
        return Ok(Err(LoginRefusal::TooManySessions));
    }
    // A process that has not written its uses yet may bring an idle one back: it makes way first.
    let idle_surplus = (live.len() + idle.len() + 1).saturating_sub(allowed);
    let displaced =
        |reason| move |other: Standing| Displaced { session: other.id, user: other.user, reason };
    let idle = idle.into_iter().take(idle_surplus).map(displaced(None));
    let evicted = live.into_iter().take(surplus).map(displaced(Some("session_limit")));
    Ok(Ok(Room { making_way: on_device.into_iter().chain(idle).chain(evicted).collect() }))
}

/// Opens a session after deleting those of `room`, which the same transaction has found.
pub(crate) fn open(
    tx: &WriteTx<'_>,
    options: &Options,
    opening: &Opening<'_>,
    room: Room,
) -> Result<OpenedSession> {
    // Again: hashing takes its time.
    check_end(opening.end, tx.now())?;
    let id = session::draw_id(tx)?;
    for displaced in room.making_way {
        displaced.give_way(tx, id)?;
    }
    let (expires_at, clamped) = expiry(options, opening.end, tx.now());
    let (token, secret_hash) = token::mint(TokenKind::Session, *id.as_bytes(), tx.random())?;
    session::insert(
        tx,
        &NewSession {
            id,
            secret_hash,
            device: opening.device.map(DeviceDigest::of),
            user: opening.user,
            expires_at,
            idle_ms: options
                .sessions
                .inactivity_timeout
                .and_then(|idle| i64::try_from(idle.as_millis()).ok()),
            assurance: opening.assurance,
            label: opening.label,
            client_info: opening.client_info,
            actor: None,
        },
    )?;
    Ok(OpenedSession { id, token, expires_at, clamped })
}

impl Displaced {
    /// Deletes the session for the session `by`.
    pub(crate) fn give_way(&self, tx: &WriteTx<'_>, by: SessionId) -> Result<()> {
        make_way(tx, self.session)?;
        self.record(tx, by)
    }

    /// A row of its own, under the user whose session it was: the login may be another user's.
    fn record(&self, tx: &WriteTx<'_>, by: SessionId) -> Result<()> {
        let Some(reason) = self.reason else { return Ok(()) };
        let event = Event::new(EventKind::SessionReplaced)
            .user(self.user)
            .session(self.session)
            .reason(reason)
            .detail(format!("by session {by}"));
        audit::append(tx, &event)
    }
}

/// Writes the waiting uses of the user's sessions, and of the one on the device, so that one in use
/// neither counts as idle nor makes way.
pub(crate) fn write_uses_of(
    tx: &WriteTx<'_>,
    store: &Store,
    user: UserId,
    device: Option<&DeviceId>,
) -> Result<()> {
    for session in session::not_over(tx, user, device.map(DeviceDigest::of))? {
        let used = Credential::Session(session);
        if let Some(at) = store.core().pending.uses.last_use(used, tx.now()) {
            session::write_use(tx, session, at)?;
        }
    }
    Ok(())
}

/// The expiry, and whether it is earlier than the caller asked for.
fn expiry(options: &Options, asked: Option<Deadline>, now: Timestamp) -> (Timestamp, bool) {
    let latest = now + options.sessions.max_lifetime;
    match asked.map(|end| end.of(now)) {
        Some(asked) if asked > latest => (latest, true),
        Some(asked) => (asked, false),
        None => (now + options.sessions.lifetime, false),
    }
}

/// Stores that the user has logged in on this device, and trusts it until then; whether it is the
/// first login there.
pub(super) fn seen_on(
    tx: &WriteTx<'_>,
    user: UserId,
    device: Option<DeviceDigest>,
    trusted_until: Option<Timestamp>,
) -> Result<bool> {
    let Some(device) = device else { return Ok(false) };
    let is_new = device::seen(tx, user, device)?;
    if let Some(until) = trusted_until {
        device::trust(tx, user, device, until)?;
    }
    Ok(is_new)
}
