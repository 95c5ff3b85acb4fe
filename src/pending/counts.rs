//! Refused tokens and logins turned away for load, counted in memory.
//!
//! None of them writes a row of its own, or a stranger could fill the disk. They are counted by
//! kind, reason and minute, at most one row each reaches the audit log, and a crash loses the last
//! minute's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::value::event::EventKind;
use crate::value::limits;
use crate::value::time::Timestamp;

/// The counts of one process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    tokens_refused: AtomicU64,
    /// The reasons are a closed list and the minutes are bounded.
    counts: Mutex<BTreeMap<Key, i64>>,
}

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
    /// Counts one; answers whether a minute is over, whose counts may now be kept.
    pub(crate) fn count(&self, kind: EventKind, reason: &'static str, now: Timestamp) -> bool {
        if kind == EventKind::VerifyRefused {
            self.tokens_refused.fetch_add(1, Ordering::Relaxed);
        }
        let minute = minute_of(now);
        let mut counts = self.counts.lock();
        let kept_minutes_full = counts.len() >= limits::TALLY_ENTRIES;
        match counts.get_mut(&(minute, kind.name(), reason)) {
            Some(count) => *count = count.saturating_add(1),
            None if kept_minutes_full => {
                // Nobody could be written to for long: the rest is one number.
                let other = counts.entry((0, kind.name(), "other")).or_insert(0);
                *other = other.saturating_add(1);
            }
            None => {
                counts.insert((minute, kind.name(), reason), 1);
            }
        }
        counts.keys().next().is_some_and(|(first, ..)| *first < minute)
    }

    /// Takes out the counts of all minutes before this one.
    pub(crate) fn take_finished(&self, now: Timestamp) -> Vec<Counted> {
        let mut counts = self.counts.lock();
        let open = counts.split_off(&(minute_of(now), "", ""));
        std::mem::replace(&mut *counts, open).into_iter().filter_map(counted).collect()
    }

    /// Takes out everything, for the last time.
    pub(crate) fn take_all(&self) -> Vec<Counted> {
        std::mem::take(&mut *self.counts.lock()).into_iter().filter_map(counted).collect()
    }

    /// Puts back what could not be kept.
    pub(crate) fn put_back(&self, taken: Vec<Counted>) {
        let mut counts = self.counts.lock();
        for one in taken {
            let minute = one.minute.as_millis().div_euclid(limits::MINUTE_MS);
            let count = counts.entry((minute, one.kind.name(), one.reason)).or_insert(0);
            *count = count.saturating_add(one.count);
        }
    }

    /// Refused tokens since the start; logins turned away for load are counted by the hasher.
    pub(crate) fn tokens_refused(&self) -> u64 {
        self.tokens_refused.load(Ordering::Relaxed)
    }
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
            assert!(!counts.count(EventKind::VerifyRefused, "unknown", at(second * 1_000)));
        }
        assert!(counts.take_finished(at(MINUTE - 1)).is_empty());
        assert!(counts.count(EventKind::VerifyRefused, "expired", at(MINUTE)));
        let finished = counts.take_finished(at(MINUTE));
        assert_eq!(finished.iter().map(|row| row.count).collect::<Vec<_>>(), [60]);
        counts.put_back(finished);
        assert_eq!(counts.take_all().len(), 2);
        assert_eq!(counts.tokens_refused(), 61);
    }

    #[test]
    fn the_sum_is_of_refused_tokens_alone() {
        let counts = Counts::default();
        counts.count(EventKind::LoginRefused, "overloaded", at(0));
        counts.count(EventKind::VerifyRefused, "unknown", at(0));
        assert_eq!(counts.tokens_refused(), 1);
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
