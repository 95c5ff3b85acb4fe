//! Verify, the hot path: returns the principal behind a token and its device.
//!
//! One SELECT on one snapshot of the file decides; nothing is written and nothing waits for a
//! writer or a login. The clock is read last, so that no deadline passes between reading it and the
//! answer. Uses of sessions are written late, after the answer is fixed and without a flush, and
//! only if no other write has taken them along (`pending/uses.rs`). Counts of refusals are left to
//! the next write.
//!
//! **Steps.** A cached entry is used until a step of its last use is over. Then a
//! verify reads the file, adds the use to those that wait, and caches the entry again. So a cached
//! answer compares the clock and stores nothing.

mod denied;
mod last_use;

use std::time::Duration;

use crate::cache::coherence::Coherence;
use crate::cache::{CachedEntry, Image, Span};
use crate::error::Result;
use crate::flow::verify::last_use::{LastUse, later};
use crate::pending::denials::Known;
use crate::pending::uses::{latest, step_ms};
use crate::record::proof::{self, Proof, Timeout};
use crate::spans;
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
    /// is a use of the session or key; a use is kept in steps (see
    /// [`calls`](crate::manual::calls)).
    ///
    /// Reads the file at most once, and the change log at most once after a write of any process.
    /// Waits at most 50 ms in all, never for a writer or a flush of the disk.
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
    /// [every read](crate::manual::errors#every-read) does, after 50 ms with
    /// [`Busy`](crate::ErrorKind::Busy).
    #[inline]
    pub fn verify<'p>(&self, presented: impl Into<Presented<'p>>) -> Result<Verdict> {
        self.verify_presented(presented.into())
    }

    fn verify_presented(&self, presented: Presented<'_>) -> Result<Verdict> {
        let denials = &self.core().pending.denials;
        // Before the cache is asked and after it, as in `unless_known`.
        let had_none = denials.is_empty();
        match self.cached(presented)? {
            Cached::Live(entry, image) if had_none && denials.is_empty() => {
                Ok(Verdict::Valid(entry.principal(image)))
            }
            // It was asked for before the denials were.
            Cached::Live(..) => self.verify_beyond_cache(presented, None),
            Cached::Not(uncached) => self.verify_beyond_cache(presented, Some(uncached)),
        }
    }

    /// Verifies a token for which the cache has no answer, or while there are denials.
    #[cold]
    fn verify_beyond_cache(
        &self,
        presented: Presented<'_>,
        uncached: Option<Uncached<'_>>,
    ) -> Result<Verdict> {
        let decode = || token::parse(presented.token());
        let found = match uncached {
            Some(uncached) => self.unless_denied(|| self.by_file(uncached, presented, decode))?,
            None => self.live(presented)?,
        };
        match found {
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
        self.unless_known(ask, |known, live| self.is_denied(&live.principal, known))
    }

    /// Runs `ask`, and refuses what the denials of this process cover, as `is_denied` says.
    #[inline]
    pub(crate) fn unless_known<T>(
        &self,
        ask: impl FnOnce() -> Result<std::result::Result<T, InvalidTokenReason>>,
        is_denied: impl Fn(&[Known], &T) -> Result<bool>,
    ) -> Result<std::result::Result<T, InvalidTokenReason>> {
        let denials = &self.core().pending.denials;
        // Taken before the read and after it: a denial that is written meanwhile is in neither the
        // snapshot that was read nor the list after it.
        let known = denials.known();
        let found = ask()?;
        let Ok(live) = &found else { return Ok(found) };
        let known = [known, denials.known()];
        if known.iter().all(Known::is_empty) || !is_denied(&known, live)? {
            return Ok(found);
        }
        Ok(Err(InvalidTokenReason::Revoked))
    }

    /// Counts a refused token, in memory: a verify of a refused token never waits for the disk.
    pub(crate) fn count_refusal(&self, reason: InvalidTokenReason) {
        self.core().pending.counts.count(EventKind::VerifyRefused, reason.name(), self.now());
    }

    /// Call this after acting on a presented token: it adds the use to those that wait, and writes
    /// them if the file is late.
    #[inline]
    pub(crate) fn note_use(&self, live: &Live) {
        if let Some(last_use) = &live.last_use {
            self.note_last_use(live.principal.credential, last_use);
        }
    }

    #[cold]
    fn note_last_use(&self, used: Credential, last_use: &LastUse) {
        if last_use.is_due() {
            self.core().pending.uses.add(used, last_use.now);
        }
        if last_use.is_late() {
            self.core().write_uses_unsynced();
        }
    }

    /// The live session or key of this token on this device. `decode` parses the token, if its
    /// entry is not cached.
    pub(crate) fn presented(
        &self,
        presented: Presented<'_>,
        decode: impl FnOnce() -> Option<ParsedToken>,
    ) -> Result<Decision> {
        match self.cached(presented)? {
            Cached::Live(entry, image) => Ok(Ok(Live::of_entry(&entry, image))),
            Cached::Not(uncached) => self.by_file(uncached, presented, decode),
        }
    }

    /// What the cache has for this token on this device.
    // As a call it would copy the entry once more.
    #[inline(always)]
    fn cached(&self, presented: Presented<'_>) -> Result<Cached<'_>> {
        let core = self.core();
        // Before the token is judged: a store that is closed or was forked gives no answer, not
        // even to a malformed token.
        core.storage.check_open()?;
        let Some(coherence) = &core.coherence else { return Ok(Cached::Not(Uncached::Off)) };
        let Some(image) = coherence.cache.image(presented.token(), presented.device()) else {
            return Ok(Cached::Not(Uncached::Malformed));
        };
        let found = coherence.find(image);
        if let Some(entry) = found.map_err(|error| core.storage.located(error))? {
            // The clock is read after everything that decides.
            let now = self.now();
            if is_answered_by(&entry, now) {
                core.storage.check_file_if_due(now)?;
                return Ok(Cached::Live(entry, image));
            }
        }
        Ok(Cached::Not(Uncached::Absent(coherence, image)))
    }

    /// The live session or key of a token for which the cache has no answer.
    fn by_file(
        &self,
        uncached: Uncached<'_>,
        presented: Presented<'_>,
        decode: impl FnOnce() -> Option<ParsedToken>,
    ) -> Result<Decision> {
        match uncached {
            Uncached::Absent(coherence, image) => {
                self.ask_file_and_cache(coherence, image, presented, decode())
            }
            Uncached::Off => {
                Ok(self.presented_to_file(presented, decode())?.map(|found| found.live))
            }
            Uncached::Malformed => Ok(Err(InvalidTokenReason::Malformed)),
        }
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
        if let Ok(LiveRow { live, proof }) = &mut found {
            live.principal.place = image.place();
            fill.remember(&live.principal, &proof.privileges, live.span());
        }
        Ok(found.map(|found| found.live))
    }

    fn presented_to_file(
        &self,
        presented: Presented<'_>,
        parsed: Option<ParsedToken>,
    ) -> Result<FileAnswer> {
        spans::span!("verify.file");
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
            Proof::with_reader,
        )?;
        let now = self.now();
        // Also for an unknown token: it may be known in the file that replaced this one.
        self.core().storage.check_file_if_due(now)?;
        let Some(proof) = proof else {
            return Ok(Err(InvalidTokenReason::Unknown));
        };
        Ok(decide(&proof, now).map(|live| LiveRow { live, proof }))
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
        let latest = latest(now);
        if proof.valid_from > latest {
            return Err(InvalidTokenReason::NotYet);
        }
        let mut timeout_end = None;
        if let Some(Timeout { session, idle_ms, last_seen }) = proof.timeout {
            let at = self.latest_use(Credential::Session(session), last_seen, now);
            if at > latest {
                return Err(InvalidTokenReason::NotYet);
            }
            let idle_end = later(at, idle_ms);
            if idle_end <= now {
                return Err(InvalidTokenReason::Idle);
            }
            // The use of a key or an impersonation is no use of the session that it came from.
            timeout_end = (credential != Credential::Session(session)).then_some(idle_end);
        }
        if !proof.is_active {
            return Err(InvalidTokenReason::Suspended);
        }
        let last_use = Some(self.last_use(credential, proof, now));
        let (principal, valid_from) = (proof.principal(credential), proof.valid_from);
        Ok(Live { principal, last_use, valid_from, timeout_end })
    }

    /// The last use of a session or key, also if it has not reached the file yet.
    fn last_use(&self, credential: Credential, proof: &Proof, now: Timestamp) -> LastUse {
        let idle_ms = match credential {
            Credential::Session(id) => {
                proof.timeout.filter(|own| own.session == id).map(|own| own.idle_ms)
            }
            Credential::ApiKey(_) => None,
        };
        LastUse {
            // The first use of a key is due, and not late before others would be.
            at: self.latest_use(credential, proof.last_seen.unwrap_or(Timestamp::MIN), now),
            written: proof.last_seen.unwrap_or(proof.opened_at),
            now,
            has_timeout: idle_ms.is_some(),
            step_ms: step_ms(idle_ms, proof.lifetime_ms),
        }
    }

    /// The later of a last use in the file and the one that waits.
    fn latest_use(&self, credential: Credential, in_file: Timestamp, now: Timestamp) -> Timestamp {
        let waiting = self.core().pending.uses.last_use(credential, now);
        waiting.map_or(in_file, |at| at.max(in_file))
    }
}

