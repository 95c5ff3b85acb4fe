//! Devices on which users have logged in.

use gatepost::{EventKind, NewUser, OpenSession, UserId};

use crate::world::{SECOND, World, device, morning};

fn log_in(world: &World, user: UserId, on: &str) {
    world.clock.advance(SECOND);
    let answer = world.store.sessions().open(OpenSession::new(user, device(on)));
    assert!(answer.unwrap().is_granted());
}

#[test]
fn the_one_used_last_comes_first() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    for on in ["till", "phone", "till"] {
        log_in(&world, ada, on);
    }
    let known = world.store.devices().list_of(ada).unwrap();
    let times: Vec<_> = known.iter().map(|one| (one.first_login_at, one.last_login_at)).collect();
    let at = |seconds| morning() + seconds * SECOND;
    assert_eq!(times, [(at(1), at(3)), (at(2), at(2))]);
    assert_eq!((known[0].handle.len(), known[1].handle.len()), (8, 8));
    assert_ne!(known[0].handle, known[1].handle);
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
    assert_eq!(world.store.devices().list_of(ada).unwrap().len(), 100);
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
fn one_that_is_not_known_is_forgotten_without_a_trace() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let forgotten =
        world.leaves(&[], 0, |store| store.devices().forget(ada, &device("till"))).unwrap();
    assert!(!forgotten);
}

#[test]
fn one_is_forgotten_by_its_text_and_sessions_on_it_go_on() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    log_in(&world, ada, "till");
    let forgotten = world.leaves(&[EventKind::DeviceForgotten], 0, |store| {
        store.devices().forget(ada, &device("till"))
    });
    assert!(forgotten.unwrap());
    assert!(world.store.devices().list_of(ada).unwrap().is_empty());
    assert_eq!(world.store.sessions().list_of(ada).unwrap().len(), 1);
}
