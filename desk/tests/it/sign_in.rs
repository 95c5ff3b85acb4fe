//! Sign in: each outcome, and what is saved after it.

use gatepost::policy::{SecondFactorPolicy, SessionPolicy};
use gatepost::{LoginRefusal, NewUser};
use gatepost_desk::{DeskError, SeatState, SignIn};

use crate::world::{World, keyring, password, seat};

#[test]
fn a_wrong_password_is_refused_and_changes_nothing() {
    let world = World::new();
    let ada = world.seat("ada");
    let token = world.vault.token();
    let SignIn::Refused(why) = world.desk.sign_in("bob", "wrong").unwrap() else { panic!() };
    assert_eq!(why.refusal(), LoginRefusal::InvalidCredentials);
    assert_eq!(why.message(), LoginRefusal::InvalidCredentials.message());
    assert_eq!((why.retry_after(), why.into_step().is_none()), (None, true));
    assert_eq!(ada.state().unwrap(), SeatState::Open);
    assert_eq!(world.vault.token(), token);
}

#[test]
fn too_many_attempts_are_a_wait() {
    let world = World::new();
    for _ in 0..5 {
        let refused = world.desk.sign_in("ada", "wrong").unwrap();
        assert!(matches!(refused, SignIn::Refused(_)));
    }
    let SignIn::Refused(why) = world.desk.sign_in("ada", "wrong").unwrap() else { panic!() };
    assert!(matches!(why.refusal(), LoginRefusal::TooManyAttempts { .. }), "{why:?}");
    world.clock.advance(why.retry_after().unwrap());
    assert_eq!(seat(&world.desk, "ada").username(), "ada");
}

#[test]
fn a_forced_change_is_a_step() {
    let world = World::new();
    let first = "a password to begin with";
    let user = NewUser::person("cleo").password(first.into()).must_change_password();
    world.desk.store().users().create(user).unwrap();
    let SignIn::NewPasswordRequired(step) = world.desk.sign_in("cleo", first).unwrap() else {
        panic!()
    };
    assert_eq!(world.vault.token(), None);
    let SignIn::Refused(why) = step.change_to("short").unwrap() else { panic!() };
    assert!(matches!(why.refusal(), LoginRefusal::PasswordRejected(_)), "{why:?}");
    let seat = step.change_to(password("cleo")).unwrap().granted().unwrap();
    assert!(!seat.profile().unwrap().user.must_change_password);
    assert!(world.restart().resume().unwrap().is_some());

    let again = world.again();
    let refused = again.sign_in("cleo", first).unwrap().granted().unwrap_err();
    assert_eq!(refused.refusal(), LoginRefusal::InvalidCredentials);
}

#[test]
fn a_new_password_that_is_not_given_is_a_refusal() {
    let world = World::new();
    let first = "a password to begin with";
    let user = NewUser::person("cleo").password(first.into()).must_change_password();
    world.desk.store().users().create(user).unwrap();
    let refused = world.desk.sign_in("cleo", first).unwrap().granted().unwrap_err();
    assert_eq!(refused.refusal(), LoginRefusal::NewPasswordRequired);
    assert!(refused.into_step().is_none());
}

#[test]
fn a_user_who_may_not_use_the_desktop_client_is_refused() {
    let world = World::new();
    let user = NewUser::person("cleo").password(password("cleo").into());
    world.desk.store().users().create(user.desktop_client_denied(true)).unwrap();
    let refused = world.desk.sign_in("cleo", password("cleo")).unwrap().granted().unwrap_err();
    assert_eq!(refused.refusal(), LoginRefusal::DesktopClientDenied);
}

#[test]
fn the_next_user_signs_the_one_before_out() {
    let world = World::new();
    let ada = world.seat("ada");
    let bob = world.seat("bob");
    assert_eq!(ada.state().unwrap(), SeatState::Ended);
    assert!(matches!(ada.may("reports.read"), Err(DeskError::Ended)));
    assert!(matches!(ada.profile(), Err(DeskError::Ended)));
    ada.sign_out().unwrap();
    assert_eq!(bob.state().unwrap(), SeatState::Open, "a seat that is over signs no other out");
    assert_eq!(world.restart().resume().unwrap().unwrap().username(), "bob");
}

#[test]
fn without_takeover_the_machine_is_in_use_until_the_user_signs_out() {
    let world =
        World::with(|options| options.sessions(SessionPolicy::desktop().device_takeover(false)));
    let ada = world.seat("ada");
    let refused = world.desk.sign_in("bob", password("bob")).unwrap().granted().unwrap_err();
    assert_eq!(refused.refusal(), LoginRefusal::DeviceInUse);
    ada.sign_out().unwrap();
    assert_eq!(world.seat("bob").username(), "bob");
}

#[test]
fn sign_out_ends_the_session_and_deletes_the_token() {
    let world = World::new();
    let seat = world.seat("ada");
    let other = world.desk.resume().unwrap().unwrap();
    seat.sign_out().unwrap();
    assert_eq!(world.vault.token(), None);
    assert_eq!(seat.state().unwrap(), SeatState::Ended);
    assert_eq!(other.state().unwrap(), SeatState::Ended);
    seat.sign_out().unwrap();
    assert!(world.restart().resume().unwrap().is_none());
}

#[test]
fn an_error_of_sign_out_keeps_the_user_signed_in() {
    let world = World::new();
    let seat = world.seat("ada");
    world.desk.close().unwrap();
    assert!(matches!(seat.sign_out(), Err(DeskError::Store(_))));
    assert!(world.vault.token().is_some());
    assert!(world.again().resume().unwrap().is_some());
}

#[test]
fn no_secret_is_shown() {
    let world = World::new();
    let seat = world.seat("ada");
    let token = world.vault.token().unwrap();
    let user = NewUser::person("cleo").password("a password to begin with".into());
    world.desk.store().users().create(user.must_change_password()).unwrap();
    let step = world.desk.sign_in("cleo", "a password to begin with").unwrap();
    let shown = format!("{:?} {:?} {seat:?} {step:?}", world.desk, seat.saved());
    for secret in [&*token, "begin with", "cleo"] {
        assert!(!shown.contains(secret), "{shown}");
    }

    let all = SecondFactorPolicy::All;
    let world = World::with(|options| options.keyring(keyring()).second_factor(all));
    let SignIn::Refused(why) = world.desk.sign_in("ada", password("ada")).unwrap() else {
        panic!()
    };
    let mut step = why.into_step().unwrap();
    step.set_new_password("seven geese at noon");
    let shown = format!("{step:?}");
    assert!(!shown.contains("geese") && !shown.contains("gp"), "{shown}");
}
