//! Restores: a backup in the place of a file that is open or no longer reads, and a copy that was
//! put in its place by other means.
//!
//! **Ordering.** The backup is copied to a file beside the store. If the store's own file reads,
//! this holds its write lock from before the rules of the restore are applied to the copy until
//! SQLite's backup API has put the copy in its place, in one transaction. So no commit falls
//! between the state that the rules read and the restore, and every other process sees the old
//! file or the new one. Verifies read on meanwhile. SQLite refuses this for a file that is damaged:
//! that one is moved aside, if no process has it open.
//!
//! **Failure.** A call that fails, or a process that is killed, leaves the file as it was, or
//! restored.

mod aside;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::fs::{FlockOperation, flock};

use super::clock::SteadyClock;
use super::connection::Stopwatch;
use super::fault::from_io;
use super::files::{self, Files, Journal, Seen};
use super::guard::{self, Tolerances};
use super::migrate::{self, APPLICATION_ID, SCHEMA_VERSION};
use super::transaction::{Purpose, WriteTx};
use super::{Manifest, backup, connection, fault, open as opening};
use crate::error::{Error, ErrorKind, Result};
use crate::value::event::Actor;
use crate::value::limits;
use crate::value::random::{Draws, RandomSource};
use crate::value::time::Clock;
use aside::{Locks, move_aside};

/// The arguments of [`restore`] and [`adopt`].
#[derive(Debug)]
pub(crate) struct RestoreRequest {
    pub(crate) files: Files,
    pub(crate) tolerances: Tolerances,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) random: Arc<dyn RandomSource>,
}

/// Where the copy went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// Into the file, which the rules of the restore could read.
    Live,
    /// In place of a file that did not read, which is at this path now.
    Damaged(PathBuf),
    /// There was no file.
    Nothing,
}

/// What the rules of a restore know of the file that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Its tables are attached as `live`.
    Attached,
    Unknown,
}

/// The rules of a restore, run in one transaction.
pub(crate) type Rules<'r, T> = &'r dyn Fn(&WriteTx<'_>, Before) -> Result<T>;

/// What is at the path.
enum Found {
    /// A store that reads, on a connection of its own, and its id. The connection leaves a log as
    /// it is.
    Live(Connection, [u8; 16]),
    /// A file that does not read, or no file where the log or journal of another one is left.
    Damaged(Seen),
    Nothing,
}

/// Puts the backup in the place of the file, which this process may have open. `rules` is run in
/// one transaction on the copy of the backup.
pub(crate) fn restore<T>(
    request: RestoreRequest,
    from: &Path,
    open_here: bool,
    rules: Rules<'_, T>,
) -> Result<(T, Replaced)> {
    guard::check_directory(&request.files, request.tolerances)?;
    let manifest = Manifest::check(from).map_err(|error| error.at(from))?;
    check_version(manifest.schema_version)?;
    match examine(&request)? {
        Found::Live(_, store_id) if store_id != manifest.store_id => Err(of_another_store()),
        Found::Live(live, _) => {
            let copy = CopyBeside::of(from, &request.files)?;
            Ok((copy.into_open(live, &request, rules)?, Replaced::Live))
        }
        // Closing a descriptor would drop the locks of that store.
        Found::Damaged(_) if open_here => {
            Err(Error::misuse("this process has the damaged file open: close its store first"))
        }
        Found::Damaged(seen) => {
            let mut locks = Locks::take(&request.files, seen)?;
            let copy = CopyBeside::of(from, &request.files)?;
            let mut aside = None;
            let value = copy.into_place(&request, rules, |path| {
                aside = Some(move_aside(&request, &locks)?);
                locks.replace_by(path, &request.files.main)
            })?;
            drop(locks);
            Ok((value, aside.map_or(Replaced::Nothing, Replaced::Damaged)))
        }
        Found::Nothing => {
            let copy = CopyBeside::of(from, &request.files)?;
            let main = &request.files.main;
            let value =
                copy.into_place(&request, rules, |path| backup::put_in_place(path, main))?;
            Ok((value, Replaced::Nothing))
        }
    }
}

/// Takes in a file that was put in its place by other means. `rules` is run in one transaction on
/// the file, while no other process may open it.
pub(crate) fn adopt<T>(request: RestoreRequest, rules: Rules<'_, T>) -> Result<T> {
    let files = &request.files;
    guard::check_directory(files, request.tolerances)?;
    match guard::check_file(files, request.tolerances)? {
        None => {
            return Err(Error::not_found("there is no file to take in")
                .advising("Check the path of the file."));
        }
        Some(_) => guard::check_no_orphan(files)?,
    }
    // SQLite would roll it back at the first read.
    if files.journal() != Journal::None {
        return Err(perhaps_of_another());
    }
    let taken_in = connection::alone(&files.main).and_then(|connection| {
        // Not before: a process that has the file open has a log.
        if files.has_log() {
            return Err(perhaps_of_another());
        }
        connection::checkpoint_on_close(&connection, true)?;
        connection::set_up(&connection)?;
        check_store(&connection)?;
        guard::tighten(files, request.tolerances)?;
        let value = run(&connection, &request, &files.main, Before::Unknown, rules)?;
        connection.close().map_err(|(_, error)| fault(error))?;
        Ok(value)
    });
    taken_in.map_err(open_elsewhere)
}

/// A log or journal does not show of which file it is.
fn perhaps_of_another() -> Error {
    let what = "a log or journal lies beside the copy, perhaps of the file that was there before";
    Error::corrupt(what).advising(
        "Move the log or journal elsewhere if it is not of this copy; if it is, put both under \
         another path, take a backup of them there and restore that.",
    )
}

fn examine(request: &RestoreRequest) -> Result<Found> {
    let files = &request.files;
    // A restore that was killed while it moved a damaged file aside leaves that with two names.
    let with_names = Tolerances { hard_links: true, ..request.tolerances };
    match guard::check_file(files, with_names)? {
        None if !files.has_left_over() => return Ok(Found::Nothing),
        None | Some(0) => return Ok(Found::Damaged(files.seen())),
        Some(_) => {}
    }
    let seen = files.seen();
    if files.journal() == Journal::OfCreation {
        opening::check_begun(files)?;
        return Ok(Found::Damaged(seen));
    }
    let identity = files::identity(&files.main)?;
    // What lies in a log stays there, if the file turns out to be damaged or the call is refused.
    let opened = connection::to_be_checked(&files.main, !files.has_log()).and_then(|live| {
        connection::pragma(&live, "wal_autocheckpoint", 0)?;
        check_content(&live)?;
        // The rules run SELECTs on the tables, and the copy replaces what was added or is missing.
        migrate::check_tables(&live)?;
        let store_id = migrate::store_id(&live)?;
        guard::check_file(files, request.tolerances)?;
        Ok(Found::Live(live, store_id))
    });
    // Another restore may have replaced the damaged file while this one waited for its locks.
    files::check_in_place(&files.main, identity)?;
    match opened {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotADatabase) => {
            Ok(Found::Damaged(files.seen()))
        }
        opened => opened,
    }
}

