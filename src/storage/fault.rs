//! Errors of SQLite and of the operating system, turned into an [`Error`] that a caller can act
//! on.

use std::fs;
use std::path::Path;

use rusqlite::ffi;
use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// The most files that one connection opens.
const FILES_OF_A_CONNECTION: usize = 4;

/// The length of a file that is tried: a page of SQLite.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SMALL_FILE_BYTES: usize = 4_096;

/// Whether a commit that failed with this error may have been applied.
pub(super) fn leaves_doubt(error: &Error) -> bool {
    // A write over the quota is a write on a full disk, of which SQLite keeps nothing.
    let is_over_quota =
        error.kind() == ErrorKind::Full && error.sqlite_code() == Some(ffi::SQLITE_IOERR_WRITE);
    if is_over_quota {
        return false;
    }
    matches!(error.kind(), ErrorKind::Io | ErrorKind::OutOfMemory)
        || error.sqlite_code().is_some_and(|code| {
            code & 0xff == ffi::SQLITE_IOERR || code == ffi::SQLITE_READONLY_DBMOVED
        })
}

/// Converts an error of the driver. Keeps its code and none of its text, which may have stored
/// data.
pub(crate) fn fault(error: rusqlite::Error) -> Error {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => from_code(failure.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => from_code(error.extended_code),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => {
            Error::corrupt("a stored value breaks the rules of the file's schema")
        }
        rusqlite::Error::QueryReturnedNoRows => {
            Error::corrupt("a row that must exist is missing from the file")
        }
        _ => Error::misuse("Gatepost's own error: a statement does not fit the file"),
    }
}

/// The error of a code, and of the number of the system's last error on this thread: SQLite calls a
/// disk full for ENOSPC alone, and not where a quota is used up.
fn from_code(code: i32) -> Error {
    from_code_and_errno(code, std::io::Error::last_os_error().raw_os_error())
}

fn from_code_and_errno(code: i32, errno: Option<i32>) -> Error {
    if is_write(code) && errno == Some(Errno::DQUOT.raw_os_error()) {
        return full().with_code(code);
    }
    match code {
        ffi::SQLITE_READONLY_DBMOVED => {
            return replaced().with_code(code);
        }
        // The wal-index cannot grow on a full disk; then no process can open the file.
        ffi::SQLITE_IOERR_SHMSIZE => {
            let what = "the disk has no room for the memory that processes share";
            return Error::new(ErrorKind::Full, what).with_code(code);
        }
        ffi::SQLITE_CANTOPEN_SYMLINK => {
            let what = "a symbolic link was put in the place of the file";
            return Error::new(ErrorKind::Unsafe, what).with_code(code);
        }
        ffi::SQLITE_NOMEM | ffi::SQLITE_IOERR_NOMEM => {
            return out_of_memory("there is not enough memory for SQLite").with_code(code);
        }
        _ => {}
    }
    let (reason, what) = match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL | ffi::SQLITE_INTERRUPT => {
            (ErrorKind::Busy, "another program or connection is using the file")
        }
        ffi::SQLITE_FULL => return full().with_code(code),
        ffi::SQLITE_IOERR => {
            (ErrorKind::Io, "the operating system reported an input or output error")
        }
        ffi::SQLITE_CORRUPT => (ErrorKind::Corrupt, "the file is damaged"),
        ffi::SQLITE_NOTADB => (ErrorKind::NotADatabase, "the file is not a database"),
        ffi::SQLITE_READONLY => (ErrorKind::ReadOnly, "the file cannot be written"),
        ffi::SQLITE_CANTOPEN => (ErrorKind::Io, "the file or a file beside it cannot be opened"),
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => {
            (ErrorKind::NoPermission, "the operating system denies access to the file")
        }
        ffi::SQLITE_TOOBIG => (ErrorKind::Invalid, "a value is larger than SQLite accepts"),
        ffi::SQLITE_CONSTRAINT
            if matches!(
                code,
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            ) =>
        {
            (ErrorKind::Taken, "a value that must be unique is taken")
        }
        ffi::SQLITE_CONSTRAINT => {
            (ErrorKind::Invalid, "a rule of the file's schema refuses this write")
        }
        _ => (ErrorKind::Misuse, "Gatepost's own error: SQLite refused a statement"),
    };
    Error::new(reason, what).with_code(code)
}

/// The file at the path is no longer the open one.
pub(super) fn replaced() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the file, or its log or shared memory, was moved, deleted or replaced while it was open",
    )
    .advising(
        "Drop every handle of this store and call Store::open again, or, in a server, exit and \
             let its supervisor start it again.",
    )
}

fn full() -> Error {
    Error::new(ErrorKind::Full, "the disk that holds the file is full")
}

/// The codes of calls for which the system gives a file more room. A read leaves the number of an
/// earlier error.
fn is_write(code: i32) -> bool {
    [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_SHMSIZE,
    ]
    .contains(&code)
}

