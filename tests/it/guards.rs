//! A store whose file is no longer what it opened closes itself: at the next write, or within a
//! second of verifies.

mod junk;
pub(crate) mod only_verifies;

use std::fs;

use gatepost::host::ManualClock;
use gatepost::sessions::OpenSession;
use gatepost::{ErrorKind, NewUser, Permission};

use crate::world::{HOUR, Meanwhile, SECOND, World, device, morning};

/// An id that nothing has.
const UNKNOWN: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

/// A world with a cached session, and its token.
fn remembered() -> (World, String) {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let open = OpenSession::new(ada.id, device("till"));
    let reply = world.store.sessions().open(open).unwrap().granted().unwrap();
    let token = reply.session.token.expose().to_owned();
    for _ in 0..2 {
        assert!(world.store.verify((&token, &device("till"))).unwrap().valid().is_ok());
    }
    (world, token)
}

#[track_caller]
fn closes_itself(break_it: impl FnOnce(&World)) {
    let (world, token) = remembered();
    break_it(&world);
    world.clock.advance(SECOND);
    for _ in 0..2 {
        let refused = world.store.verify((&token, &device("till"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        let nonsense = world.store.verify(("nonsense", &device("till"))).unwrap_err();
        assert_eq!(nonsense.kind(), ErrorKind::Closed);
        let refused = world.store.organisations().create("Northern").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        // Nor does a call answer that only reads, or that finds nothing to do.
        let read = world.store.users().find(UNKNOWN.parse().unwrap()).map(drop);
        let nothing = world.store.sessions().revoke(UNKNOWN.parse().unwrap()).map(drop);
        for refused in [read, nothing] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}

/// The clock does not move: no verify has checked since.
#[track_caller]
fn is_noticed_by_the_next_write(break_it: impl FnOnce(&World)) {
    let (world, token) = remembered();
    break_it(&world);
    let refused = world.store.organisations().create("Northern").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
    let refused = world.store.verify((&token, &device("till"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
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
        assert!(world.store.verify((&token, &device("till"))).unwrap().valid().is_ok());
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

#[test]
fn a_file_that_was_deleted_is_noticed_by_verifies_without_a_cache() {
    let world = World::with(|options| options.cache(None));
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    let session = world.open(ada.id, "till");
    assert!(world.passes(&session, "till"));
    fs::remove_file(&world.path).unwrap();
    world.clock.advance(SECOND);
    let refused = world.store.verify((&session.token, &device("till"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}

#[test]
fn a_file_that_was_deleted_is_noticed_by_questions_for_a_privilege_alone() {
    let (world, token) = remembered();
    let principal = world.store.verify((&token, &device("till"))).unwrap().valid().unwrap();
    assert_eq!(world.store.may(&principal, "admin").unwrap(), Permission::Denied);
    fs::remove_file(&world.path).unwrap();
    world.clock.advance(SECOND);
    for _ in 0..2 {
        let refused = world.store.may(&principal, "admin").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed);
    }
}

/// The clock is read after the cache or the file was.
#[test]
fn a_call_during_which_the_store_is_closed_fails() {
    for cached in [true, false] {
        let (meanwhile, clock) = (Meanwhile::default(), ManualClock::new(morning()));
        let world = World::with(|options| {
            let options = options.clock(meanwhile.clock(&clock));
            if cached { options } else { options.cache(None) }
        });
        let session = world.open(world.person("ada").id, "till");
        assert!(world.passes(&session, "till") && world.passes(&session, "till"));
        let store = world.store.clone();
        meanwhile.happens(move || store.close().unwrap());
        let refused = world.store.verify((&session.token, &device("till"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Closed, "cached: {cached}");
    }
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

/// The store's time stops for a minute; the checks go on.
#[test]
fn what_happens_after_the_clock_was_set_back_is_noticed_as_well() {
    let (world, token) = remembered();
    world.clock.advance(HOUR);
    assert!(world.store.verify((&token, &device("till"))).unwrap().valid().is_ok());
    world.clock.go_back(HOUR);
    assert!(world.store.verify((&token, &device("till"))).unwrap().valid().is_ok());
    fs::remove_file(&world.path).unwrap();
    world.clock.advance(SECOND);
    let refused = world.store.verify((&token, &device("till"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}
