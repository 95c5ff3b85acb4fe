//! The one integration test binary: a module for each noun, each deed and each promise.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod api_key;
mod branch;
mod configuration;
mod credential;
mod credit;
mod device;
mod directory;
mod identity;
mod login;
mod logout;
mod organisation;
mod password_change;
mod password_set;
mod revoke;
mod session;
mod standing;
mod sweep;
mod throttle;
mod tidy;
mod user;
mod verify;
mod world;
