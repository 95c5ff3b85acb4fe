//! Sessions that look as if they were over and are not: an end must not be lost on them.

use std::time::Duration;

use gatepost::{
    Ended, OpenSession, OpenedSession, Reason, Refusal, SessionPolicy, UserId, WhenFull,
};

use crate::world::{MINUTE, SECOND, World, device};

/// A session that was suspended when it was told to end came back with the place it was under.
#[test]
fn a_suspended_session_that_was_ended_does_not_come_back() {
    let ends: [fn(&World, &OpenedSession) -> Ended; 2] = [
        |world, session| world.log_out(session, "till-1"),
        |world, session| world.store.sessions().end(session.id).unwrap(),
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

/// With an idle limit of ten minutes, of which a use may be missing in the file.
fn idling(change: impl FnOnce(SessionPolicy) -> SessionPolicy) -> (World, UserId) {
    let policy = change(SessionPolicy::server().idle(10 * MINUTE));
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    (world, ada)
}

/// Brings a session to the end of its idle limit as the file knows it: its last use, half a
/// minute later than the one in the file, is known to this process alone.
fn almost_idle(world: &World, session: &OpenedSession, on: &str) {
    world.clock.advance(30 * SECOND);
    assert!(world.passes(session, on));
    world.clock.advance(10 * MINUTE - 20 * SECOND);
}

/// The file alone said that the session was idle: the end was answered `Before`, nothing was
/// written, and the next verify passed.
#[test]
fn a_session_whose_last_use_is_not_yet_written_ends() {
    let ends: [fn(&World, &OpenedSession) -> Ended; 2] = [
        |world, session| world.log_out(session, "till-1"),
        |world, session| world.store.sessions().end(session.id).unwrap(),
    ];
    for end in ends {
        let (world, ada) = idling(|policy| policy);
        let session = world.open(ada, "till-1");
        almost_idle(&world, &session, "till-1");
        assert_eq!(end(&world, &session), Ended::Now);
        assert!(!world.passes(&session, "till-1"));
    }
}

/// Another process knows of a use that is not in the file, or its clock is behind: what is told
/// to end here must not pass there.
#[test]
fn a_session_out_of_time_is_ended_for_those_who_do_not_know_yet() {
    for over in [10 * MINUTE, 24 * 60 * MINUTE] {
        let (world, ada) = idling(|policy| policy);
        let session = world.open(ada, "till-1");
        let other = world.open(ada, "till-2");
        world.clock.advance(over);
        assert_eq!(world.log_out(&session, "till-1"), Ended::Before);
        assert_eq!(world.store.sessions().end(other.id).unwrap(), Ended::Before);
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
    let facts = world.store.verify(token, &device("till-1")).unwrap().valid().unwrap();
    world.store.sessions().end_others(&facts).unwrap();
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
    assert_eq!(refused, Refusal::DeviceInUse);
    assert!(world.log_in("bob", crate::world::PASSWORD, "till-1").is_err());
    assert!(world.passes(&session, "till-1"));
}

/// A session that only looked idle did not count, and was there again beside the new one.
#[test]
fn a_session_whose_last_use_is_not_yet_written_counts() {
    let (world, ada) = idling(|policy| policy.per_user(1).when_full(WhenFull::Refuse));
    let session = world.open(ada, "till-1");
    almost_idle(&world, &session, "till-1");
    let open = OpenSession::new(ada, device("till-2"));
    let refused = world.store.sessions().open(open).unwrap().granted().unwrap_err();
    assert_eq!(refused, Refusal::TooManySessions);
    let refused = world.log_in("ada", crate::world::PASSWORD, "till-2").unwrap_err();
    assert_eq!(refused, Refusal::TooManySessions);
    assert!(world.passes(&session, "till-1"));
}

/// What counts as idle when another takes its place is over: a use that another process writes
/// late does not bring it back.
#[test]
fn what_was_idle_when_another_was_opened_is_over() {
    let (world, ada) = idling(|policy| policy.per_user(1).when_full(WhenFull::Refuse));
    let session = world.open(ada, "till-1");
    world.clock.advance(10 * MINUTE);
    world.open(ada, "till-2");
    let late = world.sql().execute(
        "UPDATE session SET last_seen = last_seen + 1000 WHERE id = ?1",
        [session.id.as_uuid().as_bytes()],
    );
    assert_eq!(late.unwrap(), 0);
}

/// The first use past a tenth of the limit is written at once, so that what asks the file alone
/// finds the session live as well.
#[test]
fn a_session_that_verifies_is_listed_and_has_its_document() {
    let (world, ada) = idling(|policy| policy);
    let session = world.open(ada, "till-1");
    world.clock.advance(9 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(2 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 1);
    assert_eq!(world.store.sessions().set_document(session.id, "{}", 0).unwrap(), 1);
    world.clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(10 * MINUTE);
    assert!(!world.passes(&session, "till-1"));
    let late = world.store.sessions().set_document(session.id, "{}", 1).unwrap_err();
    assert_eq!(late.reason(), Reason::NotFound);
}
