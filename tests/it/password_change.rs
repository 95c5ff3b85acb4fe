//! A user changes their own password in a session.

use gatepost::audit::EventKind;
use gatepost::policy::{ChangeAtLogin, PasswordRule, SessionPolicy};
use gatepost::sessions::{Assurance, OpenSession, Version};
use gatepost::{
    DeviceId, ErrorKind, LoginRefusal, LoginReply, OpenedSession, Password, Subtree, UserId,
};

use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device, morning, reason};

const NEW: &str = "nine brass bells";

fn change(
    world: &World,
    held: &OpenedSession,
    current: &str,
    new: &str,
) -> Result<LoginReply, LoginRefusal> {
    let (current, new) = (Password::from(current), Password::from(new));
    let token = held.token.expose();
    world.store.change_password((token, &device("till-1")), current, new).unwrap().granted()
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
    assert_eq!((reply.session.id, reply.profile.user.id), (kept.id, ada));
    assert_ne!(reply.session.token.expose(), kept.token.expose());
    assert_eq!(world.last_event().session, Some(kept.id));
    world.log_in("ada", PASSWORD, "till-4").unwrap_err();
    world.log_in("ada", NEW, "till-4").unwrap();
}

#[test]
fn a_renewed_session_keeps_its_device_label_and_document_and_restarts_both_deadlines() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let request = gatepost::LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let request = request.label("Till 1").expires_at(morning() + 2 * HOUR);
    let held = world.ask(request).unwrap().session;
    world.store.sessions().set_data_json(held.id, r#"{"basket":3}"#, Version::NONE).unwrap();
    world.clock.advance(50 * MINUTE);
    let renewed = change(&world, &held, PASSWORD, NEW).unwrap().session;

    let info = world.store.sessions().find(held.id).unwrap().unwrap();
    assert_eq!((info.user, info.label.as_deref()), (ada, Some("Till 1")));
    assert_eq!(info.opened_at, morning());
    assert_eq!(info.authenticated_at, morning() + 50 * MINUTE);
    assert_eq!(info.expires_at, morning() + 50 * MINUTE + 2 * HOUR);
    assert_eq!(renewed.expires_at, info.expires_at);
    assert_eq!(
        world.store.sessions().data_json(held.id).unwrap().unwrap().value,
        r#"{"basket":3}"#
    );
    world.clock.advance(HOUR - std::time::Duration::from_millis(1));
    assert!(world.passes(&renewed, "till-1"));
    assert!(!world.passes(&renewed, "till-2"));
    world.clock.set(renewed.expires_at);
    assert!(!world.passes(&renewed, "till-1"));
}

/// A password alone is AAL1. Once a session above that lived for as long as its password was
/// changed once a day.
#[test]
fn a_change_by_password_never_prolongs_a_session_above_aal1() {
    for assurance in [Assurance::Aal1, Assurance::Aal2, Assurance::Aal3] {
        let world = World::with(|options| options.sessions(SessionPolicy::aal2()));
        let ada = world.person("ada").id;
        let open = OpenSession::new(ada, device("till-1")).assurance(assurance);
        let open = open.expires_at(morning() + 2 * HOUR);
        let mut held = world.store.sessions().open(open).unwrap().granted().unwrap().session;
        let (mut old, mut new) = (PASSWORD, NEW);
        for _ in 0..3 {
            world.clock.advance(30 * MINUTE);
            held = change(&world, &held, old, new).unwrap().session;
            (old, new) = (new, old);
        }
        let info = world.store.sessions().find(held.id).unwrap().unwrap();
        let (authenticated_at, expires_at) = match assurance {
            Assurance::Aal1 => (world.now(), world.now() + 2 * HOUR),
            _ => (morning(), morning() + 2 * HOUR),
        };
        assert_eq!(info.assurance, assurance);
        assert_eq!((info.authenticated_at, info.expires_at), (authenticated_at, expires_at));
        assert_eq!(held.expires_at, expires_at);

        // Nor may it be renewed beyond what its own authentication allows.
        let token = held.token.expose();
        while world.store.renew((token, &device("till-1"))).unwrap().valid().is_ok() {
            world.clock.advance(30 * MINUTE);
        }
        assert_eq!(world.now(), authenticated_at + DAY, "{assurance:?}");
    }
}

/// The password alone proves who logs in, whatever session it replaces.
#[test]
fn a_login_with_a_new_password_opens_a_session_of_aal1() {
    let world = World::with(|options| options.change_at_login(ChangeAtLogin::Always));
    let ada = world.person("ada").id;
    let open = OpenSession::new(ada, device("till-1")).assurance(Assurance::Aal3);
    world.store.sessions().open(open).unwrap().granted().unwrap();
    let request = gatepost::LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let reply = world.ask(request.new_password(Password::from(NEW))).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal1);
}

