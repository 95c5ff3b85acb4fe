//! Renew: a session goes on for its lifetime from now, under its own token.

use std::collections::BTreeMap;
use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession, SessionFilter};
use gatepost::{ErrorKind, NewUser, OpenedSession, Page, Password, Renewal, Timestamp, UserId};

use crate::world::{DAY, HOUR, MINUTE, PASSWORD, SECOND, World, device};

/// Opens sessions of 24 hours, 30 days at most.
fn world() -> World {
    World::with(|options| options.sessions(SessionPolicy::server()))
}

/// A session on `till-1` of that lifetime.
fn open(world: &World, user: UserId, lifetime: Duration) -> OpenedSession {
    let open = OpenSession::new(user, device("till-1")).expires_at(world.now() + lifetime);
    world.store.sessions().open(open).unwrap().granted().unwrap().session
}

fn renew(world: &World, session: &OpenedSession) -> Option<Timestamp> {
    world.store.renew((&session.token, &device("till-1"))).unwrap().valid().ok()
}

/// The expiry that a verify and the lists report.
#[track_caller]
fn ends_at(world: &World, session: &OpenedSession, expect: Timestamp) {
    let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert_eq!(principal.expires_at, Some(expect));
    let filter = SessionFilter::new().under(principal.user);
    let listed = world.store.sessions().list(&filter, Page::first(1)).unwrap();
    assert_eq!(listed[0].expires_at, expect);
}

#[test]
fn a_session_that_is_renewed_lasts_for_its_lifetime_from_then_on() {
    for lifetime in [HOUR, DAY, 7 * DAY] {
        let world = world();
        let ada = world.person("ada").id;
        let session = open(&world, ada, lifetime);
        for _ in 0..3 {
            world.clock.advance(lifetime - SECOND);
            let end = world.now() + lifetime;
            let renewed =
                world.leaves(&[EventKind::SessionRenewed], 1, |_| renew(&world, &session));
            assert_eq!(renewed, Some(end));
            ends_at(&world, &session, end);
        }
        let event = world.last_event();
        assert_eq!((event.user, event.session), (Some(ada), Some(session.id)));
        world.clock.advance(lifetime);
        assert_eq!(renew(&world, &session), None);
    }
}

#[test]
fn no_renewal_goes_beyond_the_longest_lifetime_after_the_login() {
    let policy = SessionPolicy::server().max_lifetime(3 * DAY);
    let world = World::with(|options| options.sessions(policy));
    let session = open(&world, world.person("ada").id, DAY);
    let latest = world.now() + 3 * DAY;
    for _ in 0..2 {
        world.clock.advance(23 * HOUR);
        assert_eq!(renew(&world, &session), Some(world.now() + DAY));
    }
    world.clock.advance(23 * HOUR);
    // The clock shows 69 hours; the last move is by an hour.
    assert_eq!(renew(&world, &session), Some(latest));
    ends_at(&world, &session, latest);
    world.clock.advance(2 * HOUR);
    world.leaves(&[], 0, |_| assert_eq!(renew(&world, &session), Some(latest)));
    world.clock.advance(HOUR);
    assert_eq!(renew(&world, &session), None);
}

/// Also where that is less than a small step.
#[test]
fn the_last_move_goes_to_the_longest_lifetime_itself() {
    let policy = SessionPolicy::server().max_lifetime(DAY + MINUTE);
    let world = World::with(|options| options.sessions(policy));
    let session = open(&world, world.person("ada").id, DAY);
    let latest = world.now() + DAY + MINUTE;
    world.clock.advance(HOUR);
    assert_eq!(renew(&world, &session), Some(latest));
    world.leaves(&[], 0, |_| assert_eq!(renew(&world, &session), Some(latest)));
}

/// Once a session that was renewed while the clock was ahead lasted longer by as much, with the
/// keys that were made from it.
#[test]
fn a_renewal_in_the_future_is_refused_until_its_time_has_come() {
    let mut world = world();
    let (session, right) = (open(&world, world.person("ada").id, DAY), world.now());
    let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
    let keys = world.store.api_keys();
    let key = keys.attenuate(&verdict.valid().unwrap(), NewApiKey::new()).unwrap().key;
    world.clock.advance(20 * HOUR);
    assert_eq!(renew(&world, &session), Some(right + 44 * HOUR));
    for (now, expect) in [(HOUR, false), (20 * HOUR - MINUTE, true), (44 * HOUR, false)] {
        world.clock.set(right + now);
        world.reopen();
        assert_eq!(world.passes(&session, "till-1"), expect, "{now:?}");
        assert_eq!(world.store.verify((&key, None)).unwrap().valid().is_ok(), expect, "{now:?}");
        let listed = world.store.sessions().list(&SessionFilter::new(), Page::first(1)).unwrap();
        assert_eq!(listed.len(), usize::from(expect), "{now:?}");
    }
}

