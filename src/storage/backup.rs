//! Verified backups of the file, copied by SQLite itself.
//!
//! **Ordering.** The copy is written to a name that ends in `.partial`, taken out of WAL mode,
//! checked, closed and flushed. Then its manifest is put in its place, and at last the copy is
//! renamed. So a backup of the final name is complete, and has its manifest.
//!
//! **Load.** Between two steps of the copy no snapshot is kept, so that the write-ahead log can be
//! reset. A commit makes SQLite begin the copy again; after [`limits::BACKUP_RESTARTS`] of them the
//! copy keeps one snapshot to its end.

mod manifest;

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::connection::Stopwatch;
use super::fault::from_io;
use super::files::{Files, exists, with_suffix};
use super::{connection, fault, guard};
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;
use crate::value::time::Timestamp;
use manifest::Content;
pub(crate) use manifest::Manifest;

/// How far a backup is, after each step of at most 1 MiB.
///
/// ```
/// use gatepost::{Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let copy = directory.path().join("copy.db");
/// let store = Store::open(path, Options::server())?;
/// let mut done = 0;
/// let report = store.backup(copy, |progress| done = progress.pages_done)?;
/// assert_eq!(done, report.pages);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Pages that were copied. Begins again if another process commits meanwhile, at most three
    /// times.
    pub pages_done: u64,
    /// Pages that the file has now.
    pub pages: u64,
}

/// A backup that is complete and was checked; from [`Store::backup`](crate::Store::backup).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BackupReport {
    /// The file of the backup.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::value::path::as_text"))]
    pub path: PathBuf,
    /// The file beside it that says what it is of, and has the SHA-256 of its bytes.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::value::path::as_text"))]
    pub manifest: PathBuf,
    /// Its length in pages.
    pub pages: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// How often a commit of another connection made it begin again.
    pub restarts: u64,
}

/// Checks the copy beyond its integrity.
pub(super) type Check<'a> = &'a dyn Fn(&Connection) -> Result<()>;

/// Writes `<file>.v<version>-<milliseconds>.backup` before a migration.
///
/// The caller has an open write transaction, so that the file cannot change between the backup and
/// what the caller does next.
pub(super) fn before_migration(path: &Path, version: i64, now: Timestamp) -> Result<PathBuf> {
    let mut suffix = String::from(".v");
    suffix.push_str(&version.to_string());
    suffix.push('-');
    suffix.push_str(&now.as_millis().to_string());
    suffix.push_str(".backup");
    let target = with_suffix(path, &suffix);
    let check = |copy: &Connection| {
        if connection::pragma_value(copy, "user_version")? == version {
            return Ok(());
        }
        Err(Error::corrupt("the backup does not have the version of the file"))
    };
    write_verified(path, &target, now, &check, &mut |_| {}).map(|report| report.path)
}

/// Checks that the backup has no name of a file of the store itself.
pub(super) fn check_name(own: &Files, target: &Path) -> Result<()> {
    let is_own = own.main == target || own.reserve == target || own.restoring() == target;
    if !is_own && !own.sidecars().contains(&target) {
        return Ok(());
    }
    Err(Error::invalid("the backup has the name of the store, or of a file beside it"))
}

/// Writes a backup of the file at `path` to `target`, readable by its owner alone, and its
/// manifest. An existing file is never overwritten.
pub(super) fn write_verified(
    path: &Path,
    target: &Path,
    now: Timestamp,
    check: Check<'_>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupReport> {
    let partial = with_suffix(target, ".partial");
    // Only the process that created the partial file may use its name and the final name.
    if !guard::create(&partial)? {
        return Err(Error::taken("another backup of this name is being written, or was cut off")
            .advising(
                "Choose another name, or delete the file that ends in .partial if no backup is \
                 running.",
            ));
    }
    let copied = check_free(target).and_then(|()| write(path, &partial, check, progress));
    let written = copied.and_then(|(content, counts)| {
        let manifest = Manifest::of(&partial, &content, now)?;
        // Another program may have put files there meanwhile, whose manifest must stay.
        check_free(target)?;
        manifest.write(target)?;
        put_in_place(&partial, target)?;
        Ok((manifest, counts))
    });
    if written.is_err() {
        // This call created the partial file: an incomplete backup must not stay.
        let _ = fs::remove_file(&partial);
    }
    let (Manifest { bytes, .. }, (restarts, pages)) = written?;
    let (path, manifest) = (target.to_path_buf(), manifest::path_of(target));
    Ok(BackupReport { path, manifest, pages, bytes, restarts })
}

