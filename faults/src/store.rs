//! What every bench does with a store.

use std::path::Path;
use std::sync::Arc;

use gatepost::{DeviceId, ManualClock, Options, SeededRandom, SessionPolicy, Store};
use rusqlite::{Connection, OpenFlags};

/// A password that every policy lets pass.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// For tests, with a clock that stands still and random numbers that a seed repeats.
pub(crate) fn options(seed: u64) -> Options {
    Options::for_tests()
        .clock(Arc::new(ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap())))
        .random_source(Arc::new(SeededRandom::new(seed)))
        .sessions(SessionPolicy::server().per_user(10_000))
        .hashing(2, 64)
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// Whether a token passes, with its device or without; the store must be able to tell.
pub(crate) fn passes(store: &Store, token: &str, on: Option<&str>) -> bool {
    let on = on.map(device);
    store.verify(token, on.as_ref()).unwrap().valid().is_ok()
}

/// The file agrees with itself: its pages, its references, its log (I8).
pub(crate) fn is_whole(store: &Store, path: &Path) {
    let sql = sql(path);
    let check: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let broken: Option<String> = sql
        .query_row("SELECT max(\"table\") FROM pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(broken, None, "a row that points at nothing");
    assert!(store.audit().verify_chain(None).unwrap().is_intact(), "the chain of the log");
}

/// A connection of plain SQL to a file that a store of this process has open.
pub(crate) fn sql(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

pub(crate) fn number(sql: &Connection, statement: &str) -> i64 {
    sql.query_row(statement, [], |row| row.get(0)).unwrap()
}
