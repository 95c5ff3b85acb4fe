//! Codes of authenticators and recovery codes, presented by sixty-four threads of processes that
//! are killed: each is accepted exactly once.

use gatepost::second_factors::{FactorCode, NewTotp};
use gatepost::{Error, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Player, Racer, as_word, each_round, from_word};
use crate::child::Parent;
use crate::keyring::{OLD, keys};
use crate::second_factor::Enrolled;
use crate::world::{PASSWORD, World, device};

/// In one round of so many a process is killed.
const KILLED_EVERY: u64 = 5;

fn options(options: Options) -> Options {
    options.keyring(keys(&[OLD])).max_waiting_hashes(64)
}

struct Kind {
    name: &'static str,
    /// The event that its use leaves.
    event: &'static str,
    door: fn(&Store, [&str; 3]) -> Result<bool, Error>,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "totp",
        event: "second_factor.codes_reissued",
        door: |store, [token, on, code]| {
            let on = device(on);
            let factors = store.second_factors();
            let outcome = factors.reissue_recovery_codes(
                (token, &on),
                PASSWORD.into(),
                FactorCode::from(code),
            );
            outcome.map(|outcome| outcome.done().is_ok())
        },
    },
    Kind {
        name: "recovery",
        event: "second_factor.enrolment_begun",
        door: |store, [token, on, code]| {
            let (on, code) = (device(on), FactorCode::from(code));
            let factors = store.second_factors();
            let outcome = factors.replace((token, &on), PASSWORD.into(), code, NewTotp::new());
            outcome.map(|outcome| outcome.done().is_ok())
        },
    },
];

pub(crate) fn codes_are_accepted_once(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("factors", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut unheard, mut refused) = (0, 0, 0);
    for round in 0..run.rounds {
        let people =
            KINDS.each_ref().map(|kind| Enrolled::new(&world, &format!("{}-{round}", kind.name)));
        let codes = [people[0].authenticator.text(world.now(), 0), people[1].codes[0].clone()];
        let words: Vec<String> = people
            .iter()
            .zip(&codes)
            .map(|(one, code)| format!("{}/{}/{code}", one.session.token.expose(), one.on))
            .collect();
        let events = KINDS.each_ref().map(|kind| kind.event);
        let before: Vec<i64> =
            people.iter().zip(events).map(|(one, event)| uses(&world, event, one.user)).collect();
        let line = format!("{} {}", as_word(world.now()), words.join(" "));
        fleet.children.iter_mut().for_each(|child| child.say(&line));
        let mut heard = Heard::default();
        let victim = (round % KILLED_EVERY == 0).then(|| dice.below(PROCESSES));
        if let Some(victim) = victim {
            for _ in 0..dice.below(24) {
                if heard.is_done(&fleet.children[victim].hear()) {
                    break;
                }
            }
            for line in fleet.kill(victim) {
                heard.is_done(&line);
            }
            kills += 1;
        }
        for child in &mut fleet.children {
            while !heard.is_done(&child.hear()) {}
        }
        if let Some(victim) = victim {
            fleet.replace(victim);
        }
        for (number, one) in people.iter().enumerate() {
            let (name, seed) = (KINDS[number].name, run.seed);
            let used = || uses(&world, events[number], one.user) - before[number];
            if used() == 0 {
                // The threads of the process that was killed may have closed the gate.
                assert!(victim.is_some(), "seed {seed}, round {round}: {name} refused to all");
                world.store.users().unlock(one.user).unwrap();
                assert!((KINDS[number].door)(&world.store, split(&words[number])).unwrap());
            }
            // Nor is it accepted afterwards, when no gate is closed.
            world.store.users().unlock(one.user).unwrap();
            assert!(!(KINDS[number].door)(&world.store, split(&words[number])).unwrap());
            assert_eq!(used(), 1, "seed {seed}, round {round}: {name}");
            // A process that was killed may not have said that it used one.
            assert!(heard.used[number] <= 1, "seed {seed}, round {round}: {name}");
            unheard += 1 - heard.used[number];
        }
        refused += heard.refused;
    }
    fleet.end();
    let codes = run.rounds * 2;
    println!(
        "factors: {codes} codes used once, {refused} refused, {kills} kills, {unheard} unheard"
    );
    assert!(kills > 0 && refused > codes, "{kills} kills, {refused} refused");
    assert!(unheard <= 2 * kills);
}

/// What the threads have said.
#[derive(Default)]
struct Heard {
    used: [u64; 2],
    refused: u64,
}

impl Heard {
    /// Notes what a thread said; whether its process has finished the round.
    fn is_done(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some(("used", number)) => self.used[number.parse::<usize>().unwrap()] += 1,
            Some(("refused", _)) => self.refused += 1,
            _ => return line == "done",
        }
        false
    }
}

/// How often the file says that a code of this user was used.
fn uses(world: &World, event: &str, user: UserId) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE event = ?1 AND user_id = ?2 AND outcome = 'done'";
    let user = user.as_uuid().into_bytes();
    world.sql().query_row(sql, (event, user), |row| row.get(0)).unwrap()
}

fn split(word: &str) -> [&str; 3] {
    let parts: Vec<&str> = word.split('/').collect();
    parts.try_into().unwrap()
}

/// Presents each code once from each thread, in an order of its own, and says what came of it.
pub(crate) fn present(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    each_round(parent, |line| {
        let mut words = line.split(' ');
        racer.clock.set(from_word(words.next().unwrap()));
        let codes: Vec<&str> = words.collect();
        racer.threads(|player| present_all(player, &store, &codes));
        "done".to_owned()
    });
}

fn present_all(player: &mut Player, store: &Store, codes: &[&str]) {
    let first = player.dice.below(codes.len());
    for turn in 0..codes.len() {
        let number = (first + turn) % codes.len();
        let is_used = player.insist(|| (KINDS[number].door)(store, split(codes[number])));
        let said = if is_used { "used" } else { "refused" };
        Parent.say(&format!("{said} {number}"));
    }
}
