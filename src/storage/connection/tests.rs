//! How each kind of connection is set up, and what it waits for.

use super::*;

#[track_caller]
fn check(connection: &Connection, pragma: &'static str, expect: i64) {
    assert_eq!(pragma_value(connection, pragma).unwrap(), expect, "{pragma}");
}

#[track_caller]
fn check_set_up(connection: &Connection) {
    for (pragma, expect) in [
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("mmap_size", 0),
        ("temp_store", 2),
        ("secure_delete", 1),
        ("journal_size_limit", limits::WAL_KEPT_BYTES),
        ("recursive_triggers", 0),
        ("writable_schema", 0),
        ("ignore_check_constraints", 0),
    ] {
        check(connection, pragma, expect);
    }
    for on in [
        DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
    ] {
        assert!(connection.db_config(on).unwrap(), "{on:?}");
    }
    for off in [
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
        DbConfig::SQLITE_DBCONFIG_DQS_DDL,
        DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
    ] {
        assert!(!connection.db_config(off).unwrap(), "{off:?}");
    }
    assert_eq!(connection.limit(Limit::SQLITE_LIMIT_ATTACHED).unwrap(), 0);
}

#[test]
fn each_connection_is_set_up_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("auth.db");
    assert!(super::super::guard::create(&path).unwrap());
    let writer = for_writing(&path).unwrap();
    use_wal(&writer).unwrap();
    check_set_up(&writer);
    check(&writer, "busy_timeout", 5_000);
    check(&writer, "query_only", 0);
    let mode: String = writer.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");

    let unsynced = for_unsynced_writes(&path).unwrap();
    check(&unsynced, "synchronous", 1);
    check(&unsynced, "busy_timeout", 0);
    check(&unsynced, "wal_autocheckpoint", 0);
    pragma(&unsynced, "synchronous", "FULL").unwrap();
    check_set_up(&unsynced);

    let reader = for_reading(&path).unwrap();
    check_set_up(&reader);
    check(&reader, "busy_timeout", 30);
    check(&reader, "query_only", 1);
    let refused = reader.execute_batch("CREATE TABLE t (a)").map_err(fault).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
}

/// SQLite fails this pragma with SQLITE_BUSY at once while another connection writes.
#[test]
fn entering_wal_mode_waits_for_another_writer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("auth.db");
    assert!(super::super::guard::create(&path).unwrap());
    let one = for_writing(&path).unwrap();
    let other = for_writing(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; CREATE TABLE t (a)").unwrap();
    let waiting = Stopwatch::start();
    let refused = one.pragma_update(None, "journal_mode", "WAL").map_err(fault);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
    assert!(waiting.elapsed() < limits::WRITE_WAIT);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
                     WHERE i < 300000) SELECT max(i) FROM n; COMMIT";
            other.execute_batch(long).unwrap();
            drop(other);
        });
        use_wal(&one).unwrap();
    });
}

#[test]
fn a_lock_that_another_connection_has_is_no_lack_of_locks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("auth.db");
    assert!(super::super::guard::create(&path).unwrap());
    let (one, other) = (for_writer(&path).unwrap(), for_writer(&path).unwrap());
    try_locks(&one).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(try_locks(&one).unwrap_err().kind(), ErrorKind::Busy);
}

#[test]
fn an_inspection_creates_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("a %?#b.db");
    assert!(super::super::guard::create(&path).unwrap());
    let writer = for_writing(&path).unwrap();
    use_wal(&writer).unwrap();
    pragma(&writer, "application_id", 7).unwrap();
    drop(writer);
    let inspection = for_inspection(&path).unwrap();
    check(&inspection, "application_id", 7);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(inspection.execute_batch("CREATE TABLE t (a)").is_err());
}
