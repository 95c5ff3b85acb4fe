//! Random histories against a plain model: no revoked or expired session ever comes back.
//!
//! A state machine of proptest: the steps are values, drawn for the state that the history has come
//! to (`model/steps.rs`); the plain model is the reference, and one of three systems is under test
//! (`systems.rs`). Each history begins with a few users and places of its own. Every answer is
//! compared, principal, values and credits included, and at the end every token is verified once
//! more. A history that diverges is shortened for as long as it still does, each time in a fresh
//! system, and printed with its seed; `scripts/model replay` runs one seed alone.

mod systems;
mod tally;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gatepost::Options;
use gatepost::host::{ManualClock, RandomSource};
use gatepost::policy::{ChangeAtLogin, SessionLimit, SessionPolicy};
use proptest::strategy::{BoxedStrategy, Just};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};
use proptest_state_machine::Sequential;

use crate::model::{self, Expect, Model, Names, Op, Policy, Step};
use crate::world::{DAY, for_tests, morning, one_of};
use systems::{Kind, SYSTEMS, System};
use tally::Tally;

pub(crate) use systems::role;

/// Histories run for each policy on one store.
const HISTORIES: u64 = 500 / one_of(2) as u64;
/// Operations that three processes do for each policy.
const OPERATIONS_OF_THREE: u64 = 10_000;
/// Operations that three stores of one process do for each policy.
const OPERATIONS_OF_STORES: u64 = 3_000;
/// Histories run on one system before it is replaced by a new one.
const PER_SYSTEM: u64 = 100;
/// Tries to shorten a history that diverges.
const SHORTENINGS_MOST: u32 = 10_000;
const STEPS_LEAST: usize = 15;
const STEPS_MOST: usize = 45;

/// A policy by name; the seeds of each are apart from those of the others.
type Seeds = (&'static str, u64, Policy);

const PLAIN: Policy = Policy {
    per_user: 3,
    refuse_when_full: false,
    takeover: false,
    idle_ms: None,
    change_always: false,
};
const SHARED: Policy = Policy { per_user: 2, takeover: true, change_always: true, ..PLAIN };
/// More sessions than a history opens, so that they idle and make way for none.
const IDLING: Policy = Policy { per_user: 100, idle_ms: Some(600_000), ..PLAIN };
const FULL: Policy = Policy { per_user: 2, refuse_when_full: true, ..IDLING };

const POLICIES: [Seeds; 4] = [
    ("plain", 0, PLAIN),
    ("shared", 1_000_000_000, SHARED),
    ("idling", 2_000_000_000, IDLING),
    ("full", 3_000_000_000, FULL),
];

/// Options that make a store's policy the model's.
fn options(policy: Policy, clock: &ManualClock, random: Arc<dyn RandomSource>) -> Options {
    let sessions = SessionPolicy::server()
        .per_user(u32::try_from(policy.per_user).unwrap())
        .at_limit(if policy.refuse_when_full {
            SessionLimit::Refuse
        } else {
            SessionLimit::EvictLeastRecentlyUsed
        })
        .device_takeover(policy.takeover)
        .inactivity_timeout(policy.idle_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())));
    let change =
        if policy.change_always { ChangeAtLogin::Always } else { ChangeAtLogin::WhenMarked };
    for_tests()
        .clock(Arc::new(clock.clone()))
        .random_source(random)
        .sessions(sessions)
        .change_at_login(change)
        .api_keys_per_user(u32::try_from(model::KEYS).unwrap())
        .audit_max_age(400 * DAY)
        .audit_max_rows(1_000)
}

/// A system, and how far it has come.
#[derive(Debug)]
struct Stage {
    system: System,
    histories: u64,
    /// In milliseconds since 1970: the next history begins where the last one ended.
    now: i64,
}

/// Many histories on systems of one kind under one policy.
struct Run {
    kind: Kind,
    policy: &'static str,
    first: u64,
    strategy: Sequential<Model, Step, Just<Model>, BoxedStrategy<Step>>,
    stage: RefCell<Option<Stage>>,
    tally: RefCell<Tally>,
}

impl Run {
    fn new(kind: Kind, (name, first, policy): Seeds) -> Self {
        let beginning = Model::new(policy, kind.hands());
        let strategy = Sequential::new(
            (STEPS_LEAST..=STEPS_MOST).into(),
            move || Just(beginning.clone()),
            |model: &Model, step: &Step| step.is_possible(model),
            model::steps,
            |model, step: &Step| step.after(model),
        );
        let (stage, tally) = (RefCell::default(), RefCell::default());
        Self { kind, policy: name, first, strategy, stage, tally }
    }

