//! What SQLite and the system report, turned into reasons that a caller can act on.

use std::fs;
use std::path::Path;

use rusqlite::ffi;
use rustix::io::Errno;

use crate::error::{Error, Reason};

/// How many files a connection opens, at most.
const FILES_OF_A_CONNECTION: usize = 4;

/// Whether a commit that failed like this may hold all the same.
pub(super) fn leaves_doubt(error: &Error) -> bool {
    error.reason() == Reason::Io
        || error.sqlite_code().is_some_and(|code| code & 0xff == ffi::SQLITE_IOERR)
}

/// Turns an error of the driver into ours, keeping its code and none of its text.
pub(crate) fn fault(error: rusqlite::Error) -> Error {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => from_code(failure.extended_code),
        rusqlite::Error::SqlInputError { error, .. } => from_code(error.extended_code),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) => {
            Error::corrupt("a stored value cannot be what the file's own rules say")
        }
        rusqlite::Error::QueryReturnedNoRows => Error::corrupt("a row that must exist is missing"),
        _ => Error::misuse("a statement does not fit the file"),
    }
}

fn from_code(code: i32) -> Error {
    match code {
        ffi::SQLITE_READONLY_DBMOVED => {
            let what = "the file was moved or deleted while it was open";
            return Error::new(Reason::Io, what).with_code(code);
        }
        // A wal-index cannot grow where there is no room: nobody can even open the file then.
        ffi::SQLITE_IOERR_SHMSIZE => {
            let what = "the disk has no room for the memory that processes share";
            return Error::new(Reason::Full, what).with_code(code);
        }
        ffi::SQLITE_CANTOPEN_SYMLINK => {
            let what = "a symbolic link was put in the place of the file";
            return Error::new(Reason::Unsafe, what).with_code(code);
        }
        ffi::SQLITE_NOMEM | ffi::SQLITE_IOERR_NOMEM => {
            let error = Error::new(Reason::Io, "SQLite could not get memory");
            return error.with_code(code).advising("Give this program more memory.");
        }
        _ => {}
    }
    let (reason, what) = match code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL | ffi::SQLITE_INTERRUPT => {
            (Reason::Busy, "another program holds the file")
        }
        ffi::SQLITE_FULL => (Reason::Full, "the disk is full"),
        ffi::SQLITE_IOERR => (Reason::Io, "the system reported an input or output error"),
        ffi::SQLITE_CORRUPT => (Reason::Corrupt, "the file is damaged"),
        ffi::SQLITE_NOTADB => (Reason::NotADatabase, "the file is not a database"),
        ffi::SQLITE_READONLY => (Reason::ReadOnly, "the file cannot be written"),
        ffi::SQLITE_CANTOPEN => (Reason::Io, "the file or a file beside it cannot be opened"),
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => (Reason::NoPermission, "access is denied"),
        ffi::SQLITE_TOOBIG => (Reason::Invalid, "a value is too large"),
        ffi::SQLITE_CONSTRAINT
            if matches!(
                code,
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            ) =>
        {
            (Reason::Taken, "a unique value is taken")
        }
        ffi::SQLITE_CONSTRAINT => (Reason::Invalid, "the file's own rules refuse this"),
        _ => (Reason::Misuse, "SQLite refused a statement"),
    };
    Error::new(reason, what).with_code(code)
}

pub(super) fn from_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => no_directory("the directory of the file does not exist"),
        ErrorKind::PermissionDenied => {
            Error::new(Reason::NoPermission, "the system denies access to the file")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Error::new(Reason::ReadOnly, "the file system is mounted read-only")
        }
        ErrorKind::StorageFull => Error::new(Reason::Full, "the disk is full"),
        ErrorKind::NotADirectory => bad_path("a part of the path is not a directory"),
        ErrorKind::InvalidFilename => bad_path("a part of the path is too long"),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            bad_path("the symbolic links of the path go in a circle")
        }
        _ if is_out_of_files(error) => too_many_files(),
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
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

