//! Backups of an open file: one committed state, complete and checked, or none.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use gatepost::audit::{EventKind, Outcome};
use gatepost::{ErrorKind, Store};
use rusqlite::Connection;

use crate::world::World;

fn target(world: &World) -> PathBuf {
    world.directory().join("copy.db")
}

/// The names in the directory of the store that are not the store's.
fn names(world: &World) -> Vec<String> {
    let all = fs::read_dir(world.directory()).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("auth.db")).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_the_committed_state_in_one_file_of_its_owner_alone() {
    let world = World::new();
    let ada = world.person("ada");
    let session = world.open(ada.id, "till-1");
    let mut last = None;
    let report = world.store.backup(target(&world), |progress| last = Some(progress)).unwrap();
    assert_eq!(names(&world), ["copy.db", "copy.db.manifest"]);
    for path in [&report.path, &report.manifest] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o600, "{path:?}");
    }
    assert_eq!(report.bytes, fs::metadata(&report.path).unwrap().len());
    assert_eq!((report.pages, report.restarts), (report.bytes / 4_096, 0));
    let last = last.unwrap();
    assert_eq!((last.pages_done, last.pages), (report.pages, report.pages));

    let copy = Connection::open(&report.path).unwrap();
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM user"), 1);
    assert_eq!(count("SELECT count(*) FROM session"), 1);
    assert_eq!(count("SELECT count(*) FROM store WHERE file_inode IS NULL"), 1);
    let mode: String = copy.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.last_event().event, EventKind::StoreBackedUp.name());
}

/// The tool `sha256sum` agrees with the manifest.
#[test]
fn the_manifest_names_the_store_and_the_digest_of_the_bytes() {
    let world = World::new();
    let report = world.store.backup(target(&world), |_| ()).unwrap();
    let manifest = fs::read_to_string(&report.manifest).unwrap();
    let line = |name: &str| {
        let found = manifest.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} in {manifest}")).trim().to_owned()
    };
    assert!(manifest.starts_with("gatepost backup, version 1\n"));
    let digest = std::process::Command::new("sha256sum").arg(&report.path).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert_eq!(line("sha256:"), digest.split(' ').next().unwrap());
    assert_eq!(line("bytes:"), report.bytes.to_string());
    assert_eq!(line("taken_at_ms:"), world.now().as_millis().to_string());
    let id: String =
        world.sql().query_row("SELECT lower(hex(store_id)) FROM store", [], |r| r.get(0)).unwrap();
    assert_eq!(line("store:"), id);
}

#[test]
fn a_backup_replaces_no_file_and_a_failed_one_leaves_none_and_is_recorded() {
    let world = World::new();
    fs::write(target(&world), "something else").unwrap();
    let check = |path: PathBuf, kind: ErrorKind| {
        let refused = world.store.backup(&path, |_| ()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{path:?}: {refused}");
        let event = world.last_event();
        assert_eq!(event.event, EventKind::StoreBackupFailed.name());
        assert_eq!(event.outcome, Outcome::Refused);
        assert_eq!(event.detail, Some(format!("{kind:?}")));
    };
    check(target(&world), ErrorKind::Taken);
    assert_eq!(fs::read(target(&world)).unwrap(), b"something else");
    assert_eq!(names(&world), ["copy.db"]);

    let partial = world.directory().join("other.db.partial");
    fs::write(&partial, "half of a backup").unwrap();
    check(world.directory().join("other.db"), ErrorKind::Taken);
    assert_eq!(fs::read(&partial).unwrap(), b"half of a backup");

    fs::create_dir(world.directory().join("third.db.manifest.partial")).unwrap();
    check(world.directory().join("third.db"), ErrorKind::Taken);
    assert!(!names(&world).contains(&"third.db".to_owned()));

    check(world.path.clone(), ErrorKind::Invalid);
    for beside in ["auth.db-wal", "auth.db-shm", "auth.db-journal", "auth.db-reserve"] {
        check(world.directory().join(beside), ErrorKind::Invalid);
    }
    check(world.directory().join("none").join("copy.db"), ErrorKind::NotFound);
    check("file:copy.db".into(), ErrorKind::Invalid);
    assert_eq!(names(&world), ["copy.db", "other.db.partial", "third.db.manifest.partial"]);
}

/// As when another backup of this name has ended since this one began.
#[test]
fn a_backup_that_appears_under_the_name_of_another_one_stays_whole() {
    let world = World::new();
    let beside = |name: &str| world.directory().join(name);
    let mut is_first = true;
    let refused = world
        .store
        .backup(target(&world), |_| {
            if std::mem::take(&mut is_first) {
                world.person("ada");
                world.store.backup(beside("other.db"), |_| ()).unwrap();
                fs::rename(beside("other.db"), target(&world)).unwrap();
                fs::rename(beside("other.db.manifest"), beside("copy.db.manifest")).unwrap();
            }
        })
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Taken, "{refused}");
    assert_eq!(names(&world), ["copy.db", "copy.db.manifest"]);
    Store::restore(target(&world), beside("restored.db"), world.options.clone()).unwrap();
}

