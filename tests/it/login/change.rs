//! Change the password while logging in.

use gatepost::audit::EventKind;
use gatepost::policy::{ChangeAtLogin, PasswordRule, SessionLimit, SessionPolicy};
use gatepost::sessions::RevokeSessions;
use gatepost::{LoginRefusal, LoginReply, LoginRequest, Options, Password, UserId};

use crate::world::{DAY, PASSWORD, World, device, morning};

const NEW: &str = "nine brass bells";

fn change(world: &World, current: &str, new: &str, on: &str) -> Result<LoginReply, LoginRefusal> {
    let request = LoginRequest::new("ada", Password::from(current), device(on));
    world.ask(request.new_password(Password::from(new)))
}

fn marked(options: fn(Options) -> Options) -> (World, UserId) {
    let world = World::with(options);
    let ada = world.person("ada").id;
    world.store.users().require_password_change(ada, RevokeSessions::Keep).unwrap();
    (world, ada)
}

#[test]
fn a_marked_user_gets_no_session_until_the_password_is_changed() {
    let (world, ada) = marked(|options| options);
    assert!(world.user(ada).must_change_password);
    let refusal = world.log_in("ada", PASSWORD, "till-1").unwrap_err();
    assert_eq!(refusal, LoginRefusal::NewPasswordRequired);
    let reply = world
        .hashes(2, |_| {
            world
                .leaves(&[EventKind::LoginGranted], 1, |_| change(&world, PASSWORD, NEW, "till-1"))
        })
        .unwrap();
    assert!(!reply.profile.user.must_change_password);
    assert_eq!(world.last_event().reason.as_deref(), Some("password_changed"));
    assert!(world.passes(&reply.session, "till-1"));
    assert!(world.log_in("ada", PASSWORD, "till-2").is_err());
    world.log_in("ada", NEW, "till-2").unwrap();
}

#[test]
fn the_other_sessions_and_tokens_of_the_user_end_and_no_one_elses() {
    let (world, ada) = marked(|options| options);
    let (other, same) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    let bob = world.person("bob").id;
    let bobs = world.open(bob, "till-3");
    let before = world.head();
    let reply = change(&world, PASSWORD, NEW, "till-2").unwrap();
    assert!(!world.passes(&other, "till-1"));
    assert!(!world.passes(&same, "till-2"));
    assert!(world.passes(&reply.session, "till-2"));
    assert!(world.passes(&bobs, "till-3"));
    assert_eq!(world.sessions_of(ada).len(), 1);
    let tokens = "SELECT tokens_ended_seq FROM user WHERE username = 'ada'";
    assert!(world.count(tokens) > before);
}

#[test]
fn a_change_that_cannot_open_a_session_changes_nothing() {
    let (world, ada) = marked(|options| options);
    let other = world.open(ada, "till-1");
    let bob = world.person("bob").id;
    world.open(bob, "till-2");
    let refusal =
        world.leaves(&[EventKind::LoginRefused], 0, |_| change(&world, PASSWORD, NEW, "till-2"));
    assert_eq!(refusal.unwrap_err(), LoginRefusal::DeviceInUse);
    assert!(world.passes(&other, "till-1"));
    assert!(world.user(ada).must_change_password);
    change(&world, PASSWORD, NEW, "till-3").unwrap();
}

#[test]
fn the_sessions_that_a_change_ends_are_not_in_its_way() {
    let (world, ada) = marked(|options| {
        options.sessions(SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse))
    });
    let full = world.open(ada, "till-1");
    let reply = change(&world, PASSWORD, NEW, "till-2").unwrap();
    assert!(!world.passes(&full, "till-1"));
    assert!(world.passes(&reply.session, "till-2"));
}

#[test]
fn an_expired_password_is_changed_at_login_and_then_lasts_again() {
    let world = World::with(|options| options.password_expiry(90 * DAY));
    world.person("ada");
    world.clock.advance(90 * DAY - std::time::Duration::from_millis(1));
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    let refusal = change(&world, PASSWORD, NEW, "till-1").unwrap_err();
    assert_eq!(refusal, LoginRefusal::PasswordChangeNotAllowed);
    world.clock.set(morning() + 90 * DAY);
    assert_eq!(
        world.log_in("ada", PASSWORD, "till-1").unwrap_err(),
        LoginRefusal::NewPasswordRequired
    );
    change(&world, PASSWORD, NEW, "till-1").unwrap();
    world.clock.advance(89 * DAY);
    world.log_in("ada", NEW, "till-1").unwrap();
}

/// Once a password that was set while the clock was ahead expired that much later.
#[test]
fn a_password_that_was_set_in_the_future_has_expired() {
    let mut world = World::with(|options| options.password_expiry(90 * DAY));
    world.clock.advance(365 * DAY);
    world.person("ada");
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    world.clock.set(morning() + DAY);
    world.reopen();
    assert_eq!(
        world.log_in("ada", PASSWORD, "till-1").unwrap_err(),
        LoginRefusal::NewPasswordRequired
    );
    change(&world, PASSWORD, NEW, "till-1").unwrap();
    world.log_in("ada", NEW, "till-1").unwrap();
}

#[test]
fn a_password_never_expires_unless_the_host_says_so() {
    let world = World::new();
    world.person("ada");
    world.clock.advance(3_650 * DAY);
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn the_option_always_allows_each_change_and_refuses_the_same_password() {
    let world = World::with(|options| options.change_at_login(ChangeAtLogin::Always));
    world.person("ada");
    world.log_in("ada", PASSWORD, "till-1").unwrap();
    let refusal = change(&world, PASSWORD, PASSWORD, "till-1").unwrap_err();
    assert_eq!(refusal, LoginRefusal::PasswordRejected(PasswordRule::Unchanged));
    assert_eq!(world.last_event().detail.as_deref(), Some("unchanged"));
    change(&world, PASSWORD, NEW, "till-1").unwrap();
    world.log_in("ada", NEW, "till-1").unwrap();
}

#[test]
fn a_password_is_unchanged_however_its_accents_are_typed() {
    let world = World::with(|options| options.change_at_login(ChangeAtLogin::Always));
    let ada = world.person("ada").id;
    world.store.users().set_password(ada, "caf\u{e9} by the sea".into()).unwrap();
    let refusal =
        change(&world, "caf\u{e9} by the sea", "cafe\u{301} by the sea", "till-1").unwrap_err();
    assert_eq!(refusal, LoginRefusal::PasswordRejected(PasswordRule::Unchanged));
}

#[test]
fn the_policy_is_tested_when_a_password_is_set_and_never_at_login() {
    let mut world = World::new();
    let users = world.store.users();
    let ada = gatepost::NewUser::person("ada").password("short one".into());
    users.create(ada).unwrap();
    world.options = world.options.clone().passwords(gatepost::policy::PasswordPolicy::nist());
    world.reopen();
    world.log_in("ada", "short one", "till-1").unwrap();
}

#[test]
fn a_wrong_current_password_counts_as_any_other() {
    let (world, ada) = marked(|options| options);
    for failures in 1..=4 {
        let refusal = world.hashes(1, |_| change(&world, "wrong horse battery", NEW, "till-1"));
        assert_eq!(refusal.unwrap_err(), LoginRefusal::InvalidCredentials);
        assert_eq!(world.user(ada).failed_attempts, failures);
    }
    change(&world, PASSWORD, NEW, "till-1").unwrap();
    assert_eq!(world.user(ada).failed_attempts, 0);
}
