//! Connections, all set up alike.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::fault;
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// Opens the file for writing; it must exist.
pub(super) fn for_writing(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::WRITE_WAIT)?;
    set_up(&connection)?;
    Ok(connection)
}

/// Opens the file for the reader pool. Opened for writing all the same, as a connection that opens
/// a WAL file read-only cannot recover it; `query_only` keeps it from writing rows.
pub(super) fn for_reading(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::VERIFY_WAIT)?;
    set_up(&connection)?;
    pragma(&connection, "query_only", true)?;
    Ok(connection)
}

#[cfg(feature = "test-util")]
pub(super) fn in_memory() -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_in_memory_with_flags(flags).map_err(fault)?;
    set_up(&connection)?;
    Ok(connection)
}

/// A new database beside the file, for a backup.
pub(super) fn for_backup(path: &Path) -> Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::WRITE_WAIT)
}

/// The flags say what SQLite may do; a path is never read as a URI and never followed further.
fn open(path: &Path, access: OpenFlags, wait: Duration) -> Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(wait).map_err(fault)?;
    Ok(connection)
}

/// Looks at the main file alone: takes no lock, creates and changes nothing, reads no WAL.
pub(super) fn look(path: &Path) -> Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            _ => {
                uri.push('%');
                uri.push_str(&data_encoding::HEXUPPER.encode(&[*byte]));
            }
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).map_err(fault)
}

/// What every connection is told before its first statement.
fn set_up(connection: &Connection) -> Result<()> {
    for (config, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
    ] {
        let now = connection.set_db_config(config, value).map_err(fault)?;
        if now != value {
            return Err(Error::new(Reason::Misuse, "SQLite was built without a needed guard"));
        }
    }
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, limits::SQLITE_VALUE_BYTES),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SQLITE_STATEMENT_BYTES),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, limits::SQLITE_TRIGGER_DEPTH),
    ] {
        connection.set_limit(limit, value).map_err(fault)?;
    }
    pragma(connection, "secure_delete", true)?;
    pragma(connection, "cell_size_check", true)?;
    pragma(connection, "mmap_size", 0)?;
    pragma(connection, "synchronous", "FULL")?;
    pragma(connection, "journal_size_limit", limits::WAL_KEPT_BYTES)?;
    connection.set_prepared_statement_cache_capacity(limits::CACHED_STATEMENTS);
    Ok(())
}

/// Puts the file into WAL mode, or says that its place cannot have it.
pub(super) fn use_wal(connection: &Connection) -> Result<()> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(fault)?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    Err(Error::new(Reason::Unsupported, "the file system cannot hold a write-ahead log"))
}

pub(super) fn pragma(
    connection: &Connection,
    name: &'static str,
    value: impl rusqlite::ToSql,
) -> Result<()> {
    // Some pragmas answer with a row and some do not; both are fine.
    match connection.pragma_update_and_check(None, name, value, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(fault(error)),
    }
}

pub(super) fn pragma_value(connection: &Connection, name: &'static str) -> Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(fault)
}
