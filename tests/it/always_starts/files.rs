//! States of the path: nothing there, another file, or a part of a store.

use std::fs;

use gatepost::ErrorKind;

use super::{Meets, State};
use crate::child::Child;

const SOMETHING_ELSE: Meets =
    Meets::Refused(ErrorKind::NotADatabase, "Check the path: the file there is something else.");
const ANOTHERS: Meets =
    Meets::Refused(ErrorKind::NotOurs, "Check the path: the file belongs to another application.");
pub(super) const DAMAGED: Meets =
    Meets::Refused(ErrorKind::Corrupt, "Stop using this file and restore a verified backup.");

pub(super) const STATES: &[State] = &[
    State {
        name: "no file",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.empties();
            Ok(())
        },
    },
    State {
        name: "a file of zero bytes",
        meets: Meets::Begins,
        set_up: |scene| {
            scene.holds("");
            Ok(())
        },
    },
    State {
        name: "a text file",
        meets: SOMETHING_ELSE,
        set_up: |scene| {
            scene.holds("Dear diary, ".repeat(500));
            Ok(())
        },
    },
    State {
        name: "a text file of three letters",
        meets: SOMETHING_ELSE,
        set_up: |scene| {
            scene.holds("abc");
            Ok(())
        },
    },
    State {
        name: "a file of zeros",
        meets: SOMETHING_ELSE,
        set_up: |scene| {
            scene.holds([0; 8_192]);
            Ok(())
        },
    },
    State {
        name: "the log of a store, opened in place of its file",
        meets: SOMETHING_ELSE,
        set_up: |scene| {
            scene.killed();
            fs::rename(&scene.path, scene.directory.join("other.db")).unwrap();
            fs::rename(scene.beside("-wal"), &scene.path).unwrap();
            fs::remove_file(scene.beside("-shm")).unwrap();
            Ok(())
        },
    },
    State {
        name: "another application's database",
        meets: ANOTHERS,
        set_up: |scene| {
            scene.empties();
            scene.script("PRAGMA application_id = 7; CREATE TABLE t (a)");
            Ok(())
        },
    },
    State {
        name: "a database that names no application",
        meets: ANOTHERS,
        set_up: |scene| {
            scene.empties();
            scene.script("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
            Ok(())
        },
    },
    State {
        name: "another application's database, in UTF-16 and with large pages",
        meets: ANOTHERS,
        set_up: |scene| {
            scene.empties();
            scene.script(
                "PRAGMA encoding = 'UTF-16'; PRAGMA page_size = 65536; CREATE TABLE t (a)",
            );
            Ok(())
        },
    },
    State {
        name: "another application's database, while it is in use",
        meets: ANOTHERS,
        set_up: |scene| {
            scene.empties();
            let other = scene.plain("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
            scene.stays(other);
            Ok(())
        },
    },
    State {
        name: "the first 100 bytes of a store",
        meets: DAMAGED,
        set_up: |scene| {
            scene.holds(&scene.bytes()[..100]);
            Ok(())
        },
    },
    State {
        name: "the first 99 bytes of a store",
        meets: SOMETHING_ELSE,
        set_up: |scene| {
            scene.holds(&scene.bytes()[..99]);
            Ok(())
        },
    },
    State {
        name: "a store cut off in the middle",
        meets: DAMAGED,
        set_up: |scene| {
            let bytes = scene.bytes();
            scene.holds(&bytes[..bytes.len() / 2]);
            Ok(())
        },
    },
    State {
        name: "a store with noise behind its end",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let mut bytes = scene.bytes();
            bytes.extend([0xA5; 5_000]);
            scene.holds(bytes);
            Ok(())
        },
    },
    State {
        name: "a store whose schema is noise",
        meets: DAMAGED,
        set_up: |scene| {
            let mut bytes = scene.bytes();
            bytes[100..4_096].fill(0x5A);
            scene.holds(bytes);
            Ok(())
        },
    },
    State {
        name: "a store with pages of 512 bytes",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.script("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM");
            Ok(())
        },
    },
    State {
        name: "a store with pages of 64 KiB",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.script("PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM");
            Ok(())
        },
    },
    State {
        name: "a store that was taken out of WAL mode",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            scene.script("PRAGMA journal_mode = DELETE");
            Ok(())
        },
    },
    State {
        name: "a copy of the file alone, taken while it was in use",
        meets: Meets::Opens(&[]),
        set_up: |scene| {
            let writer = Child::start("write", &[scene.path.to_str().unwrap()]);
            let copy = scene.directory.join("copy.db");
            fs::copy(&scene.path, &copy).unwrap();
            scene.stays(writer);
            scene.path = copy;
            Ok(())
        },
    },
];
