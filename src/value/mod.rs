//! What things are: no SQL, no lock, no clock read outside `time`, no random draw outside `random`.

pub(crate) mod blocklist;
pub(crate) mod digest;
pub(crate) mod event;
pub(crate) mod facts;
pub(crate) mod header;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod password_check;
pub(crate) mod policy;
pub(crate) mod random;
pub(crate) mod refusal;
pub(crate) mod secret;
pub(crate) mod target;
pub(crate) mod time;
pub(crate) mod token;
