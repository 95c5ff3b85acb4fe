//! What ends what, and that an end is one row.

use gatepost::NewUser;
use gatepost::testing::open_many;

use crate::world::World;

#[test]
fn ending_many_sessions_changes_one_row() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let opened = open_many(&world.store, ada.id, 1_000).unwrap();
    let head = world.head();
    world.store.sessions().end_all_of(ada.id).unwrap();
    assert_eq!(world.head(), head + 1);
    for one in &opened {
        let verdict = world.store.verify(one.token.expose(), &one.device).unwrap();
        assert!(verdict.valid().is_err());
    }
}
