//! Opening: look before writing.
//!
//! In this order, and nothing is written before the look is done: the SQLite that is linked, the
//! path, its directory and file system, the file's kind, links, owner and access, its header
//! (through SQLite, without a lock and without the WAL), its schema version. What is not ours or
//! too new stays untouched. A file that is damaged is never deleted or begun anew.

use rusqlite::Connection;

use std::path::Path;

use super::connection;
use super::fault;
use super::files::{self, Files, Journal};
use super::guard::{self, Note, Place, Tolerances};
use super::migrate::{self, APPLICATION_ID, Recorder, SCHEMA_VERSION, STEPS, Seed};
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// Below this, SQLite takes some files for empty ones.
const HEADER_BYTES: u64 = 100;
/// How often a file is looked at that seems to be another than its log's.
const LOOKS: usize = 3;

pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) writer: Connection,
    pub(super) store_id: [u8; 16],
    pub(super) for_tests: bool,
}

pub(super) fn open(
    files: Files,
    tolerances: Tolerances,
    seed: &Seed,
    recorder: Recorder<'_>,
) -> Result<Opened> {
    check_sqlite(rusqlite::version_number())?;
    let unusual = guard::check_directory(&files, tolerances)?;
    let found = look(&files, tolerances)?;
    let opened = take_over(&files, &found, unusual, seed, recorder);
    opened.map_err(|error| fault::explained(files.directory(), of_the_file(error)))
}

/// What a look found, with nothing written yet but an empty file.
struct Found {
    /// Whether there is nothing in the file, or will be nothing once SQLite has taken back what a
    /// creation that was cut off has left.
    is_empty: bool,
    has_log: bool,
}

fn look(files: &Files, tolerances: Tolerances) -> Result<Found> {
    // Asked for before the file: whoever creates it right now may be done with it in between.
    let journal = files.journal();
    let size = match guard::check_file(files, tolerances)? {
        Some(size) => size,
        None => {
            check_no_orphan(files)?;
            guard::create(&files.main)?;
            // Another process may have been first; then its file is looked at like any other.
            guard::check_file(files, tolerances)?.unwrap_or(0)
        }
    };
    let has_log = files.has_log();
    let is_empty = size == 0 || journal == Journal::OfCreation;
    match size {
        0 => check_no_orphan(files)?,
        _ if is_empty => check_begun(&files.main)?,
        1..HEADER_BYTES => return Err(not_a_database()),
        _ => check_header(&files.main, has_log || journal != Journal::None)?,
    }
    Ok(Found { is_empty, has_log })
}

