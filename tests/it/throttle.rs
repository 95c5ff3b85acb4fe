//! Failed attempts: counted before they are evaluated, for names that exist and names that do not.

mod alike;
pub(crate) mod limit;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::host::Clock;
use gatepost::policy::Lockout;
use gatepost::sessions::OpenSession;
use gatepost::{ErrorKind, LoginOutcome, LoginRefusal, LoginRequest, NewUser, Store, UserId};

use crate::world::{DAY, HOUR, PASSWORD, SECOND, World, device};

const WRONG: &str = "wrong horse battery";

fn ada(world: &World) -> UserId {
    let ada = NewUser::person("ada").email("ada@example.com").password(PASSWORD.into());
    world.store.users().create(ada).unwrap().id
}

fn log_in(store: &Store, name: &str, password: &str, on: &str) -> LoginOutcome {
    store.log_in(LoginRequest::new(name, password.into(), device(on))).unwrap()
}

/// How long to wait, if it is that.
fn wait_of(answer: &LoginOutcome) -> Option<Duration> {
    match answer {
        LoginOutcome::Refused(LoginRefusal::TooManyAttempts { retry_after, .. }) => {
            Some(*retry_after)
        }
        _ => None,
    }
}

fn is_invalid(answer: &LoginOutcome) -> bool {
    matches!(answer, LoginOutcome::Refused(LoginRefusal::InvalidCredentials))
}

/// Fails until so many more are charged, each as soon as a password is compared again.
fn fail(world: &World, ada: UserId, on: &str, times: u64) {
    let wanted = world.user(ada).failed_attempts + times;
    let mut tries = 0;
    while world.user(ada).failed_attempts < wanted {
        tries += 1;
        assert!(tries <= 4 * times, "failures are not counted");
        let before = world.user(ada).failed_attempts;
        let answer = log_in(&world.store, "ada", WRONG, on);
        if world.user(ada).failed_attempts == before {
            world.clock.advance(wait_of(&answer).unwrap_or(HOUR));
        }
    }
}

#[test]
fn of_many_tries_at_once_exactly_five_are_evaluated() {
    let world = World::new();
    ada(&world);
    let hashes = world.store.status().hashes_done;
    let outcomes: Vec<LoginOutcome> = thread::scope(|scope| {
        let attempt = || log_in(&world.store, "ada", WRONG, "elsewhere");
        let tries: Vec<_> = (0..24).map(|_| scope.spawn(attempt)).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let turned_away = outcomes.iter().filter(|answer| wait_of(answer).is_some()).count();
    assert_eq!((turned_away, world.store.status().hashes_done - hashes), (19, 5));
    let refused = BTreeMap::from([("invalid_credentials", 5), ("too_many_attempts", 19)]);
    assert_eq!(world.store.status().login_refusals, refused);
}

#[test]
fn of_many_spellings_at_once_exactly_five_are_compared() {
    let world = World::with(|options| options.login_by_email(true));
    let ada = ada(&world);
    let names = ["ada", "ADA", "ada@example.com", "Ada@Example.COM"];
    thread::scope(|scope| {
        for attempt in 0..24 {
            let world = &world;
            scope.spawn(move || {
                log_in(&world.store, names[attempt % names.len()], WRONG, "elsewhere")
            });
        }
    });
    assert_eq!(world.user(ada).failed_attempts, 5);
}

#[test]
fn in_the_first_thirty_seconds_of_a_wait_nothing_is_hashed_or_written() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    for rest in [30, 1] {
        let writes = world.store.status().writes;
        let answer = world.hashes(0, |store| log_in(store, "ada", PASSWORD, "phone"));
        assert_eq!(wait_of(&answer), Some(rest * SECOND));
        assert_eq!(world.store.status().writes, writes);
        world.clock.advance(29 * SECOND);
    }
    world.clock.advance(SECOND);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
}

#[test]
fn later_in_a_wait_an_attempt_goes_through_and_its_failure_says_how_long_it_was() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    world.clock.advance(30 * SECOND);
    assert!(is_invalid(&log_in(&world.store, "ada", WRONG, "elsewhere")));
    world.clock.advance(45 * SECOND);
    let answer = world.hashes(1, |store| log_in(store, "ada", PASSWORD, "elsewhere"));
    assert_eq!(wait_of(&answer), Some(15 * SECOND), "the gate is closed as well");
    assert_eq!(world.user(ada).failed_attempts, 6);
}