fn out_of_memory(what: &'static str) -> Error {
    Error::new(ErrorKind::OutOfMemory, what)
}

pub(super) fn from_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => no_directory("the directory of the file does not exist"),
        Io::PermissionDenied => {
            Error::new(ErrorKind::NoPermission, "the operating system denies access to the file")
        }
        Io::ReadOnlyFilesystem => {
            Error::new(ErrorKind::ReadOnly, "the file system is mounted read-only")
        }
        Io::OutOfMemory => out_of_memory("the operating system has not enough memory"),
        Io::StorageFull | Io::QuotaExceeded => full(),
        Io::NotADirectory => bad_path("a part of the path is not a directory"),
        Io::InvalidFilename => bad_path("a part of the path is too long"),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            bad_path("the symbolic links of the path go in a circle")
        }
        _ if is_out_of_files(error) => too_many_files(),
        _ => Error::new(ErrorKind::Io, "the operating system reported an input or output error"),
    }
}

/// A path that leads to no directory or file.
pub(super) fn no_directory(what: &'static str) -> Error {
    Error::not_found(what)
        .advising("Create the directory, or correct the path or the link that leads nowhere.")
}

pub(super) fn bad_path(what: &'static str) -> Error {
    Error::invalid(what)
        .advising("Choose another path: the message says what is wrong with this one.")
}

/// Finds the cause of an error that SQLite reports with one code for several causes (it cannot
/// open a file in this directory, or extend it), by asking the system.
pub(super) fn explained(directory: &Path, error: Error) -> Error {
    explained_by(directory, error, has_room)
}

/// As [`explained`], with the call that asks for room.
fn explained_by(directory: &Path, error: Error, has_room: fn(&Path) -> bool) -> Error {
    let is_ambiguous = |code| [ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR].contains(&(code & 0xff));
    if !error.sqlite_code().is_some_and(is_ambiguous) {
        return error;
    }
    let tried: Vec<_> = (0..FILES_OF_A_CONNECTION).map(|_| fs::File::open("/")).collect();
    if tried.iter().any(|file| file.as_ref().is_err_and(is_out_of_files)) {
        return too_many_files();
    }
    match rustix::fs::statvfs(directory) {
        Ok(seen) if seen.f_bavail == 0 || (seen.f_files > 0 && seen.f_favail == 0) => full(),
        _ if !has_room(directory) => full(),
        _ => error,
    }
}

/// Whether the directory has room for one more small file. The numbers of a file system say nothing
/// of a quota, and SQLite, which tries again to read a file that it cannot create, loses the first
/// error. The file that is tried has no name, so none stays.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_room(directory: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let tried = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)
        .and_then(|file| rustix::io::write(&file, &[0; SMALL_FILE_BYTES]));
    !matches!(tried, Err(Errno::DQUOT | Errno::NOSPC))
}

/// Elsewhere a file that is tried would have a name, under which a kill would leave it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const fn has_room(_: &Path) -> bool {
    true
}

fn is_out_of_files(error: &std::io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|out| error.raw_os_error() == Some(out.raw_os_error()))
}

fn too_many_files() -> Error {
    Error::new(
        ErrorKind::Io,
        "this program has as many files open as its limit (ulimit -n) allows",
    )
    .advising("Raise the number of files that this program may have open.")
}

