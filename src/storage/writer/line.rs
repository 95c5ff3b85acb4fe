//! Who may write, in the order in which they came.
//!
//! The right to write is a value, the [`Baton`], which holds the connection. At any instant it is
//! in exactly one place, and whoever moves it looks at the queue under the same lock:
//!
//! | the baton | who moves it on | a newcomer |
//! |---|---|---|
//! | lies here; then nobody waits | the next who enters takes it | takes it |
//! | is out with a thread | that thread: to the next in line, or back here | queues |
//! | is on its way to a seat out of the queue | that seat's thread, which must take it | queues |
//! | is gone: the writer is closed | nobody | is told so |
//!
//! It is put down here only by who sees an empty queue under the lock, and one queues only who sees
//! under the lock that it is out: so nobody waits while it lies here. A seat leaves the queue once,
//! under the lock: either its owner gives up and takes it out, or the baton is sent to it. An owner
//! whose time is over and who is not in the queue any more waits for what is on its way, or the
//! baton would be lost. Nobody overtakes: whoever finds others waiting queues behind them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::super::connection::Stopwatch;
use super::group::{Baton, Group};
use crate::error::{Error, Reason, Result};

#[derive(Debug)]
pub(super) struct Line {
    hall: Mutex<Hall>,
    waiting_max: usize,
}

#[derive(Debug)]
struct Hall {
    baton: Place,
    queue: VecDeque<Arc<Seat>>,
    /// The thread that has the baton, to tell waiting for others from waiting for oneself.
    holder: Option<ThreadId>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one")]
enum Place {
    Here(Baton),
    Out,
    Gone,
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Seat {
    thread: ThreadId,
    /// Whether it may write in the transaction of others.
    joins: bool,
    handed: Mutex<Option<Handed>>,
    bell: Condvar,
}

/// What a thread has waited for.
#[derive(Debug)]
pub(super) enum Handed {
    /// No transaction is open.
    Lead(Baton),
    /// Others have written in this transaction before.
    Join(Group),
    /// The writer was closed.
    Closed,
}

impl Line {
    /// At most `waiting_max` threads wait; the next is `Busy` at once.
    pub(super) fn new(baton: Baton, waiting_max: usize) -> Self {
        let hall = Hall { baton: Place::Here(baton), queue: VecDeque::new(), holder: None };
        Self { hall: Mutex::new(hall), waiting_max }
    }

    /// Waits for the baton until `wait` is over, counted from the start of `waiting`.
    ///
    /// # Errors
    /// `Busy`, `Misuse` inside a write of the same thread, `Closed`.
    pub(super) fn enter(&self, waiting: Stopwatch, wait: Duration, joins: bool) -> Result<Handed> {
        let mut hall = self.hall.lock();
        let here = thread::current().id();
        match std::mem::replace(&mut hall.baton, Place::Out) {
            Place::Here(baton) => {
                hall.holder = Some(here);
                return Ok(Handed::Lead(baton));
            }
            Place::Gone => {
                hall.baton = Place::Gone;
                return Err(closed());
            }
            Place::Out => {}
        }
        if hall.holder == Some(here) {
            return Err(Error::misuse("a call to the store was made inside a write of its own"));
        }
        if hall.queue.len() >= self.waiting_max {
            let busy = Error::new(Reason::Busy, "too many threads wait to write");
            return Err(busy.waited(waiting.elapsed()));
        }
        let seat =
            Arc::new(Seat { thread: here, joins, handed: Mutex::new(None), bell: Condvar::new() });
        hall.queue.push_back(Arc::clone(&seat));
        drop(hall);
        match self.wait(&seat, waiting, wait) {
            Some(Handed::Closed) => Err(closed()),
            Some(handed) => Ok(handed),
            None => {
                let busy = Error::new(Reason::Busy, "another thread is writing");
                Err(busy.waited(waiting.elapsed()))
            }
        }
    }

    /// The baton, if it lies here.
    pub(super) fn try_enter(&self) -> Option<Baton> {
        let mut hall = self.hall.lock();
        match std::mem::replace(&mut hall.baton, Place::Out) {
            Place::Here(baton) => {
                hall.holder = Some(thread::current().id());
                Some(baton)
            }
            elsewhere => {
                hall.baton = elsewhere;
                None
            }
        }
    }

    /// Hands the group to the next in line; answers it if nobody is there who may join.
    pub(super) fn pass_on(&self, group: Group) -> Option<Group> {
        let mut hall = self.hall.lock();
        if !hall.queue.front().is_some_and(|seat| seat.joins) {
            return Some(group);
        }
        let Some(seat) = hall.next() else {
            return Some(group);
        };
        drop(hall);
        seat.hand(Handed::Join(group));
        None
    }

    /// Hands the baton to the next in line, who leads, or puts it down.
    pub(super) fn hand_on(&self, baton: Baton) {
        let mut hall = self.hall.lock();
        match hall.next() {
            Some(seat) => {
                drop(hall);
                seat.hand(Handed::Lead(baton));
            }
            None => {
                hall.holder = None;
                hall.baton = Place::Here(baton);
            }
        }
    }

    /// What the holder does instead of handing on: the baton is gone for ever.
    pub(super) fn shut(&self) {
        let mut hall = self.hall.lock();
        hall.baton = Place::Gone;
        hall.holder = None;
        let waiting = std::mem::take(&mut hall.queue);
        drop(hall);
        for seat in waiting {
            seat.hand(Handed::Closed);
        }
    }

    /// Whether the calling thread has the baton.
    pub(super) fn is_held_here(&self) -> bool {
        self.hall.lock().holder == Some(thread::current().id())
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.hall.lock().queue.len()
    }

    #[cfg(test)]
    pub(super) fn is_out(&self) -> bool {
        matches!(self.hall.lock().baton, Place::Out)
    }

    /// Takes the next out of the queue; the baton is not yet sent.
    #[cfg(test)]
    pub(super) fn call_next(&self) -> Option<Arc<Seat>> {
        self.hall.lock().next()
    }

    /// None if the time was over first.
    fn wait(&self, seat: &Arc<Seat>, waiting: Stopwatch, wait: Duration) -> Option<Handed> {
        let mut handed = seat.handed.lock();
        loop {
            if let Some(handed) = handed.take() {
                return Some(handed);
            }
            let left = waiting.left_of(wait);
            if !left.is_zero() {
                seat.bell.wait_for(&mut handed, left);
                continue;
            }
            drop(handed);
            if self.hall.lock().give_up(seat) {
                return None;
            }
            // The baton was on its way: it is taken, or nobody would.
            handed = seat.handed.lock();
            while handed.is_none() {
                seat.bell.wait(&mut handed);
            }
        }
    }
}

impl Hall {
    fn next(&mut self) -> Option<Arc<Seat>> {
        let seat = self.queue.pop_front()?;
        self.holder = Some(seat.thread);
        Some(seat)
    }

    fn give_up(&mut self, seat: &Arc<Seat>) -> bool {
        let Some(at) = self.queue.iter().position(|waiting| Arc::ptr_eq(waiting, seat)) else {
            return false;
        };
        self.queue.remove(at).is_some()
    }
}

impl Seat {
    pub(super) fn hand(&self, what: Handed) {
        *self.handed.lock() = Some(what);
        self.bell.notify_one();
    }
}

pub(super) fn closed() -> Error {
    Error::new(Reason::Closed, "the store is closed")
}
