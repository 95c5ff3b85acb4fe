//! What goes on around a store: checkpoints, logs that begin again, kills, and clocks that spring.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gatepost::Timestamp;
use gatepost::host::Clock;

use super::cast::Cast;
use super::{Other, plain_sql};
use crate::child::{Child, Parent};
use crate::world::{is_cache_on, morning};

/// What another process does meanwhile, line by line; it ends nothing.
const WEATHERS: &[&[&str]] = &[
    &["sql PRAGMA wal_checkpoint(PASSIVE)"],
    &["sql PRAGMA wal_checkpoint(FULL)"],
    &["sql PRAGMA wal_checkpoint(RESTART)"],
    &["sql PRAGMA wal_checkpoint(TRUNCATE)"],
    // The next write begins the log again.
    &["sql PRAGMA wal_checkpoint(RESTART)", "sql UPDATE store SET last_group = randomblob(16)"],
    &["sql PRAGMA wal_checkpoint(TRUNCATE)", "sql UPDATE store SET last_group = randomblob(16)"],
    &["sql VACUUM"],
    // A store that was opened and closed.
    &["nothing", "nothing"],
    &["killed"],
    &["torn"],
    &["killed", "sql PRAGMA wal_checkpoint(TRUNCATE)", "torn", "nothing"],
];

/// Revocations of all users, of some, of one; by a store and by plain SQL.
const OPERATIONS: &[(&str, &str)] = &[
    ("log-out !ada1", "ada1"),
    ("end-all-of-branch @york", "ada1 ada2 bob1"),
    ("end-all", "ada1 ada2 bob1 cyd1 brief"),
    ("sql DELETE FROM session WHERE id = #bob1", "bob1"),
];

#[test]
fn checkpoints_resets_and_kills_end_nothing_and_hide_nothing() {
    let mut other = Other::new();
    for (n, weather) in WEATHERS.iter().enumerate() {
        for is_seen in [false, true] {
            let (operation, ended) = OPERATIONS[(n + usize::from(is_seen)) % OPERATIONS.len()];
            let cast = Cast::new(|options| options);
            cast.is_cached();
            for line in *weather {
                match *line {
                    "killed" => is_killed_in_a_transaction(&cast),
                    "torn" => {
                        let mut hand = Hand::new(&cast);
                        hand.tear_the_header();
                        hand.end();
                    }
                    line => other.does(&cast, line),
                }
            }
            let after = format!("{weather:?} and {operation}");
            if is_seen {
                cast.are_refused("", &after);
                assert_eq!(cast.is_remembered("cyd1"), is_cache_on(), "{after}");
            }
            other.does(&cast, operation);
            cast.are_refused(ended, &after);
        }
    }
    other.0.end();
}

/// Everything is deleted, some of it already in the log, and never committed.
fn is_killed_in_a_transaction(cast: &Cast) {
    let mut victim = Child::start("plain SQL", &[cast.world.path.to_str().unwrap()]);
    victim.say(
        "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE; DELETE FROM session; \
         CREATE TABLE ballast (bytes); INSERT INTO ballast VALUES (randomblob(300000)); \
         DELETE FROM api_key",
    );
    assert_eq!(victim.hear(), "done");
    victim.kill();
}

/// Another process, which runs plain SQL and changes the wal-index.
pub(super) struct Hand(Child);

impl Hand {
    pub(super) fn new(cast: &Cast) -> Self {
        Self(Child::start("meddle", &[cast.world.path.to_str().unwrap()]))
    }

    #[track_caller]
    fn ask(&mut self, line: &str) -> u32 {
        self.0.say(&line.replace('\n', " "));
        self.0.hear().parse().unwrap()
    }

    pub(super) fn sql(&mut self, script: &str) {
        self.ask(&format!("sql {script}"));
    }

    /// The count of changes in the wal-index.
    pub(super) fn changes(&mut self) -> u32 {
        self.ask("changes")
    }

    /// Leaves the wal-index as a process does that is killed while it writes it.
    pub(super) fn tear_the_header(&mut self) {
        self.ask("tear");
    }

    pub(super) fn end(self) {
        self.0.end();
    }
}

/// Where the first copy of the header counts changes, and where the second one does.
const CHANGES: [u64; 2] = [8, 56];

/// What a [`Hand`] does.
pub(crate) fn meddle(parent: &mut Parent, words: &[String]) {
    let shared = PathBuf::from(format!("{}-shm", words[0]));
    let shared = File::options().read(true).write(true).open(shared).unwrap();
    while let Some(line) = parent.hear() {
        let mut count = [0; 4];
        if let Some(script) = line.strip_prefix("sql ") {
            // Closed at once; this process needs none of its locks.
            plain_sql(&words[0]).execute_batch(script).unwrap();
        } else if line == "tear" {
            shared.write_all_at(&[0xff; 4], CHANGES[1]).unwrap();
        } else {
            shared.read_exact_at(&mut count, CHANGES[0]).unwrap();
        }
        parent.say(&u32::from_ne_bytes(count).to_string());
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A clock that does not move and, once it is set, does something the next time it is read: verify
/// reads it between its SELECT and what it caches of it.
#[derive(Clone, Default)]
pub(super) struct Trap(Arc<Mutex<Option<Job>>>);

impl Trap {
    pub(super) fn springs(&self, job: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(job));
    }

    pub(super) fn has_sprung(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        let job = self.0.lock().unwrap().take();
        if let Some(job) = job {
            job();
        }
        morning()
    }
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trap")
    }
}
