//! Names that exist and names that do not: whatever became of the one, the answers to both are the
//! same, attempt for attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gatepost::directory::UserStatus;
use gatepost::host::{Clock, KeyId, Keyring, SealingKey};
use gatepost::policy::{ChangeAtLogin, Lockout, SessionPolicy};
use gatepost::sessions::{NewOneTimeToken, OpenSession};
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, NewUser, Timestamp, UserId};

use super::{WRONG, wait_of};
use crate::child::Child;
use crate::races::Dice;
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, SECOND, World, device, morning};

/// What is typed for a user, and in the same way for an unknown name. The last of each is no
/// name at all.
const SPELLINGS: [(&str, &str); 5] = [
    ("ada", "eve"),
    ("ADA", "EVE"),
    ("ada@example.com", "eve@example.com"),
    ("\u{ff21}da@Example.com", "\u{ff25}ve@Example.com"),
    ("ada\u{3000}", "eve\u{3000}"),
];

/// What happens to the user; nothing ever happens to the other name.
type Event = fn(&mut World, UserId);

const EVENTS: &[(&str, Event)] = &[
    ("unlocked", |world, ada| {
        let _ = world.store.users().unlock(ada).unwrap();
    }),
    ("restarted", |world, _| world.reopen()),
    ("locked", |world, ada| status(world, ada, UserStatus::Locked)),
    ("disabled", |world, ada| status(world, ada, UserStatus::Disabled)),
    ("pending", |world, ada| status(world, ada, UserStatus::Pending)),
    ("active", |world, ada| status(world, ada, UserStatus::Active)),
    ("deleted", |world, ada| world.store.users().delete(ada).unwrap()),
    ("deleted and restored", |world, ada| {
        world.store.users().delete(ada).unwrap();
        world.store.users().restore(ada).unwrap();
    }),
    ("password set", |world, ada| {
        world.store.users().set_password(ada, PASSWORD.into()).unwrap();
    }),
    ("password removed", |world, ada| {
        let _ = world.store.users().remove_password(ada).unwrap();
    }),
    ("compromised", |world, ada| {
        let _ = world.store.users().mark_compromised(ada);
    }),
    ("renamed and back", |world, ada| {
        world.store.users().rename(ada, "countess").unwrap();
        world.store.users().rename(ada, "ada").unwrap();
    }),
    ("on a device", |world, ada| {
        let open = OpenSession::new(ada, device("till"));
        let _ = world.store.sessions().open(open).unwrap();
    }),
    ("stopped", |world, _| {
        let now = world.now().as_millis();
        let stop = "UPDATE throttle SET failures = 90, charged_at = ?1
                    WHERE user_id <> zeroblob(16)";
        world.sql().execute(stop, [now]).unwrap();
    }),
    ("maintained", |world, _| {
        let _ = world.store.maintain().unwrap();
    }),
];

fn status(world: &World, ada: UserId, status: UserStatus) {
    world.store.users().set_status(ada, status).unwrap();
}

fn world(lockout: Lockout) -> (World, UserId) {
    let world = World::with(|options| {
        options
            .login_by_email(true)
            .lockout(lockout)
            .change_at_login(ChangeAtLogin::Always)
            .sessions(SessionPolicy::server().require_device(false))
    });
    let ada = NewUser::person("ada").email("ada@example.com").password(PASSWORD.into());
    let ada = world.store.users().create(ada).unwrap().id;
    (world, ada)
}

/// One attempt, by a door that the dice choose, for both names.
fn attempt(world: &World, dice: &mut Dice, password: &str) -> [LoginOutcome; 2] {
    let (ada, eve) = SPELLINGS[dice.below(SPELLINGS.len())];
    let (door, on) = (dice.below(4), device(&format!("elsewhere-{}", dice.below(3))));
    [ada, eve].map(|name| {
        let request = LoginRequest::new(name, password.into(), on.clone());
        let request = match door {
            0 => LoginRequest::new(name, password.into(), None),
            1 => request.new_password("nine brass bells".into()),
            2 => request.require_admin(),
            _ => request,
        };
        world.store.log_in(request).unwrap()
    })
}

