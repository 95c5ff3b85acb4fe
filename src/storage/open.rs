//! Opening: look before writing.
//!
//! In this order, and nothing is written before the look is done: the SQLite that is linked, the
//! path, its directory and file system, the file's kind, links, owner and access, its header
//! (through SQLite, without a lock and without the WAL), its schema version. What is not ours or
//! too new stays untouched. A file that is damaged is never deleted or begun anew.

use std::path::Path;

use rusqlite::Connection;

use super::connection;
use super::guard::{self, Note, Place, Tolerances};
use super::migrate::{self, APPLICATION_ID, SCHEMA_VERSION, STEPS, Seed};
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// Below this, SQLite takes some files for empty ones.
const HEADER_BYTES: u64 = 100;

pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) writer: Connection,
    pub(super) for_tests: bool,
}

pub(super) fn open(path: &Path, tolerances: Tolerances, seed: &Seed) -> Result<Opened> {
    check_sqlite(rusqlite::version_number())?;
    let path = guard::resolve(path)?;
    let unusual = guard::check_directory(&path, tolerances)?;
    let mut notes = Vec::from_iter(unusual);
    let size = match guard::check_file(&path, tolerances)? {
        Some(size) => size,
        None => {
            check_no_orphan(&path)?;
            guard::create(&path)?;
            // Another process may have been first; then its file is looked at like any other.
            guard::check_file(&path, tolerances)?.unwrap_or(0)
        }
    };
    let has_log = guard::has_log(&path);
    match size {
        0 => check_no_orphan(&path)?,
        1..HEADER_BYTES => return Err(not_a_database()),
        _ => check_header(&path, has_log)?,
    }
    let mut tightened = None;
    if !has_log {
        // Nothing is left to find out. The log, once there is one, takes over these permissions.
        tightened = guard::tighten(&path)?;
    }
    let mut writer = connection::for_writing(&path)?;
    connection::checkpoint_on_close(&writer, !has_log)?;
    if connection::pragma_value(&writer, "user_version")? == 0 {
        migrate::create(&writer, seed)?;
    }
    check_ours(&writer)?;
    let newer = check_version(&writer)?;
    connection::checkpoint_on_close(&writer, true)?;
    connection::use_wal(&writer)?;
    if unusual.is_some() {
        connection::try_locks(&writer)?;
    }
    notes.extend(tightened.or(guard::tighten(&path)?));
    notes.extend(newer);
    notes.extend(migrate::bring_up_to_date(&mut writer, &path, STEPS, seed.created_at)?);
    let for_tests = migrate::is_for_tests(&writer).map_err(incomplete)?;
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
    if guard::has_orphaned_log(path) {
        return Err(Error::corrupt("a write-ahead log lies beside a missing or empty file"));
    }
    Ok(())
}

/// The header of the main file names its application from the first commit on, as the schema is
/// written before the file enters WAL mode. Without a log it tells the version, too.
fn check_header(path: &Path, has_log: bool) -> Result<()> {
    let look = connection::look(path)?;
    if connection::pragma_value(&look, "application_id")? != APPLICATION_ID {
        return Err(not_ours());
    }
    match check_version(&look) {
        Err(error) if !has_log && error.reason() == Reason::TooNew => Err(error),
        // Anything else may come of another process that is writing: asked again under locks.
        _ => Ok(()),
    }
}

/// The same question again, now with the WAL and under SQLite's locks.
fn check_ours(writer: &Connection) -> Result<()> {
    if connection::pragma_value(writer, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    Err(not_ours())
}

fn not_a_database() -> Error {
    Error::new(Reason::NotADatabase, "the file is not a database")
}

fn not_ours() -> Error {
    Error::new(Reason::NotOurs, "the file belongs to another application")
}

fn check_version(connection: &Connection) -> Result<Option<Note>> {
    let version = connection::pragma_value(connection, "user_version")?;
    if version < 1 {
        return Err(Error::corrupt("the file does not say which version it has"));
    }
    if version <= SCHEMA_VERSION {
        return Ok(None);
    }
    if migrate::min_reader(connection).map_err(incomplete)? > SCHEMA_VERSION {
        return Err(Error::new(
            Reason::TooNew,
            "the file was written by a newer version that this one may not read",
        ));
    }
    Ok(Some(Note::NewerSchema))
}

/// A statement of ours that the file does not understand is the file's fault here.
fn incomplete(error: Error) -> Error {
    if error.reason() == Reason::Misuse {
        return Error::corrupt("the file lacks a table that its version has");
    }
    error
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
