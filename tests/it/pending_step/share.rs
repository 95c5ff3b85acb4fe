//! The bounds of a pending step: its time, its device, its share of wrong codes, and the budgets
//! that it shares with every other door.

use std::time::Duration;

use gatepost::sessions::Reauthentication;
use gatepost::{CompleteLogin, LoginRefusal, LoginRequest, Password};

use super::{Scene, wrong_at};
use crate::world::{MINUTE, PASSWORD, device};

#[test]
fn a_step_is_valid_for_ten_minutes_and_not_a_millisecond_longer() {
    for (late, granted) in [(false, true), (true, false)] {
        let scene = Scene::new();
        let step = scene.step("till");
        let least = Duration::from_millis(1);
        scene.world.clock.advance(if late { 10 * MINUTE } else { 10 * MINUTE - least });
        let done = scene.finish(&step, "till", &scene.code());
        assert_eq!(done.is_ok(), granted);
        if late {
            assert_eq!(done.unwrap_err(), LoginRefusal::StepNotLive);
            assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
        }
    }
}

/// Its code would be used up, and the session on its device replaced, for one that is over.
#[test]
fn a_step_is_not_valid_beyond_the_end_of_the_session_that_it_is_for() {
    for (late, granted) in [(Duration::from_millis(1), true), (Duration::ZERO, false)] {
        let scene = Scene::new();
        let held = scene.enter("till");
        scene.world.clock.advance(MINUTE);
        let end = scene.world.now() + 5 * MINUTE;
        let step = scene.pending(scene.login("till").expires_at(end));
        assert_eq!(step.expires_at, end);
        scene.world.clock.advance(5 * MINUTE - late);
        let done = scene.finish(&step, "till", &scene.code());
        assert_eq!(done.is_ok(), granted);
        assert_eq!(scene.world.passes(&held.session, "till"), !granted);
    }
}

#[test]
fn a_step_that_was_issued_in_the_future_is_not_valid() {
    let mut scene = Scene::new();
    let step = scene.step("till");
    let earlier = scene.world.now() - MINUTE - Duration::from_millis(1);
    scene.world.clock.set(earlier);
    scene.world.reopen();
    let early = scene.finish(&step, "till", &scene.code());
    assert_eq!(early.unwrap_err(), LoginRefusal::StepNotLive);
}

#[test]
fn a_step_is_bound_to_its_device() {
    let scene = Scene::new();
    let step = scene.step("till");
    let elsewhere = scene.finish(&step, "desk", &scene.code());
    assert_eq!(elsewhere.unwrap_err(), LoginRefusal::StepNotLive);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0, "and no guess");
    assert!(scene.finish(&step, "till", &scene.code()).is_ok(), "nor is it spent");
}

#[test]
fn a_step_without_a_device_is_bound_to_none() {
    let policy = gatepost::policy::SessionPolicy::server().require_device(false);
    let scene = Scene::with(|options| options.sessions(policy));
    let step = scene.pending(LoginRequest::new("ada", Password::from(PASSWORD), None));
    let with = |on: Option<gatepost::DeviceId>| {
        CompleteLogin::with_code(step.token.expose(), on, scene.code())
    };
    let refused = scene.complete(with(Some(device("till"))));
    assert_eq!(refused.unwrap_err(), LoginRefusal::StepNotLive);
    assert!(scene.complete(with(None)).is_ok());
}

#[test]
fn a_step_is_spent_after_five_wrong_codes() {
    let scene = Scene::new();
    let step = scene.step("till");
    for guess in 1..=5 {
        scene.world.clock.advance(MINUTE);
        let wrong = wrong_at(scene.world.now());
        let refused = scene.finish(&step, "till", &wrong).unwrap_err();
        assert_eq!(refused, LoginRefusal::InvalidCredentials, "guess {guess}");
        assert_eq!(scene.world.user(scene.ada).failed_attempts, guess);
    }
    scene.world.clock.advance(MINUTE);
    let late = scene.finish(&step, "till", &scene.code());
    assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
    // The user is not locked out: a new login has a new share.
    let next = scene.step("till");
    assert!(scene.finish(&next, "till", &scene.code()).is_ok());
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
}