/// Checks that this is a whole store of this version.
fn check_store(connection: &Connection) -> Result<()> {
    check_content(connection)?;
    migrate::check_schema(connection).map(drop)
}

/// As [`check_store`], without its schema.
fn check_content(connection: &Connection) -> Result<()> {
    if connection::pragma_value(connection, "application_id")? != APPLICATION_ID {
        return Err(Error::new(ErrorKind::NotOurs, "the file belongs to another application"));
    }
    check_version(connection::pragma_value(connection, "user_version")?)?;
    backup::check_integrity(connection)
}

fn check_version(version: i64) -> Result<()> {
    match version {
        SCHEMA_VERSION => Ok(()),
        newer if newer > SCHEMA_VERSION => Err(Error::new(
            ErrorKind::TooNew,
            "the file was written by a newer version of the library",
        )),
        _ => Err(Error::corrupt("the file does not say which version of the schema it has")),
    }
}

fn of_another_store() -> Error {
    Error::invalid("the backup is of another store than the file").advising(
        "Check both paths. To give up the store that is there, move its file away first, with what \
         is beside it.",
    )
}

/// A copy of the backup beside the store, on one connection.
struct CopyBeside {
    path: PathBuf,
    connection: Connection,
    /// Locked as long as the restore runs: a second one does not touch its copy.
    _lock: fs::File,
}

impl CopyBeside {
    fn of(from: &Path, files: &Files) -> Result<Self> {
        let path = files.restoring();
        let lock = lock_beside(&path, from)?;
        let filled = fill(&path, from);
        if filled.is_err() {
            let _ = fs::remove_file(&path);
        }
        Ok(Self { path, connection: filled?, _lock: lock })
    }

    /// Applies the rules with the live file beside it, and puts the result into the live file in
    /// one transaction of that. Deletes the copy.
    fn into_open<T>(
        self,
        mut live: Connection,
        request: &RestoreRequest,
        rules: Rules<'_, T>,
    ) -> Result<T> {
        let put = self.put_into(&mut live, request, rules);
        if put.is_ok() {
            // The log has the whole restored file. Best effort: the next opening moves it as well.
            let _ = connection::checkpoint_on_close(&live, true);
        }
        let _ = fs::remove_file(&self.path);
        put
    }

    fn put_into<T>(
        &self,
        live: &mut Connection,
        request: &RestoreRequest,
        rules: Rules<'_, T>,
    ) -> Result<T> {
        let main = &request.files.main;
        // The backup API puts no pages of another size into a file in WAL mode.
        connection::use_page_size(&self.connection, connection::pragma_value(live, "page_size")?)?;
        // Polled in steps of a millisecond, as by the library's writers: the pauses of SQLite's own
        // busy handler grow, and busy writers would never let it in.
        live.busy_timeout(Duration::ZERO).map_err(fault)?;
        let backup = Backup::new(&self.connection, live).map_err(fault)?;
        let waiting = Stopwatch::start();
        // A step of no page takes the write lock of the live file.
        while backup.step(0).map_err(fault)? != StepResult::More {
            if waiting.elapsed() >= limits::WRITE_WAIT {
                let what = "another program is writing the file";
                return Err(Error::new(ErrorKind::Busy, what).waited(waiting.elapsed()));
            }
            connection::pause(Duration::from_millis(1));
        }
        connection::attach_live(&self.connection, main)?;
        let value = run(&self.connection, request, main, Before::Attached, rules)?;
        match backup.step(-1).map_err(fault)? {
            StepResult::Done => Ok(value),
            _ => Err(Error::new(ErrorKind::Busy, "another program has locked the file")),
        }
    }

