//! Another key for what is sealed: bounded, while logins go on, and after a kill.

use gatepost::audit::EventKind;
use gatepost::{ErrorKind, LoginRequest, Options, Password, Store, UserId};

use crate::child::{Child, Parent};
use crate::keyring::{NEW, OLD, keys, uses, with_keys};
use crate::world::{Meanwhile, PASSWORD, SECOND, World, device};

fn people(world: &World, number: usize) -> Vec<UserId> {
    (0..number).map(|n| world.person(&format!("user{n}")).id).collect()
}

#[test]
fn a_call_seals_as_many_hashes_as_it_may_and_the_next_goes_on() {
    let mut world = with_keys(&[OLD]);
    let users = people(&world, 5);
    let session = world.open(users[0], "till");
    world.reopen_with(&[NEW, OLD]);
    for most in [0, 1_001] {
        world.refuses(ErrorKind::Invalid, |store| store.rekey(most));
    }
    let events = [EventKind::StoreKeyChanged, EventKind::StoreRekeyed];
    let report = world.leaves(&events, 0, |store| store.rekey(2)).unwrap();
    assert_eq!((report.hashes, report.damaged, report.is_complete), (2, 0, false));
    assert_eq!(
        (world.last_event().count, world.last_event().detail),
        (Some(2), Some("new".into()))
    );
    assert_eq!(world.uses(), uses(&[("new", 2), ("old", 3)]));
    let report = world.leaves(&[EventKind::StoreRekeyed], 0, |store| store.rekey(2)).unwrap();
    assert_eq!((report.hashes, report.is_complete), (2, false));
    let report = world.store.rekey(2).unwrap();
    assert_eq!((report.hashes, report.is_complete), (1, true));
    let report = world.leaves(&[], 0, |store| store.rekey(2)).unwrap();
    assert_eq!((report.hashes, report.is_complete), (0, true));
    assert!(world.passes(&session, "till"));

    // The old key is not needed any more.
    world.reopen_with(&[NEW]);
    for n in 0..5 {
        world.log_in(&format!("user{n}"), PASSWORD, &format!("desk{n}")).unwrap();
    }
}

#[test]
fn the_hash_of_a_deleted_user_and_one_never_sealed_are_sealed_as_well() {
    let mut world = World::new();
    let users = people(&world, 2);
    world.reopen_with(&[OLD]);
    world.person("ada");
    world.store.users().delete(users[0]).unwrap();
    world.reopen_with(&[NEW, OLD]);
    assert_eq!(world.uses(), uses(&[("", 2), ("old", 1)]));
    assert!(world.store.rekey(1_000).unwrap().is_complete);
    assert_eq!(world.uses(), uses(&[("new", 3)]));
    world.store.users().restore(users[0]).unwrap();
    world.log_in("user0", PASSWORD, "till").unwrap();
}

/// One damaged hash once stopped a whole rotation; and later, one call read all of them in a write.
#[test]
fn a_hash_that_does_not_open_counts_and_the_next_call_goes_on_after_it() {
    let mut world = with_keys(&[OLD]);
    let users = people(&world, 7);
    for user in &users[..5] {
        world.store_hash(*user, &world.stored_hash(users[6]));
    }
    world.reopen_with(&[NEW, OLD]);
    let (mut hashes, mut damaged, mut calls) = (0, 0, 0);
    let is_complete = loop {
        let report = world.store.rekey(2).unwrap();
        assert!(report.hashes + report.damaged <= 2, "{report:?}");
        (hashes, damaged, calls) = (hashes + report.hashes, damaged + report.damaged, calls + 1);
        if report.is_complete || calls == 9 {
            break report.is_complete;
        }
    };
    assert_eq!((hashes, damaged, calls, is_complete), (2, 5, 4, true));
    assert_eq!(world.uses(), uses(&[("new", 2), ("old", 5)]));
    // Once it is complete, the next call begins from the start.
    let report = world.leaves(&[], 0, |store| store.rekey(3)).unwrap();
    assert_eq!((report.hashes, report.damaged, report.is_complete), (0, 3, false));
    let report = world.store.rekey(1_000).unwrap();
    assert_eq!((report.hashes, report.damaged, report.is_complete), (0, 2, true));
}

/// What a process has passed may have been sealed under the old key since.
#[test]
fn a_rotation_that_another_process_turned_back_begins_from_the_start() {
    let mut world = with_keys(&[OLD]);
    let ada = world.person("ada").id;
    // Ids of one millisecond have no order.
    world.clock.advance(SECOND);
    let ben = world.person("ben").id;
    world.store_hash(ada, &world.stored_hash(ben));
    world.reopen_with(&[NEW, OLD]);
    let report = world.store.rekey(1).unwrap();
    assert_eq!((report.hashes, report.damaged, report.is_complete), (0, 1, false));
    world.sql().execute("UPDATE store SET sealing_key = 'old'", []).unwrap();
    world.store.users().set_password(ada, Password::from("nine brass bells")).unwrap();
    let report = world.store.rekey(1_000).unwrap();
    assert_eq!((report.hashes, report.damaged, report.is_complete), (2, 0, true));
    assert_eq!(world.uses(), uses(&[("new", 2)]));
}

/// The version of the credential does not change: a login that verified the hash before finishes.
#[test]
fn a_login_goes_on_while_its_hash_is_sealed_again() {
    let mut world = with_keys(&[OLD]);
    world.person("ada");
    let meanwhile = Meanwhile::default();
    world.options = world.options.clone().breach_check(meanwhile.check());
    world.reopen_with(&[NEW, OLD]);
    let ada = world.user_of("ada");
    let keep = gatepost::sessions::RevokeSessions::Keep;
    world.store.users().require_password_change(ada, keep).unwrap();
    let store = world.store.clone();
    meanwhile.happens(move || assert!(store.rekey(1_000).unwrap().is_complete));
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till"))
        .new_password(Password::from("nine brass bells"));
    world.ask(request).unwrap();
    assert_eq!(world.uses(), uses(&[("new", 1)]));
    world.log_in("ada", "nine brass bells", "till").unwrap();
}

/// R10: `kill -9` at any moment of a rotation.
#[test]
fn a_process_that_is_killed_during_rekey_leaves_a_file_in_which_every_user_logs_in() {
    const USERS: usize = 40;
    let mut world = with_keys(&[OLD]);
    people(&world, USERS);
    world.store.close().unwrap();
    let path = world.path.to_str().unwrap().to_owned();
    let (mut current, mut other) = (NEW, OLD);
    for round in 0..6 {
        let ids = [current.0, other.0];
        let mut child = Child::start("rekey", &[&path, ids[0], ids[1]]);
        for _ in 0..=round * 3 {
            child.hear();
        }
        child.kill();
        world.reopen_with(&[current, other]);
        for n in 0..USERS {
            world.log_in(&format!("user{n}"), PASSWORD, &format!("desk{n}")).unwrap();
        }
        assert!(world.store.rekey(1_000).unwrap().is_complete);
        assert_eq!(world.uses(), uses(&[(current.0, USERS as u64)]));
        world.store.close().unwrap();
        (current, other) = (other, current);
    }
    world.reopen();
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

/// Seals one hash after the other, from one key to the other.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let key = |id: &str| if id == NEW.0 { NEW } else { OLD };
    let keyring = keys(&[key(&words[1]), key(&words[2])]);
    let store = Store::open(&words[0], Options::stored().keyring(keyring)).unwrap();
    loop {
        parent.say("one more");
        store.rekey(1).unwrap();
    }
}
