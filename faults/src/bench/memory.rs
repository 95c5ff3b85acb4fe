//! Out of memory: the Nth allocation of SQLite fails, in every operation.
//!
//! An operation fails with an error or is done, and no lock is poisoned: with memory again, the
//! same store verifies as before, and the file, opened again, agrees with the answer.
//!
//! Without a fault the allocations of an operation are counted; in the long form each one of them
//! fails once alone and once with all that follow. A bench in which not exactly as many have failed
//! as were planned fails, and so does an operation that allocates more often than was counted.

use std::collections::HashMap;
use std::mem;
use std::path::Path;

use crate::heap;
use crate::image::Image;
use crate::operation::{self, Act, Operation};
use crate::place::Place;
use crate::process::{Child, End, Voice};
use crate::scene::{Scene, TOKENS};
use crate::shim::{self, Blow, Plan};
use crate::store::device;
use crate::tally::{LANES, Tally, in_lanes};
use crate::trial::{Known, Seen, attempt_with, every, reopened, undisturbed};

const NONE: Plan = Plan { calls: 0, at: 0, for_ever: false, blow: Blow::Io };

/// How many files are kept in mind.
const KEPT: usize = 64;

/// Every `count`th allocation, beginning with another one for each operation and seed; 1 is every
/// one.
pub(crate) fn run(count: u64, seed: u64) -> Tally {
    let scene = Scene::build(1);
    in_lanes(LANES, |lane, _, tally| {
        let place = Place::new("memory");
        let path = place.file("auth.db");
        for (n, operation) in operation::all().enumerate() {
            let known = undisturbed(operation, &scene, &path, NONE);
            let all = count_of(operation, &scene, &path);
            let trial = Trial { operation, scene: &scene, known: &known, path: &path };
            let mut memo = Memo::default();
            // Some operations ask ten times as often as others, so that each is shared by the
            // lanes.
            let start = seed - 1 + 211 * n as u64;
            let own = || every(count, all, start).skip(lane as usize).step_by(LANES as usize);
            let mut failed = 0;
            for at in own() {
                for for_ever in [false, true] {
                    let (answer, struck) = trial.without(at, for_ever, &mut memo);
                    let as_planned = if for_ever { struck >= 1 } else { struck == 1 };
                    assert!(
                        as_planned,
                        "{}: allocation {at} failed {struck} times",
                        operation.name
                    );
                    failed += 1;
                    tally.one(format!("answered {answer}"));
                }
            }
            let planned = 2 * own().count() as u64;
            assert_eq!(failed, planned, "{}: not each allocation has failed", operation.name);
            // One more than there are, which fails no operation.
            let (answer, struck) = trial.without(all + 1, true, &mut memo);
            assert_eq!(
                (answer.as_str(), struck),
                ("done", 0),
                "{}: {all} counted",
                operation.name
            );
            tally.add("allocations that failed", failed);
            tally.add("files unlike any before", memo.looked);
            tally.add("operations", u64::from(lane == 0));
        }
    })
}

fn count_of(operation: &Operation, scene: &Scene, path: &Path) -> u64 {
    scene.lay(operation.start, path);
    let child = Child::fork(|voice| {
        heap::install();
        shim::repeat_random_numbers();
        let (store, answer) = attempt_with(operation, scene, path, || heap::arm(0, false));
        voice.say(heap::disarm().0);
        answer.unwrap();
        mem::forget(store);
    });
    child.end_well()[0].parse().unwrap()
}

struct Trial<'t> {
    operation: &'t Operation,
    scene: &'t Scene,
    known: &'t Known,
    path: &'t Path,
}

impl Trial<'_> {
    /// Does the operation with that allocation failing, and compares what it answered with the
    /// file.
    fn without(&self, at: u64, for_ever: bool, memo: &mut Memo) -> (String, u64) {
        self.scene.lay(self.operation.start, self.path);
        let (said, end) = Child::fork(|voice| self.child(at, for_ever, voice)).end();
        let place = || {
            format!("{} at allocation {at}, for ever: {for_ever}: {said:?}", self.operation.name)
        };
        assert_eq!(end, End::Well, "{}", place());
        let seen = memo.seen(self.scene, self.path);
        let states = &self.known.states;
        assert!(
            self.known.allows(self.operation, &said[0], &seen),
            "{}: {seen:?} of {states:?}",
            place()
        );
        if let Some(passes) = said.get(2) {
            // A session whose revocation could not be written is refused from memory all the same.
            let is_denied = passes == "0" && said[0] != "done";
            let is_right = is_denied || seen.passes().get(2..3) == Some(passes);
            assert!(is_right, "{}: {seen:?}", place());
        }
        (said[0].clone(), said[1].parse().unwrap())
    }

    fn child(&self, at: u64, for_ever: bool, voice: &Voice) {
        heap::install();
        shim::repeat_random_numbers();
        let arm = || heap::arm(at, for_ever);
        let (store, answer) = attempt_with(self.operation, self.scene, self.path, arm);
        let (_, struck) = heap::disarm();
        match answer {
            Ok(()) => voice.say("done"),
            Err(error) => voice.say(format_args!("{:?}", error.kind())),
        }
        voice.say(struck);
        if let (Some(store), Act::Call(_)) = (&store, self.operation.act)
            && !self.operation.name.starts_with("close")
        {
            // Poisoned, it would be an error.
            let (name, on) = TOKENS[2];
            let on = on.map(device);
            let verdict = store.verify((self.scene.token(name), on.as_ref())).unwrap();
            voice.say(u8::from(verdict.valid().is_ok()));
        }
        mem::forget(store);
    }
}

/// What was seen in files, by their bytes: most failures leave the same, and to open each would
/// take twice as long as all the rest.
#[derive(Default)]
struct Memo {
    known: HashMap<Image, Seen>,
    /// How many were opened.
    looked: u64,
}

impl Memo {
    /// What is seen in the file if it is opened again. Its shared memory is made again then.
    fn seen(&mut self, scene: &Scene, path: &Path) -> Seen {
        let found = Image::at(path);
        if let Some(seen) = self.known.get(&found) {
            return seen.clone();
        }
        let seen = reopened(scene, path);
        self.looked += 1;
        if self.known.len() == KEPT {
            self.known.clear();
        }
        self.known.insert(found, seen.clone());
        seen
    }
}
