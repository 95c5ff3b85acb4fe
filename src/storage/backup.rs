//! Verified backups of the file, copied by SQLite itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::fault::from_io;
use super::files::{exists, with_suffix};
use super::{connection, fault, guard};
use crate::error::{Error, Result};
use crate::value::time::Timestamp;

const PAGES_PER_STEP: i32 = 1024;

/// Writes `<file>.v<version>-<milliseconds>.backup`, readable by its owner alone.
///
/// The copy is written to a name ending in `.partial`, and renamed once it is complete, checked
/// and flushed. An existing file of the final name is never overwritten. The caller has an open
/// write transaction, so that the file cannot change between the backup and what the caller does
/// next.
pub(super) fn write_verified(path: &Path, version: i64, now: Timestamp) -> Result<PathBuf> {
    let mut suffix = String::from(".v");
    suffix.push_str(&version.to_string());
    suffix.push('-');
    suffix.push_str(&now.as_millis().to_string());
    suffix.push_str(".backup");
    let target = with_suffix(path, &suffix);
    let partial = with_suffix(&target, ".partial");
    // Only the process that created the partial file may use its name and the final name.
    if !guard::create(&partial)? {
        return Err(taken());
    }
    let written = if exists(&target) {
        Err(taken())
    } else {
        write(path, &partial, version).and_then(|()| put_in_place(&partial, &target))
    };
    if written.is_err() {
        // This call created the partial file: an incomplete backup must not stay.
        let _ = fs::remove_file(&partial);
    }
    written.map(|()| target)
}

fn taken() -> Error {
    Error::taken("a backup of this version and time already exists beside the file")
}

fn write(path: &Path, partial: &Path, version: i64) -> Result<()> {
    let source = connection::for_reading(path)?;
    let mut copy = connection::for_backup(partial)?;
    Backup::new(&source, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES_PER_STEP, Duration::ZERO, None))
        .map_err(fault)?;
    // The header of the copy says WAL mode, which needs two more files beside it to be read.
    connection::use_rollback_journal(&copy)?;
    check(&copy, version)?;
    copy.close().map_err(|(_, error)| fault(error))?;
    flush(partial)
}

fn check(copy: &Connection, version: i64) -> Result<()> {
    let verdict: String =
        copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fault)?;
    let version_kept = connection::pragma_value(copy, "user_version")? == version;
    if verdict != "ok" || !version_kept {
        return Err(Error::corrupt("the file is damaged, so no backup of it could be verified"));
    }
    Ok(())
}

/// SQLite has closed the copy, so closing this descriptor drops no lock.
fn flush(path: &Path) -> Result<()> {
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(|error| from_io(&error))
}

fn put_in_place(partial: &Path, target: &Path) -> Result<()> {
    fs::rename(partial, target)
        .and_then(|()| {
            let directory = target.parent().unwrap_or(Path::new("/"));
            fs::File::open(directory).and_then(|directory| directory.sync_all())
        })
        .map_err(|error| from_io(&error))
}
