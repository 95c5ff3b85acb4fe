//! Revocations that the file does not hold yet, and which this process enforces from memory.
//!
//! A disk that is full, or failing, must not keep a session or key alive: when a revocation cannot
//! be written, the caller is told so, and every verify of this process refuses the credential all
//! the same. The revocation is written before anything else is, as soon as there is room.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::event::Actor;
use crate::value::facts::Facts;
use crate::value::target::{Ends, Target};
use crate::value::time::Timestamp;

/// The revocations of one process that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    /// How many there are, so that a verify asks for nothing else while there are none.
    count: AtomicUsize,
    waiting: Mutex<Vec<Arc<Denial>>>,
}

/// A revocation that is not written yet.
pub(crate) struct Denial {
    pub(crate) target: Target,
    /// The kinds of credentials that are refused meanwhile.
    pub(crate) refuses: Ends,
    /// Who asked for it.
    pub(crate) actor: Actor,
    pub(crate) write: Write,
}

/// Writes a revocation; answers whether there was anything left to end. The statements belong to
/// higher floors, so they are handed down.
pub(crate) type Write = Box<dyn Fn(&WriteTx<'_>) -> Result<bool> + Send + Sync>;

/// The denials at one moment.
#[derive(Debug, Default)]
pub(crate) struct Known(Vec<Arc<Denial>>);

impl Denials {
    /// The denials as they are now.
    ///
    /// A verify takes them before it looks at the file and asks them again afterwards: a denial
    /// that is written meanwhile is in neither the file as it was read nor the list as it is then.
    #[inline]
    pub(crate) fn known(&self) -> Known {
        // Acquire: what the file says is read after this.
        if self.count.load(Ordering::Acquire) == 0 {
            return Known::default();
        }
        self.clone_waiting()
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// From now on it is refused.
    pub(crate) fn deny(&self, denial: Denial) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|known| known.target != denial.target || known.refuses != denial.refuses);
        waiting.push(Arc::new(denial));
        self.count.store(waiting.len(), Ordering::Release);
    }

    /// Hands each denial to `write`, and forgets those that were written.
    pub(crate) fn settle(&self, write: impl Fn(&Denial) -> Result<()>) -> Result<()> {
        // Not locked meanwhile: verifies look at it.
        for denial in self.known().0 {
            write(&denial)?;
            let mut waiting = self.waiting.lock();
            waiting.retain(|other| !Arc::ptr_eq(other, &denial));
            self.count.store(waiting.len(), Ordering::Release);
        }
        Ok(())
    }

    #[cold]
    fn clone_waiting(&self) -> Known {
        Known(self.waiting.lock().clone())
    }
}

impl Known {
    /// Whether the credential of these facts is refused at `now`.
    #[inline]
    pub(crate) fn cover(&self, facts: &Facts, now: impl FnOnce() -> Timestamp) -> bool {
        !self.0.is_empty() && self.look_up(facts, now())
    }

    #[cold]
    fn look_up(&self, facts: &Facts, now: Timestamp) -> bool {
        self.0.iter().any(|denial| denial.target.reaches(denial.refuses, facts, now))
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("target", &self.target).finish_non_exhaustive()
    }
}
