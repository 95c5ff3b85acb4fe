//! Opening a store: the file is created, migrated or shared with a core that is open already.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::{Error, Reason, Result};
use crate::options::Options;
use crate::record::audit::{self, Source};
use crate::storage::{FileEvent, Files, Identity, OpenRequest, Storage, WriteTx};
use crate::store::{Core, Store};
use crate::value::event::{Event, EventKind};

/// The files that are open in this process, so that a second open shares the first one's core:
/// two cores would be two sets of locks that do not see each other.
static OPEN: Mutex<BTreeMap<Identity, Weak<Core>>> = Mutex::new(BTreeMap::new());

impl Store {
    /// Opens the file at `path`, creating it, readable by its owner alone, if there is none.
    ///
    /// Relative paths and symbolic links are resolved; a second open of the same file in this
    /// process answers a handle of the first. If a commit of this process was left unknown, it is
    /// settled first: [`Status::last_unknown_commit`](crate::Status::last_unknown_commit).
    /// Nothing is written before the file is known to be ours, and a damaged file is never begun
    /// anew. A migration first writes a verified backup beside the file.
    ///
    /// Reads and writes the file; waits up to 5 s for another process.
    ///
    /// # Errors
    /// `Invalid` (the path, or an option out of its bounds), `NotFound` (the directory),
    /// `NotADatabase`, `NotOurs`, `TooNew`, `SqliteTooOld`, `ReadOnly`, `NoPermission`, `Unsafe`,
    /// `Unsupported`, `Corrupt`, `Busy`, `Full`, `Io`, `CommitUnknown` if a commit of this process
    /// still cannot be settled, and `Misuse` if the file is open in this process with other
    /// options. [`Error::advice`] says what to do.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        options.check_bounds()?;
        let mut open = OPEN.lock();
        open.retain(|_, core| core.strong_count() > 0);
        let (files, identity) = Storage::whereabouts(path.as_ref())?;
        if let Some(core) = already_open(&open, &files, identity)? {
            if core.options == options {
                core.storage.settle()?;
                return Ok(Self::of(core));
            }
            return Err(Error::misuse("the file is open in this process with other options"));
        }
        let request = OpenRequest {
            files,
            tolerances: options.tolerances,
            for_tests: options.for_tests,
            reserve_bytes: options.disk_reserve_bytes,
            clock: options.clock.clone(),
            random: Arc::clone(&options.random),
        };
        let keep = options.audit_kept_rows;
        let storage = Storage::open(request, &|tx, event| record(tx, event, keep))?;
        if !options.cost.meets_floor() && !storage.is_for_tests() {
            return Err(Error::misuse("the test cost is refused on a store not made for tests"));
        }
        let identity = storage.place().map(|place| place.identity);
        let core = Core::new(storage, options)?;
        if let Some(identity) = identity {
            open.insert(identity, Arc::downgrade(&core));
        }
        Ok(Self::of(core))
    }

    /// A store without a file, for tests: one connection, gone with its last handle.
    ///
    /// # Errors
    /// `Invalid` if an option is out of its bounds, `NoRandom`.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn in_memory(options: Options) -> Result<Self> {
        options.check_bounds()?;
        let keep = options.audit_kept_rows;
        let storage = Storage::in_memory(
            options.clock.clone(),
            Arc::clone(&options.random),
            options.for_tests,
            &|tx, event| record(tx, event, keep),
        )?;
        Core::new(storage, options).map(Self::of)
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

/// Records the creation or migration of the file, in its own transaction.
fn record(tx: &WriteTx<'_>, event: FileEvent, keep: u64) -> Result<()> {
    let event = match event {
        FileEvent::Created => Event::new(EventKind::StoreCreated),
        FileEvent::Migrated { from, to } => {
            Event::new(EventKind::StoreMigrated).detail(format!("version {from} to {to}"))
        }
    };
    audit::append(tx, Source::Gatepost, event.kind.name(), &event, keep)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::audit::AuditFilter;
    use crate::storage::Settled;
    use crate::value::event::Actor;
    use crate::value::id::Page;

    #[test]
    fn a_migration_is_a_row_of_the_log_that_names_both_versions() {
        let store = Store::in_memory(Options::for_tests()).unwrap();
        let event = FileEvent::Migrated { from: 1, to: 3 };
        store.transact(|tx| record(tx, event, 1_000).map(Settled::Commit)).unwrap();
        let log = store.audit().list(&AuditFilter::new(), Page::first(9)).unwrap();
        let found: Vec<_> = log.iter().map(|row| (row.event.as_str(), row.actor)).collect();
        let expected = [("store.created", Actor::Host), ("store.migrated", Actor::Host)];
        assert_eq!(found, expected);
        assert_eq!(log[1].detail.as_deref(), Some("version 1 to 3"));
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
    }
}
