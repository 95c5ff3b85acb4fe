//! No file of a store is anyone's but its owner's, at any instant of its life (I18).

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use gatepost::{Store, Subtree};

use super::Place;
use crate::child::{Child, Parent};
use crate::world::for_tests;

/// The files beside a store at one time or another.
const KINDS: [&str; 5] = ["", "-wal", "-shm", "-journal", "-reserve"];
const ROUNDS_MAX: usize = 400;

/// The whole life of a store for each line: made, written to until its log is moved, closed and
/// opened again.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let value = "x".repeat(16_000);
    while let Some(name) = parent.hear() {
        let path = Path::new(&words[0]).join(name);
        for writes in [130, 1] {
            let store = Store::open(&path, for_tests().disk_reserve(64 * 1_024)).unwrap();
            for turn in 0..writes {
                let value = format!("{value}{turn}");
                store.configuration().set(Subtree::Store, "desk.rows", &value).unwrap();
            }
            store.close().unwrap();
        }
        parent.say("lived");
    }
}

/// Looks at each file of the directory once, and notes which kinds there were.
fn look(directory: &Path, seen: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let mode = match fs::symlink_metadata(entry.path()) {
            Ok(found) => found.mode() & 0o7777,
            // Some are there for a moment only.
            Err(gone) if gone.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{error}"),
        };
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(mode & !0o600, 0, "{name} is {mode:o}");
        seen.insert(name.split_once(".db").unwrap().1.to_owned());
    }
}

#[test]
fn no_file_is_anyones_but_its_owners_at_any_instant_of_a_stores_life() {
    for mask in ["000", "022"] {
        let place = Place::new();
        let directory = place.directory.path();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {mask} && exec \"$@\""), "sh"]);
        let lives = Child::command("live", &[directory.to_str().unwrap()]);
        let mut child = Child::started(command.arg(lives.get_program()).args(lives.get_args()));
        let (is_over, over) = mpsc::channel::<()>();
        let (say_seen, hear_seen) = mpsc::channel();
        let rounds = thread::scope(|scope| {
            let looks = scope.spawn(move || {
                let mut seen = BTreeSet::new();
                while over.try_recv() == Err(TryRecvError::Empty) {
                    let before = seen.len();
                    look(directory, &mut seen);
                    if seen.len() > before {
                        say_seen.send(seen.len()).unwrap();
                    }
                }
                seen
            });
            let (mut round, mut kinds) = (0, 0);
            // Until each kind was caught, the shortest-lived as well.
            while kinds < KINDS.len() && round < ROUNDS_MAX && !looks.is_finished() {
                child.say(&format!("{round}.db"));
                assert_eq!(child.hear(), "lived");
                round += 1;
                kinds = hear_seen.try_iter().last().unwrap_or(kinds);
            }
            drop(is_over);
            let seen = looks.join().unwrap();
            assert_eq!(seen, KINDS.map(str::to_owned).into(), "after {round} rounds");
            round
        });
        println!("mask {mask}: each kind was seen within {rounds} stores");
        child.end();
    }
}
