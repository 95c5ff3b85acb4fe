//! Processes that open sessions, revoke them in every way, and verify them, all on one file.
//!
//! Every session has a place on a board that all processes see at once. A call that revokes it says
//! so there before it begins and after it was acknowledged; a thread that verifies reads the board
//! *before* the verify begins. A pass of a session revoked by then is stale; a refusal of one that
//! was valid before and is valid after is false. Neither ever happens.

#![expect(clippy::disallowed_methods, reason = "a race goes on for so long on the wall")]

mod board;
mod ends;
mod others;
mod rows;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::{Error, ErrorKind, Options, Store, Subtree};

use crate::child::{Child, Parent};
use crate::races::fleet::{Dice, Tally};
use crate::world::{World, device, for_tests, morning};
use board::{Board, MADE, NO_DEVICE, Session, State};

/// Processes that open and revoke sessions, each of its own users.
const WRITERS: usize = 2;
/// Threads of each process that verifies.
const THREADS: usize = 2;
/// Verifies of a session that has ended.
const ENOUGH: u32 = 12;

const CAST: &[&str] = &["write 0", "write 1", "verify 0", "verify 1", "type 0", "sweep 0"];

/// Runs one process: its part, its number, the path and the seed.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    parent.say(&format!("pid {}", std::process::id()));
    let racer = Racer {
        path: words[2].clone(),
        index: words[1].parse().unwrap(),
        seed: words[3].parse().unwrap(),
    };
    match words[0].as_str() {
        "write" => ends::write(parent, &racer),
        "verify" => verify(parent, &racer),
        "type" => others::type_by_hand(parent, &racer),
        "sweep" => others::sweep(parent, &racer),
        "crash" => others::end_until_killed(parent, &racer),
        other => panic!("no such part: {other}"),
    }
}

/// One process of the race, from the inside.
struct Racer {
    path: String,
    index: usize,
    seed: u64,
}

impl Racer {
    fn board(&self) -> Board {
        Board::beside(Path::new(&self.path))
    }

    fn dice(&self, thread: u64) -> Dice {
        Dice::new(self.seed, 1_000 * u64::try_from(self.index).unwrap() + thread)
    }

    /// With a clock that is that much after the morning.
    fn store(&self, ahead: Duration) -> Store {
        let clock = ManualClock::new(morning());
        clock.advance(ahead);
        let options = options(for_tests()).clock(Arc::new(clock));
        insist(&mut Tally::default(), || Store::open(&self.path, options.clone()))
    }
}

fn options(options: Options) -> Options {
    options
        .max_concurrent_hashes(2)
        .max_waiting_hashes(64)
        .sessions(SessionPolicy::server().per_user(10_000))
        .api_keys_per_user(9)
}

