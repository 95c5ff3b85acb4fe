//! `gatepost audit` and `stats`, and what each command leaves in the log.

use gatepost::{DeviceId, LoginRequest, Password};
use serde_json::json;

use crate::world::World;

#[test]
fn each_write_names_the_command_the_system_user_and_the_actor() {
    let world = World::new();
    world.ok(&["user", "add", "root", "--no-password"]);
    world.ok(&["user", "add", "ada", "--no-password"]);
    world.ok(&["--as", "root", "user", "lock", "ada"]);
    let rows = world.rows(&["audit", "tail", "-n", "2"]);
    let root = world.row(&["user", "show", "root"])["id"].clone();
    assert_eq!(rows[0]["event"], "user.locked");
    assert_eq!(rows[1]["event"], "command.user.lock");
    for row in &rows {
        assert_eq!(row["actor"], json!({ "user": root }));
    }
    let agent = rows[1]["client_info"]["user_agent"].as_str().unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert!(
        agent.starts_with("gatepost ") && agent.ends_with(&format!("user id {uid}")),
        "{agent}"
    );
    world.refused(&["--as", "nemo", "user", "unlock", "ada"], 3, "there is no user nemo");
}

#[test]
fn a_command_that_reads_writes_no_row() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    let before = world.ok(&["audit", "head"]);
    let commands: [&[&str]; 8] = [
        &["user", "list"],
        &["user", "show", "ada"],
        &["user", "privileges", "ada"],
        &["session", "list"],
        &["audit", "verify"],
        &["stats"],
        &["doctor"],
        &["config", "list"],
    ];
    for words in commands {
        world.ok(words);
    }
    assert_eq!(world.ok(&["audit", "head"]), before);
}

#[test]
fn the_last_failed_logins_are_listed_newest_first() {
    let world = World::new();
    world.person("ada");
    let guess = |password: &str| {
        let device = DeviceId::random().unwrap();
        let request = LoginRequest::new("ada", Password::from(password), device);
        assert!(world.store().log_in(request).unwrap().granted().is_err());
    };
    guess("one guess of it");
    guess("another guess");
    let rows = world.rows(&["audit", "tail", "--event", "login.refused", "--rows", "10"]);
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["seq"].as_i64() > rows[1]["seq"].as_i64());
    assert_eq!(world.run(&["audit", "tail", "--event", "login.refusd"]).code, 2);
}

#[test]
fn filters_select_rows_by_user_time_and_source() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    let all = world.rows(&["audit", "list"]);
    assert_eq!(world.rows(&["audit", "list", "--user", "ada"]).len(), 1);
    assert_eq!(world.rows(&["audit", "list", "--limit", "2"]), all[..2]);
    let at = all[2]["at"].as_str().unwrap();
    let since = world.rows(&["audit", "list", "--since", at]).len();
    let before = world.rows(&["audit", "list", "--before", at]).len();
    assert_eq!(since + before, all.len());
    assert!(since > 0 && before > 0);
    let host = world.rows(&["audit", "list", "--from-host"]).len();
    assert_eq!(host + world.rows(&["audit", "list", "--from-library"]).len(), all.len());
    // Without --json as well.
    let exported = world.ok(&["audit", "export"]);
    let exported: Vec<serde_json::Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, all);
}

#[test]
fn a_log_that_was_cut_off_does_not_continue_its_anchor() {
    let world = World::new();
    let copy = |from: &str, to: &str| {
        std::fs::copy(world.directory().join(from), world.directory().join(to)).unwrap();
    };
    copy("auth.db", "before.db");
    world.ok(&["user", "add", "ada", "--no-password"]);
    let anchor = world.ok(&["audit", "head"]);
    let verify = |words: &[&str]| {
        let words = [&["audit", "verify", "--anchor-stdin", "--json"], words].concat();
        let ran = world.run_with(&words, &anchor);
        let row: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        (ran.code, row["result"].as_str().unwrap().to_owned())
    };
    assert_eq!(verify(&[]), (0, "intact".to_owned()));
    assert_eq!(verify(&["--file", "before.db"]), (1, "broken".to_owned()));
    let wrong = world.run_with(&["audit", "verify", "--anchor-stdin"], "1:ab\n");
    assert_eq!(wrong.code, 5, "{wrong:?}");
}

