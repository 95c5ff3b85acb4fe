//! kill -9 at any moment: a worker writes and says so, is killed, and the next one compares.
//!
//! Each worker is forked with the parent's [`Hand`]s, one for each of its threads: the answers that
//! the thread has had so far, and what it had asked for when it was killed. The worker opens the
//! file, compares it with them, reports the result, and goes on writing until it is killed in turn;
//! some are killed while they still open or compare. A new file is begun every [`CYCLES_OF_A_FILE`]
//! cycles.

pub(super) mod hand;
pub(super) mod operation;

use std::path::Path;
use std::thread;
use std::time::Duration;

use gatepost::directory::CreditHolder;
use gatepost::{NewUser, Store};

use crate::dice::Dice;
use crate::place::{Place, clear};
use crate::process::{Child, End, Voice};
use crate::store::{PASSWORD, is_whole, options};
use crate::tally::{Tally, in_lanes};
use hand::Hand;

/// Threads that write in each worker.
const HANDS: usize = 3;
/// Operations that a thread does before it ends by itself.
const OPERATIONS: usize = 40;
/// A file is used for so long, before its log makes each comparison slow.
const CYCLES_OF_A_FILE: u64 = 60;
/// The longest time after its start at which a worker is killed.
const LONGEST: Duration = Duration::from_millis(9);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(count: u64, seed: u64) -> Tally {
    in_lanes(count, |lane, count, tally| {
        let place = Place::new("kill");
        let path = place.file("auth.db");
        let mut dice = Dice::new(seed, lane);
        let mut hands = Vec::new();
        for cycle in 0..count {
            if cycle % CYCLES_OF_A_FILE == 0 {
                clear(&path);
                hands = begin(&path, dice.roll());
            }
            let worker = dice.roll();
            let child = Child::fork(|voice| work(&path, worker, &hands, voice));
            watch(child, &mut dice, &mut hands, tally);
            tally.one("cycles");
        }
        // The last one is compared as well.
        let child = Child::fork(|voice| drop(look(&path, seed, &hands, voice)));
        child.end_well();
    })
}

/// A new file with a user for each hand.
fn begin(path: &Path, seed: u64) -> Vec<Hand> {
    let child = Child::fork(|voice| {
        let store = Store::open(path, options(seed)).unwrap();
        for n in 0..HANDS {
            let branch = store.branches().create(&format!("branch{n}"), None).unwrap().id;
            store.credits().set(CreditHolder::Branch(branch), 0).unwrap();
            let new = NewUser::person(format!("hand{n}")).password(PASSWORD.into());
            let user = store.users().create(new.branch(branch)).unwrap().id;
            voice.say(format_args!("{user} {branch}"));
        }
    });
    child.end_well().iter().enumerate().map(|(n, line)| Hand::new(n, line)).collect()
}

/// Kills it at some moment, and notes what it had said.
fn watch(mut child: Child, dice: &mut Dice, hands: &mut [Hand], tally: &mut Tally) {
    let mut looked = false;
    // One in eight is not waited for: it is killed while it opens the file or compares.
    if !dice.one_in(8) {
        while !looked {
            let Some(line) = child.hear(PATIENCE) else {
                panic!("the file could not be looked at: {:?}", child.end());
            };
            looked |= note(&line, hands, tally);
        }
    }
    // A wait for a line that is not to come is a wait for a moment.
    let until = std::time::Instant::now() + dice.within(LONGEST);
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match child.hear(left) {
            Some(line) => looked |= note(&line, hands, tally),
            None => break,
        }
    }
    let (lines, end) = child.kill();
    for line in lines {
        looked |= note(&line, hands, tally);
    }
    match end {
        End::Signal(libc::SIGKILL) => tally.one("killed"),
        End::Well => tally.one("too late to kill"),
        other => panic!("a worker ended by itself: {other:?}"),
    }
    tally.one(if looked { "looks" } else { "killed before they had looked" });
}

/// Whether this line says that the comparison is over.
fn note(line: &str, hands: &mut [Hand], tally: &mut Tally) -> bool {
    let mut words = line.splitn(3, ' ');
    let (what, n) = (words.next().unwrap(), words.next());
    let rest = words.next().unwrap_or_default();
    let n: usize = n.map_or(0, |n| n.parse().unwrap());
    match what {
        "looked" => return true,
        "asks" => hands[n].asks(rest),
        "answered" => {
            tally.one("acknowledged writes");
            hands[n].answered(rest);
        }
        "undone" => {
            tally.one("unacknowledged and not done");
            hands[n].was_undone();
        }
        "done" => {
            tally.one("unacknowledged and done");
            hands[n].was_done();
        }
        other => panic!("{other}"),
    }
    false
}

/// Opens the file, compares it with the acknowledged writes, and reports the outcome of the others.
fn look(path: &Path, seed: u64, hands: &[Hand], voice: &Voice) -> (Store, Vec<Hand>) {
    let store = Store::open(path, options(seed)).unwrap();
    is_whole(&store, path);
    let mut hands = hands.to_vec();
    let mut found = Vec::new();
    for (n, hand) in hands.iter_mut().enumerate() {
        let as_answered = hand.holds(&store, path);
        let Some(done) = hand.if_done() else {
            as_answered.unwrap_or_else(|lost| panic!("hand {n}: {lost}: {hand:?}"));
            continue;
        };
        match (as_answered, done.holds(&store, path)) {
            (Ok(()), _) => {
                hand.was_undone();
                found.push(format!("undone {n}"));
            }
            (_, Ok(())) => {
                *hand = done;
                found.push(format!("done {n}"));
            }
            (Err(not_undone), Err(not_done)) => {
                panic!("hand {n} is half done: {not_undone}, and {not_done}: {hand:?}")
            }
        }
    }
    // Only now, so that a comparison which is killed half way counts for nothing.
    found.iter().for_each(|line| voice.say(line));
    voice.say("looked");
    (store, hands)
}

fn work(path: &Path, seed: u64, hands: &[Hand], voice: &Voice) {
    let (store, mut hands) = look(path, seed, hands, voice);
    for hand in &hands {
        // A login that was killed stays charged, and five of them in a row are made to wait.
        let user = store.users().find(hand.user).unwrap().unwrap();
        if user.failed_attempts > 2 {
            store.users().unlock(hand.user).unwrap();
        }
    }
    thread::scope(|scope| {
        for (n, hand) in hands.iter_mut().enumerate() {
            let store = store.clone();
            let mut dice = Dice::new(seed, n as u64);
            scope.spawn(move || {
                for _ in 0..OPERATIONS {
                    let operation = hand.chooses(&mut dice);
                    voice.say(format_args!("asks {n} {operation}"));
                    hand.asks(&operation);
                    let answer = operation::does(hand, &store);
                    voice.say(format_args!("answered {n} {answer}"));
                    hand.answered(&answer);
                }
            });
        }
    });
}
