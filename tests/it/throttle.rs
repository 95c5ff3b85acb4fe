//! Failed attempts: counted before they are evaluated, for names that exist and names that do not.

use std::thread;
use std::time::Duration;

use gatepost::{EventKind, LogIn, LoginAnswer, NewUser, Refusal, Store, UserId};

use crate::world::{DAY, PASSWORD, SECOND, World, device};

fn ada(world: &World) -> UserId {
    world.store.users().create(NewUser::person("ada").password(PASSWORD.into())).unwrap().id
}

fn log_in(store: &Store, name: &str, password: &str, on: &str) -> LoginAnswer {
    store.log_in(LogIn::new(name, password.into(), device(on))).unwrap()
}

/// How long to wait, if it is that.
fn wait_of(answer: &LoginAnswer) -> Option<Duration> {
    match answer {
        LoginAnswer::Refused(Refusal::TooManyAttempts { retry_after, .. }) => Some(*retry_after),
        _ => None,
    }
}

fn fail(world: &World, name: &str, on: &str, times: usize) {
    let mut evaluated = 0;
    while evaluated < times {
        match wait_of(&log_in(&world.store, name, "wrong horse", on)) {
            Some(wait) => world.clock.advance(wait),
            None => evaluated += 1,
        }
    }
}

#[test]
fn of_many_tries_at_once_exactly_five_are_evaluated() {
    let world = World::new();
    ada(&world);
    let hashes = world.store.status().hashes_done;
    let outcomes: Vec<LoginAnswer> = thread::scope(|scope| {
        let attempt = || log_in(&world.store, "ada", "wrong horse", "elsewhere");
        let tries: Vec<_> = (0..24).map(|_| scope.spawn(attempt)).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let turned_away = outcomes.iter().filter(|answer| wait_of(answer).is_some()).count();
    assert_eq!((turned_away, world.store.status().hashes_done - hashes), (19, 5));
}

#[test]
fn while_it_waits_not_even_the_right_password_is_looked_at() {
    let world = World::new();
    ada(&world);
    fail(&world, "ada", "elsewhere", 5);
    let hashes = world.store.status().hashes_done;
    assert_eq!(wait_of(&log_in(&world.store, "ada", PASSWORD, "phone")), Some(30 * SECOND));
    assert_eq!(world.store.status().hashes_done, hashes);
    world.clock.advance(30 * SECOND);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").is_granted());
}

#[test]
fn turned_away_tries_leave_one_event_a_window() {
    let world = World::new();
    ada(&world);
    fail(&world, "ada", "elsewhere", 5);
    let once = |events: &[EventKind]| {
        let answer = world.leaves(events, 0, |store| log_in(store, "ada", PASSWORD, "phone"));
        assert!(wait_of(&answer).is_some());
    };
    once(&[EventKind::AttemptsThrottled]);
    once(&[]);
    world.clock.advance(30 * SECOND);
    fail(&world, "ada", "elsewhere", 1);
    once(&[EventKind::AttemptsThrottled]);
    once(&[]);
}

#[test]
fn names_nobody_has_are_answered_alike() {
    let world = World::new();
    ada(&world);
    for _ in 0..40 {
        let wait = wait_of(&log_in(&world.store, "ada", "wrong horse", "elsewhere"));
        assert_eq!(wait_of(&log_in(&world.store, "bob", "wrong horse", "elsewhere")), wait);
        world.clock.advance(20 * SECOND);
    }
}

#[test]
fn a_name_is_counted_in_any_case() {
    let world = World::new();
    ada(&world);
    for name in ["ada", "ADA", "Ada", "ａｄａ", "aDa"] {
        fail(&world, name, "elsewhere", 1);
    }
    assert!(wait_of(&log_in(&world.store, "ada", PASSWORD, "phone")).is_some());
}

#[test]
fn a_stranger_does_not_lock_the_owner_out_of_a_known_device() {
    let world = World::new();
    let ada = ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
    fail(&world, "ada", "elsewhere", 9);
    let user = world.store.users().find(ada).unwrap().unwrap();
    assert_eq!(user.failed_password_attempt_count, 9);
    assert!(user.is_locked_out(user.locked_out_until.unwrap() - SECOND));
    assert!(!user.is_locked_out(user.locked_out_until.unwrap()));
    assert!(wait_of(&log_in(&world.store, "ada", PASSWORD, "phone")).is_some());
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
    let user = world.store.users().find(ada).unwrap().unwrap();
    assert_eq!((user.failed_password_attempt_count, user.locked_out_until), (0, None));
}

#[test]
fn after_a_hundred_failures_even_a_known_device_waits_a_day() {
    let world = World::new();
    ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
    fail(&world, "ada", "elsewhere", 60);
    fail(&world, "ada", "till", 40);
    assert_eq!(wait_of(&log_in(&world.store, "ada", PASSWORD, "till")), Some(DAY));
    world.clock.advance(DAY);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
}

#[test]
fn by_option_a_hundred_failures_wait_for_an_administrator() {
    let world = World::with(|options| options.disable_at_100(true));
    let ada = ada(&world);
    fail(&world, "ada", "elsewhere", 100);
    world.clock.advance(400 * DAY);
    assert!(wait_of(&log_in(&world.store, "ada", PASSWORD, "till")).is_some());
    let user = world.store.users().find(ada).unwrap().unwrap();
    assert!(user.is_locked_out("9999-12-31T00:00:00Z".parse().unwrap()));
    let unlock = |store: &Store| store.users().unlock(ada).unwrap();
    assert!(world.leaves(&[EventKind::AttemptsUnlocked], 0, unlock));
    assert!(!world.leaves(&[], 0, unlock));
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
}

#[test]
fn failures_follow_a_user_to_another_name() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, "ada", "elsewhere", 5);
    world.store.users().rename(ada, "countess").unwrap();
    for name in ["countess", "ada"] {
        assert!(wait_of(&log_in(&world.store, name, PASSWORD, "till")).is_some(), "{name}");
    }
}

#[test]
fn a_charge_outlives_the_process() {
    let mut world = World::new();
    ada(&world);
    fail(&world, "ada", "elsewhere", 5);
    world.reopen();
    assert!(wait_of(&log_in(&world.store, "ada", PASSWORD, "till")).is_some());
}

#[test]
fn the_file_keeps_no_image_of_a_name_nobody_has() {
    let world = World::new();
    fail(&world, "hunter2hunter2", "elsewhere", 6);
    world.store.close().unwrap();
    let file = std::fs::read(&world.path).unwrap();
    let typed = b"hunter2hunter2";
    assert!(!file.windows(typed.len()).any(|bytes| bytes == typed));
    let digest = "SELECT count(*) FROM throttle WHERE length(name_digest) = 4";
    assert_eq!(world.count(digest), 1);
}
