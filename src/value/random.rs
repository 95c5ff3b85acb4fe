//! Random bytes, drawn in this file alone. A source that fails is an error, never replaced.

use std::fmt;
use std::fmt::Debug;
#[cfg(feature = "test-util")]
use std::sync::Arc;
#[cfg(feature = "test-util")]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "test-util")]
use sha2::{Digest, Sha256};

use crate::error::{Error, Reason, Result};

/// Where a store draws the bits of its ids and secrets.
///
/// The security of every token rests on it: replace [`SystemRandom`] only in tests, or by a
/// cryptographically secure generator.
pub trait RandomSource: Debug + Send + Sync {
    /// Fills the whole of `buf`.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if it cannot; the store then answers
    /// [`Reason::NoRandom`](crate::Reason::NoRandom) and draws from nowhere else.
    fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable>;
}

/// The answer of a [`RandomSource`] that has no random bytes to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomUnavailable(());

impl RandomUnavailable {
    /// The one value.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the random source has no bytes to give")
    }
}

impl std::error::Error for RandomUnavailable {}

/// The random source of the operating system: the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
    fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable> {
        getrandom::fill(buf).map_err(|_| RandomUnavailable::new())
    }
}

/// A source that gives the same bytes for the same seed: SHA-256 in counter mode.
///
/// Only for tests: whoever knows the seed knows every token. A clone continues the same stream.
///
/// ```
/// use gatepost::{RandomSource, SeededRandom};
///
/// let (mut one, mut two) = ([0; 16], [0; 16]);
/// SeededRandom::new(7).fill(&mut one)?;
/// SeededRandom::new(7).fill(&mut two)?;
/// assert_eq!(one, two);
/// # Ok::<(), gatepost::RandomUnavailable>(())
/// ```
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
#[derive(Debug, Clone)]
pub struct SeededRandom {
    seed: u64,
    blocks_drawn: Arc<AtomicU64>,
}

#[cfg(feature = "test-util")]
impl SeededRandom {
    /// The stream that belongs to `seed`, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, blocks_drawn: Arc::new(AtomicU64::new(0)) }
    }
}

#[cfg(feature = "test-util")]
impl RandomSource for SeededRandom {
    fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable> {
        for part in buf.chunks_mut(32) {
            let counter = self.blocks_drawn.fetch_add(1, Ordering::SeqCst);
            let block = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            for (to, from) in part.iter_mut().zip(block) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// Draws `N` bytes.
pub(crate) fn random_bytes<const N: usize>(source: &dyn RandomSource) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    match source.fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(RandomUnavailable(())) => {
            Err(Error::new(Reason::NoRandom, "the random source failed"))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A source that always fails.
    #[derive(Debug)]
    pub(crate) struct NoRandom;

    impl RandomSource for NoRandom {
        fn fill(&self, _: &mut [u8]) -> std::result::Result<(), RandomUnavailable> {
            Err(RandomUnavailable::new())
        }
    }

    #[test]
    fn a_failing_source_is_an_error_with_its_own_reason() {
        let error = random_bytes::<16>(&NoRandom).unwrap_err();
        assert_eq!(error.reason(), Reason::NoRandom);
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let one: [u8; 32] = random_bytes(&SystemRandom).unwrap();
        let two: [u8; 32] = random_bytes(&SystemRandom).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn a_million_secrets_and_a_million_salts_are_all_different() {
        fn distinct<const N: usize>() -> usize {
            let draw = |_| random_bytes::<N>(&SystemRandom).unwrap();
            let mut drawn: Vec<[u8; N]> = (0..1_000_000).map(draw).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn.len()
        }
        assert_eq!((distinct::<32>(), distinct::<16>()), (1_000_000, 1_000_000));
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn a_seed_fixes_the_stream_and_a_clone_continues_it() {
        let source = SeededRandom::new(1);
        let again = SeededRandom::new(1);
        let first: [u8; 40] = random_bytes(&source).unwrap();
        let second: [u8; 40] = random_bytes(&source.clone()).unwrap();
        assert_ne!(first, second);
        assert_eq!(first, random_bytes::<40>(&again).unwrap());
        assert_ne!(first, random_bytes::<40>(&SeededRandom::new(2)).unwrap());
    }
}