/// The right password takes its own charge back and forgives no wrong code: otherwise a thief of
/// the password could guess codes without end.
#[test]
fn a_right_password_without_a_code_forgives_nothing() {
    let scene = Scene::new();
    for round in 1..=4 {
        let step = scene.step("till");
        let wrong = wrong_at(scene.world.now());
        drop(scene.finish(&step, "till", &wrong));
        assert_eq!(scene.world.user(scene.ada).failed_attempts, round);
    }
}

#[test]
fn a_closed_gate_refuses_the_code_of_a_step_uncompared() {
    let scene = Scene::new();
    let step = scene.step("till");
    let guess = LoginRequest::new("ada", Password::from("a wrong one"), device("elsewhere"));
    assert!(scene.world.ask(guess).is_err());
    for _ in 0..4 {
        let wrong = wrong_at(scene.world.now());
        assert!(scene.finish(&step, "till", &wrong).is_err());
    }
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 5);
    let code = scene.code();
    let refused = scene.finish(&step, "till", &code).unwrap_err();
    assert!(matches!(refused, LoginRefusal::TooManyAttempts { .. }), "{refused:?}");
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 5, "it was no guess");
    scene.world.clock.advance(Duration::from_secs(30));
    assert!(scene.finish(&step, "till", &scene.code()).is_ok(), "nor was the share charged");
}

/// Attempts at a closed gate used up the code of an owner whose own login had been charged before,
/// and compared codes that nothing had charged.
#[test]
fn a_closed_gate_compares_no_code_of_a_login() {
    let mut scene = Scene::new();
    let guess = |on| LoginRequest::new("ada", Password::from("a wrong one"), device(on));
    for _ in 0..5 {
        assert!(scene.world.ask(guess("elsewhere")).is_err());
    }
    // Another process, whose table of typed texts lets the attempt through to the gate.
    scene.world.reopen();
    let code = scene.code();
    let closed = scene.world.hashes(1, |_| scene.world.ask(guess("desk").code(code.as_str())));
    assert_eq!(closed.unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 5);
    scene.world.clock.advance(Duration::from_secs(30));
    assert!(scene.world.ask(scene.login("till").code(code)).is_ok(), "the code was used up");
}

#[test]
fn guesses_on_a_known_device_and_on_unknown_ones_have_budgets_of_their_own() {
    let scene = Scene::new();
    let session = scene.enter("known").session;
    scene.world.log_out(&session, "known");
    // A stranger who has the password closes the gate.
    let step = scene.step("unknown");
    for _ in 0..5 {
        let wrong = wrong_at(scene.world.now());
        assert!(scene.finish(&step, "unknown", &wrong).is_err());
    }
    // The owner's device is not stopped, by neither call.
    let own = scene.step("known");
    let reply = scene.finish(&own, "known", &scene.next_code()).unwrap();
    scene.world.log_out(&reply.session, "known");

    // And the reverse: wrong codes on the known device close no gate.
    let own = scene.step("known");
    for _ in 0..5 {
        let wrong = wrong_at(scene.world.now());
        assert!(scene.finish(&own, "known", &wrong).is_err());
    }
    assert_eq!(scene.world.count("SELECT max(failures) FROM throttle"), 0);
    let other = scene.step("unknown");
    assert!(scene.finish(&other, "unknown", &scene.next_code()).is_ok());
}

