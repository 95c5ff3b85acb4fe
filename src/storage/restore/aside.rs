//! Replaces a file that does not read: locks it, keeps it under another name, and renames the copy
//! of the backup to its path.

use std::fs;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::super::clock::SteadyClock;
use super::super::fault::from_io;
use super::super::files::{self, Files, Seen, exists, with_suffix};
use super::super::{backup, guard};
use super::{RestoreRequest, open, open_elsewhere};
use crate::error::{Error, ErrorKind, Result};

/// Locks on the files of a store that no process has open: as long as they are held, no other
/// process can open them.
pub(super) struct Locks {
    main: fs::File,
    /// Whether the main file has no bytes.
    is_empty: bool,
    /// The empty main file that was created to be locked, until it is replaced.
    placeholder: Option<PathBuf>,
    _shm: Option<fs::File>,
}

impl Locks {
    /// Locks the files, if they are still those that were found damaged. Where there is no main
    /// file, creates it: otherwise another process could create a store in the meantime.
    ///
    /// This process has the files closed, so that closing the descriptors drops no lock of SQLite.
    pub(super) fn take(files: &Files, seen: Seen) -> Result<Self> {
        let is_lost = seen.main.is_none();
        if is_lost && !guard::create(&files.main)? {
            return Err(changed());
        }
        let main = lock(&files.main)?;
        if !is_lost && seen != files.seen() {
            return Err(changed());
        }
        let placeholder = is_lost.then(|| files.main.clone());
        let is_empty = files::length(&files.main) == 0;
        let mut locks = Self { main, is_empty, placeholder, _shm: None };
        if exists(&files.shm) {
            locks._shm = Some(lock(&files.shm)?);
        }
        Ok(locks)
    }

    /// Renames the copy over the locked file.
    pub(super) fn replace_by(&mut self, copy: &Path, main: &Path) -> Result<()> {
        let io = |error: std::io::Error| from_io(&error);
        fs::rename(copy, main).map_err(io)?;
        self.placeholder = None;
        if self.is_empty {
            // A process that waits for the lock of an empty file would delete the log at its path,
            // as SQLite does, and that is the log of the restored file by then.
            self.main.set_len(1).map_err(io)?;
        }
        backup::flush_directory(main)
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        if let Some(path) = &self.placeholder {
            let _ = fs::remove_file(path);
        }
    }
}

fn lock(path: &Path) -> Result<fs::File> {
    let file = open(path)?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        open_elsewhere(Error::new(
            ErrorKind::Busy,
            "the file is damaged, and a process has it open",
        ))
    })?;
    Ok(file)
}

fn changed() -> Error {
    Error::new(ErrorKind::Busy, "another process has changed or replaced the damaged file")
}

/// Moves the damaged file and what is beside it to other names. The path of the main file never
/// leads nowhere: an opening in between would create an empty store.
pub(super) fn move_aside(request: &RestoreRequest, locks: &Locks) -> Result<PathBuf> {
    let files = &request.files;
    let now = SteadyClock::new(request.clock.clone()).now().as_millis().to_string();
    let mut suffix = String::from(".damaged-");
    suffix.push_str(&now);
    let aside = Files::of(with_suffix(&files.main, &suffix));
    let io = |error: std::io::Error| from_io(&error);
    if !locks.is_empty {
        let link = |from: &Path, to: &Path| fs::hard_link(from, to);
        keep(&files.main, locks, &aside.main, link).map_err(io)?;
    } else if locks.placeholder.is_none() {
        // Not the file itself, which does not stay empty.
        guard::create(&aside.main)?;
    }
    for (from, to) in files.sidecars().into_iter().zip(aside.sidecars()) {
        if exists(from) {
            fs::rename(from, to).map_err(io)?;
        }
    }
    backup::flush_directory(&files.main)?;
    Ok(aside.main)
}

/// Gives the locked file a second name by `link`. Where the file system has no hard links, copies
/// it.
fn keep(
    main: &Path,
    locks: &Locks,
    to: &Path,
    link: impl FnOnce(&Path, &Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
    match link(main, to) {
        Err(error) if has_no_links(&error) => {}
        linked => return linked,
    }
    let kept = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = copy(&locks.main, &kept);
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied
}

/// FAT answers EPERM, other file systems say that they do not know the call.
fn has_no_links(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::PERM | Errno::NOTSUP | Errno::NOSYS))
}

/// Reads by the descriptor that holds the lock: closing another one would drop it.
fn copy(mut locked: &fs::File, mut kept: &fs::File) -> std::io::Result<()> {
    locked.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut locked, &mut kept)?;
    kept.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FAT, and some file systems of FUSE.
    #[test]
    fn a_damaged_file_is_copied_where_there_are_no_hard_links() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let to = directory.path().join("auth.db.damaged-1");
        fs::write(&files.main, [7; 9_000]).unwrap();
        for errno in [Errno::PERM, Errno::NOTSUP, Errno::NOSYS] {
            let locks = Locks::take(&files, files.seen()).unwrap();
            let kept = keep(&files.main, &locks, &to, |_, _| Err(errno.into()));
            assert!(kept.is_ok() && fs::read(&to).unwrap() == [7; 9_000], "{errno}");
            fs::remove_file(&to).unwrap();
        }
        let locks = Locks::take(&files, files.seen()).unwrap();
        let kept = keep(&files.main, &locks, &to, |_, _| Err(Errno::NOSPC.into()));
        assert!(kept.is_err() && !to.exists());
        fs::write(&to, "another file").unwrap();
        let kept = keep(&files.main, &locks, &to, |_, _| Err(Errno::PERM.into()));
        assert!(kept.is_err() && fs::read(&to).unwrap() == b"another file");
    }

    /// Another process has filled the file, put another one in its place, or created the one that
    /// was missing.
    #[test]
    fn a_file_that_has_changed_since_it_was_found_damaged_is_not_locked_to_be_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let other = directory.path().join("other.db");
        let changes: [fn(&Path, &Path); 4] = [
            |path, _| fs::write(path, "a new store").unwrap(),
            |path, _| fs::remove_file(with_suffix(path, "-journal")).unwrap(),
            |path, other| fs::rename(other, path).unwrap(),
            |path, _| fs::remove_file(path).unwrap(),
        ];
        for change in changes {
            fs::write(&files.main, "").unwrap();
            fs::write(&other, "").unwrap();
            fs::write(&files.journal, "of a creation").unwrap();
            let seen = files.seen();
            change(&files.main, &other);
            assert!(Locks::take(&files, seen).is_err());
        }
        let lost = files.seen();
        drop(Locks::take(&files, lost).unwrap());
        assert!(!files.main.exists(), "nothing was put in its place");
        fs::write(&files.main, "a new store").unwrap();
        assert_eq!(Locks::take(&files, lost).err().unwrap().kind(), ErrorKind::Busy);
        Locks::take(&files, files.seen()).unwrap();
    }
}
