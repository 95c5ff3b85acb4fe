//! What changes between the hash and the last write of a login: the login sees it.

use gatepost::{ChangeAtLogin, EventKind, LogIn, Password, Refusal, Store, UserId, UserStatus};

use crate::world::{Meanwhile, PASSWORD, World, device};

const NEW: &str = "nine brass bells";

/// A login with the right password, during which `happens` happens.
#[track_caller]
fn check(happens: fn(&Store, UserId), expect: &str) {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        let hashing = options.hashing(2, 2).passwords(meanwhile.policy());
        hashing.change_at_login(ChangeAtLogin::Always)
    });
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || happens(&store, ada));
    let request = LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
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
        "AccountLocked { until: None }",
    );
}

/// A right password is no guess, but one that is right no more has to be counted as one.
#[test]
fn a_password_that_was_replaced_meanwhile_stays_charged() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        options.passwords(meanwhile.policy()).change_at_login(ChangeAtLogin::Always)
    });
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || assert!(store.users().remove_password(ada).unwrap()));
    let request = LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
    let refusal = world.ask(request.new_password(Password::from(NEW))).unwrap_err();
    assert_eq!(refusal, Refusal::InvalidCredentials);
    assert_eq!(world.user(ada).failed_password_attempt_count, 1);
}

#[test]
fn a_login_outlives_an_end_of_all_sessions_that_came_before_its_own() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| {
        options.passwords(meanwhile.policy()).change_at_login(ChangeAtLogin::Always)
    });
    let ada = world.person("ada").id;
    let store = world.store.clone();
    meanwhile.happens(move || store.sessions().end_all_of(ada).unwrap());
    let request = LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
    let reply = world.ask(request.new_password(Password::from(NEW))).unwrap();
    assert!(world.passes(&reply.session, "till-1"));
}

#[test]
fn a_change_in_a_session_that_ended_meanwhile_changes_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.passwords(meanwhile.policy()));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let store = world.store.clone();
    meanwhile.happens(move || store.sessions().end_all_of(ada).unwrap());
    let (token, on) = (held.token.expose(), device("till-1"));
    let answer = world.store.change_password(token, &on, PASSWORD.into(), NEW.into()).unwrap();
    assert_eq!(answer.changed().unwrap_err(), Refusal::SessionNotLive);
    assert!(!world.passes(&held, "till-1"));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn of_two_changes_of_one_password_the_later_one_changes_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.passwords(meanwhile.policy()));
    let ada = world.person("ada").id;
    let held = world.open(ada, "till-1");
    let store = world.store.clone();
    meanwhile
        .happens(move || store.users().set_password(ada, "three tin whistles".into()).unwrap());
    let (token, on) = (held.token.expose(), device("till-1"));
    let answer = world.store.change_password(token, &on, PASSWORD.into(), NEW.into()).unwrap();
    assert!(answer.changed().is_err());
    world.log_in("ada", "three tin whistles", "till-1").unwrap();
}
