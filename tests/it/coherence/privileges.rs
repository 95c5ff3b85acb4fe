//! One process grants and withdraws privileges while others ask for them, all on one file.
//!
//! A board that all processes see at once has a number for each user. The process that changes the
//! privileges raises it before a change begins and after it was acknowledged. A process that asks
//! reads it before and after `Store::may`: if it is the same and no change was under way, the
//! answer has to be the one that was acknowledged last. No other answer ever comes.

#![expect(clippy::disallowed_methods, reason = "whether a file was read shows in the time taken")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::host::ManualClock;
use gatepost::sessions::OpenSession;
use gatepost::{NewUser, Permission, Principal, Store, UserId};

use crate::child::{Child, Parent};
use crate::races::fleet::{Dice, Tally};
use crate::world::{World, device, for_tests, morning};

const USERS: usize = 4;
/// Processes that ask, and the threads of each.
const ASKING: usize = 2;
const THREADS: usize = 2;

/// Granted and withdrawn again and again.
const CHANGING: &str = "reports.write";
/// Granted all the time.
const STEADY: &str = "reports.read";

struct Board(File);

impl Board {
    fn beside(store: &Path) -> Self {
        let path = store.with_file_name("privileges");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(open.unwrap())
    }

    /// How often the user's privileges began to change and were changed. By its remainder of four:
    /// withdrawn, being granted, granted, being withdrawn.
    fn turn(&self, user: usize) -> u64 {
        let mut bytes = [0; 8];
        let _ = self.0.read_at(&mut bytes, 8 * user as u64).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn set_turn(&self, user: usize, turn: u64) {
        self.0.write_all_at(&turn.to_le_bytes(), 8 * user as u64).unwrap();
    }

    fn is_over(&self) -> bool {
        self.turn(USERS) != 0
    }
}

fn name(user: usize) -> String {
    format!("user-{user}")
}

/// What one process does: its part, the path, the seed and how often it asks.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let path = Path::new(&words[1]);
    let options = for_tests().clock(Arc::new(ManualClock::new(morning())));
    let store = Store::open(path, options).unwrap();
    let ids = std::array::from_fn(|user| {
        store.users().find_by_username(&name(user)).unwrap().unwrap().id
    });
    let [number, seed, checks] = [2, 3, 4].map(|word| words[word].parse::<u64>().unwrap());
    let tally = match words[0].as_str() {
        "change" => change(&store, path, &ids, seed),
        "ask" => ask(&store, path, &ids, seed + 10 * (number + 1), checks),
        other => panic!("no such part: {other}"),
    };
    parent.say(&tally.line());
}

/// Changes privileges until the race is over: every third time by plain SQL.
fn change(store: &Store, path: &Path, ids: &[UserId; USERS], seed: u64) -> Tally {
    let (board, mut dice, mut tally) = (Board::beside(path), Dice::new(seed, 1), Tally::default());
    let sql = rusqlite::Connection::open(path).unwrap();
    sql.busy_timeout(Duration::from_secs(5)).unwrap();
    while !board.is_over() {
        let user = dice.below(USERS);
        let turn = board.turn(user);
        let grants = turn % 4 == 0;
        board.set_turn(user, turn + 1);
        if dice.below(3) == 0 {
            let statement = if grants {
                "INSERT INTO user_privilege SELECT id, ?1 FROM user WHERE username = ?2"
            } else {
                "DELETE FROM user_privilege WHERE name = ?1
                   AND user_id = (SELECT id FROM user WHERE username = ?2)"
            };
            assert_eq!(sql.execute(statement, [CHANGING, &name(user)]).unwrap(), 1);
            tally.count("by_hand");
        } else {
            let set: &[&str] = if grants { &[STEADY, CHANGING] } else { &[STEADY] };
            store.users().set_privileges(ids[user], set).unwrap();
        }
        board.set_turn(user, turn + 2);
        tally.count(if grants { "grants" } else { "withdrawals" });
    }
    tally
}

