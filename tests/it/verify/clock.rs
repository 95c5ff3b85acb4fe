//! Deadlines to the millisecond, and clocks that jump.

use std::time::Duration;

use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{Ended, Timestamp};

use crate::world::{DAY, HOUR, MINUTE, SECOND, World, device, morning};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A store that computed the expiry again when it loaded a session accepted expired ones
/// (CVE-2024-35220).
#[test]
fn a_session_is_expired_at_its_end_exactly_before_and_after_the_sweep() {
    let world = World::new();
    let open = OpenSession::new(world.person("ada").id, device("till-1"));
    let open = open.expires_at(morning() + HOUR);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    world.clock.set(session.expires_at - MILLISECOND);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.sessions_of(world.user_of("ada")).len(), 1);
    world.clock.set(session.expires_at);
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.sessions_of(world.user_of("ada")).len(), 0);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().sessions, 1);
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.log_out(&session, "till-1"), Ended::Before);
}

#[test]
fn a_session_is_idle_at_its_limit_exactly_before_and_after_the_file_is_opened_again() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let mut world = World::with(|options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    world.clock.advance(HOUR - MILLISECOND);
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(HOUR);
    assert!(!world.passes(&session, "till-1"));
    world.reopen();
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.store.sessions().find(session.id).unwrap(), None);
}

#[test]
fn use_prolongs_no_absolute_lifetime() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR).lifetime(3 * HOUR);
    let world = World::with(|options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    for _ in 0..5 {
        world.clock.advance(HOUR / 2);
        assert!(world.passes(&session, "till-1"));
    }
    world.clock.advance(HOUR / 2);
    assert!(!world.passes(&session, "till-1"));
}

#[test]
fn reading_a_session_never_changes_its_end() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    for _ in 0..3 {
        world.clock.advance(HOUR);
        let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
        assert_eq!(verdict.valid().unwrap().expires_at, Some(session.expires_at));
    }
    assert_eq!(session.expires_at, morning() + DAY);
}

#[test]
fn a_clock_that_goes_back_gives_no_time_for_a_minute_in_the_same_process() {
    let world =
        World::with(|options| options.sessions(SessionPolicy::server().inactivity_timeout(HOUR)));
    let session = world.open(world.person("ada").id, "till-1");
    world.clock.advance(HOUR);
    assert!(!world.passes(&session, "till-1"));
    world.clock.go_back(30 * MINUTE);
    assert!(!world.passes(&session, "till-1"));
    let open = OpenSession::new(world.user_of("ada"), device("till-2"));
    let late = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    assert_eq!(late.expires_at, morning() + HOUR + DAY, "by the latest time that was seen");
}

/// A clock that was ahead for a while must neither stop the time of a store nor leave sessions that
/// live longer than they may.
#[test]
fn after_a_minute_a_store_follows_the_clock_back() {
    let world = World::new();
    let ada = world.person("ada").id;
    let before = world.open(ada, "till-1");
    world.clock.advance(2 * DAY);
    assert!(!world.passes(&before, "till-1"), "it expired by the wrong clock");
    let ahead = OpenSession::new(ada, device("till-2")).lifetime(10 * MINUTE);
    let ahead = world.store.sessions().open(ahead).unwrap().granted().unwrap().session;
    assert!(world.passes(&ahead, "till-2"));
    world.clock.go_back(2 * DAY - HOUR);
    assert!(!world.passes(&before, "till-1") && world.passes(&ahead, "till-2"));
    world.clock.advance(MINUTE - MILLISECOND);
    assert!(!world.passes(&before, "till-1") && world.passes(&ahead, "till-2"));
    world.clock.advance(MILLISECOND);
    assert!(world.passes(&before, "till-1"), "by the right clock it has an hour behind it");
    assert!(!world.passes(&ahead, "till-2"), "it was opened in the future");
    world.clock.set(morning() + DAY);
    assert!(!world.passes(&before, "till-1"));
    world.clock.set(morning() + 2 * DAY + 10 * MINUTE);
    assert!(!world.passes(&ahead, "till-2"));
}

#[test]
fn a_session_from_the_future_is_refused_until_its_time_has_come() {
    let mut world = World::new();
    world.clock.set(morning() + DAY);
    let session = world.open(world.person("ada").id, "till-1");
    for (now, expect) in [
        (morning(), false),
        (morning() + DAY - MINUTE - MILLISECOND, false),
        (morning() + DAY - MINUTE, true),
        (morning() + DAY - SECOND, true),
        (morning() + DAY + HOUR, true),
    ] {
        world.clock.set(now);
        world.reopen();
        assert_eq!(world.passes(&session, "till-1"), expect, "{now}");
    }
}

/// A use that a clock noted which ran ahead would keep a session alive for as long.
#[test]
fn a_session_used_in_the_future_is_refused_until_that_time_has_come() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let mut world = World::with(|options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    let used = morning() + MINUTE + MILLISECOND;
    let hand = "UPDATE session SET last_seen = ?1";
    world.sql().execute(hand, [used.as_millis()]).unwrap();
    assert!(!world.passes(&session, "till-1"));
    world.clock.set(morning() + MILLISECOND);
    world.reopen();
    assert!(world.passes(&session, "till-1"));
}

#[test]
fn one_glitch_of_the_clock_poisons_no_file() {
    let mut world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    world.clock.set("2099-01-01T00:00:00Z".parse().unwrap());
    assert!(!world.passes(&session, "till-1"));
    world.clock.set(morning() + MINUTE);
    world.reopen();
    assert!(world.passes(&session, "till-1"));
    let again = world.open(world.user_of("ada"), "till-1");
    assert!(world.passes(&again, "till-1"));
}

#[test]
fn the_last_moment_of_all_is_no_reason_to_fall_over() {
    let mut world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    for end in [Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        world.clock.set(end);
        world.reopen();
        assert!(!world.passes(&session, "till-1"));
        world.store.maintain().unwrap();
    }
}