#[test]
fn the_numbers_of_a_store_are_those_of_its_rows() {
    let world = World::new();
    world.person("ada");
    world.ok(&["user", "add", "bob", "--no-password"]);
    world.ok(&["user", "lock", "bob"]);
    let request = LoginRequest::new(
        "ada",
        Password::from(crate::world::PASSWORD),
        DeviceId::random().unwrap(),
    );
    world.store().log_in(request).unwrap().granted().unwrap();

    let stats = world.row(&["stats"]);
    let counted = ["users_active", "users_locked", "users_disabled", "sessions", "branches"];
    assert_eq!(counted.map(|name| stats[name].as_u64().unwrap()), [1, 1, 0, 1, 0]);
    assert_eq!(stats["audit_rows"].as_u64(), Some(world.rows(&["audit", "list"]).len() as u64));
    assert!(stats["file_bytes"].as_u64() > Some(100_000));

    let page = world.ok(&["stats", "--metrics"]);
    assert!(page.contains("gatepost_users{status=\"locked\"} 1\n"), "{page}");
    assert!(page.contains("gatepost_sessions 1\n"), "{page}");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("gatepost_") && value.parse::<u64>().is_ok(), "{line}");
    }
}

#[test]
fn a_sweep_reports_what_it_removed_and_records_nothing_if_that_is_nothing() {
    let world = World::new();
    let before = world.ok(&["audit", "head"]);
    let nothing = json!({
        "sessions": 0,
        "api_keys": 0,
        "one_time_tokens": 0,
        "enrolments": 0,
        "pending_steps": 0,
        "audit_rows": 0,
    });
    assert_eq!(world.row(&["sweep"]), nothing);
    assert_eq!(world.ok(&["audit", "head"]), before);
}

#[test]
fn a_sealed_head_is_believed_with_its_key_alone() {
    let world = World::new();
    world.ok(&["key-file", "create", "a.key", "a"]);
    world.ok(&["key-file", "create", "b.key", "b"]);
    let sealed = world.ok(&["audit", "head", "--sealed", "--key-file", "a.key"]);
    let verify = |key: &[&str], head: &str| {
        let words = [&["audit", "verify", "--anchor-stdin", "--sealed"], key].concat();
        world.run_with(&words, head).code
    };
    assert_eq!(verify(&["--key-file", "a.key"], &sealed), 0);
    assert_eq!(verify(&["--key-file", "b.key"], &sealed), 6);
    assert_eq!(verify(&[], &sealed), 6);
    let plain = world.ok(&["audit", "head"]);
    assert_eq!(verify(&["--key-file", "a.key"], &plain), 5);
    assert_eq!(world.run(&["audit", "head", "--sealed"]).code, 6);
}

#[test]
fn an_export_goes_on_where_the_last_one_ended() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    let all = world.ok(&["audit", "export"]);
    let rows: Vec<serde_json::Value> =
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = rows[rows.len() - 2]["seq"].to_string();
    let rest = world.ok(&["audit", "export", "--after", &last]);
    assert_eq!(
        rest.lines().collect::<Vec<_>>(),
        all.lines().skip(rows.len() - 1).collect::<Vec<_>>()
    );
}

#[test]
fn a_consumer_receives_rows_until_it_acknowledges_them() {
    let world = World::new();
    world.ok(&["audit", "consumer", "add", "mailer"]);
    world.ok(&["user", "add", "ada", "--no-password"]);
    let first = world.row(&["audit", "consumer", "unseen", "mailer"]);
    assert_eq!(world.row(&["audit", "consumer", "unseen", "mailer"]), first);
    assert_eq!(first["entries"].as_array().unwrap().last().unwrap()["event"], "user.created");
    assert_eq!(first["missed"], serde_json::Value::Null);
    let up_to = first["up_to"].to_string();
    world.ok(&["audit", "consumer", "acknowledge", "mailer", &up_to]);
    let rest = world.row(&["audit", "consumer", "unseen", "mailer"]);
    assert_eq!(rest["entries"].as_array().unwrap().len(), 0);
    assert_eq!(world.rows(&["audit", "consumer", "list"])[0]["behind"], 0);
    world.ok(&["audit", "consumer", "remove", "mailer"]);
    assert_eq!(world.run(&["audit", "consumer", "unseen", "mailer"]).code, 3);
}
