//! Denials: revocations that could not be written and that this process enforces from memory.
//!
//! A full or failing disk must not keep a session or key valid. If a revocation cannot be written,
//! its caller gets the error, and every verify of this process refuses the credential
//! nevertheless. Once there is room, denials are written before any other write.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::{ErrorKind, Result};
use crate::storage::WriteTx;
use crate::value::event::Actor;
use crate::value::principal::Principal;
use crate::value::target::{Lineage, Revokes, Target};
use crate::value::time::Timestamp;

/// The revocations of one process that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    /// Number of denials; while it is zero, a verify reads nothing else here.
    count: AtomicUsize,
    /// Copy on write: a verify keeps a reference to the whole list.
    waiting: Mutex<Arc<Vec<Arc<Denial>>>>,
}

/// A revocation that is not written yet.
pub(crate) struct Denial {
    pub(crate) target: Target,
    /// What the revocation revokes once it is written.
    pub(crate) ends: Revokes,
    /// What is refused until then.
    pub(crate) refuses: Revokes,
    /// The actor of the revocation.
    pub(crate) actor: Actor,
    pub(crate) write: Write,
}

/// Writes the revocation of a target; returns whether it revoked anything. The statements belong
/// to higher modules, which pass this function.
pub(crate) type Write = Box<dyn Fn(&WriteTx<'_>, Target) -> Result<bool> + Send + Sync>;

/// A snapshot of the denials.
#[derive(Debug, Default)]
pub(crate) struct Known(Option<Arc<Vec<Arc<Denial>>>>);

impl Denials {
    /// A snapshot of the current denials.
    ///
    /// A verify takes one snapshot before it reads the file and another one afterwards: a denial
    /// that is written in between is neither in the file as it was read nor in the second
    /// snapshot, but in the first.
    #[inline]
    pub(crate) fn known(&self) -> Known {
        if self.is_empty() { Known::default() } else { self.snapshot() }
    }

    /// Whether there are no denials now.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: the file is read after this load.
        self.count.load(Ordering::Acquire) == 0
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a denial, in force at once. It replaces an earlier denial of the same target and
    /// effect.
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

    /// Calls `write` for each denial, and removes those that were written. If the rows of a target
    /// make its denial impossible to write (`Corrupt` or `Invalid`), it stays in force and does
    /// not stop the others.
    pub(crate) fn write_all(&self, mut write: impl FnMut(&Denial) -> Result<()>) -> Result<()> {
        // The list is not locked meanwhile, as verifies read it.
        for denial in self.known().0.iter().flat_map(|known| known.iter()) {
            match write(denial) {
                Ok(()) => {
                    self.change(|waiting| waiting.retain(|other| !Arc::ptr_eq(other, denial)));
                }
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether this denial is still to be written.
    pub(crate) fn waits(&self, denial: &Denial) -> bool {
        self.waiting.lock().iter().any(|other| std::ptr::eq(&raw const **other, denial))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Denial>>)) {
        let mut waiting = self.waiting.lock();
        change(Arc::make_mut(&mut waiting));
        self.count.store(waiting.len(), Ordering::Release);
    }

    #[cold]
    fn snapshot(&self) -> Known {
        Known(Some(Arc::clone(&self.waiting.lock())))
    }
}

impl Known {
    /// Whether there are no denials.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the tickets of this principal's session are refused at `now`.
    pub(crate) fn cover_tickets(&self, principal: &Principal, now: Timestamp) -> bool {
        let known = self.0.iter().flat_map(|known| known.iter());
        let mut targets = known.map(|denial| (denial.target, denial.refuses));
        targets.any(|(target, refuses)| target.reaches_tickets(refuses, principal, now))
    }

    /// Whether the credential of this principal is refused at `now`.
    pub(crate) fn cover(&self, principal: &Principal, from: &Lineage, now: Timestamp) -> bool {
        let reaches =
            |denial: &Denial| denial.target.reaches(denial.refuses, principal, from, now);
        self.0.iter().flat_map(|known| known.iter()).any(|denial| reaches(denial))
    }
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
    use crate::value::principal::Credential;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const NONE: Revokes = Revokes { sessions: false, keys: false, tokens: false, trust: false };
    const ALL: Revokes = Revokes { sessions: true, keys: true, tokens: true, trust: true };

    fn denial(target: Target, ends: Revokes) -> Denial {
        let write = Box::new(|_: &WriteTx<'_>, _| Ok(true));
        Denial { target, ends, refuses: ALL, actor: Actor::Host, write }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_denial_replaces_an_equal_one_and_no_stronger_one() {
        let denials = Denials::default();
        denials.deny(denial(Target::User(ADA), ALL));
        denials.deny(denial(Target::User(ADA), NONE));
        assert_eq!(denials.count(), 2);
        denials.deny(denial(Target::User(ADA), ALL));
        assert_eq!(denials.count(), 2);
    }

    #[test]
    fn a_key_that_is_denied_twice_is_denied_from_the_earlier_moment() {
        let id = ApiKeyId::from_bytes([2; 16]);
        let key = Principal { credential: Credential::ApiKey(id), ..Principal::for_tests(ADA) };
        for [first, second] in [[5, 9], [9, 5]] {
            let denials = Denials::default();
            denials.deny(denial(Target::ApiKey { id, from: at(first) }, NONE));
            denials.deny(denial(Target::ApiKey { id, from: at(second) }, NONE));
            assert_eq!(denials.count(), 1);
            let is_covered = |now| denials.known().cover(&key, &Lineage::default(), at(now));
            assert!(!is_covered(4) && is_covered(5));
        }
    }

    #[test]
    fn a_denial_that_cannot_be_written_does_not_stop_the_others() {
        let denials = Denials::default();
        denials.deny(denial(Target::User(ADA), ALL));
        denials.deny(denial(Target::Store, ALL));
        let fail_at_ada = |reason: ErrorKind| {
            denials.write_all(|denial| match denial.target {
                Target::User(_) => Err(Error::new(reason, "for the test")),
                _ => Ok(()),
            })
        };
        for reason in [ErrorKind::Full, ErrorKind::Busy, ErrorKind::Closed] {
            assert_eq!(fail_at_ada(reason).unwrap_err().kind(), reason);
            assert_eq!(denials.count(), 2);
        }
        fail_at_ada(ErrorKind::Corrupt).unwrap();
        assert_eq!(denials.count(), 1);
        fail_at_ada(ErrorKind::Invalid).unwrap();
        let ada = Principal::for_tests(ADA);
        assert!(denials.known().cover(&ada, &Lineage::default(), at(1)));
    }

    /// Another thread has a snapshot of the list, and reaches the denial after it was written.
    #[test]
    fn a_denial_that_was_written_does_not_wait_to_be_written_again() {
        let denials = Denials::default();
        denials.deny(denial(Target::Store, ALL));
        let snapshot = denials.known().0.unwrap();
        let waits = |denial: &Arc<Denial>| denials.waits(denial);
        assert!(snapshot.iter().all(waits));
        denials.write_all(|_| Ok(())).unwrap();
        assert!(!snapshot.iter().any(waits));
        assert_eq!(denials.count(), 0);
    }
}
