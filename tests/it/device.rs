//! Devices on which users have logged in.

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{NewUser, Page, UserId};

use crate::world::{DAY, SECOND, World, device, morning};

fn log_in(world: &World, user: UserId, on: &str) {
    world.clock.advance(SECOND);
    let answer = world.store.sessions().open(OpenSession::new(user, device(on)));
    assert!(answer.unwrap().granted().is_ok());
}

#[test]
fn the_one_used_last_comes_first() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    for on in ["till", "phone", "till"] {
        log_in(&world, ada, on);
    }
    let known = world.store.devices().list(ada).unwrap();
    let times: Vec<_> = known.iter().map(|one| (one.first_login_at, one.last_login_at)).collect();
    let at = |seconds| morning() + seconds * SECOND;
    assert_eq!(times, [(at(1), at(3)), (at(2), at(2))]);
    assert_eq!((known[0].handle.len(), known[1].handle.len()), (8, 8));
    assert_ne!(known[0].handle, known[1].handle);
    assert_eq!(known[0].handle, device("till").handle());
}

#[test]
fn a_hundred_are_kept_and_the_one_unused_for_longest_goes() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    for n in 0..100 {
        log_in(&world, ada, &n.to_string());
    }
    log_in(&world, ada, "0");
    log_in(&world, ada, "one more");
    assert_eq!(world.store.devices().list(ada).unwrap().len(), 100);
    assert!(!world.store.devices().forget(ada, &device("1")).unwrap());
    assert!(world.store.devices().forget(ada, &device("0")).unwrap());
}

#[test]
fn the_text_of_one_is_not_in_the_file() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let text = "the till beside the door";
    log_in(&world, ada, text);
    world.store.close().unwrap();
    let file = std::fs::read(&world.path).unwrap();
    assert!(!file.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
}

#[test]
fn one_has_a_live_session_until_that_ends_in_whichever_way() {
    let world = World::with(|options| options.sessions(SessionPolicy::web()));
    let store = &world.store;
    let user = |name| store.users().create(NewUser::person(name)).unwrap().id;
    let (ada, bob) = (user("ada"), user("bob"));
    let is_live = |on: &str| store.devices().has_live_session(&device(on)).unwrap();
    assert!(!is_live("phone"));
    log_in(&world, ada, "phone");
    log_in(&world, ada, "tablet");
    assert!(is_live("phone") && is_live("tablet") && !is_live("till"));
    // Another user in its place.
    log_in(&world, bob, "phone");
    assert!(is_live("phone"));
    store.sessions().revoke_all(ada).unwrap();
    assert!(is_live("phone") && !is_live("tablet"));
    store.users().set_status(bob, UserStatus::Disabled).unwrap();
    assert!(!is_live("phone"));
    log_in(&world, ada, "till");
    world.clock.advance(7 * DAY);
    assert!(!is_live("till"), "its inactivity timeout is over");
}

#[test]
fn one_that_is_not_known_is_forgotten_without_a_trace() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let forgotten =
        world.leaves(&[], 0, |store| store.devices().forget(ada, &device("till"))).unwrap();
    assert!(!forgotten);
}

#[test]
fn one_is_forgotten_by_its_text_and_the_session_on_it_is_revoked() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    log_in(&world, ada, "till");
    log_in(&world, ada, "phone");
    let forgotten = world.leaves(&[EventKind::DeviceForgotten], 1, |store| {
        store.devices().forget(ada, &device("till"))
    });
    assert!(forgotten.unwrap());
    assert_eq!(world.store.devices().list(ada).unwrap().len(), 1);
    let left = world.sessions_of(ada);
    assert_eq!(left.len(), 1);
    let log = world.store.audit().list(&AuditFilter::new(), Page::first(500)).unwrap();
    assert!(log.last().unwrap().session.is_some_and(|revoked| revoked != left[0].id));
}

#[test]
fn the_session_of_another_user_on_a_forgotten_device_goes_on() {
    let world =
        World::with(|options| options.sessions(SessionPolicy::desktop().device_takeover(true)));
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let ben = world.store.users().create(NewUser::person("ben")).unwrap().id;
    log_in(&world, ada, "till");
    log_in(&world, ben, "till");
    assert!(world.store.devices().forget(ada, &device("till")).unwrap());
    assert_eq!(world.sessions_of(ben).len(), 1);
}

#[test]
fn one_is_forgotten_by_the_handle_of_the_list_and_no_other_users() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let ben = world.store.users().create(NewUser::person("ben")).unwrap().id;
    for (user, on) in [(ada, "till"), (ada, "phone"), (ben, "desk")] {
        log_in(&world, user, on);
    }
    for handle in [device("desk").handle().as_str(), "till", "", &device("till").handle()[..7]] {
        let forgotten = world.leaves(&[], 0, |store| store.devices().forget_listed(ada, handle));
        assert!(!forgotten.unwrap(), "{handle:?}");
    }
    let forgotten = world.leaves(&[EventKind::DeviceForgotten], 1, |store| {
        store.devices().forget_listed(ada, &device("till").handle())
    });
    assert!(forgotten.unwrap());
    let left = world.store.devices().list(ada).unwrap();
    assert_eq!((left.len(), &left[0].handle), (1, &device("phone").handle()));
    assert_eq!((world.sessions_of(ada).len(), world.sessions_of(ben).len()), (1, 1));
}

/// Who knows the password logs in on a device that hides behind the handle of another.
#[test]
fn all_that_have_one_handle_are_forgotten_with_it() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let (own, made) = (device("till-25427"), device("till-76247"));
    assert_eq!(own.handle(), made.handle());
    for on in [made.as_str(), own.as_str(), "phone"] {
        log_in(&world, ada, on);
    }
    let forgotten = world.leaves(&[EventKind::DeviceForgotten; 2], 2, |store| {
        store.devices().forget_listed(ada, &own.handle())
    });
    assert!(forgotten.unwrap());
    let left = world.store.devices().list(ada).unwrap();
    assert_eq!((left.len(), &left[0].handle), (1, &device("phone").handle()));
    assert_eq!(world.sessions_of(ada).len(), 1);
}
