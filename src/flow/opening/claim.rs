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
//! refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Identity, Whereabouts};
use crate::store::Core;

static HELD: Mutex<Held> = Mutex::new(Held { open: BTreeMap::new(), claimed: Vec::new() });
static RELEASED: Condvar = Condvar::new();

struct Held {
    open: BTreeMap<Identity, Weak<Core>>,
    claimed: Vec<Whereabouts>,
}

/// No other thread of this process opens, restores or adopts the file until this is dropped.
pub(crate) struct Claim {
    pub(crate) whereabouts: Whereabouts,
    /// The core of the file, if this process has it open: a second opening shares it.
    pub(crate) open: Option<Arc<Core>>,
}

impl Claim {
    /// Waits while another thread has a claim on what may be the same file.
    pub(crate) fn on(path: &Path) -> Result<Self> {
        when_released(|held| {
            let wanted = Whereabouts::of(path)?;
            if held.is_claimed(&wanted) {
                return Ok(None);
            }
            let open = held.already_open(&wanted)?;
            Ok(Some(held.claim(wanted, open)))
        })
    }

    /// Claims both files at once, so that no two threads wait for each other: the file at `path`,
    /// and its backup.
    pub(crate) fn on_both(path: &Path, backup: &Path) -> Result<(Self, Self)> {
        when_released(|held| {
            let wanted = Whereabouts::of(path)?;
            let beside = Whereabouts::of(backup).map_err(|error| error.at(backup))?;
            if held.is_claimed(&wanted) || held.is_claimed(&beside) {
                return Ok(None);
            }
            let open = held.already_open(&wanted)?;
            let open_beside = held.already_open(&beside).map_err(|error| error.at(backup))?;
            Ok(Some((held.claim(wanted, open), held.claim(beside, open_beside))))
        })
    }

    /// Lets later openings of the file share its core.
    pub(super) fn share(&self, core: &Arc<Core>) {
        if let Some(place) = core.storage.place() {
            HELD.lock().open.insert(place.identity, Arc::downgrade(core));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = HELD.lock();
        if let Some(at) = held.claimed.iter().position(|one| *one == self.whereabouts) {
            held.claimed.swap_remove(at);
        }
        RELEASED.notify_all();
    }
}

/// What `claim` returns once it returns something. It looks where the paths lead each time: the
/// thread that it waited for may have created or replaced the file.
fn when_released<T>(claim: impl Fn(&mut Held) -> Result<Option<T>>) -> Result<T> {
    let mut held = HELD.lock();
    held.open.retain(|_, core| core.strong_count() > 0);
    loop {
        if let Some(claimed) = claim(&mut held)? {
            return Ok(claimed);
        }
        RELEASED.wait(&mut held);
    }
}

impl Held {
    fn is_claimed(&self, wanted: &Whereabouts) -> bool {
        self.claimed.iter().any(|one| one.may_be(wanted))
    }

    fn claim(&mut self, wanted: Whereabouts, open: Option<Arc<Core>>) -> Claim {
        self.claimed.push(wanted.clone());
        Claim { whereabouts: wanted, open }
    }

    /// The core of that file, if this process has it open.
    fn already_open(&self, wanted: &Whereabouts) -> Result<Option<Arc<Core>>> {
        let cores =
            self.open.values().filter_map(Weak::upgrade).filter(|core| !core.storage.is_closed());
        for core in cores {
            let Some(place) = core.storage.place() else { continue };
            if Some(place.identity) == wanted.identity {
                return Ok(Some(core));
            }
            // Its write-ahead log is still at that path, and a new file would get it.
            if place.files == wanted.files {
                return Err(Error::new(
                    ErrorKind::Unsafe,
                    "the file open under this name was moved or deleted: call Store::close on that \
                     store first",
                ));
            }
        }
        Ok(None)
    }
}
