//! Stores that are only read: as fresh as the file, nothing held between two calls or written.

use std::fs;

use gatepost::audit::AuditFilter;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter};
use gatepost::sessions::{NewApiKey, SessionFilter};
use gatepost::{ErrorKind, NewUser, Page, Permission, ReadOnlyStore, Store};

use crate::world::{HOUR, MINUTE, World, device};

fn reader(world: &World) -> ReadOnlyStore {
    Store::open_read_only(&world.path, world.options.clone()).unwrap()
}

#[test]
fn it_verifies_as_the_file_is_now() {
    let world = World::new();
    let new = NewUser::person("ada").privilege("reports.read");
    let ada = world.store.users().create(new).unwrap().id;
    let reader = reader(&world);
    let session = world.open(ada, "till-1");
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    let till = device("till-1");
    let passes = || reader.verify((&session.token, &till)).unwrap().valid().is_ok();
    let principal = reader.verify((&session.token, &till)).unwrap().valid().unwrap();
    assert_eq!(principal.user, ada);
    assert!(reader.verify((&key.key, None)).unwrap().valid().is_ok());
    assert!(reader.verify((&session.token, &device("till-2"))).unwrap().valid().is_err());
    assert!(reader.verify(("gps_", &till)).unwrap().valid().is_err());
    let may = |name| reader.may(&principal, name).unwrap();
    assert_eq!(may("reports.read"), Permission::Granted);
    assert_eq!(may("reports.write"), Permission::Denied);
    assert_eq!(reader.may(&principal, "No").unwrap_err().kind(), ErrorKind::Invalid);

    world.store.users().set_privileges(ada, &[]).unwrap();
    assert_eq!(may("reports.read"), Permission::Denied);
    assert!(passes());
    world.log_out(&session, "till-1");
    assert!(!passes());
    assert_eq!(may("reports.read"), Permission::Ended);
    let session = world.open(ada, "till-1");
    world.clock.advance(25 * HOUR);
    assert!(reader.verify((&session.token, &till)).unwrap().valid().is_err(), "expired");
}

#[test]
fn it_lists_what_the_file_has() {
    let world = World::new();
    let ada = world.person("ada");
    let north = world.store.organisations().create("Northern").unwrap();
    let york = world.store.branches().create("York", north.id).unwrap();
    let session = world.open(ada.id, "till-1");
    let reader = reader(&world);
    assert_eq!(reader.user(ada.id).unwrap().unwrap().username, "ada");
    assert_eq!(reader.users(&UserFilter::new(), Page::first(9)).unwrap()[0].id, ada.id);
    assert_eq!(reader.branches(&BranchFilter::new(), Page::first(9)).unwrap(), [york]);
    let organisations = reader.organisations(&OrganisationFilter::new(), Page::first(9));
    assert_eq!(organisations.unwrap(), [north]);
    let sessions = reader.sessions(&SessionFilter::new(), Page::first(9)).unwrap();
    assert_eq!(sessions[0].id, session.id);
    let log = reader.audit(&AuditFilter::new(), Page::first(9)).unwrap();
    assert_eq!(log[0].event, "store.created");
}

#[test]
fn it_states_its_lag_by_the_newest_write() {
    let world = World::new();
    world.person("ada");
    let reader = reader(&world);
    world.clock.advance(3 * MINUTE);
    let status = reader.status().unwrap();
    assert_eq!(
        (status.newest_write, status.lag),
        (Some(world.now() - 3 * MINUTE), Some(3 * MINUTE))
    );
    world.person("ben");
    assert_eq!(reader.status().unwrap().lag, Some(std::time::Duration::ZERO));
}

/// Whether this process has any file of the store open.
fn holds_a_descriptor(world: &World) -> bool {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut paths = all.filter_map(|entry| fs::read_link(entry.path()).ok());
    let path = world.path.canonicalize().unwrap();
    paths.any(|open| open.to_string_lossy().starts_with(&*path.to_string_lossy()))
}

/// A copy that is followed is written, truncated and replaced by another program.
#[test]
#[cfg(target_os = "linux")]
fn no_connection_is_held_between_two_calls_and_nothing_is_written() {
    let mut world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let till = device("till-1");
    world.store.close().unwrap();
    world.sql().execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    let before = fs::read(&world.path).unwrap();
    let reader = reader(&world);
    for _ in 0..3 {
        assert!(reader.verify((&session.token, &till)).unwrap().valid().is_ok());
        assert!(!holds_a_descriptor(&world));
        world.clock.advance(2 * HOUR);
    }
    let names = fs::read_dir(world.directory()).unwrap().flatten();
    let beside = names.filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name != "auth.db" && !name.ends_with("-reserve")
    });
    assert_eq!(beside.count(), 0);
    assert_eq!(fs::read(&world.path).unwrap(), before);

    // Replaced by a file in which the session was revoked.
    let (path, copy) = (world.path.clone(), world.directory().join("copy.db"));
    fs::write(&copy, &before).unwrap();
    world.store = Store::open(&copy, world.options.clone()).unwrap();
    world.log_out(&session, "till-1");
    world.store.close().unwrap();
    fs::rename(copy, path).unwrap();
    assert!(reader.verify((&session.token, &till)).unwrap().valid().is_err());
}

