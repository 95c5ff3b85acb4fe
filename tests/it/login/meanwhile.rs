//! Changes between the hash and the last write of a login: the login sees them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::host::{Clock, ManualClock};
use gatepost::policy::{ChangeAtLogin, Cost};
use gatepost::{
    Error, ErrorKind, LoginOutcome, LoginRefusal, LoginRequest, OpenedSession, Password, Store,
    Timestamp, UserId,
};

use crate::world::{Meanwhile, PASSWORD, World, device, morning};

const NEW: &str = "nine brass bells";

/// Asks for a new password with the right one, in a session of the first till.
fn change(world: &World, held: &OpenedSession) -> Result<LoginOutcome, Error> {
    let device = device("till-1");
    world.store.change_password((&held.token, &device), PASSWORD.into(), NEW.into())
}

/// A world where each login may change the password, and what happens while it does.
fn changing_at_login() -> (World, Meanwhile) {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        options.breach_check(meanwhile.check()).change_at_login(ChangeAtLogin::Always)
    });
    (world, meanwhile)
}

/// A login with the right password, during which `happens` happens.
#[track_caller]
fn check(happens: fn(&Store, UserId), expect: &str) {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        let hashing =
            options.max_concurrent_hashes(2).max_waiting_hashes(2).breach_check(meanwhile.check());
        hashing.change_at_login(ChangeAtLogin::Always)
    });
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || happens(&store, ada));
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let refusal = world.ask(request.new_password(Password::from(NEW))).unwrap_err();
    assert_eq!(format!("{refusal:?}"), expect);
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
    assert_eq!(world.last_event().event, EventKind::LoginRefused.name());
}

#[test]
fn a_login_that_verified_a_password_which_was_replaced_opens_nothing() {
    check(
        |store, ada| store.users().set_password(ada, "three tin whistles".into()).unwrap(),
        "InvalidCredentials",
    );
    check(
        |store, ada| {
            store.users().remove_password(ada).unwrap();
            store.users().set_password(ada, PASSWORD.into()).unwrap();
        },
        "InvalidCredentials",
    );
}

#[test]
fn a_login_of_a_user_who_was_turned_away_meanwhile_opens_nothing() {
    check(|store, ada| store.users().delete(ada).unwrap(), "InvalidCredentials");
    check(
        |store, ada| assert!(store.users().mark_compromised(ada).unwrap()),
        "InvalidCredentials",
    );
    check(|store, ada| assert!(store.users().remove_password(ada).unwrap()), "InvalidCredentials");
    check(
        |store, ada| drop(store.users().set_status(ada, UserStatus::Disabled).unwrap()),
        "AccountDisabled",
    );
    check(
        |store, ada| drop(store.users().set_status(ada, UserStatus::Locked).unwrap()),
        "AccountLocked",
    );
}

/// A right password is no guess, but one that was changed meanwhile is counted as one.
#[test]
fn a_password_that_was_replaced_meanwhile_stays_charged() {
    let (world, meanwhile) = changing_at_login();
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || assert!(store.users().remove_password(ada).unwrap()));
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let refusal = world.ask(request.new_password(Password::from(NEW))).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    assert_eq!(world.user(ada).failed_attempts, 1);
}

#[test]
fn a_login_outlives_an_end_of_all_sessions_that_came_before_its_own() {
    let (world, meanwhile) = changing_at_login();
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || store.sessions().revoke_all(ada).unwrap());
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let reply = world.ask(request.new_password(Password::from(NEW))).unwrap();
    assert!(world.passes(&reply.session, "till-1"));
}

#[test]
fn a_session_that_would_be_over_before_the_login_is_granted_is_not_opened() {
    let (world, meanwhile) = changing_at_login();
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let (clock, minute) = (world.clock.clone(), crate::world::MINUTE);
    meanwhile.happens(move || clock.advance(minute));
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let request = request.expires_at(world.now() + minute).new_password(Password::from(NEW));
    assert_eq!(world.store.log_in(request).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(world.passes(&held, "till-1"));
    world.log_in("ada", PASSWORD, "till-2").unwrap();
}

#[test]
fn a_change_in_a_session_that_ended_meanwhile_changes_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let store = world.store.clone();
    meanwhile.happens(move || store.sessions().revoke_all(ada).unwrap());
    let answer = change(&world, &held).unwrap();
    assert_eq!(answer.granted().unwrap_err(), LoginRefusal::SessionNotLive);
    assert!(!world.passes(&held, "till-1"));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn of_two_changes_of_one_password_the_later_one_changes_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let store = world.store.clone();
    meanwhile
        .happens(move || store.users().set_password(ada, "three tin whistles".into()).unwrap());
    let answer = change(&world, &held).unwrap();
    assert!(answer.granted().is_err());
    world.log_in("ada", "three tin whistles", "till-1").unwrap();
}

/// No call leaves the session alive beside another password; plain SQL does.
#[test]
fn a_change_of_a_password_that_a_hand_replaced_meanwhile_changes_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let hand = world.sql();
    meanwhile.happens(move || {
        assert_eq!(hand.execute("UPDATE credential SET version = version + 1", []).unwrap(), 1);
    });
    let answer = change(&world, &held).unwrap();
    assert_eq!(answer.granted().unwrap_err(), LoginRefusal::InvalidCredentials);
    assert!(world.passes(&held, "till-1"));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

