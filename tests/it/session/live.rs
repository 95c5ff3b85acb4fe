//! Two implementations decide whether a session is live: the statements that list and count, and
//! verify, which judges one row. They agree at every edge.

use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;

use crate::world::{HOUR, World, device, morning};

const MS: Duration = Duration::from_millis(1);
const SKEW: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(600);

/// Reads a session from a store that is opened at another time, so that no process has cached
/// anything, and the clock may be before the session was opened.
#[track_caller]
fn check(idle: Option<Duration>, from_opening: (i64, Duration), expect: bool) {
    let policy = SessionPolicy::server().lifetime(HOUR).inactivity_timeout(idle);
    let mut world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let opened = morning();
    world.clock.set(match from_opening {
        (sign, by) if sign < 0 => opened - by,
        (_, by) => opened + by,
    });
    world.reopen();
    let listed = world.sessions_of(ada);
    let is_listed = listed.iter().any(|one| one.id == session.id);
    let passes = world.passes(&session, "till-1");
    assert_eq!((is_listed, passes), (expect, expect), "{from_opening:?}, idle {idle:?}");
}

#[test]
fn a_list_and_a_verify_agree_at_every_edge() {
    for idle in [None, Some(IDLE)] {
        check(idle, (-1, SKEW + MS), false);
        check(idle, (-1, SKEW), true);
        check(idle, (1, Duration::ZERO), true);
        check(idle, (1, IDLE - MS), true);
        check(idle, (1, IDLE), idle.is_none());
        check(idle, (1, HOUR - MS), idle.is_none());
        check(idle, (1, HOUR), false);
    }
}

#[test]
fn a_list_and_a_verify_agree_about_what_was_suspended_or_revoked() {
    let world = World::new();
    let ada = world.person("ada").id;
    let revoke: [fn(&World, gatepost::UserId); 3] = [
        |world, ada| drop(world.store.users().set_status(ada, UserStatus::Locked).unwrap()),
        |world, ada| world.store.sessions().revoke_all(ada).unwrap(),
        |world, ada| assert!(world.store.devices().forget(ada, &device("till-1")).unwrap()),
    ];
    for revoke in revoke {
        world.store.users().set_status(ada, UserStatus::Active).unwrap();
        let session = world.open(ada, "till-1");
        let listed = || world.sessions_of(ada).len();
        assert_eq!((listed(), world.passes(&session, "till-1")), (1, true));
        revoke(&world, ada);
        assert_eq!((listed(), world.passes(&session, "till-1")), (0, false));
    }
}
