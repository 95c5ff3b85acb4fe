//! The one integration test binary: a module for each record type, each operation and each promise.
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
mod administering;
mod administration;
mod always_starts;
mod api_key;
mod attenuate;
mod audit;
mod backup;
mod bad_input;
mod branch;
mod change_log;
mod change_options;
mod child;
mod clock;
mod coherence;
mod configuration;
mod counts;
mod credential;
mod credit;
mod device;
mod directory;
mod doors;
mod erase;
mod errors;
mod events;
mod examine;
mod explain;
mod export;
mod external_identity;
mod frozen;
mod full_disk;
mod fuzz;
mod group;
mod guards;
mod histories;
mod identity;
mod impersonate;
mod import;
mod keyring;
mod leak;
mod lifecycle;
mod log;
mod login;
mod logout;
mod manual;
mod may;
mod mistakes;
mod model;
mod observer;
mod one_time;
mod one_time_token;
mod opening;
mod operations;
mod options;
mod organisation;
mod password_change;
mod password_set;
mod pending_step;
mod personal_data;
mod pictures;
mod prove;
mod public_face;
mod races;
mod randomness;
mod read_only;
mod readers;
mod records;
mod rekey;
mod renew;
mod restore;
mod revoke;
mod schema;
mod second_factor;
mod session;
#[cfg(feature = "tracing")]
mod spans;

mod surface;
mod sweep;
mod throttle;
mod ticket;
mod tidy;
mod timing;
mod transaction;
mod underneath;
mod user;
mod uses;
mod verify;
mod wire;
mod world;
