//! Pending steps, guessed at and completed by sixty-four threads of processes that are killed: no
//! more codes are compared than the share of a step, and a step opens one session.

use gatepost::{CompleteLogin, Error, LoginOutcome, LoginRefusal, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, Kill, Player, Racer, as_word, each_round_aloud, from_word};
use crate::child::Parent;
use crate::pending_step::{code_at, give_factor, pending, unsealed, wrong_at};
use crate::world::{PASSWORD, World, device};

/// Wrong codes after which a step is spent, and how many of them come before the race: the gate of
/// the user, which is opened again, must not be what ends it.
const SHARE: u64 = 5;
const BEFORE: u64 = 3;
/// In one round of so many a process is killed.
const KILLED_EVERY: u64 = 3;

fn options(options: Options) -> Options {
    unsealed(options).max_waiting_hashes(64)
}

pub(crate) fn stay_within_their_share(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("steps", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut opened, mut refused) = (0, 0, 0);
    for round in 0..run.rounds {
        let (guessed, first) = wait(&world, &format!("guessed-{round}"));
        let (completed, second) = wait(&world, &format!("completed-{round}"));
        let (wrong, right) = (wrong_at(world.now()), code_at(world.now()));
        for _ in 0..BEFORE {
            let refused = answer(&world.store, &first, &wrong).unwrap().granted().unwrap_err();
            assert_eq!(refused, LoginRefusal::InvalidCredentials);
        }
        assert!(world.store.users().unlock(guessed).unwrap());
        let line = format!("{} {first} {second} {wrong} {right}", as_word(world.now()));
        let kill = Kill::thrown(&mut dice, round, KILLED_EVERY, 12);
        kills += u64::from(kill.is_some());
        let heard = fleet.race_aloud(&line, kill);
        let place = format!("seed {}, round {round}", run.seed);
        // What a killed process had charged stays charged, whether its answer was heard or not.
        assert_eq!(world.user(guessed).failed_attempts, SHARE - BEFORE, "{place}");
        let wrong = heard.of("wrong");
        assert!(wrong <= SHARE - BEFORE, "{place}: {wrong} compared");
        assert!(kill.is_some() || wrong > 0, "{place}");
        let left = "SELECT min(guesses_left) FROM pending_step";
        assert_eq!(world.count(left), 0, "{place}");
        assert!(world.sessions_of(guessed).is_empty(), "{place}");
        let sessions = world.sessions_of(completed).len() as u64;
        assert!(sessions == 1 || (sessions == 0 && kill.is_some()), "{place}: {sessions}");
        assert!(heard.of("opened") <= sessions, "{place}");
        opened += sessions;
        refused += heard.of("refused");
        world.sql().execute("DELETE FROM pending_step", []).unwrap();
    }
    fleet.end();
    println!("steps: {opened} opened once, {refused} refused, {kills} kills");
    assert!(kills > 0 && refused > run.rounds * SHARE, "{kills} kills, {refused} refused");
}

/// A user with a factor, and the token of a step of theirs.
fn wait(world: &World, name: &str) -> (UserId, String) {
    let user = world.person(name).id;
    give_factor(world, user);
    let login = gatepost::LoginRequest::new(name, PASSWORD.into(), device(name));
    let step = pending(world.store.log_in(login).unwrap());
    (user, format!("{name}/{}", step.token.expose()))
}

/// Guesses at the first step until the answer is another than a wrong code's, and completes the
/// second one.
pub(crate) fn guess(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    each_round_aloud(parent, |line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [now, first, second, wrong, right] = words[..] else { panic!("{line}") };
        racer.clock.set(from_word(now));
        racer.threads(|player| {
            if player.dice.below(2) == 0 {
                complete(player, &store, second, right);
                guess_all(player, &store, first, wrong);
            } else {
                guess_all(player, &store, first, wrong);
                complete(player, &store, second, right);
            }
        });
    });
}

fn guess_all(player: &mut Player, store: &Store, step: &str, code: &str) {
    let mut guess = || player.insist(|| answer(store, step, code)).granted().map(drop);
    while guess() == Err(LoginRefusal::InvalidCredentials) {
        Parent.say("wrong");
    }
    Parent.say("refused");
}

fn complete(player: &mut Player, store: &Store, step: &str, code: &str) {
    let opened = player.insist(|| answer(store, step, code)).granted().is_ok();
    Parent.say(if opened { "opened" } else { "refused" });
}

fn answer(store: &Store, step: &str, code: &str) -> Result<LoginOutcome, Error> {
    let (on, token) = step.split_once('/').unwrap();
    store.complete_login(CompleteLogin::with_code(token, device(on), code))
}
