//! Stored hashes, read for an export.

use gatepost::uuid::Uuid;
use gatepost::{ErrorKind, NewUser, UserId};

use crate::keyring::{OLD, with_keys};
use crate::world::{PASSWORD, World};

/// Made by bcrypt 5.0 of Python: 72 times `x`.
const BCRYPT: &str = "$2b$05$J6lREMVscHfc0XexP36e8OMqmdAoXYgO9l1z//M6XM28j5mrMWJSW";

#[test]
fn a_hash_is_exposed_in_a_form_that_can_be_imported() {
    let world = World::new();
    let ada = world.person("ada").id;
    let bob = NewUser::person("bob").password_hash(BCRYPT);
    let bob = world.store.users().create(bob).unwrap().id;
    let other = World::new();
    for (user, name, password) in [(ada, "ada", PASSWORD), (bob, "bob", &"x".repeat(72))] {
        let exposed = world
            .leaves(&[], 0, |store| store.users().exposed_password_hash(user).unwrap().unwrap());
        assert_eq!(exposed.expose(), world.stored_hash(user));
        let new = NewUser::person(name).password_hash(exposed.expose());
        other.store.users().create(new).unwrap();
        other.log_in(name, password, name).unwrap();
    }
    world.store.users().remove_password(ada).unwrap();
    assert!(world.store.users().exposed_password_hash(ada).unwrap().is_none());
    let unknown = world.store.users().exposed_password_hash(UserId::from_uuid(Uuid::max()));
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
}

/// An import has no mark for it, and would make it valid again.
#[test]
fn a_compromised_password_is_not_exposed() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.store.users().mark_compromised(ada).unwrap();
    assert!(world.store.users().exposed_password_hash(ada).unwrap().is_none());
    world.store.users().set_password(ada, "nine brass bells".into()).unwrap();
    assert!(world.store.users().exposed_password_hash(ada).unwrap().is_some());
}

#[test]
fn a_sealed_hash_is_exposed_with_its_key_alone() {
    let world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    let exposed = world.store.users().exposed_password_hash(ada).unwrap().unwrap();
    let sealed = world.stored_hash(ada);
    assert!(sealed.contains("$sealed1$old$") && !exposed.expose().contains("sealed"));
    world.store_hash(ada, &sealed.replace("$old$", "$gone$"));
    let lost = world.store.users().exposed_password_hash(ada);
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::KeyMissing);
    world.store_hash(ada, &sealed.replace("t=1", "t=2"));
    let changed = world.store.users().exposed_password_hash(ada);
    assert_eq!(changed.unwrap_err().kind(), ErrorKind::Corrupt);
}
