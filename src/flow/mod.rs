//! The deeds: what crosses nouns, each one screen of plain steps.

pub(crate) mod identity;
pub(crate) mod login;
pub(crate) mod opening;
pub(crate) mod password_change;
pub(crate) mod password_set;
pub(crate) mod profile;
pub(crate) mod revoke;
pub(crate) mod session_open;
pub(crate) mod standing;
pub(crate) mod sweep;
pub(crate) mod verify;
