//! What another file has left under the path: a log, or the journal of a first creation that was
//! cut off. SQLite takes either for that of the file that is put there later.

use std::fs;
use std::path::{Path, PathBuf};

use gatepost::backup::ReplacedFile;
use gatepost::{Error, ErrorKind, Store};

use super::place::{closed, has_ada_alone};
use super::{backs_up, copy, restores};
use crate::always_starts::journal;
use crate::child::Child;
use crate::world::{World, for_tests};

fn beside(world: &World, suffix: &str) -> PathBuf {
    world.directory().join(format!("auth.db{suffix}"))
}

/// The path of what was moved aside with the replaced file.
#[track_caller]
fn aside(replaced: &ReplacedFile, suffix: &str) -> PathBuf {
    let ReplacedFile::Damaged(aside) = replaced else { panic!("{replaced:?}") };
    let name = aside.file_name().unwrap().to_str().unwrap();
    aside.with_file_name(format!("{name}{suffix}"))
}

/// What each byte of the file and of the file beside it is.
fn bytes(world: &World, suffix: &str) -> [Vec<u8>; 2] {
    [fs::read(&world.path).unwrap(), fs::read(beside(world, suffix)).unwrap()]
}

/// A closed world whose log is what a process left that wrote into the file and was killed.
fn killed() -> World {
    let world = closed();
    writes_and_is_killed(&world.path);
    world
}

fn writes_and_is_killed(path: &Path) {
    let mut writer = Child::start("write", &[path.to_str().unwrap()]);
    for name in ["Eastern", "Midland"] {
        writer.say(name);
        writer.hear();
    }
    writer.kill();
}

/// The next opening would have rolled it back, and the restored file would have been empty.
#[test]
fn the_journal_of_a_creation_is_moved_aside_where_there_is_no_file() {
    let mut world = closed();
    fs::remove_file(&world.path).unwrap();
    fs::write(beside(&world, "-journal"), journal(0)).unwrap();
    let report = restores(&world);
    assert_eq!(fs::read(aside(&report.replaced, "-journal")).unwrap(), journal(0));
    has_ada_alone(&mut world);
}

#[test]
fn a_creation_that_was_cut_off_is_moved_aside_with_its_journal() {
    for is_torn in [false, true] {
        let mut world = closed();
        // A creation writes no mark of a commit, and enters WAL mode later.
        let sql = "UPDATE store SET last_group = NULL; PRAGMA journal_mode = DELETE";
        world.sql().execute_batch(sql).unwrap();
        let mut half = fs::read(&world.path).unwrap();
        half.truncate(30_000);
        if is_torn {
            half[..4_096].fill(0);
        }
        fs::write(&world.path, &half).unwrap();
        fs::write(beside(&world, "-journal"), journal(0)).unwrap();
        let report = restores(&world);
        assert_eq!(fs::read(aside(&report.replaced, "")).unwrap(), half);
        assert_eq!(fs::read(aside(&report.replaced, "-journal")).unwrap(), journal(0));
        has_ada_alone(&mut world);
    }
}

/// SQLite would roll the journal back and empty the copy, whose content no creation has written.
#[test]
fn the_journal_of_a_creation_does_not_empty_a_copy() {
    type Call = fn(&World) -> Result<(), Error>;
    let calls: [(&str, Call); 3] = [
        ("adopt", |world| Store::adopt_restored(&world.path, for_tests()).map(drop)),
        ("restore", |world| Store::restore(copy(world), &world.path, for_tests()).map(drop)),
        ("open", |world| Store::open(&world.path, for_tests()).map(drop)),
    ];
    for is_backup in [false, true] {
        let mut world = closed();
        if is_backup {
            fs::copy(copy(&world), &world.path).unwrap();
        }
        fs::write(beside(&world, "-journal"), journal(0)).unwrap();
        let before = bytes(&world, "-journal");
        for (what, call) in calls {
            let refused = call(&world).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{what}: {refused}");
            assert!(refused.advice().contains("journal"), "{what}: {}", refused.advice());
            assert!(bytes(&world, "-journal") == before, "{what}");
        }
        fs::remove_file(beside(&world, "-journal")).unwrap();
        world.store = Store::open(&world.path, world.options.clone()).unwrap();
        world.user_of("ada");
    }
}

