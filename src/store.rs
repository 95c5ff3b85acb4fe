//! The store: one open file, which all its handles share.

pub(crate) mod metrics;
mod observe;
mod status;

pub use status::{ChangeSignal, Service, Status};

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::cache::coherence::Coherence;
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::Hasher;
use crate::options::Options;
use crate::pending::Pending;
use crate::pending::uses::{Batch, WriteUse};
use crate::spans;
use crate::storage::{
    Finished, OpenWarning, Purpose, ReadTx, SCHEMA_VERSION, Storage, WriteTx, not_begun,
    sqlite_version,
};
use crate::value::event::Actor;
use crate::value::random::random_bytes;
use crate::value::time::Timestamp;

/// A session store in one SQLite file.
///
/// A handle is cheap to clone and safe to share between threads; all handles of one file in one
/// process share one core. Every call is synchronous. An `Err` means that the request cannot be
/// done as asked or that the store could not find the answer; it never means a refusal.
///
/// ```
/// use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// let store = Store::open(path, Options::server())?;
/// let ada = NewUser::person("ada").password(Password::from("correct horse battery"));
/// store.users().create(ada)?;
///
/// let device = DeviceId::random()?;
/// let reply = store
///     .log_in(LoginRequest::new("ada", Password::from("correct horse battery"), device.clone()))?
///     .granted()?;
/// let principal = store.verify((&reply.session.token, &device))?.valid()?;
/// assert_eq!(principal.user, reply.profile.user.id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
    actor: Actor,
    /// `None` in every handle of a host.
    precondition: Option<Arc<dyn Precondition>>,
}

