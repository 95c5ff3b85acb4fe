//! The sweep: expired rows are deleted, without a change row; live ones stay.

mod bytes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::status::MaintenanceReport;
use gatepost::testing::open_many;
use gatepost::{ErrorKind, Options};

use crate::world::{DAY, HOUR, PASSWORD, World, device};

#[test]
fn the_sweep_removes_what_expired_and_writes_no_change_row() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.open(ada, "till-1");
    let long = OpenSession::new(ada, device("till-2")).expires_at(world.now() + 2 * DAY);
    let long = world.store.sessions().open(long).unwrap().granted().unwrap().session;
    let key = NewApiKey::new().expires_at(world.now() + HOUR);
    world.store.api_keys().issue(ada, key).unwrap();
    assert_eq!(
        world.leaves(&[], 0, |store| store.maintain()).unwrap(),
        MaintenanceReport::default()
    );
    world.clock.advance(DAY - Duration::from_millis(1));
    world.believe_clock();
    let swept = world.leaves(&[EventKind::StoreMaintained], 0, |store| store.maintain()).unwrap();
    assert_eq!((swept.sessions, swept.api_keys), (0, 1));
    world.clock.advance(Duration::from_millis(1));
    world.believe_clock();
    let swept = world.leaves(&[EventKind::StoreMaintained], 0, |store| store.maintain()).unwrap();
    assert_eq!((swept.sessions, swept.api_keys), (1, 0));
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);
    assert!(world.passes(&long, "till-2"));
}

#[test]
fn every_login_sweeps_at_most_thirty_two_expired_sessions() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    open_many(&world.store, bob, 40).unwrap();
    world.clock.advance(DAY);
    world.believe_clock();
    let rows = || world.count("SELECT count(*) FROM session");
    assert_eq!(rows(), 40);
    world
        .leaves(&[EventKind::LoginGranted], 0, |_| world.log_in("ada", PASSWORD, "till-1"))
        .unwrap();
    assert_eq!(rows(), 40 - 32 + 1);
    world.leaves(&[EventKind::SessionOpened], 0, |_| world.open(ada, "till-2"));
    assert_eq!(rows(), 2);
}

#[test]
fn a_refused_login_sweeps_nothing() {
    let world = World::new();
    world.open(world.person("ada").id, "till-1");
    world.clock.advance(DAY);
    world.believe_clock();
    world.log_in("ada", "wrong horse battery", "till-2").unwrap_err();
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);
}

#[test]
fn upkeep_sweeps_everything_in_batches() {
    let world = World::new();
    open_many(&world.store, world.person("ada").id, 1_000).unwrap();
    world.clock.advance(DAY);
    world.believe_clock();
    let swept = world.leaves(&[EventKind::StoreMaintained], 0, |store| store.maintain()).unwrap();
    assert_eq!(swept.sessions, 1_000);
    assert_eq!(world.last_event().count, Some(1_000));
}

#[test]
fn upkeep_says_how_much_of_each_kind_it_removed_and_its_event_how_much_in_all() {
    let world = World::with(|options| {
        options.audit_max_age(30 * DAY).audit_max_rows(1_000).api_keys_per_user(3)
    });
    let ada = world.person("ada").id;
    open_many(&world.store, ada, 5).unwrap();
    for _ in 0..3 {
        let key = NewApiKey::new().expires_at(world.now() + HOUR);
        world.store.api_keys().issue(ada, key).unwrap();
    }
    let rows = world.count("SELECT count(*) FROM audit");
    world.clock.advance(30 * DAY + HOUR);
    world.believe_clock();
    let swept = world.store.maintain().unwrap();
    assert_eq!((swept.sessions, swept.api_keys), (5, 3));
    assert_eq!(i64::try_from(swept.audit_rows), Ok(rows));
    assert_eq!(world.last_event().count, Some(5 + 3 + rows));
}

#[test]
fn an_idle_session_ends_on_its_own_and_is_swept_when_it_expires() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let world = World::with(|options: Options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    world.clock.advance(HOUR);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().sessions, 0);
    assert!(!world.passes(&session, "till-1"));
    world.clock.advance(DAY - HOUR);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().sessions, 1);
}

#[test]
fn the_audit_log_is_trimmed_by_age_and_its_chain_holds() {
    let world = World::with(|options| options.audit_max_age(30 * DAY).audit_max_rows(1_000));
    world.person("ada");
    world.clock.advance(30 * DAY + HOUR);
    world.believe_clock();
    let swept = world.store.maintain().unwrap();
    assert_eq!(swept.audit_rows, 2);
    world.person("bob");
    let created = world.log_of(EventKind::UserCreated);
    assert_eq!(created.len(), 1);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn a_closed_store_does_nothing_more_and_says_so() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    world.store.close().unwrap();
    let closed = [
        world.store.maintain().unwrap_err(),
        world.store.users().create(gatepost::NewUser::person("bob")).unwrap_err(),
        world.store.log_out((&session.token, &device("till-1"))).unwrap_err(),
        world.store.users().find_by_username("ada").unwrap_err(),
    ];
    for error in closed {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

/// Rows go in small pieces, and no other writer waits for all of them.
#[test]
fn maintenance_sweeps_everything_while_others_open_sessions() {
    let world = World::new();
    let (ada, bob) = (world.person("ada").id, world.person("bob").id);
    open_many(&world.store, ada, 200).unwrap();
    world.clock.advance(DAY);
    world.believe_clock();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                world.open(bob, "till-1");
            }
        });
        let swept = world.store.maintain().unwrap().sessions;
        over.store(true, Ordering::Release);
        assert!((1..=200).contains(&swept), "{swept}");
    });
    world.open(bob, "till-1");
    assert_eq!(world.store.maintain().unwrap().sessions, 0);
    assert_eq!(world.count("SELECT count(*) FROM session"), 1);
}

/// A program that blocks and unblocks users, and never logs anyone in or calls `maintain`.
#[test]
fn each_write_trims_the_change_log_a_little() {
    let world = World::new();
    let ada = world.person("ada").id;
    let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10100)
         INSERT INTO change (kind) SELECT 0 FROM n";
    world.sql().execute(more, []).unwrap();
    let rows = || world.count("SELECT count(*) FROM change");
    let before = rows();
    assert!(before > 10_050);
    for _ in 0..10 {
        world.store.users().set_status(ada, UserStatus::Disabled).unwrap();
        world.store.users().set_status(ada, UserStatus::Active).unwrap();
    }
    assert!(rows() < before - 40, "{} rows of {before}", rows());
    for _ in 0..200 {
        world.store.users().set_status(ada, UserStatus::Disabled).unwrap();
        world.store.users().set_status(ada, UserStatus::Active).unwrap();
    }
    let left = rows() - 10_000;
    assert!((0..64 + 4).contains(&left), "{left} more than a process that is behind may need");
}
