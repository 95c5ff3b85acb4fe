//! Anchors that only a holder of the key can make.

use std::sync::Arc;

use gatepost::host::SeededRandom;
use gatepost::{ErrorKind, Store};

use crate::keyring::keys;
use crate::world::World;

fn with_key(seed: u64, key: &[(&str, u8)]) -> World {
    let random = Arc::new(SeededRandom::new(seed));
    World::with(|options| options.keyring(keys(key)).random_source(random))
}

#[track_caller]
fn check(store: &Store, text: &str, expect: ErrorKind) {
    let error = store.audit().open_anchor(text).unwrap_err();
    assert_eq!(error.kind(), expect, "{error}");
}

#[test]
fn a_sealed_anchor_opens_with_its_key_for_its_store_alone() {
    let world = with_key(1, &[("a", 1)]);
    let audit = world.store.audit();
    let sealed = audit.sealed_anchor().unwrap();
    assert!(sealed.starts_with("sealed1$a$") && sealed.lines().count() == 1);
    let anchor = audit.open_anchor(&sealed).unwrap();
    assert_eq!(anchor, audit.anchor().unwrap());
    assert!(audit.verify_chain(Some(&anchor)).unwrap().is_intact());
    check(&with_key(2, &[("a", 1)]).store, &sealed, ErrorKind::Invalid);
    check(&with_key(3, &[("a", 2)]).store, &sealed, ErrorKind::Invalid);
    check(&with_key(4, &[("b", 1)]).store, &sealed, ErrorKind::KeyMissing);
    check(&World::new().store, &sealed, ErrorKind::KeyMissing);
}

#[test]
fn a_sealed_anchor_that_was_changed_does_not_open() {
    let world = with_key(1, &[("a", 1), ("b", 1)]);
    let sealed = world.store.audit().sealed_anchor().unwrap();
    for at in "sealed1$a$".len()..sealed.len() {
        let mut other = sealed.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        check(&world.store, &String::from_utf8(other).unwrap(), ErrorKind::Invalid);
    }
    // The same key under another id, and what was never sealed.
    check(&world.store, &sealed.replace("$a$", "$b$"), ErrorKind::Invalid);
    let plain = world.store.audit().anchor().unwrap().to_string();
    for text in [plain.as_str(), "", "sealed1$", "sealed1$a$", "sealed1$A$AAAA"] {
        check(&world.store, text, ErrorKind::Invalid);
    }
}

#[test]
fn without_a_keyring_no_anchor_is_sealed() {
    let error = World::new().store.audit().sealed_anchor().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyMissing);
}