/// What each transaction of a handle checks before its job, on the job's own snapshot: an error
/// ends the call. Such a handle never leaves the library.
trait Precondition: Send + Sync {
    fn check(&self, tx: &ReadTx<'_>) -> Result<()>;
}

impl<F: Fn(&ReadTx<'_>) -> Result<()> + Send + Sync> Precondition for F {
    fn check(&self, tx: &ReadTx<'_>) -> Result<()> {
        self(tx)
    }
}

/// The core that all handles of one file share.
pub(crate) struct Core {
    pub(crate) storage: Storage,
    pub(crate) options: Options,
    pub(crate) hasher: Hasher,
    /// `None` in memory, on a file system without shared memory, and with `Options::cache(None)`.
    pub(crate) coherence: Option<Coherence>,
    change_signal: ChangeSignal,
    open_warnings: Vec<OpenWarning>,
    pub(crate) pending: Pending,
    /// The key of tickets where there is no keyring, drawn for the first of them.
    ticket_key: OnceLock<Zeroizing<[u8; 32]>>,
    observer_panics: AtomicU64,
    opened_at: Timestamp,
}

impl Store {
    /// A handle of `core` whose actor is the host.
    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core, actor: Actor::Host, precondition: None }
    }

    /// A handle of the same store whose writes the audit log ascribes to `actor`.
    ///
    /// Attribution only: the store checks no privilege of `actor`. A row whose actor
    /// is an id that belongs to no user keeps no address, user agent, device or text of the host's.
    ///
    /// ```
    /// use gatepost::audit::AuditFilter;
    /// use gatepost::{Actor, NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.acting_as(ada).users().create(NewUser::person("ben"))?;
    /// let latest = store.audit().latest(1, &AuditFilter::new())?;
    /// assert_eq!(latest[0].actor, Actor::User(ada));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Actor>) -> Self {
        Self {
            core: Arc::clone(&self.core),
            actor: actor.into(),
            precondition: self.precondition.clone(),
        }
    }

    /// The name of the service and the newest API version that it serves, as replies show them.
    ///
    /// ```
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// assert_eq!(store.service().name, "Gatepost");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            name: self.core.options.service_name.clone(),
            api_version: self.core.options.api_newest,
        }
    }

    /// The time of the store's clock, by which it judges sessions: for what a program keeps beside
    /// the store, such as the age of a cookie. Reads no file.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// # let ada = store.users().create(gatepost::NewUser::person("ada"))?.id;
    /// # let device = gatepost::DeviceId::new("till-1")?;
    /// # let open = gatepost::sessions::OpenSession::new(ada, device);
    /// let reply = store.sessions().open(open)?.granted()?;
    /// let max_age = reply.session.expires_at.duration_since(store.now()).as_secs();
    /// assert!((86_300..=86_400).contains(&max_age)); // 24 h.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.storage.now()
    }

    /// The state of the store, for an operator. Reads the size of the write-ahead log from the
    /// file system, and never waits.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let before = store.status().writes;
    /// store.users().create(NewUser::person("ada"))?;
    /// assert_eq!(store.status().writes, before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("health", "metrics", "diagnostics"))]
    #[must_use]
    pub fn status(&self) -> Status {
        let hasher = self.core.hasher.status();
        let place = self.core.storage.place();
        let (writes, commits) = self.core.storage.write_counts();
        Status {
            path: place.map(|place| place.files.main.clone()),
            open_warnings: self.core.open_warnings.clone(),
            schema_version: SCHEMA_VERSION,
            library_version: env!("CARGO_PKG_VERSION"),
            sqlite_version: sqlite_version(),
            opened_at: self.core.opened_at,
            hashes_done: hasher.evaluations,
            hashes_upgraded: hasher.upgrades,
            hashes_running: hasher.running,
            hashes_waiting: hasher.waiting,
            hash_buffers_kept: hasher.idle_buffers,
            login_refusals: self.core.pending.counts.logins_refused(),
            verify_refusals: self.core.pending.counts.tokens_refused(),
            current_key: self.options().keyring.as_ref().map(|keyring| keyring.current()),
            tickets_are_local: self.options().keyring.is_none(),
            key_missing_refusals: self.core.pending.counts.keys_missing(),
            change_signal: self.core.change_signal,
            file_state: self.core.storage.file_state(),
            writes,
            commits,
            denied: self.core.pending.denials.count(),
            log_bytes: self.core.storage.log_bytes(),
            last_unknown_commit: self.core.storage.last_unknown_commit(),
            cached: self.core.coherence.as_ref().map(|coherence| coherence.cache.len()),
            observer_panics: self.core.observer_panics.load(Ordering::Relaxed),
        }
    }

    /// A handle of the same store and actor, each of whose transactions begins with `check`.
    pub(crate) fn checking(
        &self,
        check: impl Fn(&ReadTx<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { precondition: Some(Arc::new(check)), ..self.clone() }
    }

    pub(crate) fn has_precondition(&self) -> bool {
        self.precondition.is_some()
    }

    /// Checks the precondition of this handle in this transaction.
    pub(crate) fn check_precondition(&self, tx: &ReadTx<'_>) -> Result<()> {
        self.precondition.as_ref().map_or(Ok(()), |precondition| precondition.check(tx))
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn options(&self) -> &Options {
        &self.core.options
    }

    /// Runs `job` in one read transaction, which sees one snapshot of the file.
    pub(crate) fn read<T>(&self, job: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        spans::span!("read");
        let checked = |tx: &ReadTx<'_>| {
            self.check_precondition(tx)?;
            job(tx)
        };
        self.core.storage.read(checked).inspect_err(|error| spans::failed("read", error))
    }

    /// Runs `job` in one write transaction without an audit event: for maintenance and for the
    /// first half of a login. All other writes go through `Store::write`, which appends audit
    /// events.
    pub(crate) fn transact<T>(
        &self,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        self.transact_as(Purpose::Ordinary, job)
    }

    /// As [`transact`](Self::transact), for a purpose. Revocations that wait in memory are written
    /// first: written later, they would revoke a credential that this write opens or issues. An
    /// ordinary write takes uses of sessions along.
    pub(crate) fn transact_as<T>(
        &self,
        purpose: Purpose,
        job: impl FnOnce(&WriteTx<'_>) -> Result<Finished<T>>,
    ) -> Result<T> {
        spans::span!("write");
        self.core.write_denials().map_err(not_of_this_write)?;
        let uses = &self.core.pending.uses;
        let mut along = None;
        let (answer, appended) = self.core.write(purpose, &self.actor, |tx| {
            self.check_precondition(tx)?;
            let finished = job(tx)?;
            if purpose == Purpose::Ordinary && matches!(finished, Finished::Commit(_)) {
                along = uses.write_batch(tx)?;
            }
            Ok(finished)
        })?;
        if let Some(batch) = along {
            batch.committed();
        }
        self.core.report(&appended);
        Ok(answer)
    }

    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }
}

