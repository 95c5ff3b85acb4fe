//! `gatepost user`.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use gatepost::policy::BreachCheck;
use gatepost::{DeviceId, LoginRefusal, LoginRequest, Options, Password, Store};
use serde_json::json;

use crate::busy::Busy;
use crate::world::{PASSWORD, World};

const OTHER: &str = "seven geese at noon";

/// What a login with that password comes to; `None` if it is granted.
#[track_caller]
fn refusal(world: &World, name: &str, password: &str) -> Option<LoginRefusal> {
    let device = DeviceId::random().unwrap();
    let request = LoginRequest::new(name, Password::from(password), device);
    world.store().log_in(request).unwrap().granted().err()
}

fn id(world: &World, name: &str) -> String {
    let found = world.store().users().find_by_username(name).unwrap();
    found.unwrap().id.to_string()
}

#[test]
fn a_user_is_created_shown_and_changed_while_another_process_logs_in() {
    let world = World::new();
    let busy = Busy::start(&world);
    world.person("ada");
    world.ok(&["branch", "add", "York"]);

    world.ok(&["user", "update", "ada", "--first-name", "Ada", "--description", "first of all"]);
    world.ok(&["user", "email", "ada", "ada@example.com"]);
    world.ok(&["user", "move", "ada", "--branch", "York"]);
    let york = world.row(&["branch", "show", "York"])["id"].clone();
    let ada = world.row(&["user", "show", "ada"]);
    assert_eq!(ada["first_name"], "Ada");
    assert_eq!(ada["email"], "ada@example.com");
    assert_eq!(ada["branch"], york);
    assert_eq!((&ada["status"], &ada["kind"]), (&json!("active"), &json!("person")));
    let created = ada["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");
    assert_eq!(refusal(&world, "ada", PASSWORD), None);

    // By the id as well, which stays when the name changes.
    let id = ada["id"].as_str().unwrap();
    world.ok(&["user", "rename", "ada", "augusta"]);
    assert_eq!(world.row(&["user", "show", id])["username"], "augusta");
    world.ok(&["user", "email", "augusta", "--remove"]);
    world.ok(&["user", "move", "augusta", "--no-branch"]);
    let bare = world.row(&["user", "show", "augusta"]);
    assert_eq!((&bare["email"], &bare["branch"]), (&json!(null), &json!(null)));
    busy.end();
}

#[test]
fn a_list_has_the_users_that_its_filters_select() {
    let world = World::new();
    for name in ["ada", "bob", "cleo"] {
        world.ok(&["user", "add", name, "--no-password", "--privilege", &format!("{name}.read")]);
    }
    world.ok(&["user", "add", "importer", "--system"]);
    world.ok(&["user", "lock", "bob"]);
    world.ok(&["user", "delete", "cleo", "--yes"]);
    let check = |filter: &[&str], expect: &[&str]| {
        let rows = world.rows(&[&["user", "list"], filter].concat());
        let names: Vec<&str> = rows.iter().map(|row| row["username"].as_str().unwrap()).collect();
        assert_eq!(names, expect, "{filter:?}");
    };
    check(&[], &["ada", "bob", "importer"]);
    check(&["--status", "locked"], &["bob"]);
    check(&["--kind", "system"], &["importer"]);
    check(&["--privilege", "ada.read"], &["ada"]);
    check(&["--text", "BO"], &["bob"]);
    check(&["--deleted"], &["cleo"]);
    check(&["--limit", "2"], &["ada", "bob"]);
    assert_eq!(world.run(&["user", "list", "--status", "gone"]).code, 2);
}

#[test]
fn a_table_has_a_line_of_names_and_a_line_for_each_row() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password", "--privilege", "a", "--privilege", "b"]);
    let table = world.ok(&["user", "list"]);
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert_eq!(lines[0][..3], ["ID", "USERNAME", "EMAIL"]);
    assert_eq!(lines[1][1..], ["ada", "-", "-", "active", "person", "a,b", "-"]);
}

#[test]
fn a_new_password_revokes_the_sessions_and_is_never_an_argument() {
    let world = World::new();
    world.person("ada");
    assert_eq!(refusal(&world, "ada", PASSWORD), None);
    assert_eq!(world.rows(&["session", "list", "--user", "ada"]).len(), 1);

    let ran = world.run_with(&["user", "set-password", "ada", "--password-stdin"], OTHER);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.out.contains(OTHER) && !ran.err.contains(OTHER));
    assert!(world.rows(&["session", "list", "--user", "ada"]).is_empty());
    assert_eq!(refusal(&world, "ada", OTHER), None);
    assert_eq!(refusal(&world, "ada", PASSWORD), Some(LoginRefusal::InvalidCredentials));
    assert_eq!(world.run(&["user", "set-password", "ada", OTHER]).code, 2);
}

