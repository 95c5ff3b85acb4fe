//! The store: one open file, shared by all its handles.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::Cache;
use crate::cache::coherence::Coherence;
use crate::error::{Error, Reason, Result};
use crate::hasher::Hasher;
use crate::options::Options;
use crate::pending::Pending;
use crate::storage::{
    CommitOutcome, FileGuard, Note, Purpose, ReadTx, SCHEMA_VERSION, Settled, Storage, WriteTx,
    not_begun,
};
use crate::value::event::Actor;
use crate::value::policy::ApiVersion;

use crate::value::time::Timestamp;

/// A session store in one SQLite file.
///
/// Cheap to clone and safe to share; every handle opened on one file in one process shares one
/// core. Every call is synchronous. `Err` means that the request cannot be done as asked or that
/// the store could not tell, never a refusal.
///
/// ```
/// use gatepost::{DeviceId, LogIn, NewUser, Options, Password, Store};
///
/// let store = Store::in_memory(Options::for_tests())?;
/// store.users().create(NewUser::person("ada").password(Password::from("correct horse battery")))?;
///
/// let device = DeviceId::random()?;
/// let reply = store
///     .log_in(LogIn::new("ada", Password::from("correct horse battery"), device.clone()))?
///     .granted()?;
/// let facts = store.verify(reply.session.token.expose(), &device)?.valid()?;
/// assert_eq!(facts.user, reply.user.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
    actor: Actor,
}

/// What all handles of one file share.
pub(crate) struct Core {
    pub(crate) storage: Storage,
    pub(crate) options: Options,
    pub(crate) hasher: Hasher,
    /// `None` in memory, where there is no shared wal-index, and where the host wants none.
    pub(crate) coherence: Option<Coherence>,
    change_signal: ChangeSignal,
    pub(crate) pending: Pending,
}

impl Store {
    /// A handle of that core, in the name of the host.
    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core, actor: Actor::Host }
    }

    /// A handle on the same store whose writes the audit log ascribes to `actor`.
    ///
    /// Attribution only: it checks no privilege.
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Actor>) -> Self {
        Self { core: Arc::clone(&self.core), actor: actor.into() }
    }

    /// The name and version that replies show to clients.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            name: self.core.options.service_name.clone(),
            api_version: self.core.options.api_newest,
        }
    }

    /// How the store stands. Asks of the file how long its log is, and never waits.
    #[must_use]
    pub fn status(&self) -> Status {
        let hasher = self.core.hasher.status();
        let place = self.core.storage.place();
        let (writes, commits) = self.core.storage.write_counts();
        Status {
            path: place.map(|place| place.files.main.clone()),
            notes: place.map(|place| place.notes.clone()).unwrap_or_default(),
            schema_version: SCHEMA_VERSION,
            hashes_done: hasher.evaluations,
            hashes_running: hasher.running,
            hashes_waiting: hasher.waiting,
            logins_overloaded: hasher.overloaded,
            hash_buffers_kept: hasher.idle_buffers,
            verify_refusals: self.core.pending.counts.tokens_refused(),
            change_signal: self.core.change_signal,
            file_guard: self.core.storage.file_guard(),
            writes,
            commits,
            denied: self.core.pending.denials.count(),
            log_bytes: self.core.storage.log_bytes(),
            last_unknown_commit: self.core.storage.last_unknown_commit(),
            cached: self.core.coherence.as_ref().map(|coherence| coherence.cache.len()),
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn options(&self) -> &Options {
        &self.core.options
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.core.storage.now()
    }

    /// One snapshot of the file.
    pub(crate) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.core.storage.read(job)
    }

    /// One write transaction that leaves no audit event: for upkeep and for the first half of a
    /// login. Everything else writes through `Store::write`, which belongs to the audit log.
    pub(crate) fn transact<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        self.transact_as(Purpose::Ordinary, job)
    }

    /// The same for a purpose. What waits to be revoked is written first, or it would revoke what
    /// this write opens or issues.
    pub(crate) fn transact_as<T>(
        &self,
        purpose: Purpose,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        self.core.settle_denials().map_err(not_of_this_write)?;
        self.core.storage.write(purpose, &self.actor, job)
    }

    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }
}

