//! Several processes and one file: creation at once, kills, checkpoints in the middle of the
//! opening.

use std::fs;
use std::path::Path;

use gatepost::Store;
use rusqlite::Connection;

use super::Place;
use crate::child::{Child, Parent};
use crate::world::for_tests;

/// Opens the file, says how that went, and keeps it open until the parent says otherwise.
pub(crate) fn open(parent: &mut Parent, words: &[String]) {
    match Store::open(&words[0], for_tests()) {
        Ok(store) => {
            store.organisations().create("from a child").unwrap();
            parent.say("open");
            parent.hear();
        }
        Err(error) => {
            parent.say(&format!("{:?}", error.kind()));
            parent.say(error.advice());
        }
    }
}

/// Writes once for each line, and says how often it has.
pub(crate) fn write(parent: &mut Parent, words: &[String]) {
    let store = Store::open(&words[0], for_tests()).unwrap();
    let mut written = 0;
    while let Some(line) = parent.hear() {
        loop {
            store.organisations().create(&line).unwrap();
            written += 1;
            parent.say(&written.to_string());
            if line != "for ever" {
                break;
            }
        }
    }
}

/// Runs each line as a script on one connection of plain SQL.
pub(crate) fn plain_sql(parent: &mut Parent, words: &[String]) {
    let connection = Connection::open(&words[0]).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    while let Some(script) = parent.hear() {
        connection.execute_batch(&script).unwrap();
        parent.say("done");
    }
}

/// Opens each file that the parent names, writes to it, and says how that went.
pub(crate) fn create_at_once(parent: &mut Parent, _: &[String]) {
    while let Some(path) = parent.hear() {
        let written = Store::open(path, for_tests())
            .and_then(|store| store.organisations().create("from a child"));
        match written {
            Ok(_) => parent.say("written"),
            Err(error) => parent.say(&error.to_string()),
        }
    }
}

/// Lets the file grow and shrink, with a checkpoint after each, until it is killed.
pub(crate) fn grow(parent: &mut Parent, words: &[String]) {
    let connection = Connection::open(&words[0]).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection.execute_batch("CREATE TABLE ballast (bytes BLOB)").unwrap();
    parent.say("begun");
    loop {
        connection
            .execute_batch(
                "INSERT INTO ballast VALUES (randomblob(300000));
                 PRAGMA wal_checkpoint;
                 DELETE FROM ballast;
                 VACUUM;
                 PRAGMA wal_checkpoint;",
            )
            .unwrap();
    }
}

fn count(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0)).unwrap()
}

#[test]
fn processes_that_create_a_file_at_once_share_it() {
    let mut children: Vec<Child> = (0..3).map(|_| Child::start("create at once", &[])).collect();
    for round in 0..15 {
        let place = Place::new();
        for child in &mut children {
            child.say(place.path.to_str().unwrap());
        }
        for child in &mut children {
            assert_eq!(child.hear(), "written", "round {round}");
        }
        assert_eq!(count(&place.path), 3);
    }
    children.into_iter().for_each(Child::end);
}

#[test]
fn what_a_killed_process_had_acknowledged_is_there() {
    let place = Place::ours();
    for _ in 0..5 {
        let before = count(&place.path);
        let mut writer = Child::start("write", &[place.path.to_str().unwrap()]);
        writer.say("for ever");
        let mut acknowledged: i64 = 0;
        while acknowledged < 20 {
            acknowledged = writer.hear().parse().unwrap();
        }
        if let Some(last) = writer.kill().last() {
            acknowledged = last.parse().unwrap();
        }
        let store = place.open(for_tests()).unwrap();
        assert!(store.audit().verify_chain(None).unwrap().is_intact());
        store.close().unwrap();
        let added = count(&place.path) - before;
        assert!((acknowledged..=acknowledged + 1).contains(&added), "{added} of {acknowledged}");
    }
}

#[test]
fn a_look_never_misjudges_a_file_that_grows_and_is_checkpointed() {
    let place = Place::ours();
    let mut grower = Child::start("grow", &[place.path.to_str().unwrap()]);
    assert_eq!(grower.hear(), "begun");
    for _ in 0..300 {
        place.open(for_tests()).unwrap().close().unwrap();
    }
    grower.kill();
    place.open(for_tests()).unwrap().close().unwrap();
}

/// A checkpoint writes page 1 first. Killed after it, the process leaves a file whose header counts
/// pages that are still in the log alone; SQLite calls that damage if it is shown no log.
#[test]
fn a_process_killed_in_the_middle_of_a_checkpoint_leaves_a_file_that_opens() {
    let place = Place::ours();
    let mut other = Child::start("plain SQL", &[place.path.to_str().unwrap()]);
    other.say(
        "PRAGMA wal_autocheckpoint = 0; CREATE TABLE ballast (a);
         INSERT INTO ballast VALUES (randomblob(300000))"
            .replace('\n', " ")
            .as_str(),
    );
    assert_eq!(other.hear(), "done");
    other.kill();

    let log = fs::read(place.beside("-wal")).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let mut frames = log[32..].chunks_exact(24 + page).rev();
    let newest = frames.find(|frame| frame[..4] == [0, 0, 0, 1]).unwrap();
    let mut file = fs::read(&place.path).unwrap();
    file[..page].copy_from_slice(&newest[24..]);
    fs::write(&place.path, &file).unwrap();

    let store = place.open(for_tests()).unwrap();
    store.organisations().create("Southern").unwrap();
    store.close().unwrap();
    assert_eq!(count(&place.path), 2);
}
