//! The one integration test binary: a module for each noun, each deed and each promise.
#![allow(
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod absence;
mod always_starts;
mod api_key;
mod audit;
mod bad_input;
mod branch;
mod change_log;
mod child;
mod coherence;
mod configuration;
mod credential;
mod credit;
mod device;
mod directory;
mod events;
mod frozen;
mod full_disk;
mod fuzz;
mod group;
mod guards;
mod histories;
mod identity;
mod leak;
mod log;
mod login;
mod logout;
mod manual;
mod model;
mod opening;
mod operations;
mod organisation;
mod password_change;
mod password_set;
mod races;
mod randomness;
mod revoke;
mod schema;
mod session;
mod standing;
mod surface;
mod sweep;
mod throttle;
mod tidy;
mod timing;
mod transaction;
mod user;
mod uses;
mod verify;
mod wire;
mod world;