/// Two of them, in threads, at each moment of one another.
#[test]
fn of_backups_of_one_name_one_is_written_and_restores() {
    let world = World::new();
    for round in 0..12 {
        let target = world.directory().join(format!("copy{round}.db"));
        let written = std::thread::scope(|scope| {
            let begun = [0, 1].map(|number| {
                let (store, target) = (&world.store, &target);
                scope.spawn(move || {
                    store.organisations().create(&format!("{round} {number}")).unwrap();
                    store.backup(target, |_| ()).map_err(|error| error.kind())
                })
            });
            begun.map(|thread| thread.join().unwrap())
        });
        for one in &written {
            assert!(matches!(one, Ok(_) | Err(ErrorKind::Taken)), "{one:?}");
        }
        assert_eq!(written.iter().flatten().count(), 1, "{round}");
        let restored = world.directory().join(format!("restored{round}.db"));
        Store::restore(&target, restored, world.options.clone()).unwrap();
    }
}

/// Before a page is copied.
#[test]
fn a_name_that_is_taken_is_refused_at_once() {
    let world = World::new();
    let mut steps = 0;
    let check = |name: &str, left: &[u8], is_log: bool, steps: &mut i32| {
        fs::write(world.directory().join(name), left).unwrap();
        let refused = world.store.backup(target(&world), |_| *steps += 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Taken, "{name}: {refused}");
        assert_eq!(refused.to_string().contains("log or journal"), is_log, "{name}: {refused}");
        assert_eq!(names(&world), [name]);
        assert_eq!(fs::read(world.directory().join(name)).unwrap(), left, "{name}");
        fs::remove_file(world.directory().join(name)).unwrap();
    };
    check("copy.db", b"something else", false, &mut steps);
    // The log of a store that was there: SQLite would take it for that of the backup.
    for name in ["copy.db-wal", "copy.db-shm", "copy.db-journal"] {
        check(name, b"commits of a file that was moved", true, &mut steps);
    }
    assert_eq!(steps, 0);
    check("copy.db.manifest", b"notes on the copy", false, &mut steps);
}

/// A restore would have emptied and deleted the backup, to write its own copy under that name.
#[test]
fn a_backup_has_no_name_of_the_files_of_a_store() {
    let world = World::new();
    for suffix in ["", "-wal", "-shm", "-journal", "-reserve", "-restoring"] {
        let name = world.directory().join(format!("auth.db{suffix}"));
        let refused = world.store.backup(name, |_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{suffix}: {refused}");
    }
}

/// It was killed after it had written its manifest.
#[test]
fn a_backup_that_was_cut_off_does_not_stop_the_next_one() {
    let world = World::new();
    world.store.backup(target(&world), |_| ()).unwrap();
    fs::remove_file(target(&world)).unwrap();
    world.person("ada");
    world.store.backup(target(&world), |_| ()).unwrap();
    let restored = world.directory().join("restored.db");
    Store::restore(target(&world), restored, world.options.clone()).unwrap();
}

/// Noise in a page of an index: the file opens, and a backup of it would not restore.
#[test]
fn a_damaged_file_makes_no_backup() {
    use std::os::unix::fs::FileExt;
    let world = World::new();
    for number in 0..200 {
        world.person(&format!("user{number}"));
    }
    let root: u64 = world
        .sql()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_user'", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
        .unsigned_abs();
    world.store.close().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&world.path).unwrap();
    file.write_all_at(&[0x55; 600], root * 4_096 - 600).unwrap();
    drop(file);
    let store = Store::open(&world.path, world.options.clone()).unwrap();
    let refused = store.backup(target(&world), |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(names(&world).is_empty(), "{:?}", names(&world));
}

/// A trigger that is gone after the opening: a restore would refuse such a backup.
#[test]
fn a_file_whose_schema_was_changed_makes_no_backup() {
    let world = World::new();
    world.sql().execute_batch("DROP TRIGGER user_changed").unwrap();
    let refused = world.store.backup(target(&world), |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(names(&world).is_empty());
}

/// Each commit of another connection begins the copy again, and it must come to an end.
#[test]
fn a_backup_that_writes_begin_again_keeps_one_snapshot_at_last() {
    let world = World::new();
    for number in 0..80 {
        let text = format!("{{\"note\": \"{}\"}}", "x".repeat(16_000));
        let new = gatepost::NewUser::person(format!("user{number}")).attributes(text);
        world.store.users().create(new).unwrap();
    }
    let mut steps = 0;
    let writer = world.store.clone();
    let report = world
        .store
        .backup(target(&world), |progress| {
            assert!(progress.pages > 300);
            steps += 1;
            writer.organisations().create(&format!("Northern {steps}")).unwrap();
        })
        .unwrap();
    // The snapshot itself is newer than the pages before it.
    assert!((3..=4).contains(&report.restarts), "{}", report.restarts);
    assert!(steps < 20, "{steps}");
    let copy = Connection::open(&report.path).unwrap();
    let names: i64 =
        copy.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0)).unwrap();
    assert!((1..steps).contains(&names), "{names} of {steps}");
}

/// The file may be in use by another program then, or gone.
#[test]
fn a_closed_store_makes_no_backup() {
    let world = World::new();
    world.store.close().unwrap();
    let refused = world.store.backup(target(&world), |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
    assert!(names(&world).is_empty());
}

#[test]
fn a_store_in_memory_has_no_backup() {
    let store = Store::in_memory(crate::world::for_tests()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let refused = store.backup(directory.path().join("copy.db"), |_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse);
}

/// Under a mask that would let others read it.
#[test]
fn a_backup_in_a_directory_of_others_is_its_owners_alone() {
    let world = World::new();
    let open = world.directory().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let report = world.store.backup(open.join("copy.db"), |_| ()).unwrap();
    assert_eq!(fs::metadata(report.path).unwrap().mode() & 0o7777, 0o600);
}
