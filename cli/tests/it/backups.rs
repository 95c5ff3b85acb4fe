//! `gatepost backup` and `gatepost restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use gatepost::audit::AuditFilter;
use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, NewUser, Secret, Store};

use crate::world::World;

/// The user `ada` with a session, and the store in this process.
fn signed_in(world: &World) -> (Store, Secret, DeviceId) {
    let store = world.store();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let device = DeviceId::random().unwrap();
    let open = OpenSession::new(ada, device.clone());
    let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
    (store, token, device)
}

fn passes(store: &Store, token: &Secret, device: &DeviceId) -> bool {
    store.verify((token, device)).unwrap().valid().is_ok()
}

fn names(world: &World) -> Vec<String> {
    let all = fs::read_dir(world.directory()).unwrap();
    let all = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = all.filter(|name| name.starts_with("copy")).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_restored_into_the_store_that_another_process_has_open() {
    let world = World::new();
    let (store, token, device) = signed_in(&world);
    assert!(passes(&store, &token, &device));
    assert!(world.ok(&["backup", "copy.db"]).contains("copy.db"));
    assert_eq!(names(&world), ["copy.db", "copy.db.manifest"]);
    store.users().create(NewUser::person("ben")).unwrap();

    // Without a terminal there is no one to ask.
    world.refused(&["restore", "copy.db"], 9, "--yes");
    assert!(passes(&store, &token, &device));
    let rows = world.rows(&["restore", "copy.db", "--yes"]);
    assert_eq!(rows[0]["replaced"], "live");
    assert_eq!(rows[0]["sessions_revoked"], 1);
    assert_eq!(rows[0]["users_not_brought_back"].as_array().unwrap().len(), 1);
    assert!(!passes(&store, &token, &device));
    assert!(store.users().find_by_username("ben").unwrap().is_none());
    let log = store.audit().latest(2, &AuditFilter::new()).unwrap();
    let mut events: Vec<&str> = log.iter().map(|row| row.event.as_str()).collect();
    events.sort_unstable();
    assert_eq!(events, ["command.restore", "store.restored"]);
}

/// Once the store was replaced first, and a note said that no row names the command.
#[test]
fn a_restore_with_a_wrong_user_or_key_file_changes_nothing() {
    let world = World::new();
    let (store, token, device) = signed_in(&world);
    world.ok(&["backup", "copy.db"]);
    store.close().unwrap();
    let before = world.ok(&["audit", "head"]);
    for path in [["copy.db", "--yes"].as_slice(), &["auth.db", "--yes", "--adopt"]] {
        let restore = |words: &[&'static str]| [&["restore"], path, words].concat();
        world.refused(&restore(&["--as", "nemo"]), 5, "leave out --as");
        world.refused(&restore(&["--as", "ada"]), 5, "leave out --as");
        world.refused(&restore(&["--key-file", "no.key"]), 3, "the key file does not exist");
    }
    // The arguments come before the question, which has no terminal.
    world.refused(&["restore", "copy.db", "--key-file", "no.key"], 3, "the key file");
    assert_eq!(world.ok(&["audit", "head"]), before);
    assert!(passes(&world.store(), &token, &device));
}

/// Once the row of the command was left out, because the file did not open with that key.
#[test]
fn a_restore_is_recorded_whatever_the_key() {
    let world = crate::factors::sealed();
    world.ok(&["key-file", "create", "b.key", "a"]);
    world.ok(&["backup", "copy.db"]);
    let ran = world.run(&["restore", "copy.db", "--yes", "--key-file", "b.key"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(events(&world, 2), ["store.restored", "command.restore"]);
}

/// The newest rows of the log, the oldest first.
fn events(world: &World, rows: u32) -> Vec<String> {
    let log = world.store().audit().latest(rows, &AuditFilter::new()).unwrap();
    log.iter().rev().map(|row| row.event.clone()).collect()
}

/// Once a backup had the row of the library alone, which does not say who took the copy.
#[test]
fn the_log_says_who_took_a_copy() {
    let world = World::new();
    fs::write(world.directory().join("users.jsonl"), "{\"username\":\"ada\"}\n").unwrap();
    world.ok(&["backup", "copy.db"]);
    assert_eq!(events(&world, 2), ["command.backup", "store.backed_up"]);
    world.refused(&["backup", "copy.db"], 4, "already exists");
    assert_eq!(events(&world, 2), ["command.backup", "store.backup_failed"]);
    world.ok(&["import", "users.jsonl", "--dry-run"]);
    assert_eq!(events(&world, 2), ["command.import.dry-run", "store.backed_up"]);
}

#[test]
fn what_is_stricter_stays_unless_all_is_wanted_as_in_the_backup() {
    let world = World::new();
    drop(signed_in(&world));
    world.ok(&["backup", "copy.db"]);
    world.ok(&["user", "lock", "ada"]);
    let status = || world.rows(&["user", "show", "ada"])[0]["status"].clone();
    let rows = world.rows(&["restore", "copy.db", "--yes"]);
    assert!(rows[0]["stricter"][0]["user_status"].is_string(), "{rows:?}");
    assert_eq!(status(), "locked");
    world.ok(&["restore", "copy.db", "--yes", "--all-as-in-backup"]);
    assert_eq!(status(), "active");
}

#[test]
fn a_failed_backup_has_an_exit_code_and_a_row_of_the_log() {
    let world = World::new();
    world.ok(&["backup", "copy.db"]);
    world.refused(&["backup", "copy.db"], 4, "already exists");
    world.refused(&["backup", "no/such/copy.db"], 3, "");
    world.refused(&["backup", "auth.db"], 5, "");
    let failed = world.rows(&["audit", "list", "--event", "store.backup_failed"]);
    assert_eq!(failed.len(), 3);
    world.refused(&["restore", "none.db", "--yes"], 3, "no backup");
}

#[test]
fn the_oldest_backups_beyond_those_to_keep_are_deleted_and_nothing_else_is() {
    let world = World::new();
    let lay = |name: &str| fs::write(world.directory().join(name), "x").unwrap();
    for name in [
        "copy.db.20260101T000000Z",
        "copy.db.20260101T000000Z.manifest",
        "copy.db.20260102T000000Z",
        "copy.db.20260102T000000Z.manifest",
        "copy.db.20260103T000000Z", // no manifest
        "copy.db.monday",
        "copy.db.monday.manifest",
        "copy.dbx.20260101T000000Z",
    ] {
        lay(name);
    }
    world.ok(&["backup", "copy.db", "--keep", "2"]);
    let left = names(&world);
    assert!(!left.iter().any(|name| name.starts_with("copy.db.20260101")), "{left:?}");
    assert_eq!(left.len(), 8, "{left:?}");
    world.refused(&["backup", "copy.db", "--keep", "0"], 2, "");
}

/// Once the backup was a hidden file such as `b/.20260105T090000Z`, and none of them was deleted.
#[test]
fn a_backup_of_those_to_keep_has_a_name() {
    let world = World::new();
    let directory = world.directory().join("b");
    fs::create_dir(&directory).unwrap();
    let all = || fs::read_dir(world.directory()).unwrap().count();
    let before = all();
    for path in ["b/", "b//", "b/.", "b/./", "b/..", ".", "..", "./", "no/"] {
        world.refused(&["backup", path, "--keep", "1"], 5, "name the file of the backup");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    assert_eq!(all(), before);
    let written = path_of(&world.row(&["backup", "b/copy.db", "--keep", "1"]));
    assert!(written.contains("/b/copy.db.2"), "{written}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

fn path_of(row: &serde_json::Value) -> String {
    row["path"].as_str().unwrap().to_owned()
}

/// Once a clock that was wrong made the newest backup the oldest by its name, and `backup` deleted
/// it and said that it was written.
#[test]
fn the_backup_that_was_just_written_is_kept_whatever_the_clock_said_before() {
    let world = World::new();
    for name in
        ["copy.db.20991231T000000Z", "copy.db.20991230T000000Z", "copy.db.20260101T000000Z"]
    {
        for file in [name.to_owned(), format!("{name}.manifest")] {
            fs::write(world.directory().join(file), "x").unwrap();
        }
    }
    let written = path_of(&world.row(&["backup", "copy.db", "--keep", "2"]));
    assert!(fs::exists(&written).unwrap(), "{:?}", names(&world));
    assert_eq!(names(&world).len(), 4, "{:?}", names(&world));
    assert!(names(&world)[2].starts_with("copy.db.20991231"));
    world.refused(&["restore", "copy.db.20991231T000000Z", "--yes"], 8, "");
    // A backup of the same second would have the same name.
    let earlier = world.directory().join("copy.db.20260102T000000Z");
    fs::rename(&written, &earlier).unwrap();
    fs::rename(format!("{written}.manifest"), format!("{}.manifest", earlier.display())).unwrap();
    let only = path_of(&world.row(&["backup", "copy.db", "--keep", "1"]));
    assert!(fs::exists(&only).unwrap() && names(&world).len() == 2, "{:?}", names(&world));
    world.ok(&["restore", &only, "--yes"]);
}

#[test]
fn a_file_that_was_copied_into_place_is_taken_in() {
    let world = World::new();
    let (store, token, device) = signed_in(&world);
    world.refused(&["restore", "--adopt", "auth.db", "--yes"], 7, "");
    store.close().unwrap();
    let path = world.directory().join("auth.db");
    fs::copy(&path, world.directory().join("copy.db")).unwrap();
    fs::rename(world.directory().join("copy.db"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let rows = world.rows(&["restore", "--adopt", "auth.db", "--yes"]);
    assert_eq!(rows[0]["sessions_revoked"], 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let store = world.store();
    assert!(store.status().open_warnings.is_empty());
    assert!(!passes(&store, &token, &device));
}
