//! What a host gives a store to learn of its writes.

use std::fmt;

use super::AuditEntry;

/// Learns of what this process has committed; given to
/// [`Options::observer`](crate::Options::observer).
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use gatepost::audit::{AuditEntry, EventKind};
/// use gatepost::host::Observer;
/// use gatepost::{NewUser, Options, Store};
///
/// #[derive(Debug, Default)]
/// struct Created(Mutex<Vec<String>>);
///
/// impl Observer for Created {
///     fn committed(&self, entry: &AuditEntry) {
///         if entry.kind() == Some(EventKind::UserCreated) {
///             self.0.lock().unwrap().push(entry.id.clone());
///         }
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let created = Arc::new(Created::default());
/// let store = Store::open(path, Options::server().observer(created.clone()))?;
/// store.users().create(NewUser::person("ada"))?;
/// assert_eq!(created.0.lock().unwrap().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Observer: fmt::Debug + Send + Sync {
    /// Called once for each row of the audit log that a call of this process has committed, in the
    /// order of the rows of that call, on the thread of the call and before the call returns.
    ///
    /// - **Only what is committed.** A row of a write that failed, or whose commit is in doubt
    ///   ([`CommitUnknown`](crate::ErrorKind::CommitUnknown)), is not reported, also if the store
    ///   finds later that it was applied.
    /// - **No lock is held.** The store is ready for other threads, and this method may call it.
    ///   What it writes itself, to any store, is not reported.
    /// - **Slowness** delays the call that wrote, and no other.
    /// - **A panic** is caught, unless the program aborts on panics: the call returns as if there
    ///   were no observer, and
    ///   [`Status::observer_panics`](crate::status::Status::observer_panics) counts it.
    ///
    /// Calls of several threads are reported at the same time;
    /// [`AuditEntry::seq`] is the order in the file. Writes of other processes, the creation of the
    /// file and what a restore records are not reported. To miss nothing, read the audit log as a
    /// consumer ([`Audit::unseen`](crate::audit::Audit::unseen)).
    fn committed(&self, entry: &AuditEntry);
}
