//! Verify: who holds this token on this device, as the file stands now.

use gatepost::{NewUser, OpenSession};

use crate::world::{World, device};

#[test]
fn a_session_verifies_with_its_own_device_alone() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till-1"));
    let reply = world.store.sessions().open(open).unwrap().granted().unwrap();
    let token = reply.session.token.expose();
    assert_eq!(
        world.store.verify(token, &device("till-1")).unwrap().valid().unwrap().user,
        ada.id
    );
    assert!(world.store.verify(token, &device("till-2")).unwrap().valid().is_err());
    assert!(world.store.verify(token, None).unwrap().valid().is_err());
}
