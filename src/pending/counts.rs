//! Counts of refused tokens, and of logins refused without a hash, kept in memory until they are
//! written.
//!
//! A refusal writes no audit row of its own, or an attacker could fill the disk. Refusals are
//! counted by kind, reason and minute, and each such count becomes at most one row of the audit
//! log. A crash loses the counts of the last minute.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::spans;
use crate::value::event::EventKind;
use crate::value::limits;
use crate::value::time::Timestamp;

/// The counts of one process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bounded: the reasons are a closed list, and the number of entries has a limit.
    counts: Mutex<BTreeMap<Key, i64>>,
    logins: Mutex<Totals>,
    tokens: Mutex<Totals>,
    /// Attempts on users whose hash is sealed under a key that this process lacks.
    keys_missing: AtomicU64,
}

/// How often each reason refused since the store was opened.
pub(crate) type Totals = BTreeMap<&'static str, u64>;

/// Minute, name of the kind, reason.
type Key = (i64, &'static str, &'static str);

/// The refusals of one kind and reason in one minute that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) minute: Timestamp,
    pub(crate) kind: EventKind,
    pub(crate) reason: &'static str,
    pub(crate) count: i64,
}

impl Counts {
    pub(crate) fn key_missing(&self) {
        self.keys_missing.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn keys_missing(&self) -> u64 {
        self.keys_missing.load(Ordering::Relaxed)
    }

    /// Counts one refusal.
    pub(crate) fn count(&self, kind: EventKind, reason: &'static str, now: Timestamp) {
        spans::refused(kind.name(), reason);
        if kind == EventKind::VerifyRefused {
            one_more(&self.tokens, reason);
        }
        let minute = minute_of(now);
        let mut counts = self.counts.lock();
        let kept_minutes_full = counts.len() >= limits::TALLY_ENTRIES;
        match counts.get_mut(&(minute, kind.name(), reason)) {
            Some(count) => *count = count.saturating_add(1),
            None if kept_minutes_full => {
                // The file could not be written for long: further refusals share one count,
                // "other".
                let other = counts.entry((0, kind.name(), "other")).or_insert(0);
                *other = other.saturating_add(1);
            }
            None => {
                counts.insert((minute, kind.name(), reason), 1);
            }
        }
    }

    /// Whether a minute is over, so that its counts can be written.
    pub(crate) fn has_finished(&self, now: Timestamp) -> bool {
        let minute = minute_of(now);
        let counts = self.counts.lock();
        // Also a minute that has not come: the clock was ahead when it was counted.
        let ends = [counts.first_key_value(), counts.last_key_value()];
        ends.into_iter().flatten().any(|((counted, ..), _)| *counted != minute)
    }

    /// Removes and returns the counts of all minutes but the current one.
    pub(crate) fn take_finished(&self, now: Timestamp) -> Vec<Counted> {
        let minute = minute_of(now);
        let mut counts = self.counts.lock();
        let (open, finished): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut *counts).into_iter().partition(|((of, ..), _)| *of == minute);
        *counts = open;
        finished.into_iter().filter_map(counted).collect()
    }

    /// Removes and returns all counts, when the store is closed.
    pub(crate) fn take_all(&self) -> Vec<Counted> {
        std::mem::take(&mut *self.counts.lock()).into_iter().filter_map(counted).collect()
    }

    /// Adds counts again that could not be written.
    pub(crate) fn put_back(&self, taken: Vec<Counted>) {
        let mut counts = self.counts.lock();
        for one in taken {
            let minute = one.minute.as_millis().div_euclid(limits::MINUTE_MS);
            let count = counts.entry((minute, one.kind.name(), one.reason)).or_insert(0);
            *count = count.saturating_add(one.count);
        }
    }

    /// Counts a refused login, whether or not it left an audit row.
    pub(crate) fn login_refused(&self, reason: &'static str) {
        spans::refused(EventKind::LoginRefused.name(), reason);
        one_more(&self.logins, reason);
    }

    pub(crate) fn logins_refused(&self) -> Totals {
        self.logins.lock().clone()
    }

    pub(crate) fn tokens_refused(&self) -> Totals {
        self.tokens.lock().clone()
    }
}

fn one_more(totals: &Mutex<Totals>, reason: &'static str) {
    let mut totals = totals.lock();
    let total = totals.entry(reason).or_insert(0);
    *total = total.saturating_add(1);
}

fn minute_of(now: Timestamp) -> i64 {
    now.as_millis().div_euclid(limits::MINUTE_MS)
}

fn counted(((minute, kind, reason), count): (Key, i64)) -> Option<Counted> {
    let minute = Timestamp::from_millis(minute.saturating_mul(limits::MINUTE_MS));
    Some(Counted { minute, kind: EventKind::from_name(kind)?, reason, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = limits::MINUTE_MS;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_minute_of_one_reason_is_one_row() {
        let counts = Counts::default();
        for second in 0..60 {
            counts.count(EventKind::VerifyRefused, "unknown", at(second * 1_000));
            assert!(!counts.has_finished(at(second * 1_000)));
        }
        assert!(counts.take_finished(at(MINUTE - 1)).is_empty());
        counts.count(EventKind::VerifyRefused, "expired", at(MINUTE));
        assert!(counts.has_finished(at(MINUTE)));
        let finished = counts.take_finished(at(MINUTE));
        assert_eq!(finished.iter().map(|row| row.count).collect::<Vec<_>>(), [60]);
        counts.put_back(finished);
        // After the clock was set back by an hour, both are finished.
        assert_eq!(counts.take_finished(at(-60 * MINUTE)).len(), 2);
        counts.count(EventKind::VerifyRefused, "expired", at(MINUTE));
        assert_eq!(counts.take_all().len(), 1);
        assert_eq!(counts.tokens_refused(), Totals::from([("expired", 2), ("unknown", 60)]));
    }

    #[test]
    fn logins_and_tokens_are_totalled_apart() {
        let counts = Counts::default();
        counts.count(EventKind::LoginRefused, "overloaded", at(0));
        counts.count(EventKind::VerifyRefused, "unknown", at(0));
        counts.login_refused("invalid_credentials");
        assert_eq!(counts.tokens_refused(), Totals::from([("unknown", 1)]));
        assert_eq!(counts.logins_refused(), Totals::from([("invalid_credentials", 1)]));
        assert_eq!(counts.take_all().len(), 2);
    }

    #[test]
    fn the_memory_it_takes_is_bounded() {
        let counts = Counts::default();
        for minute in 0..10_000 {
            counts.count(EventKind::VerifyRefused, "unknown", at(minute * MINUTE));
        }
        let rows = counts.take_all();
        assert!(rows.len() <= limits::TALLY_ENTRIES + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<i64>(), 10_000);
    }
}
