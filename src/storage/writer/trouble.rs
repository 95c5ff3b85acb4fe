//! Commits that fail as a test wants it. The real ones are injected beneath SQLite.

use std::cell::RefCell;

use rusqlite::{Connection, ffi};

use super::super::fault;
use super::group::run;
use crate::error::{Error, Result};

/// What the next commits of this thread do instead.
pub(crate) type Trouble = fn(&Connection) -> Result<()>;

thread_local! {
    static NEXT: RefCell<Vec<Trouble>> = const { RefCell::new(Vec::new()) };
}

/// The first of them is the next.
pub(crate) fn next(troubles: &[Trouble]) {
    NEXT.with_borrow_mut(|next| *next = troubles.iter().rev().copied().collect());
}

pub(super) fn take() -> Option<Trouble> {
    NEXT.with_borrow_mut(Vec::pop)
}

/// The commit is refused and has not happened.
pub(crate) fn lost(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    Err(broken_disk())
}

/// The commit is refused and has happened.
pub(crate) fn kept(connection: &Connection) -> Result<()> {
    run(connection, "COMMIT")?;
    Err(broken_disk())
}

/// The commit is refused and has happened, and another process has written since.
pub(crate) fn kept_and_followed(connection: &Connection) -> Result<()> {
    run(connection, "COMMIT")?;
    follow(connection);
    Err(broken_disk())
}

/// The commit is refused and has not happened, and another process has written in its place.
pub(crate) fn lost_and_followed(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    follow(connection);
    Err(broken_disk())
}

fn follow(connection: &Connection) {
    let other = Connection::open(connection.path().unwrap()).unwrap();
    other.execute_batch("UPDATE store SET last_group = randomblob(16)").unwrap();
}

/// No room for it.
pub(super) fn full(connection: &Connection) -> Result<()> {
    run(connection, "ROLLBACK")?;
    Err(of_code(ffi::SQLITE_FULL))
}

fn broken_disk() -> Error {
    of_code(ffi::SQLITE_IOERR_FSYNC)
}

fn of_code(code: i32) -> Error {
    fault(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}
