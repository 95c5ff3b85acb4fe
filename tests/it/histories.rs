//! Random histories against a plain model: nothing that has ended ever comes back.
//!
//! Each history begins with a few users and places of its own and is told to a store and to the
//! model alike: by one process, by three stores of one process on one file, or by three processes
//! in turn. Every answer is compared, facts, values and credits included. A failure prints the seed
//! and the history; [`REPLAY`] tells one seed alone.

mod processes;

use std::sync::Arc;
use std::time::Duration;

use gatepost::{
    ChangeAtLogin, ManualClock, Options, RandomSource, SeededRandom, SessionPolicy, Store,
    WhenFull,
};

use crate::model::{Hands, Model, Names, Op, Policy, Random};
use crate::world::{DAY, for_tests, morning};

pub(crate) use processes::role;

/// Put a printed seed here to tell its history alone.
const REPLAY: Option<u64> = None;
/// Histories told for each policy in one process.
const HISTORIES: u64 = 4_500;
/// Operations that three processes do for each policy.
const OPERATIONS_OF_THREE: usize = 10_000;
/// Operations that three stores of one process do for each policy.
const OPERATIONS_OF_STORES: usize = 3_000;
/// Histories told to one store before it is replaced by a new one.
const PER_STORE: u64 = 100;
const OPERATIONS_LEAST: usize = 12;
const OPERATIONS_MOST: usize = 24;

/// A policy by name; the seeds of each are apart from those of the others.
type Told = (&'static str, u64, Policy);

const PLAIN: Policy = Policy {
    per_user: 3,
    refuse_when_full: false,
    takeover: false,
    idle_ms: None,
    change_always: false,
};
const SHARED: Policy = Policy { per_user: 2, takeover: true, change_always: true, ..PLAIN };
const IDLING: Policy = Policy { idle_ms: Some(600_000), ..PLAIN };
const FULL: Policy = Policy { per_user: 2, refuse_when_full: true, ..IDLING };

const POLICIES: [Told; 4] = [
    ("plain", 0, PLAIN),
    ("shared", 1_000_000_000, SHARED),
    ("idling", 2_000_000_000, IDLING),
    ("full", 3_000_000_000, FULL),
];

/// Options that make a store's policy the model's.
fn options(policy: Policy, clock: &ManualClock, random: Arc<dyn RandomSource>) -> Options {
    let sessions = SessionPolicy::server()
        .per_user(u32::try_from(policy.per_user).unwrap())
        .when_full(if policy.refuse_when_full { WhenFull::Refuse } else { WhenFull::EndOldest })
        .device_takeover(policy.takeover)
        .idle(policy.idle_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())));
    let change =
        if policy.change_always { ChangeAtLogin::Always } else { ChangeAtLogin::WhenMarked };
    for_tests()
        .clock(Arc::new(clock.clone()))
        .random_source(random)
        .sessions(sessions)
        .change_at_login(change)
        .api_keys_per_user(u32::try_from(crate::model::KEYS).unwrap())
        .audit_kept(400 * DAY, 1_000)
}

fn hands(policy: Policy, seed: u64) -> Hands {
    let clock = ManualClock::new(morning());
    let options = options(policy, &clock, Arc::new(SeededRandom::new(seed)));
    Hands { store: Store::in_memory(options).unwrap(), clock }
}

/// Does what a line says and answers.
type Act<'a> = dyn FnMut(&str) -> String + 'a;

/// A history as it is told.
struct Telling<'h> {
    act: &'h mut Act<'h>,
    random: Random,
    model: Model,
    names: Names,
    told: Vec<String>,
}

impl<'h> Telling<'h> {
    fn begin(act: &'h mut Act<'h>, policy: Policy, now: i64, seed: u64) -> Self {
        let names = Names::settle(&format!("h{seed}"), now, act);
        let model = Model::new(policy, now);
        Self { act, random: Random::new(seed), model, names, told: Vec::new() }
    }

    /// Tells an operation a millisecond after the last one, so that no two uses are at once. Now
    /// and then the clock has just jumped back, which must change nothing.
    fn tell(&mut self, op: Op) {
        self.model.now += 1;
        let now = self.model.now;
        let jump = [1_000, 600_000, 86_400_000, 40_000_000_000][self.random.below(4)];
        let clock =
            if self.random.one_in(16) { format!("{now}:{}", now - jump) } else { now.to_string() };
        let line = format!("{clock} {}", self.names.line(op));
        let expect = self.model.apply(op);
        let answer = (self.act)(&line);
        let heard = self.names.hear(expect, &answer);
        self.told.push(format!("{op:?}: {answer}"));
        if let Err(wanted) = heard {
            panic!("{wanted}, after:\n{}\n{line}", self.told.join("\n"));
        }
    }

