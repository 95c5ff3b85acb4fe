//! Passwords that an administrator sets, removes or marks as compromised.

use gatepost::audit::EventKind;
use gatepost::policy::{PasswordPolicy, PasswordRule};
use gatepost::sessions::RevokeSessions;
use gatepost::{ErrorKind, NewUser, Password, UserId};
use proptest::prelude::*;

use crate::world::{Meanwhile, PASSWORD, World};

/// A hash of a cost that any store accepts.
pub(crate) const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
    MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";

fn ada(world: &World) -> UserId {
    let new = NewUser::person("ada").password(Password::from(PASSWORD));
    world.store.users().create(new).unwrap().id
}

#[track_caller]
fn check_ended(world: &World, sessions: bool, tokens: bool) {
    let sql = "SELECT sessions_ended_seq, keys_ended_seq, tokens_ended_seq FROM user";
    let ended = world.sql().query_row(sql, [], |row| {
        Ok([row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?])
    });
    let seq = |raised| if raised { world.head() } else { 0 };
    assert_eq!(ended.unwrap(), [seq(sessions), 0, seq(tokens)]);
}

#[test]
fn a_password_set_by_another_ends_sessions_and_tokens() {
    let world = World::new();
    let ada = ada(&world);
    let set = |store: &gatepost::Store| store.users().set_password(ada, "another horse".into());
    world.leaves(&[EventKind::PasswordSet], 1, set).unwrap();
    check_ended(&world, true, true);
    let set = |store: &gatepost::Store| store.users().set_password_hash(ada, PHC);
    world.leaves(&[EventKind::PasswordSet], 1, set).unwrap();
    check_ended(&world, true, true);
}

#[test]
fn a_new_password_clears_what_was_held_against_the_old_one() {
    let world = World::new();
    let ada = ada(&world);
    let users = world.store.users();
    users.require_password_change(ada, RevokeSessions::Keep).unwrap();
    users.mark_compromised(ada).unwrap();
    let failed =
        "INSERT INTO device (user_id, device_hash, first_login_at, last_login_at, failures)
         SELECT id, zeroblob(16), 0, 0, 3 FROM user";
    world.sql().execute(failed, []).unwrap();
    users.set_password(ada, Password::from("another horse")).unwrap();
    let user = users.find(ada).unwrap().unwrap();
    assert_eq!((user.must_change_password, user.failed_attempts), (false, 0));
    assert_eq!(world.count("SELECT must_change + compromised FROM credential"), 0);
}

#[test]
fn an_administrator_sets_another_password_than_the_one_that_is_worth_nothing() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = ada(&world);
    let set = |new: &str| {
        let done = world.store.users().set_password(ada, Password::from(new));
        done.map_err(|error| error.password_rule().unwrap())
    };
    assert_eq!(world.hashes(1, |_| set(PASSWORD)), Ok(()), "nothing is held against it");
    assert!(world.store.users().mark_compromised(ada).unwrap());
    assert_eq!(world.hashes(1, |_| set(PASSWORD)), Err(PasswordRule::Unchanged));
    assert_eq!(world.hashes(2, |_| set("another horse")), Ok(()));
    world.store.users().require_password_change(ada, RevokeSessions::Keep).unwrap();
    assert_eq!(set("another horse"), Err(PasswordRule::Unchanged));
    assert_eq!(set(PASSWORD), Ok(()));

    // It is marked by another administrator while the new one is checked.
    let store = world.store.clone();
    meanwhile.happens(move || assert!(store.users().mark_compromised(ada).unwrap()));
    assert_eq!(set(PASSWORD), Err(PasswordRule::Unchanged));
    assert_eq!(world.count("SELECT compromised FROM credential"), 1);
}

#[test]
fn a_removed_password_ends_sessions_and_tokens() {
    let world = World::new();
    let ada = ada(&world);
    let removed = || world.store.users().remove_password(ada);
    assert!(world.leaves(&[EventKind::PasswordRemoved], 1, |_| removed()).unwrap());
    check_ended(&world, true, true);
    assert_eq!(world.count("SELECT count(*) FROM credential"), 0);
    assert!(!world.leaves(&[], 0, |_| removed()).unwrap());
}

