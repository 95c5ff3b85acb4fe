//! The watch of an open file: whether the open file is still the one at its path, and whether this
//! process still has its locks.
//!
//! **When.** Before each write ends, also one that found nothing to change; before a logout reports
//! that its session was over; and at most once a second of the store's clock as part of a verify,
//! of a refused token too.
//!
//! **Why.** A store whose file was replaced or deleted would keep answering from the old file. If
//! the write-ahead log was deleted, commits go into a file that no other process can find. And
//! if other code in this process closes a descriptor of the file, SQLite's locks are dropped, and
//! another process may overwrite pages that are being read.
//!
//! **Failure.** Both close the store; the error and [`FileState`] give the reason. What the system
//! does not let the store see closes nothing: it is an error of each call until it can be seen.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};

use super::fault::replaced;
use super::files::{self, Files, Identity};
use super::fork::{self, ThisProcess};
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;
use crate::value::time::Timestamp;

/// How an open file is being watched, or why its store has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FileState {
    /// Once a second a verify checks that the file at the path is still the open one, and that
    /// this process still has its locks on it.
    FileAndLocks,
    /// Once a second a verify checks that the file at the path is still the open one. This system
    /// does not report which locks a process has.
    FileAlone,
    /// The store is in memory and has no file.
    InMemory,
    /// The host program has closed the store.
    Closed,
    /// The file, its write-ahead log or the shared memory of that log was moved, deleted or
    /// replaced, and the store has closed itself.
    Replaced,
    /// The locks on the file were lost, because this program closed a descriptor of it, and the
    /// store has closed itself.
    LocksLost,
    /// This process is a child of the one that opened the store.
    Forked,
}

/// The state of an open file.
#[derive(Debug)]
pub(super) struct Watch {
    /// The process that opened the store.
    process: ThisProcess,
    /// Whether the system reports the locks of this process.
    reports_locks: bool,
    state: AtomicU8,
    /// The beginning of the second of the last check.
    checked_at: AtomicI64,
    file: Option<Watched>,
}

/// The files that are checked.
#[derive(Debug)]
struct Watched {
    files: Files,
    file: Locked,
    wal_index: Option<Locked>,
    /// The WAL, as it was first found. SQLite creates it before the first read, and deletes it only
    /// with the last connection.
    wal: OnceLock<Identity>,
}

/// Where Linux lists the descriptors of this process and their locks.
const OWN_LOCKS: &str = "/proc/self/fdinfo";

/// A file on which this process holds locks for as long as the store is open.
#[derive(Debug)]
struct Locked {
    identity: Identity,
    /// How the system names the file in its list of locks. Some file systems (Btrfs, overlays) name
    /// another device there than `stat` does, so the name is taken from the list.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux reports locks"))]
    listed: OnceLock<String>,
    /// A byte that is locked as long as the store is open.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux reports locks"))]
    byte: u64,
    /// The descriptor that showed the lock at the last check.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux reports locks"))]
    descriptor: AtomicU32,
}

/// The first byte that each connection of a WAL file locks while it is open.
const FILE_SHARED: u64 = 0x4000_0002;
/// The byte of the wal-index that a process locks while it has the wal-index open.
const WAL_INDEX_IN_USE: u64 = 128;

/// The time of the last check, where there was none or it could not be made.
const UNCHECKED: i64 = i64::MIN;
const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const REPLACED: u8 = 2;
const UNLOCKED: u8 = 3;

impl Watch {
    /// # Errors
    /// `Io` if it cannot be seen what is beside the file.
    pub(super) fn new(file: Option<(Files, Identity)>) -> Result<Self> {
        let watched = |(files, file): (Files, Identity)| {
            let wal_index = found(&files.shm)?.map(|own| Locked::new(own, WAL_INDEX_IN_USE));
            let file = Locked::new(file, FILE_SHARED);
            let watched = Watched { files, file, wal_index, wal: OnceLock::new() };
            watched.has_its_log()?;
            Ok(watched)
        };
        let file = file.map(watched).transpose()?;
        let reports_locks = cfg!(target_os = "linux") && fs::read_dir(OWN_LOCKS).is_ok();
        Ok(Self {
            process: ThisProcess::get(),
            reports_locks,
            state: AtomicU8::new(OPEN),
            checked_at: AtomicI64::new(UNCHECKED),
            file,
        })
    }

