//! Operations that use several record types, each one screen of plain steps.

pub(crate) mod attenuate;
pub(crate) mod backup;
pub(crate) mod change_options;
pub(crate) mod erase;
pub(crate) mod held;
pub(crate) mod identity;
pub(crate) mod lifecycle;
pub(crate) mod login;
pub(crate) mod may;
pub(crate) mod one_time;
pub(crate) mod opening;
pub(crate) mod password_change;
pub(crate) mod password_set;
pub(crate) mod personal_data;
pub(crate) mod profile;
pub(crate) mod prove;
pub(crate) mod read_only;
pub(crate) mod rekey;
pub(crate) mod renew;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod second_factor;
pub(crate) mod session_open;
pub(crate) mod sweep;
pub(crate) mod ticket;
pub(crate) mod verify;
