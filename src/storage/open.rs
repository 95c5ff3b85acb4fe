//! Opening: look before writing.
//!
//! In this order, and nothing is written before the look is done: the SQLite that is linked, the
//! path, its directory and file system, the file's kind, links, owner and access, its header
//! (through SQLite, without a lock and without the WAL), its schema version. What is not ours or
//! too new stays untouched. A file that is damaged is never deleted or begun anew.

use std::path::Path;

use rusqlite::Connection;

use super::guard::{self, Note, Tolerances};
use super::migrate::{self, APPLICATION_ID, SCHEMA_VERSION, STEPS, Seed};
use super::{Place, connection, fault};
use crate::error::{Error, Reason, Result};
use crate::value::limits;

pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) writer: Connection,
    pub(super) for_tests: bool,
}

pub(super) fn open(path: &Path, tolerances: Tolerances, seed: &Seed) -> Result<Opened> {
    check_sqlite(rusqlite::version_number())?;
    let path = guard::resolve(path)?;
    let mut notes = Vec::new();
    notes.extend(guard::check_directory(&path, tolerances)?);
    let size = match guard::check_file(&path, tolerances)? {
        Some(size) => size,
        None => {
            check_no_orphan(&path)?;
            guard::create(&path)?;
            // Another process may have been first; then its file is looked at like any other.
            guard::check_file(&path, tolerances)?.unwrap_or(0)
        }
    };
    if size == 0 {
        check_no_orphan(&path)?;
    } else {
        check_header(&path)?;
    }
    let mut writer = connection::for_writing(&path)?;
    if connection::pragma_value(&writer, "user_version")? == 0 {
        migrate::create(&writer, seed)?;
    }
    check_ours(&writer)?;
    notes.extend(check_version(&mut writer, &path, seed)?);
    connection::use_wal(&writer)?;
    notes.extend(guard::tighten(&path)?);
    let for_tests = migrate::is_for_tests(&writer)?;
    let identity = guard::identity(&path)?;
    Ok(Opened { place: Place { path, identity, notes }, writer, for_tests })
}

/// SQLite before 3.51.3 can corrupt a WAL file when two connections reset it at once.
fn check_sqlite(version: i32) -> Result<()> {
    if version < limits::SQLITE_OLDEST {
        return Err(Error::new(
            Reason::SqliteTooOld,
            "the SQLite in this program can corrupt a write-ahead log",
        ));
    }
    Ok(())
}

/// A log without its database may hold commits of a file that was moved or lost.
fn check_no_orphan(path: &Path) -> Result<()> {
    if guard::has_log(path) {
        return Err(Error::corrupt("a write-ahead log lies beside a missing or empty file"));
    }
    Ok(())
}

/// The header of the main file names its application from the first commit on, as the schema is
/// written before the file enters WAL mode.
fn check_header(path: &Path) -> Result<()> {
    let look = connection::look(path)?;
    match connection::pragma_value(&look, "application_id") {
        Ok(APPLICATION_ID) => Ok(()),
        Ok(_) => Err(Error::new(Reason::NotOurs, "the file belongs to another application")),
        Err(error) => Err(error),
    }
}

/// The same question again, now with the WAL and under SQLite's locks.
fn check_ours(writer: &Connection) -> Result<()> {
    if connection::pragma_value(writer, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    Err(Error::new(Reason::NotOurs, "the file belongs to another application"))
}

fn check_version(writer: &mut Connection, path: &Path, seed: &Seed) -> Result<Option<Note>> {
    let version = connection::pragma_value(writer, "user_version")?;
    if version > SCHEMA_VERSION {
        let oldest: i64 = writer
            .query_row("SELECT min_reader FROM store WHERE id = 1", [], |row| row.get(0))
            .map_err(fault)?;
        if oldest > SCHEMA_VERSION {
            return Err(Error::new(
                Reason::TooNew,
                "the file was written by a newer version that this one may not read",
            ));
        }
        return Ok(Some(Note::NewerSchema));
    }
    migrate::bring_up_to_date(writer, path, STEPS, seed.created_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_that_can_corrupt_a_log_is_refused() {
        assert_eq!(check_sqlite(3_051_002).unwrap_err().reason(), Reason::SqliteTooOld);
        assert!(check_sqlite(3_051_003).is_ok());
        assert!(check_sqlite(rusqlite::version_number()).is_ok());
    }
}
