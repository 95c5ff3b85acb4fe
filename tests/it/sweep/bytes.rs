//! Removed data is gone from the bytes of the file, not from the index alone.

use std::process::Command;

use gatepost::Subtree;
use gatepost::sessions::{OpenSession, Version};

use crate::world::{DAY, World, device};

/// Whether these bytes are in any file of the store. Another process reads it: a descriptor closed
/// by this one would drop SQLite's locks.
fn has(world: &World, text: &str) -> bool {
    let files = std::fs::read_dir(world.directory()).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let read = Command::new("cat").args(paths).output().unwrap();
    assert!(read.status.success());
    read.stdout.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_was_removed_leaves_no_byte_in_the_file() {
    let world = World::new();
    let ada = world.person("ada").id;
    let open = OpenSession::new(ada, device("till-1")).label("canary of a label");
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    let document = r#"{"note":"canary of a document"}"#;
    world.store.sessions().set_data_json(session.id, document, Version::NONE).unwrap();
    world.store.configuration().set(Subtree::User(ada), "theme", "canary of a value").unwrap();
    let removed = ["canary of a label", "canary of a document", "canary of a value"];
    for canary in removed {
        assert!(has(&world, canary), "{canary}");
    }

    world.store.configuration().remove(Subtree::User(ada), "theme").unwrap();
    world.clock.advance(DAY);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().sessions, 1);
    world.store.close().unwrap();
    for canary in removed {
        assert!(!has(&world, canary), "{canary}");
    }
}