#[test]
fn a_file_that_is_none_of_ours_or_gone_is_refused() {
    let world = World::new();
    let path = |name: &str| world.directory().join(name);
    let check = |name: &str, kind: ErrorKind| {
        let refused = Store::open_read_only(path(name), world.options.clone()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{name}: {refused}");
        assert!(refused.path().is_some(), "{name}");
    };
    check("none.db", ErrorKind::NotFound);
    assert!(!path("none.db").exists());
    fs::write(path("noise.db"), vec![0x5a; 5_000]).unwrap();
    check("noise.db", ErrorKind::NotADatabase);
    let other = rusqlite::Connection::open(path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    check("other.db", ErrorKind::NotOurs);
    let newer = Store::open(path("newer.db"), world.options.clone()).unwrap();
    newer.close().unwrap();
    let sql = rusqlite::Connection::open(path("newer.db")).unwrap();
    for (version, kind) in [(2, ErrorKind::TooNew), (0, ErrorKind::Corrupt)] {
        let set = format!("PRAGMA user_version = {version}; UPDATE store SET min_reader = 2");
        sql.execute_batch(&set).unwrap();
        check("newer.db", kind);
    }
    let reader = reader(&world);
    world.store.close().unwrap();
    fs::remove_file(&world.path).unwrap();
    let refused = reader.verify(("gps_", None)).unwrap().valid();
    assert!(refused.is_err(), "what is no token needs no file");
    assert_eq!(reader.status().unwrap_err().kind(), ErrorKind::Io);
}

/// SQLite deletes a log or journal beside an empty file at its first read, even one that was opened
/// to be read.
#[test]
fn a_log_beside_an_empty_file_is_kept_by_an_opening_and_by_each_read() {
    let world = World::new();
    let ada = world.person("ada").id;
    let reader = reader(&world);
    world.store.close().unwrap();
    fs::write(&world.path, "").unwrap();
    for suffix in ["-wal", "-journal"] {
        let beside = world.directory().join(format!("auth.db{suffix}"));
        let left = vec![7; 9_000];
        for by_reader in [false, true] {
            fs::write(&beside, &left).unwrap();
            let refused = match by_reader {
                true => reader.user(ada).map(drop),
                false => Store::open_read_only(&world.path, world.options.clone()).map(drop),
            };
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{suffix} {by_reader}: {refused}");
            assert!(refused.advice().contains("this log belongs to"), "{}", refused.advice());
            assert!(fs::read(&beside).is_ok_and(|bytes| bytes == left), "{suffix} {by_reader}");
        }
        fs::remove_file(beside).unwrap();
    }
}

/// SQLite would read what was written since as if the backup had it.
#[test]
fn the_log_of_the_file_that_was_there_before_is_not_read_with_a_backup() {
    let world = World::new();
    let copy = world.directory().join("copy.db");
    world.store.backup(&copy, |_| ()).unwrap();
    let log = world.directory().join("auth.db-wal");
    world.store.organisations().create("Northern").unwrap();
    let left = fs::read(&log).unwrap();
    world.store.close().unwrap();
    fs::rename(copy, &world.path).unwrap();
    fs::write(&log, left).unwrap();
    let opened = Store::open_read_only(&world.path, world.options.clone());
    let refused = opened.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    fs::remove_file(&log).unwrap();
    reader(&world);
}

#[test]
fn options_out_of_their_bounds_are_refused() {
    let world = World::new();
    for options in
        [world.options.clone().api_keys_per_user(u32::MAX), world.options.clone().service_name("")]
    {
        let expect = Store::open(&world.path, options.clone()).unwrap_err();
        let refused = Store::open_read_only(&world.path, options).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.to_string()),
            (ErrorKind::Invalid, expect.to_string())
        );
    }
}

/// A program that follows several copies must know which one is damaged.
#[test]
fn an_error_of_the_file_says_which_one_and_one_of_the_caller_does_not() {
    let world = World::new();
    let ada = world.person("ada").id;
    let presented = (&world.open(ada, "till-1").token, &device("till-1"));
    let principal = world.store.verify(presented).unwrap().valid().unwrap();
    let reader = reader(&world);
    world.store.close().unwrap();
    fs::write(&world.path, vec![0x5a; 5_000]).unwrap();
    let damaged = reader.user(ada).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::NotADatabase, "{damaged}");
    assert_eq!(damaged.path(), Some(world.path.as_path()));
    let of_caller = reader.may(&principal, "No").unwrap_err();
    assert_eq!((of_caller.kind(), of_caller.path()), (ErrorKind::Invalid, None));
}
