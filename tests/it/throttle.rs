//! Failed attempts, as far as they show without a login.

use gatepost::{EventKind, NewUser};

use crate::world::World;

#[test]
fn failures_on_known_devices_are_shown_and_forgiven() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let sql = "INSERT INTO device (user_id, device_hash, first_login_at, last_login_at, failures)
         SELECT id, zeroblob(16), 0, 0, 3 FROM user";
    world.sql().execute(sql, []).unwrap();
    let user = world.store.users().find(ada).unwrap().unwrap();
    assert_eq!((user.failed_password_attempt_count, user.locked_out_until), (3, None));
    let unlocked =
        world.leaves(&[EventKind::AttemptsUnlocked], 0, |store| store.users().unlock(ada));
    assert!(unlocked.unwrap());
    let user = world.store.users().find(ada).unwrap().unwrap();
    assert_eq!(user.failed_password_attempt_count, 0);
    assert!(!world.leaves(&[], 0, |store| store.users().unlock(ada)).unwrap());
}