impl Core {
    pub(crate) fn new(
        storage: Storage,
        options: Options,
        differing: Vec<OpenWarning>,
        write_use: WriteUse,
    ) -> Result<Arc<Self>> {
        let mut open_warnings =
            storage.place().map(|place| place.warnings.clone()).unwrap_or_default();
        open_warnings.extend(differing);
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
            hasher: Hasher::new(
                options.cost,
                options.max_concurrent_hashes,
                options.max_waiting_hashes,
            ),
            pending: Pending::new(storage.random(), write_use)?,
            coherence,
            change_signal,
            open_warnings,
            ticket_key: OnceLock::new(),
            observer_panics: AtomicU64::new(0),
            opened_at: storage.now(),
            storage,
            options,
        }))
    }

    /// The key of the tickets that are valid in this process only; `None` if it has minted none.
    pub(crate) fn local_ticket_key(&self) -> Option<&[u8; 32]> {
        self.ticket_key.get().map(|key| &**key)
    }

    /// The same key, which is drawn if there is none.
    pub(crate) fn draw_ticket_key(&self) -> Result<&[u8; 32]> {
        if let Some(key) = self.local_ticket_key() {
            return Ok(key);
        }
        let drawn = Zeroizing::new(random_bytes(self.storage.random())?);
        Ok(&**self.ticket_key.get_or_init(|| drawn))
    }

    /// Writes the revocations that could not be written when their calls were made.
    pub(crate) fn write_denials(&self) -> Result<()> {
        let mut all_appended = Vec::new();
        let written = self.pending.denials.write_all(|denial| {
            let ((), appended) = self.write(Purpose::Revocation, &denial.actor, |tx| {
                // Another thread may have written it already, and a session been opened since.
                let revoked =
                    self.pending.denials.waits(denial) && (denial.write)(tx, denial.target)?;
                Ok(if revoked { Finished::Commit(()) } else { Finished::Nothing(()) })
            })?;
            all_appended.push(appended);
            Ok(())
        });
        // A denial that was written and not removed yet would refuse a session opened since.
        all_appended.iter().for_each(|appended| self.report(appended));
        written
    }

    /// Tries to write a batch of uses, without waiting for another writer; `true` if it wrote any.
    /// No result of a call depends on it.
    pub(crate) fn write_uses(&self) -> bool {
        committed(self.storage.try_write(&Actor::Host, |tx| self.batch_of_uses(tx)))
    }

    /// As [`write_uses`](Self::write_uses), for a verify: without a flush of the disk, or not at
    /// all.
    pub(crate) fn write_uses_unsynced(&self) -> bool {
        let job = |tx: &WriteTx<'_>| self.batch_of_uses(tx);
        committed(self.storage.try_write_unsynced(&Actor::Host, job))
    }

    fn batch_of_uses(&self, tx: &WriteTx<'_>) -> Result<Finished<Option<Batch<'_>>>> {
        let batch = self.pending.uses.write_batch(tx)?;
        Ok(if batch.is_some() { Finished::Commit(batch) } else { Finished::Nothing(None) })
    }
}

/// Whether a batch of uses was committed.
fn committed(written: Result<Option<Option<Batch<'_>>>>) -> bool {
    written.ok().flatten().flatten().map(Batch::committed).is_some()
}

/// Writes the uses that wait. Revocations and counts that wait are lost.
impl Drop for Core {
    fn drop(&mut self) {
        while self.write_uses() {}
    }
}

/// The commit in doubt is that of the revocations: the caller's own write was not begun, and its
/// error must not suggest otherwise.
fn not_of_this_write(error: Error) -> Error {
    match error.kind() {
        ErrorKind::CommitUnknown => not_begun(),
        _ => error,
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("actor", &self.actor).finish_non_exhaustive()
    }
}
