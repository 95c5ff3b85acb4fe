//! What could not be ended in the file and is refused from memory until it is.
//!
//! A disk that is full, or failing, must not keep a session alive. Whoever ended something and was
//! told that it could not be written finds it refused all the same, by every verify of this
//! process. It is written before anything else is, as soon as there is room.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::Result;
use crate::storage::WriteTx;
use crate::value::facts::Facts;
use crate::value::id::{BranchId, OrganisationId, SessionId, UserId};

/// The ends of one process that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    /// How many there are, so that a verify asks for nothing else while there are none.
    count: AtomicUsize,
    ends: Mutex<Vec<Arc<Denial>>>,
}

/// Something that has ended, and is not written yet.
pub(crate) struct Denial {
    pub(crate) whom: Whom,
    /// Whether API keys are refused as well.
    pub(crate) keys: bool,
    /// Writes it; answers whether there was anything left to end.
    #[expect(clippy::type_complexity, reason = "what is known on higher floors alone")]
    pub(crate) write: Box<dyn Fn(&WriteTx<'_>) -> Result<bool> + Send + Sync>,
}

/// Whose sessions have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Session(SessionId),
    User(UserId),
    /// All of a user's but one.
    Others(UserId, SessionId),
    Branch(BranchId),
    Organisation(OrganisationId),
    Everyone,
}

impl Denied {
    /// Whether the holder of these facts is refused.
    #[inline]
    pub(crate) fn covers(&self, facts: &Facts) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.look_up(facts)
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// From now on it is refused.
    pub(crate) fn deny(&self, denial: Denial) {
        let mut ends = self.ends.lock();
        ends.retain(|end| end.whom != denial.whom || (end.keys && !denial.keys));
        ends.push(Arc::new(denial));
        self.count.store(ends.len(), Ordering::Release);
    }

    /// Hands each end to `write`, and forgets those that were written.
    pub(crate) fn settle(&self, write: impl Fn(&Denial) -> Result<()>) -> Result<()> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        // Not locked meanwhile: verifies look at it.
        let waiting = self.ends.lock().clone();
        for end in waiting {
            write(&end)?;
            let mut ends = self.ends.lock();
            ends.retain(|other| !Arc::ptr_eq(other, &end));
            self.count.store(ends.len(), Ordering::Release);
        }
        Ok(())
    }

    #[cold]
    fn look_up(&self, facts: &Facts) -> bool {
        self.ends.lock().iter().any(|end| {
            let of_kind = facts.session.is_some() || end.keys;
            of_kind && end.whom.has(facts)
        })
    }
}

impl Whom {
    fn has(self, facts: &Facts) -> bool {
        match self {
            Self::Session(session) => facts.session == Some(session),
            Self::User(user) => facts.user == user,
            Self::Others(user, kept) => facts.user == user && facts.session != Some(kept),
            Self::Branch(branch) => facts.branch == Some(branch),
            Self::Organisation(organisation) => facts.organisation == Some(organisation),
            Self::Everyone => true,
        }
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("whom", &self.whom).finish_non_exhaustive()
    }
}
