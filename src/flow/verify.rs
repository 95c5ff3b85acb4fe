//! Verify, the hot path: returns the principal behind a token and its device.
//!
//! One SELECT on one snapshot of the file decides; nothing is written and nothing waits for a
//! writer or a login. The clock is read last, so that no deadline passes between reading it and the
//! answer. Uses of sessions with an inactivity timeout are flushed after the answer is fixed, by a
//! call that finds the file free; a failed flush changes no answer. Counts of refusals are left to
//! the next write.

use std::time::Duration;

use crate::cache::coherence::Coherence;
use crate::cache::{CachedEntry, Image, Use};
use crate::error::Result;
use crate::pending::uses::interval_ms;
use crate::record::proof::{self, Proof};
use crate::storage::params;
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::event::EventKind;
use crate::value::id::{ApiKeyId, SessionId};
use crate::value::limits;
use crate::value::presented::Presented;
use crate::value::principal::{Credential, InvalidToken, InvalidTokenReason, Principal, Verdict};
use crate::value::time::Timestamp;
use crate::value::token::{self, ParsedToken, TokenKind};

impl Store {
    /// Verifies a token with its device: returns the principal behind it, as the file is now.
    ///
    /// For sessions and API keys alike. A session that was opened with a device verifies only with
    /// it, and one without a device only without; an API key has no device and refuses one. Every
    /// refusal is the same value: unknown, wrong device, expired and revoked look alike. After a
    /// revocation was acknowledged in any process, no verify accepts the token (ASVS 7.4.1). A call
    /// is a use of the session.
    ///
    /// Reads the file at most once, and the change log at most once after a write of any process.
    /// Waits at most 50 ms in all, never for a writer.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device.clone());
    /// # let reply = store.sessions().open(open)?.granted()?;
    /// let token = reply.session.token.expose();
    /// assert_eq!(store.verify((token, &device))?.valid()?.user, ada);
    /// assert!(store.verify((token, None))?.valid().is_err());
    /// assert!(store.verify(("gps_", &device))?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An error is neither yes nor no. Fails as
    /// [every call that uses the file](crate::manual::errors) does, after 50 ms with
    /// [`Busy`](crate::ErrorKind::Busy).
    #[inline]
    pub fn verify<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Verdict> {
        self.verify_presented(presented.into())
    }

    fn verify_presented(&self, presented: Presented<'_>) -> Result<Verdict> {
        match self.live(presented)? {
            Ok(live) => {
                self.note_use(&live);
                Ok(Verdict::Valid(live.principal))
            }
            Err(reason) => {
                self.count_refusal(reason);
                Ok(Verdict::Invalid(InvalidToken))
            }
        }
    }

    /// As [`Store::presented`], and refuses what this process has to refuse although the file does
    /// not say so yet.
    #[inline]
    pub(crate) fn live(&self, presented: Presented<'_>) -> Result<Decision> {
        self.unless_denied(|| self.presented(presented, || token::parse(presented.token())))
    }

    /// As [`Store::live`] for a token that the caller has decoded already.
    pub(crate) fn live_decoded(
        &self,
        presented: Presented<'_>,
        parsed: ParsedToken,
    ) -> Result<Decision> {
        self.unless_denied(|| self.presented(presented, || Some(parsed)))
    }

    /// Runs `ask`, and refuses what this process has to refuse although the file does not say so
    /// yet.
    #[inline]
    pub(crate) fn unless_denied(
        &self,
        ask: impl FnOnce() -> Result<Decision>,
    ) -> Result<Decision> {
        let denials = &self.core().pending.denials;
        // Checked before the read and after it: a denial that is written meanwhile is in neither
        // the snapshot that was read nor the list after it.
        let known = denials.known();
        let found = ask()?;
        let is_denied = found.as_ref().is_ok_and(|live| {
            let now = || self.now();
            known.cover(&live.principal, now) || denials.known().cover(&live.principal, now)
        });
        if is_denied { Ok(Err(InvalidTokenReason::Revoked)) } else { Ok(found) }
    }

    /// Counts a refused token, in memory: a verify of a refused token never waits for the disk.
    pub(crate) fn count_refusal(&self, reason: InvalidTokenReason) {
        self.core().pending.counts.count(EventKind::VerifyRefused, reason.name(), self.now());
    }

    /// Call this after acting on a presented token: it queues the use, so that `last_seen` in the
    /// file keeps up with the cache.
    #[inline]
    pub(crate) fn note_use(&self, live: &Live) {
        let uses = &self.core().pending.uses;
        let is_due = match (live.principal.credential.session(), live.behind) {
            (Some(session), Some(Behind { idle_ms, written })) => {
                uses.note(session, self.now(), written, idle_ms)
            }
            _ => false,
        };
        if is_due || (uses.waits_to_retry() && uses.is_to_retry(self.now())) {
            self.flush_uses();
        }
    }