/// Asks for privileges so often, and verifies now and then, so that they are cached.
fn ask(store: &Store, path: &Path, ids: &[UserId; USERS], seed: u64, checks: u64) -> Tally {
    let board = Board::beside(path);
    let one = |thread: u64| {
        let (mut dice, mut tally) = (Dice::new(seed, thread), Tally::default());
        let sessions: Vec<_> = (0..USERS)
            .map(|user| {
                let device = device(&format!("{seed}-{thread}-{user}"));
                let open = OpenSession::new(ids[user], device.clone());
                let reply = store.sessions().open(open).unwrap().granted().unwrap();
                (reply.session.token, device)
            })
            .collect();
        let verify = |user: usize| {
            let (token, device) = &sessions[user];
            store.verify((token, device)).unwrap().valid().unwrap()
        };
        let mut principals: Vec<Principal> = (0..USERS).map(verify).collect();
        for round in 0..checks {
            let user = dice.below(USERS);
            if round % 16 == 0 {
                principals[user] = verify(user);
            }
            check(store, &board, user, &principals[user], &mut tally);
        }
        tally
    };
    let mut sum = Tally::default();
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || one(thread as u64))).collect();
        threads.into_iter().for_each(|one| sum.add_all(&one.join().unwrap()));
    });
    sum
}

fn check(store: &Store, board: &Board, user: usize, principal: &Principal, tally: &mut Tally) {
    let turn = board.turn(user);
    let begun = Instant::now();
    let answer = store.may(principal, CHANGING).unwrap();
    tally.add("quick", u64::from(begun.elapsed() < Duration::from_micros(5)));
    let is_still = board.turn(user) == turn;
    tally.count("checks");
    tally.count(match (turn % 4, answer) {
        (_, Permission::Ended) => "ended",
        (0, Permission::Granted) if is_still => "stale",
        (2, Permission::Denied) if is_still => "stale",
        (0, Permission::Denied) if is_still => "denied",
        (2, Permission::Granted) if is_still => "granted",
        _ => "either",
    });
    let steady = store.may(principal, STEADY).unwrap();
    tally.add("lost", u64::from(steady != Permission::Granted));
}

#[track_caller]
fn check_race(seed: u64, checks: u64) {
    let world = World::new();
    for user in 0..USERS {
        let new = NewUser::person(name(user)).privilege(STEADY);
        world.store.users().create(new).unwrap();
    }
    let board = Board::beside(&world.path);
    let each = checks.div_ceil((ASKING * THREADS) as u64);
    let start = |part: &str, number: usize| {
        let path = world.path.to_str().unwrap();
        let numbers = [number as u64, seed, each].map(|number| number.to_string());
        let words = [part, path, &numbers[0], &numbers[1], &numbers[2]];
        Child::start("race of privileges", &words)
    };
    let mut changing = start("change", 0);
    let mut asking: Vec<Child> = (0..ASKING).map(|number| start("ask", number)).collect();
    let mut sum = Tally::default();
    for child in &mut asking {
        sum.add_all(&Tally::read(&child.hear()));
    }
    board.set_turn(USERS, 1);
    sum.add_all(&Tally::read(&changing.hear()));
    asking.into_iter().chain([changing]).for_each(Child::end);
    ["stale", "lost", "ended"].iter().for_each(|what| sum.add(what, 0));
    println!("race of privileges: seed {seed}: {}", sum.line());
    assert_eq!(sum.of("stale"), 0, "answered by privileges from before an acknowledged change");
    assert_eq!(sum.of("lost"), 0, "denied what was granted throughout");
    assert_eq!(sum.of("ended"), 0, "ended while it was live");
    for what in ["granted", "denied", "grants", "withdrawals", "by_hand"] {
        assert!(sum.of(what) > 0, "no {what}: {}", sum.line());
    }
}

#[test]
fn no_check_answers_by_privileges_from_before_an_acknowledged_change() {
    check_race(1, 20_000);
}

/// Not a test of its own: what `scripts/race privileges` runs. Its words, each after `=`: how many
/// checks, and the seed.
#[test]
fn long() {
    let words = crate::child::words();
    let [checks, seed] = words.as_slice() else { return };
    check_race(seed.parse().unwrap(), checks.parse().unwrap());
}
