//! SQLite connections: how each kind is opened and configured, and checkpoints of the WAL.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::fault;
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// Opens the file for writing; it must exist.
pub(super) fn for_writing(path: &Path) -> Result<Connection> {
    to_be_checked(path, true)
}

/// As [`for_writing`], for a file that is not checked yet. Closing the connection leaves the WAL as
/// it is, unless the connection `may_checkpoint`.
pub(super) fn to_be_checked(path: &Path, may_checkpoint: bool) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::WRITE_WAIT)?;
    // Before the first read, which fails if the schema is damaged.
    checkpoint_on_close(&connection, may_checkpoint)?;
    set_up(&connection)?;
    // If the system refuses to open a file for writing, SQLite opens it read-only without an
    // error.
    // No test fails without this: the first write of the opening fails with `ReadOnly` as well.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(fault)? {
        return Err(Error::new(ErrorKind::ReadOnly, "the file cannot be opened for writing"));
    }
    Ok(connection)
}

/// As [`for_writing`], for the one writer of a process: it never waits inside SQLite and
/// checkpoints only when asked to.
pub(super) fn for_writer(path: &Path) -> Result<Connection> {
    let connection = for_writing(path)?;
    configure_writer(&connection)?;
    Ok(connection)
}

/// As [`for_writer`], with commits that do not flush the WAL (`synchronous=NORMAL`). Opening it
/// does not wait either.
pub(super) fn for_unsynced_writes(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Duration::ZERO)?;
    set_up(&connection)?;
    configure_writer(&connection)?;
    pragma(&connection, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Configures a connection of [`for_writing`] as [`for_writer`] does. An automatic checkpoint, as
/// part of a commit, would fail without an error.
pub(super) fn configure_writer(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::ZERO).map_err(fault)?;
    pragma(connection, "wal_autocheckpoint", 0)
}

/// Whether closing the last connection checkpoints the WAL. Off until it is known that the file
/// may be changed.
pub(super) fn checkpoint_on_close(connection: &Connection, allowed: bool) -> Result<()> {
    let set = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !allowed);
    set.map(drop).map_err(fault)
}

/// Whether a migration may rebuild tables. Foreign keys are not enforced meanwhile, because
/// dropping the old table would delete rows that reference it; and a table gets the name of the old
/// one although triggers of other tables still name that, as `ALTER TABLE` would refuse otherwise.
pub(super) fn let_tables_be_rebuilt(connection: &Connection, may: bool) -> Result<()> {
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, !may),
        (DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, may),
    ] {
        connection.set_db_config(config, on).map_err(fault)?;
    }
    Ok(())
}

/// Opens the file for the reader pool. The connection is read-write, as a read-only connection
/// cannot recover a WAL file; `query_only` keeps it from writing rows.
pub(super) fn for_reading(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::VERIFY_READ_WAIT)?;
    set_up(&connection)?;
    pragma(&connection, "query_only", true)?;
    Ok(connection)
}

/// Opens a file for one read, and can write nothing.
pub(super) fn read_only(path: &Path, wait: Duration) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, wait)?;
    set_up(&connection)?;
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

/// Opens the new file of a backup.
pub(super) fn for_backup(path: &Path) -> Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits::WRITE_WAIT)
}

/// Opens the copy on which the rules of a restore are applied. Only a killed process leaves it half
/// written, and then it is thrown away: it needs no journal on the disk.
pub(super) fn for_restore(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Duration::ZERO)?;
    set_up(&connection)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1).map_err(fault)?;
    pragma(&connection, "journal_mode", "MEMORY")?;
    Ok(connection)
}

/// Makes the tables of the live file readable on the connection of a restore, as `live`.
pub(super) fn attach_live(restore: &Connection, live: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    // SQLite takes the bytes of a path as they are. Resolved paths do not begin with `file:`.
    let path = rusqlite::types::Value::Blob(live.as_os_str().as_bytes().to_vec());
    restore.execute("ATTACH CAST(?1 AS TEXT) AS live", [path]).map(drop).map_err(fault)
}

/// Gives a file that is in no WAL mode pages of this size.
pub(super) fn use_page_size(connection: &Connection, bytes: i64) -> Result<()> {
    if pragma_value(connection, "page_size")? == bytes {
        return Ok(());
    }
    pragma(connection, "page_size", bytes)?;
    connection.execute_batch("VACUUM").map_err(fault)
}

/// Opens a file so that no other process can use it until the connection is closed, and fails with
/// `Busy` if one has it open. The connection is not set up, and closing it leaves a WAL as it is.
pub(super) fn alone(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, Duration::ZERO)?;
    checkpoint_on_close(&connection, false)?;
    // Before the first read: later, other processes could read beside a connection in WAL mode.
    pragma(&connection, "locking_mode", "EXCLUSIVE")?;
    // Of the header alone: the schema of a WAL that is another file's may not fit.
    pragma_value(&connection, "user_version")?;
    Ok(connection)
}

/// Opens a connection. The path is never read as a URI, and a symbolic link is not followed.
fn open(path: &Path, access: OpenFlags, wait: Duration) -> Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(wait).map_err(fault)?;
    Ok(connection)
}

/// Opens the main file alone for inspection: takes no lock, creates and changes nothing, reads no
/// WAL.
///
/// Only the header can be relied on. In the middle of a checkpoint, also one that was killed, the
/// header may count pages that are still in the WAL only; `WRITABLE_SCHEMA` keeps SQLite from
/// reporting that as damage.
pub(super) fn for_inspection(path: &Path) -> Result<Connection> {
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
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let inspection = Connection::open_with_flags(uri, flags).map_err(fault)?;
    inspection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true).map_err(fault)?;
    Ok(inspection)
}

