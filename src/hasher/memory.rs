//! The work memory of Argon2: pooled, wiped after each use, given back when idle.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::Block;
use parking_lot::Mutex;
use zeroize::Zeroize;

use crate::error::{Error, Reason, Result};
use crate::value::limits::HASH_MEMORY_IDLE_MAX_MS;
use crate::value::time::Timestamp;

/// Buffers of one size, at most as many as may hash at once.
///
/// A fresh buffer can double the time of a hash: the kernel maps and clears each page of it.
pub(super) struct Pool {
    blocks: usize,
    kept_max: usize,
    idle: Mutex<Vec<Idle>>,
    /// How many `idle` holds, so that looking for old ones costs nothing when there are none.
    idle_count: AtomicUsize,
}

struct Idle {
    blocks: Vec<Block>,
    since: Timestamp,
}

/// A buffer in use. Dropping it, also while unwinding, wipes it and gives it back.
pub(super) struct Buffer<'p> {
    pool: &'p Pool,
    blocks: Vec<Block>,
    now: Timestamp,
}

impl Pool {
    pub(super) fn new(blocks: usize, kept_max: usize) -> Self {
        Self { blocks, kept_max, idle: Mutex::default(), idle_count: AtomicUsize::new(0) }
    }

    /// A buffer of at least `blocks` KiB. What it holds is of no meaning; it is wiped after use.
    pub(super) fn take(&self, blocks: usize, now: Timestamp) -> Result<Buffer<'_>> {
        let pooled = if blocks <= self.blocks { self.take_idle() } else { None };
        let blocks = match pooled {
            Some(pooled) => pooled,
            None => allocate(blocks.max(self.blocks))?,
        };
        Ok(Buffer { pool: self, blocks, now })
    }

    /// Frees what has not been used for a minute.
    pub(super) fn release_idle(&self, now: Timestamp) {
        if self.idle_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let idle_max = Duration::from_millis(HASH_MEMORY_IDLE_MAX_MS);
        let mut idle = self.idle.lock();
        for buffer in idle.iter_mut() {
            // The clock was set back: the minute begins anew, it does not last until then.
            buffer.since = buffer.since.min(now);
        }
        idle.retain(|buffer| now.since(buffer.since) < idle_max);
        self.idle_count.store(idle.len(), Ordering::Relaxed);
    }

    pub(super) fn idle_buffers(&self) -> usize {
        self.idle_count.load(Ordering::Relaxed)
    }

    /// The one used last, so that the others grow old.
    fn take_idle(&self) -> Option<Vec<Block>> {
        let mut idle = self.idle.lock();
        let buffer = idle.pop()?;
        self.idle_count.store(idle.len(), Ordering::Relaxed);
        Some(buffer.blocks)
    }

    fn keep(&self, blocks: Vec<Block>, since: Timestamp) {
        let mut idle = self.idle.lock();
        // One made for a costlier stored hash is not worth its memory.
        if blocks.len() == self.blocks && idle.len() < self.kept_max {
            idle.push(Idle { blocks, since });
            self.idle_count.store(idle.len(), Ordering::Relaxed);
        }
    }
}

/// Counts alone: nothing prints work memory.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle_buffers", &self.idle_buffers()).finish_non_exhaustive()
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
    // The machine is short of memory for now: an error, where `vec!` would end the process.
    buffer
        .try_reserve_exact(blocks)
        .map_err(|_| Error::new(Reason::Busy, "there is not enough memory to hash a password"))?;
    buffer.resize(blocks, Block::new());
    Ok(buffer)
}

/// Some 0.4 ms on 19 MiB, where the hash takes 13.
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
    fn check_wiped(pool: &Pool) {
        let idle = pool.idle.lock();
        assert!(!idle.is_empty());
        for buffer in idle.iter() {
            assert!(
                buffer.blocks.iter().all(|block| block.as_ref().iter().all(|&word| word == 0))
            );
        }
    }

    #[test]
    fn a_buffer_that_comes_back_is_wiped_and_used_again() {
        let pool = Pool::new(64, 1);
        let mut buffer = pool.take(64, at(0)).unwrap();
        dirty(&mut buffer);
        let place = buffer.as_mut().as_ptr();
        drop(buffer);
        check_wiped(&pool);
        assert_eq!(pool.take(16, at(1)).unwrap().as_mut().as_ptr(), place);
    }

    #[test]
    fn a_buffer_of_a_caller_that_panics_is_wiped() {
        let pool = Pool::new(8, 1);
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
        let pool = Pool::new(8, 2);
        let three: Vec<_> = (0..3).map(|_| pool.take(8, at(0)).unwrap()).collect();
        drop(three);
        assert_eq!(pool.idle_buffers(), 2);
    }

    #[test]
    fn a_buffer_for_a_costlier_hash_is_not_kept() {
        let pool = Pool::new(8, 2);
        assert_eq!(pool.take(9, at(0)).unwrap().as_mut().len(), 9);
        assert_eq!(pool.idle_buffers(), 0);
    }

    #[test]
    fn a_buffer_is_freed_after_a_minute_without_use() {
        let pool = Pool::new(8, 2);
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
        let pool = Pool::new(8, 1);
        drop(pool.take(8, at(1_000_000)));
        pool.release_idle(at(0));
        assert_eq!(pool.idle_buffers(), 1);
        pool.release_idle(at(60));
        assert_eq!(pool.idle_buffers(), 0);
    }
}
