//! The work memory of Argon2: pooled, wiped after each use, freed when idle.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::Block;
use parking_lot::Mutex;
use zeroize::Zeroize;

use crate::error::{Error, ErrorKind, Result};
use crate::value::limits::HASH_MEMORY_IDLE_MAX_MS;
use crate::value::time::Timestamp;

/// Keeps buffers of one size, at most as many as may hash at once.
///
/// A new buffer can double the time of a hash, as the kernel maps and clears each page of it.
pub(super) struct MemoryPool {
    blocks: usize,
    kept_max: usize,
    idle: Mutex<Vec<IdleMemory>>,
    /// Number of buffers in `idle`, so that checking for old ones takes no lock when there are
    /// none.
    idle_count: AtomicUsize,
}

struct IdleMemory {
    blocks: Vec<Block>,
    since: Timestamp,
}

/// A buffer in use. Dropping it, also while unwinding, wipes it and returns it to the pool.
pub(super) struct Buffer<'p> {
    pool: &'p MemoryPool,
    blocks: Vec<Block>,
    now: Timestamp,
}

impl MemoryPool {
    pub(super) fn new(blocks: usize, kept_max: usize) -> Self {
        Self { blocks, kept_max, idle: Mutex::default(), idle_count: AtomicUsize::new(0) }
    }

    /// A buffer of at least `blocks` KiB. Its content is undefined; it is wiped after use.
    pub(super) fn take(&self, blocks: usize, now: Timestamp) -> Result<Buffer<'_>> {
        let pooled = if blocks <= self.blocks { self.take_idle() } else { None };
        let blocks = match pooled {
            Some(pooled) => pooled,
            None => allocate(blocks.max(self.blocks))?,
        };
        Ok(Buffer { pool: self, blocks, now })
    }

    /// Frees buffers that were not used for a minute.
    pub(super) fn release_idle(&self, now: Timestamp) {
        if self.idle_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let idle_max = Duration::from_millis(HASH_MEMORY_IDLE_MAX_MS);
        let mut idle = self.idle.lock();
        for buffer in idle.iter_mut() {
            // If the clock was set back, the minute starts again; it does not last until the clock
            // has caught up.
            buffer.since = buffer.since.min(now);
        }
        idle.retain(|buffer| now.duration_since(buffer.since) < idle_max);
        self.idle_count.store(idle.len(), Ordering::Relaxed);
    }

    pub(super) fn idle_buffers(&self) -> usize {
        self.idle_count.load(Ordering::Relaxed)
    }

    /// Takes the buffer used last, so that the others get old and are freed.
    fn take_idle(&self) -> Option<Vec<Block>> {
        let mut idle = self.idle.lock();
        let buffer = idle.pop()?;
        self.idle_count.store(idle.len(), Ordering::Relaxed);
        Some(buffer.blocks)
    }

    fn keep(&self, blocks: Vec<Block>, since: Timestamp) {
        let mut idle = self.idle.lock();
        // A larger buffer, for a costlier stored hash, is not worth keeping.
        if blocks.len() == self.blocks && idle.len() < self.kept_max {
            idle.push(IdleMemory { blocks, since });
            self.idle_count.store(idle.len(), Ordering::Relaxed);
        }
    }
}

/// Prints counts only, never work memory.
impl fmt::Debug for MemoryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPool")
            .field("idle_buffers", &self.idle_buffers())
            .finish_non_exhaustive()
    }
}

impl AsMut<[Block]> for Buffer<'_> {
    fn as_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut blocks = std::mem::take(&mut self.blocks);
        wipe(&mut blocks);
        self.pool.keep(blocks, self.now);
    }
}

fn allocate(blocks: usize) -> Result<Vec<Block>> {
    let mut buffer = Vec::new();
    // Too little memory is an error here; `vec!` would abort the process.
    buffer.try_reserve_exact(blocks).map_err(|_| {
        Error::new(ErrorKind::OutOfMemory, "there is not enough memory to hash a password")
    })?;
    buffer.resize(blocks, Block::new());
    Ok(buffer)
}

/// Takes about 0.4 ms for 19 MiB; the hash takes 13 ms.
fn wipe(blocks: &mut [Block]) {
    blocks.iter_mut().for_each(Zeroize::zeroize);
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    fn dirty(buffer: &mut Buffer<'_>) {
        for block in buffer.as_mut() {
            block.as_mut().fill(u64::MAX);
        }
    }

    #[track_caller]
    fn check_wiped(pool: &MemoryPool) {
        let idle = pool.idle.lock();
        assert!(!idle.is_empty());
        for buffer in idle.iter() {
            assert!(
                buffer.blocks.iter().all(|block| block.as_ref().iter().all(|&word| word == 0))
            );
        }
    }

    #[test]
    fn an_allocation_that_fails_is_out_of_memory() {
        let error = allocate(usize::MAX / size_of::<Block>()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.advice().contains("max_concurrent_hashes"), "{}", error.advice());
    }

    #[test]
    fn a_buffer_that_comes_back_is_wiped_and_used_again() {
        let pool = MemoryPool::new(64, 1);
        let mut buffer = pool.take(64, at(0)).unwrap();
        dirty(&mut buffer);
        let place = buffer.as_mut().as_ptr();
        drop(buffer);
        check_wiped(&pool);
        assert_eq!(pool.take(16, at(1)).unwrap().as_mut().as_ptr(), place);
    }

    #[test]
    fn a_buffer_of_a_caller_that_panics_is_wiped() {
        let pool = MemoryPool::new(8, 1);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let mut buffer = pool.take(8, at(0)).unwrap();
            dirty(&mut buffer);
            panic!("a caller's own bug");
        }));
        assert!(unwound.is_err());
        check_wiped(&pool);
    }

    #[test]
    fn no_more_buffers_are_kept_than_may_be_in_use() {
        let pool = MemoryPool::new(8, 2);
        let three: Vec<_> = (0..3).map(|_| pool.take(8, at(0)).unwrap()).collect();
        drop(three);
        assert_eq!(pool.idle_buffers(), 2);
    }

    #[test]
    fn a_buffer_for_a_costlier_hash_is_not_kept() {
        let pool = MemoryPool::new(8, 2);
        assert_eq!(pool.take(9, at(0)).unwrap().as_mut().len(), 9);
        assert_eq!(pool.idle_buffers(), 0);
    }

    #[test]
    fn a_buffer_is_freed_after_a_minute_without_use() {
        let pool = MemoryPool::new(8, 2);
        drop((pool.take(8, at(0)), pool.take(8, at(0))));
        drop(pool.take(8, at(30)));
        pool.release_idle(at(59));
        assert_eq!(pool.idle_buffers(), 2);
        pool.release_idle(at(60));
        assert_eq!(pool.idle_buffers(), 1);
        pool.release_idle(at(90));
        assert_eq!(pool.idle_buffers(), 0);
    }

    #[test]
    fn a_clock_set_back_keeps_a_buffer_for_a_minute_more_at_most() {
        let pool = MemoryPool::new(8, 1);
        drop(pool.take(8, at(1_000_000)));
        pool.release_idle(at(0));
        assert_eq!(pool.idle_buffers(), 1);
        pool.release_idle(at(60));
        assert_eq!(pool.idle_buffers(), 0);
    }
}