    /// Runs the histories of one seed after the other for as long as `go_on` says so.
    #[track_caller]
    fn run_many(self, go_on: impl Fn(&Tally) -> bool) -> Tally {
        for seed in self.first.. {
            if !go_on(&self.tally.borrow()) {
                break;
            }
            self.run_seed(seed);
        }
        if let Some(stage) = self.stage.take() {
            stage.system.end();
        }
        let tally = self.tally.take();
        let Tally { histories, operations, .. } = tally;
        let (kind, policy, first) = (self.kind.name(), self.policy, self.first);
        println!(
            "{kind} {policy}, from seed {first} on: {histories} histories, {operations} operations"
        );
        tally.print();
        tally
    }

    /// Runs the history of one seed. If it diverges, it is shortened and printed.
    #[track_caller]
    fn run_seed(&self, seed: u64) {
        let config = Config {
            cases: 1,
            max_shrink_iters: SHORTENINGS_MOST,
            rng_algorithm: RngAlgorithm::XorShift,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&self.strategy, |(model, steps, seen)| {
            // A history that diverges spoils its system: the next try begins in a fresh one.
            let mut stage = match self.stage.take() {
                Some(stage) if stage.histories < PER_SYSTEM => stage,
                over => self.fresh(over, seed),
            };
            self.act(&mut stage, model, &steps, seen.as_deref()).map_err(TestCaseError::fail)?;
            self.stage.replace(Some(stage));
            Ok(())
        });
        match outcome {
            Ok(()) => self.tally.borrow_mut().histories += 1,
            Err(TestError::Abort(why)) => panic!("seed {seed}: {why}"),
            Err(TestError::Fail(why, (model, steps, _))) => {
                let (why, steps) = self.shortest(why.to_string(), &model, steps, seed);
                let (kind, policy) = (self.kind.name(), self.policy);
                panic!(
                    "{why}\nto reach it, {} steps:\n{}\n\
                     to run it again: scripts/model replay {kind} {policy} {seed}",
                    steps.len(),
                    written(model, &steps),
                )
            }
        }
    }

    /// Leaves out what can still be left out: proptest tries each step once, and one that was
    /// needed then may not be now.
    fn shortest(
        &self,
        mut why: String,
        model: &Model,
        mut steps: Vec<Step>,
        seed: u64,
    ) -> (String, Vec<Step>) {
        let mut left = steps.len();
        while left > 0 {
            left -= 1;
            let mut fewer = steps.clone();
            fewer.remove(left);
            if is_possible(model, &fewer)
                && let Err(other) =
                    self.act(&mut self.fresh(None, seed), model.clone(), &fewer, None)
            {
                (why, steps) = (other, fewer);
                left = steps.len();
            }
        }
        (why, steps)
    }

    fn fresh(&self, over: Option<Stage>, seed: u64) -> Stage {
        if let Some(stage) = over {
            stage.system.end();
        }
        let system = System::start(self.kind, self.policy, seed);
        if self.kind != Kind::One {
            println!("{} {}, at seed {seed}: {}", self.kind.name(), self.policy, system.pids);
        }
        Stage { system, histories: 0, now: morning().as_millis() }
    }

    /// Runs these steps and verifies every token in the end. A panic diverges, too.
    fn act(
        &self,
        stage: &mut Stage,
        model: Model,
        steps: &[Step],
        seen: Option<&AtomicUsize>,
    ) -> Result<(), String> {
        let acted = AssertUnwindSafe(|| self.act_or_panic(stage, model, steps, seen));
        catch_unwind(acted).unwrap_or_else(|panic| {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("a panic: {}", why.unwrap_or_default()))
        })
    }

    fn act_or_panic(
        &self,
        stage: &mut Stage,
        mut model: Model,
        steps: &[Step],
        seen: Option<&AtomicUsize>,
    ) -> Result<(), String> {
        let Stage { system, histories, now } = stage;
        let prefix = format!("h{histories}");
        let mut names = Names::settle(&prefix, *now, &mut |line| system.act(0, line));
        let number = steps.last().map_or(1, |step| step.number + 1);
        let end = Step { number, hand: 0, back_ms: 0, op: Op::VerifyAll };
        for step in steps.iter().chain([&end]) {
            if let Some(seen) = seen.filter(|_| *step != end) {
                seen.fetch_add(1, Ordering::SeqCst);
            }
            for op in step.begin(&mut model) {
                let line = names.line(&model, *step, op);
                let before = model.clone();
                let expect = model.apply(op);
                let answer = system.act(step.hand, &line);
                names.hear(step.number, &expect, &answer).map_err(|wanted| {
                    format!("step {}, {op:?}: {wanted}, heard {answer}", step.number)
                })?;
                self.tally.borrow_mut().count(op, &before, &model, &expect);
            }
        }
        *histories += 1;
        *now += model.now + 1;
        Ok(())
    }
}

