//! The change signal: has any process committed since we last looked?
//!
//! SQLite keeps a 48-byte header at the start of the wal-index (`-shm`), which every commit by any
//! process changes before it is acknowledged, and by which SQLite itself decides whether its page
//! cache still holds. Comparing those bytes costs about ten nanoseconds and no system call. A
//! difference only means "look": the header also changes with checkpoints, WAL resets and
//! recovery, without a change of content.
//!
//! **What it relies on.** The documented VFS interface: `SQLITE_FCNTL_FILE_POINTER` gives the file
//! of a connection, its `xShmMap` the first region of the wal-index; the header stands there twice
//! (walformat.html, "WAL-Index Header"), written second copy first, with a barrier between, and
//! whole before a COMMIT returns.
//!
//! **What it may not do.** Write to the mapping; read beyond the two copies; open, lock or close
//! anything. It holds one connection of its own, pinned: while any connection is open SQLite
//! neither deletes the `-shm` nor unmaps its first region, so the address stays good until that
//! connection is closed. Whoever looks holds a gate open; closing waits for all of them.
//!
//! **What happens when.**
//!
//! - *A checkpoint* changes nothing in these bytes; one that lets the log begin anew (*WAL reset*)
//!   changes the salts and the number of frames, so that nothing that was followed returns.
//! - *Recovery*, after a process was killed in the middle of a header, sets the change counter back
//!   to zero: all 48 bytes are compared and never the counter alone. Until then the two copies
//!   differ; such a header is never called stable, and verify asks SQLite, which recovers.
//! - *A log that was never written* has salts of zero and a header that could return: it is never
//!   called stable either. A store that opens such a file commits once.
//! - *The last close of another process* deletes and unmaps nothing, as the pinned connection keeps
//!   its shared lock. *Our own close* waits for those who look, and nobody looks after it.
//! - *A fork* leaves the mapping to the child, but not the locks that keep it the live one: every
//!   call of the child is refused before it looks here (`fork`, `watch`).
//! - *Lost locks* (somebody in this program closed a descriptor of the file or of the `-shm`) let
//!   others delete and make anew what is mapped here. *A file or `-shm` that was deleted, moved or
//!   replaced* leaves a mapping that nobody writes any more, which would look fresh for ever. Both
//!   are noticed by `watch` within a second of verifies, and close the store.
#![allow(unsafe_code, reason = "SQLite maps the wal-index and gives a pointer to it")]

use std::ffi::c_void;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use rusqlite::{Connection, ffi};

use super::change_log::{Bookmark, Changes};
use super::transaction;
use super::{connection, fault};
use crate::error::{Error, Reason, Result};
use crate::value::limits;
use crate::value::time::Timestamp;

/// The header of the wal-index, all 48 bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header([u64; HEADER_WORDS]);

const HEADER_WORDS: usize = 6;

impl Header {
    pub(crate) const WORDS: usize = HEADER_WORDS;

    #[inline]
    fn read(copy: &[AtomicU64; HEADER_WORDS]) -> Self {
        Self(copy.each_ref().map(|word| word.load(Ordering::Acquire)))
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64; HEADER_WORDS] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn from_words(words: [u64; HEADER_WORDS]) -> Self {
        Self(words)
    }
}

/// The size of a region of the wal-index, which SQLite asks for as well.
const REGION_BYTES: i32 = 32 * 1_024;

/// The wal-index of an open file, and the connection that keeps it mapped.
pub(crate) struct WalIndex {
    /// Both copies of the header, one behind the other.
    header: NonNull<[[AtomicU64; HEADER_WORDS]; 2]>,
    /// `None` once closed.
    pinned: Mutex<Option<Connection>>,
    /// Held for reading by everyone who looks, for writing by the one who closes. Many, so that
    /// no two threads that look share one.
    gates: [Gate; GATES],
}

/// Whether one may look; alone on its cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Gate {
    is_open: RwLock<bool>,
}

const GATES: usize = 32;

/// A look at the wal-index, during which it stays mapped.
pub(crate) struct Look<'i> {
    index: &'i WalIndex,
    _gate: RwLockReadGuard<'i, bool>,
}

// SAFETY: the address is of memory that stays mapped while `pinned` is open; it is reached through
// a `Look` alone, which holds a gate that `close` needs, and read through atomics, never written.
// The connection is behind a mutex, and rusqlite's `Connection` is `Send`.
unsafe impl Send for WalIndex {}
// SAFETY: as above; all shared access is atomic loads or goes through the locks.
unsafe impl Sync for WalIndex {}

