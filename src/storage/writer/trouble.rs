//! Commits that fail as a test asks. Real failures are injected below SQLite, in the fault bench.

use std::cell::RefCell;

use rusqlite::{Connection, ffi};

use super::super::fault;
use super::group::run;
use crate::error::{Error, Result};

/// What a commit does instead.
pub(crate) type Trouble = fn(&Connection) -> Result<()>;

thread_local! {
    static NEXT: RefCell<Vec<Trouble>> = const { RefCell::new(Vec::new()) };
}

/// Sets what the next commits of this thread do, in this order.
pub(crate) fn next(troubles: &[Trouble]) {
    NEXT.with_borrow_mut(|next| *next = troubles.iter().rev().copied().collect());
}

pub(super) fn take() -> Option<Trouble> {
    NEXT.with_borrow_mut(Vec::pop)
}

/// The commit fails and was not applied.
pub(crate) fn lost(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    Err(broken_disk())
}

/// The commit fails and was applied.
pub(crate) fn kept(connection: &Connection) -> Result<()> {
    run(connection, "COMMIT")?;
    Err(broken_disk())
}

/// The commit fails and was applied, and another process has written since.
pub(crate) fn kept_and_followed(connection: &Connection) -> Result<()> {
    run(connection, "COMMIT")?;
    follow(connection);
    Err(broken_disk())
}

/// The commit fails and was not applied, and another process has written since.
pub(crate) fn lost_and_followed(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    follow(connection);
    Err(broken_disk())
}

fn follow(connection: &Connection) {
    let other = Connection::open(connection.path().unwrap()).unwrap();
    other.execute_batch("UPDATE store SET last_group = randomblob(16)").unwrap();
}

/// The commit fails because the disk is full.
pub(super) fn full(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    Err(of_code(ffi::SQLITE_FULL))
}

/// The commit fails because memory is short, and was not applied.
pub(crate) fn no_memory(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    Err(of_code(ffi::SQLITE_NOMEM))
}

fn broken_disk() -> Error {
    of_code(ffi::SQLITE_IOERR_FSYNC)
}

fn of_code(code: i32) -> Error {
    fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}