#[test]
fn a_password_that_the_policy_refuses_is_not_set() {
    let world = World::new();
    world.person("ada");
    for (password, says) in [("short", "8 characters"), ("", "has no password")] {
        let ran = world.run_with(&["user", "set-password", "ada", "--password-stdin"], password);
        assert_eq!((ran.code, ran.err.contains(says)), (5, true), "{ran:?}");
    }
    assert_eq!(refusal(&world, "ada", PASSWORD), None);
}

#[test]
fn one_line_end_after_a_password_on_standard_input_is_not_part_of_it() {
    let world = World::new();
    world.person("ada");
    for ending in ["", "\n", "\r\n"] {
        let input = format!("{OTHER} {}{ending}", ending.len());
        let ran = world.run_with(&["user", "set-password", "ada", "--password-stdin"], &input);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(refusal(&world, "ada", &format!("{OTHER} {}", ending.len())), None);
    }
}

#[derive(Debug)]
struct NeverBreached;

impl BreachCheck for NeverBreached {
    fn is_breached(&self, _: &str) -> bool {
        false
    }
}

#[test]
fn where_a_breach_check_is_in_use_no_password_is_set_without_it() {
    let world = World::empty();
    let options = Options::server().breach_check(Arc::new(NeverBreached));
    drop(Store::open(world.directory().join("auth.db"), options).unwrap());
    world.ok(&["user", "add", "ada", "--no-password"]);
    let reset = format!("gatepost user reset {}", id(&world, "ada"));
    for (words, advice) in [
        (["user", "set-password", "ada", "--password-stdin"], reset.as_str()),
        (["user", "add", "bob", "--password-stdin"], "--no-password"),
    ] {
        let ran = world.run_with(&words, PASSWORD);
        assert_eq!(ran.code, 6, "{ran:?}");
        assert!(ran.err.contains("breach check") && ran.err.contains(advice), "{ran:?}");
    }
    world.ok(&["user", "reset", "ada"]);
    assert_eq!(world.rows(&["user", "list"]).len(), 1);
}

/// Once the advice had the username, which a shell would have run.
#[test]
fn a_command_to_paste_names_the_user_by_id() {
    let world = World::empty();
    let options = Options::server().breach_check(Arc::new(NeverBreached));
    drop(Store::open(world.directory().join("auth.db"), options).unwrap());
    let name = "-v;$(id>out)`id`";
    world.ok(&["user", "add", "--no-password", "--", name]);
    let reset = format!("gatepost user reset {}", id(&world, name));
    let ran = world.run_with(&["user", "set-password", "--password-stdin", "--", name], PASSWORD);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.err.contains(&reset) && !ran.err.contains(name), "{ran:?}");
}

#[test]
fn the_status_decides_whether_a_user_logs_in() {
    let world = World::new();
    world.person("ada");
    let check = |command: &str, status: &str, expect: Option<LoginRefusal>| {
        assert_eq!(world.row(&["user", command, "ada"])["status"], status);
        assert_eq!(refusal(&world, "ada", PASSWORD), expect);
    };
    check("lock", "locked", Some(LoginRefusal::AccountLocked));
    check("unlock", "active", None);
    check("disable", "disabled", Some(LoginRefusal::AccountDisabled));
    // It forgives failed attempts, and undoes no other status than locked.
    check("unlock", "disabled", Some(LoginRefusal::AccountDisabled));
    check("enable", "active", None);
}

#[test]
fn an_unlock_forgives_failed_attempts() {
    let world = World::new();
    world.person("ada");
    assert_eq!(refusal(&world, "ada", OTHER), Some(LoginRefusal::InvalidCredentials));
    assert_eq!(world.row(&["user", "show", "ada"])["failed_attempts"], 1);
    assert_eq!(world.row(&["user", "unlock", "ada"])["failed_attempts"], 0);
}

#[test]
fn a_password_is_marked_demanded_and_removed() {
    let world = World::new();
    world.person("ada");
    let row = world.row(&["user", "require-change", "ada", "--revoke-sessions"]);
    assert_eq!(row["must_change_password"], true);
    assert_eq!(refusal(&world, "ada", PASSWORD), Some(LoginRefusal::NewPasswordRequired));
    world.ok(&["user", "compromised", "ada", "--yes"]);
    assert_eq!(refusal(&world, "ada", PASSWORD), Some(LoginRefusal::InvalidCredentials));
    assert_eq!(world.row(&["user", "remove-password", "ada", "--yes"])["removed"], true);
    assert_eq!(world.row(&["user", "remove-password", "ada", "--yes"])["removed"], false);
}

