//! Codes of authenticators and recovery codes, presented in a session and at a login by sixty-four
//! threads of processes that are killed: each is accepted exactly once.

use gatepost::second_factors::{FactorCode, NewTotp};
use gatepost::{Error, LoginRequest, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, Kill, Player, Racer, as_word, each_round_aloud, from_word};
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
    door: fn(&Store, [&str; 4]) -> Result<bool, Error>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "totp",
        event: "second_factor.codes_reissued",
        door: |store, [_, token, on, code]| {
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
        door: |store, [_, token, on, code]| {
            let (on, code) = (device(on), FactorCode::from(code));
            let factors = store.second_factors();
            let outcome = factors.replace((token, &on), PASSWORD.into(), code, NewTotp::new());
            outcome.map(|outcome| outcome.done().is_ok())
        },
    },
    Kind {
        name: "totp-at-login",
        event: "login.granted",
        door: |store, [name, _, _, code]| log_in(store, name, |login| login.code(code)),
    },
    Kind {
        name: "recovery-at-login",
        event: "login.granted",
        door: |store, [name, _, _, code]| log_in(store, name, |login| login.recovery_code(code)),
    },
];

fn log_in(
    store: &Store,
    name: &str,
    with: impl FnOnce(LoginRequest) -> LoginRequest,
) -> Result<bool, Error> {
    let login = LoginRequest::new(name, PASSWORD.into(), device(&format!("desk-of-{name}")));
    store.log_in(with(login)).map(|outcome| outcome.granted().is_ok())
}

pub(crate) fn codes_are_accepted_once(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("factors", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut unheard, mut refused) = (0, 0, 0);
    for round in 0..run.rounds {
        let names = KINDS.each_ref().map(|kind| format!("{}-{round}", kind.name));
        let people = names.each_ref().map(|name| Enrolled::new(&world, name));
        let word = |number: usize| {
            let one: &Enrolled = &people[number];
            let code = if KINDS[number].name.starts_with("totp") {
                one.authenticator.text(world.now(), 0)
            } else {
                one.codes[0].clone()
            };
            format!("{}/{}/{}/{code}", names[number], one.session.token.expose(), one.on)
        };
        let words: Vec<String> = (0..KINDS.len()).map(word).collect();
        let events = KINDS.each_ref().map(|kind| kind.event);
        let before: Vec<i64> =
            people.iter().zip(events).map(|(one, event)| uses(&world, event, one.user)).collect();
        let line = format!("{} {}", as_word(world.now()), words.join(" "));
        let kill = Kill::thrown(&mut dice, round, KILLED_EVERY, 48);
        kills += u64::from(kill.is_some());
        let heard = fleet.race_aloud(&line, kill);
        for (number, one) in people.iter().enumerate() {
            let (name, seed) = (KINDS[number].name, run.seed);
            let used = || uses(&world, events[number], one.user) - before[number];
            if used() == 0 {
                // The threads of the process that was killed may have closed the gate.
                assert!(kill.is_some(), "seed {seed}, round {round}: {name} refused to all");
                world.store.users().unlock(one.user).unwrap();
                assert!((KINDS[number].door)(&world.store, split(&words[number])).unwrap());
            }
            // Nor is it accepted afterwards, when no gate is closed.
            world.store.users().unlock(one.user).unwrap();
            assert!(!(KINDS[number].door)(&world.store, split(&words[number])).unwrap());
            assert_eq!(used(), 1, "seed {seed}, round {round}: {name}");
            // A process that was killed may not have said that it used one.
            let said = heard.of(&format!("used {number}"));
            assert!(said <= 1, "seed {seed}, round {round}: {name}");
            unheard += 1 - said;
        }
        refused += heard.of("refused");
    }
    fleet.end();
    let codes = run.rounds * KINDS.len() as u64;
    println!(
        "factors: {codes} codes used once, {refused} refused, {kills} kills, {unheard} unheard"
    );
    assert!(kills > 0 && refused > codes, "{kills} kills, {refused} refused");
    assert!(unheard <= KINDS.len() as u64 * kills);
}

/// How often the file says that a code of this user was used.
fn uses(world: &World, event: &str, user: UserId) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE event = ?1 AND user_id = ?2 AND outcome = 'done'";
    let user = user.as_uuid().into_bytes();
    world.sql().query_row(sql, (event, user), |row| row.get(0)).unwrap()
}

fn split(word: &str) -> [&str; 4] {
    let parts: Vec<&str> = word.split('/').collect();
    parts.try_into().unwrap()
}

/// Presents each code once from each thread, in an order of its own, and says what came of it.
pub(crate) fn present(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    each_round_aloud(parent, |line| {
        let mut words = line.split(' ');
        racer.clock.set(from_word(words.next().unwrap()));
        let codes: Vec<&str> = words.collect();
        racer.threads(|player| present_all(player, &store, &codes));
    });
}

fn present_all(player: &mut Player, store: &Store, codes: &[&str]) {
    let first = player.dice.below(codes.len());
    for turn in 0..codes.len() {
        let number = (first + turn) % codes.len();
        let is_used = player.insist(|| (KINDS[number].door)(store, split(codes[number])));
        Parent.say(&if is_used { format!("used {number}") } else { "refused".to_owned() });
    }
}