#[test]
fn a_demanded_change_ends_sessions_if_asked_to() {
    let world = World::new();
    let ada = ada(&world);
    let demand = |sessions| world.store.users().require_password_change(ada, sessions);
    let event = [EventKind::PasswordChangeRequired];
    assert!(world.leaves(&event, 0, |_| demand(RevokeSessions::Keep)).unwrap());
    check_ended(&world, false, false);
    assert!(world.store.users().find(ada).unwrap().unwrap().must_change_password);
    assert!(!world.leaves(&[], 0, |_| demand(RevokeSessions::Keep)).unwrap());
    assert!(world.leaves(&event, 1, |_| demand(RevokeSessions::All)).unwrap());
    check_ended(&world, true, false);
}

#[test]
fn a_compromised_password_ends_sessions_and_tokens() {
    let world = World::new();
    let ada = ada(&world);
    let mark = || world.store.users().mark_compromised(ada);
    assert!(world.leaves(&[EventKind::PasswordMarkedCompromised], 1, |_| mark()).unwrap());
    check_ended(&world, true, true);
    assert!(!world.leaves(&[], 0, |_| mark()).unwrap());
}

#[test]
fn nothing_is_demanded_of_a_password_that_is_not_there() {
    let world = World::new();
    let bob = world.store.users().create(NewUser::person("bob")).unwrap().id;
    world.refuses(ErrorKind::Invalid, |s| s.users().mark_compromised(bob));
    for sessions in [RevokeSessions::Keep, RevokeSessions::All] {
        world.refuses(ErrorKind::Invalid, |s| s.users().require_password_change(bob, sessions));
    }
}

#[test]
fn a_system_user_never_has_a_password() {
    let world = World::new();
    let robot = world.store.users().create(NewUser::system("robot")).unwrap().id;
    world.hashes(0, |_| {
        world.refuses(ErrorKind::Invalid, |s| s.users().set_password(robot, PASSWORD.into()));
        world.refuses(ErrorKind::Invalid, |s| s.users().set_password_hash(robot, PHC));
    });
}

#[test]
fn a_password_that_breaks_the_policy_is_refused_without_a_hash() {
    let world = World::with(|options| {
        options.service_name("Local Server").passwords(PasswordPolicy::default().min_chars(9))
    });
    let northern = world.store.organisations().create("Northernmost").unwrap().id;
    let york = world.store.branches().create("York Minster", northern).unwrap().id;
    let new = NewUser::person("ada.lovelace").email("countess@example.com").branch(york);
    let ada = world.store.users().create(new.first_name("Augustabelle")).unwrap().id;
    let hashes = world.store.status().hashes_done;
    for password in [
        "",
        "8 chars.",
        "password1",
        "Ada.Lovelace1",
        "countess1",
        "augustabelle",
        "york minster",
        "Northernmost!",
        "local server",
    ] {
        world.refuses(ErrorKind::Invalid, |s| s.users().set_password(ada, password.into()));
    }
    assert_eq!(world.store.status().hashes_done, hashes);
    world.store.users().set_password(ada, PASSWORD.into()).unwrap();
}

#[test]
fn who_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let deleted = ada(&world);
    world.store.users().delete(deleted).unwrap();
    for id in [unknown, deleted] {
        world.refuses(ErrorKind::NotFound, |s| s.users().set_password(id, PASSWORD.into()));
        world.refuses(ErrorKind::NotFound, |s| s.users().set_password_hash(id, PHC));
        world.refuses(ErrorKind::NotFound, |s| s.users().remove_password(id));
        world.refuses(ErrorKind::NotFound, |s| s.users().mark_compromised(id));
        world.refuses(ErrorKind::NotFound, |s| {
            s.users().require_password_change(id, RevokeSessions::All)
        });
    }
}

#[test]
fn any_text_is_a_password_or_refused_without_a_trace_and_no_text_is_a_hash() {
    let world = World::new();
    let id = ada(&world);
    proptest!(ProptestConfig::with_cases(64), |(text in "\\PC{0,40}|.{0,140}")| {
        if world.store.users().set_password(id, Password::from(text.as_str())).is_err() {
            world.refuses(ErrorKind::Invalid, |s| {
                s.users().set_password(id, Password::from(text.as_str()))
            });
        }
        world.refuses(ErrorKind::Invalid, |s| s.users().set_password_hash(id, &text));
    });
}
