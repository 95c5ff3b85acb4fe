//! Users: created, found, listed and changed.

use gatepost::{EventKind, NewUser, Reason};

use crate::world::World;

#[test]
fn names_that_differ_in_case_alone_cannot_be_had_twice() {
    let world = World::new();
    let create = |name: &str| world.store.users().create(NewUser::person(name));
    create("Straße").unwrap();
    world.refuses(Reason::Taken, |store| store.users().create(NewUser::person("STRASSE")));
    let made = world.leaves(&[EventKind::UserCreated], 0, |_| create("other")).unwrap();
    assert_eq!(world.store.users().find_by_username("OTHER").unwrap(), Some(made));
}
