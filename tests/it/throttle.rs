//! Failed attempts: counted before they are evaluated, for names that exist and names that do not.

use std::thread;
use std::time::Duration;

use gatepost::{
    EventKind, LogIn, LoginAnswer, NewUser, OpenSession, Reason, Refusal, Store, UserId,
};

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

#[test]
fn the_fifth_failure_waits_thirty_seconds_and_each_one_more_twice_as_long_up_to_an_hour() {
    let world = World::new();
    let ada = ada(&world);
    let mut waits = Vec::new();
    for failures in 1..=101 {
        log_in(&world.store, "ada", "wrong horse", "elsewhere").granted().unwrap_err();
        let user = world.user(ada);
        assert_eq!(user.failed_password_attempt_count, failures);
        let told = world.hashes(0, |_| user.locked_out_until);
        let wait = told.map(|until| (until - world.now()).to_std().unwrap());
        if let Some(wait) = wait {
            let answer = world.hashes(0, |store| log_in(store, "ada", PASSWORD, "elsewhere"));
            assert_eq!(wait_of(&answer), Some(wait));
            world.clock.advance(wait);
        }
        waits.push(wait.map_or(0, |wait| wait.as_secs()));
    }
    assert_eq!(waits[..13], [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert!(waits[13..99].iter().all(|wait| *wait == 3_600));
    assert_eq!(waits[99..], [86_400, 86_400], "one try a day from the hundredth on");
}

#[test]
fn a_wait_is_over_at_its_last_millisecond_and_not_before() {
    let world = World::new();
    ada(&world);
    fail(&world, "ada", "elsewhere", 5);
    world.clock.advance(30 * SECOND - Duration::from_millis(1));
    let answer = log_in(&world.store, "ada", PASSWORD, "elsewhere");
    assert_eq!(wait_of(&answer), Some(Duration::from_millis(1)));
    world.clock.advance(Duration::from_millis(1));
    assert!(log_in(&world.store, "ada", PASSWORD, "elsewhere").is_granted());
}

#[test]
fn a_known_device_waits_by_its_own_failures() {
    let world = World::new();
    ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
    fail(&world, "ada", "till", 5);
    assert_eq!(wait_of(&log_in(&world.store, "ada", PASSWORD, "till")), Some(30 * SECOND));
    assert!(log_in(&world.store, "ada", PASSWORD, "elsewhere").is_granted());
}

#[test]
fn a_success_forgives_all_failures_from_everywhere() {
    let world = World::new();
    let ada = ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
    fail(&world, "ada", "till", 4);
    fail(&world, "ada", "elsewhere", 4);
    assert_eq!(world.user(ada).failed_password_attempt_count, 8);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").is_granted());
    assert_eq!(world.user(ada).failed_password_attempt_count, 0);
    fail(&world, "ada", "elsewhere", 4);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").is_granted());
}

#[test]
fn a_lock_by_failures_is_revealed_by_option_alone_and_to_names_nobody_has_alike() {
    let reveal =
        |disable| World::with(|options| options.reveal_lock(true).disable_at_100(disable));
    let world = reveal(false);
    ada(&world);
    for name in ["ada", "nobody"] {
        fail_revealed(&world, name, 5);
        let refusal = log_in(&world.store, name, PASSWORD, "phone").granted().unwrap_err();
        let Refusal::AccountLocked { until, .. } = refusal else { panic!("{refusal:?}") };
        assert_eq!(until, Some(world.now() + 30 * SECOND));
        assert_eq!(world.last_event().event, "attempts.throttled");
    }
    let world = reveal(true);
    ada(&world);
    fail_revealed(&world, "ada", 100);
    let refusal = log_in(&world.store, "ada", PASSWORD, "phone").granted().unwrap_err();
    let Refusal::AccountLocked { until, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(until, None);
}

fn fail_revealed(world: &World, name: &str, times: usize) {
    let mut evaluated = 0;
    while evaluated < times {
        match log_in(&world.store, name, "wrong horse", "elsewhere").granted().unwrap_err() {
            Refusal::AccountLocked { until: Some(until), .. } => world.clock.set(until),
            _ => evaluated += 1,
        }
    }
}

#[test]
fn a_lock_by_failures_ends_no_session() {
    let world = World::with(|options| options.disable_at_100(true));
    let ada = ada(&world);
    let open = OpenSession::new(ada, device("till")).expires_at(world.now() + 30 * DAY);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    fail(&world, "ada", "elsewhere", 100);
    assert!(world.user(ada).locked_out_until.is_some());
    assert!(world.passes(&session, "till"));
}

#[test]
fn the_audit_log_keeps_nothing_of_a_name_nobody_has() {
    let world = World::new();
    fail(&world, "hunter2hunter2", "elsewhere", 5);
    log_in(&world.store, "hunter2hunter2", "x", "elsewhere").granted().unwrap_err();
    let log = world.log_of(EventKind::LoginRefused);
    assert_eq!(log.len(), 5);
    for entry in log.into_iter().chain(world.log_of(EventKind::AttemptsThrottled)) {
        assert_eq!((entry.user, entry.detail), (None, None), "{}", entry.event);
    }
}

#[test]
fn a_name_nobody_has_is_forgotten_after_a_day() {
    let world = World::new();
    fail(&world, "nobody", "elsewhere", 3);
    world.clock.advance(DAY - SECOND);
    assert_eq!(world.store.maintain().unwrap().attempts, 0);
    world.clock.advance(SECOND);
    assert_eq!(world.store.maintain().unwrap().attempts, 1);
    assert_eq!(world.count("SELECT count(*) FROM throttle"), 0);
}

#[test]
fn the_failures_of_a_user_are_not_forgotten_by_time() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, "ada", "elsewhere", 3);
    world.clock.advance(30 * DAY);
    world.store.maintain().unwrap();
    assert_eq!(world.user(ada).failed_password_attempt_count, 3);
}

#[test]
fn an_administrator_unlocks_without_a_session_and_a_new_password_does_too() {
    for unlock in [
        (|world: &World, ada| assert!(world.store.users().unlock(ada).unwrap()))
            as fn(&World, UserId),
        |world, ada| world.store.users().set_password(ada, PASSWORD.into()).unwrap(),
    ] {
        let world = World::new();
        let ada = ada(&world);
        assert!(log_in(&world.store, "ada", PASSWORD, "till").is_granted());
        fail(&world, "ada", "till", 5);
        fail(&world, "ada", "elsewhere", 5);
        unlock(&world, ada);
        assert_eq!(world.user(ada).failed_password_attempt_count, 0);
        for on in ["elsewhere", "till"] {
            assert!(log_in(&world.store, "ada", PASSWORD, on).is_granted());
        }
    }
}

#[test]
fn what_could_not_be_evaluated_is_not_charged() {
    let world = World::new();
    let ada = NewUser::person("ada").password(PASSWORD.into());
    let ada = world.store.users().create(ada).unwrap();
    world.sql().execute("UPDATE credential SET phc = 'no hash'", []).unwrap();
    for _ in 0..6 {
        let request = LogIn::new("ada", PASSWORD.into(), device("till"));
        assert_eq!(world.store.log_in(request).unwrap_err().reason(), Reason::Corrupt);
    }
    let ada = world.store.users().find(ada.id).unwrap().unwrap();
    assert_eq!(ada.failed_password_attempt_count, 0);
    assert_eq!(world.count("SELECT count(*) FROM throttle"), 0);
}
