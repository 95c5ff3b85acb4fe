//! The atomics and locks on which it rests that what verify remembers is as fresh as the file.
//!
//! They are named in this one place so that the wing that uses them (`cache`) can be compiled once
//! more over those of a schedule explorer: see `schedules/`.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use parking_lot::Mutex;