/// SQLite applies a log to any file that it is beside: the copy would have become a mixture with
/// what was written since, or with another store.
#[test]
fn a_log_is_not_applied_to_a_copy_that_is_taken_in() {
    let other = World::new();
    other.store.close().unwrap();
    writes_and_is_killed(&other.path);
    let foreign = fs::read(beside(&other, "-wal")).unwrap();
    for (is_backup, is_foreign) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::new();
        world.person("ada");
        world.store.close().unwrap();
        let raw = fs::read(&world.path).unwrap();
        Store::open(&world.path, for_tests()).unwrap().backup(copy(&world), |_| ()).unwrap();
        writes_and_is_killed(&world.path);
        fs::remove_file(beside(&world, "-shm")).unwrap();
        let put = if is_backup { fs::read(copy(&world)).unwrap() } else { raw };
        fs::remove_file(&world.path).unwrap();
        fs::write(&world.path, put).unwrap();
        if is_foreign {
            fs::write(beside(&world, "-wal"), &foreign).unwrap();
        }
        let before = bytes(&world, "-wal");
        let refused = Store::adopt_restored(&world.path, for_tests()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert!(refused.advice().contains("log"), "{}", refused.advice());
        assert!(bytes(&world, "-wal") == before, "backup {is_backup}, foreign {is_foreign}");

        fs::rename(beside(&world, "-wal"), world.directory().join("elsewhere")).unwrap();
        Store::adopt_restored(&world.path, for_tests()).unwrap();
        assert_eq!(world.count("SELECT count(*) FROM organisation"), 0);
    }
}

/// As the advice says.
#[test]
fn a_copy_with_its_own_log_is_backed_up_and_that_backup_restored() {
    let world = killed();
    let log = beside(&world, "-wal");
    let cold = world.directory().join("cold.db");
    fs::copy(&world.path, &cold).unwrap();
    fs::copy(&log, world.directory().join("cold.db-wal")).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&world, suffix)).unwrap();
    }
    let refused = Store::adopt_restored(&cold, for_tests()).unwrap_err();
    assert!(refused.advice().contains("take a backup of them"), "{}", refused.advice());
    let opened = Store::open(&cold, for_tests()).unwrap();
    let backup = world.directory().join("whole.db");
    opened.backup(&backup, |_| ()).unwrap();
    Store::restore(&backup, &world.path, for_tests()).unwrap();
    assert_eq!(world.count("SELECT count(*) FROM organisation"), 2);
}

/// A page of the schema in the file is noise, which SQLite meets when a connection is set up.
fn spoils_schema(world: &World) {
    let mut bytes = fs::read(&world.path).unwrap();
    let is_of_schema =
        |page: &[u8]| page[0] == 0x0d && page.windows(12).any(|window| window == b"CREATE TABLE");
    let page = bytes.chunks_exact(4_096).position(is_of_schema).unwrap();
    bytes[page * 4_096..][..600].fill(0x55);
    fs::write(&world.path, bytes).unwrap();
}

#[test]
fn the_log_of_a_damaged_file_is_moved_aside_as_it_was() {
    let mut world = killed();
    spoils_schema(&world);
    let before = bytes(&world, "-wal");
    let report = restores(&world);
    let moved = ["", "-wal"].map(|suffix| fs::read(aside(&report.replaced, suffix)).unwrap());
    assert!(moved == before);
    has_ada_alone(&mut world);
}

#[test]
fn a_restore_that_is_refused_leaves_the_log_as_it_was() {
    let world = killed();
    let before = bytes(&world, "-wal");
    let elsewhere = World::with(|options| {
        options.random_source(std::sync::Arc::new(gatepost::host::SeededRandom::new(8)))
    });
    backs_up(&elsewhere);
    let refused = Store::restore(copy(&elsewhere), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(bytes(&world, "-wal") == before, "of another store");

    let in_the_way = beside(&world, "-restoring");
    fs::create_dir(&in_the_way).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe, "{refused}");
    assert!(bytes(&world, "-wal") == before, "without a copy");
    fs::remove_dir(in_the_way).unwrap();

    fs::hard_link(&world.path, world.directory().join("copy-of-it")).unwrap();
    let refused = Store::restore(copy(&world), &world.path, for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe, "{refused}");
    assert!(bytes(&world, "-wal") == before, "with a second name");
}