    /// Fails with `Closed` if the store is closed, with `Misuse` after a fork.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        self.check_process()?;
        match self.state.load(Ordering::Acquire) {
            OPEN => Ok(()),
            state => Err(closed(state)),
        }
    }

    /// Fails with `Misuse` after a fork.
    #[inline]
    pub(super) fn check_process(&self) -> Result<()> {
        if self.is_inherited() { Err(fork::inherited()) } else { Ok(()) }
    }

    /// Whether this process is a child of the one that opened the store.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.process != ThisProcess::get()
    }

    pub(super) fn file_state(&self) -> FileState {
        if self.is_inherited() {
            return FileState::Forked;
        }
        match (self.state.load(Ordering::Acquire), &self.file) {
            (OPEN, None) => FileState::InMemory,
            (OPEN, Some(_)) if self.reports_locks => FileState::FileAndLocks,
            (OPEN, Some(_)) => FileState::FileAlone,
            (REPLACED, _) => FileState::Replaced,
            (UNLOCKED, _) => FileState::LocksLost,
            _ => FileState::Closed,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) != OPEN
    }

    pub(super) fn close(&self) {
        let _ = self.state.compare_exchange(OPEN, CLOSED, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Why every call on the file now fails: it was replaced or its locks were lost, which closes
    /// the store. `None` if neither is the case or can be seen, or the host program closed the
    /// store.
    #[cold]
    pub(super) fn cause(&self) -> Option<Error> {
        match self.state.load(Ordering::Acquire) {
            CLOSED => None,
            OPEN if self.is_inherited() => None,
            OPEN => self.check_now().err().filter(|error| error.kind() == ErrorKind::Closed),
            state => Some(closed(state)),
        }
    }

    /// Checks the file, unless another call has done so in this second.
    ///
    /// # Errors
    /// As [`check_now`](Self::check_now).
    #[inline]
    pub(super) fn check_if_due(&self, now: Timestamp) -> Result<()> {
        let now = now.as_millis();
        let before = self.checked_at.load(Ordering::Relaxed);
        if (0..limits::FILE_CHECK_MS).contains(&now.wrapping_sub(before)) {
            return Ok(());
        }
        let second = now.saturating_sub(now.rem_euclid(limits::FILE_CHECK_MS));
        if before == UNCHECKED {
            // Each call checks before it answers, until a check was made.
            self.check_now()?;
            self.checked_at.store(second, Ordering::Relaxed);
            return Ok(());
        }
        let mine =
            self.checked_at.compare_exchange(before, second, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_err() {
            return Ok(());
        }
        self.check_now().inspect_err(|_| self.checked_at.store(UNCHECKED, Ordering::Relaxed))
    }

    /// Checks the file now.
    ///
    /// # Errors
    /// `Closed` if the file was replaced or its locks were lost, which closes the store; `Misuse`
    /// after a fork; `Io` if it cannot be seen.
    #[cold]
    pub(super) fn check_now(&self) -> Result<()> {
        self.check()?;
        let Some(watched) = &self.file else {
            return Ok(());
        };
        let state = if !watched.is_in_place()? {
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
    /// Whether the paths still lead to the open files.
    fn is_in_place(&self) -> Result<bool> {
        let is_at = |path: &Path, own: &Locked| found(path).map(|now| now == Some(own.identity));
        let has_index = || match &self.wal_index {
            Some(own) => is_at(&self.files.shm, own),
            None => Ok(true),
        };
        Ok(is_at(&self.files.main, &self.file)? && has_index()? && self.has_its_log()?)
    }

    /// Whether the WAL is the one that was found first; `true` while none was found yet.
    fn has_its_log(&self) -> Result<bool> {
        Ok(match (self.wal.get(), found(&self.files.wal)?) {
            (Some(own), now) => now.as_ref() == Some(own),
            (None, Some(now)) => *self.wal.get_or_init(|| now) == now,
            (None, None) => true,
        })
    }

    /// Whether this process has its locks. In WAL mode each connection keeps a shared lock on the
    /// file while it is open, and the process keeps one on the wal-index.
    fn holds_locks(&self) -> bool {
        self.file.is_held() && self.wal_index.as_ref().is_none_or(Locked::is_held)
    }
}

impl Locked {
    fn new(identity: Identity, byte: u64) -> Self {
        let listed = OnceLock::new();
        Self { identity, listed, byte, descriptor: AtomicU32::new(u32::MAX) }
    }

    /// Whether this process has a lock on the file; `true` if the system does not report locks, or
    /// not those of a descriptor.
    #[cfg(target_os = "linux")]
    fn is_held(&self) -> bool {
        // Each lock has a line, with the inode and the first and last byte at its end:
        // "lock: 1: POSIX ADVISORY READ 4711 fe:00:1049 1073741826 1073742335".
        let shows_lock = |text: &str| text.lines().any(|line| self.is_in(line));
        let all = Path::new(OWN_LOCKS);
        // Reading all descriptors takes long in a program that has many, so the last one is tried
        // first.
        let known = self.descriptor.load(Ordering::Relaxed);
        let text = fs::read_to_string(all.join(known.to_string()));
        if text.is_ok_and(|text| shows_lock(&text)) {
            return true;
        }
        let Ok(descriptors) = fs::read_dir(all) else {
            return true;
        };
        let mut could_read = false;
        for descriptor in descriptors.flatten() {
            let text = match fs::read_to_string(descriptor.path()) {
                Ok(text) => text,
                // Closed meanwhile by another thread.
                Err(error) if error.kind() == NotFound => continue,
                Err(_) => return true,
            };
            could_read = true;
            if shows_lock(&text) {
                let number = descriptor.file_name().to_str().and_then(|name| name.parse().ok());
                self.descriptor.store(number.unwrap_or(u32::MAX), Ordering::Relaxed);
                return true;
            }
        }
        !could_read
    }

    /// Whether the line reports a lock on this byte of this file; a write locks other bytes, which
    /// prove nothing. A file of the same inode on another device is another file.
    #[cfg(target_os = "linux")]
    fn is_in(&self, line: &str) -> bool {
        if !line.starts_with("lock:") || !line.contains("POSIX") {
            return false;
        }
        let is_named = |word: &&str| match self.listed.get() {
            Some(own) => word == own,
            None => word.rsplit_once(':').is_some_and(|(device, inode)| {
                device.contains(':') && inode.parse() == Ok(self.identity.inode)
            }),
        };
        let mut words = line.split_whitespace().skip_while(|word| !is_named(word));
        let Some(name) = words.next() else {
            return false;
        };
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        // The end of a lock on the whole file is "EOF", not a number.
        let is_locked = number().is_some_and(|first| {
            first <= self.byte && number().is_none_or(|last| self.byte <= last)
        });
        if is_locked {
            self.listed.get_or_init(|| name.to_owned());
        }
        is_locked
    }

    #[cfg(not(target_os = "linux"))]
    fn is_held(&self) -> bool {
        true
    }
}

/// As [`files::found`], with an error of one kind: a revocation that fails by it is denied from
/// memory.
fn found(path: &Path) -> Result<Option<Identity>> {
    files::found(path).map_err(|error| {
        let what = format!("it cannot be seen whether the file is still in its place: {error}");
        Error::new(ErrorKind::Io, what)
    })
}

fn closed(state: u8) -> Error {
    match state {
        REPLACED => replaced(),
        UNLOCKED => Error::new(
            ErrorKind::Closed,
            "the locks on the file were lost: this program closed a descriptor of it",
        )
        .advising(
            "Exit and start again, and remove from this program what opens the file by itself: \
             closing such a descriptor drops SQLite's locks.",
        ),
        _ => Error::new(ErrorKind::Closed, "the store is closed"),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_the_same_inode_of_another_device_is_another_file() {
        let own = Locked::new(Identity { device: 1, inode: 4711 }, FILE_SHARED);
        let line = |device: &str, inode: u64| {
            format!("lock:\t1: POSIX  ADVISORY  READ 99 {device}:{inode} 1073741826 1073742335")
        };
        assert!(!own.is_in(&line("fe:00", 47)), "another inode");
        assert!(!own.is_in("lock: 1: POSIX ADVISORY READ 99 fe:00:4711 120 120"), "another byte");
        assert!(own.is_in(&line("fe:00", 4711)));
        assert!(own.is_in(&line("fe:00", 4711)));
        assert!(!own.is_in(&line("fe:01", 4711)), "another device");
    }

    /// SQLite takes POSIX locks. A program that locks the same bytes in another way, with `flock`
    /// or through an open file description, does not keep them.
    #[test]
    fn a_lock_of_another_kind_is_no_lock_of_sqlite() {
        let on_the_same_bytes = "READ 99 fe:00:4711 1073741826 1073742335";
        let is_in = |beginning: &str| {
            let own = Locked::new(Identity { device: 1, inode: 4711 }, FILE_SHARED);
            own.is_in(&format!("{beginning} {on_the_same_bytes}"))
        };
        assert!(is_in("lock:\t1: POSIX  ADVISORY "));
        for other in ["lock:\t1: FLOCK  ADVISORY ", "lock:\t1: OFDLCK ADVISORY "] {
            assert!(!is_in(other), "{other}");
        }
        assert!(!is_in("pos:\t1: POSIX  ADVISORY "), "no line of a lock");
    }
}
