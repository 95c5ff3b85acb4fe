//! The promises of a desk, through its public API: desks of one process, and instances of a program
//! in processes of their own.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod account;
mod errors;
mod instance;
mod kills;
mod lock;
mod machine;
mod processes;
mod restored;
mod resume;
mod second_factor;
mod sign_in;
mod vaults;
mod world;
