//! Devices on which users have logged in.

use gatepost::{EventKind, NewUser, UserId};

use crate::world::{World, device};

/// Until it can log in, its devices are put there by hand.
fn knows(world: &World, user: UserId, digest: &str, last_login_at: i64) {
    let sql = "INSERT INTO device (user_id, device_hash, first_login_at, last_login_at)
         VALUES (?1, unhex(?2), 0, ?3)";
    let user = user.as_uuid();
    world.sql().execute(sql, (user.as_bytes(), digest, last_login_at)).unwrap();
}

#[test]
fn the_one_used_last_comes_first() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    knows(&world, ada, "00112233445566778899aabbccddeeff", 1);
    knows(&world, ada, "ffeeddccbbaa99887766554433221100", 2);
    let known = world.store.devices().list_of(ada).unwrap();
    let handles: Vec<&str> = known.iter().map(|device| device.handle.as_str()).collect();
    assert_eq!(handles, ["ffeeddcc", "00112233"]);
    assert_eq!(known[0].last_login_at.timestamp_millis(), 2);
    assert_eq!(known[0].first_login_at.timestamp_millis(), 0);
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
fn one_is_forgotten_by_its_text() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    knows(&world, ada, "b3b09838339a1fbdb492ba0417fb8c5b", 1);
    let forget = || {
        world.leaves(&[EventKind::DeviceForgotten], 0, |store| {
            store.devices().forget(ada, &device("till"))
        })
    };
    assert!(forget().unwrap());
    assert!(world.store.devices().list_of(ada).unwrap().is_empty());
}
