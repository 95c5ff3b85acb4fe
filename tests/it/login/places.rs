//! Devices and the number of sessions of a user.

use gatepost::{
    EventKind, OpenSession, Options, Password, Refusal, SessionPolicy, UserId, WhenFull,
};

use crate::world::{DAY, MINUTE, PASSWORD, World, device};

fn with(policy: SessionPolicy) -> World {
    World::with(|options: Options| options.sessions(policy))
}

#[test]
fn a_login_on_the_own_device_replaces_the_session_there() {
    let world = World::new();
    let ada = world.person("ada").id;
    let first = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    let other = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
    let again = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    assert!(!world.passes(&first, "till-1"));
    assert!(world.passes(&other, "till-2"));
    assert!(world.passes(&again, "till-1"));
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 2);
}

#[test]
fn a_device_where_another_user_is_logged_in_is_refused_until_that_session_is_over() {
    let world = World::new();
    let (_, bob) = (world.person("ada"), world.person("bob").id);
    let bobs = world.open(bob, "till-1");
    assert_eq!(world.log_in("ada", PASSWORD, "till-1").unwrap_err(), Refusal::DeviceInUse);
    assert!(world.passes(&bobs, "till-1"));
    let _ = world.log_out(&bobs, "till-1");
    world.log_in("ada", PASSWORD, "till-1").unwrap();
}

#[test]
fn a_dead_session_of_another_user_is_in_nobodys_way() {
    check_gone(|world, _| world.clock.advance(DAY));
    check_gone(|world, bob| world.store.sessions().end_all_of(bob).unwrap());
    check_gone(|world, bob| world.store.users().delete(bob).unwrap());
    check_gone(|world, bob| {
        world.store.users().set_status(bob, gatepost::UserStatus::Locked).unwrap();
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
fn a_shared_desktop_is_taken_over_by_whoever_logs_in() {
    let world = with(SessionPolicy::desktop());
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let bobs = world.open(bob, "till-1");
    let adas = world
        .leaves(&[EventKind::LoginGranted], 1, |_| world.log_in("ada", PASSWORD, "till-1"))
        .unwrap();
    assert_eq!(adas.user.id, ada);
    assert!(!world.passes(&bobs, "till-1"));
    assert!(world.passes(&adas.session, "till-1"));
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
    let world = with(SessionPolicy::server().per_user(2).idle(60 * MINUTE));
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
fn the_replaced_session_on_the_own_device_does_not_count() {
    for when_full in [WhenFull::EndOldest, WhenFull::Refuse] {
        let world = with(SessionPolicy::server().per_user(2).when_full(when_full));
        let ada = world.person("ada").id;
        let (kept, _) = (world.open(ada, "till-1"), world.open(ada, "till-2"));
        let again = world.log_in("ada", PASSWORD, "till-2").unwrap().session;
        assert!(world.passes(&kept, "till-1") && world.passes(&again, "till-2"));
    }
}

#[test]
fn only_live_sessions_count() {
    let world = with(SessionPolicy::server().per_user(1).when_full(WhenFull::Refuse));
    let ada = world.person("ada").id;
    let first = world.open(ada, "till-1");
    assert_eq!(world.log_in("ada", PASSWORD, "till-2").unwrap_err(), Refusal::TooManySessions);
    assert!(world.passes(&first, "till-1"));
    world.clock.advance(DAY);
    world.open(ada, "till-2");
    world.store.sessions().end_all_of(ada).unwrap();
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
        assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), most);
    }
}

#[test]
fn racing_logins_never_exceed_the_limit() {
    let world = with(SessionPolicy::server().per_user(3).when_full(WhenFull::Refuse));
    let ada = world.person("ada").id;
    let granted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (store, on) = (world.store.clone(), device(&format!("till-{n}")));
                scope.spawn(move || {
                    let request =
                        gatepost::LogIn::new("ada", Password::from(PASSWORD), on.clone());
                    store.log_in(request).unwrap().is_granted()
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|ok| *ok).count()
    });
    assert_eq!(granted, 3);
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 3);
}

#[test]
fn two_sessions_without_a_device_stand_side_by_side() {
    let world = with(SessionPolicy::server().require_device(false));
    let ada = world.person("ada").id;
    for _ in 0..2 {
        let open = OpenSession::new(ada, None);
        world.store.sessions().open(open).unwrap().granted().unwrap();
    }
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 2);
}
