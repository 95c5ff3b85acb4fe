//! Verify: whose token this is on this device, by the current state of the file.

mod clock;
mod idle;
mod keys;
mod live;
mod refused;

use gatepost::DeviceId;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;

use crate::world::{World, device};

#[track_caller]
fn check(world: &World, token: &str, on: Option<&DeviceId>, expect: bool) {
    assert_eq!(world.store.verify((token, on)).unwrap().valid().is_ok(), expect, "{on:?}");
}

#[test]
fn a_session_verifies_with_its_own_device_alone() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let token = session.token.expose();
    check(&world, token, Some(&device("till-1")), true);
    for other in ["till-2", "TILL-1", "till-1 ", "till-", "till-10"] {
        check(&world, token, Some(&device(other)), false);
    }
    check(&world, token, None, false);
}

#[test]
fn a_session_without_a_device_verifies_without_one_alone() {
    let policy = SessionPolicy::server().require_device(false);
    let world = World::with(|options| options.sessions(policy));
    let open = OpenSession::new(world.person("ada").id, None);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    check(&world, session.token.expose(), None, true);
    check(&world, session.token.expose(), Some(&device("till-1")), false);
}

#[test]
fn a_device_is_any_text_of_1_to_128_bytes() {
    let world = World::new();
    let ada = world.person("ada").id;
    for text in ["x", "Kasse 1 \u{1f4b6}", "\u{0}\n", "../../etc/passwd", &"é".repeat(64)] {
        let session = world.open(ada, text);
        check(&world, session.token.expose(), Some(&device(text)), true);
    }
    for text in [String::new(), "x".repeat(129), "é".repeat(65)] {
        assert!(DeviceId::new(&text).is_err());
    }
    assert_ne!(DeviceId::random().unwrap(), DeviceId::random().unwrap());
}

#[test]
fn a_token_and_a_device_of_two_sessions_pass_for_neither() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    let (adas, bobs) = (world.open(ada, "till-1"), world.open(bob, "till-2"));
    check(&world, adas.token.expose(), Some(&device("till-2")), false);
    check(&world, bobs.token.expose(), Some(&device("till-1")), false);
}
