//! The nouns: one file, one table, with its row type, its statements and its public handle.

pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod branch;
pub(crate) mod change;
pub(crate) mod configuration;
pub(crate) mod credential;
pub(crate) mod credit;
pub(crate) mod device;
pub(crate) mod organisation;
pub(crate) mod proof;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod throttle;
pub(crate) mod user;
pub(crate) mod watermarks;
