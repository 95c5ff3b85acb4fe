//! Why a session or an API key is refused.

use super::rows::Ending;
use super::trace::{self, Chapter};
use super::{AuditEvidence, Explanation, RefusalCause};
use crate::error::Result;
use crate::record::proof::{self, Proof};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::name::DeviceId;
use crate::value::principal::{Credential, InvalidTokenReason};
use crate::value::time::Timestamp;
use crate::value::token::ParsedToken;

/// What was presented beside the handle.
type Shown<'s> = Option<(&'s ParsedToken, Option<&'s DeviceId>)>;

/// What the file says of a session or key.
struct Stored {
    proof: Proof,
    /// The session or key that it came from.
    parent: Option<Credential>,
    /// Why it is refused; `None` if it is live.
    reason: Option<InvalidTokenReason>,
    is_denied: bool,
    /// When the inactivity timeout is over, after the last use also if that waits in memory.
    idle_end: Option<Timestamp>,
    now: Timestamp,
}

impl Store {
    pub(super) fn explain_by(
        &self,
        credential: Credential,
        shown: Shown<'_>,
    ) -> Result<Explanation> {
        let stored = self.stored(credential)?;
        let chapter = Chapter::of(self, credential)?;
        let explanation = match &stored {
            Some(stored) => self.explain_stored(credential, stored, &chapter, shown)?,
            None => self.explain_gone(credential, &chapter)?,
        };
        let user = stored.map(|stored| stored.proof.user).or(chapter.user());
        Ok(Explanation {
            credential: Some(credential),
            user: explanation.user.or(user),
            ..explanation
        })
    }

    fn stored(&self, credential: Credential) -> Result<Option<Stored>> {
        let known = self.core().pending.denials.known();
        let found = self.read(|tx| {
            let Some(proof) = Proof::of(tx, credential)? else { return Ok(None) };
            let lineage = proof::lineage(tx, credential)?.unwrap_or_default();
            let principal = proof.principal(credential);
            let own = proof::actor_session(tx, &principal)?;
            let parent = lineage.parent().or(own.map(|own| own.credential));
            let now = tx.now();
            let is_denied = known.cover(&principal, &lineage, now)
                || own.is_some_and(|own| known.cover(&own, &lineage, now));
            let idle_end = self.idle_end(&proof, now);
            let reason = self.judge(credential, &proof, now).err();
            Ok(Some(Stored { proof, parent, reason, is_denied, idle_end, now }))
        })?;
        Ok(found)
    }

    fn idle_end(&self, proof: &Proof, now: Timestamp) -> Option<Timestamp> {
        let timeout = proof.timeout?;
        let session = Credential::Session(timeout.session);
        let waiting = self.core().pending.uses.last_use(session, now);
        let last = waiting.map_or(timeout.last_seen, |at| at.max(timeout.last_seen));
        Some(Timestamp::from_millis(last.as_millis().saturating_add(timeout.idle_ms)))
    }

    fn explain_stored(
        &self,
        credential: Credential,
        stored: &Stored,
        chapter: &Chapter,
        shown: Shown<'_>,
    ) -> Result<Explanation> {
        if let Some((parsed, device)) = shown
            && let Some(refused) = refused_as_shown(&stored.proof, parsed, device, chapter)
        {
            return Ok(refused);
        }
        if stored.is_denied {
            return Ok(Explanation {
                reason: Some(InvalidTokenReason::Revoked),
                ..Explanation::new(RefusalCause::Denied)
            });
        }
        let Some(reason) = stored.reason else {
            return Ok(Explanation::new(RefusalCause::Accepted));
        };
        let explanation = match reason {
            InvalidTokenReason::Revoked => self.explain_revoked(credential, stored, chapter)?,
            InvalidTokenReason::Expired => Explanation {
                at: stored.proof.expires_at,
                evidence: chapter.beginning(),
                ..Explanation::new(RefusalCause::Expired)
            },
            InvalidTokenReason::Idle => self.explain_idle(credential, stored, chapter),
            InvalidTokenReason::NotYet => Explanation {
                at: Some(stored.now),
                evidence: chapter.beginning(),
                ..Explanation::new(RefusalCause::Clock)
            },
            InvalidTokenReason::Suspended => self.explain_standing(stored.proof.user)?,
            InvalidTokenReason::Malformed
            | InvalidTokenReason::Unknown
            | InvalidTokenReason::WrongDevice => Explanation::new(RefusalCause::Unknown),
        };
        Ok(Explanation { reason: Some(reason), ..explanation })
    }

    /// The timeout may be that of the session that it came from.
    fn explain_idle(
        &self,
        credential: Credential,
        stored: &Stored,
        chapter: &Chapter,
    ) -> Explanation {
        let timeout = stored.proof.timeout;
        let from = timeout.map(|timeout| Credential::Session(timeout.session));
        Explanation {
            at: stored.idle_end,
            through: from.filter(|from| *from != credential),
            evidence: chapter.beginning(),
            ..Explanation::new(RefusalCause::Inactive)
        }
    }

