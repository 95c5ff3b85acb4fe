//! The files that this process has open, and those that one of its threads opens, restores or
//! adopts.
//!
//! Two cores of one file would be two sets of locks that do not see each other, and a descriptor
//! that one thread closes drops the locks that another thread has on the file. So one thread at a
//! time claims a file. A claim may last, as it waits for other processes, migrates or copies; a
//! thread that wants another file does not wait for it.
//!
//! **Ordering.** An [`OpenMark`](crate::storage::OpenMark) comes before a claim and is dropped
//! after it: the child of a fork would wait for ever for a claim that it inherits, so it is
//! refused. Nothing waits for a disk, and no core is dropped, while [`HELD`] is locked.

use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Files, Identity, Whereabouts};
use crate::store::Core;

static HELD: Mutex<Held> = Mutex::new(Held { open: BTreeMap::new(), claimed: Vec::new() });
static RELEASED: Condvar = Condvar::new();

struct Held {
    open: BTreeMap<Identity, (Files, Weak<Core>)>,
    claimed: Vec<(ThreadId, Whereabouts)>,
}

/// No other thread of this process opens, restores or adopts the file until this is dropped.
pub(crate) struct Claim {
    pub(crate) whereabouts: Whereabouts,
    /// The core of the file, if this process has it open: a second opening shares it.
    pub(crate) open: Option<Arc<Core>>,
}

impl Claim {
    /// Waits while another thread has a claim on what may be the same file.
    ///
    /// # Errors
    /// `Misuse` if this thread has a claim, `Unsafe` if the file open under this name was moved or
    /// deleted.
    pub(crate) fn on(path: &Path) -> Result<Self> {
        claim(|| Ok([Wanted::at(path)?])).map(|[claim]| claim)
    }

    /// Claims the file at `path` and its backup at once, so that no two threads wait for each
    /// other.
    pub(crate) fn on_both(path: &Path, backup: &Path) -> Result<(Self, Self)> {
        let both = || Ok([Wanted::at(path)?, Wanted::at(backup)?]);
        claim(both).map(|[claim, of_backup]| (claim, of_backup))
    }

    /// Keeps the core of the file, if it is among these: the cores of the same identity or name.
    fn find_open(&mut self, cores: Vec<Arc<Core>>) -> Result<()> {
        for core in cores.into_iter().filter(|core| !core.storage.is_closed()) {
            let identity = core.storage.place().map(|place| place.identity);
            if identity != self.whereabouts.identity {
                // Its write-ahead log is still at that path, and a new file would get it.
                return Err(Error::new(
                    ErrorKind::Unsafe,
                    "the file open under this name was moved or deleted: call Store::close on that \
                     store first",
                ));
            }
            self.open = Some(core);
        }
        Ok(())
    }

    /// Lets later openings of the file share its core.
    pub(super) fn share(&self, core: &Arc<Core>) {
        if let Some(place) = core.storage.place() {
            let shared = (place.files.clone(), Arc::downgrade(core));
            let mut held = HELD.lock();
            held.open.retain(|_, (_, core)| core.strong_count() > 0);
            held.open.insert(place.identity, shared);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        if let Some(at) = held.claimed.iter().position(|(_, one)| *one == self.whereabouts) {
            held.claimed.swap_remove(at);
        }
        RELEASED.notify_all();
    }
}

/// A path and where it led at that moment.
#[derive(PartialEq)]
struct Wanted<'p> {
    path: &'p Path,
    whereabouts: Whereabouts,
}

impl<'p> Wanted<'p> {
    fn at(path: &'p Path) -> Result<Self> {
        let whereabouts = Whereabouts::of(path).map_err(|error| error.at(path))?;
        Ok(Self { path, whereabouts })
    }
}

/// Claims what `find` finds, all of it at once, and gives it back if the paths lead elsewhere by
/// then: the file may have been created or replaced meanwhile.
fn claim<'p, const N: usize>(find: impl Fn() -> Result<[Wanted<'p>; N]>) -> Result<[Claim; N]> {
    let mut wanted = find()?;
    loop {
        let mut claimed = claim_at_once(&wanted)?;
        let found = find()?;
        if found == wanted {
            for ((claim, cores), wanted) in claimed.iter_mut().zip(&wanted) {
                claim.find_open(mem::take(cores)).map_err(|error| error.at(wanted.path))?;
            }
            return Ok(claimed.map(|(claim, _)| claim));
        }
        wanted = found;
    }
}

/// Waits while another thread has a claim on what may be one of these files.
fn claim_at_once<const N: usize>(
    wanted: &[Wanted<'_>; N],
) -> Result<[(Claim, Vec<Arc<Core>>); N]> {
    let mut held = HELD.lock();
    held.check_thread()?;
    while wanted.iter().any(|one| held.is_claimed(&one.whereabouts)) {
        RELEASED.wait(&mut held);
    }
    Ok(wanted.each_ref().map(|one| held.claim(&one.whereabouts)))
}

impl Held {
    /// Refuses a thread that has a claim: it would wait for itself, or for a thread that waits for
    /// it.
    fn check_thread(&self) -> Result<()> {
        let own = thread::current().id();
        if self.claimed.iter().any(|(thread, _)| *thread == own) {
            return Err(Error::misuse(
                "this thread opens, restores or adopts a store, and its clock or random source \
                 called for another",
            ));
        }
        Ok(())
    }

    fn is_claimed(&self, wanted: &Whereabouts) -> bool {
        self.claimed.iter().any(|(_, one)| one.may_be(wanted))
    }

    /// The claim, and the cores that may be open under its name.
    fn claim(&mut self, whereabouts: &Whereabouts) -> (Claim, Vec<Arc<Core>>) {
        let is_there = |(identity, (files, _)): &(&Identity, &(Files, Weak<Core>))| {
            Some(**identity) == whereabouts.identity || *files == whereabouts.files
        };
        let cores = self.open.iter().filter(is_there).filter_map(|(_, (_, core))| core.upgrade());
        let cores = cores.collect();
        self.claimed.push((thread::current().id(), whereabouts.clone()));
        (Claim { whereabouts: whereabouts.clone(), open: None }, cores)
    }
}
