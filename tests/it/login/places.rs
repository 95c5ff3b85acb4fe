//! Devices and the number of sessions of a user.

use gatepost::audit::EventKind;
use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::OpenSession;
use gatepost::{LoginRefusal, Options, Password, UserId};

use crate::world::{DAY, MINUTE, PASSWORD, World, device};

fn with(policy: SessionPolicy) -> World {
    World::with(|options: Options| options.sessions(policy))
}

#[test]
fn a_login_on_the_same_device_replaces_the_session_there() {
    let world = World::new();
    let ada = world.person("ada").id;
    let first = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    let other = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
    let again = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    assert!(!world.passes(&first, "till-1"));
    assert!(world.passes(&other, "till-2"));
    assert!(world.passes(&again, "till-1"));
    assert_eq!(world.sessions_of(ada).len(), 2);
}

#[test]
fn a_device_where_another_user_is_logged_in_is_refused_until_that_session_is_over() {
    let world = World::new();
    let (_, bob) = (world.person("ada"), world.person("bob").id);
    let bobs = world.open(bob, "till-1");
    assert_eq!(world.log_in("ada", PASSWORD, "till-1").unwrap_err(), LoginRefusal::DeviceInUse);
    assert!(world.passes(&bobs, "till-1"));
    world.log_out(&bobs, "till-1");
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn a_dead_session_of_another_user_is_in_no_ones_way() {
    check_gone(|world, _| world.clock.advance(DAY));
    check_gone(|world, bob| world.store.sessions().revoke_all(bob).unwrap());
    check_gone(|world, bob| world.store.users().delete(bob).unwrap());
    check_gone(|world, bob| {
        world.store.users().set_status(bob, gatepost::directory::UserStatus::Locked).unwrap();
    });
}

#[track_caller]
fn check_gone(end: impl FnOnce(&World, UserId)) {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let bobs = world.open(bob, "till-1");
    end(&world, bob);
    let adas = world.open(ada, "till-1");
    assert!(world.passes(&adas, "till-1"));
    assert!(!world.passes(&bobs, "till-1"));
}

#[test]
fn a_login_takes_over_a_shared_desktop() {
    let world = with(SessionPolicy::desktop());
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let bobs = world.open(bob, "till-1");
    let leaves = [EventKind::SessionReplaced, EventKind::LoginGranted];
    let adas = world.leaves(&leaves, 1, |_| world.log_in("ada", PASSWORD, "till-1")).unwrap();
    assert_eq!(adas.profile.user.id, ada);
    assert!(!world.passes(&bobs, "till-1"));
    assert!(world.passes(&adas.session, "till-1"));
}

/// Once the log had only the row of the login, which named neither the session that ended nor its
/// user.
#[test]
fn the_log_names_the_session_that_a_login_ended_and_its_user() {
    let world = with(SessionPolicy::desktop().per_user(2));
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    check_logged(&world, "device_takeover", world.open(bob, "till-1"), bob, || {
        world.log_in("ada", PASSWORD, "till-1").unwrap().session
    });
    let second = world.open(ada, "till-2");
    check_logged(&world, "same_device", second, ada, || world.open(ada, "till-2"));
    world.clock.advance(MINUTE);
    world.open(ada, "till-3");
    let rows = world.log_of(EventKind::SessionReplaced);
    let last = rows.last().unwrap();
    assert_eq!((last.reason.as_deref(), last.user), (Some("session_limit"), Some(ada)));
    assert_eq!(rows.len(), 3);
    assert!(world.store.sessions().find(last.session.unwrap()).unwrap().is_none());

    // A session that had ended before makes way without a row.
    world.clock.advance(DAY);
    world.leaves(&[EventKind::SessionOpened], 1, |_| world.open(ada, "till-3"));
}

#[track_caller]
fn check_logged(
    world: &World,
    reason: &str,
    ended: gatepost::OpenedSession,
    user: UserId,
    login: impl FnOnce() -> gatepost::OpenedSession,
) {
    let by = login();
    let filter = gatepost::audit::AuditFilter::new().user(user);
    let filter = filter.kind(EventKind::SessionReplaced);
    let row = world.store.audit().latest(1, &filter).unwrap().pop().unwrap();
    assert_eq!((row.session, row.reason.as_deref()), (Some(ended.id), Some(reason)));
    assert_eq!(row.detail, Some(format!("by session {}", by.id)));
}

#[test]
fn the_session_used_longest_ago_ends_when_there_would_be_one_too_many() {
    let world = with(SessionPolicy::server().per_user(2));
    let ada = world.person("ada").id;
    let oldest = world.open(ada, "till-1");
    world.clock.advance(MINUTE);
    let newer = world.open(ada, "till-2");
    let third = world.log_in("ada", PASSWORD, "till-3").unwrap().session;
    assert!(!world.passes(&oldest, "till-1"));
    assert!(world.passes(&newer, "till-2") && world.passes(&third, "till-3"));
}

#[test]
fn a_session_in_use_outlasts_a_newer_one_that_is_not() {
    let world = with(SessionPolicy::server().per_user(2).inactivity_timeout(60 * MINUTE));
    let ada = world.person("ada").id;
    let used = world.open(ada, "till-1");
    world.clock.advance(MINUTE);
    let unused = world.open(ada, "till-2");
    world.clock.advance(10 * MINUTE);
    assert!(world.passes(&used, "till-1"));
    let third = world.log_in("ada", PASSWORD, "till-3").unwrap().session;
    assert!(!world.passes(&unused, "till-2"));
    assert!(world.passes(&used, "till-1") && world.passes(&third, "till-3"));
}

#[test]
fn the_replaced_session_on_the_same_device_does_not_count() {
    for at_limit in [SessionLimit::EvictLeastRecentlyUsed, SessionLimit::Refuse] {
        let world = with(SessionPolicy::server().per_user(2).at_limit(at_limit));
        let ada = world.person("ada").id;
        let (kept, _) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
        let again = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
        assert!(world.passes(&kept, "till-1") && world.passes(&again, "till-2"));
    }
}

#[test]
fn only_live_sessions_count() {
    let world = with(SessionPolicy::server().per_user(1).at_limit(SessionLimit::Refuse));
    let ada = world.person("ada").id;
    let first = world.open(ada, "till-1");
    assert_eq!(
        world.log_in("ada", PASSWORD, "till-2").unwrap_err(),
        LoginRefusal::TooManySessions
    );
    assert!(world.passes(&first, "till-1"));
    world.clock.advance(DAY);
    world.open(ada, "till-2");
    world.store.sessions().revoke_all(ada).unwrap();
    world.open(ada, "till-3");
}

#[test]
fn ten_sessions_are_a_users_on_a_server_and_five_on_a_desktop() {
    for (policy, most) in [(SessionPolicy::server(), 10), (SessionPolicy::desktop(), 5)] {
        let world = with(policy);
        let ada = world.person("ada").id;
        for n in 0..=most {
            world.open(ada, &format!("till-{n}"));
        }
        assert_eq!(world.sessions_of(ada).len(), most);
    }
}

#[test]
fn racing_logins_never_exceed_the_limit() {
    let world = with(SessionPolicy::server().per_user(3).at_limit(SessionLimit::Refuse));
    let ada = world.person("ada").id;
    let granted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (store, on) = (world.store.clone(), device(&format!("till-{n}")));
                scope.spawn(move || {
                    let request =
                        gatepost::LoginRequest::new("ada", Password::from(PASSWORD), on.clone());
                    store.log_in(request).unwrap().granted().is_ok()
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|ok| *ok).count()
    });
    assert_eq!(granted, 3);
    assert_eq!(world.sessions_of(ada).len(), 3);
}

#[test]
fn two_sessions_without_a_device_stand_side_by_side() {
    let world = with(SessionPolicy::server().require_device(false));
    let ada = world.person("ada").id;
    for _ in 0..2 {
        let open = OpenSession::new(ada, None);
        world.store.sessions().open(open).unwrap().granted().unwrap();
    }
    assert_eq!(world.sessions_of(ada).len(), 2);
}

/// A refused login once deleted every session of the user that was suspended.
#[test]
fn a_refused_login_leaves_a_suspended_session_as_it_is() {
    let world = World::new();
    let ada = world.person("ada").id;
    let closed = world.store.branches().create("York", None).unwrap().id;
    world.store.branches().set_active(closed, false).unwrap();
    let session = world.open(ada, "till-1");
    world.store.users().move_to(ada, Some(closed)).unwrap();
    assert!(!world.passes(&session, "till-1"));
    let refused = world.log_in("ada", PASSWORD, "till-2").unwrap_err();
    assert_eq!(refused, LoginRefusal::BranchDisabled);
    world.store.branches().set_active(closed, true).unwrap();
    assert!(world.passes(&session, "till-1"));
}
