//! Opening a store file: every check that needs no write comes before the first write.
//!
//! **Ordering.** The checks run in this order: the version of the linked SQLite; the path; the
//! directory and its file system; the kind, links, owner and permissions of the file; its header
//! (read through SQLite, without a lock and without the WAL); its schema version.
//!
//! **Failure.** A file of another application, or of a version that is too new, is left untouched.
//! A damaged file is never deleted and never replaced by a new one.

use std::path::Path;

use rusqlite::Connection;

use super::connection;
use super::fault;
use super::files::{self, Files, Journal};
use super::guard::{self, FilePlace, OpenWarning, Tolerances};
use super::header;
use super::migrate::{self, APPLICATION_ID, Recorder, SCHEMA_VERSION, STEPS, SchemaCookie, Seed};
use super::whereabouts::Whereabouts;
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// SQLite may treat a file shorter than its header as an empty database.
const HEADER_BYTES: u64 = 100;
/// How often the store id of the main file is read before a mismatch with the WAL is reported.
const INSPECTIONS: usize = 3;

pub(super) struct OpenFile {
    pub(super) place: FilePlace,
    pub(super) writer: Connection,
    pub(super) store_id: [u8; 16],
    pub(super) schema: SchemaCookie,
}

pub(super) fn open(
    whereabouts: &Whereabouts,
    tolerances: Tolerances,
    seed: &Seed,
    recorder: Recorder<'_>,
) -> Result<OpenFile> {
    // No test fails without this: no SQLite that a supported rusqlite bundles is that old.
    check_sqlite(rusqlite::version_number())?;
    let files = &whereabouts.files;
    let unusual = guard::check_directory(files, tolerances)?;
    let found = inspect(files, tolerances)?;
    let opened = take_over(whereabouts, &found, (tolerances, unusual), seed, recorder);
    opened.map_err(|error| {
        let is_cut = match error.kind() {
            ErrorKind::Io => error.sqlite_code() == Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ),
            kind => matches!(kind, ErrorKind::Corrupt | ErrorKind::NotADatabase),
        };
        if found.lacks_log && is_cut {
            return log_is_missing();
        }
        fault::explained(files.directory(), of_the_file(error))
    })
}

/// A process that has the file open still has the deleted log, and moves it into the file when it
/// closes its store. If that process is killed, the log is lost.
fn log_is_missing() -> Error {
    Error::corrupt("the log of the file was deleted or cut off while the file was in use")
        .advising(
            "Let each program that has the file open close it, without killing one, then open it \
         again; if none has, restore a verified backup.",
        )
}

/// What [`inspect`] found. Nothing was written yet, except perhaps an empty file.
struct Inspection {
    /// Whether there is a wal-index without a WAL. SQLite deletes the WAL last, so another program
    /// has deleted it.
    lacks_log: bool,
    /// Whether the file is empty, or becomes empty when SQLite rolls back the journal of a
    /// creation that was cut off.
    is_empty: bool,
    has_log: bool,
}

fn inspect(files: &Files, tolerances: Tolerances) -> Result<Inspection> {
    // Read before the file: another process may finish creating the file in between.
    let journal = files.journal();
    let size = match guard::check_file(files, tolerances)? {
        Some(size) => size,
        None => {
            guard::check_no_orphan(files)?;
            guard::create(&files.main)?;
            // If another process created it first, its file is checked like any other.
            guard::check_file(files, tolerances)?.unwrap_or(0)
        }
    };
    let has_log = files.has_log();
    let lacks_log = files.lacks_log();
    let is_empty = size == 0 || journal == Journal::OfCreation;
    match size {
        0 => guard::check_no_orphan(files)?,
        _ if is_empty => check_begun(files)?,
        1..HEADER_BYTES => return Err(not_a_database()),
        _ => {
            check_header(&files.main, has_log || journal != Journal::None)?;
            check_mode(files)?;
        }
    }
    Ok(Inspection { is_empty, has_log, lacks_log })
}