/// Once only the case of each letter was ignored.
#[test]
fn a_deleted_user_is_found_by_the_spellings_of_its_name() {
    let world = World::new();
    for (name, typed) in [("straße", "STRASSE"), ("ren\u{e9}", " Rene\u{301}"), ("ada", "ａｄａ")]
    {
        world.ok(&["user", "add", name, "--no-password"]);
        let id = world.row(&["user", "show", typed])["id"].clone();
        world.ok(&["user", "delete", name, "--yes"]);
        assert_eq!(world.row(&["user", "restore", typed])["id"], id, "{typed}");
    }
    world.refused(&["user", "restore", "strase"], 3, "there is no deleted user strase");
}

#[test]
fn a_deleted_user_is_restored_by_name_or_id() {
    let world = World::new();
    world.person("ada");
    let id = world.row(&["user", "show", "ada"])["id"].as_str().unwrap().to_owned();
    world.ok(&["user", "delete", "ada", "--yes"]);
    world.refused(&["user", "show", "ada"], 3, "there is no user ada");
    // Once only in the case in which it was stored, unlike the name of a user who is not deleted.
    assert_eq!(world.row(&["user", "restore", "Ada"])["id"], id);
    world.ok(&["user", "delete", &id, "--yes"]);
    world.ok(&["user", "add", "ada", "--no-password"]);
    world.refused(&["user", "restore", &id], 4, "taken");
    world.ok(&["user", "delete", "ada", "--yes"]);
    // Two deleted users had the name.
    world.refused(&["user", "restore", "ada"], 4, "more than one deleted user ada");
    // Once `export` said that there was none, while the file had the data of both.
    world.refused(&["user", "export", "ada"], 4, "more than one deleted user ada");
    assert_eq!(world.row(&["user", "export", &id])["user"]["id"], id);
    world.refused(&["user", "export", "eve"], 3, "there is no user eve");
    world.ok(&["user", "restore", &id]);
}

/// Runs the command while another program, which makes these changes, keeps it from writing.
#[expect(clippy::disallowed_methods, reason = "nothing shows that a command waits for the file")]
fn run_during(world: &World, changes: &str, words: &[&str]) {
    let other = world.sql();
    other.execute_batch(&format!("BEGIN IMMEDIATE; {changes}")).unwrap();
    let mut command = world.command(words).stdout(Stdio::null()).spawn().unwrap();
    // Time to read; if it is too short, the command reads what was changed, as it must.
    std::thread::sleep(Duration::from_secs(1));
    other.execute_batch("COMMIT").unwrap();
    assert!(command.wait().unwrap().success());
}

/// Once the command wrote what it had decided by a read that was older than its wait.
#[test]
fn what_another_program_changes_while_the_command_waits_is_not_undone() {
    let world = World::new();
    world.person("ada");
    world.ok(&["user", "privileges", "ada", "--grant", "admin"]);
    let withdrawn = "DELETE FROM user_privilege WHERE name = 'admin'";
    run_during(&world, withdrawn, &["user", "privileges", "ada", "--grant", "reports.read"]);
    let ada = world.row(&["user", "show", "ada"]);
    assert_eq!(ada["privileges"], json!(["reports.read"]));

    world.ok(&["user", "lock", "ada"]);
    let disabled = "UPDATE user SET status = 'disabled' WHERE username = 'ada'";
    run_during(&world, disabled, &["user", "unlock", "ada"]);
    assert_eq!(world.row(&["user", "show", "ada"])["status"], "disabled");
}

/// Once each wrote the whole set that it had read, so that one of the two was undone.
#[test]
fn two_changes_of_privileges_at_a_time_are_both_kept() {
    let world = World::new();
    world.person("ada");
    for _ in 0..10 {
        world.ok(&["user", "privileges", "ada", "--grant", "admin", "--withdraw", "print"]);
        let other = world.sql();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let changes = [["--grant", "print"], ["--withdraw", "admin"]].map(|[how, name]| {
            let words = ["user", "privileges", "ada", how, name];
            world.command(&words).stdout(Stdio::null()).spawn().unwrap()
        });
        other.execute_batch("COMMIT").unwrap();
        for mut change in changes {
            assert!(change.wait().unwrap().success());
        }
        assert_eq!(world.row(&["user", "show", "ada"])["privileges"], json!(["print"]));
    }
}

#[test]
fn privileges_are_granted_and_withdrawn_in_one_write() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password", "--privilege", "admin"]);
    let words =
        ["user", "privileges", "ada", "--grant", "b", "--grant", "a", "--withdraw", "admin"];
    assert_eq!(world.row(&words)["privileges"], json!(["a", "b"]));
    assert_eq!(world.row(&["user", "privileges", "ada"])["privileges"], json!(["a", "b"]));
    let changes = ["audit", "list", "--event", "user.privileges_changed"];
    assert_eq!(world.rows(&changes).len(), 1);
}