    /// The live session or key of this token on this device. `decode` parses the token, if its
    /// entry is not cached.
    #[inline]
    pub(crate) fn presented(
        &self,
        presented: Presented<'_>,
        decode: impl FnOnce() -> Option<ParsedToken>,
    ) -> Result<Decision> {
        // Before the token is judged: a store that is closed or was forked gives no answer, not
        // even to a malformed token.
        self.core().storage.check_open()?;
        let Some(coherence) = &self.core().coherence else {
            return Ok(self.presented_to_file(presented, decode())?.map(|found| found.live));
        };
        let cache = &coherence.cache;
        let Some(image) = cache.image(presented.token(), presented.device()) else {
            return Ok(Err(InvalidTokenReason::Malformed));
        };
        let found = coherence.find(image);
        if let Some(entry) = found.map_err(|error| self.core().storage.located(error))? {
            // The clock is read after everything that decides.
            let now = self.now();
            if let Some(live) = live_from_cache(&entry, image, now) {
                self.core().storage.check_file_if_due(now)?;
                return Ok(Ok(live));
            }
        }
        self.ask_file_and_cache(coherence, image, presented, decode())
    }

    /// Reads the file and caches a live result.
    #[cold]
    fn ask_file_and_cache(
        &self,
        coherence: &Coherence,
        image: Image,
        presented: Presented<'_>,
        parsed: Option<ParsedToken>,
    ) -> Result<Decision> {
        // Before the SELECT begins, so that a change which it does not see outdates the entry.
        let fill = coherence.begin_fill(image);
        let mut found = self.presented_to_file(presented, parsed)?;
        if let Ok(LiveRow { live, proof, last_use }) = &mut found {
            live.principal.place = image.place();
            let written = proof.last_seen;
            let last =
                proof.idle_ms.map(|limit_ms| Use { limit_ms, last_use: *last_use, written });
            let end = proof.expires_at.unwrap_or(Timestamp::from_millis(i64::MAX));
            fill.remember(&live.principal, &proof.privileges, end, last);
        }
        Ok(found.map(|found| found.live))
    }

    fn presented_to_file(
        &self,
        presented: Presented<'_>,
        parsed: Option<ParsedToken>,
    ) -> Result<FileAnswer> {
        let Some((parsed, credential)) =
            parsed.and_then(|parsed| Some((parsed, credential(&parsed)?)))
        else {
            return Ok(Err(InvalidTokenReason::Malformed));
        };
        let device = presented.device().map(DeviceDigest::of);
        let device = device.as_ref();
        self.ask_file(credential, |proof, now| {
            self.decide(credential, proof, &parsed, device, now)
        })
    }

    /// Reads the row of a session or key and judges it with `decide`.
    pub(crate) fn ask_file(
        &self,
        credential: Credential,
        decide: impl Fn(&Proof, Timestamp) -> Decision,
    ) -> Result<FileAnswer> {
        match self.ask_file_once(limits::VERIFY_READ_WAIT, credential, &decide)? {
            // The last use may have moved from memory into the file after the file was read.
            Err(InvalidTokenReason::Idle) => {
                self.ask_file_once(limits::VERIFY_REREAD_WAIT, credential, decide)
            }
            found => Ok(found),
        }
    }

    /// One SELECT, judged.
    fn ask_file_once(
        &self,
        wait: Duration,
        credential: Credential,
        decide: impl Fn(&Proof, Timestamp) -> Decision,
    ) -> Result<FileAnswer> {
        let proof = self.core().storage.select_one(
            wait,
            proof::sql(credential),
            params![credential.id()],
            Proof::from_row,
        )?;
        let now = self.now();
        // Also for an unknown token: it may be known in the file that replaced this one.
        self.core().storage.check_file_if_due(now)?;
        let Some(proof) = proof else {
            return Ok(Err(InvalidTokenReason::Unknown));
        };
        let decision = decide(&proof, now);
        // This verify is a use.
        Ok(decision.map(|live| LiveRow { live, proof, last_use: now }))
    }

