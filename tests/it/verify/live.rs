//! The principal is the file's at this moment, and a disabled user's sessions are refused at once.

use gatepost::directory::UserStatus;
use gatepost::{NewUser, OpenedSession, Principal, Subtree, UserId};

use crate::world::{PASSWORD, World, device};

fn principal(world: &World, session: &OpenedSession) -> Principal {
    let verdict = world.store.verify((&session.token, &device("till-1"))).unwrap();
    verdict.valid().unwrap()
}

#[test]
fn a_user_or_branch_that_was_moved_is_reported_in_its_new_place() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let leeds = world.store.branches().create("Leeds", None).unwrap().id;
    let ada = world.store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
    let session = world.open(ada, "till-1");
    let place = || {
        let principal = principal(&world, &session);
        (principal.branch, principal.organisation)
    };
    assert_eq!(place(), (Some(york), Some(northern)));
    world.store.users().move_to(ada, leeds).unwrap();
    assert_eq!(place(), (Some(leeds), None));
    world.store.branches().move_to(leeds, northern).unwrap();
    assert_eq!(place(), (Some(leeds), Some(northern)));
    world.store.users().move_to(ada, None).unwrap();
    assert_eq!(place(), (None, None));
}

#[test]
fn a_move_into_a_place_whose_sessions_ended_since_ends_the_session_there() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    world.store.sessions().revoke_all(york).unwrap();
    assert!(world.passes(&session, "till-1"));
    world.store.users().move_to(ada, york).unwrap();
    assert!(!world.passes(&session, "till-1"));
    world.store.users().move_to(ada, None).unwrap();
    assert!(!world.passes(&session, "till-1"), "what ended does not come back");
}

#[test]
fn a_change_of_privileges_holds_at_the_next_verify_and_ends_nothing() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    assert!(!principal(&world, &session).is_admin);
    world.store.users().set_privileges(ada, &["admin", "report.print"]).unwrap();
    assert!(principal(&world, &session).is_admin);
    world.store.users().set_privileges(ada, &["admin.not"]).unwrap();
    assert!(!principal(&world, &session).is_admin);
}

/// Sessions that were cached outlived their user's deletion (rauthy, its change log).
#[test]
fn a_user_who_is_turned_away_is_dead_at_once_and_nothing_comes_back() {
    check(
        |world, ada| world.store.users().delete(ada).unwrap(),
        |world, ada| {
            world.store.users().restore(ada).unwrap();
        },
    );
    for status in [UserStatus::Locked, UserStatus::Disabled, UserStatus::Pending] {
        check(
            |world, ada| drop(world.store.users().set_status(ada, status).unwrap()),
            |world, ada| drop(world.store.users().set_status(ada, UserStatus::Active).unwrap()),
        );
    }
    check(|world, _| world.store.sessions().revoke_all(Subtree::Store).unwrap(), |_, _| {});
    check(|world, ada| world.store.users().set_password(ada, PASSWORD.into()).unwrap(), |_, _| {});
    check(|world, ada| assert!(world.store.users().mark_compromised(ada).unwrap()), |_, _| {});
    let branch = |world: &World, active| {
        let york = world.store.users().list(&Default::default(), gatepost::Page::first(1));
        let york = york.unwrap()[0].branch.unwrap();
        world.store.branches().set_active(york, active).unwrap();
    };
    check(|world, _| branch(world, false), |world, _| branch(world, true));
}

#[track_caller]
fn check(end: impl FnOnce(&World, UserId), undo: impl FnOnce(&World, UserId)) {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap().id;
    let new = NewUser::person("ada").branch(york).password(PASSWORD.into());
    let ada = world.store.users().create(new).unwrap().id;
    let session = world.open(ada, "till-1");
    assert!(world.passes(&session, "till-1"));
    end(&world, ada);
    assert!(!world.passes(&session, "till-1"));
    undo(&world, ada);
    assert!(!world.passes(&session, "till-1"));
    let again = world.open(ada, "till-1");
    assert!(world.passes(&again, "till-1"));
}

/// The account was there before its owner, and the person who had opened it stayed signed in
/// (CVE-2026-44166).
#[test]
fn the_first_confirmation_of_an_account_ends_what_was_opened_before() {
    let world = World::new();
    let new = NewUser::person("ada").email("ada@example.com").password(PASSWORD.into());
    let ada = world.store.users().create(new).unwrap().id;
    let squatter = world.open(ada, "till-1");
    world.store.users().confirm(ada).unwrap();
    assert!(!world.passes(&squatter, "till-1"));
    let owner = world.open(ada, "till-1");
    world.store.users().confirm(ada).unwrap();
    assert!(world.passes(&owner, "till-1"));
}

#[test]
fn the_first_password_of_an_account_ends_what_was_opened_before() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let before = world.open(ada, "till-1");
    world.store.users().set_password(ada, PASSWORD.into()).unwrap();
    assert!(!world.passes(&before, "till-1"));
}