#[test]
fn the_reply_carries_the_configuration_and_the_user() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let (ada, held) = ada(&world);
    world.store.users().move_to(ada, york).unwrap();
    for (key, public) in [("theme", true), ("secret", false)] {
        world.store.configuration().set(Subtree::Branch(york), key, "dark").unwrap();
        world.store.configuration().set_public(key, public).unwrap();
    }
    let reply = change(&world, &held, PASSWORD, NEW).unwrap();
    assert_eq!(reply.profile.user, world.user(ada));
    assert_eq!(reply.profile.configuration.len(), 1);
    assert_eq!(reply.profile.configuration.text("THEME"), Some("dark"));
}

#[test]
fn a_mark_is_cleared() {
    let world = World::new();
    let (ada, held) = ada(&world);
    world
        .store
        .users()
        .require_password_change(ada, gatepost::sessions::RevokeSessions::Keep)
        .unwrap();
    assert!(!change(&world, &held, PASSWORD, NEW).unwrap().profile.user.must_change_password);
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
        assert_eq!(refused.unwrap_err(), LoginRefusal::InvalidCredentials);
        assert_eq!(reason(&world), "invalid_credentials");
        assert_eq!(world.user(ada).failed_attempts, failures);
    }
    let refusal = world.hashes(0, |_| change(&world, &held, PASSWORD, NEW)).unwrap_err();
    assert!(matches!(refusal, LoginRefusal::TooManyAttempts { .. }), "{refusal:?}");
    assert!(world.passes(&held, "till-1"));
    world.clock.advance(refusal.retry_after().unwrap());
    change(&world, &held, PASSWORD, NEW).unwrap();
    assert_eq!(world.user(ada).failed_attempts, 0);
}

#[test]
fn a_rejected_password_is_reported_by_its_rule_and_changes_nothing() {
    for (new, rule) in [
        ("7 chars", PasswordRule::TooShort { min_chars: 8 }),
        ("password1", PasswordRule::Common),
        ("gatepost", PasswordRule::Context),
        (PASSWORD, PasswordRule::Unchanged),
    ] {
        let world = World::new();
        let (ada, held) = ada(&world);
        let refusal = world.hashes(1, |_| change(&world, &held, PASSWORD, new)).unwrap_err();
        assert_eq!(refusal, LoginRefusal::PasswordRejected(rule));
        assert_eq!(reason(&world), "password_rejected");
        assert!(world.passes(&held, "till-1"));
        assert_eq!(world.user(ada).failed_attempts, 0);
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
    let key = world.store.api_keys().issue(ada, gatepost::sessions::NewApiKey::new()).unwrap().key;
    check_not_live(&world, key.expose(), None);
    world.store.sessions().revoke_all(ada).unwrap();
    check_not_live(&world, token, Some(&device("till-1")));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[track_caller]
fn check_not_live(world: &World, token: &str, on: Option<&DeviceId>) {
    let refusal = world.hashes(0, |store| {
        let (current, new) = (Password::from(PASSWORD), Password::from(NEW));
        store.change_password((token, on), current, new).unwrap().granted().unwrap_err()
    });
    assert_eq!(refusal, LoginRefusal::SessionNotLive);
}

#[test]
fn a_user_without_a_password_has_none_to_change() {
    let world = World::new();
    let ada = world.store.users().create(gatepost::NewUser::person("ada")).unwrap().id;
    let held = world.open(ada, "till-1");
    for current in ["", PASSWORD] {
        let refusal = world.hashes(1, |_| change(&world, &held, current, NEW)).unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    }
}

#[test]
fn passwords_beyond_any_bound_are_refused_unhashed() {
    let world = World::new();
    let (_, held) = ada(&world);
    let charges = || world.count("SELECT sum(writes) FROM throttle");
    let (before, long) = (charges(), "x".repeat(4_097));
    for (current, new) in [(long.as_str(), NEW), (PASSWORD, long.as_str())] {
        world.hashes(0, |_| {
            world.refuses(ErrorKind::Invalid, |store| {
                let (current, new) = (Password::from(current), Password::from(new));
                store.change_password((&held.token, &device("till-1")), current, new)
            });
        });
        assert_eq!(charges(), before);
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
    let reply = world.store.change_password((&held.token, None), current, new).unwrap();
    let token = reply.granted().unwrap().session.token;
    assert!(world.store.verify((&token, None)).unwrap().valid().is_ok());
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
    world.refuses(ErrorKind::Invalid, |store| {
        store.change_password((&held.token, &on), current, new)
    });
}
