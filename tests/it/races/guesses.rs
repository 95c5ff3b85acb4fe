//! Guesses by sixty-four threads: how many are evaluated, how many are charged, and their limit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gatepost::policy::Cost;
use gatepost::sessions::OpenSession;
use gatepost::{
    LoginOutcome, LoginRefusal, LoginRequest, NewUser, Options, Store, Timestamp, UserId,
};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Player, Racer, Tally, as_word, each_round, from_word};
use crate::child::Parent;
use crate::world::{DAY, HOUR, PASSWORD, World, device};

/// Guesses before the first wait, those at the gate and from known devices before a day's.
const FREE: u64 = 5;
const GATE: u64 = 90;
const KNOWN: u64 = 10;
/// More than any text or device is ever guessed at in a round.
const ALL: u64 = 100;
/// How many passwords a process hashes at once.
const SLOTS: usize = 2;

/// Few may wait for a hash, so that some guesses are turned away as overloaded.
fn options(options: Options, cost: &str) -> Options {
    let cost = if cost == "tests" { Cost::insecure_for_tests() } else { Cost::recommended() };
    options.cost(cost).max_concurrent_hashes(SLOTS).max_waiting_hashes(4)
}

/// A user with two known devices, and the processes that guess at it.
fn begin(run: Run, cost: &str) -> (World, UserId, Fleet) {
    let world = World::with(|tests| options(tests, cost));
    let ada = NewUser::person("ada").password(PASSWORD.into());
    let ada = world.store.users().create(ada).unwrap().id;
    for till in ["till-0", "till-1"] {
        let open = OpenSession::new(ada, device(till));
        world.store.sessions().open(open).unwrap().granted().unwrap();
    }
    let fleet = Fleet::start("guesses", &world, run.seed, &[cost]);
    (world, ada, fleet)
}

/// What the file has charged: at the gate, and from known devices.
fn charged(world: &World) -> (u64, u64) {
    let sum = |sql: &str| u64::try_from(world.count(sql)).unwrap();
    let of_ada = "SELECT sum(failures) FROM throttle WHERE user_id <> zeroblob(16)";
    let known = "SELECT sum(known_failures) FROM throttle";
    (sum(of_ada), sum(known))
}

/// What must be charged and hashed, if every text and device is guessed at until it waits.
#[derive(Default)]
struct Expected {
    gate: (u64, Option<Timestamp>),
    known: (u64, Option<Timestamp>),
    typed_at: Option<Timestamp>,
}

impl Expected {
    /// What went through by one typed text in each process, and what known devices had compared.
    fn after_a_round(&mut self, now: Timestamp) -> (u64, u64) {
        let is_over = |last: Option<Timestamp>| last.is_none_or(|last| now >= last + DAY);
        let gate = match self.gate {
            (0, _) => FREE,
            (1..GATE, _) => 1,
            (_, last) => u64::from(is_over(last)),
        };
        let known = match self.known {
            (0, _) => KNOWN,
            (_, last) => u64::from(is_over(last)),
        };
        for (count, more) in [(&mut self.gate, gate), (&mut self.known, known)] {
            *count = (count.0 + more, if more > 0 { Some(now) } else { count.1 });
        }
        let typed = if is_over(self.typed_at) { FREE } else { 1 };
        self.typed_at = Some(now);
        (typed, known)
    }
}

/// The clock does not move while they guess. An hour passes between the rounds, and a day after
/// every fourth: exactly the limit is charged, and what goes through is hashed once.
pub(crate) fn are_counted(run: Run) {
    let (world, _, mut fleet) = begin(run, "tests");
    let mut expected = Expected::default();
    let mut all = Tally::default();
    for round in 0..run.rounds {
        let now = gatepost::host::Clock::now(&world.clock);
        let tally = fleet.race(&format!("{} unknown", as_word(now)));
        let (typed, known) = expected.after_a_round(now);
        assert_eq!(charged(&world), (expected.gate.0, expected.known.0), "round {round}");
        let typed = typed * PROCESSES as u64;
        let heard = (tally.of("ada"), tally.of("unknown"));
        // An attempt whose last write found the file busy had gone through as well.
        let unheard = (typed + known - heard.0) + (typed - heard.1);
        assert!(unheard <= tally.of("busy"), "{unheard} went through unheard in round {round}");
        assert_eq!(tally.of("hashes"), 2 * typed + known, "hashed in round {round}");
        all.add_all(&tally);
        world.clock.advance(if round % 4 == 3 { DAY } else { HOUR });
    }
    fleet.end();
    let charged = (expected.gate.0, expected.known.0);
    println!("guesses: {} rounds, charged {charged:?}; {}", run.rounds, all.line());
    assert!(all.of("overloaded") > 0 && all.of("too_many_attempts") > 0);
}