    fn verify_all(&mut self) {
        for token in 0..self.model.tokens.len() {
            self.tell(Op::Verify { token, device: self.model.tokens[token].device });
        }
    }

    /// From beginning to end.
    fn whole(&mut self) {
        let lengths = OPERATIONS_MOST - OPERATIONS_LEAST + 1;
        for _ in 0..OPERATIONS_LEAST + self.random.below(lengths) {
            let op = Op::draw(&mut self.random, &self.model);
            self.tell(op);
            if self.random.one_in(14) {
                self.verify_all();
            }
        }
        self.verify_all();
    }
}

/// What has been told.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    histories: u64,
    operations: usize,
}

/// Tells one history and answers when it was over.
fn tell(act: &mut Act<'_>, policy: Policy, now: i64, seed: u64, sum: &mut Sum) -> i64 {
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let act: &mut Act<'_> = &mut |line: &str| act(line);
        let mut telling = Telling::begin(act, policy, now, seed);
        telling.whole();
        (telling.model.now, telling.told.len())
    }));
    let Ok((end, operations)) = told else { panic!("the history of seed {seed} diverges") };
    sum.histories += 1;
    sum.operations += operations;
    end
}

/// In one process: histories from that seed on, as long as `go_on` says so.
fn tell_many((name, first, policy): Told, go_on: impl Fn(Sum) -> bool) -> Sum {
    let mut sum = Sum::default();
    let (mut store, mut now) = (hands(policy, first), morning().timestamp_millis());
    for seed in first.. {
        if !go_on(sum) {
            break;
        }
        if seed % PER_STORE == 0 {
            (store, now) = (hands(policy, seed), morning().timestamp_millis());
        }
        now = tell(&mut |line| store.act(line), policy, now, seed, &mut sum);
    }
    println!("{name}, from seed {first} on: {sum:?}");
    sum
}

#[track_caller]
fn check(policy: &str) {
    let &told = POLICIES.iter().find(|(name, ..)| *name == policy).unwrap();
    let (name, first, policy) = told;
    match REPLAY {
        None => tell_many(told, |sum| sum.histories < HISTORIES),
        Some(seed) if (first..first + 1_000_000_000).contains(&seed) => {
            tell_many((name, seed, policy), |sum| sum.histories < 1)
        }
        Some(_) => Sum::default(),
    };
}

/// Not a test of its own: what `scripts/model` runs. Its words, each after `=`: the operations in
/// one process and by three, all policies together, and the first seed.
#[test]
fn long() {
    let words: Vec<u64> =
        std::env::args().filter_map(|word| word.strip_prefix('=')?.parse().ok()).collect();
    let [of_one, of_three, seed] = words.as_slice() else { return };
    let policies = POLICIES.map(|(name, first, policy)| (name, first + seed, policy));
    let share = |operations: u64| usize::try_from(operations / POLICIES.len() as u64).unwrap();
    for told in policies {
        tell_many(told, |sum| sum.operations < share(*of_one));
    }
    for told in policies {
        processes::tell_many(told, share(*of_three));
        processes::tell_to_stores(told, share(*of_three));
    }
}

#[test]
fn nothing_that_ended_comes_back() {
    check("plain");
}

#[test]
fn nothing_that_ended_comes_back_where_the_device_is_shared() {
    check("shared");
}

#[test]
fn nothing_that_ended_comes_back_where_sessions_idle() {
    check("idling");
}

#[test]
fn nothing_that_ended_comes_back_where_the_full_are_refused() {
    check("full");
}

#[test]
fn nothing_that_ended_comes_back_in_three_processes() {
    processes::tell_many(POLICIES[0], OPERATIONS_OF_THREE);
}

#[test]
fn nothing_that_ended_comes_back_in_three_processes_where_the_device_is_shared() {
    processes::tell_many(POLICIES[1], OPERATIONS_OF_THREE);
}

#[test]
fn nothing_that_ended_comes_back_in_three_stores_open_on_one_file() {
    for told in POLICIES {
        let sum = processes::tell_to_stores(told, OPERATIONS_OF_STORES);
        assert!(sum.operations >= OPERATIONS_OF_STORES);
    }
}