    /// Applies the rules, closes the copy and renames it by `place`.
    fn into_place<T>(
        self,
        request: &RestoreRequest,
        rules: Rules<'_, T>,
        place: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<T> {
        let Self { path, connection, _lock } = self;
        let placed = run(&connection, request, &path, Before::Unknown, rules).and_then(|value| {
            connection.close().map_err(|(_, error)| fault(error))?;
            backup::flush(&path)?;
            place(&path)?;
            Ok(value)
        });
        if placed.is_err() {
            let _ = fs::remove_file(&path);
        }
        placed
    }
}

/// Opens or creates the file of the copy, readable by its owner alone, and locks it. What a restore
/// left that was killed is used again, but not the backup `from` itself.
fn lock_beside(path: &Path, from: &Path) -> Result<fs::File> {
    guard::create(path)?;
    let file = open(path)?;
    let identity = files::identity_of(&file)?;
    if fs::canonicalize(from).is_ok_and(|from| files::identity(&from).ok() == Some(identity)) {
        let what = "the backup has the name of the copy that a restore of this file writes";
        return Err(Error::invalid(what).advising("Rename the backup and its manifest."));
    }
    lock_copy(&file, path)?;
    file.set_len(0).map_err(|error| from_io(&error))?;
    Ok(file)
}

/// Locks the opened file of the copy, if it is still the one at the path: a restore that was
/// running meanwhile may have renamed or deleted it.
fn lock_copy(file: &fs::File, path: &Path) -> Result<()> {
    let is_running = || Error::new(ErrorKind::Busy, "another restore of this file is running");
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|_| is_running())?;
    if files::found(path)? != Some(files::identity_of(file)?) {
        return Err(is_running());
    }
    Ok(())
}

fn fill(path: &Path, from: &Path) -> Result<Connection> {
    let mut copy = connection::for_restore(path)?;
    let source = connection::for_inspection(from)?;
    let backup = Backup::new(&source, &mut copy).map_err(fault)?;
    if backup.step(-1).map_err(fault)? != StepResult::Done {
        return Err(Error::new(
            ErrorKind::Busy,
            "another program has locked the copy of the backup",
        ));
    }
    drop(backup);
    check_store(&copy).map_err(|error| error.at(from))?;
    Ok(copy)
}

/// Runs the rules in one transaction, which also notes the file in which they will be.
fn run<T>(
    connection: &Connection,
    request: &RestoreRequest,
    place: &Path,
    before: Before,
    rules: Rules<'_, T>,
) -> Result<T> {
    let moment = SteadyClock::new(request.clock.clone()).moment();
    let draws = Draws::new(Arc::clone(&request.random))?;
    // BEGIN EXCLUSIVE would lock the attached file as well, which the backup API has locked.
    let begin = if before == Before::Attached { "BEGIN" } else { "BEGIN EXCLUSIVE" };
    connection.execute_batch(begin).map_err(fault)?;
    let tx = WriteTx::new(connection, moment, Purpose::Revocation, &Actor::Host, &draws);
    let value = rules(&tx, before)?;
    migrate::remember_file(connection, files::birth(place)?)?;
    connection.execute_batch("COMMIT").map_err(fault)?;
    Ok(value)
}

/// Opens a regular file to lock it.
fn open(path: &Path) -> Result<fs::File> {
    let opened = files::open_regular(path, fs::OpenOptions::new().read(true).write(true));
    opened.map_err(|error| from_io(&error))?.ok_or_else(|| {
        Error::new(ErrorKind::Unsafe, "something else is in the place of a file of the restore")
            .advising("Move away what is at the path of the error, if no restore is running.")
            .at(path)
    })
}

fn open_elsewhere(error: Error) -> Error {
    if error.kind() != ErrorKind::Busy {
        return error;
    }
    error.advising("Stop every program that has the file open, and try again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the opening of the copy and its lock, the restore that was running has ended.
    #[test]
    fn a_copy_that_was_renamed_or_deleted_before_it_was_locked_is_that_of_a_running_restore() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db-restoring");
        let ended: [fn(&Path); 3] = [
            |path| fs::remove_file(path).unwrap(),
            |path| fs::rename(path, path.with_extension("db")).unwrap(),
            |path| fs::rename(path.with_extension("db"), path).unwrap(),
        ];
        for end in ended {
            assert!(guard::create(&path).unwrap());
            let file = fs::File::open(&path).unwrap();
            end(&path);
            assert_eq!(lock_copy(&file, &path).unwrap_err().kind(), ErrorKind::Busy);
            let _ = fs::remove_file(&path);
        }
        lock_beside(&path, &directory.path().join("copy.db")).unwrap();
    }
}
