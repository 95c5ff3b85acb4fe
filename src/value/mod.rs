//! The value types of the library. They run no SQL and take no lock; only `time` reads a clock,
//! and only `random` draws random bytes.

pub(crate) mod blocklist;
pub(crate) mod digest;
pub(crate) mod event;
pub(crate) mod factor_code;
pub(crate) mod freshness;
pub(crate) mod header;
pub(crate) mod id;
pub(crate) mod keyring;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod one_time;
pub(crate) mod password_check;
pub(crate) mod password_rule;
#[cfg(feature = "serde")]
pub(crate) mod path;
pub(crate) mod permission;
pub(crate) mod policy;
pub(crate) mod presented;
pub(crate) mod principal;
pub(crate) mod random;
pub(crate) mod refusal;
pub(crate) mod second_factor;
pub(crate) mod secret;
pub(crate) mod subtree;
pub(crate) mod target;
pub(crate) mod ticket;
pub(crate) mod time;
pub(crate) mod token;
pub(crate) mod totp;
pub(crate) mod version;
pub(crate) mod wait;