#[test]
fn a_right_password_is_granted_at_an_open_gate_whatever_the_typed_text_waits() {
    let world = World::new();
    let ada = ada(&world);
    for _ in 0..8 {
        log_in(&world.store, "ada", WRONG, "elsewhere").granted().unwrap_err();
        world.clock.advance(31 * SECOND);
    }
    world.store.users().unlock(ada).unwrap();
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
    // The grant left the entry as it was.
    assert!(wait_of(&log_in(&world.store, "ada", WRONG, "elsewhere")).is_some());
}

#[test]
fn at_a_closed_gate_a_right_password_is_answered_as_a_wrong_one() {
    let mut world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    // Another process, or this one after a restart, has no entry of the typed text.
    world.reopen();
    let writes = world.store.status().writes;
    let answer = world.hashes(1, |store| log_in(store, "ada", PASSWORD, "phone"));
    assert!(is_invalid(&answer), "{answer:?}");
    assert_eq!(world.store.status().writes - writes, 2);
    assert_eq!(world.user(ada).failed_attempts, 5, "a closed gate counts nothing");
    world.clock.advance(30 * SECOND);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
}

#[test]
fn an_attempt_on_a_known_name_and_on_an_unknown_one_write_and_hash_alike() {
    let world = World::with(|options| options.login_by_email(true));
    ada(&world);
    for name in ["ada", "eve", "ada@example.com", "Ada\u{3000}Lovelace", ""] {
        let writes = world.store.status().writes;
        let answer = world.hashes(1, |store| log_in(store, name, WRONG, "elsewhere"));
        assert!(is_invalid(&answer));
        assert_eq!(world.store.status().writes - writes, 2, "{name}");
    }
}

/// SQLite writes no page that stays as it is.
#[test]
fn an_attempt_on_an_unknown_name_changes_as_many_pages() {
    let world = World::with(|options| options.login_by_email(true));
    ada(&world);
    world.person("bob");
    let log = || world.store.status().log_bytes;
    let bytes_of = |name: &str| {
        let before = log();
        assert!(is_invalid(&log_in(&world.store, name, WRONG, "elsewhere")));
        log() - before
    };
    // The least of four: an attempt may also split a page of the audit log.
    let least_of = |name| (0..4).map(|_| bytes_of(name)).min();
    let known = least_of("ada");
    assert!(known > Some(0));
    for name in ["ada@example.com", "eve", "zoe", "eve@example.com", "Ada\u{3000}Lovelace", ""] {
        assert_eq!(least_of(name), known, "{name}");
    }
}

#[test]
fn the_file_keeps_nothing_that_was_typed() {
    let world = World::new();
    ada(&world);
    let rows = || world.count("SELECT count(*) FROM throttle");
    let before = rows();
    for typed in ["hunter2hunter2", "Maverick1986", "no name\u{200b}at all"] {
        for _ in 0..4 {
            log_in(&world.store, typed, "x", "elsewhere").granted().unwrap_err();
        }
    }
    assert_eq!((rows(), before), (2, 2), "one of ada, and one for all unknown names");
    world.store.close().unwrap();
    let file = std::fs::read(&world.path).unwrap();
    let typed = b"hunter2hunter2";
    assert!(!file.windows(typed.len()).any(|bytes| bytes == typed));
}

#[test]
fn a_stopped_user_leaves_one_event_more() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 89);
    assert_eq!(world.log_of(EventKind::AttemptsThrottled).len(), 0);
    world.clock.advance(HOUR);
    let events = [EventKind::AttemptsThrottled, EventKind::LoginRefused];
    let stops = |store: &Store| log_in(store, "ada", WRONG, "elsewhere").granted();
    world.leaves(&events, 0, stops).unwrap_err();
    assert_eq!(world.log_of(EventKind::AttemptsThrottled)[0].user, Some(ada));
    // A stranger's next refusals must not push it out: it is the library's.
    let sources = "SELECT sum(source) FROM audit WHERE event = 'attempts.throttled'";
    assert_eq!(world.count(sources), 0);
}

#[test]
fn a_stranger_does_not_lock_the_owner_out_of_a_known_device() {
    let world = World::new();
    let ada = ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").granted().is_ok());
    fail(&world, ada, "elsewhere", 90);
    let user = world.user(ada);
    assert_eq!(user.failed_attempts, 90);
    assert!(user.is_locked_out(user.locked_out_until.unwrap() - SECOND));
    assert!(!user.is_locked_out(user.locked_out_until.unwrap()));
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_err());
    let reply = log_in(&world.store, "ada", PASSWORD, "till").granted().unwrap();
    let shown = (reply.profile.user.failed_attempts, reply.profile.user.locked_out_until);
    assert_eq!(shown, (0, None));
    assert_eq!(world.user(ada).failed_attempts, 0);
}

