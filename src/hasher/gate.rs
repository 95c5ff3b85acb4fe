//! A counting semaphore with a bounded queue: how many threads may hash, and how many may wait.
//! A slot can carry something from one thread to the next.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::value::limits::HASH_ESTIMATE_MS;

/// A bounded number of slots with a bounded queue, first come, first served.
///
/// A slot that becomes free is handed to the thread that has waited longest, and a new thread
/// queues behind those that wait, so that no thread starves.
#[derive(Debug)]
pub(super) struct Gate<T = ()> {
    slots: usize,
    waiting_max: usize,
    state: Mutex<State<T>>,
    handed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// Slots in use, including those handed over and not yet picked up.
    running: usize,
    /// Waiting threads, including those whose slot is handed over and not yet picked up.
    waiting: usize,
    /// What the slots carry that were handed to waiting threads and not yet picked up.
    handed: Vec<Option<T>>,
}

impl<T> State<T> {
    fn queued(&self) -> usize {
        self.waiting - self.handed.len()
    }

    fn has_room(&self, slots: usize) -> bool {
        self.running < slots && self.queued() == 0
    }
}

/// A slot in use. Dropping it, also while unwinding, passes it on with what it carries; if no
/// thread waits, that is dropped before the slot is free.
#[derive(Debug)]
pub(super) struct Permit<'g, T = ()> {
    gate: &'g Gate<T>,
    pub(super) carried: Option<T>,
    is_handed_on: bool,
}

/// The counters of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) running: usize,
    pub(super) waiting: usize,
}

impl<T> Gate<T> {
    pub(super) fn new(slots: usize, waiting_max: usize) -> Self {
        let slots = slots.max(1);
        let state = State { running: 0, waiting: 0, handed: Vec::with_capacity(slots) };
        Self { slots, waiting_max, state: Mutex::new(state), handed: Condvar::new() }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Waits for a slot. If the queue is full, fails at once with the time after which to try
    /// again.
    pub(super) fn enter(&self) -> Result<Permit<'_, T>, Duration> {
        let state = self.state.lock();
        let queued = state.queued();
        if !state.has_room(self.slots) && queued >= self.waiting_max {
            return Err(self.retry_after(queued));
        }
        Ok(self.take(state))
    }

    /// Waits for a slot without a bound on the queue: for callers whose number is bounded
    /// elsewhere.
    pub(super) fn wait(&self) -> Permit<'_, T> {
        self.take(self.state.lock())
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>) -> Permit<'_, T> {
        if state.has_room(self.slots) {
            state.running += 1;
            return Permit::of(self, None);
        }
        state.waiting += 1;
        let carried = loop {
            // Wait first, check second: a slot that is handed over already is meant for another
            // thread.
            self.handed.wait(&mut state);
            if let Some(carried) = state.handed.pop() {
                break carried;
            }
        };
        state.waiting -= 1;
        Permit::of(self, carried)
    }

    pub(super) fn load(&self) -> Load {
        let state = self.state.lock();
        Load { running: state.running, waiting: state.queued() }
    }

    fn leave(&self) {
        let mut state = self.state.lock();
        if state.queued() > 0 {
            state.handed.push(None);
            self.handed.notify_one();
        } else {
            state.running -= 1;
        }
    }

    /// An estimate of the time until the queue is empty: whole seconds, at least one.
    fn retry_after(&self, queued: usize) -> Duration {
        let rounds = u64::try_from(queued.div_ceil(self.slots)).unwrap_or(u64::MAX);
        let estimate_ms = rounds.saturating_add(1).saturating_mul(HASH_ESTIMATE_MS);
        Duration::from_secs(estimate_ms.div_ceil(1_000).max(1))
    }
}

impl<'g, T> Permit<'g, T> {
    const fn of(gate: &'g Gate<T>, carried: Option<T>) -> Self {
        Self { gate, carried, is_handed_on: false }
    }

