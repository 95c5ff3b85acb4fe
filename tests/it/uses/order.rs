//! Who writes a use: the next commit, upkeep, closing, dropping, and a verify only late.

use std::process::Command;

use gatepost::{NewUser, Store};

use super::{Commits, STEP, millis, of_a_month, world, written};
use crate::world::{DAY, HOUR, MINUTE, SECOND, World, morning};

/// A session of 24 h without an inactivity timeout, verified each minute: nothing of it reaches
/// the file within a step of an hour, and then one commit in two steps.
#[test]
fn a_verify_writes_nothing_within_a_step_and_once_in_two_steps() {
    let (world, session) = world();
    assert!(world.passes(&session, "till-1"));
    let commits = Commits::of(&world);
    let wal = world.path.with_extension("db-wal");
    // Another process reads them: a descriptor that this one closes drops its locks.
    let bytes = || Command::new("cat").args([&world.path, &wal]).output().unwrap().stdout;
    let before = bytes();
    let in_a_step = commits.during(59, || {
        world.clock.advance(MINUTE);
        assert!(world.passes(&session, "till-1"));
    });
    assert_eq!(in_a_step, 0);
    assert!(!before.is_empty() && before == bytes(), "a verify within a step wrote");
    let in_23_hours = commits.during(22 * 60, || {
        world.clock.advance(MINUTE);
        assert!(world.passes(&session, "till-1"));
    });
    assert_eq!(in_23_hours, 11);
}

/// `manual/calls.md` states these numbers.
#[test]
fn the_writes_per_hour_and_session_are_those_of_the_manual() {
    let policy = gatepost::policy::SessionPolicy::server();
    for (timeout, hours, expect) in [(None, 20, 10), (Some(HOUR), 2, 120), (Some(MINUTE), 1, 600)]
    {
        let policy = policy.inactivity_timeout(timeout);
        let world = World::with(|options| options.sessions(policy));
        let session = world.open(world.person("ada").id, "till-1");
        let commits = Commits::of(&world).during(hours * 1_200, || {
            world.clock.advance(3 * SECOND);
            assert!(world.passes(&session, "till-1"));
        });
        assert_eq!(commits, expect, "{timeout:?}");
    }
}

#[test]
fn the_next_commit_takes_a_waiting_use_along_and_a_revocation_does_not() {
    let (world, session) = world();
    let ben = world.person("ben").id;
    world.clock.advance(STEP);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), 0);
    world.store.sessions().revoke_all(ben).unwrap();
    assert_eq!(written(&world, &session), 0, "a revocation stays small");
    world.store.users().create(NewUser::person("carl")).unwrap();
    assert_eq!(written(&world, &session), millis(STEP));
    let verifies = Commits::of(&world).during(3, || assert!(world.passes(&session, "till-1")));
    assert_eq!(verifies, 0);
}

/// A write whose job fails or finds nothing to do leaves the uses where they are.
#[test]
fn a_write_that_is_rolled_back_takes_no_use_along() {
    let (world, session) = world();
    world.clock.advance(STEP);
    assert!(world.passes(&session, "till-1"));
    assert!(world.store.users().create(NewUser::person("ada")).is_err());
    assert_eq!(written(&world, &session), 0);
    world.store.maintain().unwrap();
    assert_eq!(written(&world, &session), millis(STEP));
}

#[test]
fn a_commit_takes_256_uses_and_upkeep_takes_all() {
    let world =
        World::with(|o| o.sessions(gatepost::policy::SessionPolicy::server().per_user(300)));
    let ada = world.person("ada").id;
    let sessions: Vec<_> =
        (0..300).map(|number| world.open(ada, &format!("till-{number}"))).collect();
    let waiting = "SELECT count(*) FROM session WHERE last_seen = opened_at";
    let begun = world.count(waiting);
    assert_eq!(begun, 300);
    world.clock.advance(STEP);
    for (number, session) in sessions.iter().enumerate() {
        assert!(world.passes(session, &format!("till-{number}")));
    }
    world.store.users().create(NewUser::person("carl")).unwrap();
    assert_eq!(world.count(waiting), 300 - 256);
    world.store.maintain().unwrap();
    assert_eq!(world.count(waiting), 0);
}

#[test]
fn closing_and_dropping_the_last_handle_write_what_waits() {
    for closes in [true, false] {
        let (mut world, session) = world();
        world.clock.advance(STEP);
        assert!(world.passes(&session, "till-1"));
        let other = world.store.clone();
        if closes {
            world.store.close().unwrap();
            drop(other);
        } else {
            let memory = Store::in_memory(world.options.clone()).unwrap();
            drop(std::mem::replace(&mut world.store, memory));
            assert_eq!(written(&world, &session), 0, "a handle is left");
            drop(other);
        }
        assert_eq!(written(&world, &session), millis(STEP), "closes: {closes}");
    }
}

#[test]
fn a_list_shows_the_uses_of_its_process_that_wait() {
    let (world, session) = world();
    world.clock.advance(STEP);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), 0);
    let sessions = world.store.sessions();
    let shown = || sessions.find(session.id).unwrap().unwrap().last_seen_at;
    assert_eq!(shown(), morning() + STEP);
    let listed = world.sessions_of(world.user_of("ada"));
    assert_eq!(listed[0].last_seen_at, morning() + STEP);
    let all = sessions.list(&gatepost::sessions::SessionFilter::new(), gatepost::Page::default());
    assert_eq!(all.unwrap()[0].last_seen_at, morning() + STEP);
}

/// A session whose step is a day and more still has its uses in the file after two of them.
#[test]
fn a_step_is_a_24th_of_the_lifetime_that_the_session_was_opened_with() {
    let world = of_a_month(3);
    let session = world.open(world.person("ada").id, "till-1");
    let commits = Commits::of(&world).during(6 * 24, || {
        world.clock.advance(HOUR);
        assert!(world.passes(&session, "till-1"));
    });
    // Steps of 30 h: at 60 h and at 120 h.
    assert_eq!(commits, 2);
    assert_eq!(written(&world, &session), millis(5 * DAY));
}
