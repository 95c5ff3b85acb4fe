//! Log out: at once, everywhere, and only what is held.

use gatepost::{Ended, NewUser, OpenSession};

use crate::world::{World, device};

#[test]
fn a_logged_out_session_never_verifies_again() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till-1"));
    let reply = world.store.sessions().open(open).unwrap().granted().unwrap();
    let token = reply.session.token.expose();
    assert_eq!(world.store.log_out(token, &device("till-2")).unwrap(), Ended::Before);
    assert_eq!(world.store.log_out(token, &device("till-1")).unwrap(), Ended::Now);
    assert!(world.store.verify(token, &device("till-1")).unwrap().valid().is_err());
    assert_eq!(world.store.log_out(token, &device("till-1")).unwrap(), Ended::Before);
}
