//! Restores where the file is gone, does not read, or is open elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::{Arc, Mutex};
use std::thread;

use gatepost::backup::ReplacedFile;
use gatepost::status::{FileState, OpenWarning};
use gatepost::{ErrorKind, Store};

use super::{backs_up, copy, restores};
use crate::child::Child;
use crate::world::{Meanwhile, World, for_tests, wait_for_reads};

/// A world whose file was backed up, written on and closed.
pub(super) fn closed() -> World {
    let world = World::new();
    world.person("ada");
    backs_up(&world);
    world.person("ben");
    world.store.close().unwrap();
    world
}

/// What the directory has beside the backup.
fn names(world: &World) -> Vec<String> {
    let all = fs::read_dir(world.directory()).unwrap();
    let all = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        all.filter(|name| !name.starts_with("copy") && !name.ends_with("-reserve")).collect();
    names.sort();
    names
}

#[track_caller]
pub(super) fn has_ada_alone(world: &mut World) {
    world.store = Store::open(&world.path, world.options.clone()).unwrap();
    assert_eq!(world.store.status().open_warnings, []);
    let names = world.store.users().iter(&gatepost::directory::UserFilter::new());
    let names: Vec<String> = names.map(|user| user.unwrap().username).collect();
    assert_eq!(names, ["ada"]);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn a_backup_is_restored_where_there_is_no_file() {
    let mut world = closed();
    fs::remove_file(&world.path).unwrap();
    let report = restores(&world);
    assert_eq!(report.replaced, ReplacedFile::Nothing);
    assert!(!report.audit_log_kept && report.stricter.is_empty());
    assert_eq!(names(&world), ["auth.db"]);
    assert_eq!(fs::metadata(&world.path).unwrap().mode() & 0o7777, 0o600);
    has_ada_alone(&mut world);
}

#[test]
fn a_file_that_does_not_read_is_moved_aside_with_what_is_beside_it() {
    type Damage = fn(&World);
    let damages: [(&str, Damage); 5] = [
        ("noise", |world| fs::write(&world.path, vec![0x5a; 60_000]).unwrap()),
        ("empty", |world| fs::write(&world.path, "").unwrap()),
        ("cut off", |world| {
            let bytes = fs::read(&world.path).unwrap();
            fs::write(&world.path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a page of zeros", |world| {
            use std::os::unix::fs::FileExt;
            let file = fs::OpenOptions::new().write(true).open(&world.path).unwrap();
            file.write_all_at(&[0; 4_096], 5 * 4_096).unwrap();
        }),
        ("a lost file, and its log", |world| {
            fs::rename(&world.path, world.directory().join("copy-of-it")).unwrap();
            fs::write(world.directory().join("auth.db-wal"), vec![7; 9_000]).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let mut world = closed();
        damage(&world);
        let log = world.directory().join("auth.db-wal");
        let (before, had_log) = (fs::read(&world.path).ok(), log.exists());
        let report = restores(&world);
        let ReplacedFile::Damaged(aside) = &report.replaced else {
            panic!("{what}: {report:?}");
        };
        assert_eq!(fs::read(aside).ok(), before, "{what}");
        let name = aside.file_name().unwrap().to_str().unwrap();
        let log_aside = world.directory().join(format!("{name}-wal"));
        assert!(!log.exists() && (log_aside.exists() || !had_log), "{what}");
        assert!(!world.directory().join("auth.db-restoring").exists(), "{what}");
        assert_eq!(fs::metadata(&world.path).unwrap().nlink(), 1);
        has_ada_alone(&mut world);
    }
}

/// A process that has the damaged file open would go on with it.
#[test]
fn a_damaged_file_that_a_process_has_open_is_left_alone() {
    let world = World::new();
    world.person("ada");
    backs_up(&world);
    let path = world.path.display().to_string();
    let mut other = Child::start("keep open", &[&path]);
    other.hear();
    world.store.close().unwrap();
    let before = fs::read(&world.path).unwrap();
    fs::write(&world.path, vec![0x5a; before.len()]).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert!(refused.advice().contains("Stop every program"), "{}", refused.advice());
    assert_eq!(fs::read(&world.path).unwrap(), vec![0x5a; before.len()]);
    drop(other);
    assert!(matches!(restores(&world).replaced, ReplacedFile::Damaged(_)));
}

/// Closing a descriptor of it would drop the locks of the store.
#[test]
fn a_damaged_file_that_this_process_has_open_is_left_alone() {
    use std::os::unix::fs::FileExt;
    let world = World::new();
    world.person("ada");
    backs_up(&world);
    // Through another process: this one must not close a descriptor of the file.
    let page = world.sql();
    page.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(page);
    let file =
        std::mem::ManuallyDrop::new(fs::OpenOptions::new().write(true).open(&world.path).unwrap());
    file.write_all_at(&[0; 4_096], 3 * 4_096).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused}");
    assert_eq!(world.store.status().file_state, FileState::FileAndLocks);
}

/// It was opened as a store by mistake.
#[test]
fn a_backup_that_this_process_has_open_as_a_store_is_not_read() {
    let world = World::new();
    backs_up(&world);
    let opened = Store::open(copy(&world), world.options.clone()).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused}");
    assert_eq!(refused.path(), Some(copy(&world).as_path()));
    assert_eq!(opened.status().file_state, FileState::FileAndLocks);
}

#[test]
fn the_file_of_another_program_is_never_replaced() {
    let world = closed();
    fs::remove_file(&world.path).unwrap();
    let other = rusqlite::Connection::open(&world.path).unwrap();
    other.execute_batch("PRAGMA application_id = 77; CREATE TABLE t (a)").unwrap();
    drop(other);
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotOurs);
    assert_eq!(names(&world), ["auth.db"]);
}

/// Another user could put a file of their own in its place before it is opened.
#[test]
fn nothing_is_restored_or_taken_in_where_anyone_may_write() {
    let world = closed();
    let open = world.directory().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let path = open.join("auth.db");
    let refused = Store::restore(copy(&world), &path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe, "{refused}");
    assert!(!path.exists());
    fs::copy(&world.path, &path).unwrap();
    let refused = Store::adopt_restored(&path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe, "{refused}");
    let options = for_tests().dangerous().allow_shared_directory();
    Store::adopt_restored(&path, options.clone()).unwrap();
    Store::restore(copy(&world), &path, options).unwrap();
}

/// Under its other name the file would have another log. A damaged file may have two names, as a
/// killed restore leaves it.
#[test]
fn a_whole_file_with_a_second_name_is_not_replaced() {
    let world = closed();
    let before = world.head();
    fs::hard_link(&world.path, world.directory().join("copy-of-it")).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe, "{refused}");
    assert_eq!(world.head(), before);
    let options = for_tests().dangerous().allow_hard_links();
    Store::restore(copy(&world), &world.path, options).unwrap();
}

