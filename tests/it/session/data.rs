//! The host's own small data of a session, as text and as a type.

use gatepost::ErrorKind;
use gatepost::audit::EventKind;
use gatepost::sessions::Version;

use crate::world::{PASSWORD, World, device};

#[test]
fn a_document_is_set_only_with_its_current_version() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1").id;
    let set = |json: &str, version: u64| {
        let set = world.store.sessions().set_data_json(session, json, Version::from_u64(version));
        set.map(Version::as_u64)
    };
    assert_eq!(world.store.sessions().data_json(session).unwrap(), None);
    world.refuses(ErrorKind::Stale, |_| set("[0]", 1));
    let first = world.leaves(&[EventKind::SessionDataSet], 0, |_| set("[1]", 0));
    assert_eq!(first.unwrap(), 1);
    world.refuses(ErrorKind::Stale, |_| set("[0]", 0));
    assert_eq!(set("[2]", 1).unwrap(), 2);
    world.refuses(ErrorKind::Stale, |_| set("[3]", 1));
    let document = world.store.sessions().data_json(session).unwrap().unwrap();
    assert_eq!((document.version.as_u64(), document.value.as_str()), (2, "[2]"));
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
                scope.spawn(move || {
                    store.sessions().set_data_json(session, &json, Version::NONE).is_ok()
                })
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
    let set = |json: &str| world.store.sessions().set_data_json(session, json, Version::NONE);
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for bad in [
        "",
        "{",
        "{\"a\":1,}",
        "not json",
        "[1] [2]",
        r#""\udc00""#,
        "1e999999",
        r#"[{"a":1,"a":2}]"#,
        text(4_097).as_str(),
        "\u{0}",
    ] {
        world.refuses(ErrorKind::Invalid, |_| set(bad));
    }
    assert_eq!(set(&text(4_096)).unwrap().as_u64(), 1);
    assert_eq!(world.store.sessions().data_json(session).unwrap().unwrap().value, text(4_096));
}

#[test]
fn a_document_ends_with_its_session() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    world.store.sessions().set_data_json(session.id, "[1]", Version::NONE).unwrap();
    world.store.sessions().revoke_all(ada).unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.sessions().data_json(session.id));
    world.refuses(ErrorKind::NotFound, |store| {
        store.sessions().set_data_json(session.id, "[2]", Version::from_u64(1))
    });
    world.open(ada, "till-1");
    assert_eq!(world.count("SELECT count(*) FROM session_document"), 0);
}

#[test]
fn a_login_that_replaces_a_session_begins_without_its_document() {
    let world = World::new();
    world.person("ada");
    let first = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    world.store.sessions().set_data_json(first.id, "[1]", Version::NONE).unwrap();
    let again = world.log_in("ada", PASSWORD, "till-1").unwrap().session;
    assert_eq!(world.store.sessions().data_json(again.id).unwrap(), None);
    let principal = world.store.verify((&again.token, &device("till-1"))).unwrap();
    assert_eq!(principal.valid().unwrap().credential.session(), Some(again.id));
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Basket {
    pieces: u32,
}

#[test]
fn typed_data_is_the_same_data_with_the_same_versions() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1").id;
    let sessions = world.store.sessions();
    assert_eq!(sessions.data::<Basket>(session).unwrap(), None);
    let set =
        |pieces, version| world.store.sessions().set_data(session, &Basket { pieces }, version);
    let first = world.leaves(&[EventKind::SessionDataSet], 0, |_| set(3, Version::NONE)).unwrap();
    assert_eq!(sessions.data_json(session).unwrap().unwrap().value, r#"{"pieces":3}"#);
    world.refuses(ErrorKind::Stale, |_| set(4, Version::NONE));
    let data = sessions.data::<Basket>(session).unwrap().unwrap();
    assert_eq!((data.version, data.value), (first, Basket { pieces: 3 }));

    sessions.set_data_json(session, r#"{"pieces": "many"}"#, first).unwrap();
    world.refuses(ErrorKind::Invalid, |store| store.sessions().data::<Basket>(session));
    let second = sessions.data_json(session).unwrap().unwrap().version;
    assert!(second > first);
    // JSON has text alone for a key.
    let by_pair = std::collections::BTreeMap::from([((1, 2), 3)]);
    world
        .refuses(ErrorKind::Invalid, |store| store.sessions().set_data(session, &by_pair, second));
    world.refuses(ErrorKind::Invalid, |store| {
        store.sessions().set_data(session, &"x".repeat(4_095), second)
    });
    // JSON has no NaN, which the documentation says.
    sessions.set_data(session, &[f64::NAN], second).unwrap();
    assert_eq!(sessions.data_json(session).unwrap().unwrap().value, "[null]");
    world.refuses(ErrorKind::Invalid, |store| store.sessions().data::<[f64; 1]>(session));
}
