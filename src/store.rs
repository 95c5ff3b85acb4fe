//! The store: one open file, shared by all its handles.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::cache::Cache;
use crate::cache::coherence::Coherence;
use crate::error::{Error, Reason, Result};
use crate::hasher::Hasher;
use crate::options::Options;
use crate::pending::Pending;
use crate::storage::{
    FileGuard, Files, Identity, Note, OpenRequest, Purpose, ReadTx, SCHEMA_VERSION, Settled,
    Storage, WriteTx,
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

/// The files that are open in this process, so that a second open shares the first one's core:
/// two cores would be two sets of locks that do not see each other.
static OPEN: Mutex<BTreeMap<Identity, Weak<Core>>> = Mutex::new(BTreeMap::new());

impl Store {
    /// Opens the file at `path`, creating it, readable by its owner alone, if there is none.
    ///
    /// Relative paths and symbolic links are resolved; a second open of the same file in this
    /// process answers a handle of the first, after settling a commit that was left unknown.
    /// Nothing is written before the file is known to be ours, and a damaged file is never begun
    /// anew. A migration first writes a verified backup beside the file.
    ///
    /// Reads and writes the file; waits up to 5 s for another process.
    ///
    /// # Errors
    /// `Invalid` (the path, or an option out of its bounds), `NotFound` (the directory),
    /// `NotADatabase`, `NotOurs`, `TooNew`, `SqliteTooOld`, `ReadOnly`, `NoPermission`, `Unsafe`,
    /// `Unsupported`, `Corrupt`, `Busy`, `Full`, `Io`, `CommitUnknown` if a commit of this process
    /// still cannot be settled, and `Misuse` if the file is open in this
    /// process with other options. [`Error::advice`] says what to do.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        options.check_bounds()?;
        let mut open = OPEN.lock();
        open.retain(|_, core| core.strong_count() > 0);
        let (files, identity) = Storage::whereabouts(path.as_ref())?;
        if let Some(core) = already_open(&open, &files, identity)? {
            if core.options == options {
                core.storage.settle()?;
                return Ok(Self { core, actor: Actor::Host });
            }
            return Err(Error::misuse("the file is open in this process with other options"));
        }
        let storage = Storage::open(OpenRequest {
            files,
            tolerances: options.tolerances,
            for_tests: options.for_tests,
            reserve_bytes: options.disk_reserve_bytes,
            clock: options.clock.clone(),
            random: Arc::clone(&options.random),
        })?;
        if !options.cost.meets_floor() && !storage.is_for_tests() {
            return Err(Error::misuse("the test cost is refused on a store not made for tests"));
        }
        let identity = storage.place().map(|place| place.identity);
        let core = Core::new(storage, options)?;
        if let Some(identity) = identity {
            open.insert(identity, Arc::downgrade(&core));
        }
        Ok(Self { core, actor: Actor::Host })
    }

    /// A store without a file, for tests: one connection, gone with its last handle.
    ///
    /// # Errors
    /// `Invalid` if an option is out of its bounds, `NoRandom`.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn in_memory(options: Options) -> Result<Self> {
        options.check_bounds()?;
        let storage = Storage::in_memory(
            options.clock.clone(),
            Arc::clone(&options.random),
            options.for_tests,
        )?;
        Ok(Self { core: Core::new(storage, options)?, actor: Actor::Host })
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

    /// The same for a purpose. What waits to be revoked is written before an ordinary write.
    pub(crate) fn transact_as<T>(
        &self,
        purpose: Purpose,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Settled<T>>,
    ) -> Result<T> {
        if purpose == Purpose::Ordinary {
            self.core.settle_denials()?;
        }
        self.core.storage.write(purpose, &self.actor, job)
    }

    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }
}

/// The core of that file, if this process has it open.
fn already_open(
    open: &BTreeMap<Identity, Weak<Core>>,
    files: &Files,
    identity: Option<Identity>,
) -> Result<Option<Arc<Core>>> {
    let cores = open.values().filter_map(Weak::upgrade).filter(|core| !core.storage.is_closed());
    for core in cores {
        let Some(place) = core.storage.place() else { continue };
        if Some(place.identity) == identity {
            return Ok(Some(core));
        }
        // Its log is still at that path, and a new file would be given it.
        if place.files == *files {
            return Err(Error::new(
                Reason::Unsafe,
                "the file open under this name was moved or deleted; close that store first",
            ));
        }
    }
    Ok(None)
}

impl Core {
    fn new(storage: Storage, options: Options) -> Result<Arc<Self>> {
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
                let revoked = (denial.write)(tx)?;
                Ok(if revoked { Settled::Commit(()) } else { Settled::Nothing(()) })
            })
        })
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
    /// Ends that the disk had no room for or refused: refused from memory, and written before
    /// anything else as soon as that can be done.
    pub denied: usize,
    /// How long the write-ahead log is on the disk, in bytes; 0 in memory. Up to about 8 MiB it is
    /// as it should be; far beyond, some program holds a snapshot of the file and does not let go.
    pub log_bytes: u64,
    /// Sessions and keys that are remembered; none if the store does not cache, because its
    /// options say so, it is in memory, or its file system shares no memory.
    pub cached: Option<usize>,
}
