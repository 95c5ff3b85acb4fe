//! Change the own password in a session.

use gatepost::{
    DeviceId, EventKind, LoginReply, OpenSession, OpenedSession, Password, PasswordRule, Reason,
    Refusal, Scope, SessionPolicy, UserId,
};

use crate::world::{HOUR, MINUTE, PASSWORD, World, device, morning, reason};

const NEW: &str = "nine brass bells";

fn change(
    world: &World,
    held: &OpenedSession,
    current: &str,
    new: &str,
) -> Result<LoginReply, Refusal> {
    let (current, new) = (Password::from(current), Password::from(new));
    let token = held.token.expose();
    world.store.change_password(token, &device("till-1"), current, new).unwrap().changed()
}

fn ada(world: &World) -> (UserId, OpenedSession) {
    let ada = world.person("ada").id;
    (ada, world.log_in("ada", PASSWORD, "till-1").unwrap().session)
}

#[test]
fn the_session_goes_on_with_a_new_token_and_all_others_end() {
    let world = World::new();
    let (ada, kept) = ada(&world);
    let other = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
    let bobs = world.open(world.person("bob").id, "till-3");
    let reply = world
        .hashes(2, |_| {
            let changed = &[EventKind::PasswordChanged];
            world.leaves(changed, 2, |_| change(&world, &kept, PASSWORD, NEW))
        })
        .unwrap();
    assert!(world.passes(&reply.session, "till-1"));
    assert!(!world.passes(&kept, "till-1"));
    assert!(!world.passes(&other, "till-2"));
    assert!(world.passes(&bobs, "till-3"));
    assert_eq!((reply.session.id, reply.user.id), (kept.id, ada));
    assert_ne!(reply.session.token.expose(), kept.token.expose());
    assert_eq!(world.last_event().session, Some(kept.id));
    world.log_in("ada", PASSWORD, "till-4").unwrap_err();
    world.log_in("ada", NEW, "till-4").unwrap();
}

