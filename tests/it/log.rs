//! The write-ahead log stays short, whatever other processes read meanwhile (I22).

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gatepost::Subtree;
use rusqlite::Connection;

use crate::child::{Child, Parent};
use crate::world::World;

const MIB: u64 = 1_024 * 1_024;
/// What is kept of it, and how long it becomes before readers are waited for.
const KEPT: u64 = 4 * MIB;
const LONG: u64 = 8 * MIB;

/// How many of them read at any time.
const READERS: usize = 4;
/// A read that takes about a millisecond.
const A_WHILE: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
     WHERE i < 1000) SELECT max(i) FROM n";

/// Reads in turns: each read begins before the oldest one ends, so that one is always open.
/// On the order to hold, it ends none until the order to go on.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let begin = || {
        let reader = Connection::open(&words[0]).unwrap();
        reader.busy_timeout(Duration::from_secs(5)).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM setting").unwrap();
        reader
    };
    let (said, orders) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut held: VecDeque<_> = (0..READERS).map(|_| begin()).collect();
            let mut holds = false;
            loop {
                let order = if holds { orders.recv().ok() } else { orders.try_recv().ok() };
                match order.as_deref() {
                    Some("hold") => holds = true,
                    Some("go on") => holds = false,
                    Some("let go") => break,
                    _ => {
                        held[0].execute_batch(A_WHILE).unwrap();
                        held.push_back(begin());
                        held.pop_front();
                    }
                }
            }
            drop(held);
        });
        parent.say("reads");
        while let Some(order) = parent.hear() {
            let last = order == "let go";
            said.send(order).unwrap();
            if last {
                break;
            }
        }
    });
    parent.say("has let go");
}

struct Desk {
    world: World,
    written: u32,
}

impl Desk {
    fn new() -> Self {
        Self { world: World::new(), written: 0 }
    }

    fn write(&mut self) {
        self.written += 1;
        let value = format!("{} {}", self.written, "x".repeat(16_000));
        self.world.store.configuration().set(Subtree::Store, "desk.rows", &value).unwrap();
    }

    /// The length, which the file system and the store report alike.
    fn log_bytes(&self) -> u64 {
        let log = self.world.directory().join("auth.db-wal");
        let bytes = std::fs::metadata(log).unwrap().len();
        assert_eq!(self.world.store.status().log_bytes, bytes);
        bytes
    }
}

#[test]
fn a_log_that_another_process_held_is_cut_back_once_it_lets_go() {
    let mut desk = Desk::new();
    let mut reader = Child::start("read in turns", &[desk.world.path.to_str().unwrap()]);
    assert_eq!(reader.hear(), "reads");
    reader.say("hold");
    while desk.log_bytes() < 2 * LONG {
        // No write is refused, however long the log is in use.
        desk.write();
    }
    reader.say("let go");
    assert_eq!(reader.hear(), "has let go");
    for _ in 0..2 {
        desk.write();
    }
    assert!(desk.log_bytes() <= KEPT, "{} bytes", desk.log_bytes());
    reader.end();
}

/// If the writer did not wait, one of the readers would always use the log, and it would grow for
/// as long as they read.
#[test]
fn a_log_stays_short_while_another_process_reads_without_a_pause() {
    let mut desk = Desk::new();
    let mut reader = Child::start("read in turns", &[desk.world.path.to_str().unwrap()]);
    assert_eq!(reader.hear(), "reads");
    let (mut longest, mut cuts) = (0, 0);
    while cuts < 3 {
        desk.write();
        let bytes = desk.log_bytes();
        cuts += u32::from(bytes < longest);
        longest = if bytes < longest { 0 } else { bytes };
        // A machine that is too busy may let a turn pass, but not all of them.
        assert!(longest < 16 * LONG, "{longest} bytes after {cuts} cuts");
    }
    reader.say("let go");
    assert_eq!(reader.hear(), "has let go");
    reader.end();
}
