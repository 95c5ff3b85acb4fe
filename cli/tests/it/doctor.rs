//! `gatepost doctor`: each finding, and silence on a healthy and busy store.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::Arc;
use std::time::Duration;

use gatepost::host::{Clock, SystemClock};
use gatepost::policy::Cost;
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::{NewUser, Options, Store, Timestamp};
use serde_json::Value;

use crate::busy::Busy;
use crate::world::{World, skipped};

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
        skipped("only root gives a file away");
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
fn a_factor_whose_codes_all_count_as_used_is_a_warning_that_names_its_user() {
    let world = World::new();
    let options = Options::server().dangerous().allow_unsealed_totp_secrets();
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let secret = TotpSecret::new(vec![7; 20]).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    store.close().unwrap();
    check(&world, 0, &[]);
    world.sql().execute("UPDATE totp SET last_step = last_step + 120", []).unwrap();
    check(&world, 10, &[("clock", "warning")]);
    let out = world.run(&["doctor"]).out;
    assert!(out.contains("counts as used, of ada"), "{out}");
    world.ok(&["factor", "reset", "ada", "--yes"]);
    check(&world, 0, &[]);
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

#[test]
fn a_broken_constraint_is_an_error() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    let broken = "PRAGMA ignore_check_constraints = ON; UPDATE organisation SET active = 7";
    world.sql().execute_batch(broken).unwrap();
    let (code, findings) = examine(&world, &["--quick"]);
    assert_eq!((code, findings.len()), (0, 0));
    let (code, findings) = examine(&world, &[]);
    assert_eq!(code, 11);
    assert!(findings.contains(&("integrity".to_owned(), "error".to_owned())), "{findings:?}");
}

#[test]
fn a_row_that_refers_to_nothing_is_an_error() {
    let world = World::new();
    world.ok(&["branch", "add", "York"]);
    world.ok(&["user", "add", "ada", "--branch", "York", "--no-password"]);
    world.sql().execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM branch").unwrap();
    check(&world, 11, &[("references", "error")]);
}

#[test]
fn hashes_below_the_policy_are_a_warning_and_those_above_it_a_note() {
    let world = World::new();
    world.person("ada");
    let set = |cost: Cost| world.store().change_options(|options| options.cost(cost)).unwrap();
    set(Cost::new(32_768, 2, 1).unwrap());
    check(&world, 10, &[("hashes", "warning")]);
    world.person("ben");
    check(&world, 10, &[("hashes", "warning")]);
    set(Cost::recommended());
    check(&world, 0, &[("hashes", "note")]);
}

#[test]
fn a_second_factor_that_no_program_can_enrol_is_a_warning() {
    let world = World::new();
    world.person("ada");
    world.ok(&["factor", "policy", "all"]);
    check(&world, 10, &[("options", "warning")]);
    world.ok(&["key-file", "create", "a.key", "a"]);
    let key = ["--key-file", "a.key"];
    world.ok(&[&["rekey", "--yes"], &key[..]].concat());
    assert_eq!(examine(&world, &key), (0, vec![("options".to_owned(), "note".to_owned())]));
}

/// Once it was the warning that the file has no key.
#[test]
fn keys_that_cannot_be_read_are_an_error() {
    let world = World::new();
    world.person("ada");
    world.ok(&["factor", "policy", "all"]);
    let renamed = "UPDATE credential SET phc = cost || '$sealed1$NO ID$AAAA'";
    world.sql().execute_batch(renamed).unwrap();
    check(&world, 11, &[("options", "error"), ("sealing", "error")]);
}

#[test]
fn a_file_for_tests_is_an_error() {
    let world = World::new();
    world.update_without_triggers("store", "UPDATE store SET for_tests = 1");
    check(&world, 11, &[("options", "error")]);
}

#[test]
fn a_change_log_that_nothing_trims_is_a_warning() {
    let world = World::new();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 100000)
        INSERT INTO change (kind) SELECT 0 FROM n";
    world.sql().execute_batch(fill).unwrap();
    check(&world, 10, &[("change_log", "warning")]);
}

