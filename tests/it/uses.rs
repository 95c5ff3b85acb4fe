//! Uses of sessions that wait in memory until they are written.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use gatepost::host::Clock;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{DeviceId, NewUser, Secret, UserId};

use crate::world::{MINUTE, SECOND, World, device};

const IDLE: Duration = MINUTE;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Once it was: a flush took the uses out of memory before it knew whether it could write them, and
/// for that moment a session in daily use looked idle to everyone else.
#[test]
fn a_session_in_use_is_never_idle_while_its_uses_are_being_written() {
    const STEPS: usize = 300;
    const USERS: usize = 3;
    let (world, ada) = world();
    let till = opened(&world, ada, "till-1");
    let other = world.sql();
    let (begin, end) = (Barrier::new(USERS + 1), Barrier::new(USERS + 1));
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| {
                for _ in 0..STEPS {
                    begin.wait();
                    for _ in 0..3 {
                        refused.fetch_add(usize::from(!is_valid(&world, &till)), Ordering::SeqCst);
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

/// Before: each session wrote its use once in an interval, and a use that found the file busy
/// waited for the next interval, though the file was free again.
#[test]
fn a_use_that_found_the_file_busy_is_written_a_second_later_by_the_next_verify() {
    let (world, ada) = world();
    let till = opened(&world, ada, "till-1");
    let ben = world.store.users().create(NewUser::system("clockwork")).unwrap().id;
    let key = world.store.api_keys().issue(ben, NewApiKey::new()).unwrap().key;
    let last_seen = "SELECT last_seen FROM session";
    assert!(is_valid(&world, &till));
    world.clock.advance(IDLE / 10);
    let now = world.clock.now().as_millis();
    let other = world.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(is_valid(&world, &till));
    other.execute_batch("ROLLBACK").unwrap();
    world.clock.advance(SECOND - MILLISECOND);
    assert!(is_valid(&world, &till));
    assert!(world.count(last_seen) < now, "tried again at once");
    world.clock.advance(MILLISECOND);
    // It has no inactivity timeout itself.
    assert!(world.store.verify((&key, None)).unwrap().valid().is_ok());
    assert!(world.count(last_seen) >= now, "not tried again");
}

fn world() -> (World, UserId) {
    let world =
        World::with(|options| options.sessions(SessionPolicy::server().inactivity_timeout(IDLE)));
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    (world, ada)
}

fn opened(world: &World, user: UserId, on: &str) -> (Secret, DeviceId) {
    let opened = world.store.sessions().open(OpenSession::new(user, device(on))).unwrap();
    (opened.granted().unwrap().session.token, device(on))
}

fn is_valid(world: &World, (token, device): &(Secret, DeviceId)) -> bool {
    world.store.verify((token, device)).unwrap().valid().is_ok()
}
