//! `gatepost session`, `device`, `key` and `token`.

use gatepost::{DeviceId, LoginRequest, Password};

use crate::busy::Busy;
use crate::world::{PASSWORD, World};

/// Logs in, and returns the token and the id of the session.
#[track_caller]
fn log_in(world: &World, name: &str, device: &str) -> (String, String) {
    let device = DeviceId::new(device).unwrap();
    let request = LoginRequest::new(name, Password::from(PASSWORD), device);
    let session = world.store().log_in(request).unwrap().granted().unwrap().session;
    (session.token.expose().to_owned(), session.id.to_string())
}

/// The exit code of `token verify`.
#[track_caller]
fn verify(world: &World, token: &str, device: &str) -> i32 {
    world.run_with(&["token", "verify"], &format!("{token}\n{device}\n")).code
}

/// Two users, one of them in York.
fn with_users() -> World {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    world.ok(&["branch", "add", "York", "--organisation", "Northern"]);
    world.person("ada");
    world.person("bob");
    world.ok(&["user", "move", "ada", "--branch", "York"]);
    world
}

#[test]
fn a_list_says_who_is_logged_in_while_another_process_logs_in() {
    let world = with_users();
    let busy = Busy::start(&world);
    log_in(&world, "ada", "till-1");
    log_in(&world, "bob", "till-2");
    let names = |words: &[&str]| {
        let rows = world.rows(&[&["session", "list"], words].concat());
        let names = rows.iter().map(|row| row["username"].as_str().unwrap().to_owned());
        let mut names: Vec<String> = names.filter(|name| name != "worker").collect();
        names.sort();
        names
    };
    assert_eq!(names(&[]), ["ada", "bob"]);
    assert_eq!(names(&["--branch", "York"]), ["ada"]);
    assert_eq!(names(&["--organisation", "Northern"]), ["ada"]);
    assert_eq!(names(&["--user", "bob"]), ["bob"]);
    busy.end();
}

#[test]
fn a_revocation_ends_what_it_names_and_nothing_else() {
    let world = with_users();
    let (ada, id) = log_in(&world, "ada", "till-1");
    let (bob, _) = log_in(&world, "bob", "till-2");
    assert_eq!((verify(&world, &ada, "till-1"), verify(&world, &bob, "till-2")), (0, 0));

    assert_eq!(world.row(&["session", "revoke", &id])["ended"], "now");
    assert_eq!(world.row(&["session", "revoke", &id])["ended"], "before");
    world.refused(&["session", "show", &id], 3, "no valid session");
    assert_eq!((verify(&world, &ada, "till-1"), verify(&world, &bob, "till-2")), (1, 0));

    let (ada, _) = log_in(&world, "ada", "till-1");
    world.ok(&["session", "revoke", "--branch", "York", "--yes"]);
    assert_eq!((verify(&world, &ada, "till-1"), verify(&world, &bob, "till-2")), (1, 0));
    let (ada, _) = log_in(&world, "ada", "till-1");
    world.ok(&["session", "revoke", "--user", "ada", "--yes"]);
    assert_eq!((verify(&world, &ada, "till-1"), verify(&world, &bob, "till-2")), (1, 0));
    let (ada, _) = log_in(&world, "ada", "till-1");
    world.ok(&["session", "revoke", "--all", "--yes"]);
    assert_eq!((verify(&world, &ada, "till-1"), verify(&world, &bob, "till-2")), (1, 1));
}

#[test]
fn a_revocation_says_whose_sessions_it_means() {
    let world = with_users();
    let id = "0198c0de-0000-7000-8000-000000000001";
    let both: [&[&str]; 4] = [
        &["session", "revoke"],
        &["session", "revoke", id, "--all"],
        &["session", "revoke", id, "--user", "ada"],
        &["session", "revoke", "--all", "--user", "ada"],
    ];
    for words in both {
        assert_eq!(world.run(words).code, 2, "{words:?}");
    }
}

#[test]
fn what_cannot_be_undone_is_not_done_without_a_confirmation() {
    let world = with_users();
    world.ok(&["user", "add", "importer", "--system"]);
    world.ok(&["key", "issue", "importer"]);
    world.ok(&["credit", "set", "--branch", "York", "5"]);
    let key = world.row(&["key", "list", "importer"])["id"].as_str().unwrap().to_owned();
    let before = world.ok(&["audit", "head"]);
    let commands: [&[&str]; 10] = [
        &["session", "revoke", "--all"],
        &["user", "delete", "ada"],
        &["user", "remove-password", "ada"],
        &["user", "compromised", "ada"],
        &["branch", "delete", "York"],
        &["organisation", "delete", "Northern"],
        &["key", "revoke", &key],
        &["key", "revoke", "--user", "importer"],
        &["key", "rotate", &key],
        &["credit", "unset", "--branch", "York"],
    ];
    for words in commands {
        world.refused(words, 9, "not confirmed; nothing was changed");
        // A yes in a pipe is no person's.
        assert_eq!(world.run_with(words, "yes\n").code, 9, "{words:?}");
    }
    assert_eq!(world.ok(&["audit", "head"]), before);
}

