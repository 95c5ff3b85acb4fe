//! A store whose file is no longer what it opened closes itself: at the next write, or within a
//! second of verifies.

pub(crate) mod only_verifies;

use std::fs;

use gatepost::{NewUser, OpenSession, Reason};

use crate::world::{HOUR, SECOND, World, device};

/// A world with a session that verify remembers, and its token.
fn remembered() -> (World, String) {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till"));
    let reply = world.store.sessions().open(open).unwrap().granted().unwrap();
    let token = reply.session.token.expose().to_owned();
    for _ in 0..2 {
        assert!(world.store.verify(&token, &device("till")).unwrap().valid().is_ok());
    }
    (world, token)
}

#[track_caller]
fn closes_itself(break_it: impl FnOnce(&World)) {
    let (world, token) = remembered();
    break_it(&world);
    world.clock.advance(SECOND);
    for _ in 0..2 {
        let refused = world.store.verify(&token, &device("till")).unwrap_err();
        assert_eq!(refused.reason(), Reason::Closed);
        let nonsense = world.store.verify("nonsense", &device("till")).unwrap_err();
        assert_eq!(nonsense.reason(), Reason::Closed);
        let refused = world.store.organisations().create("Northern").unwrap_err();
        assert_eq!(refused.reason(), Reason::Closed);
    }
}

/// The clock stands still: no verify has looked since.
#[track_caller]
fn is_noticed_by_the_next_write(break_it: impl FnOnce(&World)) {
    let (world, token) = remembered();
    break_it(&world);
    let refused = world.store.organisations().create("Northern").unwrap_err();
    assert_eq!(refused.reason(), Reason::Closed);
    let refused = world.store.verify(&token, &device("till")).unwrap_err();
    assert_eq!(refused.reason(), Reason::Closed);
}

#[test]
fn no_write_is_acknowledged_in_a_file_that_is_gone() {
    is_noticed_by_the_next_write(|world| fs::remove_file(&world.path).unwrap());
    is_noticed_by_the_next_write(|world| {
        fs::rename(&world.path, world.directory().join("gone.db")).unwrap();
    });
    is_noticed_by_the_next_write(|world| {
        let copy = world.directory().join("copy.db");
        fs::write(&copy, fs::read("/dev/null").unwrap()).unwrap();
        fs::rename(&copy, &world.path).unwrap();
    });
    is_noticed_by_the_next_write(|world| {
        fs::remove_file(world.directory().join("auth.db-shm")).unwrap();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn no_write_is_acknowledged_without_locks() {
    is_noticed_by_the_next_write(|world| drop(fs::File::open(&world.path).unwrap()));
    is_noticed_by_the_next_write(|world| {
        drop(fs::File::open(world.directory().join("auth.db-shm")).unwrap());
    });
}

#[test]
fn a_file_that_is_left_alone_stays_open() {
    let (world, token) = remembered();
    for _ in 0..3 {
        world.clock.advance(SECOND);
        assert!(world.store.verify(&token, &device("till")).unwrap().valid().is_ok());
    }
}

#[test]
fn a_file_that_was_deleted_is_noticed_by_verifies_alone() {
    closes_itself(|world| fs::remove_file(&world.path).unwrap());
}

#[test]
fn a_file_that_was_moved_away_is_noticed() {
    closes_itself(|world| fs::rename(&world.path, world.directory().join("gone.db")).unwrap());
}

#[test]
fn a_file_that_was_replaced_is_noticed() {
    closes_itself(|world| {
        let copy = world.directory().join("copy.db");
        fs::write(&copy, fs::read("/dev/null").unwrap()).unwrap();
        fs::rename(&copy, &world.path).unwrap();
    });
}

#[test]
fn a_wal_index_that_was_deleted_is_noticed() {
    closes_itself(|world| fs::remove_file(world.directory().join("auth.db-shm")).unwrap());
}

/// Closing any descriptor of a file drops all POSIX locks that the process holds on it.
#[test]
#[cfg(target_os = "linux")]
fn locks_that_a_stray_descriptor_took_along_are_noticed() {
    closes_itself(|world| drop(fs::File::open(&world.path).unwrap()));
    closes_itself(|world| {
        drop(fs::File::open(world.directory().join("auth.db-shm")).unwrap());
    });
}

/// The store's time stands still until the clock is again where it had been; the looks do not.
#[test]
fn what_happens_after_the_clock_was_set_back_is_noticed_as_well() {
    let (world, token) = remembered();
    world.clock.advance(HOUR);
    assert!(world.store.verify(&token, &device("till")).unwrap().valid().is_ok());
    world.clock.go_back(HOUR);
    assert!(world.store.verify(&token, &device("till")).unwrap().valid().is_ok());
    fs::remove_file(&world.path).unwrap();
    world.clock.advance(SECOND);
    let refused = world.store.verify(&token, &device("till")).unwrap_err();
    assert_eq!(refused.reason(), Reason::Closed);
}