impl Core {
    pub(crate) fn new(storage: Storage, options: Options) -> Result<Arc<Self>> {
        let coherence = match options.cache_entries {
            Some(entries) => storage
                .wal_index()?
                .map(|index| Ok(Coherence::new(index, Cache::new(entries, storage.random())?)))
                .transpose()?,
            None => None,
        };
        let change_signal = match (&coherence, storage.place(), options.cache_entries) {
            (Some(_), ..) => ChangeSignal::SharedWalIndex,
            (None, None, _) => ChangeSignal::InMemory,
            (None, Some(_), None) => ChangeSignal::NotWanted,
            (None, Some(_), Some(_)) => ChangeSignal::NotShared,
        };
        Ok(Arc::new(Self {
            hasher: Hasher::new(options.cost, options.hashes_at_once, options.hashes_waiting),
            pending: Pending::default(),
            coherence,
            change_signal,
            storage,
            options,
        }))
    }

    /// Writes the revocations that could not be written when they were asked for.
    pub(crate) fn settle_denials(&self) -> Result<()> {
        self.pending.denials.settle(|denial| {
            self.storage.write(Purpose::Revocation, &denial.actor, |tx| {
                // Another thread may have written it meanwhile, and a session been opened since.
                let revoked =
                    self.pending.denials.waits(denial) && (denial.write)(tx, denial.target)?;
                Ok(if revoked { Settled::Commit(()) } else { Settled::Nothing(()) })
            })
        })
    }
}

/// In doubt is what was written first: this write was not begun, and must not be taken for it.
fn not_of_this_write(error: Error) -> Error {
    match error.reason() {
        Reason::CommitUnknown => not_begun(),
        _ => error,
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("actor", &self.actor).finish_non_exhaustive()
    }
}

/// The name and API version that replies show to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// The newest API version that it serves.
    pub api_version: ApiVersion,
}

/// How verify learns that another process has committed, and so whether it may answer from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeSignal {
    /// By the header of SQLite's wal-index, in memory that all processes share.
    SharedWalIndex,
    /// Not at all, as the options say `cache(None)`: each verify asks the file.
    NotWanted,
    /// Not at all, as the file system shares no memory: each verify asks the file.
    NotShared,
    /// Not at all, as the store is in memory and asks itself.
    InMemory,
}

/// How a store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Where the file is; none in memory.
    pub path: Option<PathBuf>,
    /// What was noticed when the file was opened.
    pub notes: Vec<Note>,
    /// The schema version that this library writes.
    pub schema_version: i64,
    /// Password hashes computed since the store was opened.
    pub hashes_done: u64,
    /// Password hashes being computed now.
    pub hashes_running: usize,
    /// Logins that wait for a hash now.
    pub hashes_waiting: usize,
    /// Logins turned away as overloaded since the store was opened.
    pub logins_overloaded: u64,
    /// Work buffers kept for the next hash; freed after a minute without one.
    pub hash_buffers_kept: usize,
    /// Tokens refused by verify since the store was opened.
    pub verify_refusals: u64,
    /// How verify learns that what it remembers may have changed; chosen when the store was opened.
    pub change_signal: ChangeSignal,
    /// What watches over the file, or why the store has closed itself.
    pub file_guard: FileGuard,
    /// Writes of this process that hold since the store was opened.
    pub writes: u64,
    /// Commits, and so flushes of the disk, that took these writes along.
    pub commits: u64,
    /// Revocations that the disk had no room for, or refused: this process denies the credentials
    /// from memory, and writes the revocations before anything else as soon as it can.
    pub denied: usize,
    /// How long the write-ahead log is on the disk, in bytes; 0 in memory. Up to about 8 MiB it is
    /// as it should be; far beyond, some program holds a snapshot of the file and does not let go.
    pub log_bytes: u64,
    /// What became of the last write of this process that was answered
    /// [`CommitUnknown`](crate::Reason::CommitUnknown): ask after [`Store::open`] on the same path,
    /// and before the next write. `None` if there was none since the process started, in memory,
    /// and of a file that was moved or replaced since. If several writes were answered so since the
    /// last opening, it says that they were applied, or were not, only if that is true of all.
    pub last_unknown_commit: Option<CommitOutcome>,
    /// Sessions and keys that are remembered; none if the store does not cache, because its
    /// options say so, it is in memory, or its file system shares no memory.
    pub cached: Option<usize>,
}
