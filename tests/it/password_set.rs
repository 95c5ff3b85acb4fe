//! Passwords set by others than their users.

use gatepost::{EventKind, NewUser, Password};

use crate::world::{PASSWORD, World};

#[test]
fn a_password_set_by_another_ends_sessions_and_tokens() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    world
        .leaves(&[EventKind::PasswordSet], 1, |store| {
            store.users().set_password(ada, Password::from(PASSWORD))
        })
        .unwrap();
    let ended = "SELECT min(sessions_ended_seq, tokens_ended_seq) - keys_ended_seq FROM user";
    assert_eq!(world.count(ended), world.head());
}
