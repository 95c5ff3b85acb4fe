//! The session limit evicts the least recently used session.

use std::sync::Arc;

use gatepost::host::ManualClock;
use gatepost::{NewUser, Store, Timestamp};

use super::{millis, of_a_month, written};
use crate::child::{Child, Parent};
use crate::world::{DAY, HOUR, SECOND, World, device, for_tests, morning};

/// A session that was verified each hour was evicted on the ninth day, by a login a day elsewhere:
/// without an inactivity timeout no use was kept.
#[test]
fn the_session_in_use_is_not_evicted_in_favour_of_an_unused_one() {
    let world = of_a_month(10);
    let ada = world.person("ada").id;
    let office = world.open(ada, "office");
    for day in 0..20 {
        world.open(ada, &format!("elsewhere-{day}"));
        for _ in 0..24 {
            world.clock.advance(HOUR);
            assert!(world.passes(&office, "office"), "evicted on day {day}");
        }
    }
    assert_eq!(world.sessions_of(ada).len(), 10);
}

/// The login writes the waiting uses of its process before it looks for the least recently used.
#[test]
fn a_use_that_waits_counts_for_the_logins_of_its_process() {
    let world = of_a_month(2);
    let ada = world.person("ada").id;
    let [used, unused] = ["used", "unused"].map(|on| world.open(ada, on));
    world.clock.advance(30 * HOUR);
    assert!(world.passes(&used, "used"));
    assert_eq!(written(&world, &used), 0);
    world.open(ada, "third");
    assert!(world.passes(&used, "used") && !world.passes(&unused, "unused"));
}

/// Another process that verifies a session, and its words.
struct Verifier(Child, String);

impl Verifier {
    fn new(world: &World, token: &str, on: &str) -> Self {
        let path = world.path.to_str().unwrap();
        let mut child = Child::start("uses", &[path]);
        child.hear();
        Self(child, format!("{token} {on}"))
    }

    fn verifies(&mut self, world: &World) {
        let Self(child, words) = self;
        child.say(&format!("{} {words}", world.now().as_millis()));
        assert_eq!(child.hear(), "valid");
    }
}

#[test]
fn a_use_of_another_process_counts_once_it_has_reached_the_file() {
    let world = of_a_month(3);
    let ada = world.person("ada").id;
    let [one, two, three] = ["one", "two", "three"].map(|on| {
        world.clock.advance(SECOND);
        world.open(ada, on)
    });
    let mut verifier = Verifier::new(&world, one.token.expose(), "one");
    world.clock.advance(30 * HOUR);
    verifier.verifies(&world);
    assert_eq!(written(&world, &one), 0, "it waits there");
    // It reaches the file when that process ends.
    verifier.0.end();
    assert!(written(&world, &one) >= millis(30 * HOUR));
    world.open(ada, "four");
    assert!(world.passes(&one, "one") && !world.passes(&two, "two"));
    assert!(world.passes(&three, "three"));
}

#[test]
fn kill_9_loses_the_uses_of_two_steps_and_no_session() {
    let world = of_a_month(3);
    let session = world.open(world.person("ada").id, "one");
    let mut verifier = Verifier::new(&world, session.token.expose(), "one");
    for _ in 0..10 * 24 - 1 {
        world.clock.advance(HOUR);
        verifier.verifies(&world);
    }
    verifier.0.kill();
    let lost = millis(world.now().duration_since(morning())) - written(&world, &session);
    assert!((1..millis(60 * HOUR)).contains(&lost), "{lost} ms");
    assert!(world.passes(&session, "one"));
    world.store.users().create(NewUser::person("ben")).unwrap();
    assert!(written(&world, &session) >= millis(9 * DAY));
}

/// A process that verifies at the time, with the token and on the device of each line.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [path] = words else { panic!("{words:?}") };
    let clock = ManualClock::new(morning());
    let store = Store::open(path, for_tests().clock(Arc::new(clock.clone()))).unwrap();
    parent.say("open");
    while let Some(line) = parent.hear() {
        let [now, token, on] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        clock.set(Timestamp::from_millis(now.parse().unwrap()));
        let verdict = store.verify((token, &device(on))).unwrap();
        parent.say(if verdict.valid().is_ok() { "valid" } else { "refused" });
    }
}
