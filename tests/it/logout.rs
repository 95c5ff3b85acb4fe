//! Log out: at once, in every process, and only the presented session.

use gatepost::audit::EventKind;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{Ended, ErrorKind};

use crate::world::{DAY, HOUR, MINUTE, World, device, morning};

/// A logout that was the client's alone left the session valid (GHSA-f7gq-h8jv-h3cq).
#[test]
fn a_logged_out_session_never_verifies_again_in_any_thread() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    assert!(world.passes(&session, "till-1"));
    let ended =
        world.leaves(&[EventKind::SessionLoggedOut], 1, |_| world.log_out(&session, "till-1"));
    assert_eq!(ended, Ended::Now);
    let event = world.last_event();
    assert_eq!((event.user, event.session), (Some(ada), Some(session.id)));
    assert!(!world.passes(&session, "till-1"));
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(!world.passes(&session, "till-1"))).join().unwrap();
    });
}

#[test]
fn a_logged_out_session_stays_dead_when_the_file_is_opened_again() {
    let mut world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    assert_eq!(world.log_out(&session, "till-1"), Ended::Now);
    world.reopen();
    assert!(!world.passes(&session, "till-1"));
}

#[test]
fn logging_out_a_revoked_session_or_an_unknown_token_succeeds_and_says_so() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    world.log_out(&session, "till-1");
    let check = |call: &dyn Fn() -> Ended| {
        assert_eq!(world.leaves(&[], 0, |_| call()), Ended::Before);
    };
    check(&|| world.log_out(&session, "till-1"));
    let other = World::new();
    let foreign = other.open(other.person("ada").id, "till-1");
    other.store.close().unwrap();
    check(&|| world.log_out(&foreign, "till-1"));
    let ended = world.open(ada, "till-1");
    world.store.sessions().revoke_all(ada).unwrap();
    check(&|| world.log_out(&ended, "till-1"));
}

#[test]
fn no_session_is_logged_out_without_its_device() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let token = session.token.expose();
    assert_eq!(world.log_out(&session, "till-2"), Ended::Before);
    assert_eq!(world.store.log_out((token, None)).unwrap(), Ended::Before);
    assert!(world.passes(&session, "till-1"));
}

#[test]
fn one_session_ends_and_no_other() {
    let world = World::new();
    let ada = world.person("ada").id;
    let (one, two) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    assert_eq!(world.log_out(&one, "till-1"), Ended::Now);
    assert!(world.passes(&two, "till-2"));
}

#[test]
fn what_is_not_the_token_of_a_session_is_refused() {
    let world = World::new();
    let ada = world.person("ada").id;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    for token in ["", "gps_", "x", key.expose()] {
        world.refuses(ErrorKind::Invalid, |store| store.log_out((token, &device("till-1"))));
        world.refuses(ErrorKind::Invalid, |store| store.log_out((token, None)));
    }
    assert!(world.store.verify((&key, None)).unwrap().valid().is_ok());
}

#[test]
fn a_session_without_a_device_is_logged_out_without_one() {
    let policy = SessionPolicy::server().require_device(false);
    let world = World::with(|options| options.sessions(policy));
    let open = OpenSession::new(world.person("ada").id, None);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let token = session.token.expose();
    assert_eq!(world.store.log_out((token, &device("till-1"))).unwrap(), Ended::Before);
    assert_eq!(world.store.log_out((token, None)).unwrap(), Ended::Now);
}

/// A clock that was wrong for a moment is put right by the next start of the program: a session
/// that was logged out in between must not come back.
#[test]
fn a_logout_holds_even_if_the_clock_was_wrong_when_it_came() {
    for wrong in [morning() + 2 * DAY, morning() - HOUR] {
        let mut world = World::new();
        let session = world.open(world.person("ada").id, "till-1");
        world.clock.set(wrong);
        world.reopen();
        assert!(!world.passes(&session, "till-1"));
        world.log_out(&session, "till-1");
        world.clock.set(morning());
        world.reopen();
        assert!(!world.passes(&session, "till-1"), "{wrong}");
    }
}

#[test]
fn an_end_by_handle_holds_even_if_the_clock_was_wrong_when_it_came() {
    for wrong in [morning() + 2 * DAY, morning() - HOUR] {
        let mut world = World::new();
        let session = world.open(world.person("ada").id, "till-1");
        world.clock.set(wrong);
        world.reopen();
        world.store.sessions().revoke(session.id).unwrap();
        world.clock.set(morning());
        world.reopen();
        assert!(!world.passes(&session, "till-1"), "{wrong}");
    }
}

#[test]
fn a_session_is_ended_whose_last_use_has_not_reached_the_file() {
    let world =
        World::with(|options| options.sessions(SessionPolicy::server().inactivity_timeout(HOUR)));
    let ada = world.person("ada").id;
    let (one, two) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
    world.clock.advance(10 * MINUTE);
    assert!(world.passes(&one, "till-1"));
    world.clock.advance(MINUTE / 2);
    assert!(world.passes(&two, "till-2"));
    world.clock.advance(54 * MINUTE);
    assert!(world.passes(&two, "till-2"), "its use is known to this process");
    world.clock.advance(5 * MINUTE);
    assert_eq!(world.store.sessions().revoke(two.id).unwrap(), Ended::Now);
    assert!(!world.passes(&two, "till-2"));
}
