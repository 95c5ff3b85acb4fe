//! Names and addresses of users, and the first proof that they are theirs.

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::UserStatus;
use gatepost::{ErrorKind, LoginRefusal, LoginRequest, NewUser, Password, UserId};
use proptest::prelude::*;

use crate::world::{PASSWORD, World, device, morning};

fn watermarks(world: &World) -> (i64, i64, i64) {
    let sql = "SELECT sessions_ended_seq, keys_ended_seq, tokens_ended_seq FROM user";
    world.sql().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

fn ada(world: &World) -> UserId {
    world.store.users().create(NewUser::person("ada").email("ada@example.com")).unwrap().id
}

#[test]
fn a_new_name_ends_tokens_alone() {
    let world = World::new();
    let ada = ada(&world);
    let renamed = world
        .leaves(&[EventKind::UserRenamed], 1, |store| store.users().rename(ada, "Countess"))
        .unwrap();
    assert_eq!(watermarks(&world), (0, 0, world.head()));
    assert_eq!(world.store.users().find_by_username("COUNTESS").unwrap(), Some(renamed));
    assert_eq!(world.store.users().find_by_username("ada").unwrap(), None);
}

#[test]
fn a_users_own_name_in_another_case_is_free_and_the_same_one_no_change() {
    let world = World::new();
    let ada = ada(&world);
    world.leaves(&[EventKind::UserRenamed], 1, |s| s.users().rename(ada, "ADA")).unwrap();
    world.leaves(&[], 0, |store| store.users().rename(ada, "ADA")).unwrap();
}

#[test]
fn a_name_in_use_is_not_given_twice_in_any_case() {
    let world = World::new();
    let ada = ada(&world);
    world.store.users().create(NewUser::person("σοφός")).unwrap();
    world.refuses(ErrorKind::Taken, |store| store.users().rename(ada, "ΣΟΦΌΣ"));
}

#[test]
fn a_new_address_ends_tokens_alone() {
    let world = World::new();
    let ada = ada(&world);
    let set = |email: Option<&str>, events: &[EventKind], changes| {
        world.leaves(events, changes, |store| store.users().set_email(ada, email)).unwrap()
    };
    let changed = set(Some("a@example.org"), &[EventKind::UserEmailChanged], 1);
    assert_eq!(watermarks(&world), (0, 0, world.head()));
    assert_eq!(world.store.users().find_by_email("A@EXAMPLE.ORG").unwrap(), Some(changed));
    set(Some("a@example.org"), &[], 0);
    assert_eq!(set(None, &[EventKind::UserEmailChanged], 1).email, None);
    set(None, &[], 0);
}

#[test]
fn an_address_is_shared_unless_it_logs_in() {
    let world = World::new();
    let bob = world.store.users().create(NewUser::person("bob")).unwrap().id;
    ada(&world);
    world.store.users().set_email(bob, Some("ADA@example.com")).unwrap();
    assert_eq!(world.store.users().find_by_email("ada@example.com").unwrap(), None);

    let world = World::with(|options| options.login_by_email(true));
    let bob = world.store.users().create(NewUser::person("bob")).unwrap().id;
    ada(&world);
    world.refuses(ErrorKind::Taken, |s| s.users().set_email(bob, Some("ADA@example.com")));
}

#[test]
fn where_the_address_logs_in_no_user_is_called_by_anothers() {
    let world = World::with(|options| options.login_by_email(true));
    ada(&world);
    let bob = world.store.users().create(NewUser::person("bob@example.com")).unwrap().id;
    world.refuses(ErrorKind::Taken, |store| store.users().rename(bob, "Ada@example.com"));
    world.refuses(ErrorKind::Taken, |store| {
        store.users().create(NewUser::person("c").email("BOB@example.com"))
    });
    world.store.users().set_email(bob, Some("bob@example.com")).unwrap();
}

#[test]
fn the_moment_of_the_first_confirmation_is_kept() {
    let world = World::new();
    let ada = ada(&world);
    let confirm = || world.store.users().confirm(ada).unwrap().confirmed_at;
    assert_eq!(confirm(), Some(morning()));
    world.clock.advance(crate::world::HOUR);
    assert_eq!(confirm(), Some(morning()));
}

#[test]
fn the_first_confirmation_alone_removes_the_password_if_asked() {
    let world = World::new();
    let squatter = NewUser::person("ada").password(Password::from(PASSWORD));
    let ada = world.store.users().create(squatter).unwrap().id;
    let log_in = || {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
        world.store.log_in(login).unwrap().granted()
    };
    log_in().unwrap();
    world.store.users().confirm_and_remove_password(ada).unwrap();
    assert_eq!(log_in().unwrap_err(), LoginRefusal::InvalidCredentials);
    let confirmed = AuditFilter::new().kind(EventKind::UserConfirmed);
    let event = &world.store.audit().latest(1, &confirmed).unwrap()[0];
    assert_eq!(event.detail.as_deref(), Some("password removed"));

    world.store.users().set_password(ada, Password::from(PASSWORD)).unwrap();
    world.store.users().confirm_and_remove_password(ada).unwrap();
    log_in().unwrap();
}

#[test]
fn a_confirmation_admits_a_pending_user_and_no_locked_or_disabled_one() {
    let world = World::new();
    for (before, after) in [
        (UserStatus::Pending, UserStatus::Active),
        (UserStatus::Active, UserStatus::Active),
        (UserStatus::Locked, UserStatus::Locked),
        (UserStatus::Disabled, UserStatus::Disabled),
    ] {
        let new = NewUser::person(before.as_str()).status(before);
        let id = world.store.users().create(new).unwrap().id;
        assert_eq!(world.store.users().confirm(id).unwrap().status, after);
    }
}

#[test]
fn who_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().rename(unknown, "ada"));
    world.refuses(ErrorKind::NotFound, |store| store.users().set_email(unknown, None));
    world.refuses(ErrorKind::NotFound, |store| store.users().confirm(unknown));
}

#[test]
fn any_text_is_a_name_that_is_found_again_or_refused_without_a_trace() {
    let world = World::new();
    let id = ada(&world);
    proptest!(ProptestConfig::with_cases(64), |(text in "\\PC{0,40}|.{0,140}")| {
        match world.store.users().rename(id, &text) {
            Ok(user) => {
                let found = world.store.users().find_by_username(&user.username).unwrap();
                prop_assert_eq!(found.map(|user| user.id), Some(id));
            }
            Err(_) => world.refuses(ErrorKind::Invalid, |s| s.users().rename(id, &text)),
        }
        match world.store.users().set_email(id, Some(&text)) {
            Ok(user) => {
                let found = world.store.users().find_by_email(&user.email.unwrap()).unwrap();
                prop_assert_eq!(found.map(|user| user.id), Some(id));
            }
            Err(_) => world.refuses(ErrorKind::Invalid, |s| s.users().set_email(id, Some(&text))),
        }
    });
}
