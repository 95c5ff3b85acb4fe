//! The last uses of sessions: which are kept, who writes them, and when.

mod late;
mod limit;
mod order;

pub(crate) use limit::role;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use gatepost::OpenedSession;
use gatepost::policy::SessionPolicy;
use rusqlite::Connection;

use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

const IDLE: Duration = MINUTE;
/// Of a session that lives for 24 h and has no inactivity timeout.
const STEP: Duration = HOUR;

/// Once it was: a flush took the uses out of memory before it knew whether it could write them, and
/// for that moment a session in daily use looked idle to everyone else.
#[test]
fn a_session_in_use_is_never_idle_while_its_uses_are_being_written() {
    const STEPS: usize = 300;
    const USERS: usize = 3;
    let world = World::with(|o| o.sessions(SessionPolicy::server().inactivity_timeout(IDLE)));
    let till = world.open(world.person("ada").id, "till-1");
    let other = world.sql();
    let (begin, end) = (Barrier::new(USERS + 1), Barrier::new(USERS + 1));
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| {
                for _ in 0..STEPS {
                    begin.wait();
                    for _ in 0..3 {
                        refused.fetch_add(
                            usize::from(!world.passes(&till, "till-1")),
                            Ordering::SeqCst,
                        );
                    }
                    end.wait();
                }
            });
        }
        for step in 0..STEPS {
            // Three steps in which nothing can be written, then one in which it can.
            match step % 4 {
                0 => other.execute_batch("BEGIN IMMEDIATE").unwrap(),
                3 => other.execute_batch("ROLLBACK").unwrap(),
                _ => {}
            }
            world.clock.advance(IDLE - SECOND);
            begin.wait();
            end.wait();
        }
    });
    assert_eq!(refused.into_inner(), 0, "times of {}", STEPS * USERS * 3);
}

/// A store without an inactivity timeout, and a session of 24 h.
fn world() -> (World, OpenedSession) {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    (world, session)
}

/// A store whose sessions live for 30 days, so that a step is 30 hours.
fn of_a_month(per_user: u32) -> World {
    let policy = SessionPolicy::server().per_user(per_user).lifetime(30 * DAY);
    World::with(|options| options.sessions(policy.max_lifetime(30 * DAY)))
}

/// The last use of a session in the file, in milliseconds since it was opened.
fn written(world: &World, session: &OpenedSession) -> i64 {
    let sql = "SELECT last_seen - opened_at FROM session WHERE lower(hex(id)) = ?1";
    let id = session.id.to_string().replace('-', "");
    world.sql().query_row(sql, [id], |row| row.get(0)).unwrap()
}

/// A connection that sees the commits of others.
struct Commits(Connection);

impl Commits {
    fn of(world: &World) -> Self {
        Self(world.sql())
    }

    fn version(&self) -> i64 {
        self.0.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    }

    /// How many of the calls committed something.
    fn during(&self, times: usize, mut call: impl FnMut()) -> usize {
        let mut before = self.version();
        let commits = (0..times).filter(|_| {
            call();
            let now = self.version();
            std::mem::replace(&mut before, now) != now
        });
        commits.count()
    }
}

const fn millis(span: Duration) -> i64 {
    span.as_millis() as i64
}
