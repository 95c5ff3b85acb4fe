//! The command, run as a program on a file that another process keeps busy.
#![allow(
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod audit;
mod backups;
mod busy;
mod directory;
mod doctor;
mod explain;
mod factors;
mod failures;
mod keys;
mod moving;
mod moving_out;
mod moving_refusals;
mod one_time_tokens;
mod opening;
mod pages;
mod paths;
mod sessions;
mod tasks;
mod terminal;
mod unread;
mod users;
mod world;
