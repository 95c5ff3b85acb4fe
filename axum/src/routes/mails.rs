//! The mails of password resets that are being sent or wait for it: so few that a mail server that
//! does not answer takes neither the threads of the logins nor the memory.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatepost::sessions::ResetMail;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many are sent at a time. Each takes one of the threads on which calls may wait. A runtime
/// has 512 of them by default, and each login needs one.
const SENT_AT_ONCE: usize = 4;
/// How many more wait at most.
const WAITING_MAX: usize = 256;

pub(super) struct Mails<F> {
    send: F,
    /// A mail that is being sent has a permit.
    turns: Arc<Semaphore>,
    waiting: Mutex<VecDeque<ResetMail>>,
}

impl<F: Fn(ResetMail) + Send + Sync + 'static> Mails<F> {
    pub(super) fn new(send: F) -> Self {
        let turns = Arc::new(Semaphore::new(SENT_AT_ONCE));
        Self { send, turns, waiting: Mutex::default() }
    }

    /// Sends the mail on this thread, which is one of a runtime and may wait. If enough others are
    /// being sent, it waits for the end of one, without a thread; if too many wait, it is dropped.
    pub(super) fn take(self: &Arc<Self>, mail: ResetMail) {
        let mut waiting = self.waiting();
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            drop(waiting);
            self.send(mail, turn);
        } else if let Some(before) = waiting.iter_mut().find(|before| before.user == mail.user) {
            // Its link ended with the request of this one.
            *before = mail;
        } else if waiting.len() < WAITING_MAX {
            waiting.push_back(mail);
        } else {
            drop(waiting);
            tracing::error!(
                advice = "Find out why mails are sent so slowly.",
                "a mail of a password reset is dropped: {WAITING_MAX} others wait to be sent"
            );
        }
    }

    fn send(self: &Arc<Self>, mail: ResetMail, turn: OwnedSemaphorePermit) {
        // The program's hook reports a panic. It must not keep the mails that wait.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.send)(mail)));
        let mut waiting = self.waiting();
        match waiting.pop_front() {
            Some(next) => {
                let mails = Arc::clone(self);
                // Not in a loop: a runtime that ends waits for what has begun, and drops the rest.
                tokio::task::spawn_blocking(move || mails.send(next, turn));
            }
            // Before `waiting` is unlocked: a mail that began to wait now would wait for ever.
            None => drop(turn),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<ResetMail>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