    /// Compares the secret and the device that were presented with a row, then judges the row.
    pub(crate) fn decide(
        &self,
        credential: Credential,
        proof: &Proof,
        parsed: &ParsedToken,
        device: Option<&DeviceDigest>,
        now: Timestamp,
    ) -> Decision {
        // Both are compared in full, in constant time (ASVS 11.2.4), whatever the other gives.
        let secret_fits = proof.secret_hash.ct_eq(&parsed.secret_hash);
        let device_fits = match (&proof.device, device) {
            (None, None) => true,
            (Some(own), Some(presented)) => own.ct_eq(presented),
            _ => false,
        };
        if !secret_fits {
            return Err(InvalidTokenReason::Unknown);
        }
        if !device_fits {
            return Err(InvalidTokenReason::WrongDevice);
        }
        self.judge(credential, proof, now)
    }

    /// Whether a row whose secret and device fit is live.
    pub(crate) fn judge(&self, credential: Credential, proof: &Proof, now: Timestamp) -> Decision {
        if !proof.current {
            return Err(InvalidTokenReason::Revoked);
        }
        if proof.expires_at.is_some_and(|end| end <= now) {
            return Err(InvalidTokenReason::Expired);
        }
        // A use that this process has seen may not have reached the file yet.
        let noted = match credential {
            Credential::Session(id) => {
                proof.idle_ms.and_then(|_| self.core().pending.uses.last_use(id))
            }
            Credential::ApiKey(_) => None,
        };
        let last_use = noted.map_or(proof.last_seen, |noted| noted.max(proof.last_seen));
        let latest = now.as_millis().saturating_add(limits::CLOCK_SKEW_MAX_MS);
        if proof.opened_at.as_millis() > latest || last_use.as_millis() > latest {
            return Err(InvalidTokenReason::NotYet);
        }
        let idle_end = proof.idle_ms.map(|idle| last_use.as_millis().saturating_add(idle));
        if idle_end.is_some_and(|end| end <= now.as_millis()) {
            return Err(InvalidTokenReason::Idle);
        }
        if !proof.is_active {
            return Err(InvalidTokenReason::Suspended);
        }
        let behind = proof.idle_ms.map(|idle_ms| Behind { idle_ms, written: proof.last_seen });
        Ok(Live { principal: proof.principal(credential), behind })
    }
}

/// The row of a live session or key, as the file has it.
pub(crate) struct LiveRow {
    pub(crate) live: Live,
    pub(crate) proof: Proof,
    last_use: Timestamp,
}

/// The row of a live session or key, or why it is not live.
pub(crate) type FileAnswer = std::result::Result<LiveRow, InvalidTokenReason>;

/// A live session or key, or why it is not live.
pub(crate) type Decision = std::result::Result<Live, InvalidTokenReason>;

/// A live session or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) principal: Principal,
    /// Set for a session with an inactivity timeout whose `last_seen` in the file is behind its
    /// uses.
    behind: Option<Behind>,
}

/// How far the file is behind the uses of a session.
#[derive(Debug, Clone, Copy)]
struct Behind {
    idle_ms: i64,
    /// The last use that the file has.
    written: Timestamp,
}

/// The session or API key of a token; `None` for the other kinds, which verify refuses.
pub(crate) fn credential(parsed: &ParsedToken) -> Option<Credential> {
    match parsed.kind {
        TokenKind::Session => Some(Credential::Session(SessionId::from_bytes(parsed.id))),
        TokenKind::ApiKey => Some(Credential::ApiKey(ApiKeyId::from_bytes(parsed.id))),
        TokenKind::OneTime | TokenKind::Ticket | TokenKind::Pending => None,
    }
}

/// The token of a session, and its handle.
pub(crate) fn session_token(token: &str) -> Option<(ParsedToken, SessionId)> {
    let parsed = token::parse(token)?;
    match credential(&parsed)? {
        Credential::Session(id) => Some((parsed, id)),
        Credential::ApiKey(_) => None,
    }
}

/// Turns a valid entry into a live session, or `None` if it is expired, idle, or from a clock that
/// was ahead: only the file refuses. At most one use per interval is queued, so hits rarely lock.
#[inline]
pub(crate) fn live_from_cache(
    entry: &CachedEntry<'_>,
    image: Image,
    now: Timestamp,
) -> Option<Live> {
    if entry.expires_at() <= now {
        return None;
    }
    let principal = entry.principal(image);
    let latest = now.as_millis().saturating_add(limits::CLOCK_SKEW_MAX_MS);
    if principal.opened_at.as_millis() > latest {
        return None;
    }
    let Some(idle) = entry.idle() else {
        return Some(Live { principal, behind: None });
    };
    let last_use = idle.last_use()?.as_millis();
    if last_use > latest || last_use.saturating_add(idle.limit_ms) <= now.as_millis() {
        return None;
    }
    idle.used(now);
    let behind = idle.behind(now, interval_ms(idle.limit_ms));
    let behind = behind.map(|written| Behind { idle_ms: idle.limit_ms, written });
    Some(Live { principal, behind })
}
