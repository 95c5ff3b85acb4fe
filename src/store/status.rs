//! What a store reports of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::storage::{CommitOutcome, FileState, OpenWarning};
use crate::value::keyring::KeyId;
use crate::value::policy::ApiVersion;
use crate::value::time::Timestamp;

/// The name of a service and the newest API version that it serves, as replies show them to
/// clients; [`Store::service`](crate::Store::service) returns it.
///
/// ```
/// use gatepost::status::Service;
/// use gatepost::{Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let Service { name, api_version, .. } = Store::open(path, Options::server())?.service();
/// assert_eq!((name.as_str(), api_version.to_string()), ("Gatepost", "1.0".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// The newest API version that the service serves.
    pub api_version: ApiVersion,
}

/// How [`Store::verify`](crate::Store::verify) learns that another process has committed, and so
/// whether it may answer from its cache.
///
/// ```
/// use gatepost::status::ChangeSignal;
/// use gatepost::{Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server().cache(None))?;
/// assert_eq!(store.status().change_signal, ChangeSignal::NotWanted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ChangeSignal {
    /// Each verify compares the header of SQLite's wal-index, which is in memory that all
    /// processes share, and answers from the cache if it is unchanged.
    SharedWalIndex,
    /// Each verify reads the file, because the option `cache` is `None`.
    NotWanted,
    /// Each verify reads the file, because its file system has no shared memory.
    NotShared,
    /// The store is in memory, and no other process can open it.
    InMemory,
}

/// The state of a store, for an operator; [`Store::status`](crate::Store::status) returns it. All
/// counts are those of this process, since it opened the store.
///
/// ```
/// use gatepost::{Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let status = Store::open(&path, Options::server())?.status();
/// assert!(status.path.is_some());
/// assert_eq!((status.denied, status.hashes_running), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Status {
    /// The path of the file; `None` for a store in memory.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::value::path::as_text"))]
    pub path: Option<PathBuf>,
    /// The warnings of opening the store, such as options that differ from the stored ones.
    pub open_warnings: Vec<OpenWarning>,
    /// The schema version that this version of the library writes.
    pub schema_version: i64,
    /// The version of this library.
    pub library_version: &'static str,
    /// The version of SQLite that the program is linked with.
    pub sqlite_version: &'static str,
    /// When this process opened the store, by the store's clock: its counts are since then.
    pub opened_at: Timestamp,
    /// The number of password hashes computed.
    pub hashes_done: u64,
    /// The number of stored hashes that a login replaced by one of the cost in force.
    pub hashes_upgraded: u64,
    /// The number of password hashes that are being computed now.
    pub hashes_running: usize,
    /// The number of logins that wait for a hash now.
    pub hashes_waiting: usize,
    /// The number of work buffers that are kept for the next hash; they are freed after a minute
    /// without a hash.
    pub hash_buffers_kept: usize,
    /// How many logins, openings of a session and changes of a password were refused, by
    /// [`LoginRefusal::name`](crate::LoginRefusal::name).
    pub login_refusals: BTreeMap<&'static str, u64>,
    /// How many tokens [`Store::verify`](crate::Store::verify) and its like refused, by
    /// [`InvalidTokenReason::name`](crate::status::InvalidTokenReason::name).
    pub verify_refusals: BTreeMap<&'static str, u64>,
    /// The id of the current key of this process's keyring; `None` without a keyring.
    /// [`Store::key_use`](crate::Store::key_use) counts the hashes under each key of the file.
    pub current_key: Option<KeyId>,
    /// Whether the resource tickets of this process are valid in this process only, because it has
    /// no keyring. See [`Store::tickets`](crate::Store::tickets).
    pub tickets_are_local: bool,
    /// How many logins and changes of a password could not be compared, because the user's hash is
    /// sealed under a key that the keyring lacks. They were refused as
    /// [`InvalidCredentials`](crate::LoginRefusal::InvalidCredentials).
    pub key_missing_refusals: u64,
    /// How a verify learns that a cached answer may be stale; chosen when the store was opened.
    pub change_signal: ChangeSignal,
    /// How the file is watched, or why the store has closed itself.
    pub file_state: FileState,
    /// The number of writes that were committed.
    pub writes: u64,
    /// The number of commits, and so of flushes of the disk, that contained these writes.
    pub commits: u64,
    /// The number of revocations that could not be written, because the disk was full or failed.
    /// They are kept in memory: this process refuses their credentials, and writes the revocations
    /// before anything else as soon as it can.
    pub denied: usize,
    /// The size of the write-ahead log on the disk, in bytes; 0 in memory. About 4 MiB is normal,
    /// and somewhat above 8 MiB while readers overlap. Above 16 MiB, a program keeps a read
    /// transaction on the file open.
    pub log_bytes: u64,
    /// Whether the last write of this process that failed with
    /// [`CommitUnknown`](crate::ErrorKind::CommitUnknown) was applied. Read it after
    /// [`Store::open`](crate::Store::open) on the same path, and before the next write. `None` if
    /// no write failed so since the process started, if the store is in memory, and if the file was
    /// moved or replaced since. If several writes failed so since the last opening, it says that
    /// they were applied, or were not, only if that is true of all.
    pub last_unknown_commit: Option<CommitOutcome>,
    /// The number of cached sessions and keys; `None` if the store has no cache, because the
    /// option `cache` is `None`, it is in memory, or its file system has no shared memory.
    pub cached: Option<usize>,
    /// How often the observer ([`Options::observer`](crate::Options::observer)) has panicked. Each
    /// panic was caught, and the call that was reported returned as usual.
    pub observer_panics: u64,
}