impl WalIndex {
    /// The wal-index of the file; none where there is no shared one (then nobody may cache).
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let pinned = connection::for_reading(path)?;
        // A first read opens the wal-index: before it there is nothing to map.
        transaction::read(&pinned, Timestamp::from_millis(0), |tx| tx.head())?;
        pinned.busy_timeout(limits::FOLLOW_WAIT).map_err(fault)?;
        Ok(map(&pinned).map(|header| Self {
            header,
            pinned: Mutex::new(Some(pinned)),
            gates: std::array::from_fn(|_| Gate { is_open: RwLock::new(true) }),
        }))
    }

    /// Keeps the wal-index mapped while the answer lives; none once it is closed. One at a time in
    /// each thread.
    #[inline]
    pub(crate) fn look(&self) -> Option<Look<'_>> {
        let gate = self.gates.get(own_gate())?.is_open.read();
        gate.then_some(Look { index: self, _gate: gate })
    }

    /// Lets the file go, once nobody looks any more.
    pub(crate) fn close(&self) -> Result<()> {
        for gate in &self.gates {
            *gate.is_open.write() = false;
        }
        match self.pinned.lock().take() {
            Some(connection) => connection.close().map_err(|(_, error)| fault(error)),
            None => Ok(()),
        }
    }
}

impl Look<'_> {
    /// The first copy, as it stands at this instant. It may be half written; then it differs from
    /// every header that was ever stable, or equals one that is still the newest acknowledged.
    #[inline]
    pub(crate) fn now(&self) -> Header {
        let [first, _] = self.copies();
        Header::read(first)
    }

    /// The header, if both copies say the same and the WAL has been written to.
    pub(crate) fn stable(&self) -> Option<Header> {
        let [first, second] = self.copies();
        let (first, second) = (Header::read(first), Header::read(second));
        // Bytes 32 to 39.
        let [_, _, _, _, salts, _] = first.0;
        (first == second && salts != 0).then_some(first)
    }

    /// What a snapshot that is taken now says of the time since `place`.
    pub(crate) fn changes_since(&self, place: Option<Bookmark>) -> Result<Changes> {
        let pinned = self.index.pinned.lock();
        let Some(pinned) = &*pinned else {
            return Err(Error::new(Reason::Closed, "the store is closed"));
        };
        transaction::read(pinned, Timestamp::from_millis(0), |tx| Changes::since(tx, place))
    }

    #[inline]
    fn copies(&self) -> &[[AtomicU64; HEADER_WORDS]; 2] {
        // SAFETY: `header` points to 96 mapped, 8-byte aligned bytes (a region begins on a page)
        // while the pinned connection is open, which `close` ends only when it holds every gate;
        // this look holds one, and what is returned borrows the look. Other processes write them;
        // atomic loads of words make of that a value that may be torn between words and never
        // anything worse.
        unsafe { self.index.header.as_ref() }
    }
}

/// The gate of this thread: threads take them in turn.
#[inline]
fn own_gate() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % GATES);
    OWN.with(|own| *own)
}

/// Asks the VFS of the connection for the first region of its wal-index.
fn map(connection: &Connection) -> Option<NonNull<[[AtomicU64; HEADER_WORDS]; 2]>> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is open for as long as `connection` is borrowed, and this control writes
    // one pointer to the place it is given.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast::<c_void>(),
        )
    };
    if code != ffi::SQLITE_OK || file.is_null() {
        return None;
    }
    // SAFETY: SQLite gave the file of an open connection; its methods are static.
    let methods = unsafe { (*file).pMethods.as_ref() }?;
    // Shared memory came with version 2 of the interface.
    let shm_map = methods.xShmMap.filter(|_| methods.iVersion >= 2)?;
    let mut region: *mut c_void = ptr::null_mut();
    // SAFETY: the method is called with its own file, for a region that the read above has
    // mapped; it is told not to extend the file and writes one pointer, which may stay NULL. No
    // other thread uses this connection yet.
    let code = unsafe { shm_map(file, 0, REGION_BYTES, 0, (&raw mut region).cast()) };
    if code != ffi::SQLITE_OK {
        return None;
    }
    NonNull::new(region.cast())
}

impl std::fmt::Debug for WalIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalIndex").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_catch_up_waits_for_its_share_of_a_verify_and_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("auth.db");
        drop(crate::Store::open(&path, crate::Options::server()).unwrap());
        let index = WalIndex::open(&path).unwrap().unwrap();
        let pinned = index.pinned.lock();
        let wait = connection::pragma_value(pinned.as_ref().unwrap(), "busy_timeout").unwrap();
        assert_eq!(Duration::from_millis(wait.unsigned_abs()), limits::FOLLOW_WAIT);
    }
}
