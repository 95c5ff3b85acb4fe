//! The work memory of Argon2: pooled, wiped when no hash waits for it, freed when idle.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::Block;
use parking_lot::Mutex;
use zeroize::Zeroize;

use super::gate::{Gate, Load, Permit};
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

/// The slots for hashing, and the work memory that goes from one to the next.
#[derive(Debug)]
pub(super) struct Slots {
    gate: Gate<Used>,
    pool: MemoryPool,
}

/// A slot for one hash. Dropping it, also while unwinding, hands it with its work memory to the
/// thread that waits for a slot. The next hash overwrites that memory, so wiping it in between
/// would only take time from both; what a smaller hash leaves alone is wiped before it. If no
/// thread waits, the memory is wiped and returned to the pool before the slot is free.
pub(super) struct Slot<'s> {
    permit: Permit<'s, Used>,
    pool: &'s MemoryPool,
    now: Timestamp,
}

/// Work memory that a hash may have written. It is wiped when it is dropped.
struct Used(Vec<Block>);

impl Slots {
    /// For hashes that take `blocks` KiB; at least one slot.
    pub(super) fn new(slots: usize, blocks: usize) -> Self {
        let gate = Gate::new(slots, usize::MAX);
        let pool = MemoryPool::new(blocks, gate.slots());
        Self { gate, pool }
    }

    pub(super) fn count(&self) -> usize {
        self.gate.slots()
    }

    pub(super) fn wait(&self, now: Timestamp) -> Slot<'_> {
        Slot { permit: self.gate.wait(), pool: &self.pool, now }
    }

    pub(super) fn load(&self) -> Load {
        self.gate.load()
    }

    pub(super) const fn pool(&self) -> &MemoryPool {
        &self.pool
    }
}

impl Slot<'_> {
    /// Work memory of at least `blocks` KiB. Its content is undefined.
    pub(super) fn memory(&mut self, blocks: usize) -> Result<&mut [Block]> {
        if self.permit.carried.as_ref().is_some_and(|used| used.0.len() < blocks) {
            self.put_back();
        }
        let memory = match self.permit.carried.take() {
            Some(mut used) => {
                // The hash overwrites no more than it needs.
                used.wipe_from(blocks);
                used
            }
            None => Used(self.pool.take(blocks)?),
        };
        Ok(&mut self.permit.carried.insert(memory).0)
    }

    /// Wipes the work memory, if it has any, and returns it to the pool.
    pub(super) fn put_back(&mut self) {
        if let Some(mut used) = self.permit.carried.take() {
            used.wipe();
            self.pool.keep(std::mem::take(&mut used.0), self.now);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        // A larger buffer, for a costlier stored hash, is not handed on.
        let is_usual = |used: &Used| used.0.len() == self.pool.blocks;
        if !self.permit.carried.as_ref().is_some_and(is_usual) || !self.permit.hand_on() {
            self.put_back();
        }
    }
}

impl Used {
    /// Takes about 0.4 ms for 19 MiB; the hash takes 13 ms.
    fn wipe(&mut self) {
        self.wipe_from(0);
    }

    fn wipe_from(&mut self, first: usize) {
        self.0.iter_mut().skip(first).for_each(Zeroize::zeroize);
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Prints the size only, never work memory.
impl fmt::Debug for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Used({} KiB)", self.0.len())
    }
}

impl MemoryPool {
    fn new(blocks: usize, kept_max: usize) -> Self {
        Self { blocks, kept_max, idle: Mutex::default(), idle_count: AtomicUsize::new(0) }
    }

    /// A buffer of at least `blocks` KiB.
    fn take(&self, blocks: usize) -> Result<Vec<Block>> {
        let pooled = if blocks <= self.blocks { self.take_idle() } else { None };
        pooled.map_or_else(|| allocate(blocks.max(self.blocks)), Ok)
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

fn allocate(blocks: usize) -> Result<Vec<Block>> {
    let mut buffer = Vec::new();
    // Too little memory is an error here; `vec!` would abort the process.
    buffer.try_reserve_exact(blocks).map_err(|_| {
        Error::new(ErrorKind::OutOfMemory, "there is not enough memory to hash a password")
    })?;
    buffer.resize(blocks, Block::new());
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
    }

    /// Takes a slot and memory of this size, and writes all of it.
    fn used(slots: &Slots, blocks: usize, now: Timestamp) -> Slot<'_> {
        let mut slot = slots.wait(now);
        slot.memory(blocks).unwrap().iter_mut().for_each(|block| block.as_mut().fill(u64::MAX));
        slot
    }

    fn is_zero(blocks: &[Block]) -> bool {
        blocks.iter().all(|block| block.as_ref().iter().all(|&word| word == 0))
    }

    #[track_caller]
    fn check_wiped(slots: &Slots, buffers: usize) {
        let idle = slots.pool.idle.lock();
        assert_eq!(idle.len(), buffers);
        assert!(idle.iter().all(|buffer| is_zero(&buffer.blocks)));
    }

