//! The host's own small document of a session.

use gatepost::{EventKind, Reason};

use crate::world::{PASSWORD, World, device};

#[test]
fn a_document_is_set_by_whoever_read_its_version() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1").id;
    let set = |json: &str, version| world.store.sessions().set_document(session, json, version);
    assert_eq!(world.store.sessions().document(session).unwrap(), None);
    world.refuses(Reason::Stale, |_| set("[0]", 1));
    let first = world.leaves(&[EventKind::SessionDocumentSet], 0, |_| set("[1]", 0));
    assert_eq!(first.unwrap(), 1);
    world.refuses(Reason::Stale, |_| set("[0]", 0));
    assert_eq!(set("[2]", 1).unwrap(), 2);
    world.refuses(Reason::Stale, |_| set("[3]", 1));
    let document = world.store.sessions().document(session).unwrap().unwrap();
    assert_eq!((document.version, document.body.as_str()), (2, "[2]"));
}

#[test]
fn of_racing_sets_of_one_version_exactly_one_holds() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1").id;
    let held = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let store = world.store.clone();
                let json = n.to_string();
                scope.spawn(move || store.sessions().set_document(session, &json, 0).is_ok())
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|ok| *ok).count()
    });
    assert_eq!(held, 1);
}

#[test]
fn a_document_is_json_of_at_most_4_kib() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1").id;
    let set = |json: &str| world.store.sessions().set_document(session, json, 0);
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for bad in ["", "{", "{\"a\":1,}", "not json", "[1] [2]", text(4_097).as_str(), "\u{0}"] {
        world.refuses(Reason::Invalid, |_| set(bad));
    }
    assert_eq!(set(&text(4_096)).unwrap(), 1);
    assert_eq!(world.store.sessions().document(session).unwrap().unwrap().body, text(4_096));
}

#[test]
fn a_document_ends_with_its_session() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    world.store.sessions().set_document(session.id, "[1]", 0).unwrap();
    world.store.sessions().end_all_of(ada).unwrap();
    world.refuses(Reason::NotFound, |store| store.sessions().document(session.id));
    world.refuses(Reason::NotFound, |store| store.sessions().set_document(session.id, "[2]", 1));
    world.open(ada, "till-1");
    assert_eq!(world.count("SELECT count(*) FROM session_document"), 0);
}

#[test]
fn a_login_that_replaces_a_session_begins_without_its_document() {
    let world = World::new();
    world.person("ada");
    let first = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    world.store.sessions().set_document(first.id, "[1]", 0).unwrap();
    let again = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    assert_eq!(world.store.sessions().document(again.id).unwrap(), None);
    let facts = world.store.verify(again.token.expose(), &device("till-1")).unwrap();
    assert_eq!(facts.valid().unwrap().session, Some(again.id));
}
