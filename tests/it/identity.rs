//! Names and addresses of users.

use gatepost::{EventKind, NewUser};

use crate::world::World;

#[test]
fn a_new_name_ends_tokens_alone() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let renamed = world
        .leaves(&[EventKind::UserRenamed], 1, |store| store.users().rename(ada, "Countess"))
        .unwrap();
    assert_eq!(renamed.username, "Countess");
    let ended = "SELECT tokens_ended_seq - sessions_ended_seq - keys_ended_seq FROM user";
    assert_eq!(world.count(ended), world.head());
}