    /// Hands the slot with what it carries to the thread that has waited longest. If none waits,
    /// changes nothing and returns `false`.
    pub(super) fn hand_on(&mut self) -> bool {
        let mut state = self.gate.state.lock();
        self.is_handed_on = state.queued() > 0;
        if self.is_handed_on {
            state.handed.push(self.carried.take());
            self.gate.handed.notify_one();
        }
        self.is_handed_on
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if !self.is_handed_on && !self.hand_on() {
            // First, so that no more of them exist than there are slots.
            self.carried = None;
            self.gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use parking_lot::MutexGuard;

    use super::*;

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_beyond_the_bound_of_the_queue_is_refused_with_a_time() {
        let gate: Gate = Gate::new(1, 1);
        let held = gate.enter().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(gate.enter().unwrap()));
            until(|| gate.load().waiting == 1);
            assert_eq!(gate.enter().unwrap_err(), Duration::from_secs(1));
            assert_eq!(gate.load(), Load { running: 1, waiting: 1 });
            drop(held);
            waiter.join().unwrap();
        });
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }

    #[test]
    fn a_thread_with_a_slot_handed_over_does_not_count_as_waiting() {
        let gate: Gate = Gate::new(2, 1);
        *gate.state.lock() = State { running: 1, waiting: 1, handed: vec![None] };
        assert_eq!(gate.load(), Load { running: 1, waiting: 0 });
        drop(gate.enter().unwrap());
        assert_eq!(gate.load(), Load { running: 1, waiting: 0 });
    }

    #[test]
    fn a_thread_that_wakes_without_a_slot_goes_on_waiting() {
        let gate: Gate = Gate::new(1, 1);
        let held = gate.enter().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(gate.enter().unwrap()));
            until(|| gate.load().waiting == 1);
            let state = gate.state.lock();
            gate.handed.notify_one();
            // The lock goes to the woken thread, which has checked before anything follows.
            MutexGuard::unlock_fair(state);
            assert_eq!(gate.load(), Load { running: 1, waiting: 1 });
            drop(held);
            waiter.join().unwrap();
        });
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }

    #[test]
    fn slots_go_to_waiting_threads_in_the_order_they_came() {
        let gate: Gate = Gate::new(1, 8);
        let order = Mutex::new(Vec::new());
        let held = gate.enter().unwrap();
        thread::scope(|scope| {
            for place in 0..8 {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _slot = gate.enter().unwrap();
                    order.lock().push(place);
                });
                until(|| gate.load().waiting == place + 1);
            }
            drop(held);
        });
        assert_eq!(order.into_inner(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn never_more_run_than_there_are_slots() {
        let gate: Gate = Gate::new(3, 1_000);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _slot = gate.enter().unwrap();
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(gate.load(), Load { running: 0, waiting: 0 });
    }

    #[test]
    fn a_slot_comes_back_from_a_caller_that_panics() {
        let gate: Gate = Gate::new(1, 0);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _slot = gate.enter().unwrap();
            panic!("a caller's own bug");
        }));
        assert!(unwound.is_err());
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_slot_carries_to_a_thread_that_waits_and_to_no_later_one() {
        let gate = Gate::new(1, 1);
        let mut held = gate.enter().unwrap();
        assert!(!held.hand_on() && held.carried.is_none());
        held.carried = Some("from the first");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| gate.enter().unwrap().carried.take());
            until(|| gate.load().waiting == 1);
            drop(held);
            assert_eq!(waiter.join().unwrap(), Some("from the first"));
        });
        gate.enter().unwrap().carried = Some("from the second");
        assert!(gate.enter().unwrap().carried.is_none());
    }

    /// Once a slot was free before what it carried was dropped, so that the next thread made one
    /// more: of the work memory of hashes, that is 19 MiB.
    #[test]
    fn no_more_is_carried_at_once_than_there_are_slots() {
        static LIVE: AtomicUsize = AtomicUsize::new(0);
        struct Carried;
        impl Drop for Carried {
            fn drop(&mut self) {
                (0..20).for_each(|_| thread::yield_now());
                LIVE.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let gate: Gate<Carried> = Gate::new(2, 1_000);
        let most = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut slot = gate.enter().unwrap();
                        slot.carried.get_or_insert_with(|| {
                            most.fetch_max(
                                LIVE.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            Carried
                        });
                        thread::yield_now();
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
    }

    #[test]
    fn a_gate_of_no_slots_has_one() {
        assert!(<Gate>::new(0, 0).enter().is_ok());
    }

    #[test]
    fn the_wait_is_estimated_from_the_queue_in_whole_seconds() {
        let gate: Gate = Gate::new(2, 64);
        assert_eq!(gate.retry_after(0), Duration::from_secs(1));
        assert_eq!(gate.retry_after(64), Duration::from_secs(2));
        assert_eq!(<Gate>::new(1, 64).retry_after(64), Duration::from_secs(4));
        assert!(<Gate>::new(1, 64).retry_after(usize::MAX) > Duration::from_secs(1));
    }
}
