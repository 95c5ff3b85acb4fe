//! The session that a call is made in: the token presented, and whether it is still live.

use crate::error::Result;
use crate::flow::verify::Decision;
use crate::record::proof::Proof;
use crate::record::second_factor;
use crate::storage::ReadTx;
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::freshness::is_fresh;
use crate::value::id::SessionId;
use crate::value::limits::STEP_UP_MAX_AGE;
use crate::value::presented::Presented;
use crate::value::principal::{Assurance, Credential, InvalidTokenReason, Principal};
use crate::value::refusal::LoginRefusal;
use crate::value::target::Target;
use crate::value::token::ParsedToken;

/// A session that was live when it was presented.
pub(crate) struct Held {
    pub(crate) session: SessionId,
    pub(crate) principal: Principal,
    pub(crate) device: Option<DeviceDigest>,
    parsed: ParsedToken,
}

impl Held {
    /// The refusal of a call that only the user may make in the session.
    pub(crate) fn refused_if_impersonated(&self) -> Option<LoginRefusal> {
        self.principal.is_impersonated.then_some(LoginRefusal::ImpersonationNotAllowed)
    }

    /// The other sessions of its user.
    pub(crate) fn others(&self) -> Target {
        Target::OtherSessions { user: self.principal.user, kept: self.session }
    }
}

impl Store {
    /// The live session of a token that the caller has decoded, on its device. Counts as a use of
    /// the session; a refusal counts as one of verify.
    pub(crate) fn held(
        &self,
        presented: Presented<'_>,
        parsed: ParsedToken,
        session: SessionId,
    ) -> Result<Option<Held>> {
        match self.live_decoded(presented, parsed)? {
            Ok(live) => {
                self.note_use(&live);
                let device = presented.device().map(DeviceDigest::of);
                Ok(Some(Held { session, principal: live.principal, device, parsed }))
            }
            Err(reason) => {
                self.count_refusal(reason);
                Ok(None)
            }
        }
    }

    /// The handle for what is done in the session of this principal: the rows of an impersonation
    /// name the administrator, whatever actor the host has set.
    pub(crate) fn in_session_of(&self, principal: &Principal) -> Self {
        if principal.is_impersonated { self.acting_as(principal) } else { self.clone() }
    }

    /// Checks the session again in this transaction: it may have been revoked since it was
    /// presented.
    pub(crate) fn held_now(&self, tx: &ReadTx<'_>, held: &Held) -> Result<Decision> {
        let credential = Credential::Session(held.session);
        let Some(proof) = Proof::of(tx, credential)? else {
            return Ok(Err(InvalidTokenReason::Unknown));
        };
        Ok(self.decide(credential, &proof, &held.parsed, held.device.as_ref(), tx.now()))
    }
}

/// Whether the user of a session has proved lately all that a login needs: with a second factor, if
/// one is in force.
pub(crate) fn is_stepped_up(tx: &ReadTx<'_>, principal: &Principal) -> Result<bool> {
    let has_factor = second_factor::is_in_force(tx, principal.user)?;
    let level = if has_factor { Assurance::Aal2 } else { Assurance::Aal1 };
    Ok(is_fresh(principal, STEP_UP_MAX_AGE, level, tx.now()))
}
