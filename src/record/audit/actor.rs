//! The actor of a row: in an impersonation the administrator, however the host names the session.

use crate::error::{Error, Result};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::event::{Actor, Event, EventKind, Outcome};
use crate::value::id::{SessionId, UserId};

/// The actor of the row that this transaction writes about `event`.
///
/// # Errors
/// `Invalid` if it is an administrator who acts as a user, and may not do this.
pub(super) fn of(tx: &WriteTx<'_>, event: &Event) -> Result<Actor> {
    let actor = *tx.actor();
    let Actor::Session { session, .. } = actor else { return Ok(actor) };
    let Some(administrator) = impersonator(tx, session)? else { return Ok(actor) };
    if event.outcome == Outcome::Done && event.kind.is_barred_in_impersonation() {
        return Err(Error::invalid(
            "an administrator who acts as a user changes no credential and no privilege, and opens \
             no session: act in the administrator's own session",
        ));
    }
    Ok(Actor::Impersonation { administrator, session })
}

/// The administrator who opened the session to act as its user; `None` if the session is the user's
/// own. The log knows a session that is over by the row of its opening.
fn impersonator(tx: &ReadTx<'_>, session: SessionId) -> Result<Option<UserId>> {
    let stored: Option<Option<UserId>> =
        tx.one("SELECT actor_user_id FROM session WHERE id = ?1", params![session], |row| {
            row.get(0)
        })?;
    if let Some(stored) = stored {
        return Ok(stored);
    }
    tx.one(
        "SELECT actor_user_id FROM audit
         WHERE event = ?1 AND source = 0 AND session_id = ?2 LIMIT 1",
        params![EventKind::SessionImpersonated.name(), session],
        |row| row.get(0),
    )
}
