//! Uses of sessions that wait in memory until they are written.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gatepost::{DeviceId, NewUser, OpenSession, Secret, SessionPolicy, UserId};

use crate::world::{MINUTE, SECOND, World, device};

const IDLE: std::time::Duration = MINUTE;

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

fn world() -> (World, UserId) {
    let world = World::with(|options| options.sessions(SessionPolicy::server().idle(IDLE)));
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    (world, ada)
}

fn opened(world: &World, user: UserId, on: &str) -> (Secret, DeviceId) {
    let opened = world.store.sessions().open(OpenSession::new(user, device(on))).unwrap();
    (opened.granted().unwrap().session.token, device(on))
}

fn is_valid(world: &World, (token, device): &(Secret, DeviceId)) -> bool {
    world.store.verify(token.expose(), device).unwrap().valid().is_ok()
}
