//! Revocations that the file does not hold yet, and which this process enforces from memory.
//!
//! A disk that is full, or failing, must not keep a session or key alive: when a revocation cannot
//! be written, the caller is told so, and every verify of this process refuses the credential all
//! the same. The revocation is written before anything else is, as soon as there is room.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::{Reason, Result};
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
    /// Copied on write: a verify takes the whole list along.
    waiting: Mutex<Arc<Vec<Arc<Denial>>>>,
}

/// A revocation that is not written yet.
pub(crate) struct Denial {
    pub(crate) target: Target,
    /// What it ends once it is written.
    pub(crate) ends: Ends,
    /// What is refused meanwhile.
    pub(crate) refuses: Ends,
    /// Who asked for it.
    pub(crate) actor: Actor,
    pub(crate) write: Write,
}

/// Writes the revocation of a target; answers whether there was anything left to end. The
/// statements belong to higher floors, so they are handed down.
pub(crate) type Write = Box<dyn Fn(&WriteTx<'_>, Target) -> Result<bool> + Send + Sync>;

/// The denials at one moment.
#[derive(Debug, Default)]
pub(crate) struct Known(Option<Arc<Vec<Arc<Denial>>>>);

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
        self.take_along()
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// From now on it is refused. It takes the place of an older denial of the same.
    pub(crate) fn deny(&self, denial: Denial) {
        let mut target = denial.target;
        self.change(|waiting| {
            waiting.retain(|known| {
                if (known.ends, known.refuses) != (denial.ends, denial.refuses) {
                    return true;
                }
                match known.target.merged(target) {
                    Some(both) => target = both,
                    None => return true,
                }
                false
            });
            waiting.push(Arc::new(Denial { target, ..denial }));
        });
    }

    /// Hands each denial to `write`, and forgets those that were written. One that the rows of its
    /// target do not let be written goes on to be refused, and keeps nothing else from the file.
    pub(crate) fn settle(&self, write: impl Fn(&Denial) -> Result<()>) -> Result<()> {
        // Not locked meanwhile: verifies look at it.
        for denial in self.known().0.iter().flat_map(|known| known.iter()) {
            match write(denial) {
                Ok(()) => {
                    self.change(|waiting| waiting.retain(|other| !Arc::ptr_eq(other, denial)));
                }
                Err(error) if matches!(error.reason(), Reason::Corrupt | Reason::Invalid) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this very denial still waits to be written.
    pub(crate) fn waits(&self, denial: &Denial) -> bool {
        self.waiting.lock().iter().any(|other| std::ptr::eq(&raw const **other, denial))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Denial>>)) {
        let mut waiting = self.waiting.lock();
        change(Arc::make_mut(&mut waiting));
        self.count.store(waiting.len(), Ordering::Release);
    }

    #[cold]
    fn take_along(&self) -> Known {
        Known(Some(Arc::clone(&self.waiting.lock())))
    }
}

impl Known {
    /// Whether the credential of these facts is refused at `now`.
    #[inline]
    pub(crate) fn cover(&self, facts: &Facts, now: impl FnOnce() -> Timestamp) -> bool {
        self.0.as_ref().is_some_and(|known| look_up(known, facts, now()))
    }
}

#[cold]
fn look_up(known: &[Arc<Denial>], facts: &Facts, now: Timestamp) -> bool {
    known.iter().any(|denial| denial.target.reaches(denial.refuses, facts, now))
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::value::id::{ApiKeyId, UserId};

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const NONE: Ends = Ends { sessions: false, keys: false, tokens: false };
    const ALL: Ends = Ends { sessions: true, keys: true, tokens: true };

    fn denial(target: Target, ends: Ends) -> Denial {
        let write = Box::new(|_: &WriteTx<'_>, _| Ok(true));
        Denial { target, ends, refuses: ALL, actor: Actor::Host, write }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_denial_takes_the_place_of_the_same_and_of_no_stronger_one() {
        let denials = Denials::default();
        denials.deny(denial(Target::User(ADA), ALL));
        denials.deny(denial(Target::User(ADA), NONE));
        assert_eq!(denials.count(), 2);
        denials.deny(denial(Target::User(ADA), ALL));
        assert_eq!(denials.count(), 2);
    }

    #[test]
    fn keys_that_are_denied_twice_are_denied_from_the_earlier_moment() {
        let key = Facts { api_key: Some(ApiKeyId::from_bytes([2; 16])), ..Facts::for_tests(ADA) };
        for [first, second] in [[5, 9], [9, 5]] {
            let denials = Denials::default();
            denials.deny(denial(Target::ApiKeysOf { user: ADA, from: at(first) }, NONE));
            denials.deny(denial(Target::ApiKeysOf { user: ADA, from: at(second) }, NONE));
            assert_eq!(denials.count(), 1);
            assert!(
                !denials.known().cover(&key, || at(4)) && denials.known().cover(&key, || at(5))
            );
        }
    }

    #[test]
    fn a_denial_that_cannot_be_written_keeps_no_other_from_the_file() {
        let denials = Denials::default();
        denials.deny(denial(Target::User(ADA), ALL));
        denials.deny(denial(Target::Store, ALL));
        let fail_at_ada = |reason: Reason| {
            denials.settle(|denial| match denial.target {
                Target::User(_) => Err(Error::new(reason, "for the test")),
                _ => Ok(()),
            })
        };
        for reason in [Reason::Full, Reason::Busy, Reason::Closed] {
            assert_eq!(fail_at_ada(reason).unwrap_err().reason(), reason);
            assert_eq!(denials.count(), 2);
        }
        fail_at_ada(Reason::Corrupt).unwrap();
        assert_eq!(denials.count(), 1);
        fail_at_ada(Reason::Invalid).unwrap();
        assert!(denials.known().cover(&Facts::for_tests(ADA), || at(1)));
    }

    /// Another thread has taken the list along, and comes to the denial when it is written.
    #[test]
    fn a_denial_that_was_written_does_not_wait_to_be_written_again() {
        let denials = Denials::default();
        denials.deny(denial(Target::Store, ALL));
        let taken_along = denials.known().0.unwrap();
        let waits = |denial: &Arc<Denial>| denials.waits(denial);
        assert!(taken_along.iter().all(waits));
        denials.settle(|_| Ok(())).unwrap();
        assert!(!taken_along.iter().any(waits));
        assert_eq!(denials.count(), 0);
    }
}