fn is_one_answer(answers: &[LoginOutcome; 2]) -> bool {
    let shown = |answer: &LoginOutcome| match answer {
        LoginOutcome::Refused(refusal) => {
            assert!(
                matches!(
                    refusal,
                    LoginRefusal::InvalidCredentials | LoginRefusal::TooManyAttempts { .. }
                ),
                "{refusal:?}"
            );
            Some(*refusal)
        }
        _ => None,
    };
    shown(&answers[0]).is_some() && shown(&answers[0]) == shown(&answers[1])
}

/// A history of attempts and events; answers how many pairs of answers were compared.
fn history(seed: u64, steps: usize) -> usize {
    let mut dice = Dice::new(seed, 0);
    let lockout = if seed.is_multiple_of(2) { Lockout::Timed } else { Lockout::Permanent };
    let (mut world, ada) = world(lockout);
    let mut story = Vec::new();
    let mut compared = 0;
    for step in 0..steps {
        match dice.below(16) {
            0 => {
                let (name, event) = EVENTS[dice.below(EVENTS.len())];
                if world.store.users().find(ada).unwrap().is_none() {
                    world.store.users().restore(ada).unwrap();
                }
                event(&mut world, ada);
                story.push(name);
            }
            1..=3 => {
                let spans = [SECOND, 29 * SECOND, 31 * SECOND, MINUTE, HOUR, DAY];
                world.clock.advance(spans[dice.below(spans.len())]);
            }
            _ => {
                // A right password is one more wrong one while the gate is closed.
                let user = world.store.users().find(ada).unwrap();
                let is_closed = user.is_none_or(|user| user.locked_out_until.is_some());
                let password = if is_closed && dice.below(3) == 0 { PASSWORD } else { WRONG };
                let answers = attempt(&world, &mut dice, password);
                assert!(is_one_answer(&answers), "seed {seed}, {step}: {story:?}: {answers:?}");
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn a_name_that_exists_is_answered_as_one_that_does_not() {
    let compared: usize = (1..=8).map(|seed| history(seed, 160)).sum();
    assert!(compared > 700, "{compared}");
}

/// What `scripts/guessing` runs. Words, each after `=`: `alike`, how many seeds, the first of them,
/// and how many steps each has.
#[test]
fn long() {
    let words = crate::child::words();
    let [section, seeds, first, steps] = words.as_slice() else { return };
    if section != "alike" {
        return;
    }
    let [seeds, first, steps] = [seeds, first, steps].map(|word| word.parse::<u64>().unwrap());
    let steps = usize::try_from(steps).unwrap();
    let compared: usize = (first..first + seeds).map(|seed| history(seed, steps)).sum();
    println!("alike: seeds {first} to {}, {compared} pairs of answers", first + seeds - 1);
    after_a_flood();
}

/// Every state in turn, each from the first attempt to the second wait.
#[test]
fn in_every_state_the_sequence_of_answers_is_the_same() {
    for (number, (state, event)) in EVENTS.iter().enumerate() {
        let (ada_types, eve_types) = SPELLINGS[number % SPELLINGS.len()];
        let (mut world, ada) = world(Lockout::Timed);
        event(&mut world, ada);
        for attempt in 0..9 {
            let answers = [ada_types, eve_types].map(|name| {
                let request = LoginRequest::new(name, WRONG.into(), device("elsewhere"));
                world.store.log_in(request).unwrap()
            });
            assert!(is_one_answer(&answers), "{state}, {ada_types}, {attempt}: {answers:?}");
            let wait = wait_of(&answers[0]);
            assert_eq!(wait.is_some(), attempt == 5 || attempt == 7, "{state}, {attempt}");
            world.clock.advance(wait.unwrap_or_default());
        }
    }
}

/// Strangers' failures at one spelling say nothing at another, and neither does a restart.
#[test]
fn two_spellings_of_one_account_are_not_shown_to_be_one() {
    let (mut world, _) = world(Lockout::Timed);
    for (name, address) in [("ada", "ada@example.com"), ("eve", "eve@example.com")] {
        let log_in = |typed: &str| {
            let request = LoginRequest::new(typed, WRONG.into(), device("elsewhere"));
            world.store.log_in(request).unwrap().granted().unwrap_err().name()
        };
        let first: Vec<&str> = (0..6).map(|_| log_in(name)).collect();
        let then: Vec<&str> = (0..6).map(|_| log_in(address)).collect();
        assert_eq!(first, then, "{name}");
        assert_eq!(first[4..], ["invalid_credentials", "too_many_attempts"]);
    }
    world.reopen();
    let mut dice = Dice::new(1, 0);
    for _ in 0..40 {
        assert!(is_one_answer(&attempt(&world, &mut dice, PASSWORD)));
    }
}

#[test]
fn another_process_answers_both_alike() {
    let world = World::new();
    world.person("ada");
    for name in ["ada", "eve"] {
        for _ in 0..7 {
            let _ = world.log_in(name, WRONG, "elsewhere");
        }
    }
    let path = world.path.to_str().unwrap();
    let mut other = Child::start("options", &[path, "as it was"]);
    other.hear();
    let mut guess = |name: &str| {
        other.say(&format!("guess {name}"));
        other.hear()
    };
    for _ in 0..7 {
        assert_eq!(guess("ada"), guess("eve"));
    }
    other.end();
}

/// Counts how often the clock is read, as each transaction does, and a key is asked for.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<[AtomicU64; 2]>);

impl Clock for Counted {
    fn now(&self) -> Timestamp {
        self.0[0].fetch_add(1, Ordering::SeqCst);
        morning()
    }
}

impl Keyring for Counted {
    fn current(&self) -> KeyId {
        KeyId::new("only").unwrap()
    }

    fn key(&self, _: &KeyId) -> Option<SealingKey> {
        self.0[1].fetch_add(1, Ordering::SeqCst);
        Some(SealingKey::new([1; 32]))
    }
}

impl Counted {
    fn counts(&self) -> [u64; 2] {
        self.0.each_ref().map(|count| count.load(Ordering::SeqCst))
    }
}

/// Of ada, who has a second factor, bob, who has none, and eve, who is no user.
#[test]
fn a_token_for_a_password_and_a_code_beside_it_are_the_same_work_for_every_name() {
    let counted = Arc::new(Counted::default());
    let mut world = World::with(|options| options.clock(counted.clone()).keyring(counted.clone()));
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    crate::pending_step::give_factor(&world, ada);
    let reset = NewOneTimeToken::password_reset();
    let token = world.store.one_time_tokens().issue(bob, reset).unwrap().token;
    for gate in ["open", "closed"] {
        let inputs = [(token.expose(), None), (WRONG, Some("123456")), (WRONG, Some("12345678"))];
        for (password, code) in inputs {
            let costs = ["ada", "bob", "eve"].map(|name| {
                let login = LoginRequest::new(name, password.into(), device("elsewhere"));
                let login = code.into_iter().fold(login, LoginRequest::code);
                let before = (counted.counts(), world.store.status().writes);
                let refusal = world.ask(login).unwrap_err();
                assert_eq!(refusal, LoginRefusal::InvalidCredentials);
                let after = (counted.counts(), world.store.status().writes);
                [after.0[0] - before.0[0], after.0[1] - before.0[1], after.1 - before.1]
            });
            assert_eq!(costs, [costs[0]; 3], "{code:?}, the gate is {gate}");
        }
        let close = "UPDATE throttle SET failures = 90, charged_at = ?1
                     WHERE user_id <> zeroblob(16)";
        assert_eq!(world.sql().execute(close, [morning().as_millis()]).unwrap(), 2);
        // The waits of what was typed are forgotten.
        world.reopen();
    }
}

/// A flood pushes both out of the table: neither is remembered, and the gate is as it was.
fn after_a_flood() {
    let (world, ada) = world(Lockout::Timed);
    let mut dice = Dice::new(2, 0);
    for _ in 0..40 {
        assert!(is_one_answer(&attempt(&world, &mut dice, WRONG)));
    }
    let failures = world.user(ada).failed_attempts;
    for number in 0..1_000_000 {
        let name = format!("flood-{number}");
        let request = LoginRequest::new(name, WRONG.into(), device("elsewhere"));
        let refusal = world.store.log_in(request).unwrap().granted().unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    }
    assert_eq!(world.user(ada).failed_attempts, failures);
    for _ in 0..40 {
        assert!(is_one_answer(&attempt(&world, &mut dice, PASSWORD)));
    }
    println!("alike: after a flood of 1000000 names");
}
