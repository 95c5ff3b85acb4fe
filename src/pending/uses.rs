//! The last uses of sessions and API keys that are not in the file yet.
//!
//! A last use is kept in steps: a verify adds a use here only if the use before it
//! is a step old. Uses reach the file by the first of these:
//!
//! 1. the next ordinary commit of this process, which takes up to 256 along. A revocation takes
//!    none: on a full disk it has to stay small;
//! 2. `Store::maintain`, `Store::close`, and the drop of the last handle;
//! 3. a verify of a credential that the file has two steps behind, or one step with an inactivity
//!    timeout. Its answer is fixed before; it waits for no writer and for no flush.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::limits;
use crate::value::principal::Credential;
use crate::value::time::Timestamp;

/// The uses that this process has seen and that are not in the file.
#[derive(Debug)]
pub(crate) struct Uses {
    used: Mutex<HashMap<Credential, Timestamp>>,
    write: WriteUse,
    /// Whether a batch is being written: the members of one group commit need not all write it.
    is_writing: AtomicBool,
}

/// Writes one use; from a higher floor.
pub(crate) type WriteUse = fn(&WriteTx<'_>, Credential, Timestamp) -> Result<()>;

/// A use, as it waits.
type WaitingUse = (Credential, Timestamp);

/// Uses that were written and not committed yet; one batch at a time.
#[derive(Debug)]
pub(crate) struct Batch<'u> {
    uses: &'u Uses,
    written: Vec<WaitingUse>,
}

impl Uses {
    pub(crate) fn new(write: WriteUse) -> Self {
        Self { used: Mutex::default(), write, is_writing: AtomicBool::new(false) }
    }

    /// The use of the session or key that waits. One from the future, by more than the tolerated
    /// clock skew, does not count: the clock was wrong then.
    pub(crate) fn last_use(&self, used_by: Credential, now: Timestamp) -> Option<Timestamp> {
        self.used.lock().get(&used_by).copied().filter(|at| *at <= latest(now))
    }

    /// Adds a use. Never replaces a later one, except one from the future.
    pub(crate) fn add(&self, used_by: Credential, now: Timestamp) {
        let mut used = self.used.lock();
        if used.len() < limits::USES_WAITING || used.contains_key(&used_by) {
            let last = used.entry(used_by).or_insert(now);
            if *last < now || *last > latest(now) {
                *last = now;
            }
        }
    }

    /// Writes at most [`limits::USES_PER_COMMIT`] uses; `None` if it wrote none. They wait until
    /// [`Batch::committed`], or a session in use would seem inactive to other threads before the
    /// commit. A use that cannot be written is left out, so that it stops no other write.
    ///
    /// # Errors
    /// Fails if SQLite has ended the transaction.
    pub(crate) fn write_batch(&self, tx: &WriteTx<'_>) -> Result<Option<Batch<'_>>> {
        if self.is_writing.swap(true, Ordering::Acquire) {
            return Ok(None);
        }
        let mut batch = Batch { uses: self, written: Vec::new() };
        for (used_by, at) in self.next(tx.now()) {
            match (self.write)(tx, used_by, at) {
                Ok(()) => batch.written.push((used_by, at)),
                Err(error) => tx.check_still_open().map_err(|_| error)?,
            }
        }
        Ok(Some(batch).filter(|batch| !batch.written.is_empty()))
    }

    /// Removes the uses that were committed, except those of credentials that were used again
    /// since.
    fn committed(&self, batch: &[WaitingUse]) {
        let mut used = self.used.lock();
        for (id, at) in batch {
            if used.get(id).is_some_and(|used| used <= at) {
                used.remove(id);
            }
        }
    }

    /// The next uses to write. Forgets those from the future: in the file, they would refuse a
    /// session until that time.
    fn next(&self, now: Timestamp) -> Vec<WaitingUse> {
        let mut used = self.used.lock();
        used.retain(|_, at| *at <= latest(now));
        used.iter().take(limits::USES_PER_COMMIT).map(|(id, at)| (*id, *at)).collect()
    }
}

impl Batch<'_> {
    /// Call this once the batch is in the file.
    pub(crate) fn committed(self) {
        self.uses.committed(&self.written);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.uses.is_writing.store(false, Ordering::Release);
    }
}

