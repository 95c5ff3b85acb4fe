//! Verify: the hot path. A token and a device in, the facts out.
//!
//! One SELECT on one snapshot of the file decides; nothing is written and nothing waits for a
//! writer or a login. The clock is read last, so that no deadline passes between the look at it
//! and the answer. Uses of sessions with an idle limit, and counts of refusals, are flushed after
//! the answer is fixed, by whoever finds the file free; a failure of that changes no answer.

use std::time::Duration;

use crate::cache::{Image, Remembered, Use};
use crate::coherence::Coherence;
use crate::error::Result;
use crate::record::proof::{Holder, Proof};
use crate::storage::params;
use crate::store::Store;
use crate::touches::interval_ms;
use crate::value::digest::DeviceDigest;
use crate::value::event::EventKind;
use crate::value::facts::{Facts, RefusalReason, Refused, Verdict};
use crate::value::id::{ApiKeyId, SessionId};
use crate::value::limits;
use crate::value::name::DeviceId;
use crate::value::time::Timestamp;
use crate::value::token::{self, ParsedToken, TokenKind};

impl Store {
    /// Tells who holds this token on this device, as the file stands now.
    ///
    /// For sessions and API keys alike. A session opened with a device verifies only with it, one
    /// opened without only without; an API key has none and refuses one. A refusal is one value
    /// for the outside: unknown, wrong device, expired and ended look the same. After a logout, or
    /// anything else that ends a session, was acknowledged in any process, no verify passes.
    ///
    /// At most one read of the file, and one of the change log after a write of any process; waits
    /// at most 50 ms in all, never for a writer.
    ///
    /// # Errors
    /// The store could not tell, which is neither yes nor no: `Busy`, `Io`, `Corrupt`, `Closed`.
    ///
    /// ```
    /// use gatepost::{DeviceId, NewUser, OpenSession, Options, Store};
    ///
    /// let store = Store::in_memory(Options::for_tests())?;
    /// let ada = store.users().create(NewUser::person("ada"))?;
    /// let device = DeviceId::new("till-1")?;
    /// let reply = store.sessions().open(OpenSession::new(ada.id, device.clone()))?.granted()?;
    /// let token = reply.session.token.expose();
    ///
    /// assert_eq!(store.verify(token, &device)?.valid()?.user, ada.id);
    /// assert!(store.verify(token, None)?.valid().is_err());
    /// assert!(store.verify("gps_", &device)?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify<'d>(
        &self,
        token: &str,
        device: impl Into<Option<&'d DeviceId>>,
    ) -> Result<Verdict> {
        match self.presented(token, device.into())? {
            // Ended, and the disk had no room for it.
            Ok(Live { facts, .. }) if self.core().denied.covers(&facts) => {
                self.count_refusal(RefusalReason::Revoked);
                Ok(Verdict::Refused(Refused))
            }
            Ok(live) => {
                self.note_use(&live);
                Ok(Verdict::Valid(live.facts))
            }
            Err(reason) => {
                self.count_refusal(reason);
                Ok(Verdict::Refused(Refused))
            }
        }
    }

    /// Counts a refused token; writes the counts of a minute that is over, if nobody is in the way.
    pub(crate) fn count_refusal(&self, reason: RefusalReason) {
        if self.core().tally.count(EventKind::VerifyRefused, reason.name(), self.now()) {
            self.flush_tally();
        }
    }

    /// Whoever goes on with a session that was presented has used it, and memory takes it as used
    /// already: so it is noted, or the file would say that it idles when memory says it does not.
    #[inline]
    pub(crate) fn note_use(&self, live: &Live) {
        let touches = &self.core().touches;
        let is_due = match (live.facts.session, live.idle_ms) {
            (Some(session), Some(idle_ms)) => {
                touches.note(session, self.now(), live.last_seen, idle_ms)
            }
            _ => false,
        };
        if is_due || (touches.waits_to_retry() && touches.is_to_retry(self.now())) {
            self.flush_touches();
        }
    }

    /// The same without a note of the use.
    #[inline]
    pub(crate) fn presented(&self, token: &str, device: Option<&DeviceId>) -> Result<Decision> {
        // Before anything is said of the token: nonsense, too, gets no answer from a store that is
        // closed or was forked.
        self.core().storage.check_open()?;
        let Some(coherence) = &self.core().coherence else {
            return self.presented_to_file(token, device, |_| {});
        };
        let cache = &coherence.cache;
        let Some(image) = cache.image(token, device) else {
            return Ok(Err(RefusalReason::Malformed));
        };
        if let Some(entry) = coherence.remembered(image)? {
            // The clock is read after everything that decides.
            let now = self.now();
            if let Some(live) = remembered(&entry, now) {
                self.core().storage.look_after(now)?;
                return Ok(Ok(live));
            }
        }
        self.presented_anew(coherence, image, token, device)
    }

    /// To the file, and remembered.
    #[cold]
    fn presented_anew(
        &self,
        coherence: &Coherence,
        image: Image,
        token: &str,
        device: Option<&DeviceId>,
    ) -> Result<Decision> {
        // Before the SELECT begins, so that a change it did not see outdates what it fills.
        let fill = coherence.begin_fill(image);
        self.presented_to_file(token, device, |found| {
            let (last_use, written) = (found.last_use, found.proof.last_seen);
            let last = found.proof.idle_ms.map(|limit_ms| Use { limit_ms, last_use, written });
            let end = found.proof.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
            fill.remember(&found.facts, end, last);
        })
    }

    fn presented_to_file(
        &self,
        token: &str,
        device: Option<&DeviceId>,
        mut fill: impl FnMut(&Found<'_>),
    ) -> Result<Decision> {
        let Some(parsed) = token::parse(token) else {
            return Ok(Err(RefusalReason::Malformed));
        };
        let Some(holder) = holder(&parsed) else {
            return Ok(Err(RefusalReason::Malformed));
        };
        let device = device.map(DeviceDigest::of);
        let device = device.as_ref();
        match self.look(limits::LOOK_WAIT, holder, &parsed, device, &mut fill)? {
            // The last use may have gone from memory into the file after the file was read.
            Err(RefusalReason::Idle) => {
                self.look(limits::LOOK_AGAIN_WAIT, holder, &parsed, device, &mut fill)
            }
            decision => Ok(decision),
        }
    }

    /// One SELECT and what it comes to; a pass is shown to `fill` together with what was read.
    fn look(
        &self,
        wait: Duration,
        holder: Holder,
        parsed: &ParsedToken,
        device: Option<&DeviceDigest>,
        fill: &mut impl FnMut(&Found<'_>),
    ) -> Result<Decision> {
        let proof = self.core().storage.select_one(
            wait,
            holder.sql(),
            params![holder.id()],
            Proof::from_row,
        )?;
        let Some(proof) = proof else {
            return Ok(Err(RefusalReason::Unknown));
        };
        let now = self.now();
        self.core().storage.look_after(now)?;
        let decision = self.decide(holder, &proof, parsed, device, now);
        if let Ok(Live { facts, .. }) = decision {
            // This verify is a use.
            fill(&Found { facts, proof: &proof, last_use: now });
        }
        Ok(decision)
    }

    /// What a proof is worth to whoever presents this token with this device.
    pub(crate) fn decide(
        &self,
        holder: Holder,
        proof: &Proof,
        parsed: &ParsedToken,
        device: Option<&DeviceDigest>,
        now: Timestamp,
    ) -> Decision {
        // Both are compared whole, whatever the other says.
        let secret_fits = proof.secret_hash.ct_eq(&parsed.secret_hash);
        let device_fits = match (&proof.device, device) {
            (None, None) => true,
            (Some(own), Some(presented)) => own.ct_eq(presented),
            _ => false,
        };
        if !secret_fits {
            return Err(RefusalReason::Unknown);
        }
        if !device_fits {
            return Err(RefusalReason::WrongDevice);
        }
        self.judge(holder, proof, now)
    }

    /// Whether it is live, once it is known whose it is.
    pub(crate) fn judge(&self, holder: Holder, proof: &Proof, now: Timestamp) -> Decision {
        if !proof.current {
            return Err(RefusalReason::Revoked);
        }
        if proof.expires_at.is_some_and(|end| end <= now) {
            return Err(RefusalReason::Expired);
        }
        // A use that this process has seen may not have reached the file yet.
        let noted = match holder {
            Holder::Session(id) => proof.idle_ms.and_then(|_| self.core().touches.last_use(id)),
            Holder::ApiKey(_) => None,
        };
        let last_use = noted.map_or(proof.last_seen, |noted| noted.max(proof.last_seen));
        let latest = now.as_millis().saturating_add(limits::CLOCK_SKEW_MAX_MS);
        if proof.opened_at.as_millis() > latest || last_use.as_millis() > latest {
            return Err(RefusalReason::NotYet);
        }
        let idle_end = proof.idle_ms.map(|idle| last_use.as_millis().saturating_add(idle));
        if idle_end.is_some_and(|end| end <= now.as_millis()) {
            return Err(RefusalReason::Idle);
        }
        if !proof.standing {
            return Err(RefusalReason::Suspended);
        }
        Ok(Live {
            facts: facts(holder, proof),
            idle_ms: proof.idle_ms,
            last_seen: proof.last_seen,
        })
    }
}

/// What the file has just said of a live session or key.
struct Found<'f> {
    facts: Facts,
    proof: &'f Proof,
    last_use: Timestamp,
}

