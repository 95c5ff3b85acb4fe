//! One deed, done in a process of its own, and what its file looks like afterwards.

use std::fs;
use std::iter::StepBy;
use std::mem;
use std::ops::RangeInclusive;
use std::path::Path;

use gatepost::{Error, Options, Store};

use crate::deed::{Act, Deed};
use crate::image::Image;
use crate::place::beside;
use crate::process::{Child, Voice};
use crate::scene::{Scene, Start, lay};
use crate::shim::{self, Entry, Plan, Which};
use crate::store::{is_whole, options, state};

/// What is known of a deed that nothing disturbs.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The calls of the kinds that were asked for.
    pub(crate) calls: u64,
    /// The states of the file from before its first commit to after its last.
    pub(crate) states: Vec<Seen>,
}

/// What is seen in a file: everything that stands in it, in one number, and which tokens pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    state: u64,
    passes: String,
}

/// The store of every trial draws the same random numbers, so that the same is done each time.
pub(crate) const SEED: u64 = 11;

/// Opens the store, does what comes before, and then the deed under that plan. The store is not
/// closed; there is none if it could not be opened.
pub(crate) fn attempt(
    deed: &Deed,
    scene: &Scene,
    path: &Path,
    plan: Plan,
) -> (Option<Store>, Result<(), Error>) {
    attempt_with(deed, scene, path, || shim::arm(plan))
}

/// As [`attempt`], with anything else that begins with the deed.
pub(crate) fn attempt_with(
    deed: &Deed,
    scene: &Scene,
    path: &Path,
    arm: impl FnOnce(),
) -> (Option<Store>, Result<(), Error>) {
    attempt_under(&options_of(deed), deed, scene, path, arm)
}

/// The options of a deed. A store that is open is shared only under the same ones.
pub(crate) fn options_of(deed: &Deed) -> Options {
    (deed.options)(options(SEED))
}

/// As [`attempt_with`], under options that are used again later.
pub(crate) fn attempt_under(
    options: &Options,
    deed: &Deed,
    scene: &Scene,
    path: &Path,
    arm: impl FnOnce(),
) -> (Option<Store>, Result<(), Error>) {
    let options = options.clone();
    let (store, answer) = match deed.act {
        Act::Open => {
            shim::note(Entry::Told);
            arm();
            match Store::open(path, options) {
                Ok(store) => (Some(store), Ok(())),
                Err(error) => (None, Err(error)),
            }
        }
        Act::Call(call) => {
            let store = Store::open(path, options).unwrap();
            (deed.prepare)(scene, &store);
            shim::note(Entry::Told);
            arm();
            let answer = call(scene, &store);
            (Some(store), answer)
        }
    };
    shim::note(Entry::Told);
    (store, answer)
}

/// Every `count`th of so many calls, one at least, beginning somewhere else for each `start`; if
/// `count` is 1, every call.
pub(crate) fn every(count: u64, calls: u64, start: u64) -> StepBy<RangeInclusive<u64>> {
    let first = 1 + start % count.min(calls).max(1);
    (first..=calls).step_by(count as usize)
}

/// Does the deed without a fault: counts its calls, and looks at the file after each commit.
pub(crate) fn undisturbed(deed: &Deed, scene: &Scene, path: &Path, plan: Plan) -> Known {
    scene.lay(deed.start, path);
    let child = Child::fork(|voice| {
        shim::install();
        shim::record();
        let (store, answer) = attempt(deed, scene, path, plan);
        answer.unwrap();
        mem::forget(store);
        let (calls, struck) = shim::disarm();
        assert_eq!(struck, 0);
        voice.say(calls);
        let mut image = Image::of(scene.bytes(deed.start));
        let mut begun = false;
        let (mut moved, mut cut) = (false, false);
        for entry in shim::recorded() {
            image.apply(&entry);
            begun |= matches!(entry, Entry::Told);
            moved |= matches!(entry, Entry::Write { which: Which::Database, .. });
            cut |= matches!(entry, Entry::Truncate { which: Which::Log, .. });
            if begun && entry.may_commit() {
                let path = beside(path, "-image");
                put(&image, &path);
                tell(&look(scene, &path), voice);
            }
        }
        let moves = matches!(deed.start, Start::Full | Start::Long);
        assert!(moved || !moves, "the log was not moved into the file");
        assert!(cut || deed.start != Start::Long, "the log was not begun anew");
    });
    let lines = child.end_well();
    let mut lines = lines.iter();
    let calls = lines.next().unwrap().parse().unwrap();
    let mut states: Vec<Seen> = lines.map(|line| Seen::heard(line)).collect();
    states.dedup();
    assert_eq!(states.len(), deed.commits + 1, "{}: so many states", deed.name);
    let known = Known { calls, states };
    known.ends_what_it_should(deed, scene);
    known
}

/// Opens the file anew in a process of its own: it is whole, and this is seen in it.
pub(crate) fn reopened(scene: &Scene, path: &Path) -> Seen {
    let lines = Child::fork(|voice| tell(&look(scene, path), voice)).end_well();
    Seen::heard(&lines[0])
}

/// Opens the file and looks: it is whole, and this is seen in it.
pub(crate) fn look(scene: &Scene, path: &Path) -> Seen {
    let store = Store::open(path, options(SEED)).unwrap();
    is_whole(&store, path);
    // First, as a token that passes may leave its use behind.
    let state = state(path);
    let seen = Seen { state, passes: scene.passes(&store, path) };
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

pub(crate) fn tell(seen: &Seen, voice: &Voice) {
    voice.say(format_args!("{} {}", seen.state, seen.passes));
}

impl Known {
    /// What the deed ends passes before it and not after it, and at no moment some of it.
    fn ends_what_it_should(&self, deed: &Deed, scene: &Scene) {
        let ends = deed.ends();
        for (at, seen) in self.states.iter().enumerate() {
            let expected = at < self.states.len() - 1;
            let all = scene.of(&ends, seen.passes()).all(|passes| passes == expected);
            assert!(all, "{}: {:?} in state {at}: {seen:?}", deed.name, ends);
        }
    }

    /// Whether this can be seen after the deed was answered with that: what is done is there,
    /// what was not done is not, and of what is unknown all or nothing.
    pub(crate) fn allows(&self, deed: &Deed, answer: &str, seen: &Seen) -> bool {
        let last = self.states.len() - 1;
        let allowed = match answer {
            "done" => last - deed.dispensable.min(last)..=last,
            "CommitUnknown" => 0..=last,
            _ if last == 0 => 0..=0,
            // One that commits several times may have come some of the way.
            _ => 0..=last - 1,
        };
        self.states[allowed].contains(seen)
    }
}

impl Known {
    /// Whether the same passes as after the whole deed.
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
