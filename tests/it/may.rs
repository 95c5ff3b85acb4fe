//! May: whether a verified user has a privilege, by the current state of the file.

use gatepost::directory::UserStatus;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{ErrorKind, NewUser, Permission, Principal, UserId};

use crate::world::{HOUR, MINUTE, World, device, is_cache_on};

const WRITE: &str = "reports.write";

/// A person with these privileges.
fn person(world: &World, name: &str, privileges: &[&str]) -> UserId {
    let new = NewUser::person(name).privileges(privileges.iter().copied());
    world.store.users().create(new).unwrap().id
}

/// What a verify says of a new session on a device of that name.
fn verified(world: &World, user: UserId, on: &str) -> Principal {
    let session = world.open(user, on);
    world.store.verify((&session.token, &device(on))).unwrap().valid().unwrap()
}

#[track_caller]
fn check(world: &World, principal: &Principal, privilege: &str, expect: Permission) {
    assert_eq!(world.store.may(principal, privilege).unwrap(), expect, "{privilege}");
}

#[test]
fn a_user_has_the_privileges_that_it_was_given_and_no_others() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE, "reports.read", "x"]), "till-1");
    let bob = verified(&world, person(&world, "bob", &[]), "till-2");
    for name in [WRITE, "reports.read", "x"] {
        check(&world, &ada, name, Permission::Granted);
        check(&world, &bob, name, Permission::Denied);
    }
    for name in ["reports", "reports.writ", "reports.write2", "write", "admin", "xx"] {
        check(&world, &ada, name, Permission::Denied);
    }
}

#[test]
fn an_administrator_has_no_privilege_but_its_own() {
    let world = World::new();
    let root = verified(&world, person(&world, "root", &["admin"]), "till-1");
    assert!(root.is_admin);
    check(&world, &root, "admin", Permission::Granted);
    check(&world, &root, WRITE, Permission::Denied);
}

#[test]
fn a_name_that_no_privilege_has_is_invalid() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    let long = "x".repeat(65);
    for name in ["", " ", "Reports", "reports write", "reports.write ", "é", "a\0b", &long] {
        world.refuses(ErrorKind::Invalid, |store| store.may(&ada, name));
    }
    check(&world, &ada, &"x".repeat(64), Permission::Denied);
}

/// By this process, and by a hand that writes plain SQL, as another process would.
#[test]
fn a_change_of_privileges_is_seen_by_the_very_next_call() {
    let world = World::new();
    let user = person(&world, "ada", &["x"]);
    let session = world.open(user, "till-1");
    let verify =
        || world.store.verify((&session.token, &device("till-1"))).unwrap().valid().unwrap();
    let ada = verify();
    let sql = world.sql();
    for _ in 0..3 {
        check(&world, &ada, WRITE, Permission::Denied);
        world.store.users().set_privileges(user, &["x", WRITE]).unwrap();
        check(&world, &ada, WRITE, Permission::Granted);
        // The entry is filled again.
        assert_eq!(verify(), ada);
        check(&world, &ada, WRITE, Permission::Granted);
        sql.execute("DELETE FROM user_privilege WHERE name = ?1", [WRITE]).unwrap();
        check(&world, &ada, WRITE, Permission::Denied);
        assert_eq!(verify(), ada);
        sql.execute("INSERT INTO user_privilege SELECT id, ?1 FROM user", [WRITE]).unwrap();
        check(&world, &ada, WRITE, Permission::Granted);
        check(&world, &ada, "x", Permission::Granted);
        world.store.users().set_privileges(user, &["x"]).unwrap();
    }
}

#[test]
fn a_session_that_a_verify_would_refuse_has_ended() {
    type Ends = fn(&World, &Principal);
    let ends: [(&str, Ends); 6] = [
        ("logged out", |world, ada| {
            let _ = world.store.sessions().revoke(ada.credential.session().unwrap()).unwrap();
        }),
        ("all revoked", |world, ada| world.store.sessions().revoke_all(ada.user).unwrap()),
        ("locked", |world, ada| {
            world.store.users().set_status(ada.user, UserStatus::Locked).map(drop).unwrap();
        }),
        ("deleted", |world, ada| world.store.users().delete(ada.user).map(drop).unwrap()),
        ("idle", |world, _| world.clock.advance(HOUR)),
        ("by hand", |world, _| world.sql().execute_batch("DELETE FROM session").unwrap()),
    ];
    for (how, end) in ends {
        let policy = SessionPolicy::server().inactivity_timeout(HOUR);
        let world = World::with(|options| options.sessions(policy));
        let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
        check(&world, &ada, WRITE, Permission::Granted);
        end(&world, &ada);
        assert_eq!(world.store.may(&ada, WRITE).unwrap(), Permission::Ended, "{how}");
    }
}

