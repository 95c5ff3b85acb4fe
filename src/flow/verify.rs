//! Verify: the hot path. A token and a device in, the facts out.
//!
//! One SELECT on one snapshot of the file decides; nothing is written and nothing waits for a
//! writer or a login. The clock is read last, so that no deadline passes between the look at it
//! and the answer. Uses of sessions with an idle limit, and counts of refusals, are flushed after
//! the answer is fixed, by whoever finds the file free; a failure of that changes no answer.

use std::time::Duration;

use crate::cache::coherence::Coherence;
use crate::cache::{Image, Remembered, Use};
use crate::error::Result;
use crate::pending::uses::interval_ms;
use crate::record::proof::{Holder, Proof};
use crate::storage::params;
use crate::store::Store;
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
        match self.live(token, device.into())? {
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

    /// As [`Store::presented`], with what this process has to refuse although the file does not say
    /// so yet.
    #[inline]
    pub(crate) fn live(&self, token: &str, device: Option<&DeviceId>) -> Result<Decision> {
        let denials = &self.core().pending.denials;
        // Before the look and after it: a denial that is written meanwhile is in neither the
        // snapshot that was read nor the list as it is then.
        let known = denials.known();
        let found = self.presented(token, device)?;
        let is_denied = found.as_ref().is_ok_and(|live| {
            let now = || self.now();
            known.cover(&live.facts, now) || denials.known().cover(&live.facts, now)
        });
        if is_denied { Ok(Err(RefusalReason::Revoked)) } else { Ok(found) }
    }

    /// Counts a refused token; writes the counts of a minute that is over, if nobody is in the way.
    pub(crate) fn count_refusal(&self, reason: RefusalReason) {
        if self.core().pending.counts.count(EventKind::VerifyRefused, reason.name(), self.now()) {
            self.flush_tally();
        }
    }

    /// Called after acting on a presented token: queues the use, so that `last_seen` in the file
    /// keeps up with the cache.
    #[inline]
    pub(crate) fn note_use(&self, live: &Live) {
        let uses = &self.core().pending.uses;
        let is_due = match (live.facts.session, live.behind) {
            (Some(session), Some(Behind { idle_ms, written })) => {
                uses.note(session, self.now(), written, idle_ms)
            }
            _ => false,
        };
        if is_due || (uses.waits_to_retry() && uses.is_to_retry(self.now())) {
            self.flush_uses();
        }
    }

    /// The live session or key under this token on this device, as the file stands.
    #[inline]
    pub(crate) fn presented(&self, token: &str, device: Option<&DeviceId>) -> Result<Decision> {
        // Before anything is said of the token: nonsense, too, gets no answer from a store that is
        // closed or was forked.
        self.core().storage.check_open()?;
        let Some(coherence) = &self.core().coherence else {
            return Ok(self.presented_to_file(token, device)?.map(|found| found.live));
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

    /// Asks the file, and remembers its answer.
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
        let found = self.presented_to_file(token, device)?;
        if let Ok(Found { live, proof, last_use }) = &found {
            let written = proof.last_seen;
            let last =
                proof.idle_ms.map(|limit_ms| Use { limit_ms, last_use: *last_use, written });
            let end = proof.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
            fill.remember(&live.facts, end, last);
        }
        Ok(found.map(|found| found.live))
    }

    fn presented_to_file(&self, token: &str, device: Option<&DeviceId>) -> Result<Look> {
        let Some(parsed) = token::parse(token) else {
            return Ok(Err(RefusalReason::Malformed));
        };
        let Some(holder) = holder(&parsed) else {
            return Ok(Err(RefusalReason::Malformed));
        };
        let device = device.map(DeviceDigest::of);
        let device = device.as_ref();
        match self.look(limits::LOOK_WAIT, holder, &parsed, device)? {
            // The last use may have gone from memory into the file after the file was read.
            Err(RefusalReason::Idle) => {
                self.look(limits::LOOK_AGAIN_WAIT, holder, &parsed, device)
            }
            found => Ok(found),
        }
    }

    /// One SELECT and what it comes to.
    fn look(
        &self,
        wait: Duration,
        holder: Holder,
        parsed: &ParsedToken,
        device: Option<&DeviceDigest>,
    ) -> Result<Look> {
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
        // This verify is a use.
        Ok(decision.map(|live| Found { live, proof, last_use: now }))
    }

    /// What a proof is worth to the caller who presents this token with this device.
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
            Holder::Session(id) => {
                proof.idle_ms.and_then(|_| self.core().pending.uses.last_use(id))
            }
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
        let behind = proof.idle_ms.map(|idle_ms| Behind { idle_ms, written: proof.last_seen });
        Ok(Live { facts: facts(holder, proof), behind })
    }
}

/// What the file has just said of a live session or key.
struct Found {
    live: Live,
    proof: Proof,
    last_use: Timestamp,
}

/// What a look at the file found, or why it found nothing live.
type Look = std::result::Result<Found, RefusalReason>;

/// A live session or key, or why it is none.
pub(crate) type Decision = std::result::Result<Live, RefusalReason>;

/// What is known of a live session or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) facts: Facts,
    /// Of a session with an idle limit, unless the file has kept up with its uses.
    behind: Option<Behind>,
}

/// How far the file is behind the uses of a session.
#[derive(Debug, Clone, Copy)]
struct Behind {
    idle_ms: i64,
    /// The last use that the file knows of.
    written: Timestamp,
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

/// Turns a valid entry into a live session, or `None` if it is expired or idle: only the file
/// refuses. At most one use per interval is queued, so hits rarely lock.
#[inline]
fn remembered(entry: &Remembered<'_>, now: Timestamp) -> Option<Live> {
    if entry.expires_at() <= now {
        return None;
    }
    let facts = entry.facts()?;
    let Some(idle) = entry.idle() else {
        return Some(Live { facts, behind: None });
    };
    let end = idle.last_use()?.as_millis().saturating_add(idle.limit_ms);
    if end <= now.as_millis() {
        return None;
    }
    idle.used(now);
    let behind = idle.behind(now, interval_ms(idle.limit_ms));
    let behind = behind.map(|written| Behind { idle_ms: idle.limit_ms, written });
    Some(Live { facts, behind })
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
