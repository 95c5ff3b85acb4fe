//! The cache of verify, under a schedule explorer.
//!
//! The module `cache` is that of the library itself, compiled once more with other atomics and
//! locks (`sync`): before each operation of theirs the explorer decides which thread goes on. The
//! file is a model (`storage`): a log of commits, the change rows, and a wal-index whose header is
//! written word by word. Verifies and writers run over it in small scenes; each verify knows what
//! had been acknowledged before it began, and may answer nothing older.
//!
//! `gatepost-schedules [SCENE [SCHEDULES [SEED]]]`: one scene or `all`, how many schedules of all
//! kinds together, and the seed. Prints what it ran, and with a failure the schedule that leads to
//! it. The explorer takes every operation to be sequentially consistent: what a weaker order of
//! memory allows is looked at by the other program of this crate, `gatepost-loom`.
//!
//! Never built as a test, which would take along the unit tests of the library.
#![allow(dead_code, unused_imports, reason = "the library uses what these scenes do not")]
#![allow(unfulfilled_lint_expectations, reason = "the library expects lints of public items")]
#![allow(
    clippy::disallowed_methods,
    reason = "how long it took is answered to unknown but the reader"
)]

#[cfg(not(test))]
mod explore;
#[cfg(not(test))]
mod scenes;
#[cfg(not(test))]
mod sessions;
#[cfg(not(test))]
mod storage;
#[cfg(not(test))]
mod sync;
#[cfg(not(test))]
mod wal_index;

#[cfg(not(test))]
#[path = "library.rs"]
mod library;

#[cfg(not(test))]
use library::{bookmark, cache, error, value};

#[cfg(not(test))]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    explore::run(&words, scenes::ALL)
}
