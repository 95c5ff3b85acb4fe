//! The deeds: what crosses nouns, each one screen of plain steps.

pub(crate) mod revoke;
pub(crate) mod standing;
pub(crate) mod sweep;