/// Every door that takes a guess: of each, only as many are compared as the gate allows.
#[test]
fn guesses_through_all_doors_are_ninety_together() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    let (on, mut evaluated) = (device("till"), 0);
    for turn in 0..400 {
        // Longer than every wait, and shorter than a day.
        scene.world.clock.advance(61 * MINUTE);
        let wrong = wrong_at(scene.world.now());
        let store = &scene.world.store;
        let before = scene.world.user(scene.ada).failed_attempts;
        let unknown = device(&format!("unknown-{turn}"));
        let refused = match turn % 3 {
            0 => {
                let login = LoginRequest::new("ada", Password::from(PASSWORD), unknown);
                store.log_in(login.code(wrong)).unwrap().granted().unwrap_err()
            }
            1 => {
                let login = LoginRequest::new("ada", Password::from(PASSWORD), unknown.clone());
                match store.log_in(login).unwrap() {
                    gatepost::LoginOutcome::Pending(step) => {
                        let token = step.token.expose();
                        let guess = CompleteLogin::with_code(token, unknown, wrong);
                        store.complete_login(guess).unwrap().granted().unwrap_err()
                    }
                    other => other.granted().unwrap_err(),
                }
            }
            _ => {
                let presented = (&session.token, &on);
                let proof = store.prove(presented, Reauthentication::code(wrong)).unwrap();
                match proof.granted().unwrap_err() {
                    LoginRefusal::SessionNotLive => continue,
                    other => other,
                }
            }
        };
        let after = scene.world.user(scene.ada).failed_attempts;
        evaluated += after - before;
        assert!(
            matches!(
                refused,
                LoginRefusal::InvalidCredentials | LoginRefusal::TooManyAttempts { .. }
            ),
            "{refused:?}"
        );
        if after >= 90 {
            break;
        }
    }
    assert_eq!(evaluated, 90);
    // From here on one attempt a day.
    scene.world.clock.advance(61 * MINUTE);
    let login = scene.login("new").code(scene.code());
    assert!(scene.world.ask(login).is_err());
    scene.world.store.users().unlock(scene.ada).unwrap();
    assert!(scene.world.ask(scene.login("new").code(scene.next_code())).is_ok());
}

#[test]
fn steps_of_one_user_are_sixteen_at_most_and_one_a_device() {
    let scene = Scene::new();
    let first = scene.step("till-0");
    for n in 1..=16 {
        scene.world.clock.advance(Duration::from_secs(1));
        drop(scene.step(&format!("till-{n}")));
    }
    assert_eq!(scene.world.count("SELECT count(*) FROM pending_step"), 16);
    let gone = scene.finish(&first, "till-0", &scene.code());
    assert_eq!(gone.unwrap_err(), LoginRefusal::StepNotLive);
    let old = scene.step("till-16");
    let new = scene.step("till-16");
    assert_eq!(scene.world.count("SELECT count(*) FROM pending_step"), 16);
    let replaced = scene.finish(&old, "till-16", &scene.code());
    assert_eq!(replaced.unwrap_err(), LoginRefusal::StepNotLive);
    assert!(scene.finish(&new, "till-16", &scene.code()).is_ok());
}

#[test]
fn expired_steps_are_swept() {
    let scene = Scene::new();
    drop(scene.step("till"));
    scene.world.clock.advance(11 * MINUTE);
    scene.world.believe_clock();
    assert_eq!(scene.world.store.maintain().unwrap().pending_steps, 1);
    assert_eq!(scene.world.count("SELECT count(*) FROM pending_step"), 0);
}

/// The hash of the current password cannot be read, so that the new one cannot be compared with it.
#[test]
fn what_could_not_be_evaluated_takes_its_own_charge_back_and_no_other() {
    let scene = Scene::new();
    let keep = gatepost::sessions::RevokeSessions::Keep;
    scene.world.store.users().require_password_change(scene.ada, keep).unwrap();
    let step = scene.step("till");
    let complete = |code: String| {
        let with = CompleteLogin::with_code(step.token.expose(), device("till"), code);
        scene.world.store.complete_login(with.new_password(super::NEW.into()))
    };
    assert!(complete(wrong_at(scene.world.now())).unwrap().granted().is_err());
    assert!(scene.world.log_in("ada", "wrong horse battery", "desk").is_err());
    let counts = || {
        let left = scene.world.count("SELECT guesses_left FROM pending_step");
        (left, scene.world.user(scene.ada).failed_attempts)
    };
    assert_eq!(counts(), (4, 2));
    scene.world.sql().execute("UPDATE credential SET phc = 'no hash'", []).unwrap();
    assert_eq!(complete(scene.code()).unwrap_err().kind(), gatepost::ErrorKind::Corrupt);
    assert_eq!(counts(), (4, 2));
}
