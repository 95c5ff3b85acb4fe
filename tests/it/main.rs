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
mod credit;
mod directory;
mod organisation;
mod standing;
mod tidy;
mod world;
