//! kill -9 at every call of every operation: either all that it writes is there or nothing.
//!
//! Without a fault the calls of an operation are counted; then the process is killed at the first,
//! at the second, and so on, and each time the file is opened again. A bench that has not killed
//! exactly as often as it had counted fails.

use std::mem;
use std::path::Path;

use crate::operation::{self, Operation, WITH_COPIES};
use crate::place::Place;
use crate::process::{Child, End, Voice};
use crate::scene::Scene;
use crate::shim::{self, Blow, CHANGING, Plan};
use crate::tally::{Tally, in_lanes, of_lane};
use crate::trial::{attempt, every, reopened, undisturbed};

/// Every `count`th call, beginning with another one for each operation and seed; 1 is every call.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    of_operations(Operation::writes, count, seed)
}

/// The same for the operations alone that revoke: sessions, keys and one-time tokens pass before
/// and none of them passes after, at whatever call the process was killed.
pub(crate) fn run_ends(count: u64, seed: u64) -> Tally {
    of_operations(|operation| !operation.ends().is_empty(), count, seed)
}

/// The same for a backup and for a restore: the file is the old store or the restored one.
pub(crate) fn run_copies(count: u64, seed: u64) -> Tally {
    kill_each(&WITH_COPIES.iter().collect::<Vec<_>>(), count, seed)
}

fn of_operations(is_meant: fn(&Operation) -> bool, count: u64, seed: u64) -> Tally {
    let operations: Vec<&Operation> =
        operation::all().filter(|operation| is_meant(operation)).collect();
    kill_each(&operations, count, seed)
}

fn kill_each(operations: &[&Operation], count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    in_lanes(operations.len() as u64, |lane, _, tally| {
        let place = Place::new("calls");
        let path = place.file("auth.db");
        for (n, operation) in of_lane(lane, operations) {
            let killed = each_call(operation, &scene, &path, count, seed - 1 + 5 * n as u64);
            tally.add("kills, each at another call", killed);
            tally.one("operations");
        }
    })
}

fn each_call(operation: &Operation, scene: &Scene, path: &Path, step: u64, start: u64) -> u64 {
    let plan = |at| Plan { calls: CHANGING, at, for_ever: false, blow: Blow::Kill };
    let known = undisturbed(operation, scene, path, plan(0));
    let (ends, mut killed) = (operation.ends(), 0);
    // One more than there are, at which no process is killed.
    for at in every(step, known.calls, start).chain([known.calls + 1]) {
        scene.lay(operation.start, path);
        let job = |voice: &Voice| {
            shim::install();
            let (store, answer) = attempt(operation, scene, path, plan(at));
            mem::forget(store);
            answer.unwrap();
            voice.say("done");
        };
        let (said, end) = Child::fork(job).end();
        let seen = reopened(scene, path);
        let place = format!("{} killed at call {at} of {}", operation.name, known.calls);
        assert!(known.states.contains(&seen), "{place}: {seen:?} of {:?}", known.states);
        let mut passing = scene.of(&ends, seen.passes());
        let first = passing.next();
        assert!(passing.all(|one| Some(one) == first), "{place}: some of {:?}", ends);
        if at > known.calls {
            assert_eq!((said, end), (vec!["done".to_owned()], End::Well), "{place}");
            assert_eq!(Some(&seen), known.states.last(), "{place}");
        } else {
            assert_eq!(end, End::Signal(libc::SIGKILL), "{place}");
            killed += 1;
        }
    }
    let planned = every(step, known.calls, start).count();
    assert_eq!(killed, planned as u64, "{}: not killed at each call", operation.name);
    killed
}
