//! The change signal: the WAL-index header, which shows whether any process has committed since
//! the last check.
//!
//! SQLite keeps a 48-byte header at the start of the wal-index (`-shm`). Every commit by any
//! process changes it before the commit is acknowledged, and SQLite itself decides by it whether
//! its page cache is valid. Comparing those bytes costs about ten nanoseconds and no system call.
//! A difference means only that the file must be read: WAL resets and recovery change the header as
//! well, without a change of content.
//!
//! **Assumptions.** The documented VFS interface: `SQLITE_FCNTL_FILE_POINTER` gives the file of a
//! connection, and its `xShmMap` the first region of the wal-index. The header is stored there
//! twice (walformat.html, "WAL-Index Header"); the second copy is written first, with a memory
//! barrier between them, and both are complete before a COMMIT returns.
//!
//! **Limits.** This module never writes to the mapping, never reads beyond the two copies, and
//! never opens, locks or closes a file. It keeps one connection open: while any connection is open
//! SQLite neither deletes the `-shm` nor unmaps its first region, so the address is valid until
//! that connection is closed. A reader holds its gate, a read-write lock, shared;
//! [`WalIndex::close`] takes all gates exclusively.
//!
//! **Events.**
//!
//! - *A checkpoint* does not change these bytes. A *WAL reset*, where the WAL begins again from
//!   its start, changes the salts and the number of frames, so that an earlier header never
//!   recurs.
//! - *Recovery*, after a process was killed while it wrote the header, sets the change counter
//!   back to zero; so all 48 bytes are compared, never the counter alone. Until recovery the two
//!   copies differ: such a header is not stable, and verify asks SQLite, which recovers.
//! - *A WAL that was never written* has salts of zero and a header that could recur: it is not
//!   stable either. A store that opens such a file commits once.
//! - *The last close by another process* deletes and unmaps nothing, as the connection kept open
//!   here has a shared lock. *The close by this process* waits for all readers, and no reader
//!   comes after it.
//! - *A fork* gives the mapping to the child, but not the locks that keep it current: every call
//!   of that store in the child is refused before it gets here (`fork`, `watch`).
//! - *Lost locks* (other code of this program closed a descriptor of the file or the `-shm`) let
//!   other processes delete and recreate what is mapped here. *A file or `-shm` that was deleted,
//!   moved or replaced* leaves a mapping that no process writes, which would seem fresh for ever.
//!   `watch` detects both within a second of verifies and closes the store.
#![allow(unsafe_code, reason = "SQLite maps the wal-index and gives a pointer to it")]

use std::ffi::c_void;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use rusqlite::{Connection, ffi};

use super::change_log::{Bookmark, Changes};
use super::clock::Moment;
use super::fork::OpenMark;
use super::header::file_of;
use super::{connection, fault, reading};
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// The 48 bytes of the WAL-index header.
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

/// The size of a region of the wal-index, as SQLite passes it to `xShmMap`.
const REGION_BYTES: i32 = 32 * 1_024;

/// The wal-index of an open file, and the connection that keeps it mapped.
pub(crate) struct WalIndex {
    /// The two copies of the header, which are adjacent.
    header: NonNull<[[AtomicU64; HEADER_WORDS]; 2]>,
    /// `None` once closed.
    pinned: Mutex<Option<Pinned>>,
    /// A reader takes the gate of its thread shared; `close` takes all of them exclusively. There
    /// are many, so that threads seldom share one.
    gates: [ReaderGate; GATES],
}

/// The connection that keeps the wal-index mapped.
struct Pinned {
    connection: Connection,
    /// Declared after the connection, so dropped after it.
    _open_mark: OpenMark,
}

/// `is_open` turns false when the wal-index is closed. Each gate has its own cache line.
#[derive(Debug)]
#[repr(align(128))]
struct ReaderGate {
    is_open: RwLock<bool>,
}

const GATES: usize = 32;

/// A read of the wal-index, during which it stays mapped.
pub(crate) struct Reading<'i> {
    index: &'i WalIndex,
    _gate: RwLockReadGuard<'i, bool>,
}

// SAFETY: the address is of memory that stays mapped while `pinned` is open; it is reached through
// a `Reading` alone, which holds a gate that `close` needs, and is read by atomic loads only.
// The connection is behind a mutex, and rusqlite's `Connection` is `Send`.
unsafe impl Send for WalIndex {}
// SAFETY: as above; all shared access is atomic loads or goes through the locks.
unsafe impl Sync for WalIndex {}

