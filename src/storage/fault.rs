//! SQLite's codes, turned into reasons that a caller can act on.

use rusqlite::ffi;

use crate::error::{Error, Reason};

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
}
