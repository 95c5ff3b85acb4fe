//! The details of rows that other code reads again. They never change.

/// A login on a device on which the user had not logged in before.
pub(crate) const NEW_DEVICE: &str = "new device";
/// A confirmation that removed a password.
pub(crate) const PASSWORD_REMOVED: &str = "password removed";