#[test]
fn known_devices_neither_read_nor_write_the_typed_text() {
    let world = World::new();
    let ada = ada(&world);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").granted().is_ok());
    for _ in 0..4 {
        assert!(is_invalid(&log_in(&world.store, "ada", WRONG, "till")));
    }
    // Four of the known device, and none under the text yet.
    for _ in 0..5 {
        assert!(is_invalid(&log_in(&world.store, "ada", WRONG, "elsewhere")));
    }
    assert!(wait_of(&log_in(&world.store, "ada", WRONG, "elsewhere")).is_some());
    assert_eq!(world.user(ada).failed_attempts, 9);
    assert!(is_invalid(&log_in(&world.store, "ada", WRONG, "till")));
    let waits = world.hashes(0, |store| log_in(store, "ada", PASSWORD, "till"));
    assert_eq!(wait_of(&waits), Some(30 * SECOND), "its own fifth");
}

#[test]
fn ten_failures_of_known_devices_stop_all_of_them_for_a_day() {
    let world = World::new();
    let ada = ada(&world);
    for on in ["till", "phone", "pad"] {
        assert!(log_in(&world.store, "ada", PASSWORD, on).granted().is_ok());
    }
    for on in ["till", "phone", "pad"] {
        (0..3).for_each(|_| assert!(is_invalid(&log_in(&world.store, "ada", WRONG, on))));
    }
    let events = [EventKind::AttemptsThrottled, EventKind::LoginRefused];
    world.leaves(&events, 0, |store| drop(log_in(store, "ada", WRONG, "till")));
    for on in ["till", "phone", "pad"] {
        let answer = world.hashes(0, |store| log_in(store, "ada", PASSWORD, on));
        assert_eq!(wait_of(&answer), Some(DAY), "{on}");
    }
    assert_eq!(world.user(ada).locked_out_until, None, "the gate is open");
    world.clock.advance(DAY);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").granted().is_ok());
}

#[test]
fn by_option_what_stops_waits_for_an_administrator() {
    let mut world = World::with(|options| options.lockout(Lockout::Permanent));
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 90);
    world.clock.advance(400 * DAY);
    world.reopen();
    assert!(is_invalid(&log_in(&world.store, "ada", PASSWORD, "phone")));
    let user = world.user(ada);
    assert!(user.is_locked_out("9999-12-31T00:00:00Z".parse().unwrap()));
    let unlock = |store: &Store| store.users().unlock(ada).unwrap();
    assert!(world.leaves(&[EventKind::AttemptsUnlocked], 0, unlock));
    assert!(!world.leaves(&[], 0, unlock));
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
}

#[test]
fn failures_follow_a_user_to_another_name() {
    let mut world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    world.store.users().rename(ada, "countess").unwrap();
    assert_eq!(world.user(ada).failed_attempts, 5);
    world.reopen();
    assert!(is_invalid(&log_in(&world.store, "countess", PASSWORD, "till")));
}

#[test]
fn a_charge_outlives_the_process() {
    let mut world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    world.reopen();
    assert_eq!(world.user(ada).failed_attempts, 5);
    assert!(is_invalid(&log_in(&world.store, "ada", PASSWORD, "till")));
}

#[test]
fn deleting_and_restoring_forgives_nothing() {
    let mut world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 20);
    world.store.users().delete(ada).unwrap();
    log_in(&world.store, "ada", WRONG, "elsewhere").granted().unwrap_err();
    world.clock.advance(3 * DAY);
    world.store.maintain().unwrap();
    world.reopen();
    world.store.users().restore(ada).unwrap();
    assert_eq!(world.user(ada).failed_attempts, 20);
}

/// A clock that was an hour ahead once locked people out for that hour.
#[test]
fn a_wrong_clock_locks_no_user_out_once_it_is_right() {
    let mut world = World::new();
    let ada = ada(&world);
    let right = world.clock.now();
    world.clock.advance(HOUR);
    fail(&world, ada, "elsewhere", 5);
    world.clock.set(right + 40 * SECOND);
    world.reopen();
    assert_eq!(world.user(ada).locked_out_until, None);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
}

/// The time of the store does not move after a correction, and a wait goes on.
#[test]
fn a_wait_goes_by_the_wall_clock_after_a_correction() {
    let world = World::new();
    let ada = ada(&world);
    let right = world.clock.now();
    world.clock.advance(HOUR);
    world.user(ada);
    world.clock.set(right);
    fail(&world, ada, "elsewhere", 5);
    assert_eq!(world.user(ada).locked_out_until, Some(right + 30 * SECOND));
    world.clock.advance(30 * SECOND);
    assert_eq!(world.user(ada).locked_out_until, None);
    assert!(log_in(&world.store, "ada", PASSWORD, "phone").granted().is_ok());
}