/// The row of a live session or key, as the file has it.
pub(crate) struct LiveRow {
    pub(crate) live: Live,
    pub(crate) proof: Proof,
}

/// The row of a live session or key, or why it is not live.
pub(crate) type FileAnswer = std::result::Result<LiveRow, InvalidTokenReason>;

/// A live session or key, or why it is not live.
pub(crate) type Decision = std::result::Result<Live, InvalidTokenReason>;

/// What the cache has for a token and a device.
enum Cached<'s> {
    /// The entry of a live session or key.
    Live(CachedEntry, Image),
    Not(Uncached<'s>),
}

/// Why the cache has no answer.
#[derive(Clone, Copy)]
enum Uncached<'s> {
    /// No entry answers now: the file must be read, and the result cached.
    Absent(&'s Coherence, Image),
    /// The store has no cache.
    Off,
    /// The text cannot be a token.
    Malformed,
}

/// A live session or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) principal: Principal,
    /// Set if it was read from the file.
    last_use: Option<LastUse>,
    /// [`Proof::valid_from`], or the same of a valid entry.
    valid_from: Timestamp,
    /// For a key or an impersonation: when the inactivity timeout of the session that it came from
    /// is over.
    timeout_end: Option<Timestamp>,
}

impl Live {
    /// What a valid entry says that answers now.
    #[inline]
    pub(crate) fn of_entry(entry: &CachedEntry, image: Image) -> Self {
        let valid_from = entry.span().from;
        Self { principal: entry.principal(image), last_use: None, valid_from, timeout_end: None }
    }

    /// The times at which the cache may answer for what the file has just shown to be live.
    fn span(&self) -> Span {
        let end = self.principal.expires_at.unwrap_or(Timestamp::MAX);
        let end = self.timeout_end.map_or(end, |timeout_end| timeout_end.min(end));
        match &self.last_use {
            Some(last_use) => {
                let Span { from, until } = last_use.span();
                Span { from: from.max(self.valid_from), until: until.min(end) }
            }
            None => Span { from: self.valid_from, until: end },
        }
    }
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

/// Whether a valid entry answers at this time. If not, the file must be read: the session or key
/// may be over, a step of its last use is, or the clock went back.
#[inline]
pub(crate) fn is_answered_by(entry: &CachedEntry, now: Timestamp) -> bool {
    let Span { from, until } = entry.span();
    now < until && from <= latest(now)
}
