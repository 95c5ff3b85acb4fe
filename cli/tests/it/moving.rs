//! Moving in from other systems, and moving out.
//!
//! The files in `moving/` were made once by the systems themselves: Django 5.2, PocketBase 0.40,
//! better-auth 1.7, and a program with password-auth 1.0 as those with tower-sessions have. The
//! manual's page `moving` has the recipes. The password of each user is in its own form of one
//! sentence.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use gatepost::directory::{UserFilter, UserStatus};
use gatepost::{DeviceId, LoginRequest, Password, Store, User};

use crate::world::{PASSWORD, World};

const DJANGO: &str = include_str!("moving/django.jsonl");
const POCKETBASE: &str = include_str!("moving/pocketbase.jsonl");
const BETTER_AUTH: &str = include_str!("moving/better_auth.jsonl");
const TOWER_SESSIONS: &str = include_str!("moving/tower_sessions.jsonl");

/// Puts the files of all systems into the directory of a world.
pub(crate) fn lay_files(world: &World) {
    for (name, text) in [
        ("django.jsonl", DJANGO),
        ("pocketbase.jsonl", POCKETBASE),
        ("better_auth.jsonl", BETTER_AUTH),
        ("tower_sessions.jsonl", TOWER_SESSIONS),
    ] {
        fs::write(world.directory().join(name), text).unwrap();
    }
}

fn lay(world: &World, name: &str, text: &str) {
    fs::write(world.directory().join(name), text).unwrap();
}

#[track_caller]
fn logs_in(store: &Store, username: &str, password: &str) {
    let device = DeviceId::new(&format!("till of {username}")).unwrap();
    let wrong = LoginRequest::new(username, Password::from("till and tall"), device.clone());
    store.log_in(wrong).unwrap().granted().unwrap_err();
    let right = LoginRequest::new(username, Password::from(password), device);
    store.log_in(right).unwrap().granted().unwrap();
}

#[track_caller]
fn user(store: &Store, username: &str) -> User {
    store.users().find_by_username(username).unwrap().unwrap()
}

/// How many hashes have a text that begins like this.
fn hashes(world: &World, prefix: &str) -> i64 {
    let sql = "SELECT count(*) FROM credential WHERE phc LIKE ?1 || '%'";
    world.sql().query_row(sql, [prefix], |row| row.get(0)).unwrap()
}

/// Imports a file twice: the second time there is nothing to do.
#[track_caller]
fn import(world: &World, file: &str, system: &str, created: u64, skipped: u64) {
    let words = ["import", file, "--from", system];
    let first = world.row(&words);
    assert_eq!((&first["created"], &first["skipped"]), (&created.into(), &skipped.into()));
    assert_eq!((&first["existing"], &first["refused"]), (&0.into(), &0.into()));
    let again = world.row(&words);
    assert_eq!((&again["created"], &again["existing"]), (&0.into(), &created.into()));
}

/// Spaces around a name are not stored, so that they make no other id of it.
#[test]
fn a_name_with_spaces_around_it_is_the_same_record_without_an_id() {
    let world = World::new();
    let record = |place: &str, name: &str| {
        format!(
            "{{\"type\":\"organisation\",\"name\":\"{place}\"}}\n\
             {{\"type\":\"branch\",\"name\":\"{place}\"}}\n{{\"username\":\"{name}\"}}\n"
        )
    };
    lay(&world, "first.jsonl", &record("York ", " ada"));
    lay(&world, "again.jsonl", &record("York", "ada"));
    assert_eq!(world.row(&["import", "first.jsonl"])["created"], 3);
    let again = world.row(&["import", "again.jsonl"]);
    assert_eq!((&again["created"], &again["existing"]), (&0.into(), &3.into()));
}