pub(super) fn denied(errno: Errno) -> Error {
    match errno {
        Errno::ROFS => Error::new(ErrorKind::ReadOnly, "the file system is mounted read-only"),
        Errno::ACCESS | Errno::PERM => Error::new(
            ErrorKind::NoPermission,
            "this program's user may not read and write the file or its directory",
        ),
        Errno::NOMEM => out_of_memory("the operating system has not enough memory"),
        _ => Error::new(ErrorKind::Io, "the operating system reported an input or output error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: i32, reason: ErrorKind) {
        let error = fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(error.kind(), reason, "{code}");
        assert!(error.to_string().contains(&code.to_string()));
    }

    #[test]
    fn each_code_has_the_reason_that_a_caller_can_act_on() {
        check(ffi::SQLITE_BUSY_RECOVERY, ErrorKind::Busy);
        check(ffi::SQLITE_PROTOCOL, ErrorKind::Busy);
        check(ffi::SQLITE_FULL, ErrorKind::Full);
        check(ffi::SQLITE_IOERR_SHMSIZE, ErrorKind::Full);
        check(ffi::SQLITE_IOERR_FSYNC, ErrorKind::Io);
        check(ffi::SQLITE_NOMEM, ErrorKind::OutOfMemory);
        check(ffi::SQLITE_IOERR_NOMEM, ErrorKind::OutOfMemory);
        check(ffi::SQLITE_CORRUPT, ErrorKind::Corrupt);
        check(ffi::SQLITE_NOTADB, ErrorKind::NotADatabase);
        check(ffi::SQLITE_READONLY, ErrorKind::ReadOnly);
        check(ffi::SQLITE_READONLY_DBMOVED, ErrorKind::Closed);
        check(ffi::SQLITE_CANTOPEN_SYMLINK, ErrorKind::Unsafe);
        check(ffi::SQLITE_CONSTRAINT_UNIQUE, ErrorKind::Taken);
        check(ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ErrorKind::Taken);
        check(ffi::SQLITE_CONSTRAINT_TRIGGER, ErrorKind::Invalid);
        check(ffi::SQLITE_CONSTRAINT_FOREIGNKEY, ErrorKind::Invalid);
        check(ffi::SQLITE_TOOBIG, ErrorKind::Invalid);
        check(ffi::SQLITE_ERROR, ErrorKind::Misuse);
    }

    #[test]
    fn a_commit_is_in_doubt_after_any_error_of_the_system_except_a_full_disk() {
        let of_code = |code| fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_NOMEM,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_READONLY_DBMOVED,
        ] {
            assert!(leaves_doubt(&of_code(code)), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_CONSTRAINT_COMMITHOOK] {
            assert!(!leaves_doubt(&of_code(code)), "{code}");
        }
    }

    /// The file system of `/proc` has no room at all.
    #[test]
    #[cfg(target_os = "linux")]
    fn only_an_ambiguous_error_is_explained_by_a_full_disk() {
        let at_proc = |error| explained(Path::new("/proc"), error).kind();
        let of_code = |code| fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(at_proc(of_code(ffi::SQLITE_CANTOPEN)), ErrorKind::Full);
        assert_eq!(at_proc(of_code(ffi::SQLITE_READONLY)), ErrorKind::ReadOnly);
        assert_eq!(at_proc(Error::corrupt("a test")), ErrorKind::Corrupt);
    }

    /// The fault bench uses up a real quota: `full`.
    #[test]
    fn a_file_that_cannot_be_created_over_the_quota_is_a_full_disk() {
        let directory = tempfile::tempdir().unwrap();
        let cannot_open =
            || fault(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None));
        let kind = |has_room| explained_by(directory.path(), cannot_open(), has_room).kind();
        assert_eq!(kind(|_| false), ErrorKind::Full);
        assert_eq!(kind(|_| true), ErrorKind::Io);
        assert_eq!(kind(has_room), ErrorKind::Io);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a file was left");
    }

    #[test]
    fn a_used_up_quota_is_a_full_disk_and_a_write_over_it_leaves_no_doubt() {
        let over = Some(Errno::DQUOT.raw_os_error());
        for (code, doubt) in [
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_IOERR_TRUNCATE, true),
            // The pages were written before the flush failed.
            (ffi::SQLITE_IOERR_FSYNC, true),
            (ffi::SQLITE_IOERR_SHMSIZE, true),
        ] {
            let error = from_code_and_errno(code, over);
            assert_eq!((error.kind(), leaves_doubt(&error)), (ErrorKind::Full, doubt), "{code}");
        }
        let other = from_code_and_errno(ffi::SQLITE_IOERR_WRITE, Some(Errno::IO.raw_os_error()));
        assert_eq!((other.kind(), leaves_doubt(&other)), (ErrorKind::Io, true));
        // The number is left from an earlier call.
        let read = from_code_and_errno(ffi::SQLITE_IOERR_READ, over);
        assert_eq!(read.kind(), ErrorKind::Io);
        let over_quota = std::io::Error::from_raw_os_error(Errno::DQUOT.raw_os_error());
        assert_eq!(from_io(&over_quota).kind(), ErrorKind::Full);
    }

    /// The driver's own text may contain a path, a statement or a value.
    #[test]
    fn nothing_of_the_drivers_text_is_passed_on() {
        let code = ffi::Error::new(ffi::SQLITE_ERROR);
        let error = fault(rusqlite::Error::SqliteFailure(code, Some(String::from("hunter2"))));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn an_error_of_the_system_has_the_kind_of_its_cause() {
        use std::io::{Error, ErrorKind as Io};
        for (kind, reason) in [
            (Io::NotFound, ErrorKind::NotFound),
            (Io::PermissionDenied, ErrorKind::NoPermission),
            (Io::ReadOnlyFilesystem, ErrorKind::ReadOnly),
            (Io::StorageFull, ErrorKind::Full),
            (Io::QuotaExceeded, ErrorKind::Full),
            (Io::OutOfMemory, ErrorKind::OutOfMemory),
            (Io::NotADirectory, ErrorKind::Invalid),
            (Io::Other, ErrorKind::Io),
        ] {
            assert_eq!(from_io(&Error::from(kind)).kind(), reason, "{kind:?}");
        }
        for (errno, reason) in [
            (Errno::ROFS, ErrorKind::ReadOnly),
            (Errno::ACCESS, ErrorKind::NoPermission),
            (Errno::PERM, ErrorKind::NoPermission),
            (Errno::NOMEM, ErrorKind::OutOfMemory),
            (Errno::IO, ErrorKind::Io),
        ] {
            assert_eq!(denied(errno).kind(), reason, "{errno:?}");
        }
    }
}