#[test]
fn expired_sessions_that_no_one_deletes_are_a_warning() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000)
        INSERT INTO session (id, secret_hash, user_id, opened_seq, opened_at, authenticated_at,
            expires_at, lifetime_ms, aal, last_seen)
        SELECT randomblob(16), randomblob(32), (SELECT id FROM user), 1, 1, 1, 2, 1, 1, 1 FROM n";
    world.sql().execute_batch(fill).unwrap();
    world.update_without_triggers("store", "UPDATE store SET believed_at = 3");
    check(&world, 10, &[("sweeps", "warning")]);
    world.ok(&["sweep"]);
    check(&world, 0, &[]);
}

fn mode(world: &World, name: &str) -> u32 {
    fs::metadata(world.directory().join(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn wide_modes_are_narrowed_with_fix_and_named() {
    let world = World::new();
    world.ok(&["key-file", "create", "a.key", "a"]);
    let widen = [("", 0o777), ("auth.db", 0o644), ("a.key", 0o640)];
    for (name, wide) in widen {
        set_mode(&world, name, wide);
    }
    let words = ["--key-file", "a.key"];
    // The key file is refused first; and the directory would be.
    assert_eq!(examine(&world, &words).0, 11);
    assert_eq!(mode(&world, ""), 0o777);
    let warning = ("permissions".to_owned(), "warning".to_owned());
    let fixed = examine(&world, &[&words[..], &["--fix"]].concat());
    assert_eq!(fixed, (10, vec![warning; 3]));
    assert_eq!(
        [mode(&world, ""), mode(&world, "auth.db"), mode(&world, "a.key")],
        [0o755, 0o600, 0o600]
    );
    assert_eq!(examine(&world, &[&words[..], &["--fix"]].concat()), (0, Vec::new()));
}

/// Once the modes of such a file were changed, and the refusal did not say so.
#[test]
fn nothing_of_another_user_is_changed() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root gives a file away");
        return;
    }
    let world = World::new();
    world.ok(&["key-file", "create", "a.key", "a"]);
    chown(world.directory().join("auth.db"), Some(4_711), None).unwrap();
    let wide = [("", 0o775), ("auth.db", 0o640), ("a.key", 0o640)];
    for (name, mode) in wide {
        set_mode(&world, name, mode);
    }
    world.refused(&["doctor", "--fix", "--key-file", "a.key"], 6, "the user with the id 4711");
    assert_eq!(wide.map(|(name, _)| mode(&world, name)), wide.map(|(_, mode)| mode));
}

/// Once the command was refused for the key, and did not say what it had changed before.
#[test]
fn what_fix_changed_is_reported_also_if_the_key_is_another() {
    let world = crate::factors::sealed();
    world.ok(&["key-file", "create", "b.key", "a"]);
    set_mode(&world, "auth.db", 0o640);
    set_mode(&world, "b.key", 0o640);
    let (code, findings) = examine(&world, &["--fix", "--key-file", "b.key"]);
    let checks: Vec<&str> = findings.iter().map(|(check, _)| check.as_str()).collect();
    assert_eq!((code, checks), (11, vec!["permissions", "permissions", "opening"]));
}

#[test]
fn a_directory_for_all_users_is_not_changed() {
    let world = World::new();
    set_mode(&world, "", 0o1777);
    let (code, findings) = examine(&world, &["--fix"]);
    assert_eq!(code, 11);
    assert_eq!(findings[0], ("permissions".to_owned(), "error".to_owned()));
    assert_eq!(mode(&world, ""), 0o1777);
    set_mode(&world, "", 0o700);
}

#[test]
fn a_quick_probe_prints_how_long_it_took() {
    let world = World::new();
    let ran = world.run(&["doctor", "--quick"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.starts_with("0 findings in ") && ran.err.ends_with(" ms\n"), "{ran:?}");
    let report = world.row(&["doctor", "--quick"]);
    assert!(report["took_ms"].as_u64().unwrap() < 5_000, "{report}");
}