fn is_possible(model: &Model, steps: &[Step]) -> bool {
    let mut model = model.clone();
    steps.iter().all(|step| {
        let is_possible = step.is_possible(&model);
        if is_possible {
            model = step.after(model.clone());
        }
        is_possible
    })
}

/// The steps of a history, a line each, and what the model expects of them.
fn written(mut model: Model, steps: &[Step]) -> String {
    let mut lines = Vec::new();
    for step in steps {
        let ops = step.begin(&mut model);
        let answers: Vec<Expect> = ops.into_iter().map(|op| model.apply(op)).collect();
        let back =
            if step.back_ms > 0 { format!(", {} ms back", step.back_ms) } else { "".into() };
        lines.push(format!(
            "{:>4} by {}{back}: {:?}: {answers:?}",
            step.number, step.hand, step.op
        ));
    }
    lines.join("\n")
}

#[track_caller]
fn policy(name: &str) -> Seeds {
    *POLICIES.iter().find(|(policy, ..)| *policy == name).unwrap()
}

#[track_caller]
fn check(kind: Kind, policy_name: &str, go_on: impl Fn(&Tally) -> bool) {
    Run::new(kind, policy(policy_name)).run_many(go_on).assert_complete();
}

/// Not a test of its own: what `scripts/model` runs. Its words, each after `=`: the operations of
/// one store, of three stores and of three processes, all policies together, and the first seed.
#[test]
fn long() {
    let words: Vec<u64> =
        crate::child::words().iter().filter_map(|word| word.parse().ok()).collect();
    let [one, stores, processes, seed] = words.as_slice() else { return };
    let mut all = Tally::default();
    for (kind, operations) in SYSTEMS.into_iter().zip([one, stores, processes]) {
        for (name, first, policy) in POLICIES {
            let share = operations / POLICIES.len() as u64;
            let policy = (name, first + seed, policy);
            all.add(&Run::new(kind, policy).run_many(|tally| tally.operations < share));
        }
    }
    println!("in all: {} histories, {} operations", all.histories, all.operations);
    all.print();
    all.assert_complete();
}

/// Not a test of its own: what `scripts/model replay` runs. Its words, each after `=`: the system,
/// the policy and the seed that were printed.
#[test]
fn replay() {
    let words = crate::child::words();
    let [kind, name, seed] = words.as_slice() else { return };
    let Some(kind) = SYSTEMS.into_iter().find(|known| known.name() == kind) else { return };
    let Ok(seed) = seed.parse() else { return };
    let (name, _, policy) = policy(name);
    Run::new(kind, (name, seed, policy)).run_many(|tally| tally.histories < 1);
}

#[test]
fn nothing_that_ended_comes_back() {
    check(Kind::One, "plain", |tally| tally.histories < HISTORIES);
}

#[test]
fn nothing_that_ended_comes_back_where_the_device_is_shared() {
    check(Kind::One, "shared", |tally| tally.histories < HISTORIES);
}

#[test]
fn nothing_that_ended_comes_back_where_sessions_idle() {
    check(Kind::One, "idling", |tally| tally.histories < HISTORIES);
}

#[test]
fn nothing_that_ended_comes_back_where_the_full_are_refused() {
    check(Kind::One, "full", |tally| tally.histories < HISTORIES);
}

#[test]
fn nothing_that_ended_comes_back_in_three_processes() {
    check(Kind::Processes, "plain", |tally| tally.operations < OPERATIONS_OF_THREE);
}

#[test]
fn nothing_that_ended_comes_back_in_three_processes_where_the_device_is_shared() {
    check(Kind::Processes, "shared", |tally| tally.operations < OPERATIONS_OF_THREE);
}

#[test]
fn nothing_that_ended_comes_back_in_three_stores_open_on_one_file() {
    let mut all = Tally::default();
    for policy in POLICIES {
        let run = Run::new(Kind::Stores, policy);
        all.add(&run.run_many(|tally| tally.operations < OPERATIONS_OF_STORES));
    }
    all.assert_complete();
}
