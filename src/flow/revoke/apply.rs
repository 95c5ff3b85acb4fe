//! How each target is revoked: the one implementation, used at once and for a revocation that could
//! not be written when it was asked for.
//!
//! Revoking all sessions or keys of a user or a place is one UPDATE that raises a watermark,
//! whatever their number. A single session or key is deleted by its id, and triggers delete the
//! keys that were made from it.

use crate::error::Result;
use crate::record::proof::Proof;
use crate::record::watermarks::Watermarks;
use crate::record::{api_key, branch, device, organisation, session, store, user};
use crate::storage::{ReadTx, WriteTx};
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::principal::Credential;
use crate::value::target::{Revokes, Target};

/// Revokes; `false` if there is no such target.
pub(super) fn apply(tx: &WriteTx<'_>, target: Target, marks: Watermarks) -> Result<bool> {
    match target {
        Target::Session(id) => session::delete(tx, id),
        Target::Device { user, device, .. } => {
            let forgotten = device::forget(tx, user, device)?;
            // A login may have replaced the session that was found before.
            let revoked = match session::of_user_on(tx, user, &device)? {
                Some(session) => session::delete(tx, session)?,
                None => false,
            };
            Ok(forgotten || revoked)
        }
        Target::OtherSessions { user, kept } => {
            // Kept only if it is current: a revoked session must not become valid again.
            let kept_proof = Proof::of(tx, Credential::Session(kept))?;
            let raised = user::raise(tx, user, marks)?;
            if kept_proof.is_some_and(|proof| proof.current) {
                session::keep(tx, kept)?;
            }
            Ok(raised)
        }
        Target::User(id) => user::raise(tx, id, marks),
        Target::Branch(id) => branch::raise(tx, id, marks),
        Target::Organisation(id) => organisation::raise(tx, id, marks),
        Target::Store => store::raise(tx, marks).map(|()| true),
        Target::ApiKey { id, from } => api_key::set_end(tx, id, from),
    }
}

/// The user whose credentials the target is; `None` if it is more than one user's.
pub(super) fn owner(tx: &ReadTx<'_>, target: Target) -> Result<Option<UserId>> {
    match target {
        Target::Session(id) => Ok(Proof::of(tx, Credential::Session(id))?.map(|proof| proof.user)),
        Target::ApiKey { id, .. } => api_key::user_of(tx, id),
        Target::Device { user, .. } | Target::OtherSessions { user, .. } | Target::User(user) => {
            Ok(Some(user))
        }
        Target::Branch(_) | Target::Organisation(_) | Target::Store => Ok(None),
    }
}

/// The audit event of a revocation that was asked for, or written late.
pub(super) fn event(target: Target, revokes: Revokes) -> Event {
    match target {
        Target::User(id) if !revokes.sessions && revokes.keys => {
            Event::new(EventKind::ApiKeysRevoked).user(id)
        }
        Target::User(id) if !revokes.sessions && !revokes.tokens => {
            Event::new(EventKind::DeviceTrustRevoked).user(id)
        }
        Target::User(id) if !revokes.sessions => {
            Event::new(EventKind::OneTimeTokensRevoked).user(id)
        }
        Target::Session(id) => Event::new(EventKind::SessionRevoked).session(id),
        Target::Device { user, device, session } => {
            Event::new(EventKind::DeviceForgotten).user(user).device(device).session(session)
        }
        Target::OtherSessions { user, kept } => {
            Event::new(EventKind::SessionOthersRevoked).user(user).session(kept)
        }
        Target::User(id) => Event::new(EventKind::UserSessionsRevoked).user(id),
        Target::Branch(id) => Event::new(EventKind::BranchSessionsRevoked).branch(id),
        Target::Organisation(id) => {
            Event::new(EventKind::OrganisationSessionsRevoked).organisation(id)
        }
        Target::Store => Event::new(EventKind::StoreSessionsRevoked),
        Target::ApiKey { id, .. } => Event::new(EventKind::ApiKeyRevoked).api_key(id),
    }
}
