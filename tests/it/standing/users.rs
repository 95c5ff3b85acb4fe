//! The standing of users.

use gatepost::{EventKind, NewUser, UserStatus};

use crate::world::World;

#[test]
fn a_locked_user_loses_sessions_and_tokens_and_keeps_keys() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let locked = world
        .leaves(&[EventKind::UserLocked], 1, |store| {
            store.users().set_status(ada, UserStatus::Locked)
        })
        .unwrap();
    assert_eq!(world.store.users().find(ada).unwrap(), Some(locked));
    let ended = "SELECT min(sessions_ended_seq, tokens_ended_seq) - keys_ended_seq FROM user";
    assert_eq!(world.count(ended), world.head());
}
