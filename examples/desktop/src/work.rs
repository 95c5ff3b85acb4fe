//! Calls that may wait: each runs on a thread of its own, and its outcome comes back to the window.
//!
//! A login hashes a password and may wait 5 s for another process, so it must not run on the thread
//! that draws. One call runs at a time; until it is done the window shows that it works.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use eframe::egui::Context;

/// What the window does with the outcome of a call.
type Finish<P> = Box<dyn FnOnce(&mut P) + Send>;

/// The call that runs, if any, for the program `P`.
pub(crate) struct Work<P> {
    outcome: Option<Receiver<Finish<P>>>,
}

impl<P: 'static> Work<P> {
    pub(crate) fn none() -> Self {
        Self { outcome: None }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.outcome.is_some()
    }

    /// Runs `call` on another thread, and `finish` with its outcome on this one.
    pub(crate) fn start<T: Send + 'static>(
        &mut self,
        ctx: &Context,
        call: impl FnOnce() -> T + Send + 'static,
        finish: impl FnOnce(&mut P, T) + Send + 'static,
    ) {
        let (sender, receiver) = channel();
        let ctx = ctx.clone();
        self.outcome = Some(receiver);
        thread::spawn(move || {
            let outcome = call();
            let finish: Finish<P> = Box::new(move |program| finish(program, outcome));
            // The window is gone if this fails.
            let _ = sender.send(finish);
            ctx.request_repaint();
        });
    }

    /// What to do with the outcome, once it is there. A call that panicked has none.
    pub(crate) fn finished(&mut self) -> Option<Finish<P>> {
        let outcome = match self.outcome.as_ref()?.try_recv() {
            Err(TryRecvError::Empty) => return None,
            outcome => outcome.ok(),
        };
        self.outcome = None;
        outcome
    }
}
