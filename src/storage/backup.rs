//! A verified copy of the file, made by SQLite itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::{connection, fault, guard};
use crate::error::{Error, Result};
use crate::value::time::Timestamp;

const PAGES_PER_STEP: i32 = 1024;

/// Writes `<file>.v<version>-<milliseconds>.backup`, readable by its owner alone, and checks it before
/// and flushes it after. An older file of that name is never overwritten.
pub(super) fn write_verified(
    source: &Connection,
    path: &Path,
    version: i64,
    now: Timestamp,
) -> Result<PathBuf> {
    let mut suffix = String::from(".v");
    suffix.push_str(&version.to_string());
    suffix.push('-');
    suffix.push_str(&now.as_millis().to_string());
    suffix.push_str(".backup");
    let target = guard::beside(path, &suffix);
    if !guard::create(&target)? {
        return Err(Error::taken("a backup of this version and time already stands there"));
    }
    copy(source, &target)?;
    flush(&target)?;
    Ok(target)
}

fn copy(source: &Connection, target: &Path) -> Result<()> {
    let mut copy = connection::for_backup(target)?;
    Backup::new(source, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES_PER_STEP, Duration::ZERO, None))
        .map_err(fault)?;
    // A copy of a WAL file says WAL as well, and would need two more files beside it to be read.
    connection::pragma(&copy, "journal_mode", "DELETE")?;
    let verdict: String = copy
        .query_row("SELECT integrity_check FROM pragma_integrity_check(1)", [], |row| row.get(0))
        .map_err(fault)?;
    if verdict != "ok" {
        return Err(Error::corrupt("the file is damaged, so no backup of it could be verified"));
    }
    copy.close().map_err(|(_, error)| fault(error))
}

/// SQLite has closed the copy, so that a descriptor of our own can do no harm to its locks.
fn flush(target: &Path) -> Result<()> {
    let flushed = fs::File::open(target).and_then(|file| file.sync_all()).and_then(|()| {
        let directory = target.parent().unwrap_or(Path::new("/"));
        fs::File::open(directory).and_then(|directory| directory.sync_all())
    });
    flushed.map_err(|error| guard::from_io(&error))
}
