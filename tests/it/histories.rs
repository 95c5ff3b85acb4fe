//! Random histories against a plain model: nothing that has ended ever comes back.
//!
//! Each history begins with a few users and places of its own and is told to a store and to the
//! model alike. Every answer is compared, facts included. A failure prints the seed and the
//! history; [`REPLAY`] tells one seed alone.

use std::sync::Arc;
use std::time::Duration;

use gatepost::{
    ChangeAtLogin, ManualClock, Options, SeededRandom, SessionPolicy, Store, WhenFull,
};

use crate::model::{Hands, Model, Names, Op, Policy, Random};
use crate::world::{DAY, morning};

/// Put a printed seed here to tell its history alone.
const REPLAY: Option<u64> = None;
/// Histories told for each policy.
const HISTORIES: u64 = 5_100;
/// Histories told to one store before it is replaced by a new one.
const PER_STORE: u64 = 100;
const OPERATIONS_LEAST: usize = 12;
const OPERATIONS_MOST: usize = 24;

/// A store whose policy is the model's.
fn hands(policy: Policy, seed: u64) -> Hands {
    let clock = ManualClock::new(morning());
    let sessions = SessionPolicy::server()
        .per_user(u32::try_from(policy.per_user).unwrap())
        .when_full(if policy.refuse_when_full { WhenFull::Refuse } else { WhenFull::EndOldest })
        .device_takeover(policy.takeover)
        .idle(policy.idle_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())));
    let change =
        if policy.change_always { ChangeAtLogin::Always } else { ChangeAtLogin::WhenMarked };
    let options = Options::for_tests()
        .clock(Arc::new(clock.clone()))
        .random_source(Arc::new(SeededRandom::new(seed)))
        .sessions(sessions)
        .change_at_login(change)
        .api_keys_per_user(2)
        .audit_kept(400 * DAY, 1_000);
    Hands { store: Store::in_memory(options).unwrap(), clock }
}

/// A history as it is told.
struct Telling<'h> {
    hands: &'h Hands,
    model: Model,
    names: Names,
    told: Vec<String>,
}

impl Telling<'_> {
    /// Tells an operation a millisecond after the last one, so that no two uses are at once.
    fn tell(&mut self, op: Op) {
        self.model.now += 1;
        let line = self.names.line(op);
        let expect = self.model.apply(op);
        let line = format!("{} {line}", self.model.now);
        let answer = self.hands.act(&line);
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
}

/// Tells one history and answers when it was over and how many operations it had.
fn tell(hands: &Hands, policy: Policy, begin: i64, seed: u64) -> (i64, usize) {
    let random = &mut Random::new(seed);
    let prefix = format!("h{seed}");
    let names = Names::settle(&prefix, begin, &mut |line| hands.act(line));
    let mut telling = Telling { hands, model: Model::new(policy, begin), names, told: vec![] };
    let length = OPERATIONS_LEAST + random.below(OPERATIONS_MOST - OPERATIONS_LEAST + 1);
    for _ in 0..length {
        let op = Op::draw(random, &telling.model);
        telling.tell(op);
        if random.one_in(14) {
            telling.verify_all();
        }
    }
    telling.verify_all();
    (telling.model.now, telling.told.len())
}

/// `first` keeps the seeds of the policies apart.
fn check(first: u64, policy: Policy) {
    let mut operations = 0;
    let seeds = match REPLAY {
        Some(seed) if (first..first + HISTORIES).contains(&seed) => seed..seed + 1,
        Some(_) => return,
        None => first..first + HISTORIES,
    };
    let (mut store, mut now) = (hands(policy, first), morning().timestamp_millis());
    println!("seeds {seeds:?}");
    for seed in seeds {
        if seed % PER_STORE == 0 {
            (store, now) = (hands(policy, seed), morning().timestamp_millis());
        }
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tell(&store, policy, now, seed)
        }));
        let Ok((end, told)) = told else { panic!("the history of seed {seed} diverges") };
        (now, operations) = (end, operations + told);
    }
    println!("{HISTORIES} histories, {operations} operations");
}

const PLAIN: Policy = Policy {
    per_user: 3,
    refuse_when_full: false,
    takeover: false,
    idle_ms: None,
    change_always: false,
};

#[test]
fn nothing_that_ended_comes_back() {
    check(0, PLAIN);
}

#[test]
fn nothing_that_ended_comes_back_where_the_device_is_shared() {
    check(1_000_000, Policy { per_user: 2, takeover: true, change_always: true, ..PLAIN });
}

#[test]
fn nothing_that_ended_comes_back_where_sessions_idle() {
    check(2_000_000, Policy { idle_ms: Some(600_000), ..PLAIN });
}

#[test]
fn nothing_that_ended_comes_back_where_the_full_are_refused() {
    let idle_ms = Some(600_000);
    check(3_000_000, Policy { per_user: 2, refuse_when_full: true, idle_ms, ..PLAIN });
}
