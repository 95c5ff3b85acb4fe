//! Random bytes, which only this file draws. If a source fails, the call fails: no other source
//! replaces it.

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// The source from which a store draws the random bytes of its ids and secrets; given to
/// [`Options::random_source`](crate::Options::random_source).
///
/// The security of every token depends on it: replace [`SystemRandom`] only in tests, or by a
/// cryptographically secure generator.
///
/// ```
/// use gatepost::host::{RandomSource, RandomUnavailable, SystemRandom};
///
/// #[derive(Debug)]
/// struct Counting(std::sync::atomic::AtomicUsize);
///
/// impl RandomSource for Counting {
///     fn fill(&self, buf: &mut [u8]) -> Result<(), RandomUnavailable> {
///         self.0.fetch_add(buf.len(), std::sync::atomic::Ordering::Relaxed);
///         SystemRandom::default().fill(buf)
///     }
/// }
///
/// let counting = Counting(Default::default());
/// counting.fill(&mut [0; 16])?;
/// assert_eq!(counting.0.into_inner(), 16);
/// # Ok::<(), RandomUnavailable>(())
/// ```
pub trait RandomSource: Debug + Send + Sync {
    /// Fills the whole of `buf`. It must answer at once: writes draw from it while they hold the
    /// file.
    ///
    /// # Errors
    /// [`RandomUnavailable`] if it cannot. The call of the store then fails with
    /// [`NoRandom`](crate::ErrorKind::NoRandom), and draws from no other source.
    fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable>;
}

/// The error of a [`RandomSource`] that has no random bytes.
///
/// ```
/// use gatepost::host::RandomUnavailable;
///
/// let error = RandomUnavailable::new();
/// assert_eq!(error.to_string(), "the random source has no bytes to give");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomUnavailable(());

impl RandomUnavailable {
    /// The only value of this type.
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
///
/// ```
/// use gatepost::host::{RandomSource, SystemRandom};
///
/// let mut bytes = [0; 32];
/// SystemRandom::default().fill(&mut bytes)?;
/// assert_ne!(bytes, [0; 32]);
/// # Ok::<(), gatepost::host::RandomUnavailable>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
    fn fill(&self, buf: &mut [u8]) -> std::result::Result<(), RandomUnavailable> {
        getrandom::fill(buf).map_err(|_| RandomUnavailable::new())
    }
}

/// The random source of one opening of a store, and the salts of its audit rows.
#[derive(Debug)]
pub(crate) struct Draws {
    source: Arc<dyn RandomSource>,
    salts: Salts,
}

/// Numbers, hashed under a key that is drawn at the opening: so no draw can fail in a logout.
struct Salts {
    key: [u8; 32],
    taken: AtomicU64,
}

impl Draws {
    pub(crate) fn new(source: Arc<dyn RandomSource>) -> Result<Self> {
        let salts = Salts { key: random_bytes(&*source)?, taken: AtomicU64::new(0) };
        Ok(Self { source, salts })
    }

    pub(crate) fn source(&self) -> &dyn RandomSource {
        &*self.source
    }

    /// Eight bytes that no audit row has yet.
    pub(crate) fn salt(&self) -> [u8; 8] {
        let number = self.salts.taken.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::new()
            .chain_update(self.salts.key)
            .chain_update(number.to_be_bytes())
            .finalize();
        let mut salt = [0; 8];
        for (to, from) in salt.iter_mut().zip(digest) {
            *to = from;
        }
        salt
    }
}

impl Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts")
    }
}

/// A random source that gives the same bytes for the same seed: SHA-256 in counter mode.
///
/// Needs the feature `test-util`. Only for tests: a person who knows the seed knows every token. A
/// clone continues the same stream.
///
/// ```
/// use gatepost::host::{RandomSource, SeededRandom};
///
/// let (mut one, mut two) = ([0; 16], [0; 16]);
/// SeededRandom::new(7).fill(&mut one)?;
/// SeededRandom::new(7).fill(&mut two)?;
/// assert_eq!(one, two);
/// # Ok::<(), gatepost::host::RandomUnavailable>(())
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
    /// The stream of `seed`, from its beginning.
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
            Err(Error::new(ErrorKind::NoRandom, "the random source failed"))
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
        assert_eq!(error.kind(), ErrorKind::NoRandom);
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