/// The rows of this version say nothing of what a newer one keeps there.
#[test]
fn a_file_of_another_version_is_not_replaced_or_taken_in() {
    let world = closed();
    for (version, kind) in [(2, ErrorKind::TooNew), (0, ErrorKind::Corrupt)] {
        world.sql().pragma_update(None, "user_version", version).unwrap();
        let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        let before = fs::read(&world.path).unwrap();
        let restored = Store::restore(copy(&world), &world.path, for_tests());
        match kind {
            ErrorKind::TooNew => {
                assert_eq!(restored.unwrap_err().kind(), kind);
                assert_eq!(fs::read(&world.path).unwrap(), before);
            }
            _ => assert!(matches!(restored.unwrap().replaced, ReplacedFile::Damaged(_))),
        }
    }
}

/// The copy stays empty, and would be taken for the file of another program.
#[test]
fn a_copy_that_another_program_reads_is_busy() {
    let mut world = closed();
    let beside = world.directory().join("auth.db-restoring");
    let other = rusqlite::Connection::open(&beside).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert!(refused.to_string().contains("the copy of the backup"), "{refused}");
    drop(other);
    restores(&world);
    has_ada_alone(&mut world);
}

/// It has the name of the copy that a restore writes, or another name of that file.
#[test]
fn a_backup_under_the_name_of_the_copy_is_not_read() {
    let mut world = closed();
    let beside = world.directory().join("auth.db-restoring");
    let manifest = world.directory().join("copy.db.manifest");
    fs::copy(copy(&world), &beside).unwrap();
    fs::copy(&manifest, world.directory().join("auth.db-restoring.manifest")).unwrap();
    let bytes = fs::read(&beside).unwrap();
    let link = world.directory().join("copy-link.db");
    std::os::unix::fs::symlink(&beside, &link).unwrap();
    fs::copy(&manifest, world.directory().join("copy-link.db.manifest")).unwrap();
    for from in [&beside, &link] {
        let refused = Store::restore(from, &world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert!(fs::read(&beside).unwrap() == bytes);
    }
    fs::remove_file(&beside).unwrap();
    restores(&world);
    has_ada_alone(&mut world);
}

/// What a restore left that was killed, and one that is running.
#[test]
fn the_copy_of_a_killed_restore_is_used_again_and_that_of_a_running_one_is_not() {
    use rustix::fs::{FlockOperation, flock};
    let mut world = closed();
    let beside = world.directory().join("auth.db-restoring");
    fs::write(&beside, vec![9; 123_456]).unwrap();
    let running = fs::File::open(&beside).unwrap();
    flock(&running, FlockOperation::LockExclusive).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    assert_eq!(fs::metadata(&beside).unwrap().len(), 123_456);
    drop(running);
    assert_eq!(restores(&world).replaced, ReplacedFile::Live);
    assert!(!beside.exists());
    has_ada_alone(&mut world);
}

/// Another program writes, and does not stop.
#[test]
fn a_restore_waits_for_a_writer_and_fails_as_busy_when_it_does_not_end() {
    let world = closed();
    let writer = world.sql();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(world.count("SELECT count(*) FROM user"), 2);
}

#[test]
fn the_restored_file_knows_its_place_and_a_copy_of_it_does_not() {
    let mut world = closed();
    restores(&world);
    has_ada_alone(&mut world);
    world.store.close().unwrap();
    let moved = world.directory().join("copy-moved.db");
    fs::copy(&world.path, &moved).unwrap();
    let store = Store::open(&moved, world.options.clone()).unwrap();
    assert_eq!(store.status().open_warnings, [OpenWarning::PerhapsRestored]);
}

/// A core of the backup would lose its locks when the restore closes its descriptor, and one of the
/// file would be of what is replaced.
#[test]
fn no_other_thread_opens_the_file_or_its_backup_while_it_is_restored() {
    let of: [fn(&World) -> std::path::PathBuf; 2] = [|world| world.path.clone(), copy];
    for path in of {
        let world = closed();
        let (meanwhile, opened) = (Meanwhile::default(), Arc::new(Mutex::new(None)));
        let (path, opening) = (path(&world), Arc::clone(&opened));
        meanwhile.happens(move || {
            let other = thread::spawn(move || Store::open(path, for_tests()));
            wait_for_reads();
            *opening.lock().unwrap() = Some((other.is_finished(), other));
        });
        let options = world.options.clone().random_source(meanwhile.source());
        drop(Store::restore(copy(&world), &world.path, options).unwrap());
        let (was_open, other) = opened.lock().unwrap().take().unwrap();
        assert!(!was_open);
        drop(other.join().unwrap());
    }
}