type Job = Box<dyn FnOnce() + Send>;

/// A clock that lets something happen when it is read for the first time after one more password
/// was hashed: before the read that follows the hash.
#[derive(Clone, Default)]
struct AfterHash(Arc<Mutex<Option<(Store, u64, Job)>>>);

impl Clock for AfterHash {
    fn now(&self) -> Timestamp {
        // What happens reads the clock itself.
        if let Ok(mut waiting) = self.0.try_lock() {
            let due =
                |(store, before, _): &(Store, u64, Job)| store.status().hashes_done > *before;
            if waiting.as_ref().is_some_and(due) {
                (waiting.take().unwrap().2)();
            }
        }
        morning()
    }
}

impl std::fmt::Debug for AfterHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AfterHash")
    }
}

/// A user changes their password with the right one, after whose first hash `happens` happens.
#[track_caller]
fn changes(
    happens: fn(&World, UserId) -> Job,
    hashes: u64,
    check: fn(Result<LoginOutcome, Error>),
) {
    let clock = AfterHash::default();
    let world = World::with(|options| options.clock(Arc::new(clock.clone())));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let job = happens(&world, ada);
    let before = world.store.status().hashes_done;
    *clock.0.lock().unwrap() = Some((world.store.clone(), before, job));
    check(world.hashes(hashes, |_| change(&world, &held)));
    // Else the clock would keep the store, and the store the clock.
    assert!(clock.0.lock().unwrap().is_none());
}

#[test]
fn a_change_by_a_user_who_is_deleted_after_the_hash_is_refused_with_the_session() {
    changes(
        |world, ada| {
            let store = world.store.clone();
            Box::new(move || store.users().delete(ada).unwrap())
        },
        2,
        |answer| assert_eq!(answer.unwrap().granted().unwrap_err(), LoginRefusal::SessionNotLive),
    );
}

#[test]
fn a_change_whose_context_cannot_be_read_is_an_error_before_the_new_password_is_hashed() {
    changes(
        |world, _| {
            let hand = world.sql();
            Box::new(move || {
                let damage = "UPDATE user SET first_name = CAST(x'ff' AS TEXT),
                    names_version = names_version + 1";
                assert_eq!(hand.execute(damage, []).unwrap(), 1);
            })
        },
        1,
        |answer| assert_eq!(answer.unwrap_err().kind(), ErrorKind::Corrupt),
    );
}

/// A wrong password stays charged, whatever became of the session while it was hashed.
#[test]
fn a_session_that_is_revoked_meanwhile_pays_for_no_guess() {
    let slow = Cost::new(131_072, 8, 1).unwrap();
    let world = World::with(|options| options.cost(slow));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let device = device("till-1");
    let before = world.store.status().hashes_done;
    let answer = std::thread::scope(|scope| {
        let guess = || {
            let (current, new) = (Password::from("wrong horse battery"), Password::from(NEW));
            world.store.change_password((&held.token, &device), current, new)
        };
        let guessing = scope.spawn(guess);
        while world.store.status().hashes_done == before {
            std::thread::yield_now();
        }
        world.store.sessions().revoke_all(ada).unwrap();
        guessing.join().unwrap().unwrap()
    });
    assert_eq!(answer.granted().unwrap_err(), LoginRefusal::SessionNotLive);
    assert_eq!(world.user(ada).failed_attempts, 1);
}

/// The user is deleted at one reading of the clock after another, also between the check of the
/// session and the charge.
#[test]
fn a_change_by_a_user_who_is_deleted_at_any_moment_is_refused_with_the_session() {
    let mut deleted_in_time = 0;
    for readings in 0..8 {
        let (meanwhile, clock) = (Meanwhile::default(), ManualClock::new(morning()));
        let world = World::with(|options| options.clock(meanwhile.clock(&clock)));
        let ada = world.person("ada").id;
        let held = world.open(ada, "till-1");
        let (store, hand) = (world.store.clone(), world.sql());
        let charges = move || -> i64 {
            hand.query_row("SELECT sum(writes) FROM throttle", [], |row| row.get(0)).unwrap()
        };
        let (before, hashes) = (charges(), store.status().hashes_done);
        let is_early = Arc::new(AtomicBool::new(false));
        let early = Arc::clone(&is_early);
        meanwhile.happens_after(readings, move || {
            let is_uncharged = charges() == before;
            // Within a write no other one begins.
            let is_deleted = store.users().delete(ada).is_ok();
            early.store(is_uncharged && is_deleted, Ordering::SeqCst);
        });
        let answer = change(&world, &held).unwrap().granted();
        if is_early.load(Ordering::SeqCst) {
            assert_eq!(world.store.status().hashes_done, hashes, "{readings} readings");
        }
        let is_deleted = world.store.users().find(ada).unwrap().is_none();
        match answer {
            Ok(_) if is_deleted => {
                assert_eq!(world.last_event().event, EventKind::UserDeleted.name());
            }
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(refusal, LoginRefusal::SessionNotLive, "{readings} readings");
                deleted_in_time += 1;
            }
        }
    }
    assert!(deleted_in_time > 0);
}