    /// What `then` returns in a second thread, which had to wait for the only slot.
    fn after_a_wait<T: Send>(slots: &Slots, then: impl FnOnce(Slot<'_>) -> T + Send) -> T {
        let first = used(slots, 8, at(0));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| then(slots.wait(at(0))));
            while slots.load().waiting == 0 {
                thread::yield_now();
            }
            drop(first);
            waiter.join().unwrap()
        })
    }

    #[test]
    fn an_allocation_that_fails_is_out_of_memory() {
        let error = allocate(usize::MAX / size_of::<Block>()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert!(error.advice().contains("max_concurrent_hashes"), "{}", error.advice());
    }

    #[test]
    fn memory_that_no_hash_waits_for_is_wiped_and_used_again() {
        let slots = Slots::new(1, 64);
        let mut slot = used(&slots, 64, at(0));
        let place = slot.memory(64).unwrap().as_ptr();
        drop(slot);
        check_wiped(&slots, 1);
        assert_eq!(slots.wait(at(1)).memory(16).unwrap().as_ptr(), place);
    }

    #[test]
    fn memory_goes_unwiped_to_the_hash_that_waits_and_is_wiped_after_it() {
        let slots = Slots::new(1, 8);
        let words = after_a_wait(&slots, |mut slot| {
            let memory = slot.memory(8).unwrap();
            memory.iter().map(|block| block.as_ref()[0]).collect::<Vec<_>>()
        });
        assert_eq!(words, [u64::MAX; 8]);
        check_wiped(&slots, 1);
    }

    /// A stored hash of a lower cost takes less than there is.
    #[test]
    fn memory_that_the_next_hash_leaves_alone_is_wiped_before_it() {
        let slots = Slots::new(1, 8);
        after_a_wait(&slots, |mut slot| {
            let memory = slot.memory(3).unwrap();
            assert_eq!(memory[2].as_ref()[0], u64::MAX);
            assert!(memory.len() == 8 && is_zero(&memory[3..]));
        });
        check_wiped(&slots, 1);
    }

    #[test]
    fn memory_that_the_waiting_caller_does_not_use_is_wiped() {
        let slots = Slots::new(1, 8);
        // One that fails before it hashes, one that needs more, and one that needs none.
        after_a_wait(&slots, |slot| assert!(slot.permit.carried.is_some()));
        check_wiped(&slots, 1);
        after_a_wait(&slots, |mut slot| {
            assert_eq!(slot.memory(9).unwrap().len(), 9);
            check_wiped(&slots, 1);
        });
        check_wiped(&slots, 1);
        after_a_wait(&slots, |mut slot| {
            slot.put_back();
            check_wiped(&slots, 1);
        });
    }

    #[test]
    fn memory_that_was_handed_to_no_thread_is_wiped() {
        let mut lost = Used(vec![Block::new(); 2]);
        lost.0[1].as_mut().fill(u64::MAX);
        lost.wipe();
        assert!(is_zero(&lost.0));
    }

    #[test]
    fn memory_of_a_caller_that_panics_is_wiped() {
        let slots = Slots::new(1, 8);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _slot = used(&slots, 8, at(0));
            panic!("a caller's own bug");
        }));
        assert!(unwound.is_err());
        check_wiped(&slots, 1);
    }

    #[test]
    fn no_more_buffers_are_kept_than_may_be_in_use() {
        let pool = MemoryPool::new(8, 2);
        (0..3).for_each(|_| pool.keep(vec![Block::new(); 8], at(0)));
        assert_eq!(pool.idle_buffers(), 2);
    }

    #[test]
    fn a_buffer_for_a_costlier_hash_is_neither_kept_nor_handed_on() {
        let slots = Slots::new(1, 8);
        drop(used(&slots, 9, at(0)));
        assert_eq!(slots.pool.idle_buffers(), 0);
        let first = used(&slots, 9, at(0));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| slots.wait(at(0)).memory(8).unwrap().len());
            while slots.load().waiting == 0 {
                thread::yield_now();
            }
            drop(first);
            assert_eq!(waiter.join().unwrap(), 8);
        });
    }

    #[test]
    fn a_buffer_is_freed_after_a_minute_without_use() {
        let slots = Slots::new(2, 8);
        drop((used(&slots, 8, at(0)), used(&slots, 8, at(0))));
        drop(used(&slots, 8, at(30)));
        let pool = slots.pool();
        pool.release_idle(at(59));
        assert_eq!(pool.idle_buffers(), 2);
        pool.release_idle(at(60));
        assert_eq!(pool.idle_buffers(), 1);
        pool.release_idle(at(90));
        assert_eq!(pool.idle_buffers(), 0);
    }

    #[test]
    fn a_clock_set_back_keeps_a_buffer_for_a_minute_more_at_most() {
        let slots = Slots::new(1, 8);
        drop(used(&slots, 8, at(1_000_000)));
        let pool = slots.pool();
        pool.release_idle(at(0));
        assert_eq!(pool.idle_buffers(), 1);
        pool.release_idle(at(60));
        assert_eq!(pool.idle_buffers(), 0);
    }
}
