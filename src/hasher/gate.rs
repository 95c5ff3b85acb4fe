//! How many may hash at once, and how many may wait for their turn.

use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::value::limits::HASH_ESTIMATE_MS;

/// A bounded queue before a bounded number of slots, first come, first served.
///
/// A slot that becomes free is handed to the longest waiting thread, and a newcomer queues
/// behind those who wait, so that nobody starves.
#[derive(Debug)]
pub(super) struct Gate {
    slots: usize,
    waiting_max: usize,
    state: Mutex<State>,
    handed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Slots in use, those handed over and not yet picked up included.
    running: usize,
    /// Threads that wait, those included whose slot is handed over and not yet picked up.
    waiting: usize,
    /// Slots handed to the queue and not yet picked up.
    handed: usize,
    overloaded: u64,
}

impl State {
    fn queued(&self) -> usize {
        self.waiting - self.handed
    }

    fn has_room(&self, slots: usize) -> bool {
        self.running < slots && self.queued() == 0
    }
}

/// A slot in use. Dropping it, also while unwinding, hands it on.
#[derive(Debug)]
pub(super) struct Slot<'g>(&'g Gate);

/// A glance at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) overloaded: u64,
}

impl Gate {
    pub(super) fn new(slots: usize, waiting_max: usize) -> Self {
        let slots = slots.max(1);
        Self { slots, waiting_max, state: Mutex::default(), handed: Condvar::new() }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Waits for a slot, or says after how long to ask again if too many wait already.
    pub(super) fn enter(&self) -> Result<Slot<'_>, Duration> {
        let mut state = self.state.lock();
        let queued = state.queued();
        if !state.has_room(self.slots) && queued >= self.waiting_max {
            state.overloaded += 1;
            return Err(self.retry_after(queued));
        }
        Ok(self.take(state))
    }

    /// Waits for a slot, however many wait: for callers whose number is bounded elsewhere.
    pub(super) fn wait(&self) -> Slot<'_> {
        self.take(self.state.lock())
    }

    fn take(&self, mut state: MutexGuard<'_, State>) -> Slot<'_> {
        if state.has_room(self.slots) {
            state.running += 1;
            return Slot(self);
        }
        state.waiting += 1;
        loop {
            // Wait first, look second: a slot handed over by now is meant for another thread.
            self.handed.wait(&mut state);
            if state.handed > 0 {
                break;
            }
        }
        state.handed -= 1;
        state.waiting -= 1;
        Slot(self)
    }

    pub(super) fn load(&self) -> Load {
        let state = self.state.lock();
        Load { running: state.running, waiting: state.queued(), overloaded: state.overloaded }
    }

    fn leave(&self) {
        let mut state = self.state.lock();
        if state.waiting > state.handed {
            state.handed += 1;
            self.handed.notify_one();
        } else {
            state.running -= 1;
        }
    }

    /// Whole seconds, at least one: the rest of the queue must drain before asking is worth it.
    fn retry_after(&self, queued: usize) -> Duration {
        let rounds = u64::try_from(queued.div_ceil(self.slots)).unwrap_or(u64::MAX);
        let estimate_ms = rounds.saturating_add(1).saturating_mul(HASH_ESTIMATE_MS);
        Duration::from_secs(estimate_ms.div_ceil(1_000).max(1))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.leave();
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
    fn one_more_than_may_wait_is_told_to_come_back() {
        let gate = Gate::new(1, 1);
        let held = gate.enter().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(gate.enter().unwrap()));
            until(|| gate.load().waiting == 1);
            assert_eq!(gate.enter().unwrap_err(), Duration::from_secs(1));
            assert_eq!(gate.load(), Load { running: 1, waiting: 1, overloaded: 1 });
            drop(held);
            waiter.join().unwrap();
        });
        assert_eq!(gate.load(), Load { running: 0, waiting: 0, overloaded: 1 });
    }

    #[test]
    fn who_has_been_handed_a_slot_waits_no_more_and_keeps_nobody_out() {
        let gate = Gate::new(2, 1);
        *gate.state.lock() = State { running: 1, waiting: 1, handed: 1, overloaded: 0 };
        assert_eq!(gate.load(), Load { running: 1, waiting: 0, overloaded: 0 });
        drop(gate.enter().unwrap());
        assert_eq!(gate.load(), Load { running: 1, waiting: 0, overloaded: 0 });
    }

    #[test]
    fn who_wakes_without_a_slot_goes_on_waiting() {
        let gate = Gate::new(1, 1);
        let held = gate.enter().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(gate.enter().unwrap()));
            until(|| gate.load().waiting == 1);
            let state = gate.state.lock();
            gate.handed.notify_one();
            // The lock goes to whoever was woken, so that it has looked before anything follows.
            MutexGuard::unlock_fair(state);
            assert_eq!(gate.load(), Load { running: 1, waiting: 1, overloaded: 0 });
            drop(held);
            waiter.join().unwrap();
        });
        assert_eq!(gate.load(), Load { running: 0, waiting: 0, overloaded: 0 });
    }

    #[test]
    fn slots_go_to_those_who_wait_in_the_order_they_came() {
        let gate = Gate::new(1, 8);
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
        let gate = Gate::new(3, 1_000);
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
        assert_eq!(gate.load(), Load { running: 0, waiting: 0, overloaded: 0 });
    }

    #[test]
    fn a_slot_comes_back_from_a_caller_that_panics() {
        let gate = Gate::new(1, 0);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _slot = gate.enter().unwrap();
            panic!("a caller's own bug");
        }));
        assert!(unwound.is_err());
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn a_gate_of_no_slots_has_one() {
        assert!(Gate::new(0, 0).enter().is_ok());
    }

    #[test]
    fn the_wait_is_estimated_from_the_queue_in_whole_seconds() {
        let gate = Gate::new(2, 64);
        assert_eq!(gate.retry_after(0), Duration::from_secs(1));
        assert_eq!(gate.retry_after(64), Duration::from_secs(2));
        assert_eq!(Gate::new(1, 64).retry_after(64), Duration::from_secs(4));
        assert!(Gate::new(1, 64).retry_after(usize::MAX) > Duration::from_secs(1));
    }
}
