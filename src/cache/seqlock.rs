//! A sequence lock: one writer publishes a row of words, and each reader gets all of it or
//! nothing.
//!
//! **Ordering.** A reader takes no lock and writes nothing, so any number of readers share the
//! cache line. A reader that overlaps a write gets `None`, which every caller treats as a cache
//! miss. The writer makes the sequence number odd, stores the words and makes the number even
//! again; a reader accepts the words if the number was even and the same before and after.

use crate::sync::{AtomicU64, Ordering, fence};

/// A row of words; reading returns `None` before the first write.
#[derive(Debug)]
pub(crate) struct SeqLock<const N: usize> {
    /// The sequence number: twice the number of writes, and odd during a write. Its highest bit
    /// says whether the row was used since the last write.
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

const USED: u64 = 1 << 63;

/// The sequence number at which the words were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence(u64);

impl<const N: usize> SeqLock<N> {
    pub(crate) fn new() -> Self {
        Self { sequence: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The words, if no write overlaps and they begin with `beginning`.
    #[inline]
    pub(crate) fn read(&self, beginning: &[u64]) -> Option<(Sequence, [u64; N])> {
        self.unwritten(|| {
            self.begins(beginning).then(|| {
                std::array::from_fn(|at| match self.words.get(at) {
                    Some(word) => word.load(Ordering::Relaxed),
                    None => 0,
                })
            })
        })
    }

    /// Whether these are the words, and no write overlaps.
    #[inline]
    pub(crate) fn is(&self, words: &[u64; N]) -> bool {
        self.unwritten(|| self.begins(words).then_some(())).is_some()
    }

    #[inline]
    fn begins(&self, beginning: &[u64]) -> bool {
        self.words.iter().zip(beginning).all(|(own, word)| own.load(Ordering::Relaxed) == *word)
    }

    /// What `read` returns, if the row was written before it and not while it ran.
    #[inline]
    fn unwritten<T>(&self, read: impl FnOnce() -> Option<T>) -> Option<(Sequence, T)> {
        let before = self.sequence.load(Ordering::Acquire) & !USED;
        if before & 1 != 0 || before == 0 {
            return None;
        }
        let words = read()?;
        fence(Ordering::Acquire);
        let after = self.sequence.load(Ordering::Relaxed) & !USED;
        (after == before).then_some((Sequence(before), words))
    }

    /// Whether the row was never written.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        self.sequence.load(Ordering::Relaxed) == 0
    }

    /// Marks the row as used, unless it was written since `sequence`. Writes nothing if it is
    /// marked already.
    #[inline]
    pub(crate) fn mark_used(&self, sequence: Sequence) {
        if self.sequence.load(Ordering::Relaxed) == sequence.0 {
            let _ = self.sequence.compare_exchange(
                sequence.0,
                sequence.0 | USED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Whether the row was used since it was written or since the last call. Only the writer calls
    /// this.
    pub(crate) fn take_used(&self) -> bool {
        self.sequence.fetch_and(!USED, Ordering::Relaxed) & USED != 0
    }

    /// Replaces the words. One writer at a time.
    pub(crate) fn write(&self, words: &[u64; N]) {
        let sequence = (self.sequence.load(Ordering::Relaxed) & !USED) | 1;
        self.sequence.store(sequence, Ordering::Relaxed);
        fence(Ordering::Release);
        for (to, word) in self.words.iter().zip(words) {
            to.store(*word, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_before_the_first_write_and_never_a_part() {
        let published = SeqLock::<4>::new();
        assert_eq!(published.read(&[]), None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=20_000 {
                    published.write(&[round; 4]);
                }
            });
            let mut newest = 0;
            while newest < 20_000 {
                if let Some((sequence, words)) = published.read(&[]) {
                    assert!(words == [words[0]; 4] && words[0] >= newest, "{words:?}");
                    newest = words[0];
                    published.mark_used(sequence);
                }
            }
        });
    }

    #[test]
    fn a_row_is_blank_until_its_first_write_and_shows_the_last_one() {
        let published = SeqLock::<1>::new();
        assert!(published.is_blank());
        for word in [5, 6] {
            published.write(&[word]);
            assert!(!published.is_blank());
            assert_eq!(published.read(&[]).map(|(_, words)| words), Some([word]));
        }
        assert_eq!(published.read(&[5]), None);
    }

    #[test]
    fn a_use_is_marked_once_and_never_on_a_later_write() {
        let published = SeqLock::<1>::new();
        published.write(&[1]);
        assert!(!published.take_used());
        let (first, _) = published.read(&[]).unwrap();
        published.mark_used(first);
        assert_eq!(published.read(&[]), Some((first, [1])));
        assert!(published.take_used() && !published.take_used());
        published.mark_used(first);
        published.write(&[2]);
        published.mark_used(first);
        assert!(!published.take_used());
    }
}