/// In each round one process is killed while it hashes. What it had reserved stays charged, so
/// that exactly the limit is charged.
pub(crate) fn are_counted_over_kills(run: Run) {
    let (world, ada, mut fleet) = begin(run, "recommended");
    let mut dice = Dice::new(run.seed, 0);
    let most = 2 * FREE * PROCESSES as u64 + KNOWN;
    let mut seen = 0;
    for round in 0..run.rounds {
        let now = as_word(gatepost::host::Clock::now(&world.clock));
        fleet.children.iter_mut().for_each(|child| child.say(&format!("{now} unknown{round}")));
        let victim = dice.below(PROCESSES);
        let mut hashes = 0;
        for _ in 0..=dice.below(4) {
            let line = fleet.children[victim].hear();
            hashes = hashes.max(hashes_of(&line));
            if !line.starts_with("hashes ") {
                break;
            }
        }
        let rest = fleet.kill(victim);
        hashes = rest.iter().map(|line| hashes_of(line)).fold(hashes, u64::max);
        for child in &mut fleet.children {
            let mut line = child.hear();
            while line.starts_with("hashes ") {
                line = child.hear();
            }
            hashes += hashes_of(&line);
        }
        fleet.replace(victim);
        assert_eq!(charged(&world), (FREE, KNOWN), "round {round}");
        assert!(hashes <= most, "{hashes} hashed in round {round}");
        seen += hashes;
        world.store.users().unlock(ada).unwrap();
        // Each process has forgotten what was typed.
        world.clock.advance(DAY);
    }
    fleet.end();
    let all = most * run.rounds;
    println!("guesses: {seen} of at most {all} hashes seen, the rest died in kills");
    assert!(seen > all / 2, "the kills left little to see");
}

fn hashes_of(line: &str) -> u64 {
    let number = match line.strip_prefix("hashes ") {
        Some(number) => Some(number),
        None => line.split(' ').find_map(|word| word.strip_prefix("hashes=")),
    };
    number.map_or(0, |number| number.parse().unwrap())
}

/// Guesses by every text and on every device until the answer is to wait.
pub(crate) fn guess(parent: &mut Parent, racer: &Racer) {
    let cost = racer.rest[0].clone();
    let store = racer.store(|tests| options(tests, &cost));
    each_round(parent, |line| {
        let (now, unknown) = line.split_once(' ').unwrap();
        racer.clock.set(from_word(now));
        let before = store.status().hashes_done;
        let over = AtomicBool::new(false);
        let mut tally = thread::scope(|scope| {
            if cost != "tests" {
                scope.spawn(|| report_hashes(&store, before, &over));
            }
            let tally = racer.threads(|player| guess_everywhere(player, &store, unknown));
            over.store(true, Ordering::Release);
            tally
        });
        tally.add("hashes", store.status().hashes_done - before);
        tally.line()
    });
}

fn guess_everywhere(player: &mut Player, store: &Store, unknown: &str) {
    let mut doors =
        [("ada", "elsewhere"), ("ada", "till-0"), ("ada", "till-1"), (unknown, "elsewhere")];
    doors.rotate_left(player.dice.below(4));
    for (name, on) in doors {
        // Beyond all that a user has, nothing would ever make it wait.
        let mut evaluated = 0;
        while evaluated <= ALL {
            let guess = || LoginRequest::new(name, "wrong horse".into(), device(on));
            match player.insist(|| store.log_in(guess())) {
                LoginOutcome::Refused(LoginRefusal::InvalidCredentials) => {
                    player.tally.count(if name == "ada" { "ada" } else { "unknown" });
                    evaluated += 1;
                }
                LoginOutcome::Refused(LoginRefusal::Overloaded { .. }) => {
                    player.tally.count("overloaded");
                    thread::yield_now();
                }
                LoginOutcome::Refused(LoginRefusal::TooManyAttempts { .. }) => {
                    player.tally.count("too_many_attempts");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Says of each hash that it has begun: it may be the last that is heard of this process.
fn report_hashes(store: &Store, before: u64, over: &AtomicBool) {
    let mut reported = 0;
    while !over.load(Ordering::Acquire) {
        let begun = store.status().hashes_done - before;
        if begun > reported {
            Parent.say(&format!("hashes {begun}"));
            reported = begun;
        }
        thread::yield_now();
    }
}
