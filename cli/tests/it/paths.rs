//! Paths that are not UTF-8: what was done on one is reported as done, and the path as far as text
//! can show it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::world::{Ran, World};

/// The word with a byte that is never in UTF-8 in the place of each `%`.
fn odd(word: &str) -> OsString {
    OsString::from_vec(word.bytes().map(|b| if b == b'%' { 0xff } else { b }).collect())
}

fn path(world: &World, name: &str) -> PathBuf {
    world.directory().join(odd(name))
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
fn ok(world: &World, line: &str) -> String {
    let mut command = world.command(&[]);
    command.args(line.split(' ').map(odd)).stdin(Stdio::null());
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, 0, "{line}: {ran:?}");
    ran.out
}

/// Once the file was there, and the command ended by a panic or said that the store is unusable.
#[test]
fn what_was_done_on_a_path_that_is_not_utf_8_is_reported_as_done() {
    for json in ["", " --json"] {
        let world = World::empty();
        for (line, shown) in [
            ("key-file create k%.key 2026-11", "path"),
            ("init --preset server --file a%.db", "path"),
            ("man m%", "directory"),
            ("backup b%.db --file a%.db", "path"),
            ("export --to e%.jsonl --file a%.db", "path"),
            ("restore b%.db --yes --file a%.db", "replaced"),
            ("doctor --quick --file a%.db", "findings"),
        ] {
            let out = ok(&world, &format!("{line}{json}"));
            if !json.is_empty() {
                let row: Value = serde_json::from_str(&out).unwrap();
                assert!(row.get(shown).is_some(), "{line}: {out}");
                let is_named = shown == "path" || shown == "directory";
                assert_eq!(row[shown].to_string().contains('\u{fffd}'), is_named, "{line}: {out}");
            }
        }
        fs::write(path(&world, "a%.db"), "a text, and no database").unwrap();
        let out = ok(&world, &format!("restore b%.db --yes --file a%.db{json}"));
        assert!(out.contains('\u{fffd}') && out.contains("damaged"), "{out}");
    }
}

/// Once the backup of another name was counted, and the command failed after its own was written.
#[test]
fn a_backup_is_deleted_by_the_bytes_of_its_name() {
    let world = World::new();
    let times = ["20260101T000000Z", "20260102T000000Z"];
    let other = |ending: &str| {
        let name = [&b"copy\xfe.db."[..], ending.as_bytes()].concat();
        world.directory().join(OsString::from_vec(name))
    };
    for time in times {
        for ending in ["", ".manifest"] {
            fs::write(path(&world, &format!("copy%.db.{time}{ending}")), "x").unwrap();
            fs::write(other(&format!("{time}{ending}")), "x").unwrap();
        }
    }
    ok(&world, "backup copy%.db --keep 2");
    assert!(!path(&world, "copy%.db.20260101T000000Z").exists());
    assert!(path(&world, "copy%.db.20260102T000000Z").exists());
    assert!(times.iter().all(|time| other(time).exists()));
}
