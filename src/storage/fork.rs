//! Detects the child of a fork, which must not use a store that was open at the fork.
//!
//! SQLite's locks belong to the process that took them and do not pass to a child: a child that
//! uses an inherited connection corrupts the file. In the child, SQLite also takes the locks that
//! it remembers for its own, for whatever file is opened there. So each store remembers the process
//! that opened it, and a child of a fork at which a store was open may open none until it calls
//! `exec`. If none was open, the child may open any: SQLite remembers nothing of a closed file, and
//! seeds its random numbers again in a new process.
//!
//! **Ordering.** [`OpenMark::new`] comes before the first lock and the first connection of an
//! opening. Each owner of a connection keeps a copy of the mark until the connection is closed.
#![allow(unsafe_code, reason = "pthread_atfork has no safe wrapper")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use crate::error::{Error, Result};

/// The number of forks between the first process that opened a store and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// The number of stores of this process that are being opened, open or being closed.
static OPEN_STORES: AtomicUsize = AtomicUsize::new(0);
/// Whether a store was open at a fork that led to this process.
static INHERITS: AtomicBool = AtomicBool::new(false);

/// Marks a store of this process as open, until the last copy is dropped.
#[derive(Debug, Clone)]
pub(crate) struct OpenMark {
    _counted: Arc<Counted>,
}

#[derive(Debug)]
struct Counted;

impl OpenMark {
    /// # Errors
    /// `Misuse` in the child of a fork at which a store was open.
    pub(crate) fn new() -> Result<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handler stays valid for the life of the process, and all it does is
            // atomic loads and stores, which are allowed between `fork` and `exec`.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        if INHERITS.load(Ordering::Relaxed) {
            return Err(inherited());
        }
        OPEN_STORES.fetch_add(1, Ordering::SeqCst);
        Ok(Self { _counted: Arc::new(Counted) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN_STORES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The process that runs, among those that forks have led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThisProcess(u64);

impl ThisProcess {
    #[inline]
    pub(crate) fn get() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }
}

/// The error of every call on a store that was open at a fork, and of an opening after that.
#[cold]
pub(super) fn inherited() -> Error {
    Error::misuse("a store was open when this process was forked").advising(
        "Call Store::open in the child alone: fork before the parent opens a store, or after it \
         closed every store with Store::close.",
    )
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    if OPEN_STORES.load(Ordering::SeqCst) > 0 {
        INHERITS.store(true, Ordering::Relaxed);
    }
}
