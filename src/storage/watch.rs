//! Whether the file that is open is still the one at its path, and still ours.
//!
//! Looked at before each commit, and once in a second of the store's clock by whichever verify
//! comes first. A store whose
//! file was replaced or deleted would go on answering from the old one. A descriptor of the file
//! that somebody else in this process closed took SQLite's locks with it, and other processes may
//! then overwrite what they think nobody reads. Both close the store, with the reason.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};

use super::files::{self, Files, Identity};
use super::fork;
use crate::error::{Error, Reason, Result};
use crate::value::limits;
use crate::value::time::Timestamp;

/// What watches over an open file, or why its store has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileGuard {
    /// Once a second a verify looks whether it is still the same file, and whether the locks of
    /// this process on it still stand.
    FileAndLocks,
    /// Once a second a verify looks whether it is still the same file. This system does not tell
    /// which locks a process holds.
    FileAlone,
    /// There is no file.
    InMemory,
    /// The host has closed the store.
    Closed,
    /// The file was moved, deleted or replaced, and the store has closed itself.
    Replaced,
    /// The locks on the file were lost, as this program closed a descriptor of it, and the store
    /// has closed itself.
    LocksLost,
    /// This process is a child of the one that opened the file.
    Forked,
}

/// The state of an open file.
#[derive(Debug)]
pub(super) struct Watch {
    /// Whether the system tells which locks this process holds.
    tells_locks: bool,
    state: AtomicU8,
    looked_at: AtomicI64,
    file: Option<Watched>,
}

/// What is looked at; nothing in memory.
#[derive(Debug)]
struct Watched {
    files: Files,
    file: Locked,
    wal_index: Option<Locked>,
}

/// What Linux tells of each descriptor of this process.
const OWN_LOCKS: &str = "/proc/self/fdinfo";

/// A file on which this process holds locks for as long as the store is open.
#[derive(Debug)]
struct Locked {
    identity: Identity,
    /// One that is locked all the while.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells"))]
    byte: u64,
    /// The descriptor through which the locks were seen to be held last.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells"))]
    descriptor: AtomicU32,
}

/// The first of the bytes that a connection of a WAL file locks for as long as it is open.
const FILE_SHARED: u64 = 0x4000_0002;
/// The byte of the wal-index that a process locks for as long as it has it open.
const WAL_INDEX_IN_USE: u64 = 128;

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const REPLACED: u8 = 2;
const UNLOCKED: u8 = 3;

impl Watch {
    pub(super) fn new(file: Option<(Files, Identity)>) -> Self {
        fork::watch();
        let file = file.map(|(files, file)| {
            let wal_index = files::identity(&files.shm).ok();
            let wal_index = wal_index.map(|own| Locked::new(own, WAL_INDEX_IN_USE));
            Watched { files, file: Locked::new(file, FILE_SHARED), wal_index }
        });
        let tells_locks = cfg!(target_os = "linux") && fs::read_dir(OWN_LOCKS).is_ok();
        Self { tells_locks, state: AtomicU8::new(OPEN), looked_at: AtomicI64::new(i64::MIN), file }
    }

