//! The queue of threads that wait to write, first come, first served.
//!
//! The right to write is a value, the [`Baton`], which owns the write connection. It is always in
//! exactly one place, and every move of it happens under the lock of the queue:
//!
//! | state of the baton | next move | a thread that enters now |
//! |---|---|---|
//! | here, with an empty queue | the next thread that enters takes it | takes the baton |
//! | with a writing thread | that thread passes it to the next waiter, or puts it down | queues |
//! | sent to a waiter that has left the queue | the thread of that waiter must take it | queues |
//! | gone, because the writer is closed | the baton never moves again | fails with `Closed` |
//!
//! **Liveness.** Two rules keep every waiter served. A thread puts the baton down only if it sees
//! an empty queue under the lock, and a thread queues only if it sees under the lock that the
//! baton is out. So no thread waits while the baton is here. A waiter leaves the queue once, under
//! the lock: its own thread gives up and removes it, or the baton is sent to it. A thread that
//! gives up and finds itself no longer in the queue waits for the baton that is on its way;
//! otherwise the baton would be lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::super::connection::Stopwatch;
use super::group::{Baton, Group};
use crate::error::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct WriteQueue {
    state: Mutex<State>,
    waiting_max: usize,
}

#[derive(Debug)]
struct State {
    baton: BatonPlace,
    queue: VecDeque<Arc<Waiter>>,
    /// The thread that has the baton. A thread that waited for itself would wait for ever.
    holder: Option<ThreadId>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a queue has one BatonPlace; a box would cost each write an allocation"
)]
enum BatonPlace {
    Here(Baton),
    Out,
    Gone,
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    thread: ThreadId,
    /// Whether it may join the transaction of another thread.
    joins: bool,
    handed: Mutex<Option<Handed>>,
    changed: Condvar,
}

/// What a waiting thread is handed.
#[derive(Debug)]
pub(super) enum Handed {
    /// The baton without a transaction: the thread begins one.
    Lead(Baton),
    /// The transaction of a group, in which other threads have written.
    Join(Group),
    /// The writer was closed.
    Closed,
}

impl WriteQueue {
    /// At most `waiting_max` threads wait; the next fails with `Busy` at once.
    pub(super) fn new(baton: Baton, waiting_max: usize) -> Self {
        let state = State { baton: BatonPlace::Here(baton), queue: VecDeque::new(), holder: None };
        Self { state: Mutex::new(state), waiting_max }
    }

    /// Waits for the baton until `wait` is over, counted from the start of `waiting`.
    ///
    /// # Errors
    /// `Busy` after `wait` or if the queue is full, `Misuse` inside a write of the same thread,
    /// `Closed`.
    pub(super) fn enter(&self, waiting: Stopwatch, wait: Duration, joins: bool) -> Result<Handed> {
        let mut state = self.state.lock();
        let here = thread::current().id();
        match std::mem::replace(&mut state.baton, BatonPlace::Out) {
            BatonPlace::Here(baton) => {
                state.holder = Some(here);
                return Ok(Handed::Lead(baton));
            }
            BatonPlace::Gone => {
                state.baton = BatonPlace::Gone;
                return Err(closed());
            }
            BatonPlace::Out => {}
        }
        if state.holder == Some(here) {
            return Err(Error::misuse(
                "a call to the store was made inside a write of the same store",
            ));
        }
        if state.queue.len() >= self.waiting_max {
            let busy = Error::new(ErrorKind::Busy, "1,024 threads wait to write already");
            return Err(busy.waited(waiting.elapsed()));
        }
        let waiter = Arc::new(Waiter {
            thread: here,
            joins,
            handed: Mutex::new(None),
            changed: Condvar::new(),
        });
        state.queue.push_back(Arc::clone(&waiter));
        drop(state);
        match self.wait(&waiter, waiting, wait) {
            Some(Handed::Closed) => Err(closed()),
            Some(handed) => Ok(handed),
            None => {
                let busy = Error::new(ErrorKind::Busy, "another thread is writing");
                Err(busy.waited(waiting.elapsed()))
            }
        }
    }

    /// Takes the baton if it is here; never waits.
    pub(super) fn try_enter(&self) -> Option<Baton> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.baton, BatonPlace::Out) {
            BatonPlace::Here(baton) => {
                state.holder = Some(thread::current().id());
                Some(baton)
            }
            elsewhere => {
                state.baton = elsewhere;
                None
            }
        }
    }

    /// Hands the group to the next waiter; returns it if the queue is empty or the next waiter may
    /// not join.
    pub(super) fn pass_on(&self, group: Group) -> Option<Group> {
        let mut state = self.state.lock();
        if !state.queue.front().is_some_and(|waiter| waiter.joins) {
            return Some(group);
        }
        let Some(waiter) = state.next() else {
            return Some(group);
        };
        drop(state);
        waiter.hand(Handed::Join(group));
        None
    }

    /// Hands the baton to the next waiter, which begins a transaction, or puts it down.
    pub(super) fn hand_on(&self, baton: Baton) {
        let mut state = self.state.lock();
        match state.next() {
            Some(waiter) => {
                drop(state);
                waiter.hand(Handed::Lead(baton));
            }
            None => {
                state.holder = None;
                state.baton = BatonPlace::Here(baton);
            }
        }
    }

    /// Called by the thread that has the baton, instead of passing it on: closes the queue for
    /// ever.
    pub(super) fn shut(&self) {
        let mut state = self.state.lock();
        state.baton = BatonPlace::Gone;
        state.holder = None;
        let waiting = std::mem::take(&mut state.queue);
        drop(state);
        for waiter in waiting {
            waiter.hand(Handed::Closed);
        }
    }

    /// Whether the calling thread has the baton.
    pub(super) fn is_held_here(&self) -> bool {
        self.state.lock().holder == Some(thread::current().id())
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    #[cfg(test)]
    pub(super) fn is_out(&self) -> bool {
        matches!(self.state.lock().baton, BatonPlace::Out)
    }

    /// Takes the next waiter out of the queue, without sending it the baton.
    #[cfg(test)]
    pub(super) fn call_next(&self) -> Option<Arc<Waiter>> {
        self.state.lock().next()
    }

    /// `None` if `wait` was over before anything was handed over.
    fn wait(&self, waiter: &Arc<Waiter>, waiting: Stopwatch, wait: Duration) -> Option<Handed> {
        let mut handed = waiter.handed.lock();
        loop {
            if let Some(handed) = handed.take() {
                return Some(handed);
            }
            let left = waiting.left_of(wait);
            if !left.is_zero() {
                waiter.changed.wait_for(&mut handed, left);
                continue;
            }
            drop(handed);
            if self.state.lock().give_up(waiter) {
                return None;
            }
            // The baton is on its way to this thread, and no other thread would take it.
            handed = waiter.handed.lock();
            while handed.is_none() {
                waiter.changed.wait(&mut handed);
            }
        }
    }
}

impl State {
    fn next(&mut self) -> Option<Arc<Waiter>> {
        let waiter = self.queue.pop_front()?;
        self.holder = Some(waiter.thread);
        Some(waiter)
    }

    fn give_up(&mut self, waiter: &Arc<Waiter>) -> bool {
        let Some(at) = self.queue.iter().position(|waiting| Arc::ptr_eq(waiting, waiter)) else {
            return false;
        };
        self.queue.remove(at).is_some()
    }
}

impl Waiter {
    pub(super) fn hand(&self, what: Handed) {
        *self.handed.lock() = Some(what);
        self.changed.notify_one();
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed")
}
