//! One-time tokens: issued, shown once, stored as a digest, valid for a bounded time.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::sessions::{
    IssuedOneTimeToken, NewOneTimeToken, OneTimePurpose, RevokeApiKeys, RevokeSessions,
};
use gatepost::{ErrorKind, NewUser, Password, Subtree, UserId};

use crate::world::{DAY, HOUR, PASSWORD, World, morning};

const MILLISECOND: Duration = Duration::from_millis(1);
const NEW: &str = "nine brass bells";
const UNKNOWN: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

#[test]
fn one_is_shown_once_and_kept_as_a_digest() {
    let (world, ada) = ada();
    let issued = world
        .leaves(&[EventKind::OneTimeTokenIssued], 0, |store| {
            store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset())
        })
        .unwrap();
    let token = issued.token.expose();
    assert!(token.starts_with("gpo_") && token.len() == 74);
    assert!(!format!("{issued:?}").contains(token));
    let event = world.last_event();
    assert_eq!((event.user, event.detail.as_deref()), (Some(ada), Some("password_reset")));

    let listed = world.store.one_time_tokens().list(ada).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].user), (issued.id, ada));
    assert_eq!(listed[0].purpose, OneTimePurpose::PasswordReset);
    assert_eq!((listed[0].issued_at, listed[0].expires_at), (morning(), morning() + HOUR));
    assert_eq!(issued.expires_at, morning() + HOUR);
    assert_eq!(world.count("SELECT issued_seq FROM one_time_token"), world.head());
}

#[test]
fn the_lifetime_of_each_purpose_has_a_default_and_a_bound() {
    for (status, new, default, most) in [
        (UserStatus::Active, NewOneTimeToken::password_reset(), HOUR, DAY),
        (UserStatus::Active, NewOneTimeToken::email_confirmation(), DAY, 7 * DAY),
        (UserStatus::Pending, NewOneTimeToken::invitation(), 7 * DAY, 30 * DAY),
        (UserStatus::Active, NewOneTimeToken::temporary_password(), DAY, 7 * DAY),
    ] {
        let (world, ada) = with_status(status);
        let issue = |new| world.store.one_time_tokens().issue(ada, new).unwrap().expires_at;
        assert_eq!(issue(new), morning() + default, "{new:?}");
        assert_eq!(issue(new.lifetime(most)), morning() + most);
        assert_eq!(issue(new.lifetime(MILLISECOND)), morning() + MILLISECOND);
        for refused in [most + MILLISECOND, Duration::ZERO, Duration::from_nanos(1), Duration::MAX]
        {
            world.refuses(ErrorKind::Invalid, |store| {
                store.one_time_tokens().issue(ada, new.lifetime(refused))
            });
        }
    }
}

#[test]
fn at_its_expiry_it_is_expired() {
    let (world, ada) = ada();
    let issued = issue(&world, ada, NewOneTimeToken::password_reset());
    world.clock.advance(HOUR - MILLISECOND);
    assert_eq!(world.store.one_time_tokens().list(ada).unwrap().len(), 1);
    world.clock.advance(MILLISECOND);
    assert!(world.store.one_time_tokens().list(ada).unwrap().is_empty());
    assert!(!resets(&world, &issued));
    assert_eq!(world.last_event().reason.as_deref(), Some("expired"));
}

#[test]
fn a_token_from_the_future_is_refused() {
    let (world, ada) = ada();
    let issued = issue(&world, ada, NewOneTimeToken::password_reset());
    let later = "UPDATE one_time_token SET issued_at = issued_at + 60001";
    world.sql().execute_batch(later).unwrap_err();
    world.clock.go_back(2 * HOUR);
    let mut world = world;
    world.reopen();
    assert!(!resets(&world, &issued));
    assert_eq!(world.last_event().reason.as_deref(), Some("not_yet"));
}

#[test]
fn a_new_one_ends_the_earlier_one_of_the_same_purpose_and_no_other() {
    let (world, ada) = ada();
    let bob = world.store.users().create(NewUser::person("bob")).unwrap().id;
    let of_bob = issue(&world, bob, NewOneTimeToken::password_reset());
    let confirmation = issue(&world, ada, NewOneTimeToken::email_confirmation());
    let first = issue(&world, ada, NewOneTimeToken::password_reset());
    let second = issue(&world, ada, NewOneTimeToken::password_reset());
    let listed = world.store.one_time_tokens().list(ada).unwrap();
    assert_eq!(listed.len(), 2);
    let is_listed = |one: &IssuedOneTimeToken| listed.iter().any(|other| other.id == one.id);
    assert!(is_listed(&confirmation) && is_listed(&second) && !is_listed(&first));
    assert!(!resets(&world, &first));
    assert!(resets(&world, &second));
    assert!(resets(&world, &of_bob));
}

