//! Transactions between processes: which one waits, for how long, and what it is answered.

use std::time::Duration;

use gatepost::ErrorKind;
use rusqlite::Connection;

use crate::child::{Child, Parent};
use crate::world::World;

/// Begins a write by plain SQL and ends it when the parent says so.
pub(crate) fn hold_the_write_lock(parent: &mut Parent, words: &[String]) {
    let connection = Connection::open(&words[0]).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    parent.say("held");
    parent.hear();
    connection.execute_batch("ROLLBACK").unwrap();
    parent.say("released");
}

#[test]
fn a_write_waits_for_another_process_and_then_says_how_long() {
    let world = World::new();
    let mut other = Child::start("hold the write lock", &[world.path.to_str().unwrap()]);
    assert_eq!(other.hear(), "held");
    let refused = world.store.organisations().create("Northern").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(refused.is_retryable());
    let said = refused.to_string();
    let waited = said.split("after waiting ").nth(1).and_then(|rest| rest.split(' ').next());
    let waited: u64 = waited.unwrap().parse().unwrap();
    assert!((4_500..8_000).contains(&waited), "{said}");
    // Reads go on all the while.
    assert_eq!(world.count("SELECT count(*) FROM organisation"), 0);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());

    other.say("release");
    assert_eq!(other.hear(), "released");
    world.store.organisations().create("Northern").unwrap();
    other.end();
}