/// The step of a last use, in milliseconds. A key has no timeout of its own, and without an expiry
/// a lifetime of zero.
pub(crate) fn step_ms(idle_ms: Option<i64>, lifetime_ms: i64) -> i64 {
    match idle_ms {
        Some(idle_ms) => {
            (idle_ms / limits::USE_STEPS_PER_TIMEOUT).clamp(1, limits::USE_STEP_MAX_MS)
        }
        None => (lifetime_ms / limits::USE_STEPS_PER_LIFETIME).max(limits::USE_STEP_MIN_MS),
    }
}

/// The latest time that is not taken to be in the future at `now`.
#[inline]
pub(crate) fn latest(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add(limits::CLOCK_SKEW_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::SessionId;

    const SESSION: Credential = Credential::Session(SessionId::from_bytes([1; 16]));

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn uses() -> Uses {
        Uses::new(|_, _, _| Ok(()))
    }

    #[track_caller]
    fn check_step(idle_ms: Option<i64>, lifetime_ms: i64, expect: i64) {
        assert_eq!(step_ms(idle_ms, lifetime_ms), expect);
    }

    #[test]
    fn a_step_is_a_tenth_of_the_timeout_or_a_24th_of_the_lifetime() {
        let (hour, day) = (3_600_000, 86_400_000);
        check_step(Some(100_000), day, 10_000);
        check_step(Some(600_000), day, 60_000);
        check_step(Some(7 * day), 30 * day, 60_000);
        check_step(Some(1), day, 1);
        check_step(None, 0, hour);
        check_step(None, 60_000, hour);
        check_step(None, day, hour);
        check_step(None, 30 * day, 30 * hour);
    }

    #[test]
    fn a_waiting_use_never_falls() {
        let uses = uses();
        uses.add(SESSION, at(1_000));
        uses.add(SESSION, at(500));
        assert_eq!(uses.last_use(SESSION, at(1_000)), Some(at(1_000)));
    }

    #[test]
    fn a_use_while_another_is_written_is_kept() {
        let uses = uses();
        uses.add(SESSION, at(1_000));
        let batch = uses.next(at(1_000));
        assert_eq!(batch, [(SESSION, at(1_000))]);
        assert_eq!(uses.last_use(SESSION, at(1_000)), Some(at(1_000)));
        uses.add(SESSION, at(1_500));
        uses.committed(&batch);
        assert_eq!(uses.last_use(SESSION, at(1_500)), Some(at(1_500)));
        uses.committed(&[(SESSION, at(1_500))]);
        assert_eq!(uses.last_use(SESSION, at(1_500)), None);
    }

    #[test]
    fn a_use_from_the_future_does_not_count_and_is_not_written() {
        let (uses, ahead) = (uses(), at(60_001));
        uses.add(SESSION, ahead);
        assert_eq!(uses.last_use(SESSION, at(1)), Some(ahead));
        assert_eq!(uses.last_use(SESSION, at(0)), None);
        uses.add(SESSION, at(0));
        assert_eq!(uses.last_use(SESSION, at(0)), Some(at(0)));
        uses.add(SESSION, ahead);
        assert_eq!(uses.next(at(0)), []);
        assert_eq!(uses.last_use(SESSION, ahead), None);
    }

    #[test]
    fn one_batch_is_written_at_a_time() {
        let uses = uses();
        let begin = || uses.is_writing.swap(true, Ordering::Acquire);
        assert!(!begin() && begin());
        drop(Batch { uses: &uses, written: Vec::new() });
        assert!(!begin());
    }

    #[test]
    fn a_batch_and_what_waits_are_bounded() {
        let uses = uses();
        for number in 0..limits::USES_WAITING as u128 + 10 {
            uses.add(Credential::Session(SessionId::from_bytes(number.to_le_bytes())), at(0));
        }
        assert_eq!(uses.used.lock().len(), limits::USES_WAITING);
        assert_eq!(uses.next(at(0)).len(), limits::USES_PER_COMMIT);
    }
}
