//! Deadlines to the millisecond, and clocks that jump.

use std::time::Duration;

use gatepost::{Ended, OpenSession, SessionPolicy};

use crate::world::{DAY, HOUR, MINUTE, SECOND, World, device, morning};

const MILLISECOND: Duration = Duration::from_millis(1);

/// A store that computed the end anew when it loaded a session accepted expired ones
/// (CVE-2024-35220).
#[test]
fn a_session_is_expired_at_its_end_exactly_before_and_after_the_sweep() {
    let world = World::new();
    let open = OpenSession::new(world.person("ada").id, device("till-1"));
    let open = open.expires_at(morning() + HOUR);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    world.clock.set(session.expires_at - MILLISECOND);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.store.sessions().list_of(world.user_of("ada")).unwrap().len(), 1);
    world.clock.set(session.expires_at);
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.store.sessions().list_of(world.user_of("ada")).unwrap().len(), 0);
    assert_eq!(world.store.maintain().unwrap().sessions, 1);
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.log_out(&session, "till-1"), Ended::Before);
}

#[test]
fn a_session_is_idle_at_its_limit_exactly_before_and_after_the_file_is_opened_again() {
    let policy = SessionPolicy::server().idle(HOUR);
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
    let policy = SessionPolicy::server().idle(HOUR).lifetime(3 * HOUR);
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
        let verdict = world.store.verify(session.token.expose(), &device("till-1")).unwrap();
        assert_eq!(verdict.valid().unwrap().expires_at, Some(session.expires_at));
    }
    assert_eq!(session.expires_at, morning() + DAY);
}

#[test]
fn a_clock_that_goes_back_gives_no_time_in_the_same_process() {
    let world = World::with(|options| options.sessions(SessionPolicy::server().idle(HOUR)));
    let session = world.open(world.person("ada").id, "till-1");
    world.clock.advance(HOUR);
    assert!(!world.passes(&session, "till-1"));
    world.clock.go_back(30 * MINUTE);
    assert!(!world.passes(&session, "till-1"));
    let open = OpenSession::new(world.user_of("ada"), device("till-2"));
    let late = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    assert_eq!(late.expires_at, morning() + HOUR + DAY, "by the latest time that was seen");
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
    let policy = SessionPolicy::server().idle(HOUR);
    let mut world = World::with(|options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    let used = morning() + MINUTE + MILLISECOND;
    let hand = "UPDATE session SET last_seen = ?1";
    world.sql().execute(hand, [used.timestamp_millis()]).unwrap();
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
    for end in [chrono::DateTime::<chrono::Utc>::MAX_UTC, chrono::DateTime::UNIX_EPOCH] {
        world.clock.set(end);
        world.reopen();
        assert!(!world.passes(&session, "till-1"));
        world.store.maintain().unwrap();
    }
}
