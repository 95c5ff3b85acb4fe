//! Guesses by sixty-four threads: what is evaluated, what is charged, and the limit of both.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use chrono::{DateTime, Utc};
use gatepost::{Cost, LogIn, LoginAnswer, NewUser, OpenSession, Options, Refusal, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Player, Racer, Tally, as_word, each_round, from_word};
use crate::child::Parent;
use crate::world::{DAY, HOUR, PASSWORD, World, device};

/// Guesses that a budget allows before the first wait, and all of a user's before the day's.
const FREE: u64 = 5;
const ALL: u64 = 100;
/// How many passwords a process hashes at once.
const SLOTS: usize = 2;

/// Few may wait for a hash, so that some guesses are turned away as overloaded.
fn options(options: Options, cost: &str) -> Options {
    let cost = if cost == "tests" { Cost::insecure_for_tests() } else { Cost::recommended() };
    options.cost(cost).hashing(SLOTS, 4)
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

/// What the file has charged: to the user's name and its two devices, and to names nobody has.
fn charged(world: &World) -> (u64, u64) {
    let sum = |sql: &str| u64::try_from(world.count(sql)).unwrap();
    let name = sum("SELECT coalesce(sum(failures), 0) FROM throttle WHERE known = 1");
    let devices = sum("SELECT sum(failures) FROM device");
    let unknown = sum("SELECT coalesce(sum(failures), 0) FROM throttle WHERE known = 0");
    (name + devices, unknown)
}

/// What must be charged, if every budget is guessed at until it waits.
struct Expected {
    budgets: u64,
    charged: u64,
    stopped_at: Option<DateTime<Utc>>,
}

impl Expected {
    fn of(budgets: u64) -> Self {
        Self { budgets, charged: 0, stopped_at: None }
    }

    fn after_a_round(&mut self, now: DateTime<Utc>) -> u64 {
        let more = match self.stopped_at {
            Some(at) => u64::from(now >= at + DAY),
            None if self.charged == 0 => FREE * self.budgets,
            None => self.budgets.min(ALL - self.charged),
        };
        self.charged += more;
        if self.charged >= ALL && more > 0 {
            self.stopped_at = Some(now);
        }
        self.charged
    }
}

/// The clock stands still while they guess. An hour passes between the rounds, and a day after
/// every fourth: exactly the limit is evaluated, and exactly what is evaluated is charged.
pub(crate) fn are_counted(run: Run) {
    let (world, _, mut fleet) = begin(run, "tests");
    let (mut ada, mut nobody) = (Expected::of(3), Expected::of(1));
    let (mut all, mut before) = (Tally::default(), (0, 0));
    for round in 0..run.rounds {
        let now = gatepost::Clock::now(&world.clock);
        let tally = fleet.race(&format!("{} nobody", as_word(now)));
        let after = charged(&world);
        assert_eq!(after, (ada.after_a_round(now), nobody.after_a_round(now)), "round {round}");
        let more = (after.0 - before.0, after.1 - before.1);
        assert_eq!((tally.of("ada"), tally.of("nobody")), more, "evaluated in round {round}");
        assert_eq!(tally.of("hashes"), more.0 + more.1, "hashed in round {round}");
        all.add_all(&tally);
        before = after;
        world.clock.advance(if round % 4 == 3 && ada.charged >= ALL { DAY } else { HOUR });
    }
    fleet.end();
    println!("guesses: {} rounds, charged {before:?}; {}", run.rounds, all.line());
    assert!(before.0 >= ALL.min(15 + 3 * (run.rounds - 1)));
    assert!(all.of("overloaded") > 0 && all.of("told_to_wait") > 0);
}

/// In each round one process is killed while it hashes. What it had reserved stays charged, so
/// that exactly the limit is charged, and never more is evaluated.
pub(crate) fn are_counted_over_kills(run: Run) {
    let (world, ada, mut fleet) = begin(run, "recommended");
    let mut dice = Dice::new(run.seed, 0);
    let (mut evaluated, mut lost) = (0, 0);
    for round in 0..run.rounds {
        let now = as_word(gatepost::Clock::now(&world.clock));
        fleet.children.iter_mut().for_each(|child| child.say(&format!("{now} nobody{round}")));
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
        let charged = charged(&world);
        assert_eq!(charged, (3 * FREE, FREE * (round + 1)), "round {round}");
        assert!(hashes <= 4 * FREE, "{hashes} evaluated in round {round}");
        evaluated += hashes;
        lost += 4 * FREE - hashes;
        world.store.users().unlock(ada).unwrap();
    }
    fleet.end();
    let all = 4 * FREE * run.rounds;
    println!("guesses: {all} charged, {evaluated} seen evaluated, {lost} died unseen in kills");
    assert!(lost <= all / 2, "the kills left little to see");
}

fn hashes_of(line: &str) -> u64 {
    let number = match line.strip_prefix("hashes ") {
        Some(number) => Some(number),
        None => line.split(' ').find_map(|word| word.strip_prefix("hashes=")),
    };
    number.map_or(0, |number| number.parse().unwrap())
}

/// Guesses in every budget until told to wait.
pub(crate) fn guess(parent: &mut Parent, racer: &Racer) {
    let cost = racer.rest[0].clone();
    let store = racer.store(|tests| options(tests, &cost));
    each_round(parent, |line| {
        let (now, nobody) = line.split_once(' ').unwrap();
        racer.clock.set(from_word(now));
        let before = store.status().hashes_done;
        let over = AtomicBool::new(false);
        let mut tally = thread::scope(|scope| {
            if cost != "tests" {
                scope.spawn(|| tell_of_hashes(&store, before, &over));
            }
            let tally = racer.threads(|player| guess_everywhere(player, &store, nobody));
            over.store(true, Ordering::Release);
            tally
        });
        tally.add("hashes", store.status().hashes_done - before);
        tally.line()
    });
}

fn guess_everywhere(player: &mut Player, store: &Store, nobody: &str) {
    let mut budgets =
        [("ada", "elsewhere"), ("ada", "till-0"), ("ada", "till-1"), (nobody, "elsewhere")];
    budgets.rotate_left(player.dice.below(4));
    for (name, on) in budgets {
        // Beyond all that a user has, nothing would ever make it wait.
        let mut evaluated = 0;
        while evaluated <= ALL {
            let guess = || LogIn::new(name, "wrong horse".into(), device(on));
            match player.insist(|| store.log_in(guess())) {
                LoginAnswer::Refused(Refusal::InvalidCredentials) => {
                    player.tally.count(if name == "ada" { "ada" } else { "nobody" });
                    evaluated += 1;
                }
                LoginAnswer::Refused(Refusal::Overloaded { .. }) => {
                    player.tally.count("overloaded");
                    thread::yield_now();
                }
                LoginAnswer::Refused(Refusal::TooManyAttempts { .. }) => {
                    player.tally.count("told_to_wait");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Says of each hash that it has begun: it may be the last that is heard of this process.
fn tell_of_hashes(store: &Store, before: u64, over: &AtomicBool) {
    let mut told = 0;
    while !over.load(Ordering::Acquire) {
        let begun = store.status().hashes_done - before;
        if begun > told {
            Parent.say(&format!("hashes {begun}"));
            told = begun;
        }
        thread::yield_now();
    }
}
