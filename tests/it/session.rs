//! Sessions: opened, listed, labelled, with a document of the host's.

use gatepost::{NewUser, OpenSession, Reason};

use crate::world::{World, device};

#[test]
fn a_document_is_set_by_whoever_read_its_version() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till-1"));
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session.id;
    let sessions = world.store.sessions();
    assert_eq!(sessions.set_document(session, "[1]", 0).unwrap(), 1);
    assert_eq!(sessions.set_document(session, "[2]", 1).unwrap(), 2);
    let late = sessions.set_document(session, "[3]", 1).unwrap_err();
    assert_eq!(late.reason(), Reason::Stale);
    assert_eq!(sessions.document(session).unwrap().unwrap().body, "[2]");
}
