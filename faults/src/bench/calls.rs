//! kill -9 at every call of every deed: of what it writes all is there or nothing.
//!
//! Without a fault the calls of a deed are counted; then the process is killed at the first, at the
//! second, and so on, and each time the file is opened anew. A bench that has not killed exactly as
//! often as it had counted fails.

use std::mem;
use std::path::Path;

use crate::deed::{DEEDS, Deed};
use crate::place::Place;
use crate::process::{Child, End, Voice};
use crate::scene::Scene;
use crate::shim::{self, Blow, CHANGING, Plan};
use crate::tally::{Tally, in_lanes, of_lane};
use crate::trial::{attempt, every, reopened, undisturbed};

/// Every `count`th call, beginning with another one for each deed and seed; 1 is every call.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    of_deeds(Deed::writes, count, seed)
}

/// The same for the deeds alone that end all that somebody has: sessions, keys and what is pending
/// pass before and none of them passes after, at whatever call the process was killed.
pub(crate) fn run_ends(count: u64, seed: u64) -> Tally {
    of_deeds(|deed| !deed.ends().is_empty(), count, seed)
}

fn of_deeds(is_meant: fn(&Deed) -> bool, count: u64, seed: u64) -> Tally {
    let scene = Scene::build(seed);
    let deeds: Vec<&Deed> = DEEDS.iter().filter(|deed| is_meant(deed)).collect();
    in_lanes(deeds.len() as u64, |lane, _, tally| {
        let place = Place::new("calls");
        let path = place.file("auth.db");
        for (n, deed) in of_lane(lane, &deeds) {
            let killed = each_call(deed, &scene, &path, count, seed - 1 + 5 * n as u64);
            tally.add("kills, each at another call", killed);
            tally.one("deeds");
        }
    })
}

fn each_call(deed: &Deed, scene: &Scene, path: &Path, step: u64, start: u64) -> u64 {
    let plan = |at| Plan { calls: CHANGING, at, for_ever: false, blow: Blow::Kill };
    let known = undisturbed(deed, scene, path, plan(0));
    let (ends, mut killed) = (deed.ends(), 0);
    // One more than there are, which kills nobody.
    for at in every(step, known.calls, start).chain([known.calls + 1]) {
        scene.lay(deed.start, path);
        let job = |voice: &Voice| {
            shim::install();
            let (store, answer) = attempt(deed, scene, path, plan(at));
            mem::forget(store);
            answer.unwrap();
            voice.say("done");
        };
        let (said, end) = Child::fork(job).end();
        let seen = reopened(scene, path);
        let place = format!("{} killed at call {at} of {}", deed.name, known.calls);
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
    assert_eq!(killed, planned as u64, "{}: not killed at each call", deed.name);
    killed
}