impl WalIndex {
    /// Maps the wal-index of the file. `None` if the VFS has no shared memory; then nothing may be
    /// cached.
    pub(super) fn open(path: &Path, open_mark: OpenMark) -> Result<Option<Self>> {
        let pinned = connection::for_reading(path)?;
        // SQLite opens the wal-index at the first read; before that there is nothing to map.
        reading::read(&pinned, Moment::EPOCH, |tx| tx.head())?;
        pinned.busy_timeout(limits::FOLLOW_WAIT).map_err(fault)?;
        Ok(map(&pinned).map(|header| Self {
            header,
            pinned: Mutex::new(Some(Pinned { connection: pinned, _open_mark: open_mark })),
            gates: std::array::from_fn(|_| ReaderGate { is_open: RwLock::new(true) }),
        }))
    }

    /// Keeps the wal-index mapped while the result lives; `None` once it is closed. A thread has
    /// at most one `Reading` at a time.
    #[inline]
    pub(crate) fn read(&self) -> Option<Reading<'_>> {
        let gate = self.gates.get(own_gate())?.is_open.read();
        gate.then_some(Reading { index: self, _gate: gate })
    }

    /// Waits for all readers and closes the connection.
    pub(crate) fn close(&self) -> Result<()> {
        for gate in &self.gates {
            *gate.is_open.write() = false;
        }
        match self.pinned.lock().take() {
            Some(pinned) => pinned.connection.close().map_err(|(_, error)| fault(error)),
            None => Ok(()),
        }
    }
}

impl Reading<'_> {
    /// The first copy of the header, read now. It may be half written; then it differs from every
    /// header that was ever stable, or equals one that is still the newest acknowledged.
    #[inline]
    pub(crate) fn now(&self) -> Header {
        let [first, _] = self.copies();
        Header::read(first)
    }

    /// The header, if both copies are equal and the WAL has been written to.
    pub(crate) fn stable(&self) -> Option<Header> {
        let [first, second] = self.copies();
        let (first, second) = (Header::read(first), Header::read(second));
        // The salts are bytes 32 to 39.
        let [_, _, _, _, salts, _] = first.0;
        (first == second && salts != 0).then_some(first)
    }

    /// The changes since `place`, read in a new snapshot.
    pub(crate) fn changes_since(&self, place: Option<Bookmark>) -> Result<Changes> {
        let pinned = self.index.pinned.lock();
        // No test fails without this: `close` waits for the gate that this reading has.
        let Some(pinned) = &*pinned else {
            return Err(Error::new(ErrorKind::Closed, "the store is closed"));
        };
        reading::read(&pinned.connection, Moment::EPOCH, |tx| Changes::since(tx, place))
    }

    #[inline]
    fn copies(&self) -> &[[AtomicU64; HEADER_WORDS]; 2] {
        // SAFETY: `header` points to 96 mapped, 8-byte aligned bytes (a region begins on a page)
        // while the pinned connection is open. `close` closes it only while it holds every gate;
        // this `Reading` holds one, and the result borrows the `Reading`. Other processes write
        // the bytes; atomic loads of words can give a value that is torn between words, and
        // nothing worse.
        unsafe { self.index.header.as_ref() }
    }
}

/// The index of the gate of this thread: threads take the gates in turn.
#[inline]
fn own_gate() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % GATES);
    OWN.with(|own| *own)
}

/// Asks the VFS of the connection for the first region of its wal-index.
fn map(connection: &Connection) -> Option<NonNull<[[AtomicU64; HEADER_WORDS]; 2]>> {
    let (file, methods) = file_of(connection)?;
    // Shared memory came with version 2 of the interface.
    let shm_map = methods.xShmMap.filter(|_| methods.iVersion >= 2)?;
    let mut region: *mut c_void = ptr::null_mut();
    // SAFETY: the method is called with its own file, for a region that the read above has mapped;
    // the `0` keeps it from extending the file. It writes one pointer, which may stay NULL. No
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
        let index = WalIndex::open(&path, OpenMark::new().unwrap()).unwrap().unwrap();
        let pinned = index.pinned.lock();
        let wait = connection::pragma_value(&pinned.as_ref().unwrap().connection, "busy_timeout")
            .unwrap();
        assert_eq!(Duration::from_millis(wait.unsigned_abs()), limits::FOLLOW_WAIT);
    }
}
