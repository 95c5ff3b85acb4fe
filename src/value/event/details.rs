//! The details of rows that other code reads again. They never change.

use crate::value::time::Timestamp;

/// A login on a device on which the user had not logged in before; the trust of the device may
/// follow.
pub(crate) const NEW_DEVICE: &str = "new device";
/// A confirmation that removed a password.
pub(crate) const PASSWORD_REMOVED: &str = "password removed";

/// The detail of a login: whether the device is new to the user, and until when the login trusts
/// it.
pub(crate) fn of_device(is_new: bool, trusted_until: Option<Timestamp>) -> Option<String> {
    match (is_new, trusted_until) {
        (false, None) => None,
        (true, None) => Some(NEW_DEVICE.to_owned()),
        (false, Some(until)) => Some(format!("trusted until {until}")),
        (true, Some(until)) => Some(format!("{NEW_DEVICE}, trusted until {until}")),
    }
}

/// Whether this detail of a login says that the device was new.
pub(crate) fn says_new_device(detail: &str) -> bool {
    let rest = detail.strip_prefix(NEW_DEVICE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(", "))
}
