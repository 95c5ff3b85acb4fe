//! Events that leave no row in the change log: a call that finds nothing to change, a use, an
//! expiry. The list of operations says which rows each operation leaves.

use gatepost::directory::UserStatus;
use gatepost::sessions::NewApiKey;

use super::check;
use crate::world::{DAY, MINUTE, World};

#[test]
fn what_is_asked_for_and_is_so_already_leaves_no_row() {
    let world = World::new();
    let (organisations, branches) = (world.store.organisations(), world.store.branches());
    let (sessions, users) = (world.store.sessions(), world.store.users());
    let north = organisations.create("Northern").unwrap().id;
    let york = branches.create("York", north).unwrap().id;
    let ada = world.person("ada").id;
    check(&world, &[], || branches.move_to(york, north).unwrap());
    check(&world, &[], || organisations.set_active(north, true).unwrap());
    check(&world, &[], || branches.set_active(york, true).unwrap());
    check(&world, &[], || users.set_status(ada, UserStatus::Active).unwrap());
    check(&world, &[], || users.move_to(ada, None).unwrap());
    users.remove_password(ada).unwrap();
    check(&world, &[], || users.remove_password(ada).unwrap());
    users.set_privileges(ada, &["admin", "till"]).unwrap();
    check(&world, &[], || users.set_privileges(ada, &["till", "admin", "till"]).unwrap());
    let session = world.open(ada, "ada-1");
    check(&world, &[], || assert!(!world.passes(&session, "ada-2")));
    sessions.revoke_all(ada).unwrap();
    // Revoked already, with its row still in the file.
    check(&world, &[], || sessions.revoke(session.id).unwrap());
    check(&world, &[], || world.log_out(&session, "ada-1"));
}

#[test]
fn what_expires_leaves_no_row_and_is_swept_without_one() {
    let world = World::new();
    let eve = world.person("eve").id;
    let session = world.open(eve, "eve-1");
    let key = NewApiKey::new().expires_at(crate::world::morning() + DAY);
    world.store.api_keys().issue(eve, key).unwrap();
    world.clock.advance(2 * DAY);
    check(&world, &[], || assert!(!world.passes(&session, "eve-1")));
    world.believe_clock();
    let swept = check(&world, &[], || world.store.maintain().unwrap());
    assert!(swept.sessions > 0 && swept.api_keys == 1, "{swept:?}");
    // The refusals of a minute, counted in a row of the audit log.
    world.clock.advance(MINUTE);
    check(&world, &[], || assert!(!world.passes(&session, "eve-1")));
    check(&world, &[], || world.store.maintain().unwrap());
}

#[test]
fn touches_leave_no_row() {
    let policy = gatepost::policy::SessionPolicy::server().inactivity_timeout(10 * MINUTE);
    let world = World::with(|options| options.sessions(policy));
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    check(&world, &[], || {
        for _ in 0..20 {
            world.clock.advance(MINUTE);
            assert!(world.passes(&session, "till-1"));
        }
    });
    assert!(world.count("SELECT last_seen - opened_at FROM session") > 0, "written");
}
