//! Words that one writes and everyone reads, whole or not at all: a sequence lock.
//!
//! Reading takes no lock and writes nothing, so that any number of readers share the cache line.
//! Who reads while it is being written reads nothing, which every user takes for "look at the
//! file".

use crate::sync::{AtomicU64, Ordering, fence};

/// A row of words; nothing can be read of it before it is first written.
#[derive(Debug)]
pub(crate) struct SeqLock<const N: usize> {
    /// How often it was written, twice: odd while being written. The highest bit says whether it
    /// was used since.
    turn: AtomicU64,
    words: [AtomicU64; N],
}

const USED: u64 = 1 << 63;

/// How often it had been written when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Turn {
    /// Its lowest bits.
    #[inline]
    pub(crate) fn low(self) -> u16 {
        let [low, high, ..] = (self.0 >> 1).to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

impl<const N: usize> SeqLock<N> {
    pub(crate) fn new() -> Self {
        Self { turn: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The words, if they are whole and begin with these.
    #[inline]
    pub(crate) fn read(&self, beginning: &[u64]) -> Option<(Turn, [u64; N])> {
        let before = self.turn.load(Ordering::Acquire) & !USED;
        let begins = |(own, word): (&AtomicU64, &u64)| own.load(Ordering::Relaxed) == *word;
        let is_wanted = self.words.iter().zip(beginning).all(begins);
        if before & 1 != 0 || before == 0 || !is_wanted {
            return None;
        }
        let words = std::array::from_fn(|at| match self.words.get(at) {
            Some(word) => word.load(Ordering::Relaxed),
            None => 0,
        });
        fence(Ordering::Acquire);
        let after = self.turn.load(Ordering::Relaxed) & !USED;
        (after == before).then_some((Turn(before), words))
    }

    /// Whether it was never written.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        self.turn.load(Ordering::Relaxed) == 0
    }

    /// Notes that it was used, if it still is what it was at that turn. Writes nothing if that is
    /// noted already.
    #[inline]
    pub(crate) fn mark_used(&self, turn: Turn) {
        if self.turn.load(Ordering::Relaxed) == turn.0 {
            let _ = self.turn.compare_exchange(
                turn.0,
                turn.0 | USED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Whether it was used since it was written or since this was last asked. For the one who
    /// writes.
    pub(crate) fn take_used(&self) -> bool {
        self.turn.fetch_and(!USED, Ordering::Relaxed) & USED != 0
    }

    /// One writer at a time. `also` is done with the turn under which the words will be read,
    /// before anyone reads them.
    pub(crate) fn write(&self, words: &[u64; N], also: impl FnOnce(Turn)) {
        let turn = (self.turn.load(Ordering::Relaxed) & !USED) | 1;
        let next = turn.wrapping_add(1);
        self.turn.store(turn, Ordering::Relaxed);
        fence(Ordering::Release);
        for (to, word) in self.words.iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        also(Turn(next));
        self.turn.store(next, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_before_it_is_written_and_never_a_half() {
        let published = SeqLock::<4>::new();
        assert_eq!(published.read(&[]), None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=20_000 {
                    published.write(&[round; 4], |_| {});
                }
            });
            let mut newest = 0;
            while newest < 20_000 {
                if let Some((turn, words)) = published.read(&[]) {
                    assert!(words == [words[0]; 4] && words[0] >= newest, "{words:?}");
                    newest = words[0];
                    published.mark_used(turn);
                }
            }
        });
    }

    #[test]
    fn each_write_has_a_turn_of_its_own() {
        let published = SeqLock::<1>::new();
        let mut told = Vec::new();
        for word in [5, 6] {
            assert_eq!(published.is_blank(), word == 5);
            published.write(&[word], |turn| {
                assert_eq!(published.read(&[]), None);
                told.push(turn);
            });
            assert_eq!(published.read(&[]), Some((told[told.len() - 1], [word])));
        }
        assert_ne!(told[0].low(), told[1].low());
    }

    #[test]
    fn a_use_is_noted_once_and_never_of_what_came_after() {
        let published = SeqLock::<1>::new();
        published.write(&[1], |_| {});
        assert!(!published.take_used());
        let (first, _) = published.read(&[]).unwrap();
        published.mark_used(first);
        assert_eq!(published.read(&[]), Some((first, [1])));
        assert!(published.take_used() && !published.take_used());
        published.mark_used(first);
        published.write(&[2], |_| {});
        published.mark_used(first);
        assert!(!published.take_used());
    }
}