/// As after a renewal, and the longest lifetime would count from then.
#[test]
fn a_change_of_the_password_in_the_future_is_refused_until_its_time_has_come() {
    let mut world = world();
    let (session, right) = (open(&world, world.person("ada").id, DAY), world.now());
    world.clock.advance(20 * HOUR);
    let [current, new] = [PASSWORD, "nine brass bells"].map(Password::from);
    let presented = (&session.token, &device("till-1"));
    let reply = world.store.change_password(presented, current, new).unwrap().granted().unwrap();
    for (now, expect) in [(HOUR, false), (20 * HOUR - MINUTE, true), (44 * HOUR, false)] {
        world.clock.set(right + now);
        world.reopen();
        assert_eq!(world.passes(&reply.session, "till-1"), expect, "{now:?}");
    }
}

#[test]
fn a_small_move_writes_nothing() {
    let world = world();
    let session = open(&world, world.person("ada").id, 20 * HOUR);
    world.clock.advance(HOUR - Duration::from_millis(1));
    world.leaves(&[], 0, |_| assert_eq!(renew(&world, &session), Some(session.expires_at)));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(renew(&world, &session), Some(session.expires_at + HOUR));
}

/// Neither where the clock was set back, nor where the policy was made shorter since.
#[test]
fn no_renewal_makes_a_session_end_earlier() {
    let mut world = world();
    let session = open(&world, world.person("ada").id, 7 * DAY);
    world.store.close().unwrap();
    world.options = world.options.clone().sessions(SessionPolicy::server().max_lifetime(DAY));
    world.store = gatepost::Store::open(&world.path, world.options.clone()).unwrap();
    for back in [Duration::ZERO, MINUTE] {
        world.clock.go_back(back);
        world.leaves(&[], 0, |_| assert_eq!(renew(&world, &session), Some(session.expires_at)));
        ends_at(&world, &session, session.expires_at);
    }
}

#[test]
fn what_is_no_valid_session_is_not_renewed() {
    let world = world();
    let ada = world.person("ada").id;
    let session = open(&world, ada, DAY);
    let token = session.token.expose();
    for (token, on) in [("", "till-1"), ("gps_", "till-1"), (token, "till-2")] {
        let renewal = world.store.renew((token, &device(on))).unwrap();
        assert!(matches!(renewal, Renewal::Invalid(_)), "{token}");
    }
    let refused = world.store.status().verify_refusals;
    assert_eq!(refused, BTreeMap::from([("malformed", 2), ("wrong_device", 1)]));
    world.clock.advance(HOUR * 2);
    world
        .sql()
        .execute_batch(
            "UPDATE user SET status = 'locked', sessions_ended_seq =
        1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change'), tokens_ended_seq =
        1 + (SELECT seq FROM sqlite_sequence WHERE name = 'change')",
        )
        .unwrap();
    assert_eq!(renew(&world, &session), None);
    let end = world.count("SELECT expires_at FROM session");
    assert_eq!(end, session.expires_at.as_millis());
}

#[test]
fn an_api_key_is_not_renewed() {
    let world = world();
    let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
    let key = world.store.api_keys().issue(robot, NewApiKey::new()).unwrap().key;
    world.refuses(ErrorKind::Invalid, |store| store.renew((&key, None)));
}

#[test]
fn a_renewal_is_a_use_of_the_session() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let world = World::with(|options| options.sessions(policy));
    let session = open(&world, world.person("ada").id, DAY);
    for _ in 0..4 {
        world.clock.advance(HOUR / 2);
        assert!(renew(&world, &session).is_some());
    }
    world.clock.advance(HOUR);
    assert_eq!(renew(&world, &session), None);
}

/// A renewal moves the expiry, so that it no longer shows the lifetime that the login was given.
#[test]
fn a_change_of_the_password_gives_the_lifetime_of_the_login_after_a_renewal_too() {
    let world = world();
    let session = open(&world, world.person("ada").id, 2 * DAY);
    world.clock.advance(DAY);
    assert_eq!(renew(&world, &session), Some(world.now() + 2 * DAY));
    world.clock.advance(HOUR);
    let [current, new] = [PASSWORD, "nine brass bells"].map(Password::from);
    let presented = (&session.token, &device("till-1"));
    let reply = world.store.change_password(presented, current, new).unwrap().granted().unwrap();
    assert_eq!(reply.session.expires_at, world.now() + 2 * DAY);
    // The user has proved who they are: the longest lifetime counts from here.
    world.clock.advance(DAY);
    let renewed = world.store.renew((&reply.session.token, &device("till-1"))).unwrap();
    assert_eq!(renewed.valid(), Ok(world.now() + 2 * DAY));
}

#[test]
fn a_closed_store_fails_with_closed() {
    let world = world();
    let session = open(&world, world.person("ada").id, DAY);
    world.store.close().unwrap();
    for token in [session.token.expose(), ""] {
        let error = world.store.renew((token, &device("till-1"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}