/// Once it was printed as `+11026-01-05T09:00:00.000Z`, which no program reads.
#[test]
fn the_end_of_a_key_beyond_the_year_9999_is_a_time() {
    let world = World::new();
    world.ok(&["user", "add", "importer", "--system"]);
    let issue = ["key", "issue", "importer", "--lifetime", "9000y"];
    assert_eq!(world.row(&issue)["expires_at"], "9999-12-31T23:59:59.999Z");
    world.ok(&["user", "add", "printer", "--system"]);
    let ran = world.run(&["key", "issue", "printer", "--lifetime", "9000y"]);
    assert!(ran.err.contains(", valid until 9999-12-31T23:59:59.999Z."), "{ran:?}");
}

#[test]
fn a_key_is_printed_once_and_alone() {
    let world = World::new();
    world.ok(&["user", "add", "importer", "--system"]);
    let ran =
        world.run(&["key", "issue", "importer", "--label", "night run", "--lifetime", "90d"]);
    let key = ran.out.trim_end();
    assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
    assert!(key.starts_with("gpk_") && !ran.err.contains(key), "{ran:?}");
    assert_eq!(verify(&world, key, ""), 0);

    let listed = world.row(&["key", "list", "importer"]);
    assert_eq!(listed["label"], "night run");
    assert!(listed["expires_at"].is_string());
    assert!(!world.ok(&["key", "list", "importer"]).contains(key));

    let old = listed["id"].as_str().unwrap();
    let new = world.row(&["key", "rotate", old, "--overlap", "1h"]);
    let next = new["key"].as_str().unwrap();
    assert_eq!((verify(&world, key, ""), verify(&world, next, "")), (0, 0));
    world.ok(&["key", "revoke", old, "--yes"]);
    assert_eq!((verify(&world, key, ""), verify(&world, next, "")), (1, 0));
    world.ok(&["key", "revoke", "--user", "importer", "--yes"]);
    assert_eq!(verify(&world, next, ""), 1);
}

#[test]
fn a_list_of_keys_shows_scopes_parent_and_last_use() {
    let world = World::new();
    world.ok(&["user", "add", "importer", "--system"]);
    let scopes = ["--scope", "reports.write", "--scope", "reports.read"];
    let ran = world.run(&[&["key", "issue", "importer"], &scopes[..]].concat());
    let store =
        gatepost::Store::open(world.directory().join("auth.db"), gatepost::Options::stored())
            .unwrap();
    let principal = store.verify((ran.out.trim_end(), None)).unwrap().valid().unwrap();
    let new = gatepost::sessions::NewApiKey::new().scopes(["reports.read"]);
    let made = store.api_keys().attenuate(&principal, new).unwrap();
    store.close().unwrap();

    let listed = world.rows(&["key", "list", "importer"]);
    let of = |id: String| listed.iter().find(|row| row["id"] == id.as_str()).unwrap();
    let first = principal.credential.api_key().unwrap().to_string();
    let second = of(made.id.to_string());
    assert_eq!(second["parent"]["api_key"], first.as_str());
    assert_eq!(second["scopes"].as_array().unwrap().len(), 1);
    let first = of(first);
    assert!(first["parent"].is_null() && first["last_used_at"].is_string());
    let scopes: Vec<_> = first["scopes"].as_array().unwrap().iter().collect();
    assert_eq!(scopes, ["reports.read", "reports.write"]);
    world.refused(
        &["key", "issue", "importer", "--scope", "Reports"],
        5,
        "a scope of the API key",
    );
}

#[test]
fn a_token_is_verified_with_its_device_and_named_by_its_user() {
    let world = with_users();
    let (token, session) = log_in(&world, "ada", "till-1");
    let ran = world.run_with(&["token", "verify", "--json"], &format!("{token}\ntill-1\n"));
    let principal: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(principal["credential"]["session"], session);
    let ada = world.row(&["user", "show", "ada"]);
    assert_eq!(principal["user"], ada["id"]);

    // A token that is not valid is an answer; a missing one is none.
    let ran = world.run_with(&["token", "verify"], &format!("{token}\ntill-2\n"));
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("the token is not valid"), "{ran:?}");
    assert_eq!(world.run_with(&["token", "verify"], "").code, 5);
    assert_eq!(world.run(&["token", "verify", &token]).code, 2);
}

#[test]
fn a_forgotten_device_loses_its_session() {
    let world = with_users();
    let (token, _) = log_in(&world, "ada", "till-1");
    assert_eq!(world.row(&["device", "list", "ada"])["handle"].as_str().unwrap().len(), 8);
    let forget = |device: &str| world.run_with(&["device", "forget", "ada"], device).code;
    assert_eq!(forget("till-9\n"), 3);
    assert_eq!(verify(&world, &token, "till-1"), 0);
    assert_eq!(forget("till-1\n"), 0);
    assert_eq!(verify(&world, &token, "till-1"), 1);
    assert!(world.rows(&["device", "list", "ada"]).is_empty());

    let (token, _) = log_in(&world, "ada", "till-2");
    let listed = world.row(&["device", "list", "ada"]);
    let by_handle =
        |handle: &str| world.run(&["device", "forget", "ada", "--handle", handle]).code;
    assert_eq!(by_handle("till-2"), 3);
    assert_eq!(by_handle(listed["handle"].as_str().unwrap()), 0);
    assert_eq!(verify(&world, &token, "till-2"), 1);
}
