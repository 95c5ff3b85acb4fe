//! The steps that the manual gives for the shell do what the manual says.

use gatepost::sessions::OpenSession;
use gatepost::{NewUser, Store, Subtree};

use crate::world::{World, device};

#[test]
fn a_copy_taken_with_plain_sqlite_is_a_whole_store() {
    let world = World::new();
    let till = device("till-1");
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = || {
        let request = OpenSession::new(ada.id, till.clone());
        world.store.sessions().open(request).unwrap().granted().unwrap().session.token
    };
    let token = open();
    let copy = world.directory().join("copy.db");
    world.sql().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    world.store.sessions().revoke_all(Subtree::Store).unwrap();

    let restored = Store::open(&copy, world.options.clone()).unwrap();
    assert!(restored.audit().verify_chain(None).unwrap().is_intact());
    // Sessions revoked after the copy are back, until all are revoked as the manual says.
    assert!(restored.verify((&token, &till)).unwrap().valid().is_ok());
    restored.sessions().revoke_all(Subtree::Store).unwrap();
    assert!(restored.verify((&token, &till)).unwrap().valid().is_err());
    assert!(world.store.verify((&token, &till)).unwrap().valid().is_err());
}

#[test]
fn the_advice_in_the_manual_is_the_advice_that_is_given() {
    let page = include_str!("../../manual/operating.md");
    let refused = [
        Store::open("file:auth.db", gatepost::Options::server()).unwrap_err(),
        Store::open("/no/such/directory/auth.db", gatepost::Options::server()).unwrap_err(),
    ];
    for error in refused {
        let row = format!("| `{:?}` | {} |", error.kind(), error.advice());
        assert!(page.contains(&row), "{row}");
    }
}
