//! Threads and processes that write at once share commits, and nothing else.

use std::collections::BTreeSet;
use std::thread;

use gatepost::{OrganisationId, Store};

use crate::child::{Child, Parent};
use crate::world::World;

const THREADS: usize = 64;

/// What each thread made, in the order in which it made it.
fn create(store: &Store, prefix: &str, threads: usize, each: usize) -> Vec<Vec<OrganisationId>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    (0..each)
                        .map(|turn| {
                            let name = format!("{prefix} {thread} {turn}");
                            let made = store.organisations().create(&name).unwrap();
                            assert_eq!(made.name, name);
                            // What was acknowledged is there.
                            let found = store.organisations().find(made.id).unwrap();
                            assert_eq!(found.unwrap().name, name);
                            made.id
                        })
                        .collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Writes from eight threads when the parent says so.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let store = Store::open(&words[0], crate::world::for_tests()).unwrap();
    parent.say(&format!("pid {}", std::process::id()));
    parent.hear();
    create(&store, &words[1], 8, 10);
    parent.say("done");
    parent.hear();
}

#[test]
fn sixty_four_threads_need_fewer_commits_than_they_write() {
    let world = World::new();
    let before = world.store.status();
    let made = create(&world.store, "group", THREADS, 4);
    let after = world.store.status();
    let (writes, commits) = (after.writes - before.writes, after.commits - before.commits);
    assert_eq!(writes, 256);
    assert!(commits * 2 < writes, "{commits} commits for {writes} writes");
    let all: BTreeSet<_> = made.iter().flatten().collect();
    assert_eq!(all.len(), 256);
    assert_eq!(world.count("SELECT count(*) FROM organisation"), 256);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

/// A thread has the answer to its first write before its second: in that order they are in the log.
#[test]
fn what_one_thread_writes_keeps_its_order() {
    let world = World::new();
    let made = create(&world.store, "order", 16, 4);
    let connection = world.sql();
    let sql = "SELECT seq FROM audit WHERE organisation_id = ?1";
    for thread in made {
        let places: Vec<i64> = thread
            .iter()
            .map(|id| {
                connection.query_row(sql, [id.as_uuid().as_bytes()], |row| row.get(0)).unwrap()
            })
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

#[test]
fn processes_that_write_as_fast_as_they_can_all_get_their_turn() {
    let world = World::new();
    let path = world.path.to_str().unwrap();
    let mut others: Vec<_> =
        ["east", "west"].map(|name| Child::start("group", &[path, name])).into();
    let pids: BTreeSet<_> = others.iter_mut().map(Child::hear).collect();
    assert_eq!(pids.len(), 2);
    for other in &mut others {
        other.say("go");
    }
    create(&world.store, "here", 8, 10);
    for mut other in others {
        assert_eq!(other.hear(), "done");
        other.say("end");
        other.end();
    }
    assert_eq!(world.count("SELECT count(*) FROM organisation"), 240);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}
