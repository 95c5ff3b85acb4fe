//! Failures under each typed text, whether a user has that name or not. The answer to a refused
//! login depends on this table alone, and nothing of it reaches the file.
//!
//! A login locks this table for a moment; a verify never does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

use crate::value::digest::keyed16;
use crate::value::limits::{THROTTLE_FIRST_WAIT_MS, WORDS_ENTRIES, WORDS_KEPT_MS};
use crate::value::time::Timestamp;
use crate::value::wait::Wait;

/// The typed texts of one process, by a digest under a key that only this process has.
pub(crate) struct Words {
    key: [u8; 32],
    table: Mutex<Table>,
}

/// A typed text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word([u8; 16]);

/// An attempt that went through.
#[derive(Clone, Copy)]
pub(crate) struct WordCharge {
    word: Word,
    moment: Timestamp,
    moment_before: Option<Timestamp>,
    /// What was left of the wait when it arrived.
    pub(crate) waits: Option<Duration>,
}

/// What an attempt finds.
pub(crate) enum Passage {
    /// It is in the first 30 s of a wait, of which so much is left. Nothing was changed.
    TurnedAway(Duration),
    /// It is charged.
    Through(WordCharge),
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<[u8; 16], Entry>,
    /// The digests by when each was last charged.
    by_age: BTreeMap<u64, [u8; 16]>,
    charges: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    count: i64,
    /// The last attempt that went through.
    moment: Timestamp,
    age: u64,
}

impl Words {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key, table: Mutex::default() }
    }

    /// The typed text of that canonical form.
    pub(crate) fn word(&self, canonical: &[u8]) -> Word {
        Word(keyed16(&self.key, "gatepost.words.v1", canonical))
    }

    /// What is left of a wait in whose first 30 s an attempt now arrives.
    pub(crate) fn turns_away(&self, word: Word, wall: Timestamp) -> Option<Duration> {
        self.table.lock().entry(word, wall)?.turns_away(wall)
    }

    /// Charges an attempt before it is evaluated, unless it is turned away.
    pub(crate) fn charge(&self, word: Word, wall: Timestamp) -> Passage {
        let mut table = self.table.lock();
        let before = table.entry(word, wall);
        if let Some(rest) = before.and_then(|entry| entry.turns_away(wall)) {
            return Passage::TurnedAway(rest);
        }
        let waits = before.and_then(|entry| entry.rest(wall));
        let count = before.map_or(0, |entry| entry.count).saturating_add(1);
        table.keep(word, count, wall);
        let moment_before = before.map(|entry| entry.moment);
        Passage::Through(WordCharge { word, moment: wall, moment_before, waits })
    }

    /// Takes an attempt back whose password was right, or could not be compared.
    pub(crate) fn take_back(&self, charge: &WordCharge) {
        let mut table = self.table.lock();
        let Some(entry) = table.entries.get_mut(&charge.word.0) else { return };
        entry.count = entry.count.saturating_sub(1);
        // Another attempt may have gone through since: its moment stays.
        if let Some(before) = charge.moment_before.filter(|_| entry.moment == charge.moment) {
            entry.moment = before;
        }
        if entry.count <= 0 {
            let age = entry.age;
            table.entries.remove(&charge.word.0);
            table.by_age.remove(&age);
        }
    }
}

impl Table {
    /// The entry of a text, unless it was not tried for a day.
    fn entry(&self, word: Word, wall: Timestamp) -> Option<Entry> {
        let entry = *self.entries.get(&word.0)?;
        let idle = wall.as_millis().saturating_sub(entry.moment.as_millis());
        (idle < WORDS_KEPT_MS).then_some(entry)
    }

    /// Keeps a charge. Beyond the bound, the text not tried for longest is forgotten.
    fn keep(&mut self, word: Word, count: i64, moment: Timestamp) {
        self.charges = self.charges.saturating_add(1);
        let age = self.charges;
        if let Some(old) = self.entries.insert(word.0, Entry { count, moment, age }) {
            self.by_age.remove(&old.age);
        } else if self.entries.len() > WORDS_ENTRIES
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.insert(age, word.0);
    }
}

impl Entry {
    fn rest(self, wall: Timestamp) -> Option<Duration> {
        Wait::after(self.count).rest(self.moment, wall)
    }