    /// Whether the store may be used.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        if fork::happened() {
            return Err(Error::misuse("the store was opened before a fork, in another process"));
        }
        match self.state.load(Ordering::Acquire) {
            OPEN => Ok(()),
            state => Err(closed(state)),
        }
    }

    pub(super) fn file_guard(&self) -> FileGuard {
        if fork::happened() {
            return FileGuard::Forked;
        }
        match (self.state.load(Ordering::Acquire), &self.file) {
            (OPEN, None) => FileGuard::InMemory,
            (OPEN, Some(_)) if self.tells_locks => FileGuard::FileAndLocks,
            (OPEN, Some(_)) => FileGuard::FileAlone,
            (REPLACED, _) => FileGuard::Replaced,
            (UNLOCKED, _) => FileGuard::LocksLost,
            _ => FileGuard::Closed,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) != OPEN
    }

    pub(super) fn close(&self) {
        let _ = self.state.compare_exchange(OPEN, CLOSED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Looks at the file, if nobody has in this second.
    ///
    /// # Errors
    /// `Closed` if the file is not ours any more; the store is closed then.
    #[inline]
    pub(super) fn look(&self, now: Timestamp) -> Result<()> {
        let second = now.as_millis().div_euclid(limits::FILE_LOOK_MS);
        let before = self.looked_at.load(Ordering::Relaxed);
        if second == before {
            return Ok(());
        }
        let mine =
            self.looked_at.compare_exchange(before, second, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_err() {
            return Ok(());
        }
        self.look_now()
    }

    /// Looks at the file whatever the time.
    ///
    /// # Errors
    /// `Closed` if the file is not ours any more; the store is closed then. `Misuse` after a fork.
    #[cold]
    pub(super) fn look_now(&self) -> Result<()> {
        self.check()?;
        let Some(watched) = &self.file else {
            return Ok(());
        };
        let state = if !watched.stands() {
            REPLACED
        } else if !watched.holds_locks() {
            UNLOCKED
        } else {
            return Ok(());
        };
        self.state.store(state, Ordering::Release);
        Err(closed(state))
    }
}

impl Watched {
    fn stands(&self) -> bool {
        let is_at =
            |path: &Path, own: &Locked| files::identity(path).is_ok_and(|now| now == own.identity);
        is_at(&self.files.main, &self.file)
            && (self.wal_index.as_ref()).is_none_or(|own| is_at(&self.files.shm, own))
    }

    /// In WAL mode each connection keeps a shared lock on the file while it is open, and the
    /// process one on the wal-index.
    fn holds_locks(&self) -> bool {
        self.file.is_held() && self.wal_index.as_ref().is_none_or(Locked::is_held)
    }
}

impl Locked {
    fn new(identity: Identity, byte: u64) -> Self {
        Self { identity, byte, descriptor: AtomicU32::new(u32::MAX) }
    }

    /// Whether this process holds a lock on the file. Where the system does not tell, yes.
    #[cfg(target_os = "linux")]
    fn is_held(&self) -> bool {
        // One line a lock: "lock:	1: POSIX  ADVISORY  READ 4711 fe:00:1049 1073741826 1073742335".
        let inode = format!(":{}", self.identity.inode);
        let shows_lock = |text: &str| text.lines().any(|line| self.is_in(line, &inode));
        let all = Path::new(OWN_LOCKS);
        // Looking through all descriptors takes long in a program that has many.
        let known = self.descriptor.load(Ordering::Relaxed);
        let told = fs::read_to_string(all.join(known.to_string()));
        if told.is_ok_and(|text| shows_lock(&text)) {
            return true;
        }
        let Ok(descriptors) = fs::read_dir(all) else {
            return true;
        };
        let mut told = false;
        for descriptor in descriptors.flatten() {
            let Ok(text) = fs::read_to_string(descriptor.path()) else { continue };
            told = true;
            if shows_lock(&text) {
                let number = descriptor.file_name().to_str().and_then(|name| name.parse().ok());
                self.descriptor.store(number.unwrap_or(u32::MAX), Ordering::Relaxed);
                return true;
            }
        }
        !told
    }

    /// Whether a line tells of a lock on our byte: a write takes others, which say nothing.
    #[cfg(target_os = "linux")]
    fn is_in(&self, line: &str, inode: &str) -> bool {
        if !line.starts_with("lock:") || !line.contains("POSIX") {
            return false;
        }
        let mut words = line.split_whitespace().skip_while(|word| !word.ends_with(inode)).skip(1);
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        // The end of a lock on everything is no number.
        number().is_some_and(|first| {
            first <= self.byte && number().is_none_or(|last| self.byte <= last)
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn is_held(&self) -> bool {
        true
    }
}

fn closed(state: u8) -> Error {
    let what = match state {
        REPLACED => "the file was moved, deleted or replaced while it was open",
        UNLOCKED => "the locks on the file were lost: this program closed a descriptor of it",
        _ => "the store is closed",
    };
    Error::new(Reason::Closed, what)
}
