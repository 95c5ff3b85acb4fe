//! The lifecycle of users.

use gatepost::audit::EventKind;
use gatepost::directory::{UserFilter, UserStatus};
use gatepost::{BranchId, ErrorKind, NewUser, Password, UserId};

use crate::world::{PASSWORD, World};

/// The user's watermarks for sessions, keys and tokens.
fn watermarks(world: &World, id: UserId) -> [i64; 3] {
    let sql =
        "SELECT sessions_ended_seq, keys_ended_seq, tokens_ended_seq FROM user WHERE id = ?1";
    world
        .sql()
        .query_row(sql, [id.as_uuid().as_bytes()], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })
        .unwrap()
}

fn ada(world: &World) -> UserId {
    world.store.users().create(NewUser::person("ada")).unwrap().id
}

#[track_caller]
fn check_suspended(status: UserStatus, event: EventKind) {
    let world = World::new();
    let ada = ada(&world);
    let user = world.leaves(&[event], 1, |store| store.users().set_status(ada, status)).unwrap();
    assert_eq!(user.status, status);
    assert_eq!(world.store.users().find(ada).unwrap(), Some(user));
    let ended = [world.head(), 0, world.head()];
    assert_eq!(watermarks(&world, ada), ended);
    world.leaves(&[], 0, |store| store.users().set_status(ada, status)).unwrap();
    world
        .leaves(&[EventKind::UserActivated], 1, |store| {
            store.users().set_status(ada, UserStatus::Active)
        })
        .unwrap();
    assert_eq!(watermarks(&world, ada), ended);
}

#[test]
fn any_status_but_active_ends_sessions_and_tokens_and_they_do_not_come_back() {
    check_suspended(UserStatus::Pending, EventKind::UserMadePending);
    check_suspended(UserStatus::Locked, EventKind::UserLocked);
    check_suspended(UserStatus::Disabled, EventKind::UserDisabled);
}

#[test]
fn a_deleted_user_loses_everything_that_proves_who_it_is() {
    let world = World::new();
    let ada = ada(&world);
    world.leaves(&[EventKind::UserDeleted], 1, |store| store.users().delete(ada)).unwrap();
    assert_eq!(watermarks(&world, ada), [world.head(); 3]);
    assert_eq!(world.store.users().find(ada).unwrap(), None);
    assert_eq!(world.store.users().find_by_username("ada").unwrap(), None);
    world.refuses(ErrorKind::NotFound, |store| store.users().delete(ada));
}

#[test]
fn a_deleted_name_can_be_taken_again() {
    let world = World::new();
    let first = ada(&world);
    world.store.users().delete(first).unwrap();
    let second = world.store.users().create(NewUser::person("ADA")).unwrap().id;
    assert_ne!(first, second);
    world.refuses(ErrorKind::Taken, |store| store.users().restore(first));
    world.store.users().rename(second, "bob").unwrap();
    world.store.users().restore(first).unwrap();
}

#[test]
fn a_restored_user_is_as_it_was_and_nothing_that_ended_returns() {
    let world = World::new();
    let users = world.store.users();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = NewUser::person("ada").branch(york).privilege("admin");
    let new = new.password(Password::from(PASSWORD)).must_change_password();
    let before = users.create(new).unwrap();
    users.delete(before.id).unwrap();
    let deleted = users.list(&UserFilter::new().deleted(), Default::default()).unwrap();
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].deleted_at.is_some());
    assert_eq!(deleted[0].branch, None);
    let ended = watermarks(&world, before.id);
    let restored = world
        .leaves(&[EventKind::UserRestored], 1, |store| store.users().restore(before.id))
        .unwrap();
    assert_eq!(restored, before);
    assert_eq!(watermarks(&world, before.id), ended);
    world.refuses(ErrorKind::NotFound, |store| store.users().restore(before.id));
}

#[test]
fn a_user_whose_branch_is_gone_is_not_restored() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let ada = world.store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
    world.store.users().delete(ada).unwrap();
    world.store.branches().delete(york).unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().restore(ada));
}

#[test]
fn a_branch_that_cannot_be_read_is_not_said_to_be_gone() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let ada = world.store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
    world.store.users().delete(ada).unwrap();
    world.sql().execute("UPDATE branch SET name = CAST(x'ff' AS TEXT)", []).unwrap();
    world.refuses(ErrorKind::Corrupt, |store| store.users().restore(ada));
}

#[test]
fn where_the_address_logs_in_a_restore_needs_it_free() {
    let world = World::with(|options| options.login_by_email(true));
    let users = world.store.users();
    let ada = users.create(NewUser::person("ada").email("a@example.com")).unwrap().id;
    users.delete(ada).unwrap();
    let bob = users.create(NewUser::person("bob").email("A@example.com")).unwrap().id;
    world.refuses(ErrorKind::Taken, |store| store.users().restore(ada));
    users.set_email(bob, None).unwrap();
    users.restore(ada).unwrap();
}

#[test]
fn a_move_ends_nothing() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let ada = ada(&world);
    let to = |branch: Option<BranchId>, events: &[EventKind], changes| {
        world.leaves(events, changes, |store| store.users().move_to(ada, branch)).unwrap()
    };
    assert_eq!(to(Some(york), &[EventKind::UserMoved], 1).branch, Some(york));
    to(Some(york), &[], 0);
    assert_eq!(to(None, &[EventKind::UserMoved], 1).branch, None);
    assert_eq!(watermarks(&world, ada), [0; 3]);
}

#[test]
fn what_ended_in_the_old_place_stays_ended_in_the_new_one() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let ada = world.store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
    world.store.organisations().set_active(northern, false).unwrap();
    let organisation_ended = world.head();
    world.store.organisations().set_active(northern, true).unwrap();
    world.store.users().move_to(ada, None).unwrap();
    assert_eq!(watermarks(&world, ada), [organisation_ended, 0, organisation_ended]);
    world.store.users().move_to(ada, york).unwrap();
    world.store.branches().set_active(york, false).unwrap();
    let branch_ended = world.head();
    world.store.users().move_to(ada, None).unwrap();
    assert_eq!(watermarks(&world, ada), [branch_ended, 0, branch_ended]);
}

#[test]
fn no_user_moves_to_a_branch_that_is_not_there() {
    let world = World::new();
    let ada = ada(&world);
    let nowhere: BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().move_to(ada, nowhere));
}

#[test]
fn who_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let deleted = ada(&world);
    world.store.users().delete(deleted).unwrap();
    for id in [unknown, deleted] {
        world.refuses(ErrorKind::NotFound, |s| s.users().set_status(id, UserStatus::Locked));
        world.refuses(ErrorKind::NotFound, |s| s.users().move_to(id, None));
        world.refuses(ErrorKind::NotFound, |s| s.users().delete(id));
    }
    world.refuses(ErrorKind::NotFound, |s| s.users().restore(unknown));
}
