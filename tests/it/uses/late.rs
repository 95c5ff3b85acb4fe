//! What a verify may do to write a use, and what it leaves to others.

use std::time::{Duration, Instant};

use gatepost::policy::SessionPolicy;
use gatepost::{NewUser, OpenedSession};

use super::{Commits, STEP, millis, world, written};
use crate::world::{DAY, HOUR, MINUTE, SECOND, World, morning};

/// Tries again after a tenth of a step, at most a minute.
const RETRY: Duration = MINUTE;

/// A session whose use is two steps behind in the file when it is verified next.
fn late() -> (World, OpenedSession) {
    let (world, session) = world();
    world.clock.advance(STEP);
    assert!(world.passes(&session, "till-1"));
    world.clock.advance(STEP);
    assert_eq!(written(&world, &session), 0);
    (world, session)
}

/// Once, a use that had found the file busy waited for a whole interval.
#[test]
#[expect(clippy::disallowed_methods, reason = "a write would wait for 5 s on the wall")]
fn a_verify_waits_for_no_writer_and_tries_again_later() {
    let (world, session) = late();
    let other = world.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    assert!(world.passes(&session, "till-1"));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(written(&world, &session), 0);
    world.clock.advance(RETRY);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), millis(2 * STEP));
}

/// The first commit after a complete checkpoint flushes the header of the log.
#[test]
fn a_verify_leaves_the_use_to_others_where_it_would_have_to_flush() {
    for how in ["PASSIVE", "RESTART", "TRUNCATE"] {
        let (world, session) = late();
        let checkpoint = format!("PRAGMA wal_checkpoint({how})");
        let left = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        assert_eq!(world.sql().query_row(&checkpoint, [], left).unwrap(), 0);
        let commits = Commits::of(&world);
        let verifies = commits.during(3, || {
            assert!(world.passes(&session, "till-1"));
            world.clock.advance(RETRY);
        });
        assert_eq!((verifies, written(&world, &session)), (0, 0), "{how}");
        // A write that may flush begins the log again.
        world.store.users().create(NewUser::person("ben")).unwrap();
        assert!(written(&world, &session) > 0, "{how}: not taken along");
        world.clock.advance(2 * STEP);
        assert!(world.passes(&session, "till-1"));
        let now = millis(world.now().duration_since(morning()));
        assert_eq!(written(&world, &session), now, "{how}");
    }
}

/// Without this the log of a program that only verifies would grow for ever.
#[test]
fn a_verify_leaves_the_use_to_others_while_the_log_is_long() {
    let (world, session) = late();
    let reader = world.sql();
    reader.execute_batch("BEGIN; SELECT count(*) FROM store").unwrap();
    let text = "x".repeat(4_000);
    let sql = world.sql();
    sql.execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE other (a)").unwrap();
    let insert = format!("INSERT INTO other VALUES ('{text}');").repeat(500);
    while world.store.status().log_bytes <= 9 * 1_024 * 1_024 {
        sql.execute_batch(&format!("BEGIN; {insert} COMMIT")).unwrap();
    }
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), 0);
    reader.execute_batch("ROLLBACK").unwrap();
    world.store.users().create(NewUser::person("carl")).unwrap();
    assert_eq!(written(&world, &session), millis(2 * STEP));
}

/// A store that is opened may have the uses of long ago in its file.
#[test]
fn a_session_that_was_not_used_for_long_is_written_by_its_next_verify() {
    let (world, session) = world();
    world.clock.advance(2 * STEP - SECOND);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), 0);
    let (world, session) = super::world();
    world.clock.advance(2 * STEP);
    assert!(world.passes(&session, "till-1"));
    assert_eq!(written(&world, &session), millis(2 * STEP));
}

/// The clock was two days ahead for a moment, and was corrected.
#[test]
fn a_use_from_a_clock_that_was_ahead_neither_blocks_nor_hides_later_ones() {
    let policy = SessionPolicy::server().lifetime(30 * DAY).max_lifetime(30 * DAY);
    for timeout in [None, Some(7 * DAY)] {
        let policy = policy.inactivity_timeout(timeout);
        let world = World::with(|options| options.sessions(policy));
        let session = world.open(world.person("ada").id, "till-1");
        let other = world.sql();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        world.clock.advance(2 * DAY);
        assert!(world.passes(&session, "till-1"));
        world.clock.set(morning() + MINUTE);
        assert!(world.passes(&session, "till-1"), "the clock goes back only after a minute");
        other.execute_batch("ROLLBACK").unwrap();
        world.clock.advance(MINUTE);
        assert!(world.passes(&session, "till-1"), "{timeout:?}");
        world.store.maintain().unwrap();
        assert!(written(&world, &session) <= millis(2 * MINUTE), "{timeout:?}: of the future");
        for _ in 0..40 {
            world.clock.advance(HOUR);
            assert!(world.passes(&session, "till-1"));
        }
        world.store.maintain().unwrap();
        assert!(written(&world, &session) >= millis(29 * HOUR), "{timeout:?}: not kept");
        assert!(written(&world, &session) <= millis(41 * HOUR), "{timeout:?}");
    }
}

/// In a file that another process wrote with a clock ahead: without an inactivity timeout nothing
/// but the order of the sessions depends on the last use.
#[test]
fn a_last_use_in_the_future_refuses_no_session_without_a_timeout() {
    let (world, session) = world();
    let ahead = (morning() + DAY).as_millis();
    world.sql().execute("UPDATE session SET last_seen = ?1", [ahead]).unwrap();
    for _ in 0..3 {
        assert!(world.passes(&session, "till-1"));
        world.clock.advance(STEP);
    }
    assert_eq!(world.sessions_of(world.user_of("ada")).len(), 1);
}
