//! States of the files beside it: logs and journals that are left over, torn, foreign or not files.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use gatepost::{ErrorKind, Store};

use super::files::DAMAGED;
use super::scene::{Scene, Skip, succeeds};
use super::{Meets, State};
use crate::child::Child;
use crate::world::for_tests;

const ORPHAN: Meets = Meets::Refused(
    ErrorKind::Corrupt,
    "Put the file that this log belongs to back beside it, or, if that file is lost for good, \
     move the log elsewhere.",
);
const FOREIGN: Meets = Meets::Refused(
    ErrorKind::Corrupt,
    "Put the log of this very file back in its place, or, if there was none, move the log that \
     lies there elsewhere.",
);
const NOT_ITS_JOURNAL: Meets = Meets::Refused(
    ErrorKind::Corrupt,
    "Move the journal that lies beside the file elsewhere: it is of a file that was never \
     finished.",
);
const NO_FILE: Meets = Meets::Refused(
    ErrorKind::Unsafe,
    "Move away what lies beside the file under the name of its log, shared memory or journal.",
);

/// Random bytes.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 73 + at / 251) as u8 | 1).collect()
}

/// The log that a killed process leaves, changed.
fn log(scene: &mut Scene, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Skip> {
    scene.killed();
    let mut bytes = fs::read(scene.beside("-wal")).unwrap();
    change(&mut bytes);
    scene.lays("-wal", bytes);
    Ok(())
}

/// The wal-index that a killed process leaves, changed.
fn index(scene: &mut Scene, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Skip> {
    scene.killed();
    let mut bytes = fs::read(scene.beside("-shm")).unwrap();
    change(&mut bytes);
    scene.lays("-shm", bytes);
    Ok(())
}

/// The log of another store, with one write in it.
fn log_of_another() -> Vec<u8> {
    let mut other = Scene::of_another();
    other.killed();
    fs::read(other.beside("-wal")).unwrap()
}

/// Leaves the file as a creation writes it, which writes no mark of a commit and enters WAL mode
/// later.
fn begun(scene: &Scene) {
    scene.script("UPDATE store SET last_group = NULL; PRAGMA journal_mode = DELETE");
}

/// Puts noise into a page of the schema.
fn spoils_schema(scene: &Scene) {
    let mut bytes = scene.bytes();
    let is_of_schema =
        |page: &[u8]| page[0] == 0x0d && page.windows(12).any(|window| window == b"CREATE TABLE");
    let page = bytes.chunks_exact(4_096).position(is_of_schema).unwrap();
    bytes[page * 4_096..][..600].fill(0x55);
    scene.holds(bytes);
}

/// The header of a journal that was begun when the file had so many pages, and nothing behind it.
pub(crate) fn journal(pages: u32) -> Vec<u8> {
    let mut bytes = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0, 7, pages, 512, 4_096] {
        bytes.extend(u32::to_be_bytes(number));
    }
    bytes.resize(512, 0);
    bytes
}

pub(super) const STATES: &[State] = &[
    State {
        name: "a log left by a killed process",
        meets: Meets::Opens(&[]),
        set_up: |scene| log(scene, |_| ()),
    },
    State {
        name: "a log left by a killed process, beside a file with noise in its schema",
        meets: DAMAGED,
        set_up: |scene| {
            scene.killed();
            spoils_schema(scene);
            Ok(())
        },
    },
    State {
        name: "a log whose last frame is torn",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            log(scene, |log| {
                let frame = log[32..32 + 24 + 2_000].to_vec();
                log.extend(frame);
            })
        },
    },
    State {
        name: "a log with noise behind its end",
        meets: Meets::Opens(&[]),
        set_up: |scene| log(scene, |log| log.extend(noise(20_000))),
    },
    State {
        name: "a log without its shared memory",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.killed();
            fs::remove_file(scene.beside("-shm")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a log of zero bytes",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.lays("-wal", "");
            Ok(())
        },
    },
    State {
        name: "a log that is nothing but its header",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let log = log_of_another();
            scene.lays("-wal", &log[..32]);
            Ok(())
        },
    },
    State {
        name: "noise in the place of a log",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.lays("-wal", noise(20_000));
            Ok(())
        },
    },
    State {
        name: "the log of another store",
        meets: FOREIGN,
        set_up: |scene| {
            scene.lays("-wal", log_of_another());
            Ok(())
        },
    },
    State {
        name: "the log of another application",
        meets: FOREIGN,
        set_up: |scene| {
            let other = scene.directory.join("other.db");
            let mut child = Child::start("plain SQL", &[other.to_str().unwrap()]);
            child.say("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
            child.hear();
            child.kill();
            fs::rename(scene.directory.join("other.db-wal"), scene.beside("-wal")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a backup in the place of its store, beside the log of that",
        meets: FOREIGN,
        set_up: |scene| {
            let backup = scene.backup();
            scene.killed();
            scene.empties();
            fs::rename(backup, &scene.path).unwrap();
            Ok(())
        },
    },
    State {
        name: "a log without its file",
        meets: ORPHAN,
        set_up: |scene| {
            scene.killed();
            scene.empties();
            Ok(())
        },
    },
    State {
        name: "a log beside a file of zero bytes",
        meets: ORPHAN,
        set_up: |scene| {
            scene.killed();
            scene.holds("");
            Ok(())
        },
    },
    State {
        name: "shared memory without its file",
        meets: ORPHAN,
        set_up: |scene| {
            scene.empties();
            scene.lays("-shm", [0; 32_768]);
            Ok(())
        },
    },
    State {
        name: "noise in the shared memory",
        meets: Meets::Opens(&[]),
        set_up: |scene| index(scene, |index| *index = noise(32_768)),
    },
    State {
        name: "one wrong bit in the header of the shared memory",
        meets: Meets::Opens(&[]),
        set_up: |scene| index(scene, |index| index[16] ^= 1),
    },
    State {
        name: "shared memory cut to one byte",
        meets: Meets::Opens(&[]),
        set_up: |scene| index(scene, |index| index.truncate(1)),
    },
    State {
        name: "processes killed while they recover the log",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.killed();
            for _ in 0..5 {
                fs::write(scene.beside("-shm"), noise(32_768)).unwrap();
                drop(Child::start("open", &[scene.path.to_str().unwrap()]));
            }
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off before the file had a byte",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.holds("");
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off while its journal was flushed",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.holds("");
            let mut torn = journal(0);
            torn[6..12].fill(0);
            scene.lays("-journal", torn);
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off with its pages half written",
        meets: Meets::Begins,
        set_up: |scene| {
            let mut bytes = scene.bytes();
            bytes[..4_096].fill(0);
            bytes.truncate(30_000);
            scene.holds(bytes);
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off with its header written",
        meets: Meets::Begins,
        set_up: |scene| {
            begun(scene);
            scene.holds(&scene.bytes()[..50_000]);
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off with all of its pages written",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.empties();
            Store::open(&scene.path, for_tests()).unwrap().close().unwrap();
            begun(scene);
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a store beside the journal of a first creation that was cut off",
        meets: NOT_ITS_JOURNAL,
        set_up: |scene| {
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a backup beside the journal of a first creation that was cut off",
        meets: NOT_ITS_JOURNAL,
        set_up: |scene| {
            scene.becomes_backup();
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a damaged store beside the journal of a first creation that was cut off",
        meets: NOT_ITS_JOURNAL,
        set_up: |scene| {
            spoils_schema(scene);
            scene.lays("-journal", journal(0));
            Ok(())
        },
    },
    State {
        name: "a first creation that was cut off, with its journal, and the log of another store",
        meets: NOT_ITS_JOURNAL,
        set_up: |scene| {
            begun(scene);
            scene.lays("-journal", journal(0));
            scene.lays("-wal", log_of_another());
            Ok(())
        },
    },
    State {
        name: "a transaction of another program that was cut off, with its journal",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.script("PRAGMA journal_mode = DELETE");
            let half = "PRAGMA cache_size = 1; PRAGMA foreign_keys = OFF; BEGIN;
                CREATE TABLE ballast (a); INSERT INTO ballast VALUES (randomblob(300000));
                UPDATE organisation SET name = 'no'";
            scene.plain(&half.replace('\n', " ")).kill();
            assert!(scene.beside("-journal").exists());
            Ok(())
        },
    },
    State {
        name: "another application's transaction that was cut off, with its journal",
        meets: Meets::Refused(
            ErrorKind::NotOurs,
            "Check the path: the file belongs to another application.",
        ),
        set_up: |scene| {
            scene.empties();
            scene.script("CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(300000))");
            let half = "PRAGMA cache_size = 1; BEGIN; UPDATE t SET a = randomblob(400000)";
            scene.plain(half).kill();
            assert!(scene.beside("-journal").exists());
            Ok(())
        },
    },
    State {
        name: "noise in the place of a journal",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.lays("-journal", noise(5_000));
            Ok(())
        },
    },
    State {
        name: "a journal without its file",
        meets: ORPHAN,
        set_up: |scene| {
            scene.empties();
            scene.lays("-journal", journal(9));
            Ok(())
        },
    },
    State {
        name: "a journal beside a file of zero bytes",
        meets: ORPHAN,
        set_up: |scene| {
            scene.holds("");
            scene.lays("-journal", journal(9));
            Ok(())
        },
    },
    State {
        name: "a directory in the place of the log",
        meets: NO_FILE,
        set_up: |scene| {
            fs::create_dir(scene.beside("-wal")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a symbolic link in the place of the log",
        meets: NO_FILE,
        set_up: |scene| {
            scene.killed();
            let elsewhere = scene.directory.join("elsewhere");
            fs::rename(scene.beside("-wal"), &elsewhere).unwrap();
            symlink(elsewhere, scene.beside("-wal")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a symbolic link in the place of the journal",
        meets: NO_FILE,
        set_up: |scene| {
            let elsewhere = scene.directory.join("elsewhere");
            fs::write(&elsewhere, journal(9)).unwrap();
            symlink(elsewhere, scene.beside("-journal")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a pipe in the place of the journal",
        meets: NO_FILE,
        set_up: |scene| {
            let mut make = Command::new("mkfifo");
            let made = succeeds(make.arg(scene.beside("-journal")));
            made.then_some(()).ok_or("this system has no mkfifo")
        },
    },
    State {
        name: "a symbolic link to nothing in the place of the journal of a lost file",
        meets: NO_FILE,
        set_up: |scene| {
            scene.empties();
            symlink("nowhere", scene.beside("-journal")).unwrap();
            Ok(())
        },
    },
    State {
        name: "a symbolic link to nothing in the place of the shared memory",
        meets: NO_FILE,
        set_up: |scene| {
            symlink("nowhere", scene.beside("-shm")).unwrap();
            Ok(())
        },
    },
];
