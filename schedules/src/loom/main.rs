//! The cache of verify, under a checker of memory orders.
//!
//! The modules of the library are those of `gatepost-schedules`, compiled once more over the
//! atomics and locks of loom (`sync`): a load may answer with whatever the C11 memory model allows,
//! older values included. So these scenes see what the other program cannot: an `Acquire`, a
//! `Release` or a fence that is missing. In return they are far smaller, and the file is one word
//! (`storage`).
//!
//! `gatepost-loom [SCENE]`: one scene or all. Each runs in all executions with as many preemptions
//! as it names, and no more: that is a bound.
//!
//! What loom does not see: load buffering, where a load answers with what a later store of its own
//! thread leads to; the order that `OnceLock` of the standard library gives, in which the chunks of
//! the table lie (here they are made before the threads); what orders the file, which is SQLite's
//! part. It keeps the newest seven values of an atomic. Where loom allows more than the memory
//! model does, the scene says so.
//!
//! Never built as a test, which would take along the unit tests of the library.
#![allow(dead_code, unused_imports, reason = "the library uses what these scenes do not")]
#![allow(unfulfilled_lint_expectations, reason = "the library expects lints of public items")]
#![allow(clippy::disallowed_methods, reason = "how long a scene took is printed alone")]

#[cfg(not(test))]
mod scenes;
#[cfg(not(test))]
#[path = "../sessions.rs"]
mod sessions;
#[cfg(not(test))]
mod storage;
#[cfg(not(test))]
mod sync;
#[cfg(not(test))]
#[path = "../wal_index.rs"]
mod wal_index;

#[cfg(not(test))]
#[path = "../library.rs"]
mod library;

#[cfg(not(test))]
use library::{bookmark, cache, error};

/// As in the library, with tables of stamps that are quickly made again for each execution.
#[cfg(not(test))]
mod value {
    pub(crate) use crate::library::value::*;

    pub(crate) mod limits {
        pub(crate) use crate::library::value::limits::*;

        pub(crate) const CACHE_SESSION_STAMPS: u32 = 8;
        pub(crate) const CACHE_USER_STAMPS: u32 = 8;
    }
}

#[cfg(not(test))]
fn main() -> std::process::ExitCode {
    scenes::run(std::env::args().nth(1).as_deref())
}
