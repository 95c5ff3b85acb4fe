//! A medium that becomes read-only at some moment under an open store, and later writable again.
//!
//! The moment is, in turn, each call by which a few operations would change a file. Until the
//! medium can be written again, a logout is done or is an error, and then the session that it
//! should have revoked is refused from memory; every other session passes. Afterwards the store
//! goes on, at most after it was opened again, the denials are in the file, and what was
//! acknowledged still is.

use std::path::Path;

use gatepost::{Error, ErrorKind, NewUser, Store, Subtree};

use crate::place::Place;
use crate::process::{Child, Voice};
use crate::scene::{Scene, Start};
use crate::shim::{self, ALTERING, Blow, Plan};
use crate::store::{is_whole, options, passes};
use crate::tally::{Tally, in_lanes};
use crate::trial::{SEED, every};

/// The users who are logged out, in this order, with the device.
const OUT: &[(&str, &str)] = &[("ada.till", "till"), ("bob.van", "van")];
/// Those that no operation here logs out.
const STAY: &[(&str, Option<&str>)] = &[("ada.desk", Some("desk")), ("key", None)];

/// Every `count`th call, beginning with another one for each seed; 1 is every call.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    // A log of its own must be made in one, and is there in the other.
    let starts = [Start::Closed, Start::Full];
    in_lanes(starts.len() as u64, |lane, _, tally| {
        let start = starts[lane as usize];
        let place = Place::new("medium");
        let path = place.file("auth.db");
        let all = calls(&scene, start, &path);
        for at in every(count, all, seed - 1) {
            scene.lay(start, &path);
            let child = Child::fork(|voice| frozen(&scene, &path, at, voice));
            let said = child.end_well();
            said.iter().for_each(|line| tally.one(line));
            Child::fork(|_| reopened(&scene, &path)).end_well();
            tally.one("moments");
        }
        // Each call of the run, and no fewer.
        assert!(all > 10, "only {all} calls");
    })
}

fn plan(at: u64) -> Plan {
    Plan { calls: ALTERING, at, for_ever: true, blow: Blow::ReadOnly }
}

/// How many there are if nothing is refused.
fn calls(scene: &Scene, start: Start, path: &Path) -> u64 {
    scene.lay(start, path);
    let child = Child::fork(|voice| {
        shim::install();
        let store = Store::open(path, options(SEED)).unwrap();
        shim::arm(plan(0));
        for operation in OPERATIONS {
            operation(scene, &store).unwrap();
        }
        voice.say(shim::disarm().0);
    });
    child.end_well()[0].parse().unwrap()
}

type Operation = fn(&Scene, &Store) -> Result<(), Error>;

/// The logouts are between writes that revoke nothing.
const OPERATIONS: [Operation; 5] = [
    |_, store| store.configuration().set(Subtree::Store, "desk.rows", "1").map(drop),
    |scene, store| log_out(scene, store, 0),
    |_, store| store.users().create(NewUser::person("eve")).map(drop),
    |scene, store| log_out(scene, store, 1),
    |_, store| store.configuration().set(Subtree::Store, "desk.rows", "2").map(drop),
];

fn log_out(scene: &Scene, store: &Store, who: usize) -> Result<(), Error> {
    let (name, on) = OUT[who];
    store.log_out((scene.token(name), &crate::store::device(on))).map(drop)
}

fn frozen(scene: &Scene, path: &Path, at: u64, voice: &Voice) {
    shim::install();
    let options = options(SEED);
    let store = Store::open(path, options.clone()).unwrap();
    shim::arm(plan(at));
    let mut asked = 0;
    for (n, operation) in OPERATIONS.iter().enumerate() {
        let answer = operation(scene, &store);
        let is_end = n % 2 == 1;
        asked += usize::from(is_end);
        let what = if is_end { "logouts" } else { "writes" };
        match &answer {
            Ok(()) => voice.say(format_args!("{what} acknowledged")),
            Err(error) => {
                let reason = error.kind();
                let fits = [ErrorKind::Io, ErrorKind::CommitUnknown, ErrorKind::ReadOnly]
                    .contains(&reason);
                assert!(fits, "operation {n} at {at}: {error:?}");
                voice.say(format_args!("{what} answered {reason:?}"));
            }
        }
        judges(scene, &store, asked);
    }
    let (_, struck) = shim::disarm();
    assert!(struck > 0, "the medium refused nothing at {at}");
    judges(scene, &store, OUT.len());
    // Once more, until it is in the file.
    match store.configuration().set(Subtree::Store, "desk.rows", "3") {
        Ok(_) => voice.say("went on"),
        Err(error) => {
            // Refused, as an earlier commit is in doubt.
            assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
            let again = Store::open(path, options).unwrap();
            again.configuration().set(Subtree::Store, "desk.rows", "3").map(drop).unwrap();
            voice.say("went on when it was opened again");
        }
    }
    assert_eq!(store.status().denied, 0);
    judges(scene, &store, OUT.len());
    store.close().unwrap();
}

/// The sessions whose logout was asked for are refused, and no others are.
fn judges(scene: &Scene, store: &Store, asked: usize) {
    for (n, (name, on)) in OUT.iter().enumerate() {
        assert_eq!(passes(store, scene.token(name), Some(*on)), n >= asked, "{name}");
    }
    for (name, on) in STAY {
        assert!(passes(store, scene.token(name), *on), "{name}");
    }
}

fn reopened(scene: &Scene, path: &Path) {
    let store = Store::open(path, options(SEED)).unwrap();
    judges(scene, &store, OUT.len());
    is_whole(&store, path);
    store.close().unwrap();
}