#[test]
fn the_users_of_django_log_in_with_their_passwords() {
    let world = World::new();
    lay_files(&world);
    import(&world, "django.jsonl", "django", 6, 25);
    assert_eq!(hashes(&world, "$pbkdf2-sha256$i=1000000,l=32,norm=typed$"), 2);
    let store = world.store();
    for name in ["ada", "cem", "dea", "eve"] {
        logs_in(&store, name, &format!("till and tally of {name}"));
    }
    assert_eq!(
        hashes(&world, "$argon2id$v=19$m=19456,t=2,p=1$"),
        3,
        "cem's is costlier, and kept"
    );
    assert_eq!(hashes(&world, "$pbkdf2"), 1, "bob has not logged in");
    let ada = user(&store, "ada");
    assert_eq!(ada.privileges, ["admin", "staff"]);
    assert_eq!(
        (ada.first_name.as_deref(), ada.last_name.as_deref()),
        (Some("Ada"), Some("Lovelace"))
    );
    assert_eq!(ada.created_at.to_string(), "2026-11-29T21:02:51.745Z");
    assert_eq!(ada.confirmed_at, None, "Django knows of no confirmation");
    assert_eq!(user(&store, "bob").privileges, ["auth.change_user", "group:till-staff"]);
    let fay = user(&store, "fay");
    assert_eq!((fay.status, fay.email), (UserStatus::Disabled, None));
}

#[test]
fn the_users_of_pocketbase_log_in_with_their_passwords_and_stay_unverified() {
    let world = World::new();
    lay_files(&world);
    import(&world, "pocketbase.jsonl", "pocketbase", 3, 0);
    assert_eq!(hashes(&world, "$bcrypt$r=10,norm=typed$"), 3);
    let store = world.store();
    logs_in(&store, "ada@example.com", "till and tally of ada");
    logs_in(&store, "bob@example.com", "till and tally of bob");
    assert_eq!(hashes(&world, "$bcrypt$"), 1);
    assert!(user(&store, "ada@example.com").confirmed_at.is_some());
    assert_eq!(user(&store, "bob@example.com").confirmed_at, None);
    assert_eq!(user(&store, "root@example.com").privileges, ["admin"]);
}

#[test]
fn the_users_of_better_auth_log_in_with_their_passwords_and_stay_unverified() {
    let world = World::new();
    lay_files(&world);
    import(&world, "better_auth.jsonl", "better-auth", 2, 0);
    assert_eq!(hashes(&world, "$scrypt$ln=14,r=16,p=1,norm=nfkc$"), 2);
    let store = world.store();
    logs_in(&store, "ada@example.com", "till and tally of ada");
    logs_in(&store, "bob@example.com", "till and tally of bob");
    assert_eq!(hashes(&world, "$scrypt$"), 0);
    assert!(user(&store, "ada@example.com").confirmed_at.is_some());
    assert_eq!(user(&store, "bob@example.com").confirmed_at, None);
}

#[test]
fn the_users_of_a_program_with_tower_sessions_log_in_with_their_passwords() {
    let world = World::new();
    lay_files(&world);
    import(&world, "tower_sessions.jsonl", "tower-sessions", 2, 0);
    let store = world.store();
    logs_in(&store, "ada", "till and tally of ada");
    logs_in(&store, "bob", "till and tally of bob");
}

