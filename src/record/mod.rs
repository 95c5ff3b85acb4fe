//! Record types: one file for each table, with its row type, statements and public handle.

pub(crate) mod administration;
pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod branch;
pub(crate) mod change;
pub(crate) mod clock;
pub(crate) mod configuration;
pub(crate) mod credential;
pub(crate) mod credit;
pub(crate) mod device;
pub(crate) mod examine;
pub(crate) mod external_identity;
pub(crate) mod one_time_token;
pub(crate) mod options;
pub(crate) mod organisation;
pub(crate) mod pending_step;
pub(crate) mod pieces;
pub(crate) mod proof;
pub(crate) mod restore;
pub(crate) mod second_factor;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod throttle;
pub(crate) mod user;
pub(crate) mod watermarks;
