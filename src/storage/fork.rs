//! Whether this process is the child of a fork that had a store open.
//!
//! SQLite's locks belong to the process that took them and do not pass to a child; a connection
//! used there corrupts the file within a minute. So the first open of a store asks the system to
//! set a flag in every child, and every call looks at the flag. The child may open the file anew
//! only after `exec`.
#![allow(unsafe_code, reason = "pthread_atfork is a function of C")]

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static FORKED: AtomicBool = AtomicBool::new(false);

/// Asks for the flag to be set in every child from now on.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler stays valid for the life of the process, and all it does is one
        // atomic store, which is allowed between `fork` and `exec`.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// Whether the flag is set.
#[inline]
pub(super) fn happened() -> bool {
    FORKED.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}