/// Checks, while this process has the partial file, that no backup has the name, and that no log of
/// another file would be taken for that of the backup.
fn check_free(target: &Path) -> Result<()> {
    if exists(target) {
        return Err(taken());
    }
    if Files::of(target.to_path_buf()).sidecars().into_iter().any(exists) {
        return Err(Error::taken("a log or journal of that name would be beside the backup")
            .advising("Choose another name, or move away what a file of that name has left."));
    }
    Ok(())
}

fn taken() -> Error {
    Error::taken("a file with the name of the backup already exists")
        .advising("Choose another name: a backup never replaces a file.")
}

/// Copies the file, and returns what the copy says of itself, how often it began again and its
/// pages.
fn write(
    path: &Path,
    partial: &Path,
    check: Check<'_>,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<(Content, (u64, u64))> {
    let source = connection::for_reading(path)?;
    let mut copy = connection::for_backup(partial)?;
    let counts = copy_pages(&source, &mut copy, progress)?;
    // The header of the copy says WAL mode, which needs two more files beside it to be read.
    connection::use_rollback_journal(&copy)?;
    check_integrity(&copy)?;
    check(&copy)?;
    forget_identity(&copy)?;
    let content = Content::of(&copy)?;
    copy.close().map_err(|(_, error)| fault(error))?;
    flush(partial)?;
    Ok((content, counts))
}

fn copy_pages(
    source: &Connection,
    copy: &mut Connection,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<(u64, u64)> {
    let backup = Backup::new(source, copy).map_err(fault)?;
    let (mut restarts, mut before) = (0, 0);
    let mut waiting = Stopwatch::start();
    loop {
        let step = backup.step(limits::BACKUP_PAGES_PER_STEP).map_err(fault)?;
        let counts = backup.progress();
        let pages = u64::try_from(counts.pagecount).unwrap_or_default();
        let pages_done = pages.saturating_sub(u64::try_from(counts.remaining).unwrap_or_default());
        progress(BackupProgress { pages_done, pages });
        match step {
            StepResult::Done => return Ok((restarts, pages)),
            StepResult::More => {
                if pages_done <= before {
                    restarts += 1;
                    if restarts == limits::BACKUP_RESTARTS {
                        keep_snapshot(source)?;
                    }
                }
                before = pages_done;
                waiting = Stopwatch::start();
            }
            _ if waiting.elapsed() < limits::WRITE_WAIT => {}
            _ => {
                let what = "another program has locked the file against readers";
                return Err(Error::new(ErrorKind::Busy, what).waited(waiting.elapsed()));
            }
        }
        connection::pause(limits::BACKUP_PAUSE);
    }
}

/// Every later step copies from this snapshot. It ends with the connection.
fn keep_snapshot(source: &Connection) -> Result<()> {
    source.execute_batch("BEGIN").map_err(fault)?;
    connection::pragma_value(source, "user_version").map(drop)
}

/// Reads the whole file.
pub(super) fn check_integrity(connection: &Connection) -> Result<()> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fault)?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::corrupt("the file is damaged"))
}

/// So that a copy of the backup in the place of a store is noticed, whatever its inode.
fn forget_identity(copy: &Connection) -> Result<()> {
    copy.execute("UPDATE store SET file_inode = NULL, file_born_ns = NULL WHERE id = 1", [])
        .map(drop)
        .map_err(fault)
}

/// SQLite has closed the file, so closing this descriptor drops no lock.
pub(super) fn flush(path: &Path) -> Result<()> {
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(|error| from_io(&error))
}

/// Renames a finished file, unless there is one of the new name.
pub(super) fn put_in_place(finished: &Path, target: &Path) -> Result<()> {
    match renameat_with(CWD, finished, CWD, target, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Err(taken()),
        // The file system cannot compare and rename in one call.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if !exists(target) => {
            fs::rename(finished, target).map_err(|error| from_io(&error))?;
        }
        Err(errno) => return Err(from_io(&errno.into())),
    }
    flush_directory(target)
}

/// Flushes the directory in which a file was renamed.
pub(super) fn flush_directory(of: &Path) -> Result<()> {
    let directory = of.parent().unwrap_or(Path::new("/"));
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| from_io(&error))
}