#[test]
fn a_renewed_session_keeps_its_device_label_and_document_and_restarts_both_deadlines() {
    let policy = SessionPolicy::server().idle(HOUR);
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let request = gatepost::LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
    let request = request.label("Till 1").expires_at(morning() + 2 * HOUR);
    let held = world.ask(request).unwrap().session;
    world.store.sessions().set_document(held.id, r#"{"basket":3}"#, 0).unwrap();
    world.clock.advance(50 * MINUTE);
    let renewed = change(&world, &held, PASSWORD, NEW).unwrap().session;

    let info = world.store.sessions().find(held.id).unwrap().unwrap();
    assert_eq!((info.user, info.label.as_deref()), (ada, Some("Till 1")));
    assert_eq!(info.opened_at, morning());
    assert_eq!(info.authenticated_at, morning() + 50 * MINUTE);
    assert_eq!(info.expires_at, morning() + 50 * MINUTE + 2 * HOUR);
    assert_eq!(renewed.expires_at, info.expires_at);
    assert_eq!(world.store.sessions().document(held.id).unwrap().unwrap().body, r#"{"basket":3}"#);
    world.clock.advance(HOUR - std::time::Duration::from_millis(1));
    assert!(world.passes(&renewed, "till-1"));
    assert!(!world.passes(&renewed, "till-2"));
    world.clock.set(renewed.expires_at);
    assert!(!world.passes(&renewed, "till-1"));
}

#[test]
fn the_reply_carries_the_configuration_and_the_user() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let (ada, held) = ada(&world);
    world.store.users().move_to(ada, york).unwrap();
    for (key, public) in [("theme", true), ("secret", false)] {
        world.store.configuration().set(Scope::Branch(york), key, "dark").unwrap();
        world.store.configuration().set_public(key, public).unwrap();
    }
    let reply = change(&world, &held, PASSWORD, NEW).unwrap();
    assert_eq!(reply.user, world.user(ada));
    assert_eq!(reply.configuration.len(), 1);
    assert_eq!(reply.configuration.text("THEME"), Some("dark"));
}

#[test]
fn a_mark_is_cleared() {
    let world = World::new();
    let (ada, held) = ada(&world);
    world.store.users().require_password_change(ada, gatepost::EndSessions::Keep).unwrap();
    assert!(!change(&world, &held, PASSWORD, NEW).unwrap().user.set_initial_password);
    world.log_in("ada", NEW, "till-1").unwrap();
}

#[test]
fn a_wrong_current_password_is_counted_until_it_has_to_wait() {
    let world = World::new();
    let (ada, held) = ada(&world);
    for failures in 1..=5 {
        let refused = world.hashes(1, |_| {
            let refused = &[EventKind::PasswordChangeRefused];
            world.leaves(refused, 0, |_| change(&world, &held, "wrong horse battery", NEW))
        });
        assert_eq!(refused.unwrap_err(), Refusal::InvalidCredentials);
        assert_eq!(reason(&world), "invalid_credentials");
        assert_eq!(world.user(ada).failed_password_attempt_count, failures);
    }
    let refusal = world.hashes(0, |_| change(&world, &held, PASSWORD, NEW)).unwrap_err();
    assert!(matches!(refusal, Refusal::TooManyAttempts { .. }), "{refusal:?}");
    assert!(world.passes(&held, "till-1"));
    world.clock.advance(refusal.retry_after().unwrap());
    change(&world, &held, PASSWORD, NEW).unwrap();
    assert_eq!(world.user(ada).failed_password_attempt_count, 0);
}

#[test]
fn a_rejected_password_is_told_by_its_rule_and_changes_nothing() {
    for (new, rule) in [
        ("7 chars", PasswordRule::TooShort),
        ("password1", PasswordRule::Common),
        ("gatepost", PasswordRule::Context),
        (PASSWORD, PasswordRule::Unchanged),
    ] {
        let world = World::new();
        let (ada, held) = ada(&world);
        let refusal = world.hashes(1, |_| change(&world, &held, PASSWORD, new)).unwrap_err();
        assert_eq!(refusal, Refusal::PasswordRejected(rule));
        assert_eq!(reason(&world), "password_rejected");
        assert!(world.passes(&held, "till-1"));
        assert_eq!(world.user(ada).failed_password_attempt_count, 0);
        world.log_in("ada", PASSWORD, "till-1").unwrap();
    }
}

#[test]
fn only_a_live_session_on_its_own_device_changes_a_password() {
    let world = World::new();
    let (ada, held) = ada(&world);
    let token = held.token.expose();
    check_not_live(&world, token, Some(&device("till-2")));
    check_not_live(&world, token, None);
    check_not_live(&world, "gps_", Some(&device("till-1")));
    let key = world.store.api_keys().issue(ada, gatepost::NewApiKey::new()).unwrap().key;
    check_not_live(&world, key.expose(), None);
    world.store.sessions().end_all_of(ada).unwrap();
    check_not_live(&world, token, Some(&device("till-1")));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[track_caller]
fn check_not_live(world: &World, token: &str, on: Option<&DeviceId>) {
    let refusal = world.hashes(0, |store| {
        let (current, new) = (Password::from(PASSWORD), Password::from(NEW));
        store.change_password(token, on, current, new).unwrap().changed().unwrap_err()
    });
    assert_eq!(refusal, Refusal::SessionNotLive);
}

#[test]
fn a_user_without_a_password_has_none_to_change() {
    let world = World::new();
    let ada = world.store.users().create(gatepost::NewUser::person("ada")).unwrap().id;
    let held = world.open(ada, "till-1");
    for current in ["", PASSWORD] {
        let refusal = world.hashes(1, |_| change(&world, &held, current, NEW)).unwrap_err();
        assert_eq!(refusal, Refusal::InvalidCredentials);
    }
}

#[test]
fn passwords_beyond_any_bound_are_refused_unhashed() {
    let world = World::new();
    let (_, held) = ada(&world);
    let long = "x".repeat(4_097);
    for (current, new) in [(long.as_str(), NEW), (PASSWORD, long.as_str())] {
        world.hashes(0, |_| {
            world.refuses(Reason::Invalid, |store| {
                let (current, new) = (Password::from(current), Password::from(new));
                store.change_password(held.token.expose(), &device("till-1"), current, new)
            });
        });
    }
}

#[test]
fn a_session_without_a_device_changes_its_password_without_one() {
    let policy = SessionPolicy::server().require_device(false);
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let open = OpenSession::new(ada, None);
    let held = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let (current, new) = (Password::from(PASSWORD), Password::from(NEW));
    let reply = world.store.change_password(held.token.expose(), None, current, new).unwrap();
    let token = reply.changed().unwrap().session.token;
    assert!(world.store.verify(token.expose(), None).unwrap().valid().is_ok());
}

#[test]
fn the_longest_password_of_all_can_be_given_and_a_longer_one_cannot() {
    let world = World::new();
    let (_, held) = ada(&world);
    let longest = "nine brass bells ".repeat(300)[..4_096].to_owned();
    let held = change(&world, &held, PASSWORD, &longest).unwrap().session;
    let held = change(&world, &held, &longest, NEW).unwrap().session;
    let (current, new) = (Password::from(NEW), Password::from(longest + "s"));
    let on = device("till-1");
    world.refuses(Reason::Invalid, |store| {
        store.change_password(held.token.expose(), &on, current, new)
    });
}
