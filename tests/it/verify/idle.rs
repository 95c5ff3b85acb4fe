//! Inactivity timeouts: which uses are written, and when.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{OpenedSession, Password};
use rusqlite::Connection;

use crate::world::{HOUR, MINUTE, SECOND, World, device, morning};

/// Counts commits of others: what a verify wrote.
struct Watch(Connection);

impl Watch {
    fn on(world: &World) -> Self {
        Self(world.sql())
    }

    fn version(&self) -> i64 {
        self.0.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    }

    /// How many of the calls committed something.
    fn commits(&self, times: u32, mut call: impl FnMut()) -> u32 {
        let mut before = self.version();
        (0..times)
            .filter(|_| {
                call();
                let now = self.version();
                std::mem::replace(&mut before, now) != now
            })
            .count()
            .try_into()
            .unwrap()
    }
}

fn with(idle: Duration) -> (World, OpenedSession) {
    let policy = SessionPolicy::server().inactivity_timeout(idle);
    let world = World::with(|options| options.sessions(policy));
    let session = world.open(world.person("ada").id, "till-1");
    (world, session)
}

/// A connection that has the write lock: no verify can write its use.
fn busy(world: &World) -> Connection {
    let other = world.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn with_an_idle_limit_one_batch_is_written_an_interval_and_no_event() {
    let (world, session) = with(HOUR);
    let watch = Watch::on(&world);
    let commits = watch.commits(600, || {
        world.clock.advance(SECOND);
        assert!(world.passes(&session, "till-1"));
    });
    assert!((9..=10).contains(&commits), "ten minutes of use, a minute each: {commits}");
    let info = world.store.sessions().find(session.id).unwrap().unwrap();
    assert!(info.last_seen_at > morning() + 8 * MINUTE);
    assert_eq!(world.last_event().event, EventKind::SessionOpened.name());
    assert_eq!(world.head(), world.count("SELECT opened_seq FROM session"));
}

#[test]
fn a_short_idle_limit_is_written_every_tenth_of_it() {
    let (world, session) = with(10 * SECOND);
    let commits = Watch::on(&world).commits(100, || {
        world.clock.advance(SECOND / 10);
        assert!(world.passes(&session, "till-1"));
    });
    assert!((9..=10).contains(&commits), "{commits}");
}

#[test]
fn one_use_within_every_limit_keeps_a_session_alive() {
    let (world, session) = with(HOUR);
    for _ in 0..20 {
        world.clock.advance(59 * MINUTE);
        assert!(world.passes(&session, "till-1"));
    }
}

#[test]
fn a_use_counts_before_it_is_written_and_is_written_at_the_latest_when_the_store_closes() {
    let (mut world, session) = with(HOUR);
    let other = busy(&world);
    world.clock.advance(MINUTE);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(world.count("SELECT last_seen FROM session"), morning().as_millis());
    world.reopen();
    let info = world.store.sessions().find(session.id).unwrap().unwrap();
    assert_eq!(info.last_seen_at, morning() + MINUTE);
    world.clock.set(morning() + HOUR);
    assert!(world.passes(&session, "till-1"));
}

/// The file may be busy for longer than the inactivity timeout: a use that was noted over another
/// must not find the session dead when it is written at last.
#[test]
fn a_busy_file_changes_no_answer_and_loses_no_use() {
    let (world, session) = with(HOUR);
    let other = busy(&world);
    for _ in 0..4 {
        world.clock.advance(59 * MINUTE);
        assert!(world.passes(&session, "till-1"));
    }
    let seen = || world.count("SELECT last_seen FROM session");
    assert_eq!(seen(), morning().as_millis());
    other.execute_batch("COMMIT").unwrap();
    world.clock.advance(MINUTE);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(seen(), world.now().as_millis());
    assert_eq!(world.sessions_of(world.user_of("ada")).len(), 1);
}

#[test]
fn upkeep_writes_what_waits() {
    let (world, session) = with(HOUR);
    let other = busy(&world);
    world.clock.advance(MINUTE);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("ROLLBACK").unwrap();
    world.store.maintain().unwrap();
    assert_eq!(world.count("SELECT last_seen FROM session"), world.now().as_millis());
}

#[test]
fn the_last_use_never_falls() {
    let (mut world, session) = with(HOUR);
    let seen =
        |world: &World| world.store.sessions().find(session.id).unwrap().unwrap().last_seen_at;
    world.clock.advance(10 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    world.store.maintain().unwrap();
    assert_eq!(seen(&world), morning() + 10 * MINUTE);
    world.clock.go_back(30 * SECOND);
    world.reopen();
    assert!(world.passes(&session, "till-1"));
    world.store.maintain().unwrap();
    assert_eq!(seen(&world), morning() + 10 * MINUTE);
}

#[test]
fn a_refused_verify_is_no_use() {
    let (world, session) = with(HOUR);
    world.clock.advance(59 * MINUTE);
    assert!(!world.passes(&session, "till-2"));
    world.clock.advance(MINUTE);
    assert!(!world.passes(&session, "till-1"));
}

/// Memory took it as one and the file did not: what made memory forget ended the session early.
#[test]
fn a_refused_change_of_the_password_is_a_use_with_and_without_the_cache() {
    let (world, session) = with(HOUR);
    let ada = world.store.sessions().find(session.id).unwrap().unwrap().user;
    world.clock.advance(50 * MINUTE);
    let [wrong, new] = ["no password", "nine brass bells"].map(Password::from);
    let (token, till) = (session.token.expose(), device("till-1"));
    let change = world.store.change_password((token, &till), wrong, new).unwrap();
    assert!(change.granted().is_err());
    world.clock.advance(50 * MINUTE);
    world.store.users().set_privileges(ada, &["admin"]).unwrap();
    assert!(world.passes(&session, "till-1"));
}

#[test]
fn a_late_write_of_a_use_brings_nothing_back() {
    let (world, session) = with(HOUR);
    let other = busy(&world);
    world.clock.advance(MINUTE);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("ROLLBACK").unwrap();
    let _ = world.log_out(&session, "till-1");
    world.store.maintain().unwrap();
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
}

/// An end of many leaves their rows where they are: a use that is written later must not touch them
/// either, nor one that has expired.
#[test]
fn a_late_write_of_a_use_touches_nothing_that_has_ended() {
    let (world, session) = with(HOUR);
    let ada = world.user_of("ada");
    let seen = || world.count("SELECT last_seen FROM session");
    let other = busy(&world);
    world.clock.advance(MINUTE);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("ROLLBACK").unwrap();
    world.store.sessions().revoke_all(ada).unwrap();
    world.store.maintain().unwrap();
    assert_eq!(seen(), morning().as_millis());
    assert!(!world.passes(&session, "till-1"));

    let end = world.now() + HOUR / 2;
    let open = OpenSession::new(ada, device("till-1")).expires_at(end);
    let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
    world.clock.set(end - SECOND);
    let other = busy(&world);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("ROLLBACK").unwrap();
    let before = seen();
    // As if the use had been noted by a clock that was a second ahead.
    world.sql().execute("UPDATE session SET expires_at = expires_at - 1000", []).unwrap();
    world.store.maintain().unwrap();
    assert!(world.count("SELECT count(*) FROM session") == 0 || seen() == before);
    assert!(!world.passes(&session, "till-1"));
}

/// A store that saves a whole session it once read brings it back (CVE-2025-46336).
#[test]
fn a_use_that_was_written_before_brings_nothing_back_either() {
    let (world, session) = with(HOUR);
    world.clock.advance(2 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(world.count("SELECT last_seen FROM session"), world.now().as_millis());
    // The next use has to wait in memory, as another connection writes.
    let other = busy(&world);
    world.clock.advance(2 * MINUTE);
    assert!(world.passes(&session, "till-1"));
    other.execute_batch("COMMIT").unwrap();
    let _ = world.log_out(&session, "till-1");
    world.store.maintain().unwrap();
    assert!(!world.passes(&session, "till-1"));
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
}

#[test]
fn an_idle_limit_belongs_to_the_session_it_was_opened_with() {
    let (mut world, session) = with(HOUR);
    world.options = world.options.clone().sessions(SessionPolicy::server());
    world.reopen();
    world.clock.advance(HOUR);
    assert!(!world.passes(&session, "till-1"));
}
