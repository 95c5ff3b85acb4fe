//! Out of memory: the Nth allocation of SQLite fails, in every deed.
//!
//! A deed answers with an error or is done; nothing is poisoned by it: with memory again, the same
//! store verifies as it did before, and the file, opened anew, says what the answer said.
//!
//! Without a fault the allocations of a deed are counted; in the long form each one of them fails
//! once alone and once with all that follow. A bench in which not exactly as many have failed as
//! were planned fails, and so does a deed that allocates more often than was counted.

use std::mem;
use std::path::Path;

use crate::deed::{Act, DEEDS, Deed};
use crate::heap;
use crate::place::Place;
use crate::process::{Child, End, Voice};
use crate::scene::{Scene, TOKENS};
use crate::shim::{Blow, Plan};
use crate::store::device;
use crate::tally::{Tally, in_lanes};
use crate::trial::{Known, attempt_with, reopened, undisturbed};

const NONE: Plan = Plan { calls: 0, at: 0, for_ever: false, blow: Blow::Io };

/// Every `count`th allocation, beginning with another one for each seed; 1 is every one.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(1);
    in_lanes(DEEDS.len() as u64, |lane, _, tally| {
        let place = Place::new("memory");
        let path = place.file("auth.db");
        let own = DEEDS.iter().enumerate().filter(|(n, _)| *n as u64 % 2 == lane);
        for (_, deed) in own {
            let known = undisturbed(deed, &scene, &path, NONE);
            let all = count_of(deed, &scene, &path);
            let first = 1 + (seed - 1) % count;
            let mut failed = 0;
            for at in (first..=all).step_by(count as usize) {
                for for_ever in [false, true] {
                    let (answer, struck) = without(deed, &scene, &known, &path, (at, for_ever));
                    let as_planned = if for_ever { struck >= 1 } else { struck == 1 };
                    assert!(as_planned, "{}: allocation {at} failed {struck} times", deed.name);
                    failed += 1;
                    tally.one(format!("answered {answer}"));
                }
            }
            let planned = 2 * (first..=all).step_by(count as usize).count() as u64;
            assert_eq!(failed, planned, "{}: not each allocation has failed", deed.name);
            // One more than there are fails nobody.
            let (answer, struck) = without(deed, &scene, &known, &path, (all + 1, true));
            assert_eq!((answer.as_str(), struck), ("done", 0), "{}: {all} counted", deed.name);
            tally.add("allocations that failed", failed);
            tally.one("deeds");
        }
    })
}

fn count_of(deed: &Deed, scene: &Scene, path: &Path) -> u64 {
    scene.lay(deed.start, path);
    let child = Child::fork(|voice| {
        heap::install();
        let (store, answer) = attempt_with(deed, scene, path, || heap::arm(0, false));
        voice.say(heap::disarm().0);
        answer.unwrap();
        mem::forget(store);
    });
    child.end_well()[0].parse().unwrap()
}

fn without(
    deed: &Deed,
    scene: &Scene,
    known: &Known,
    path: &Path,
    (at, for_ever): (u64, bool),
) -> (String, u64) {
    scene.lay(deed.start, path);
    let job = |voice: &Voice| {
        heap::install();
        let (store, answer) = attempt_with(deed, scene, path, || heap::arm(at, for_ever));
        let (_, struck) = heap::disarm();
        match answer {
            Ok(()) => voice.say("done"),
            Err(error) => voice.say(format_args!("{:?}", error.reason())),
        }
        voice.say(struck);
        if let (Some(store), Act::Call(_)) = (&store, deed.act)
            && !deed.name.starts_with("close")
        {
            // Poisoned, it could not tell.
            let (name, on) = TOKENS[2];
            let on = on.map(device);
            let verdict = store.verify(scene.token(name), on.as_ref()).unwrap();
            voice.say(u8::from(verdict.valid().is_ok()));
        }
        mem::forget(store);
    };
    let (said, end) = Child::fork(job).end();
    let place = || format!("{} at allocation {at}, for ever: {for_ever}: {said:?}", deed.name);
    assert_eq!(end, End::Well, "{}", place());
    let seen = reopened(scene, path);
    assert!(known.allows(deed, &said[0], &seen), "{}: {seen:?} of {:?}", place(), known.states);
    if let Some(passes) = said.get(2) {
        // What should have ended and could not be written is refused from memory all the same.
        let is_denied = passes == "0" && said[0] != "done";
        assert!(is_denied || seen.passes().get(2..3) == Some(passes), "{}: {seen:?}", place());
    }
    (said[0].clone(), said[1].parse().unwrap())
}