#[test]
fn a_line_that_is_refused_is_named_and_the_others_are_imported() {
    let world = World::new();
    lay(
        &world,
        "users.jsonl",
        concat!(
            "{\"username\":\"ada\",\"password_hash\":\"{SSHA}AC4WuZCgZJjFfQ84yntrHG0y4+teKwWA\"}\n",
            "{\"username\":\"bob\"}\n",
            "\n",
            "{\"username\":\"secret\n",
            "{\"username\":\"cem\",\"branch\":\"York\"}\n",
            "{\"username\":\"BOB\",\"id\":\"another\"}\n",
            "{\"username\":\"dea\",\"colour\":\"red\"}\n",
            "{\"username\":\"eve\",\"active\":\"\"}\n",
            "{\"username\":\"fay\",\"created_at\":\"yesterday\"}\n",
            "{\"type\":\"till\",\"name\":\"York\"}\n",
            "{\"type\":\"gatepost\",\"version\":2}\n",
            "{\"username\":\"gus\",\"id\":\"00000000-0000-0000-0000-000000000000\"}\n",
            "{\"username\":\"hal\"}",
        ),
    );
    let ran = world.run(&["import", "users.jsonl"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(ran.out, "3 created, 0 exist, 0 lines skipped, 9 refused\n");
    assert!(!ran.err.contains("secret"), "{ran:?}");
    for (line, says) in [
        (1, "LDAP"),
        (4, "no JSON object"),
        (5, "no branch"),
        (6, "username"),
        (7, "colour is no field"),
        (9, "created_at is not of the form"),
        (10, "type is none of"),
        (11, "version 1"),
        (12, "nil or the max UUID"),
    ] {
        let said = ran.err.lines().find(|said| said.starts_with(&format!("users.jsonl:{line}: ")));
        assert!(said.is_some_and(|said| said.contains(says)), "line {line}: {ran:?}");
    }
    lay(&world, "array.jsonl", "[{\"username\":\"ida\"}]\n");
    assert!(world.run(&["import", "array.jsonl"]).err.contains("one JSON object on each line"));
    world.refused(&["import", "missing.jsonl"], 3, "cannot be read");
    world.refused(&["import", "missing.jsonl"], 3, "Check the path of the file.");
    lay(&world, "long.jsonl", &"x".repeat(1_100_000));
    world.refused(&["import", "long.jsonl"], 5, "line 1 is longer than 1 MiB");
}

#[test]
fn csv_has_the_same_fields() {
    let world = World::new();
    lay(
        &world,
        "all.csv",
        concat!(
            "type,id,name,organisation,username,email,branch,privileges,status,",
            "scope,key,value,public\n",
            "organisation,north,Northern,,,,,,,,,,\n",
            "branch,york,York,north,,,,,,,,,\n",
            ",,,,ada,ada@example.com,york,reports.read admin,disabled,,,,\n",
            "setting,,,,,,,,,branch york,pageSize,50,true\n",
            "user,,,,\"bob, the second\",,york,,,,,,\n",
            "user,,,,short\n",
        ),
    );
    let ran = world.run(&["import", "all.csv"]);
    assert_eq!((ran.code, ran.err.contains("all.csv:7: ")), (5, true), "{ran:?}");
    let store = world.store();
    let ada = user(&store, "ada");
    assert_eq!(ada.privileges, ["admin", "reports.read"]);
    assert_eq!(ada.status, UserStatus::Disabled);
    assert_eq!(user(&store, "bob, the second").branch, ada.branch);
    let setting = store.configuration().effective(ada.id, "pagesize").unwrap().unwrap();
    assert_eq!((setting.value.as_str(), setting.is_public), ("50", true));
}

#[test]
fn a_dry_run_reports_what_an_import_would_do_and_creates_nothing() {
    let world = World::new();
    lay_files(&world);
    let would = world.row(&["import", "django.jsonl", "--from", "django", "--dry-run"]);
    assert_eq!((&would["created"], &would["dry_run"]), (&6.into(), &true.into()));
    assert_eq!(world.store().users().count(&UserFilter::new()).unwrap(), 0);
    let left = fs::read_dir(world.directory())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("dry-run"));
    assert_eq!(left.count(), 0);
}

/// A file of that many users with hashes of four systems, in ten branches.
fn many(users: usize) -> String {
    let hashes = [
        "$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW",
        "pbkdf2_sha256$20000$QCdWQPwz4yfUWVxDt8j3eg$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=",
        "$scrypt$ln=14,r=8,p=1$8J5z7v2fU2ptDaHUuvc+Jw$U2u0bdO6cdvO5X7T2ieodZ0YOVRxoOXLMQvbHbl0arI",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ];
    let mut text = String::new();
    for branch in 0..10 {
        writeln!(
            text,
            "{{\"type\":\"branch\",\"id\":\"b{branch}\",\"name\":\"Branch {branch}\",\
            \"created_at\":\"2026-01-05T09:00:00Z\"}}"
        )
        .unwrap();
    }
    for n in 0..users {
        writeln!(
            text,
            "{{\"username\":\"user{n}\",\"email\":\"user{n}@example.com\",\
            \"branch\":\"b{}\",\"password_hash\":\"{}\",\"created_at\":\"2026-01-05T09:00:00Z\"}}",
            n % 10,
            hashes[n % 4]
        )
        .unwrap();
    }
    text
}

fn export(world: &World) -> String {
    world.ok(&["export", "--with-password-hashes", "--yes"])
}

/// `scripts/moving` does the same with 100,000 users.
#[test]
fn an_import_that_was_killed_is_finished_by_the_same_command() {
    let users = 4_000;
    let (whole, killed) = (World::new(), World::new());
    for world in [&whole, &killed] {
        lay(world, "users.jsonl", &many(users));
    }
    whole.ok(&["import", "users.jsonl"]);

    let sql = killed.sql();
    let count = || -> usize {
        let count: i64 = sql.query_row("SELECT count(*) FROM user", [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    };
    let mut command = killed.command(&["import", "users.jsonl"]);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while count() == 0 {
        assert!(running.try_wait().unwrap().is_none(), "it ended before it imported anything");
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let before = count();
    assert!(before > 0 && before < users, "{before}");
    let rest = killed.row(&["import", "users.jsonl"]);
    assert_eq!(rest["created"].as_u64().unwrap() as usize, users - before, "and no branch");
    assert_eq!(rest["existing"].as_u64().unwrap() as usize, before + 10);
    assert!(export(&whole) == export(&killed), "the two stores differ");
}

/// A store with one of everything that an export has.
fn furnished(words: &[&str]) -> World {
    let world = World::empty();
    world.ok(&[&["init", "--preset", "server"], words].concat());
    let with = |own: &[&str]| drop(world.ok(&[own, words].concat()));
    with(&["organisation", "add", "Northern"]);
    with(&["branch", "add", "York", "--organisation", "Northern"]);
    with(&["branch", "add", "Leeds"]);
    with(&["branch", "disable", "Leeds", "--yes"]);
    with(&["credit", "set", "5", "--branch", "York"]);
    with(&["config", "set", "pageSize", "50"]);
    with(&["config", "set", "pageSize", "80", "--branch", "York"]);
    with(&["config", "public", "pageSize", "true"]);
    let add = ["user", "add", "ada", "--branch", "York", "--password-stdin"];
    let added = world.run_with(&[&add, words].concat(), PASSWORD);
    assert_eq!(added.code, 0, "{added:?}");
    with(&["user", "add", "ben", "--no-password", "--email", "ben@example.com"]);
    with(&["user", "confirm", "ben", "--yes"]);
    with(&["user", "require-change", "ada"]);
    with(&["user", "privileges", "ada", "--grant", "reports.read"]);
    with(&["config", "set", "colour", "green", "--user", "ada"]);
    world
}

#[test]
fn an_export_that_is_imported_is_exported_as_the_same_bytes() {
    let world = furnished(&[]);
    let first = export(&world);
    let kinds = |kind: &str| first.matches(&format!("\"type\":\"{kind}\"")).count();
    assert_eq!((kinds("organisation"), kinds("branch"), kinds("user")), (1, 2, 2));
    assert_eq!((kinds("setting"), kinds("gatepost")), (3, 1));
    let other = World::new();
    lay(&other, "all.jsonl", &first);
    other.ok(&["import", "all.jsonl"]);
    assert_eq!(export(&other), first);
    logs_in_and_must_change(&other.store());

    let plain = world.ok(&["export"]);
    assert!(!plain.contains("$argon2") && !plain.contains("password"), "{plain}");
    let third = World::new();
    lay(&third, "all.jsonl", &plain);
    third.ok(&["import", "all.jsonl"]);
    assert_eq!(third.ok(&["export"]), plain);
}

fn logs_in_and_must_change(store: &Store) {
    let login = LoginRequest::new("ada", Password::from(PASSWORD), DeviceId::new("till").unwrap());
    let refusal = store.log_in(login).unwrap().granted().unwrap_err();
    assert_eq!(refusal, gatepost::LoginRefusal::NewPasswordRequired);
}

#[test]
fn hashes_that_a_key_seals_are_exported_with_the_key_alone() {
    let maker = World::empty();
    maker.ok(&["key-file", "create", "seal.key", "k1"]);
    let key = maker.directory().join("seal.key");
    let key: &[&str] = &["--key-file", key.to_str().unwrap()];
    let world = furnished(key);
    let words = ["export", "--with-password-hashes", "--yes"];
    let refused = world.run(&words);
    assert_eq!(refused.code, 6, "{refused:?}");
    let first = world.ok(&[&words, key].concat());
    assert!(first.contains("\"password_hash\":\"$argon2id$") && !first.contains("sealed"));
    let other = World::new();
    lay(&other, "all.jsonl", &first);
    other.ok(&["import", "all.jsonl"]);
    assert_eq!(export(&other), first);
}

#[test]
fn an_export_is_a_new_file_that_only_its_owner_can_read() {
    let world = furnished(&[]);
    world.ok(&["export", "--to", "all.jsonl"]);
    let mode = |name: &str| {
        fs::metadata(world.directory().join(Path::new(name))).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("all.jsonl"), 0o600);
    world.refused(&["export", "--to", "all.jsonl"], 4, "replaces no file");
    world.refused(&["export", "--with-password-hashes"], 9, "");
}
