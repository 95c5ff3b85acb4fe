//! The same histories told to three processes in turn, each with the file open on its own: what
//! one of them has ended, the others refuse at once. And to three stores that one process has open
//! on one file, by three names of it: they share one core, and what it remembers.

use std::sync::Arc;

use gatepost::{ManualClock, SeededRandom, Store};

use super::{POLICIES, Sum, Told, options, tell};
use crate::child::{Child, Parent};
use crate::model::{Hands, Policy, Random};
use crate::world::morning;

const PROCESSES: u64 = 3;

/// A process that does what it is told. Its words: the path, the policy, a seed of its own.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [path, policy, seed] = words else { panic!("{words:?}") };
    let (.., policy) = POLICIES.iter().find(|(name, ..)| name == policy).unwrap();
    let clock = ManualClock::new(morning());
    let random = Arc::new(SeededRandom::new(seed.parse().unwrap()));
    let store = Store::open(path, options(*policy, &clock, random)).unwrap();
    parent.say(&format!("pid {}", std::process::id()));
    let hands = Hands { store, clock };
    while let Some(line) = parent.hear() {
        parent.say(&hands.act(&line));
    }
}

/// Tells at least so many operations to three processes on one file.
///
/// A use that waits in the memory of one of them may let a session idle an interval too early for
/// the others, which no plain model foresees: there the idle limit is left out.
pub(crate) fn tell_many((name, first, policy): Told, operations: usize) -> Sum {
    let policy = Policy { idle_ms: None, ..policy };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let mut children: Vec<Child> = Vec::new();
    for child in 0..PROCESSES {
        let seed = (first * PROCESSES + child).to_string();
        let mut child = Child::start("model", &[path.to_str().unwrap(), name, &seed]);
        println!("{name}: {}", child.hear());
        children.push(child);
    }
    let mut dice = Random::new(first);
    let mut act = |line: &str| {
        let child = &mut children[dice.below(PROCESSES as usize)];
        child.say(line);
        child.hear()
    };
    let (mut sum, mut now) = (Sum::default(), morning().timestamp_millis());
    for seed in first.. {
        if sum.operations >= operations {
            break;
        }
        now = tell(&mut act, policy, now, seed, &mut sum);
    }
    println!("{name}, three processes, from seed {first} on: {sum:?}");
    children.into_iter().for_each(Child::end);
    sum
}

/// Tells at least so many operations to three stores of this process that are open on one file.
pub(crate) fn tell_to_stores((name, first, policy): Told, operations: usize) -> Sum {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("place");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink("place", directory.path().join("link")).unwrap();
    let clock = ManualClock::new(morning());
    let options = options(policy, &clock, Arc::new(SeededRandom::new(first)));
    let stores = ["place/auth.db", "link/auth.db", "place/../link/auth.db"].map(|path| Hands {
        store: Store::open(directory.path().join(path), options.clone()).unwrap(),
        clock: clock.clone(),
    });
    let mut dice = Random::new(first);
    let mut act = |line: &str| stores[dice.below(stores.len())].act(line);
    let (mut sum, mut now) = (Sum::default(), morning().timestamp_millis());
    for seed in first.. {
        if sum.operations >= operations {
            break;
        }
        now = tell(&mut act, policy, now, seed, &mut sum);
    }
    let pid = std::process::id();
    println!("{name}, three stores of pid {pid}, from seed {first} on: {sum:?}");
    sum
}