/// Makes a call until no other writer keeps it from the file.
#[track_caller]
fn insist<T>(tally: &mut Tally, mut call: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match call() {
            Ok(answer) => return answer,
            Err(error) if error.kind() == ErrorKind::Busy => tally.count("busy"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Verifies until each round is over.
fn verify(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(Duration::ZERO);
    let board = racer.board();
    let mut known: Vec<Looker> = (0..THREADS).map(|_| Looker::default()).collect();
    while let Some(round) = parent.hear() {
        let round = round.parse().unwrap();
        let (store, board) = (&store, &board);
        let mut sum = Tally::default();
        thread::scope(|scope| {
            let look = |looker: &'_ mut Looker| {
                let mut tally = Tally::default();
                while !board.is_over(round) {
                    looker.look(store, board, &mut tally);
                }
                tally
            };
            let running: Vec<_> =
                known.iter_mut().map(|looker| scope.spawn(move || look(looker))).collect();
            running.into_iter().for_each(|one| sum.add_all(&one.join().unwrap()));
        });
        let cached = store.status().cached.unwrap_or(0);
        sum.add("cached", u64::try_from(cached).unwrap());
        parent.say(&sum.line());
    }
}

/// The sessions that one thread verifies: each from the moment it is published, and for a while
/// after its revocation was acknowledged.
#[derive(Default)]
struct Looker {
    next: [u64; WRITERS],
    /// How often it was verified since it ended.
    watched: Vec<(Session, u32)>,
    looks: u64,
}

impl Looker {
    fn look(&mut self, store: &Store, board: &Board, tally: &mut Tally) {
        for (writer, next) in self.next.iter_mut().enumerate() {
            let found = board.read_on(writer, next);
            self.watched.extend(found.into_iter().map(|session| (session, 0)));
        }
        for (session, since) in &mut self.watched {
            self.looks += 1;
            let had_ended = check(store, board, session, self.looks.is_multiple_of(16), tally);
            *since += u32::from(had_ended);
        }
        self.watched.retain(|(_, since)| *since < ENOUGH);
    }
}

/// One verify, and what the board said before it and says after it; whether it had ended before.
fn check(
    store: &Store,
    board: &Board,
    session: &Session,
    is_timed: bool,
    tally: &mut Tally,
) -> bool {
    let on =
        (![NO_DEVICE, MADE].contains(&session.device.as_str())).then(|| device(&session.device));
    let standing = board.standing(session.slot);
    let begun = Instant::now();
    let verdict = insist(tally, || store.verify((&session.token, on.as_ref())));
    if is_timed {
        tally.count("timed");
        tally.add("quick", u64::from(begun.elapsed() < Duration::from_micros(10)));
    }
    let passed = verdict.valid().is_ok();
    tally.count("verifies");
    let before = standing.state();
    let is_still = || board.standing(session.slot) == standing;
    tally.count(match (before, passed) {
        (State::Ended, true) if is_still() => "stale",
        (State::Ended, false) => "refused",
        (State::Live, true) => "passed",
        (State::Live, false) if is_still() => "refused_live",
        _ => "either",
    });
    before == State::Ended
}

/// How long it goes on: for so many rounds of so many steps, or until the time is over and there
/// were enough verifies.
struct Run {
    seed: u64,
    steps: usize,
    rounds: u64,
    until: Instant,
    verifies: u64,
}

fn race(run: &Run) -> Tally {
    let world = World::with(options);
    let board = Board::beside(&world.path);
    let mut pids = vec![std::process::id().to_string()];
    let mut start = |part: &str| {
        let (what, number) = part.split_once(' ').unwrap();
        let path = world.path.to_str().unwrap();
        let words = [what, number, path, &run.seed.to_string()];
        let mut child = Child::start("race of verifies", &words);
        pids.push(child.hear().strip_prefix("pid ").unwrap().to_owned());
        child
    };
    let mut children: Vec<Child> = CAST.iter().map(|part| start(part)).collect();
    let mut victim = start("crash 0");
    let mut dice = Dice::new(run.seed, 77);
    let (mut sum, mut looker) = (Tally::default(), Looker::default());
    let mut round = 0;
    while round < run.rounds && (Instant::now() < run.until || sum.of("verifies") < run.verifies) {
        let line = round.to_string();
        children[WRITERS..].iter_mut().for_each(|child| child.say(&line));
        victim.say(&line);
        let (writers, rest) = children.split_at_mut(WRITERS);
        writers.iter_mut().for_each(|child| child.say(&run.steps.to_string()));
        thread::scope(|scope| {
            let writing: Vec<_> =
                writers.iter_mut().map(|child| scope.spawn(|| child.hear())).collect();
            // On a busy machine the commit may be over before the kill arrives: then once more.
            while writing.iter().any(|one| !one.is_finished())
                || sum.of("killed_in_a_commit") == 0 && sum.of("killed") < KILLS_MAX
            {
                (0..20 + dice.below(60)).for_each(|_| drop(victim.hear()));
                let killed = std::mem::replace(&mut victim, start("crash 0"));
                others::kill_in_a_commit(killed, &board, &mut sum);
                victim.say(&line);
            }
            let counted = writing.into_iter().map(|one| one.join().unwrap());
            counted.for_each(|line| sum.add_all(&Tally::read(&line)));
        });
        end_all(&world.store, &board);
        (0..2).for_each(|_| looker.look(&world.store, &board, &mut sum));
        board.is_now_over(round);
        rest.iter_mut().for_each(|child| sum.add_all(&Tally::read(&child.hear())));
        round += 1;
    }
    victim.kill();
    children.into_iter().for_each(Child::end);
    // Said even if there are none.
    COUNTED.iter().chain(&["stale", "refused_live"]).for_each(|what| sum.add(what, 0));
    println!("race: seed {}, {round} rounds, pids {}", run.seed, pids.join(" "));
    println!("race: {}", sum.line());
    sum
}

/// Ends every session of the store, between two rounds of the writers.
fn end_all(store: &Store, board: &Board) {
    let mut live = board.all(State::Live);
    live.retain(|slot| board.session(*slot).device != NO_DEVICE);
    live.iter().for_each(|slot| board.set(*slot, State::Ending));
    insist(&mut Tally::default(), || store.sessions().revoke_all(Subtree::Store));
    live.iter().for_each(|slot| board.set(*slot, State::Ended));
}

/// After so many, none of which came in time, something is wrong.
const KILLS_MAX: u64 = 200;

/// Counts that must not be zero after a race.
const COUNTED: [&str; 9] = [
    "passed",
    "refused",
    "ended",
    "attenuated",
    "typed",
    "swept",
    "killed_in_a_commit",
    "checkpoints",
    "wal_resets",
];

#[track_caller]
fn check_race(run: &Run) {
    let sum = race(run);
    assert_eq!(sum.of("stale"), 0, "passed after the end was acknowledged");
    assert_eq!(sum.of("refused_live"), 0, "refused while it was live throughout");
    let rows = rows::ROWS.iter().map(|(row, _)| rows::word(row));
    for what in COUNTED.map(str::to_owned).into_iter().chain(rows) {
        assert!(sum.of(&what) > 0, "no {what}: {}", sum.line());
    }
}

#[test]
fn no_verify_passes_after_the_end_was_acknowledged_and_none_is_refused_before() {
    check_race(&Run { seed: 1, steps: 70, rounds: 2, until: Instant::now(), verifies: u64::MAX });
}

/// Not a test of its own: what `scripts/race` runs. Its words, each after `=`: for how many
/// seconds at least, for how many verifies at least, and the seed.
#[test]
fn long() {
    let words = crate::child::words();
    let [seconds, verifies, seed] = words.as_slice() else { return };
    let [seconds, verifies, seed] =
        [seconds, verifies, seed].map(|word| word.parse::<u64>().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    check_race(&Run { seed, steps: 400, rounds: u64::MAX, until, verifies });
}