fn take_over(
    whereabouts: &Whereabouts,
    found: &Inspection,
    (tolerances, unusual): (Tolerances, Option<OpenWarning>),
    seed: &Seed,
    recorder: Recorder<'_>,
) -> Result<OpenFile> {
    let files = &whereabouts.files;
    let mut warnings = Vec::from_iter(unusual);
    warnings.extend(guard::shared_directory(files, tolerances));
    let mut tightened = None;
    if !found.has_log {
        // Without a WAL the header of the main file was conclusive. SQLite gives the WAL the
        // permissions of the main file.
        tightened = guard::tighten(files, tolerances)?;
    }
    let identity = whereabouts.identity.map_or_else(|| files::identity(&files.main), Ok)?;
    let opened = connection::to_be_checked(&files.main, !found.has_log).and_then(|writer| {
        let version = connection::pragma_value(&writer, "user_version")?;
        Ok((writer, version))
    });
    // The first read has waited for the locks of a restore, which may have replaced the file.
    files::check_in_place(&files.main, identity)?;
    let (mut writer, version) = opened?;
    if version == 0 && found.is_empty {
        migrate::create(&writer, seed, Some(files::birth(&files.main)?), recorder)?;
    }
    check_ours(&writer, found)?;
    let newer = check_version(&writer)?;
    // Before any statement on a table: a view in the place of one would run.
    let (mut schema, view) = migrate::check_schema(&writer)?;
    if found.has_log {
        check_log(&files.main, &writer)?;
    }
    let store_id = migrate::store_id(&writer)?;
    connection::checkpoint_on_close(&writer, true)?;
    connection::use_wal(&writer)?;
    // From this read on, a lock of SQLite keeps a restore from replacing the file.
    connection::pragma_value(&writer, "user_version")?;
    // No test fails without this: nothing stops an opening between two of its reads.
    files::check_in_place(&files.main, identity)?;
    if unusual.is_some() {
        connection::try_locks(&writer)?;
    }
    warnings.extend(tightened.or(guard::tighten(files, tolerances)?));
    warnings.extend(newer);
    warnings.extend(view);
    let migrated = migrate::bring_up_to_date(&mut writer, &files.main, STEPS, recorder)?;
    if migrated.is_some() {
        (schema, _) = migrate::check_schema(&writer)?;
    }
    warnings.extend(migrated);
    if migrate::is_perhaps_restored(&writer, files::birth(&files.main)?)? {
        warnings.push(OpenWarning::PerhapsRestored);
    }
    let place = FilePlace { files: files.clone(), identity, warnings };
    Ok(OpenFile { place, writer, store_id, schema })
}

/// SQLite before 3.51.3 can corrupt a WAL file when two connections reset the WAL at once.
fn check_sqlite(version: i32) -> Result<()> {
    if version < limits::SQLITE_OLDEST {
        return Err(Error::new(
            ErrorKind::SqliteTooOld,
            "the SQLite in this program is older than 3.51.3 and can corrupt a write-ahead log",
        ));
    }
    Ok(())
}

/// Checks a file beside the journal of a creation, which SQLite rolls back: it empties the file. An
/// `application_id` in its first page is believed; a page that is missing or torn decides nothing.
///
/// A file in WAL mode, or with a log or a commit, was not left by that creation: it was put there
/// later.
pub(super) fn check_begun(files: &Files) -> Result<()> {
    let inspection = connection::for_inspection(&files.main)?;
    match connection::pragma_value(&inspection, "application_id") {
        Ok(id) if id != APPLICATION_ID => return Err(not_ours()),
        Err(_) => return Ok(()),
        Ok(_) => {}
    }
    let is_another = files.has_log()
        || migrate::is_written(&inspection).unwrap_or(false)
        || header::is_in_wal_mode(&inspection) == Some(true);
    // Another process that has finished the creation meanwhile has deleted the journal first.
    if is_another && files.journal() == Journal::OfCreation {
        return Err(not_its_journal());
    }
    Ok(())
}

fn not_its_journal() -> Error {
    Error::corrupt("the journal beside the file is that of another one").advising(
        "Move the journal that lies beside the file elsewhere: it is of a file that was never \
         finished.",
    )
}

/// Refuses a WAL beside a file that is not in WAL mode, as no backup is: it is that of the file
/// which was there before.
///
/// Another process may enter or leave WAL mode in between, but not in every attempt.
fn check_mode(files: &Files) -> Result<()> {
    let is_other = || {
        let mode = || header::is_in_wal_mode(&connection::for_inspection(&files.main).ok()?);
        files.has_log() && mode() == Some(false) && files.has_log()
    };
    if (0..INSPECTIONS).all(|_| is_other()) {
        return Err(not_its_log());
    }
    Ok(())
}

