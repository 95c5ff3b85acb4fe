//! Processes that open a file while a restore puts another one in its place.
#![cfg(target_os = "linux")]

use std::fmt;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gatepost::backup::RestoreReport;
use gatepost::host::Clock;
use gatepost::{Store, Timestamp};

use super::place::{closed, has_ada_alone};
use super::{copy, restores};
use crate::child::Child;
use crate::world::{World, morning};

type Job = Box<dyn FnOnce() + Send>;

/// A clock that runs a job when it is first read. A restore over a damaged file first reads it
/// after it has locked the file, and before it replaces it.
struct Stop(Mutex<Option<Job>>);

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

impl Clock for Stop {
    fn now(&self) -> Timestamp {
        if let Some(job) = self.0.lock().unwrap().take() {
            job();
        }
        morning()
    }
}

/// Restores while the files are locked by the restore, and meanwhile runs the job.
#[track_caller]
fn restores_around(world: &World, job: impl FnOnce() + Send + 'static) -> RestoreReport {
    let stop = Stop(Mutex::new(Some(Box::new(job))));
    let options = world.options.clone().clock(Arc::new(stop));
    Store::restore(copy(world), &world.path, options).unwrap()
}

/// As [`restores_around`], with a process that begins meanwhile and then waits for the file.
#[track_caller]
fn beside(world: &World, begin: impl FnOnce() -> Child + Send + 'static) -> Child {
    let (give, take) = std::sync::mpsc::channel();
    let path = world.path.canonicalize().unwrap_or_else(|_| world.path.clone());
    restores_around(world, move || {
        let mut child = begin();
        child.opens(&path);
        give.send(child).unwrap();
    });
    take.recv().unwrap()
}

/// What a test does to the file of a closed store.
type Damage = fn(&World);

/// A page of an index that no opening reads.
fn noise(world: &World) {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_user'";
    let root = world.count(sql).unsigned_abs();
    let file = fs::OpenOptions::new().write(true).open(&world.path).unwrap();
    file.write_all_at(&[0x55; 600], root * 4_096 - 600).unwrap();
}

fn lost(world: &World) {
    fs::remove_file(&world.path).unwrap();
    fs::write(log(world), vec![7; 9_000]).unwrap();
}

fn log(world: &World) -> PathBuf {
    world.directory().join("auth.db-wal")
}

/// It has opened the old file, whose log would be beside the restored one: what it acknowledged
/// would be lost, and the restored file damaged.
#[test]
fn a_process_that_waited_for_a_file_that_was_replaced_does_not_go_on_with_it() {
    let damages: [(&str, Damage); 4] = [
        ("noise in an index", noise),
        ("a page of zeros", |world| {
            let file = fs::OpenOptions::new().write(true).open(&world.path).unwrap();
            file.write_all_at(&[0; 4_096], 5 * 4_096).unwrap();
        }),
        ("empty", |world| fs::write(&world.path, "").unwrap()),
        ("a lost file, and its log", lost),
    ];
    for (what, damage) in damages {
        let mut world = closed();
        damage(&world);
        let (path, log) = (world.path.to_str().unwrap().to_owned(), log(&world));
        let mut other = beside(&world, move || {
            // Otherwise the process would be refused because of the log.
            let _ = fs::remove_file(log);
            Child::start("open", &[&path])
        });
        assert_eq!(other.hear(), "Busy", "{what}");
        other.end();
        has_ada_alone(&mut world);
    }
}

/// It would move the restored store aside, as if that was the damaged one.
#[test]
fn a_restore_that_waited_for_another_one_does_not_replace_what_that_restored() {
    let mut world = closed();
    noise(&world);
    let line = format!("try-to-restore {} {}", world.path.display(), copy(&world).display());
    let mut other = beside(&world, move || {
        let mut child = Child::start("back up or restore", &[]);
        child.say(&line);
        child
    });
    assert_eq!(other.hear(), "Err(Busy)");
    has_ada_alone(&mut world);
}

/// SQLite deletes the log beside an empty file, and by then that is the log of the restored one.
#[test]
fn an_empty_file_that_was_replaced_is_not_empty_any_more_for_a_process_that_has_it_open() {
    let mut world = closed();
    fs::write(&world.path, "").unwrap();
    let path = world.path.canonicalize().unwrap();
    let mut other = Child::start("scan", &[path.to_str().unwrap(), "open"]);
    assert_eq!(other.hear(), "held");
    restores(&world);
    let [descriptor] = &other.descriptors(&path)[..] else { panic!("one descriptor") };
    assert!(fs::metadata(descriptor).unwrap().len() > 0);
    has_ada_alone(&mut world);
}