/// A live session or key, or why it is none.
pub(crate) type Decision = std::result::Result<Live, RefusalReason>;

/// What is known of a live session or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) facts: Facts,
    pub(crate) idle_ms: Option<i64>,
    /// The last use that the file knows of.
    pub(crate) last_seen: Timestamp,
}

/// Sessions and API keys verify; the other kinds prove something else.
pub(crate) fn holder(parsed: &ParsedToken) -> Option<Holder> {
    match parsed.kind {
        TokenKind::Session => Some(Holder::Session(SessionId::from_bytes(parsed.id))),
        TokenKind::ApiKey => Some(Holder::ApiKey(ApiKeyId::from_bytes(parsed.id))),
        TokenKind::OneTime | TokenKind::Ticket | TokenKind::Pending => None,
    }
}

/// The token of a session, and its handle.
pub(crate) fn session_token(token: &str) -> Option<(ParsedToken, SessionId)> {
    let parsed = token::parse(token)?;
    match holder(&parsed)? {
        Holder::Session(id) => Some((parsed, id)),
        Holder::ApiKey(_) => None,
    }
}

/// An entry that holds is live unless its time is over; then the file is asked, which alone
/// refuses. A use is told on only when the file has fallen behind, so that one look in an interval
/// takes the lock of those that wait.
#[inline]
fn remembered(entry: &Remembered<'_>, now: Timestamp) -> Option<Live> {
    if entry.expires_at() <= now {
        return None;
    }
    let live = Live { facts: entry.facts()?, idle_ms: None, last_seen: now };
    let Some(idle) = entry.idle() else {
        return Some(live);
    };
    let end = idle.last_use()?.as_millis().saturating_add(idle.limit_ms);
    if end <= now.as_millis() {
        return None;
    }
    idle.used(now);
    Some(match idle.behind(now, interval_ms(idle.limit_ms)) {
        Some(written) => Live { idle_ms: Some(idle.limit_ms), last_seen: written, ..live },
        None => live,
    })
}

fn facts(holder: Holder, proof: &Proof) -> Facts {
    let (session, api_key) = match holder {
        Holder::Session(id) => (Some(id), None),
        Holder::ApiKey(id) => (None, Some(id)),
    };
    Facts {
        session,
        api_key,
        user: proof.user,
        branch: proof.branch,
        organisation: proof.organisation,
        kind: proof.kind,
        is_admin: proof.is_admin,
        assurance: proof.assurance,
        opened_at: proof.opened_at.to_datetime(),
        authenticated_at: proof.authenticated_at.to_datetime(),
        expires_at: proof.expires_at.map(Timestamp::to_datetime),
    }
}
