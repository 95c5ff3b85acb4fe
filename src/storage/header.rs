//! The mode of the main file, which no statement reads: its header has it, and SQLite goes by the
//! WAL beside the file.
//!
//! The bytes are read by the descriptor that SQLite has of the file: closing one of the library's
//! own would drop the locks of this process.
#![allow(unsafe_code, reason = "SQLite gives a pointer to the file of a connection")]

use std::ffi::c_void;
use std::ptr;

use rusqlite::{Connection, ffi};

/// The version of the file format that a reader must know, at offset 19: 1 for a rollback journal,
/// 2 for a WAL (fileformat2.html, "File format version numbers").
const READ_VERSION_AT: i64 = 19;

/// Whether the header of the file says WAL mode; `None` if it cannot be read. SQLite writes that
/// before it begins a WAL, and deletes the WAL before it takes that back.
pub(super) fn is_in_wal_mode(connection: &Connection) -> Option<bool> {
    let (file, methods) = file_of(connection)?;
    let read = methods.xRead?;
    let mut version = 0_u8;
    // SAFETY: the method is called with its own file, and writes one byte to the place it is given.
    let code = unsafe { read(file, (&raw mut version).cast::<c_void>(), 1, READ_VERSION_AT) };
    (code == ffi::SQLITE_OK).then_some(version == 2)
}

/// The file that SQLite has of a connection, and the methods by which it is read.
pub(super) fn file_of(
    connection: &Connection,
) -> Option<(*mut ffi::sqlite3_file, &'static ffi::sqlite3_io_methods)> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is open for as long as `connection` is borrowed, and this control writes
    // one pointer to the place it is given.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast::<c_void>(),
        )
    };
    if code != ffi::SQLITE_OK || file.is_null() {
        return None;
    }
    // SAFETY: SQLite gave the file of an open connection; its methods are static.
    unsafe { (*file).pMethods.as_ref() }.map(|methods| (file, methods))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::connection::{for_inspection, for_writing, use_rollback_journal, use_wal};
    use super::super::files::with_suffix;
    use super::*;

    #[test]
    fn the_mode_is_that_of_the_main_file_whatever_lies_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("auth.db");
        let (log, kept) = (with_suffix(&path, "-wal"), with_suffix(&path, "-kept"));
        assert!(super::super::guard::create(&path).unwrap());
        let mode = || is_in_wal_mode(&for_inspection(&path).unwrap());
        assert_eq!(mode(), None, "an empty file");
        let writer = for_writing(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (a)").unwrap();
        assert_eq!(mode(), Some(false));
        use_wal(&writer).unwrap();
        writer.execute_batch("CREATE TABLE u (a)").unwrap();
        assert_eq!(mode(), Some(true));
        fs::copy(&log, &kept).unwrap();
        use_rollback_journal(&writer).unwrap();
        drop(writer);
        // SQLite reads a log whatever the header says.
        fs::rename(&kept, &log).unwrap();
        assert_eq!(mode(), Some(false));
    }
}