fn take_over(
    files: &Files,
    found: &Found,
    unusual: Option<Note>,
    seed: &Seed,
    recorder: Recorder<'_>,
) -> Result<Opened> {
    let mut notes = Vec::from_iter(unusual);
    let mut tightened = None;
    if !found.has_log {
        // Nothing is left to find out. The log, once there is one, takes over these permissions.
        tightened = guard::tighten(files)?;
    }
    let mut writer = connection::for_writing(&files.main)?;
    connection::checkpoint_on_close(&writer, !found.has_log)?;
    if found.is_empty && connection::pragma_value(&writer, "user_version")? == 0 {
        migrate::create(&writer, seed, recorder)?;
    }
    check_ours(&writer, found)?;
    let newer = check_version(&writer)?;
    if found.has_log {
        check_log(&files.main, &writer)?;
    }
    let store_id = migrate::store_id(&writer)?;
    let for_tests = migrate::is_for_tests(&writer)?;
    migrate::check_schema(&writer)?;
    connection::checkpoint_on_close(&writer, true)?;
    connection::use_wal(&writer)?;
    if unusual.is_some() {
        connection::try_locks(&writer)?;
    }
    notes.extend(tightened.or(guard::tighten(files)?));
    notes.extend(newer);
    notes.extend(migrate::bring_up_to_date(&mut writer, &files.main, STEPS, recorder)?);
    let identity = files::identity(&files.main)?;
    let place = Place { files: files.clone(), identity, notes };
    Ok(Opened { place, writer, store_id, for_tests })
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

/// A log or journal without its database may hold what was committed to a file that was moved or
/// lost, and SQLite would delete either.
fn check_no_orphan(files: &Files) -> Result<()> {
    if !files.has_orphan() {
        return Ok(());
    }
    Err(Error::corrupt("a log or journal lies beside a missing or empty file").advising(
        "Put the file that this log belongs to back beside it, or, if that file is lost for good, \
         move the log elsewhere.",
    ))
}

/// A file to which nothing was ever committed. If its first page says so early whose it was to be,
/// that is believed; a page that is not there yet, or torn, says nothing.
fn check_begun(path: &Path) -> Result<()> {
    let look = connection::look(path)?;
    match connection::pragma_value(&look, "application_id") {
        Ok(id) if id != APPLICATION_ID => Err(not_ours()),
        _ => Ok(()),
    }
}

/// The header of the main file names its application from the first commit on, as the schema is
/// written before the file enters WAL mode. With nothing beside it, it tells the version, too.
fn check_header(path: &Path, is_accompanied: bool) -> Result<()> {
    let look = connection::look(path)?;
    if connection::pragma_value(&look, "application_id")? != APPLICATION_ID {
        return Err(not_ours());
    }
    match check_version(&look) {
        Err(error) if !is_accompanied && error.reason() == Reason::TooNew => Err(error),
        // Anything else may come of another process that is writing: asked again under locks.
        _ => Ok(()),
    }
}

/// The same question again, now with the WAL and under SQLite's locks.
fn check_ours(writer: &Connection, found: &Found) -> Result<()> {
    if connection::pragma_value(writer, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    // The file itself said that it is ours.
    if found.has_log && !found.is_empty {
        return Err(not_its_log());
    }
    Err(not_ours())
}

/// SQLite takes any whole log for that of the file beside it. Whatever is written begins with the
/// row of the store, so that the log of another one names another.
///
/// The file alone can be read wrongly while another process moves its log into it, but not always
/// the same way; what cannot be read at all tells nothing.
fn check_log(path: &Path, writer: &Connection) -> Result<()> {
    let named = migrate::store_id(writer)?;
    let is_other = || {
        let alone = connection::look(path).and_then(|look| migrate::store_id(&look));
        alone.is_ok_and(|alone| alone != named)
    };
    if (0..LOOKS).all(|_| is_other()) {
        return Err(not_its_log());
    }
    Ok(())
}

fn not_its_log() -> Error {
    Error::corrupt("the log beside the file is that of another one").advising(
        "Put the log of this very file back in its place, or, if there was none, move the log that \
         lies there elsewhere.",
    )
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
    if migrate::min_reader(connection)? > SCHEMA_VERSION {
        return Err(Error::new(
            Reason::TooNew,
            "the file was written by a newer version that this one may not read",
        ));
    }
    Ok(Some(Note::NewerSchema))
}

/// What SQLite refuses of the statements that open a file is the file's fault: they are the same
/// for each.
pub(super) fn of_the_file(error: Error) -> Error {
    match (error.reason(), error.sqlite_code()) {
        (Reason::Misuse | Reason::Invalid | Reason::Taken, Some(code)) => {
            Error::corrupt("a table of the file is missing or not that of its version")
                .with_code(code)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::super::fault;
    use super::*;

    /// A length beyond all bounds in a damaged row, a table that is not there, a rule of another's.
    #[test]
    fn what_sqlite_refuses_while_a_file_is_opened_is_the_files_fault() {
        let codes = [ffi::SQLITE_TOOBIG, ffi::SQLITE_ERROR, ffi::SQLITE_CONSTRAINT_UNIQUE];
        for code in codes {
            let told = fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_ne!(told.reason(), Reason::Corrupt);
            let told = of_the_file(told);
            assert_eq!((told.reason(), told.sqlite_code()), (Reason::Corrupt, Some(code)));
        }
        let kept = of_the_file(Error::misuse("the file is open in this process already"));
        assert_eq!(kept.reason(), Reason::Misuse);
    }

    #[test]
    fn an_sqlite_that_can_corrupt_a_log_is_refused() {
        assert_eq!(check_sqlite(3_051_002).unwrap_err().reason(), Reason::SqliteTooOld);
        assert!(check_sqlite(3_051_003).is_ok());
        assert!(check_sqlite(rusqlite::version_number()).is_ok());
    }
}