/// The settings and limits of every connection, set before its first statement on a table.
pub(super) fn set_up(connection: &Connection) -> Result<()> {
    for (config, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
        // Without it a query plan may depend on a bound value, and SQLite then compiles a cached
        // statement again at each use: a verify took eight times as long.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        let now = connection.set_db_config(config, value).map_err(fault)?;
        // No test fails without this: no SQLite that a supported rusqlite bundles lacks a setting.
        if now != value {
            return Err(Error::new(
                ErrorKind::Misuse,
                "the SQLite in this program was built without a limit or setting that Gatepost \
                 needs",
            ));
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
    // Temporary data of savepoints and sorts needs no file that a full disk could refuse.
    pragma(connection, "temp_store", "MEMORY")?;
    pragma(connection, "synchronous", "FULL")?;
    pragma(connection, "journal_size_limit", limits::WAL_KEPT_BYTES)?;
    connection.set_prepared_statement_cache_capacity(limits::CACHED_STATEMENTS);
    Ok(())
}

/// Puts the file into WAL mode.
///
/// # Errors
/// `Unsupported` if the file system does not allow it.
pub(super) fn use_wal(connection: &Connection) -> Result<()> {
    let waiting = Stopwatch::start();
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(fault) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "the file system cannot carry a write-ahead log",
                ));
            }
            // The pragma fails at once while another process writes, for example one that creates
            // the same file. BEGIN EXCLUSIVE waits for that process.
            Err(error)
                if error.kind() == ErrorKind::Busy && waiting.elapsed() < limits::WRITE_WAIT =>
            {
                let free = connection.execute_batch("BEGIN EXCLUSIVE; ROLLBACK");
                free.map_err(|error| fault(error).waited(waiting.elapsed()))?;
            }
            Err(error) => return Err(error.waited(waiting.elapsed())),
        }
    }
}

/// Takes a copy of a WAL file out of WAL mode, so that it is a single file.
pub(super) fn use_rollback_journal(connection: &Connection) -> Result<()> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(fault)?;
    if mode.eq_ignore_ascii_case("delete") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Io, "a backup could not be taken out of its write-ahead log"))
}

/// Takes and releases the write lock, which needs the shared memory of the WAL.
///
/// # Errors
/// `Unsupported` if the file system has no locks or no shared memory.
pub(super) fn try_locks(connection: &Connection) -> Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(|error| {
        let error = fault(error);
        if error.kind() != ErrorKind::Io {
            return error;
        }
        Error::new(ErrorKind::Unsupported, "the file system offers no locks or no shared memory")
    })
}

/// The mode of a checkpoint, as SQLite defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// Moves the pages that no reader needs any more; waits for no reader or writer.
    Passive,
    /// Moves all pages and waits until no reader needs the WAL: the next commit begins it again
    /// from its start. No other connection can write meanwhile.
    Restart,
    /// As `Restart`, and truncates the WAL to zero bytes.
    Truncate,
}

/// Checkpoints the WAL: moves its pages into the main file.
///
/// # Errors
/// `Busy` if readers or writers kept a `Restart` or `Truncate` from completing within `wait`.
pub(super) fn checkpoint(connection: &Connection, how: Checkpoint, wait: Duration) -> Result<()> {
    let sql = match how {
        Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
        Checkpoint::Restart => "PRAGMA wal_checkpoint(RESTART)",
        Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.busy_timeout(wait).map_err(fault)?;
    let blocked = connection.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(fault);
    connection.busy_timeout(Duration::ZERO).map_err(fault)?;
    if blocked? && how != Checkpoint::Passive {
        return Err(Error::new(
            ErrorKind::Busy,
            "readers keep the write-ahead log from being reset",
        ));
    }
    Ok(())
}

/// Whether the next commit appends to the WAL. After a complete checkpoint it begins the WAL again
/// and flushes the new header, with `synchronous=NORMAL` too.
///
/// Asks another connection than the one that commits, which has begun its transaction already: the
/// answer then stays true, as the commit appends if its transaction began before the checkpoint was
/// complete.
pub(super) fn wal_goes_on(connection: &Connection) -> Result<bool> {
    let counts = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    counts.map(|(frames, moved)| moved < frames).map_err(fault)
}

pub(super) fn pragma(
    connection: &Connection,
    name: &'static str,
    value: impl rusqlite::ToSql,
) -> Result<()> {
    // Some pragmas return a row and some do not.
    match connection.pragma_update_and_check(None, name, value, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(fault(error)),
    }
}

pub(super) fn pragma_value(connection: &Connection, name: &'static str) -> Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(fault)
}

/// Measures how long a call has waited, for error messages and bounds. Rules of the domain use the
/// clock of the store instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "elapsed time, which no rule of the domain depends on"
    )]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The rest of a wait that began with this stopwatch.
    pub(super) fn left_of(self, wait: Duration) -> Duration {
        wait.saturating_sub(self.elapsed())
    }
}

/// Sleeps, where another process is waited for: SQLite gives no signal when a lock is released.
#[expect(
    clippy::disallowed_methods,
    reason = "polling: no signal comes when another process releases a lock"
)]
pub(super) fn pause(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

#[cfg(test)]
mod tests;