#[test]
fn an_administration_is_granted_shown_and_withdrawn() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password"]);
    world.ok(&["organisation", "add", "Northern"]);
    let york = world.row(&["branch", "add", "York"])["id"].clone();
    let of_york = json!([{ "branch": york, "name": "York" }]);
    let words = ["user", "administers", "ada", "--branch", "York"];
    assert_eq!(world.row(&words)["administers"], of_york);
    world.ok(&["user", "administers", "ada", "--organisation", "Northern"]);
    let shown = world.row(&["user", "administers", "ada"])["administers"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert_eq!(shown[1]["name"], "Northern");
    world.ok(&["user", "administers", "ada", "--organisation", "Northern", "--withdraw"]);
    assert_eq!(world.row(&["user", "administers", "ada"])["administers"], of_york);
    let granted = ["audit", "list", "--event", "user.administration_granted"];
    assert_eq!(world.rows(&granted).len(), 2);
}

#[test]
fn a_confirmed_account_keeps_its_first_confirmation() {
    let world = World::new();
    world.ok(&["user", "add", "ada", "--no-password", "--status", "pending"]);
    world.refused(&["user", "confirm", "ada"], 9, "not confirmed");
    let ada = world.row(&["user", "confirm", "ada", "--yes"]);
    assert_eq!(ada["status"], "active");
    // A later one revokes nothing, so it asks nothing.
    assert_eq!(world.row(&["user", "confirm", "ada"])["confirmed_at"], ada["confirmed_at"]);
}

#[test]
fn a_first_confirmation_removes_the_password_if_it_is_asked_to() {
    let world = World::new();
    world.person("ada");
    world.person("bob");
    world.ok(&["user", "confirm", "ada", "--yes", "--remove-password"]);
    world.ok(&["user", "confirm", "bob", "--yes"]);
    assert_eq!(refusal(&world, "ada", PASSWORD), Some(LoginRefusal::InvalidCredentials));
    assert_eq!(refusal(&world, "bob", PASSWORD), None);
}

/// Once a program read `9223372036854775807 ms` there, and so did a person.
#[test]
fn a_lock_without_an_end_is_a_time_to_programs_and_a_sentence_to_people() {
    let world = World::empty();
    world.ok(&["init", "--preset", "server", "--permanent-lockout"]);
    world.person("ada");
    world.sql().execute("UPDATE throttle SET failures = 90", []).unwrap();
    let last = "9999-12-31T23:59:59.999Z";
    assert_eq!(world.row(&["user", "show", "ada"])["locked_out_until"], last);
    assert_eq!(world.row(&["user", "export", "ada"])["user"]["locked_out_until"], last);
    assert_eq!(world.row(&["explain", "--user", "ada"])["at"], last);
    let shown = world.ok(&["user", "show", "ada"]);
    let line = shown.lines().find(|line| line.starts_with("locked out until")).unwrap();
    assert!(line.ends_with("  an administrator unlocks the user"), "{line}");
    let sentence = world.ok(&["explain", "--user", "ada"]);
    let expected = "too many attempts failed (until an administrator unlocks the user)";
    assert!(sentence.starts_with(expected), "{sentence}");
}

#[test]
fn a_user_is_exported_and_a_deleted_one_is_erased() {
    let world = World::new();
    world.ok(&["user", "add", "xanthippe", "--no-password", "--email", "xanthippe@example.com"]);
    let id = world.row(&["user", "show", "xanthippe"])["id"].clone();
    let id = id.as_str().unwrap();
    let data = world.row(&["user", "export", "xanthippe"]);
    assert_eq!(data["user"]["email"], "xanthippe@example.com");
    assert_eq!(data["audit"][0]["event"], "user.created");
    world.refused(
        &["--yes", "user", "erase", "xanthippe"],
        3,
        "there is no deleted user xanthippe",
    );
    world.ok(&["--yes", "user", "delete", "xanthippe"]);
    assert_eq!(world.row(&["user", "export", "xanthippe"])["user"]["id"], id);
    let erased = world.row(&["--yes", "user", "erase", "xanthippe"]);
    assert_eq!(erased["erased"]["is_log_emptied"], true);
    for name in ["xanthippe", id] {
        assert_eq!(world.run(&["user", "export", name]).code, 3);
        assert_eq!(world.run(&["--yes", "user", "restore", name]).code, 3);
    }
    assert!(!world.ok(&["audit", "export"]).contains("xanthippe"));
    let bytes = std::fs::read(world.directory().join("auth.db")).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"xanthippe"));
    assert_eq!(world.run(&["audit", "verify"]).code, 0);
}
