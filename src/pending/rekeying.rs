//! How far the calls of `Store::rekey` of this process have come.
//!
//! What does not open stays under its old key, and each call would find it again. So a process
//! remembers what it has passed, and goes on after it. Nothing of this is written: another process,
//! and this one once a rotation is complete, begins from the start.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::value::id::UserId;

/// For each id of a key, the last user whose row was left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Passed(BTreeMap<String, UserId>);

impl Passed {
    /// The user after whom to go on under this id.
    pub(crate) fn last(&self, id: &str) -> UserId {
        self.0.get(id).copied().unwrap_or(UserId::NIL)
    }

    /// Passes the row of a user, whose id is above those passed before.
    pub(crate) fn pass(&mut self, id: &str, user: UserId) {
        self.0.insert(id.to_owned(), user);
    }
}

/// What was passed among the hashes, and among the secrets of second factors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) hashes: Passed,
    pub(crate) totp_secrets: Passed,
}

/// The place of one process.
#[derive(Debug, Default)]
pub(crate) struct Rekeying(Mutex<Place>);

impl Rekeying {
    pub(crate) fn place(&self) -> Place {
        self.0.lock().clone()
    }

    pub(crate) fn go_on_from(&self, place: Place) {
        *self.0.lock() = place;
    }
}
