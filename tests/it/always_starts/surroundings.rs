//! The process that opens the store and the others on the machine.

use std::sync::Arc;
use std::time::Duration;

use gatepost::host::{Clock, ManualClock};
use gatepost::{ErrorKind, Store, Timestamp};

use super::scene::{Scene, Skip};
use super::{Meets, State};
use crate::child::{Child, Parent};
use crate::world::{for_tests, morning};

const BUSY: Meets = Meets::Refused(
    ErrorKind::Busy,
    "Try again in a moment; another program or thread is using the file.",
);

/// Keeps the file open as a scanner or a backup program does: read, and locked if asked.
pub(crate) fn scan(parent: &mut Parent, words: &[String]) {
    let [path, locked] = words else { panic!("the path, and whether locked") };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    if locked == "locked" {
        let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::fcntl_lock(&file, lock).unwrap();
    }
    parent.say("held");
    parent.hear();
}

fn scanned(scene: &mut Scene, suffix: &str, locked: &str) {
    let path = scene.beside(suffix);
    let mut scanner = Child::start("scan", &[path.to_str().unwrap(), locked]);
    assert_eq!(scanner.hear(), "held");
    scene.stays(scanner);
}

/// The store was opened and closed once under a clock that shows something else.
fn under_the_clock_of(scene: &Scene, seconds: i64) -> Result<(), Skip> {
    let clock = ManualClock::new(morning());
    let now = Timestamp::from_millis(seconds * 1_000);
    match now.duration_since(clock.now()) {
        Duration::ZERO => clock.set(now),
        ahead => clock.advance(ahead),
    }
    let store = Store::open(&scene.path, for_tests().clock(Arc::new(clock))).unwrap();
    store.close().unwrap();
    Ok(())
}

pub(super) const STATES: &[State] = &[
    State {
        name: "it was opened while the clock showed 1970",
        meets: Meets::Opens(&[]),
        set_up: |scene| under_the_clock_of(scene, 0),
    },
    State {
        name: "it was opened while the clock showed 2999",
        meets: Meets::Opens(&[]),
        set_up: |scene| under_the_clock_of(scene, 32_472_144_000),
    },
    State {
        name: "another process has it open and writes",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let writer = scene.writer();
            scene.stays(writer);
            Ok(())
        },
    },
    State {
        name: "another process holds it for itself alone",
        meets: BUSY,
        set_up: |scene| {
            let other = scene.plain("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT");
            scene.stays(other);
            Ok(())
        },
    },
    State {
        name: "another process writes, and does not end",
        meets: BUSY,
        set_up: |scene| {
            let other = scene.plain("BEGIN EXCLUSIVE; UPDATE organisation SET name = 'no'");
            scene.stays(other);
            Ok(())
        },
    },
    State {
        name: "a scanner has the file and its log open",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.killed();
            for suffix in ["", "-wal", "-shm"] {
                scanned(scene, suffix, "");
            }
            Ok(())
        },
    },
    State {
        name: "a program for backups has locked the file",
        meets: BUSY,
        set_up: |scene| {
            scanned(scene, "", "locked");
            Ok(())
        },
    },
    State {
        name: "the process may open few files",
        meets: Meets::Refused(
            ErrorKind::Io,
            "Raise the number of files that this program may have open.",
        ),
        set_up: |scene| {
            scene.opened_after("ulimit -n 6");
            Ok(())
        },
    },
    State {
        name: "standard input, output and errors are closed",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.said_in = Some(scene.directory.with_file_name("said"));
            scene.opened_after("exec <&- >&- 2>&-");
            Ok(())
        },
    },
    State {
        name: "the process may have little memory",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.opened_after("ulimit -v 300000");
            Ok(())
        },
    },
    State {
        name: "the process masks nothing, and there is no file yet",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.empties();
            scene.opened_after("umask 000");
            Ok(())
        },
    },
    State {
        name: "the process masks everything, and there is no file yet",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.empties();
            scene.opened_by_a_stranger()?;
            scene.opened_after("umask 777");
            Ok(())
        },
    },
    State {
        name: "the working directory of the process was deleted",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let gone = scene.directory.with_file_name("gone");
            let gone = gone.to_str().unwrap();
            scene.opened_after(&format!("mkdir {gone} && cd {gone} && rmdir {gone}"));
            Ok(())
        },
    },
];
