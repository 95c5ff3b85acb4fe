//! Sessions that a watermark has revoked: no limit counts them, so they must not pile up.

use gatepost::policy::SessionPolicy;

use crate::world::{World, device};

fn number(world: &World, sql: &str) -> i64 {
    let file = rusqlite::Connection::open(&world.path).unwrap();
    file.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn each_login_deletes_32_revoked_sessions_of_its_user_without_a_change_row() {
    let policy = SessionPolicy::server().per_user(100);
    let world = World::with(|options| options.sessions(policy));
    let (ada, ben) = (world.person("ada").id, world.person("ben").id);
    for number in 0..70 {
        world.open(ada, &format!("till-{number}"));
    }
    world.open(ben, "his");
    world.store.sessions().revoke_all(ada).unwrap();
    let rows = || number(&world, "SELECT count(*) FROM session");
    let head = || number(&world, "SELECT seq FROM sqlite_sequence WHERE name = 'change'");
    assert_eq!(rows(), 71);
    let before = head();
    for left in [71 - 31, 71 - 62, 71 - 70 + 3] {
        let on = format!("new-{left}");
        let session = world.open(ada, &on);
        assert_eq!(rows(), left);
        assert!(world.passes(&session, &on));
    }
    assert_eq!(head(), before, "no verify has accepted them since the revocation");
    // A session that is current is not touched, and one of its own change row is deleted with it.
    let opened = world.open(ben, "hers");
    assert!(world.store.log_out((&opened.token, &device("hers"))).is_ok());
    assert_eq!(head(), before + 1);
}

/// A session of another place's watermark was cached: its deletion must reach the cache.
#[test]
fn a_session_that_a_branch_has_revoked_stays_revoked_after_it_is_deleted() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = gatepost::NewUser::person("ada").branch(york);
    let ada = world.store.users().create(new).unwrap().id;
    let old = world.open(ada, "till-1");
    assert!(world.passes(&old, "till-1"));
    world.store.sessions().revoke_all(york).unwrap();
    assert!(!world.passes(&old, "till-1"));
    world.open(ada, "till-2");
    assert_eq!(number(&world, "SELECT count(*) FROM session"), 1);
    assert!(!world.passes(&old, "till-1"));
}