/// Checks the header of the main file. It has the `application_id` from the first commit on, as
/// the schema is written before the file enters WAL mode. Without a WAL or journal beside the
/// file, the header also has the current version.
fn check_header(path: &Path, is_accompanied: bool) -> Result<()> {
    let inspection = connection::for_inspection(path)?;
    if connection::pragma_value(&inspection, "application_id")? != APPLICATION_ID {
        return Err(not_ours());
    }
    match check_version(&inspection) {
        Err(error) if !is_accompanied && error.kind() == ErrorKind::TooNew => Err(error),
        // Another process that is writing may cause any other error: `take_over` checks again,
        // under locks.
        _ => Ok(()),
    }
}

/// Checks the `application_id` again, now with the WAL and under locks of SQLite.
fn check_ours(writer: &Connection, found: &Inspection) -> Result<()> {
    if connection::pragma_value(writer, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    // The header of the main file alone had the right id, so the WAL has another.
    if found.has_log && !found.is_empty {
        return Err(not_its_log());
    }
    Err(not_ours())
}

/// Refuses a WAL of another store. SQLite accepts any complete WAL beside the file; but every
/// commit writes the `store` row, so the WAL of another store has another `store_id` than the main
/// file.
///
/// While another process checkpoints, the main file alone can be read wrongly, but not in every
/// attempt; an attempt that fails decides nothing.
fn check_log(path: &Path, writer: &Connection) -> Result<()> {
    let named = migrate::store_id(writer)?;
    let is_other = || {
        let alone =
            connection::for_inspection(path).and_then(|inspection| migrate::store_id(&inspection));
        alone.is_ok_and(|alone| alone != named)
    };
    if (0..INSPECTIONS).all(|_| is_other()) {
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
    Error::new(ErrorKind::NotADatabase, "the file is not a database")
}

fn not_ours() -> Error {
    Error::new(ErrorKind::NotOurs, "the file belongs to another application")
}

fn check_version(connection: &Connection) -> Result<Option<OpenWarning>> {
    let version = connection::pragma_value(connection, "user_version")?;
    if version < 1 {
        return Err(Error::corrupt("the file does not say which version of the schema it has"));
    }
    if version <= SCHEMA_VERSION {
        return Ok(None);
    }
    migrate::check_may_read(connection)?;
    Ok(Some(OpenWarning::NewerSchema))
}

/// Checks a file that is only read.
pub(super) fn check_readable(files: &Files) -> Result<()> {
    let path = files.main.as_path();
    if !files::exists(path) {
        return Err(Error::not_found("there is no file to read"));
    }
    if !path.is_file() {
        return Err(fault::bad_path("the path is a directory or no regular file"));
    }
    guard::check_beside(files)?;
    check_mode(files)?;
    let connection = connection::read_only(path, limits::WRITE_WAIT)?;
    if connection::pragma_value(&connection, "application_id")? != APPLICATION_ID {
        return Err(not_ours());
    }
    check_version(&connection)?;
    migrate::check_schema(&connection).map(drop)
}

/// Turns an SQLite error about a statement into `Corrupt`. The statements of an opening are fixed,
/// so the file is at fault.
pub(super) fn of_the_file(error: Error) -> Error {
    match (error.kind(), error.sqlite_code()) {
        (ErrorKind::Misuse | ErrorKind::Invalid | ErrorKind::Taken, Some(code)) => {
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

    /// An oversized value in a damaged row, a missing table, a UNIQUE rule that the schema does
    /// not have.
    #[test]
    fn an_sqlite_error_about_a_statement_of_the_opening_is_a_corrupt_file() {
        let codes = [ffi::SQLITE_TOOBIG, ffi::SQLITE_ERROR, ffi::SQLITE_CONSTRAINT_UNIQUE];
        for code in codes {
            let error = fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_ne!(error.kind(), ErrorKind::Corrupt);
            let error = of_the_file(error);
            assert_eq!((error.kind(), error.sqlite_code()), (ErrorKind::Corrupt, Some(code)));
        }
        let kept = of_the_file(Error::misuse("the file is open in this process already"));
        assert_eq!(kept.kind(), ErrorKind::Misuse);
    }

    #[test]
    fn an_sqlite_that_can_corrupt_a_log_is_refused() {
        assert_eq!(check_sqlite(3_051_002).unwrap_err().kind(), ErrorKind::SqliteTooOld);
        assert!(check_sqlite(3_051_003).is_ok());
        assert!(check_sqlite(rusqlite::version_number()).is_ok());
    }
}
