//! Files that were put in place by other means, and are taken in.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use gatepost::audit::EventKind;
use gatepost::sessions::NewApiKey;
use gatepost::status::OpenWarning;
use gatepost::{ErrorKind, Store};

use crate::child::Child;
use crate::world::{World, for_tests};

#[test]
fn a_copy_that_is_taken_in_has_no_session_and_no_key_and_is_its_owners_alone() {
    let mut world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    let copy = world.directory().join("copy.db").display().to_string();
    world.sql().execute("VACUUM INTO ?1", [&copy]).unwrap();
    world.store.close().unwrap();
    fs::rename(&copy, &world.path).unwrap();
    fs::set_permissions(&world.path, fs::Permissions::from_mode(0o644)).unwrap();

    let report = Store::adopt_restored(&world.path, world.options.clone()).unwrap();
    let revoked =
        (report.sessions_revoked, report.api_keys_revoked, report.one_time_tokens_revoked);
    assert_eq!(revoked, (1, 1, 0));
    assert_eq!(fs::metadata(&world.path).unwrap().mode() & 0o7777, 0o600);
    world.store = Store::open(&world.path, world.options.clone()).unwrap();
    assert_eq!(world.store.status().open_warnings, []);
    assert!(!world.passes(&session, "till-1"));
    assert!(world.store.verify((&key.key, None)).unwrap().valid().is_err());
    assert_eq!(world.last_event().event, EventKind::StoreAdopted.name());
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    let after = world.open(ada, "till-1");
    assert!(world.passes(&after, "till-1"));
}

#[test]
fn a_copy_is_reported_until_it_is_taken_in() {
    let mut world = World::new();
    world.store.close().unwrap();
    let copy = world.directory().join("copy.db");
    fs::copy(&world.path, &copy).unwrap();
    fs::rename(&copy, &world.path).unwrap();
    for _ in 0..2 {
        world.store = Store::open(&world.path, world.options.clone()).unwrap();
        assert_eq!(world.store.status().open_warnings, [OpenWarning::PerhapsRestored]);
        world.store.close().unwrap();
    }
    Store::adopt_restored(&world.path, world.options.clone()).unwrap();
    world.store = Store::open(&world.path, world.options.clone()).unwrap();
    assert_eq!(world.store.status().open_warnings, []);
}

/// A new file may get the inode of the one that was deleted just before.
#[test]
fn another_time_of_birth_is_another_file() {
    let mut world = World::new();
    let set = |sql: &str, world: &World| world.sql().execute_batch(sql).unwrap();
    for sql in [
        "UPDATE store SET file_inode = file_inode + 1",
        "UPDATE store SET file_inode = NULL",
        "UPDATE store SET file_inode = file_inode, file_born_ns = file_born_ns + 1",
    ] {
        set(sql, &world);
        world.reopen();
        assert_eq!(world.store.status().open_warnings, [OpenWarning::PerhapsRestored], "{sql}");
        world.store.close().unwrap();
        Store::adopt_restored(&world.path, world.options.clone()).unwrap();
        world.store = Store::open(&world.path, world.options.clone()).unwrap();
    }
    // A file system that keeps no times of birth.
    set("UPDATE store SET file_born_ns = NULL", &world);
    world.reopen();
    assert_eq!(world.store.status().open_warnings, []);
}

#[test]
fn a_file_that_is_open_is_not_taken_in() {
    let world = World::new();
    let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused}");
    let path = world.path.display().to_string();
    let mut other = Child::start("keep open", &[&path]);
    other.hear();
    world.store.close().unwrap();
    let before = world.head();
    let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert!(refused.advice().contains("Stop every program"), "{}", refused.advice());
    assert_eq!(world.head(), before);
    // It ends by itself, and leaves no log.
    other.end();
    Store::adopt_restored(&world.path, for_tests()).unwrap();
    assert!(world.head() >= before + (1 << 20));
}

/// The call changed the mode first, and then refused the file.
#[test]
fn a_file_that_is_not_taken_in_keeps_its_mode() {
    let world = World::new();
    world.store.close().unwrap();
    let wide = fs::Permissions::from_mode(0o644);
    let check = |kind: ErrorKind| {
        fs::set_permissions(&world.path, wide.clone()).unwrap();
        let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert_eq!(fs::metadata(&world.path).unwrap().mode() & 0o7777, 0o644, "{kind:?}");
    };
    let mut other = Child::start("keep open", &[world.path.to_str().unwrap()]);
    other.hear();
    check(ErrorKind::Busy);
    drop(other);
    fs::remove_file(&world.path).unwrap();
    let another = rusqlite::Connection::open(&world.path).unwrap();
    another.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(another);
    check(ErrorKind::NotOurs);
}

/// SQLite deletes a log or journal beside an empty file at its first read.
#[test]
fn a_log_beside_an_empty_file_is_kept_when_the_file_is_taken_in() {
    let world = World::new();
    world.store.close().unwrap();
    fs::write(&world.path, "").unwrap();
    for suffix in ["-wal", "-journal"] {
        let beside = world.directory().join(format!("auth.db{suffix}"));
        let left = vec![7; 9_000];
        fs::write(&beside, &left).unwrap();
        let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{suffix}: {refused}");
        assert!(refused.advice().contains("this log belongs to"), "{}", refused.advice());
        assert!(fs::read(&beside).is_ok_and(|bytes| bytes == left), "{suffix}");
        fs::remove_file(beside).unwrap();
    }
}

#[test]
fn what_is_no_whole_store_is_not_taken_in() {
    let world = World::new();
    world.store.close().unwrap();
    let check = |what: &str, kind: ErrorKind| {
        let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{what}: {refused}");
        assert!(refused.path().is_some(), "{what}");
        assert!(!refused.advice().contains("Stop every program"), "{what}");
    };
    let whole = fs::read(&world.path).unwrap();
    fs::write(&world.path, &whole[..whole.len() / 2]).unwrap();
    check("cut off", ErrorKind::Corrupt);
    fs::write(&world.path, vec![0x5a; 9_000]).unwrap();
    check("noise", ErrorKind::NotADatabase);
    fs::remove_file(&world.path).unwrap();
    check("nothing", ErrorKind::NotFound);
    let other = rusqlite::Connection::open(&world.path).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(other);
    check("another program's", ErrorKind::NotOurs);
}
