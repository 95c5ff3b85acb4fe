//! `gatepost doctor`: each finding, and silence on a healthy and busy store.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::Arc;
use std::time::Duration;

use gatepost::host::{Clock, SystemClock};
use gatepost::{NewUser, Options, Store, Timestamp};
use serde_json::Value;

use crate::busy::Busy;
use crate::world::World;

/// The exit code, and the check and the severity of each finding.
#[track_caller]
fn examine(world: &World, words: &[&str]) -> (i32, Vec<(String, String)>) {
    let ran = world.run(&[&["doctor", "--json"], words].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.map(|one| {
        assert!(!text(&one["what"]).is_empty() && !text(&one["advice"]).is_empty(), "{one}");
        (text(&one["check"]), text(&one["severity"]))
    });
    (ran.code, findings.collect())
}

fn set_mode(world: &World, name: &str, mode: u32) {
    fs::set_permissions(world.directory().join(name), Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn check(world: &World, code: i32, expect: &[(&str, &str)]) {
    let expect: Vec<_> = expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(examine(world, &[]), (code, expect));
}

#[test]
fn a_healthy_store_that_another_process_keeps_busy_has_no_finding() {
    let world = World::new();
    let busy = Busy::start(&world);
    for _ in 0..5 {
        check(&world, 0, &[]);
        assert_eq!(examine(&world, &["--quick"]), (0, Vec::new()));
    }
    busy.end();
}

#[test]
fn a_file_that_others_could_read_is_a_warning_once() {
    let world = World::new();
    set_mode(&world, "auth.db", 0o640);
    check(&world, 10, &[("permissions", "warning")]);
    check(&world, 0, &[]);
}

#[test]
fn a_directory_that_the_group_can_write_is_a_warning() {
    let world = World::new();
    set_mode(&world, "", 0o770);
    check(&world, 10, &[("opening", "warning")]);
}

#[test]
fn a_view_that_another_program_added_is_a_warning() {
    let world = World::new();
    world.sql().execute_batch("CREATE VIEW names AS SELECT username FROM user").unwrap();
    check(&world, 10, &[("opening", "warning")]);
}

/// A connection that reads an old state of the file, and so keeps the log as it is.
fn reader(world: &World) -> rusqlite::Connection {
    let reader = world.sql();
    let organisations = || -> i64 {
        reader.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(organisations(), 0);
    world.ok(&["organisation", "add", "Northern"]);
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(organisations(), 1);
    reader
}

#[test]
fn a_log_that_others_can_read_is_a_warning() {
    let world = World::new();
    let _reader = reader(&world);
    set_mode(&world, "auth.db-wal", 0o640);
    set_mode(&world, "auth.db-shm", 0o604);
    check(&world, 10, &[("permissions", "warning"), ("permissions", "warning")]);
}

#[test]
fn a_log_of_another_user_is_an_error() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root gives a file away");
        return;
    }
    let world = World::new();
    let _reader = reader(&world);
    chown(world.directory().join("auth.db-wal"), Some(4_711), None).unwrap();
    check(&world, 11, &[("owner", "error")]);
}

#[test]
fn a_log_that_a_reader_keeps_long_is_a_warning() {
    let world = World::new();
    let _reader = reader(&world);
    // As long as after 16 MiB of writes: SQLite reads a log up to its last whole commit.
    let log = fs::OpenOptions::new().write(true).open(world.directory().join("auth.db-wal"));
    log.unwrap().set_len(17 * 1_048_576).unwrap();
    check(&world, 10, &[("log", "warning")]);
}

#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock::default().now() + Duration::from_secs(3_600)
    }
}

#[test]
fn a_clock_that_went_back_is_a_warning() {
    let world = World::new();
    let options = Options::server().clock(Arc::new(Ahead));
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    store.users().create(NewUser::person("ada")).unwrap();
    drop(store);
    check(&world, 10, &[("clock", "warning")]);
}

#[test]
fn a_file_that_does_not_open_is_an_error() {
    let world = World::empty();
    check(&world, 11, &[("opening", "error")]);
    fs::write(world.directory().join("auth.db"), "a text, and no database").unwrap();
    set_mode(&world, "auth.db", 0o600);
    check(&world, 11, &[("opening", "error")]);
    set_mode(&world, "", 0o777);
    check(&world, 11, &[("opening", "error")]);
}

#[test]
fn a_damaged_file_is_an_error() {
    let world = World::new();
    let path = world.directory().join("auth.db");
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes.truncate(half);
    fs::write(&path, bytes).unwrap();
    check(&world, 11, &[("opening", "error")]);
}

#[test]
fn a_row_of_the_log_that_was_changed_is_an_error() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern-7f3a"]);
    // The name is in the file twice: in its row, and in the detail of the audit log.
    let path = world.directory().join("auth.db");
    let mut bytes = fs::read(&path).unwrap();
    let mut changed = 0;
    for at in 0..bytes.len() - 17 {
        if bytes[at..].starts_with(b"organisation.created") {
            bytes[at + 17..at + 20].copy_from_slice(b"xyz");
            changed += 1;
        }
    }
    assert!(changed > 0);
    fs::write(&path, bytes).unwrap();
    let (code, findings) = examine(&world, &[]);
    assert_eq!(code, 11);
    assert!(findings.iter().all(|(_, severity)| severity == "error"), "{findings:?}");
    assert!(!findings.is_empty());
}

#[test]
fn the_table_for_people_has_the_same_findings() {
    let world = World::new();
    set_mode(&world, "auth.db", 0o644);
    let ran = world.run(&["doctor"]);
    assert_eq!(ran.code, 10);
    assert!(ran.out.contains("permissions") && ran.out.contains("644"), "{ran:?}");
    assert!(ran.err.starts_with("1 findings in "), "{ran:?}");
}
