//! One operation, done in a process of its own, and what its file looks like afterwards.

use std::fs;
use std::iter::StepBy;
use std::mem;
use std::ops::RangeInclusive;
use std::path::Path;

use gatepost::{Error, Options, Store};

use crate::image::Image;
use crate::operation::{Act, Operation};
use crate::place::beside;
use crate::process::{Child, Voice};
use crate::scene::{Scene, Start, lay};
use crate::shim::{self, Entry, Plan, Which};
use crate::store::{is_whole, options, state};

/// The record of an operation without faults.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The calls of the kinds that were asked for.
    pub(crate) calls: u64,
    /// The states of the file from before its first commit to after its last.
    pub(crate) states: Vec<Seen>,
}

/// The content of a file: everything in it, in one number, and which tokens pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    state: u64,
    passes: String,
}

/// The store of every trial draws the same random numbers, so that the same is done each time.
pub(crate) const SEED: u64 = 11;

/// Opens the store, does what comes before, and then the operation under that plan. The store is
/// not closed; it is `None` if it could not be opened.
pub(crate) fn attempt(
    operation: &Operation,
    scene: &Scene,
    path: &Path,
    plan: Plan,
) -> (Option<Store>, Result<(), Error>) {
    attempt_with(operation, scene, path, || shim::arm(plan))
}

/// As [`attempt`], with anything else that begins with the operation.
pub(crate) fn attempt_with(
    operation: &Operation,
    scene: &Scene,
    path: &Path,
    arm: impl FnOnce(),
) -> (Option<Store>, Result<(), Error>) {
    attempt_under(&options_of(operation), operation, scene, path, arm)
}

/// The options of an operation. A store that is open is shared only under the same ones.
pub(crate) fn options_of(operation: &Operation) -> Options {
    (operation.options)(options(SEED))
}

/// As [`attempt_with`], under options that are used again later.
pub(crate) fn attempt_under(
    options: &Options,
    operation: &Operation,
    scene: &Scene,
    path: &Path,
    arm: impl FnOnce(),
) -> (Option<Store>, Result<(), Error>) {
    let options = options.clone();
    let (store, answer) = match operation.act {
        Act::Open => {
            shim::note(Entry::Answered);
            arm();
            match Store::open(path, options) {
                Ok(store) => (Some(store), Ok(())),
                Err(error) => (None, Err(error)),
            }
        }
        Act::Call(call) => {
            let store = Store::open(path, options).unwrap();
            (operation.prepare)(scene, &store);
            shim::note(Entry::Answered);
            arm();
            let answer = call(scene, &store);
            (Some(store), answer)
        }
    };
    shim::note(Entry::Answered);
    (store, answer)
}

/// Every `count`th of so many calls, one at least, beginning somewhere else for each `start`; if
/// `count` is 1, every call.
pub(crate) fn every(count: u64, calls: u64, start: u64) -> StepBy<RangeInclusive<u64>> {
    let first = 1 + start % count.min(calls).max(1);
    (first..=calls).step_by(count as usize)
}

/// Does the operation without a fault: counts its calls, and reads the file after each commit.
pub(crate) fn undisturbed(operation: &Operation, scene: &Scene, path: &Path, plan: Plan) -> Known {
    scene.lay(operation.start, path);
    let child = Child::fork(|voice| {
        shim::install();
        shim::record();
        let (store, answer) = attempt(operation, scene, path, plan);
        answer.unwrap();
        mem::forget(store);
        let (calls, struck) = shim::disarm();
        assert_eq!(struck, 0);
        voice.say(calls);
        let mut image = Image::of(scene.bytes(operation.start));
        let mut begun = false;
        let (mut moved, mut cut) = (false, false);
        for entry in shim::recorded() {
            image.apply(&entry);
            begun |= matches!(entry, Entry::Answered);
            moved |= matches!(entry, Entry::Write { which: Which::Database, .. });
            cut |= matches!(entry, Entry::Truncate { which: Which::Log, .. });
            if begun && entry.may_commit() {
                let path = beside(path, "-image");
                put(&image, &path);
                send(&look(scene, &path), voice);
            }
        }
        let moves = matches!(operation.start, Start::Full | Start::Long);
        assert!(moved || !moves, "the log was not moved into the file");
        assert!(cut || operation.start != Start::Long, "the log was not begun again");
    });
    let lines = child.end_well();
    let mut lines = lines.iter();
    let calls = lines.next().unwrap().parse().unwrap();
    let mut states: Vec<Seen> = lines.map(|line| Seen::heard(line)).collect();
    states.dedup();
    assert_eq!(states.len(), operation.commits + 1, "{}: so many states", operation.name);
    let known = Known { calls, states };
    known.ends_what_it_should(operation, scene);
    known
}

/// The same in a process of its own.
pub(crate) fn reopened(scene: &Scene, path: &Path) -> Seen {
    let lines = Child::fork(|voice| send(&look(scene, path), voice)).end_well();
    Seen::heard(&lines[0])
}

/// Opens the file, asserts that it is whole, and returns its content.
pub(crate) fn look(scene: &Scene, path: &Path) -> Seen {
    let store = Store::open(path, options(SEED)).unwrap();
    is_whole(&store, path);
    // First, as a token that passes may leave its use behind.
    let state = state(path);
    let seen = Seen { state, passes: scene.passes(&store) };
    store.close().unwrap();
    seen
}

/// Writes the image where it can be opened.
pub(crate) fn put(image: &Image, path: &Path) {
    lay(path, image.database.as_deref(), image.log.as_deref());
    if let Some(journal) = &image.journal {
        fs::write(beside(path, "-journal"), journal).unwrap();
    }
}

pub(crate) fn send(seen: &Seen, voice: &Voice) {
    voice.say(format_args!("{} {}", seen.state, seen.passes));
}

impl Known {
    /// The tokens that the operation revokes pass before it and not after it, never only some of
    /// them.
    fn ends_what_it_should(&self, operation: &Operation, scene: &Scene) {
        let ends = operation.ends();
        for (at, seen) in self.states.iter().enumerate() {
            let expected = at < self.states.len() - 1;
            let all = scene.of(&ends, seen.passes()).all(|passes| passes == expected);
            assert!(all, "{}: {:?} in state {at}: {seen:?}", operation.name, ends);
        }
    }

    /// Whether this content fits that answer of the operation: a done write is there, a failed one
    /// is not, and of an unknown one all or nothing is there.
    pub(crate) fn allows(&self, operation: &Operation, answer: &str, seen: &Seen) -> bool {
        let last = self.states.len() - 1;
        let allowed = match answer {
            "done" => last - operation.dispensable.min(last)..=last,
            "CommitUnknown" => 0..=last,
            _ if last == 0 => 0..=0,
            // One that commits several times may have come some of the way.
            _ => 0..=last - 1,
        };
        self.states[allowed].contains(seen)
    }
}

impl Known {
    /// Whether the same passes as after the whole operation.
    pub(crate) fn ends_alike(&self, seen: &Seen) -> bool {
        self.states.last().is_some_and(|last| last.passes == seen.passes)
    }
}

impl Seen {
    /// Whether each token of the scene passes.
    pub(crate) fn passes(&self) -> &str {
        &self.passes
    }

    pub(crate) fn heard(line: &str) -> Self {
        let (state, passes) = line.split_once(' ').unwrap();
        Self { state: state.parse().unwrap(), passes: passes.to_owned() }
    }
}
