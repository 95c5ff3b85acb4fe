//! The atomics and locks of `cache/`, which keep verify as fresh as the file.
//!
//! They are imported through this one module so that `schedules/` can compile the cache again over
//! the atomics of a schedule explorer and of loom.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use parking_lot::Mutex;