#[test]
fn the_fifth_failure_waits_thirty_seconds_and_each_one_more_twice_as_long_up_to_an_hour() {
    let world = World::new();
    let ada = ada(&world);
    let mut waits = Vec::new();
    for failures in 1..=91 {
        log_in(&world.store, "ada", WRONG, "elsewhere").granted().unwrap_err();
        let user = world.user(ada);
        assert_eq!(user.failed_attempts, failures);
        let wait = user.locked_out_until.map(|until| until.duration_since(world.now()));
        world.clock.advance(wait.unwrap_or_default());
        waits.push(wait.map_or(0, |wait| wait.as_secs()));
    }
    assert_eq!(waits[..13], [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert!(waits[13..89].iter().all(|wait| *wait == 3_600));
    assert_eq!(waits[89..], [86_400, 86_400], "one try a day from the ninetieth on");
}

#[test]
fn a_wait_is_over_at_its_last_millisecond_and_not_before() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 5);
    world.clock.advance(30 * SECOND - Duration::from_millis(1));
    let answer = log_in(&world.store, "ada", PASSWORD, "elsewhere");
    assert_eq!(wait_of(&answer), Some(Duration::from_millis(1)));
    world.clock.advance(Duration::from_millis(1));
    assert!(log_in(&world.store, "ada", PASSWORD, "elsewhere").granted().is_ok());
}

#[test]
fn a_success_forgives_the_gate_the_sum_and_the_device_it_came_from() {
    let world = World::new();
    let ada = ada(&world);
    for on in ["till", "phone"] {
        assert!(log_in(&world.store, "ada", PASSWORD, on).granted().is_ok());
        fail(&world, ada, on, 3);
    }
    fail(&world, ada, "elsewhere", 4);
    assert!(log_in(&world.store, "ada", PASSWORD, "till").granted().is_ok());
    assert_eq!(world.user(ada).failed_attempts, 0);
    let devices = "SELECT group_concat(failures) FROM
        (SELECT failures FROM device ORDER BY first_login_at, failures)";
    let failures: String = world.sql().query_row(devices, [], |row| row.get(0)).unwrap();
    assert_eq!(failures, "0,3", "the phone keeps its own");
}

#[test]
fn a_lock_by_failures_ends_no_session() {
    let world = World::with(|options| options.lockout(Lockout::Permanent));
    let ada = ada(&world);
    let open = OpenSession::new(ada, device("till")).expires_at(world.now() + 30 * DAY);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    fail(&world, ada, "elsewhere", 90);
    assert!(world.user(ada).locked_out_until.is_some());
    assert!(world.passes(&session, "till"));
}

#[test]
fn the_audit_log_keeps_nothing_of_an_unknown_name() {
    let world = World::new();
    for _ in 0..6 {
        log_in(&world.store, "hunter2hunter2", "x", "elsewhere").granted().unwrap_err();
    }
    let log = world.log_of(EventKind::LoginRefused);
    assert_eq!(log.len(), 5, "what is turned away is only counted");
    for entry in log {
        assert_eq!((entry.user, entry.detail), (None, None), "{}", entry.event);
    }
}

#[test]
fn the_failures_of_a_user_are_not_forgotten_by_time() {
    let world = World::new();
    let ada = ada(&world);
    fail(&world, ada, "elsewhere", 3);
    world.clock.advance(30 * DAY);
    world.store.maintain().unwrap();
    assert_eq!(world.user(ada).failed_attempts, 3);
}

#[test]
fn an_administrator_unlocks_without_a_session_and_a_new_password_does_too() {
    for unlock in [
        (|world: &World, ada| assert!(world.store.users().unlock(ada).unwrap()))
            as fn(&World, UserId),
        |world, ada| world.store.users().set_password(ada, PASSWORD.into()).unwrap(),
    ] {
        let mut world = World::new();
        let ada = ada(&world);
        assert!(log_in(&world.store, "ada", PASSWORD, "till").granted().is_ok());
        fail(&world, ada, "till", 5);
        fail(&world, ada, "elsewhere", 5);
        unlock(&world, ada);
        assert_eq!(world.user(ada).failed_attempts, 0);
        world.reopen();
        for on in ["elsewhere", "till"] {
            assert!(log_in(&world.store, "ada", PASSWORD, on).granted().is_ok());
        }
    }
}

#[test]
fn what_could_not_be_evaluated_is_not_charged() {
    let world = World::new();
    let ada = ada(&world);
    world.sql().execute("UPDATE credential SET phc = 'no hash'", []).unwrap();
    for _ in 0..6 {
        let request = LoginRequest::new("ada", PASSWORD.into(), device("till"));
        assert_eq!(world.store.log_in(request).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(world.user(ada).failed_attempts, 0);
}
