//! `kill -9` at moments all over a backup and a restore: the file is the old one or the restored
//! one, and the next backup or restore works.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use gatepost::{ErrorKind, NewUser, Store};

use super::backs_up;
use crate::child::{Child, Parent};
use crate::world::{World, for_tests};

/// Moments of each kind of place.
const KILLS: u32 = 24;

/// Backs up or restores, as each line says.
pub(crate) fn role(parent: &mut Parent, _: &[String]) {
    while let Some(line) = parent.hear() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["back-up", path, copy] => {
                let store = Store::open(path, for_tests()).unwrap();
                parent.say("begins");
                store.backup(copy, |_| ()).unwrap();
            }
            ["restore", path, copy] => {
                parent.say("begins");
                Store::restore(copy, path, for_tests()).unwrap();
            }
            ["try-to-restore", path, copy] => {
                let restored = Store::restore(copy, path, for_tests());
                parent.say(&format!("{:?}", restored.map_err(|error| error.kind())));
            }
            _ => panic!("{line}"),
        }
        parent.say("done");
    }
}

/// The time that it takes when it is not killed.
#[expect(clippy::disallowed_methods, reason = "a kill is timed by the wall clock")]
fn measured(line: &str) -> Duration {
    let mut child = Child::start("back up or restore", &[]);
    child.say(line);
    assert_eq!(child.hear(), "begins");
    let begun = Instant::now();
    assert_eq!(child.hear(), "done");
    child.end();
    begun.elapsed()
}

/// Returns whether it had ended by itself.
#[expect(clippy::disallowed_methods, reason = "a kill is timed by the wall clock")]
fn killed(line: &str, after: Duration) -> bool {
    let mut child = Child::start("back up or restore", &[]);
    child.say(line);
    assert_eq!(child.hear(), "begins");
    let begun = Instant::now();
    while begun.elapsed() < after {
        std::hint::spin_loop();
    }
    child.kill().iter().any(|line| line == "done")
}

/// A file whose backup has ada alone, and which has ben as well.
fn world() -> World {
    let world = World::new();
    for number in 0..40 {
        let text = format!("{{\"note\": \"{}\"}}", "x".repeat(16_000));
        let new = NewUser::person(format!("fill{number}")).attributes(text);
        world.store.users().create(new).unwrap();
    }
    backs_up(&world);
    world.person("ben");
    world
}

/// Whether the store at that path is the restored one.
#[track_caller]
fn is_restored(store: &Store) -> bool {
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    store.users().find_by_username("ben").unwrap().is_none()
}

fn line(what: &str, path: &Path, copy: &Path) -> String {
    format!("{what} {} {}", path.display(), copy.display())
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_store_or_the_restored_one() {
    let mut world = world();
    let ben = world.user_of("ben");
    let restore = line("restore", &world.path, &super::copy(&world));
    let whole = measured(&restore);
    let (mut old, mut new) = (0, 0);
    for number in 0..KILLS {
        world.store = Store::open(&world.path, world.options.clone()).unwrap();
        if is_restored(&world.store) {
            world.person("ben");
        }
        let ben = world.store.users().find_by_username("ben").unwrap().map_or(ben, |ben| ben.id);
        let session = world.open(ben, "till-1");
        let done = killed(&restore, whole * number / KILLS);
        let is_restored = is_restored(&world.store);
        assert!(is_restored || !done, "{number}: a restore was acknowledged and undone");
        assert_eq!(world.passes(&session, "till-1"), !is_restored, "{number}");
        world.reopen();
        assert_eq!(self::is_restored(&world.store), is_restored, "{number}");
        let check: String =
            world.sql().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        if is_restored { new += 1 } else { old += 1 }
    }
    println!("killed {KILLS} times: {old} old stores, {new} restored");
    assert!(old > 0);
}

#[test]
fn a_restore_over_a_damaged_file_that_is_killed_leaves_the_damage_or_the_restored_one() {
    let world = world();
    world.store.close().unwrap();
    let damage = || {
        for entry in fs::read_dir(world.directory()).unwrap().flatten() {
            if entry.file_name().to_str().unwrap().starts_with("auth.db") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        fs::write(&world.path, vec![0x5a; 60_000]).unwrap();
        fs::write(world.directory().join("auth.db-wal"), vec![7; 9_000]).unwrap();
    };
    let restore = line("restore", &world.path, &super::copy(&world));
    damage();
    let whole = measured(&restore);
    let (mut old, mut new) = (0, 0);
    for number in 0..KILLS {
        damage();
        let done = killed(&restore, whole * number / KILLS);
        match Store::open(&world.path, world.options.clone()) {
            Ok(store) => {
                assert!(is_restored(&store), "{number}: a new, empty store");
                assert!(store.users().find_by_username("fill0").unwrap().is_some());
                store.close().unwrap();
                new += 1;
            }
            Err(error) => {
                assert!(!done, "{number}: {error}");
                let kinds = [ErrorKind::NotADatabase, ErrorKind::Corrupt, ErrorKind::Unsafe];
                assert!(kinds.contains(&error.kind()), "{number}: {error}");
                // It is done again.
                Store::restore(super::copy(&world), &world.path, for_tests()).unwrap();
                old += 1;
            }
        }
    }
    println!("killed {KILLS} times: {old} damaged files, {new} restored");
    assert!(old > 0);
}

#[test]
fn a_backup_that_is_killed_is_complete_or_not_there() {
    let world = world();
    let copy = world.directory().join("killed.db");
    let back_up = line("back-up", &world.path, &copy);
    let whole = measured(&back_up);
    let (mut none, mut complete) = (0, 0);
    for number in 0..KILLS {
        for suffix in ["", ".manifest", ".partial", ".manifest.partial", ".partial-journal"] {
            let _ = fs::remove_file(world.directory().join(format!("killed.db{suffix}")));
        }
        let done = killed(&back_up, whole * number / KILLS);
        if !copy.exists() {
            assert!(!done, "{number}");
            none += 1;
            continue;
        }
        let place = world.directory().join(format!("restored-{number}.db"));
        Store::restore(&copy, &place, for_tests()).unwrap();
        complete += 1;
    }
    println!("killed {KILLS} times: {none} without a backup, {complete} with a complete one");
    assert!(none > 0);
}
