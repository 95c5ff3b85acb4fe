//! Sessions that only seem to be expired: a revocation of them must not be skipped.

use std::time::Duration;

use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::{OpenSession, Version};
use gatepost::{Ended, ErrorKind, LoginRefusal, OpenedSession, UserId};

use crate::world::{MINUTE, SECOND, World, device};

/// A session that was revoked while it was suspended came back with its branch.
#[test]
fn a_suspended_session_that_was_ended_does_not_come_back() {
    let ends: [fn(&World, &OpenedSession) -> Ended; 2] = [
        |world, session| world.log_out(session, "till-1"),
        |world, session| world.store.sessions().revoke(session.id).unwrap(),
    ];
    for end in ends {
        let world = World::new();
        let ada = world.person("ada").id;
        let york = world.store.branches().create("York", None).unwrap().id;
        world.store.branches().set_active(york, false).unwrap();
        let session = world.open(ada, "till-1");
        world.store.users().move_to(ada, york).unwrap();
        assert!(!world.passes(&session, "till-1"), "suspended");
        assert_eq!(end(&world, &session), Ended::Now);
        world.store.branches().set_active(york, true).unwrap();
        assert!(!world.passes(&session, "till-1"));
    }
}

/// With an inactivity timeout of ten minutes, of which a use may be missing in the file.
fn idling(change: impl FnOnce(SessionPolicy) -> SessionPolicy) -> (World, UserId) {
    let policy = change(SessionPolicy::server().inactivity_timeout(10 * MINUTE));
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    (world, ada)
}

/// Brings a session to the end of its inactivity timeout as the file knows it: its last use, a
/// minute later than the one in the file, is known to this process alone.
fn almost_idle(world: &World, session: &OpenedSession, on: &str) {
    let other = world.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.clock.advance(MINUTE);
    assert!(world.passes(session, on));
    other.execute_batch("ROLLBACK").unwrap();
    world.clock.advance(10 * MINUTE - 20 * SECOND);
}

/// By the file alone the session was idle: the revocation was answered `Before`, nothing was
/// written, and the next verify passed.
#[test]
fn a_session_whose_last_use_is_not_yet_written_ends() {
    let ends: [fn(&World, &OpenedSession) -> Ended; 2] = [
        |world, session| world.log_out(session, "till-1"),
        |world, session| world.store.sessions().revoke(session.id).unwrap(),
    ];
    for end in ends {
        let (world, ada) = idling(|policy| policy);
        let session = world.open(ada, "till-1");
        almost_idle(&world, &session, "till-1");
        assert_eq!(end(&world, &session), Ended::Now);
        assert!(!world.passes(&session, "till-1"));
    }
}

/// Another process knows of a use that is not in the file, or its clock is behind: a session
/// that is revoked here must not pass there.
#[test]
fn a_session_out_of_time_is_ended_for_those_who_do_not_know_yet() {
    for over in [10 * MINUTE, 24 * 60 * MINUTE] {
        let (world, ada) = idling(|policy| policy);
        let session = world.open(ada, "till-1");
        let other = world.open(ada, "till-2");
        world.clock.advance(over);
        assert_eq!(world.log_out(&session, "till-1"), Ended::Before);
        assert_eq!(world.store.sessions().revoke(other.id).unwrap(), Ended::Before);
        assert_eq!(world.count("SELECT count(*) FROM session"), 0);
    }
}

#[test]
fn the_others_end_when_the_last_use_of_this_one_is_not_yet_written() {
    let (world, ada) = idling(|policy| policy);
    let session = world.open(ada, "till-1");
    almost_idle(&world, &session, "till-1");
    let other = world.open(ada, "till-2");
    let token = session.token.expose();
    let principal = world.store.verify((token, &device("till-1"))).unwrap().valid().unwrap();
    world.store.sessions().revoke_others(&principal).unwrap();
    assert!(world.passes(&session, "till-1") && !world.passes(&other, "till-2"));
}

/// The device of a session that only looked idle was given to another user.
#[test]
fn a_session_whose_last_use_is_not_yet_written_keeps_its_device() {
    let (world, ada) = idling(|policy| policy);
    let bob = world.person("bob").id;
    let session = world.open(ada, "till-1");
    almost_idle(&world, &session, "till-1");
    let open = OpenSession::new(bob, device("till-1"));
    let refused = world.store.sessions().open(open).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::DeviceInUse);
    assert!(world.log_in("bob", crate::world::PASSWORD, "till-1").is_err());
    assert!(world.passes(&session, "till-1"));
}

/// A session that only looked idle did not count, and was there again beside the new one.
#[test]
fn a_session_whose_last_use_is_not_yet_written_counts() {
    let (world, ada) = idling(|policy| policy.per_user(1).at_limit(SessionLimit::Refuse));
    let session = world.open(ada, "till-1");
    almost_idle(&world, &session, "till-1");
    let open = OpenSession::new(ada, device("till-2"));
    let refused = world.store.sessions().open(open).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::TooManySessions);
    let refused = world.log_in("ada", crate::world::PASSWORD, "till-2").unwrap_err();
    assert_eq!(refused, LoginRefusal::TooManySessions);
    assert!(world.passes(&session, "till-1"));
}

/// A session that is idle when another takes its place has ended: a use that another process writes
/// late does not bring it back.
#[test]
fn what_was_idle_when_another_was_opened_is_over() {
    let (world, ada) = idling(|policy| policy.per_user(1).at_limit(SessionLimit::Refuse));
    let session = world.open(ada, "till-1");
    world.clock.advance(10 * MINUTE);
    world.open(ada, "till-2");
    let late = world.sql().execute(
        "UPDATE session SET last_seen = last_seen + 1000 WHERE id = ?1",
        [session.id.as_uuid().as_bytes()],
    );
    assert_eq!(late.unwrap(), 0);
}

/// The first use past a tenth of the limit is written at once, so that statements that read the
/// file alone find the session live as well.
#[test]
fn a_session_that_verifies_is_listed_and_has_its_document() {
    let (world, ada) = idling(|policy| policy);
    let session = world.open(ada, "till-1");
    world.clock.advance(9 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(2 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.sessions_of(ada).len(), 1);
    assert_eq!(
        world.store.sessions().set_data_json(session.id, "{}", Version::NONE).unwrap().as_u64(),
        1
    );
    world.clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(10 * MINUTE);
    assert!(!world.passes(&session, "till-1"));
    let late =
        world.store.sessions().set_data_json(session.id, "{}", Version::from_u64(1)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound);
}
