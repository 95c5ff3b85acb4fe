//! The systems that a history is run on: one store, three stores that one process has open on one
//! file by three names of it (they share one core and its cache), or three processes that
//! each have the file open on their own: the others refuse at once what one of them has revoked.

use std::sync::Arc;

use gatepost::host::{ManualClock, RandomSource, SeededRandom};
use gatepost::{Options, Store};
use tempfile::TempDir;

use super::{POLICIES, options};
use crate::child::{Child, Parent};
use crate::model::Hands;
use crate::world::{directory_in_memory, morning};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    One,
    Stores,
    Processes,
}

pub(super) const SYSTEMS: [Kind; 3] = [Kind::One, Kind::Stores, Kind::Processes];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Stores => "stores",
            Self::Processes => "processes",
        }
    }

    /// How many take turns.
    pub(super) fn hands(self) -> usize {
        if self == Self::One { 1 } else { 3 }
    }
}

/// The lines that use a session.
const USES: [&str; 4] =
    ["session verify ", "session change ", "session renew ", "session end-others "];

/// One of them, at work.
#[derive(Debug)]
pub(super) struct System {
    at_work: AtWork,
    /// The pids that do the work, as words.
    pub(super) pids: String,
    _directory: Option<TempDir>,
}

#[derive(Debug)]
enum AtWork {
    Stores(Vec<Hands>),
    Processes(Vec<Child>),
}

impl System {
    pub(super) fn start(kind: Kind, policy: &str, seed: u64) -> Self {
        match kind {
            Kind::One => Self::one(policy, seed),
            Kind::Stores => Self::stores(policy, seed),
            Kind::Processes => Self::processes(policy, seed),
        }
    }

    fn one(policy: &str, seed: u64) -> Self {
        let clock = ManualClock::new(morning());
        let options = options_of(policy, &clock, seed);
        let hands = Hands { store: Store::in_memory(options).unwrap(), clock };
        let pids = format!("pid {}", std::process::id());
        Self { at_work: AtWork::Stores(vec![hands]), pids, _directory: None }
    }

    fn stores(policy: &str, seed: u64) -> Self {
        let directory = directory_in_memory();
        let place = directory.path().join("place");
        std::fs::create_dir(&place).unwrap();
        std::os::unix::fs::symlink("place", directory.path().join("link")).unwrap();
        let clock = ManualClock::new(morning());
        let options = options_of(policy, &clock, seed);
        let stores =
            ["place/auth.db", "link/auth.db", "place/../link/auth.db"].map(|path| Hands {
                store: Store::open(directory.path().join(path), options.clone()).unwrap(),
                clock: clock.clone(),
            });
        let pids = format!("pid {}", std::process::id());
        let at_work = AtWork::Stores(stores.into());
        Self { at_work, pids, _directory: Some(directory) }
    }

    fn processes(policy: &str, seed: u64) -> Self {
        let directory = directory_in_memory();
        let path = directory.path().join("auth.db");
        let mut pids = format!("run by pid {} to", std::process::id());
        let mut children = Vec::new();
        for number in 0..Kind::Processes.hands() as u64 {
            let seed = (seed * 3 + number).to_string();
            let mut child = Child::start("model", &[path.to_str().unwrap(), policy, &seed]);
            pids = format!("{pids} {}", child.hear());
            children.push(child);
        }
        Self { at_work: AtWork::Processes(children), pids, _directory: Some(directory) }
    }

    /// Has a line done by one of the hands.
    pub(super) fn act(&mut self, hand: usize, line: &str) -> String {
        match &mut self.at_work {
            AtWork::Stores(stores) => stores[hand].act(line),
            AtWork::Processes(children) => {
                children[hand].say(line);
                children[hand].hear()
            }
        }
    }

    /// Ends it, and asserts that it succeeded.
    pub(super) fn end(self) {
        if let AtWork::Processes(children) = self.at_work {
            children.into_iter().for_each(Child::end);
        }
    }
}

fn options_of(policy: &str, clock: &ManualClock, seed: u64) -> Options {
    let (.., policy) = POLICIES.iter().find(|(name, ..)| *name == policy).unwrap();
    let random: Arc<dyn RandomSource> = Arc::new(SeededRandom::new(seed));
    options(*policy, clock, random)
}

/// A process that does what each line says. Its words: the path, the policy, a seed of its own.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [path, policy, seed] = words else { panic!("{words:?}") };
    let clock = ManualClock::new(morning());
    let options = options_of(policy, &clock, seed.parse().unwrap());
    let hands = Hands { store: Store::open(path, options).unwrap(), clock };
    parent.say(&std::process::id().to_string());
    while let Some(line) = parent.hear() {
        let answer = hands.act(&line);
        // The model knows of no use that only one process has seen.
        if USES.iter().any(|verb| line.contains(verb)) {
            hands.store.maintain().unwrap();
        }
        parent.say(&answer);
    }
}