    fn turns_away(self, wall: Timestamp) -> Option<Duration> {
        let rest = self.rest(wall)?;
        Wait::Millis(THROTTLE_FIRST_WAIT_MS).end(self.moment, wall).map(|_| rest)
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.table.lock().entries.len();
        f.debug_struct("Words").field("texts", &texts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    fn words() -> Words {
        Words::new([7; 32])
    }

    #[track_caller]
    fn through(words: &Words, word: Word, seconds: i64) -> WordCharge {
        match words.charge(word, at(seconds)) {
            Passage::Through(charge) => charge,
            Passage::TurnedAway(rest) => panic!("turned away, {rest:?} are left"),
        }
    }

    #[track_caller]
    fn turned_away(words: &Words, word: Word, seconds: i64, rest: Duration) {
        assert_eq!(words.turns_away(word, at(seconds)), Some(rest));
        match words.charge(word, at(seconds)) {
            Passage::TurnedAway(found) => assert_eq!(found, rest),
            Passage::Through(_) => panic!("went through"),
        }
    }

    #[test]
    fn the_first_thirty_seconds_turn_away_and_the_rest_of_a_wait_is_only_said() {
        let words = words();
        let ada = words.word(b"ada");
        for _ in 0..5 {
            assert_eq!(through(&words, ada, 0).waits, None);
        }
        turned_away(&words, ada, 0, 30 * SECOND);
        turned_away(&words, ada, 29, SECOND);
        assert_eq!(through(&words, ada, 30).waits, None, "the wait is over");
        turned_away(&words, ada, 59, 31 * SECOND);
        assert_eq!(through(&words, ada, 60).waits, Some(30 * SECOND));
        turned_away(&words, ada, 61, 119 * SECOND);
    }

    #[test]
    fn a_text_has_an_entry_of_its_own() {
        let words = words();
        let (ada, bob) = (words.word(b"ada"), words.word(b"bob"));
        for _ in 0..5 {
            through(&words, ada, 0);
        }
        assert_eq!(through(&words, bob, 0).waits, None);
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let words = words();
        let ada = words.word(b"ada");
        let charge = through(&words, ada, 0);
        words.take_back(&charge);
        assert_eq!(format!("{words:?}"), "Words { texts: 0, .. }");
        for _ in 0..5 {
            through(&words, ada, 0);
        }
        let charge = through(&words, ada, 30);
        words.take_back(&charge);
        assert_eq!(words.turns_away(ada, at(31)), None, "the moment before is back");
        assert_eq!(through(&words, ada, 31).waits, None);
    }

    #[test]
    fn a_charge_made_since_keeps_its_moment() {
        let words = words();
        let ada = words.word(b"ada");
        for _ in 0..4 {
            through(&words, ada, 0);
        }
        let first = through(&words, ada, 10);
        let later = through(&words, ada, 40);
        words.take_back(&first);
        turned_away(&words, ada, 41, 29 * SECOND);
        words.take_back(&later);
        assert_eq!(words.turns_away(ada, at(41)), None);
    }

    #[test]
    fn a_day_without_an_attempt_starts_again() {
        let words = words();
        let ada = words.word(b"ada");
        for hour in 0..20 {
            through(&words, ada, 3_600 * hour);
        }
        turned_away(&words, ada, 3_600 * 19 + 1, 3_599 * SECOND);
        let day = 3_600 * 19 + 86_400;
        for _ in 0..5 {
            assert_eq!(through(&words, ada, day).waits, None);
        }
        turned_away(&words, ada, day, 30 * SECOND);
    }

    #[test]
    fn a_moment_in_the_future_is_void_until_the_next_attempt() {
        let words = words();
        let ada = words.word(b"ada");
        for _ in 0..5 {
            through(&words, ada, 3_600);
        }
        assert_eq!(through(&words, ada, 0).waits, None);
        turned_away(&words, ada, 1, 59 * SECOND);
    }

    #[test]
    fn the_oldest_text_makes_room() {
        let words = words();
        let text = |n: usize| words.word(&n.to_be_bytes());
        for _ in 0..5 {
            through(&words, text(0), 0);
        }
        for n in 1..WORDS_ENTRIES {
            through(&words, text(n), 0);
        }
        turned_away(&words, text(0), 0, 30 * SECOND);
        through(&words, text(1), 0);
        through(&words, text(WORDS_ENTRIES), 0);
        let full = format!("Words {{ texts: {WORDS_ENTRIES}, .. }}");
        assert_eq!(format!("{words:?}"), full);
        assert_eq!(through(&words, text(0), 0).waits, None, "it was the oldest");
        assert_eq!(format!("{words:?}"), full);
    }

    #[test]
    fn a_digest_depends_on_the_process() {
        assert!(Words::new([1; 32]).word(b"ada") != Words::new([2; 32]).word(b"ada"));
    }
}
