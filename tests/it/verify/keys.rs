//! API keys: presented without a device, suspended with their user, dead with it.

use std::time::Duration;

use gatepost::directory::UserStatus;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use gatepost::{NewUser, Subtree, UserId};

use crate::world::{HOUR, World, device, morning};

fn passes(world: &World, key: &IssuedApiKey) -> bool {
    world.store.verify((&key.key, None)).unwrap().valid().is_ok()
}

fn mailer(world: &World) -> (UserId, IssuedApiKey) {
    let york = world.store.branches().create("York", None).unwrap().id;
    let mailer = world.store.users().create(NewUser::system("mailer").branch(york)).unwrap().id;
    (mailer, world.store.api_keys().issue(mailer, NewApiKey::new()).unwrap())
}

#[test]
fn a_key_verifies_without_a_device_alone_and_says_whose_it_is() {
    let world = World::new();
    let (mailer, key) = mailer(&world);
    let principal = world.store.verify((&key.key, None)).unwrap().valid().unwrap();
    assert_eq!(
        (principal.user, principal.credential.api_key(), principal.credential.session()),
        (mailer, Some(key.id), None)
    );
    assert_eq!((principal.expires_at, principal.opened_at), (None, morning()));
    assert!(principal.branch.is_some());
    let with_device = world.store.verify((&key.key, &device("till-1"))).unwrap();
    assert!(with_device.valid().is_err());
    assert_eq!(world.store.profile(&principal).unwrap().user.id, mailer);
}

#[test]
fn a_key_does_not_expire_unless_asked_to_and_then_at_that_millisecond() {
    let world = World::new();
    let (mailer, key) = mailer(&world);
    world.clock.advance(Duration::from_secs(50 * 365 * 86_400));
    assert!(passes(&world, &key));
    let until = gatepost::host::Clock::now(&world.clock) + HOUR;
    world.store.api_keys().revoke(key.id).unwrap();
    let short = world.store.api_keys().issue(mailer, NewApiKey::new().expires_at(until)).unwrap();
    world.clock.set(until - Duration::from_millis(1));
    assert!(passes(&world, &short));
    world.clock.set(until);
    assert!(!passes(&world, &short));
    world.believe_clock();
    assert_eq!(world.store.maintain().unwrap().api_keys, 1);
    assert!(!passes(&world, &short));
}

#[test]
fn a_key_is_suspended_with_its_user_or_place_and_returns_with_it() {
    for status in [UserStatus::Locked, UserStatus::Disabled, UserStatus::Pending] {
        check(
            |world, user| drop(world.store.users().set_status(user, status).unwrap()),
            |world, user| drop(world.store.users().set_status(user, UserStatus::Active).unwrap()),
        );
    }
    let york = |world: &World, user, active| {
        let york = world.user(user).branch.unwrap();
        world.store.branches().set_active(york, active).unwrap();
    };
    check(move |world, user| york(world, user, false), move |world, user| york(world, user, true));
    let organisation = |world: &World, user, active| {
        let york = world.store.branches().find(world.user(user).branch.unwrap()).unwrap().unwrap();
        let organisation = match york.organisation {
            Some(organisation) => organisation,
            None => {
                let northern = world.store.organisations().create("Northern").unwrap().id;
                world.store.branches().move_to(york.id, northern).unwrap();
                northern
            }
        };
        world.store.organisations().set_active(organisation, active).unwrap();
    };
    check(
        move |world, user| organisation(world, user, false),
        move |world, user| organisation(world, user, true),
    );
}

#[track_caller]
fn check(suspend: impl FnOnce(&World, UserId), bring_back: impl FnOnce(&World, UserId)) {
    let world = World::new();
    let (mailer, key) = mailer(&world);
    suspend(&world, mailer);
    assert!(!passes(&world, &key));
    bring_back(&world, mailer);
    assert!(passes(&world, &key));
}

#[test]
fn the_keys_of_a_deleted_user_are_dead_for_good() {
    let world = World::new();
    let (mailer, key) = mailer(&world);
    world.store.users().delete(mailer).unwrap();
    assert!(!passes(&world, &key));
    world.store.users().restore(mailer).unwrap();
    assert!(!passes(&world, &key));
    let again = world.store.api_keys().issue(mailer, NewApiKey::new()).unwrap();
    assert!(passes(&world, &again));
}

#[test]
fn what_ends_sessions_leaves_keys() {
    let world = World::new();
    let (mailer, key) = mailer(&world);
    world.store.sessions().revoke_all(mailer).unwrap();
    world.store.sessions().revoke_all(Subtree::Store).unwrap();
    world.store.users().rename(mailer, "postman").unwrap();
    world.store.users().move_to(mailer, None).unwrap();
    assert!(passes(&world, &key));
}

#[test]
fn a_lock_by_failed_attempts_leaves_keys() {
    let world = World::with(|options| options.lockout(gatepost::policy::Lockout::Permanent));
    let ada = world.person("ada").id;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap();
    for _ in 0..5 {
        world.log_in("ada", "wrong horse battery", "elsewhere").unwrap_err();
    }
    assert!(passes(&world, &key));
}

#[test]
fn a_rotated_key_ends_at_once_or_after_the_overlap() {
    let world = World::new();
    let (_, first) = mailer(&world);
    let second = world.store.api_keys().rotate(first.id, Duration::ZERO).unwrap();
    assert!(!passes(&world, &first) && passes(&world, &second));
    let third = world.store.api_keys().rotate(second.id, HOUR).unwrap();
    world.clock.advance(HOUR - Duration::from_millis(1));
    assert!(passes(&world, &second) && passes(&world, &third));
    world.clock.advance(Duration::from_millis(1));
    assert!(!passes(&world, &second) && passes(&world, &third));
}