#[test]
fn a_session_has_ended_at_the_millisecond_at_which_it_expires() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    world.clock.set(ada.expires_at.unwrap() - std::time::Duration::from_millis(1));
    check(&world, &ada, WRITE, Permission::Granted);
    world.clock.set(ada.expires_at.unwrap());
    check(&world, &ada, WRITE, Permission::Ended);
}

#[test]
fn a_suspended_key_has_ended_until_its_user_is_active_again() {
    let world = World::new();
    let new = NewUser::system("robot").privileges([WRITE]);
    let robot = world.store.users().create(new).unwrap().id;
    let key = world.store.api_keys().issue(robot, NewApiKey::new()).unwrap().key;
    let robot = world.store.verify((&key, None)).unwrap().valid().unwrap();
    check(&world, &robot, WRITE, Permission::Granted);
    world.store.users().set_status(robot.user, UserStatus::Disabled).unwrap();
    check(&world, &robot, WRITE, Permission::Ended);
    world.store.users().set_status(robot.user, UserStatus::Active).unwrap();
    check(&world, &robot, WRITE, Permission::Granted);
}

#[test]
fn a_call_is_a_use_of_the_session() {
    let policy = SessionPolicy::server().inactivity_timeout(HOUR);
    let world = World::with(|options| options.sessions(policy));
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    for _ in 0..4 {
        world.clock.advance(HOUR / 2);
        check(&world, &ada, "x", Permission::Denied);
    }
    world.clock.advance(HOUR - MINUTE);
    check(&world, &ada, WRITE, Permission::Granted);
    world.store.maintain().unwrap();
    let seen = world.count("SELECT last_seen FROM session");
    assert_eq!(seen, world.now().as_millis());
}

/// A program may change the public fields of a principal: they are no way to another session.
#[test]
fn the_place_of_one_session_says_nothing_of_another() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    let bob = verified(&world, person(&world, "bob", &[]), "till-2");
    let (mut with_place_of_ada, mut with_place_of_bob) = (ada, bob);
    with_place_of_ada.credential = bob.credential;
    with_place_of_bob.credential = ada.credential;
    check(&world, &with_place_of_ada, WRITE, Permission::Denied);
    check(&world, &with_place_of_bob, WRITE, Permission::Granted);
}

#[test]
fn a_principal_of_another_store_has_no_session_here() {
    let (world, other) = (
        World::new(),
        World::with(|options| {
            options.random_source(std::sync::Arc::new(gatepost::host::SeededRandom::new(8)))
        }),
    );
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    verified(&other, person(&other, "ada", &[WRITE]), "till-1");
    check(&other, &ada, WRITE, Permission::Ended);
}

/// Its reply carries the principal before any verify.
#[test]
fn the_principal_of_a_login_reply_is_answered_like_any_other() {
    let world = World::new();
    let user = person(&world, "ada", &[WRITE]);
    let open = OpenSession::new(user, device("till-1"));
    let reply = world.store.sessions().open(open).unwrap().granted().unwrap();
    check(&world, &reply.principal, WRITE, Permission::Granted);
    check(&world, &reply.principal, "x", Permission::Denied);
    let verified = world.store.verify((&reply.session.token, &device("till-1"))).unwrap();
    assert_eq!(verified.valid(), Ok(reply.principal));
}

/// The sixty-fifth, which only another program can write, is read from the file.
#[test]
fn a_set_of_any_size_is_answered() {
    let world = World::new();
    let names: Vec<String> = (0..64).map(|name| format!("p{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let user = person(&world, "ada", &names);
    let session = world.open(user, "till-1");
    let verify =
        || world.store.verify((&session.token, &device("till-1"))).unwrap().valid().unwrap();
    let ada = verify();
    check(&world, &ada, "p63", Permission::Granted);
    check(&world, &ada, "p64", Permission::Denied);
    world.sql().execute_batch("INSERT INTO user_privilege SELECT id, 'p64' FROM user").unwrap();
    for principal in [ada, verify()] {
        check(&world, &principal, "p64", Permission::Granted);
        check(&world, &principal, "p65", Permission::Denied);
    }
}

#[test]
fn nothing_is_written_and_a_remembered_answer_reads_no_file() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    world.leaves(&[], 0, |_| check(&world, &ada, WRITE, Permission::Granted));
    if !is_cache_on() {
        return;
    }
    // A change that leaves no change row is seen by the file alone.
    let sql = world.sql();
    sql.execute_batch("DROP TRIGGER user_lost_privilege; DELETE FROM user_privilege").unwrap();
    check(&world, &ada, WRITE, Permission::Granted);
}

#[test]
fn a_closed_store_fails_with_closed() {
    let world = World::new();
    let ada = verified(&world, person(&world, "ada", &[WRITE]), "till-1");
    world.store.close().unwrap();
    assert_eq!(world.store.may(&ada, WRITE).unwrap_err().kind(), ErrorKind::Closed);
}