/// SQLite has one code for many things that keep it from opening a file in this directory or
/// letting it grow; what the system says now tells which it was.
pub(super) fn explained(directory: &Path, error: Error) -> Error {
    let unsaid = |code| [ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR].contains(&(code & 0xff));
    if !error.sqlite_code().is_some_and(unsaid) {
        return error;
    }
    let tried: Vec<_> = (0..FILES_OF_A_CONNECTION).map(|_| fs::File::open("/")).collect();
    if tried.iter().any(|file| file.as_ref().is_err_and(is_out_of_files)) {
        return too_many_files();
    }
    match rustix::fs::statvfs(directory) {
        Ok(seen) if seen.f_bavail == 0 || (seen.f_files > 0 && seen.f_favail == 0) => {
            Error::new(Reason::Full, "the disk has no room left")
        }
        _ => error,
    }
}

fn is_out_of_files(error: &std::io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|out| error.raw_os_error() == Some(out.raw_os_error()))
}

fn too_many_files() -> Error {
    Error::new(Reason::Io, "this program has as many files open as it may")
        .advising("Raise the number of files that this program may have open.")
}

pub(super) fn denied(errno: Errno) -> Error {
    match errno {
        Errno::ROFS => Error::new(Reason::ReadOnly, "the file system is mounted read-only"),
        Errno::ACCESS | Errno::PERM => {
            Error::new(Reason::NoPermission, "this program's user may not read and write here")
        }
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: i32, reason: Reason) {
        let error = fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(error.reason(), reason, "{code}");
        assert!(error.to_string().contains(&code.to_string()));
    }

    #[test]
    fn each_code_has_the_reason_that_a_caller_can_act_on() {
        check(ffi::SQLITE_BUSY_RECOVERY, Reason::Busy);
        check(ffi::SQLITE_PROTOCOL, Reason::Busy);
        check(ffi::SQLITE_FULL, Reason::Full);
        check(ffi::SQLITE_IOERR_SHMSIZE, Reason::Full);
        check(ffi::SQLITE_IOERR_FSYNC, Reason::Io);
        check(ffi::SQLITE_NOMEM, Reason::Io);
        check(ffi::SQLITE_CORRUPT, Reason::Corrupt);
        check(ffi::SQLITE_NOTADB, Reason::NotADatabase);
        check(ffi::SQLITE_READONLY, Reason::ReadOnly);
        check(ffi::SQLITE_READONLY_DBMOVED, Reason::Io);
        check(ffi::SQLITE_CANTOPEN_SYMLINK, Reason::Unsafe);
        check(ffi::SQLITE_CONSTRAINT_UNIQUE, Reason::Taken);
        check(ffi::SQLITE_CONSTRAINT_PRIMARYKEY, Reason::Taken);
        check(ffi::SQLITE_CONSTRAINT_TRIGGER, Reason::Invalid);
        check(ffi::SQLITE_CONSTRAINT_FOREIGNKEY, Reason::Invalid);
        check(ffi::SQLITE_TOOBIG, Reason::Invalid);
        check(ffi::SQLITE_ERROR, Reason::Misuse);
    }

    #[test]
    fn a_commit_is_in_doubt_after_any_error_of_the_system_but_a_full_disk() {
        let of_code = |code| fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_NOMEM] {
            assert!(leaves_doubt(&of_code(code)), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_CONSTRAINT_COMMITHOOK] {
            assert!(!leaves_doubt(&of_code(code)), "{code}");
        }
    }

    /// The driver's own text may hold a path, a statement or a value.
    #[test]
    fn nothing_of_the_drivers_text_is_passed_on() {
        let code = ffi::Error::new(ffi::SQLITE_ERROR);
        let error = fault(rusqlite::Error::SqliteFailure(code, Some(String::from("hunter2"))));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn what_the_system_denies_has_its_reason() {
        use std::io::{Error, ErrorKind};
        for (kind, reason) in [
            (ErrorKind::NotFound, Reason::NotFound),
            (ErrorKind::PermissionDenied, Reason::NoPermission),
            (ErrorKind::ReadOnlyFilesystem, Reason::ReadOnly),
            (ErrorKind::StorageFull, Reason::Full),
            (ErrorKind::NotADirectory, Reason::Invalid),
            (ErrorKind::Other, Reason::Io),
        ] {
            assert_eq!(from_io(&Error::from(kind)).reason(), reason, "{kind:?}");
        }
        for (errno, reason) in [
            (Errno::ROFS, Reason::ReadOnly),
            (Errno::ACCESS, Reason::NoPermission),
            (Errno::PERM, Reason::NoPermission),
            (Errno::IO, Reason::Io),
        ] {
            assert_eq!(denied(errno).reason(), reason, "{errno:?}");
        }
    }
}