    /// A watermark lies above it, or above what it came from.
    fn explain_revoked(
        &self,
        credential: Credential,
        stored: &Stored,
        chapter: &Chapter,
    ) -> Result<Explanation> {
        let own = trace::revocation(self, credential, stored.proof.user, chapter)?;
        let first = self.first_end(&own, stored.parent)?;
        Ok(first.unwrap_or_else(|| Explanation::new(RefusalCause::Revoked)))
    }

    /// The row is gone: a call deleted it, or its time was over.
    fn explain_gone(&self, credential: Credential, chapter: &Chapter) -> Result<Explanation> {
        let unknown = Some(InvalidTokenReason::Unknown);
        if let Some((cause, row)) = chapter.end(credential) {
            let earlier = match chapter.is_overlap(&row) {
                true => self.ended_in_overlap(credential, chapter)?,
                false => None,
            };
            let evidence = AuditEvidence::of(Some(row));
            let explanation =
                earlier.unwrap_or(Explanation { evidence, ..Explanation::new(cause) });
            return Ok(Explanation { reason: unknown, ..explanation });
        }
        let Some(user) = chapter.user() else {
            let evidence =
                if chapter.is_trimmed { AuditEvidence::Trimmed } else { AuditEvidence::None };
            return Ok(Explanation {
                reason: unknown,
                evidence,
                ..Explanation::new(RefusalCause::Unknown)
            });
        };
        let own = trace::deletion(self, credential, user, chapter)?;
        if let Some(first) = self.first_end(&own, chapter.parent())? {
            // What may have revoked it says nothing of whether it was over before.
            let is_unknown = first.evidence == AuditEvidence::Trimmed && !own.is_certain();
            let cause = if is_unknown { RefusalCause::Unknown } else { first.cause };
            return Ok(Explanation { cause, reason: unknown, user: Some(user), ..first });
        }
        Ok(Explanation {
            reason: unknown,
            evidence: chapter.beginning(),
            ..Explanation::new(RefusalCause::Over)
        })
    }

    /// What ended a key that was rotated before its overlap was over.
    fn ended_in_overlap(
        &self,
        credential: Credential,
        chapter: &Chapter,
    ) -> Result<Option<Explanation>> {
        let Some(user) = chapter.user() else { return Ok(None) };
        let own = trace::deletion(self, credential, user, chapter)?;
        let first = self.first_end(&own, chapter.parent())?;
        Ok(first.filter(|first| first.evidence.row().is_some_and(|_| is_end(first.cause))))
    }

    /// What came first: its own end, or that of the session or key that it came from. `None` if
    /// neither ended it.
    fn first_end(&self, own: &Ending, parent: Option<Credential>) -> Result<Option<Explanation>> {
        let by_own = |evidence: AuditEvidence| {
            let explanation = Explanation { evidence, ..Explanation::new(RefusalCause::Revoked) };
            (explanation.evidence != AuditEvidence::None).then_some(explanation)
        };
        let through = parent.map(|parent| self.explain_through(parent)).transpose()?;
        let Some(through) = through.filter(|through| through.cause != RefusalCause::Accepted)
        else {
            return Ok(by_own(own.evidence()));
        };
        let is_ended = is_end(through.cause);
        Ok(match &through.evidence {
            AuditEvidence::Row(row) if is_ended => {
                let is_first = own.is_in_time(row) && own.is_after(row);
                if is_first { Some(through) } else { by_own(own.evidence()) }
            }
            // The row about the parent may have come before.
            AuditEvidence::Trimmed if is_ended && own.is_certain() => {
                by_own(AuditEvidence::Trimmed)
            }
            _ => by_own(own.evidence()).or(Some(through)),
        })
    }

    /// Why the session or key is refused that another one came from.
    fn explain_through(&self, parent: Credential) -> Result<Explanation> {
        let of_parent = self.explain_by(parent, None)?;
        Ok(Explanation { through: Some(of_parent.through.unwrap_or(parent)), ..of_parent })
    }
}

/// Whether a cause is an end by a call, or may be one.
const fn is_end(cause: RefusalCause) -> bool {
    matches!(cause, RefusalCause::Revoked | RefusalCause::Replaced | RefusalCause::Unknown)
}

/// Why the text is not the token of the row, or the device not its own.
fn refused_as_shown(
    proof: &Proof,
    parsed: &ParsedToken,
    device: Option<&DeviceId>,
    chapter: &Chapter,
) -> Option<Explanation> {
    if !proof.secret_hash.ct_eq(&parsed.secret_hash) {
        let renewed = chapter.new_token();
        let cause = match renewed {
            Some(_) => RefusalCause::Superseded,
            None => RefusalCause::WrongToken,
        };
        return Some(Explanation {
            reason: Some(InvalidTokenReason::Unknown),
            evidence: AuditEvidence::of(renewed),
            ..Explanation::new(cause)
        });
    }
    let device = device.map(DeviceDigest::of);
    let fits = match (&proof.device, &device) {
        (None, None) => true,
        (Some(own), Some(presented)) => own.ct_eq(presented),
        _ => false,
    };
    (!fits).then(|| Explanation {
        reason: Some(InvalidTokenReason::WrongDevice),
        evidence: chapter.beginning(),
        ..Explanation::new(RefusalCause::WrongDevice)
    })
}