#[test]
fn only_a_user_to_whom_it_is_of_use_gets_one() {
    use UserStatus::{Active, Disabled, Locked, Pending};
    let world = World::new();
    let reset: fn() -> NewOneTimeToken = NewOneTimeToken::password_reset;
    let confirmation: fn() -> NewOneTimeToken = NewOneTimeToken::email_confirmation;
    let invitation: fn() -> NewOneTimeToken = NewOneTimeToken::invitation;
    let temporary: fn() -> NewOneTimeToken = NewOneTimeToken::temporary_password;
    let user = |new: NewUser| world.store.users().create(new).unwrap().id;
    for status in [Active, Pending, Locked, Disabled] {
        let name = status.as_str();
        let person = user(NewUser::person(name).email("ada@example.com").status(status));
        let system = NewUser::system(format!("{name}-system")).email("a@example.com");
        let system = user(system.status(status));
        let check = |user, new: fn() -> NewOneTimeToken, expect| {
            let issued = world.store.one_time_tokens().issue(user, new());
            let kind = issued.map(drop).map_err(|error| error.kind());
            let expected = if expect { Ok(()) } else { Err(ErrorKind::Invalid) };
            assert_eq!(kind, expected, "{name} {:?}", new());
        };
        check(person, reset, status == Active);
        check(person, temporary, status == Active);
        check(system, temporary, false);
        check(person, confirmation, matches!(status, Active | Pending));
        check(person, invitation, status == Pending);
        check(system, reset, false);
        check(system, confirmation, matches!(status, Active | Pending));
        check(system, invitation, false);
    }
    let bare = user(NewUser::person("bare"));
    let issue = |user| world.store.one_time_tokens().issue(user, confirmation());
    assert_eq!(issue(bare).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(issue(UNKNOWN.parse().unwrap()).unwrap_err().kind(), ErrorKind::NotFound);
}

/// The table of revocations, as far as it concerns one-time tokens.
#[test]
fn it_ends_with_what_the_table_says_and_with_nothing_else() {
    type Act = fn(&World, UserId);
    let ends: [Act; 12] = [
        |w, ada| w.store.sessions().revoke_all(ada).unwrap(),
        |w, ada| {
            let york = w.store.users().find(ada).unwrap().unwrap().branch.unwrap();
            w.store.sessions().revoke_all(york).unwrap();
        },
        |w, _| w.store.sessions().revoke_all(Subtree::Store).unwrap(),
        |w, ada| w.store.users().set_password(ada, NEW.into()).unwrap(),
        |w, ada| w.store.users().remove_password(ada).map(drop).unwrap(),
        |w, ada| w.store.users().mark_compromised(ada).map(drop).unwrap(),
        |w, ada| drop(w.store.users().rename(ada, "countess").unwrap()),
        |w, ada| drop(w.store.users().set_email(ada, Some("new@example.com")).unwrap()),
        |w, ada| drop(w.store.users().confirm(ada).unwrap()),
        |w, ada| w.store.one_time_tokens().revoke_all(ada).unwrap(),
        |w, ada| {
            drop(w.store.users().set_status(ada, UserStatus::Disabled).unwrap());
            drop(w.store.users().set_status(ada, UserStatus::Active).unwrap());
        },
        |w, ada| {
            w.store.users().delete(ada).unwrap();
            drop(w.store.users().restore(ada).unwrap());
        },
    ];
    let keeps: [Act; 5] = [
        |w, ada| drop(w.store.users().set_privileges(ada, &["admin"]).unwrap()),
        |w, ada| drop(w.store.users().move_to(ada, None).unwrap()),
        |w, ada| w.store.api_keys().revoke_all(ada).unwrap(),
        |w, ada| {
            let all = RevokeSessions::All;
            w.store.users().require_password_change(ada, all).map(drop).unwrap();
        },
        |w, ada| w.store.users().unlock(ada).map(drop).unwrap(),
    ];
    let check = |(number, act): (usize, &Act), expect| {
        let (world, ada) = ada();
        let york = world.store.branches().create("York", None).unwrap().id;
        drop(world.store.users().move_to(ada, york).unwrap());
        let issued = issue(&world, ada, NewOneTimeToken::password_reset());
        act(&world, ada);
        assert_eq!(resets(&world, &issued), expect, "number {number}, kept {expect}");
    };
    ends.iter().enumerate().for_each(|act| check(act, false));
    keeps.iter().enumerate().for_each(|act| check(act, true));
}

#[test]
fn in_a_place_that_is_not_active_it_is_suspended() {
    let (world, ada) = ada();
    let north = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", north).unwrap().id;
    drop(world.store.users().move_to(ada, york).unwrap());
    let suspends: [&dyn Fn(bool); 2] =
        [&|active| drop(world.store.branches().set_active(york, active).unwrap()), &|active| {
            drop(world.store.organisations().set_active(north, active).unwrap())
        }];
    for set_active in suspends {
        set_active(false);
        let issued = issue(&world, ada, NewOneTimeToken::password_reset());
        assert!(!resets(&world, &issued));
        assert_eq!(world.last_event().reason.as_deref(), Some("suspended"));
        set_active(true);
        assert!(resets(&world, &issued));
    }
}

#[test]
fn a_used_or_expired_one_is_swept_once_the_clock_is_believed() {
    let (world, ada) = ada();
    let issued = issue(&world, ada, NewOneTimeToken::password_reset());
    assert!(resets(&world, &issued));
    issue(&world, ada, NewOneTimeToken::email_confirmation());
    world.clock.advance(2 * HOUR);
    assert_eq!(world.store.maintain().unwrap().one_time_tokens, 0);
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().one_time_tokens, 1);
    assert_eq!(world.store.one_time_tokens().list(ada).unwrap().len(), 1);
    assert!(!resets(&world, &issued));
}

fn ada() -> (World, UserId) {
    with_status(UserStatus::Active)
}

fn with_status(status: UserStatus) -> (World, UserId) {
    let world = World::new();
    let ada = NewUser::person("ada").email("ada@example.com").status(status);
    let ada = world.store.users().create(ada.password(PASSWORD.into())).unwrap().id;
    (world, ada)
}

fn issue(world: &World, user: UserId, new: NewOneTimeToken) -> IssuedOneTimeToken {
    world.store.one_time_tokens().issue(user, new).unwrap()
}

fn resets(world: &World, issued: &IssuedOneTimeToken) -> bool {
    let token = issued.token.expose();
    let tokens = world.store.one_time_tokens();
    tokens.reset_password(token, Password::from(NEW), RevokeApiKeys::Keep).unwrap().valid().is_ok()
}
