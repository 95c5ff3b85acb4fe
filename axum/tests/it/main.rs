//! The promises of the adapter, through its public API: a router that is called, and servers on a
//! socket.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod cross_site;
mod example;
mod extractors;
mod hostile;
mod in_session;
mod leak;
mod login;
mod one_time_tokens;
mod operating;
mod pages;
mod processes;
mod proxies;
mod rejections;
mod routes;
mod second_factor;
mod session_data;
mod superseded;
mod tickets;
mod world;
