//! API keys: issued, reassigned with or without an overlap, revoked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use gatepost::{
    ApiKeyId, EventKind, IssuedApiKey, NewApiKey, NewUser, Reason, UserId, UserStatus,
};
use proptest::prelude::*;

use crate::world::{DAY, HOUR, MINUTE, World, morning};

const NOBODY: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

#[test]
fn one_is_shown_once_and_kept_as_a_hash() {
    let (world, mailer) = mailer();
    let issued = world
        .leaves(&[EventKind::ApiKeyIssued], 0, |store| {
            store.api_keys().issue(mailer, NewApiKey::new().label("night run"))
        })
        .unwrap();
    let key = issued.key.expose();
    assert!(key.starts_with("gpk_") && key.len() == 74);
    assert_eq!(issued.expires_at, None);
    assert!(!format!("{issued:?}").contains(key));

    let listed = world.store.api_keys().list(mailer).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].user), (issued.id, mailer));
    assert_eq!(listed[0].label.as_deref(), Some("night run"));
    assert_eq!((listed[0].issued_at, listed[0].expires_at), (morning(), None));
    assert_eq!(world.count("SELECT issued_seq FROM api_key"), world.head());
}

#[test]
fn a_user_has_as_many_as_the_option_says() {
    let world = World::with(|options| options.api_keys_per_user(2));
    let (mailer, other) = (user(&world, "mailer"), user(&world, "other"));
    issue(&world, mailer, NewApiKey::new());
    let second = issue(&world, mailer, NewApiKey::new());
    world.refuses(Reason::Taken, |store| store.api_keys().issue(mailer, NewApiKey::new()));
    issue(&world, other, NewApiKey::new());
    world.store.api_keys().revoke(second.id).unwrap();
    issue(&world, mailer, NewApiKey::new().expires_at(after(HOUR)));
    world.refuses(Reason::Taken, |store| store.api_keys().issue(mailer, NewApiKey::new()));
    world.clock.advance(HOUR);
    issue(&world, mailer, NewApiKey::new());
}

#[test]
fn at_its_expiry_it_is_expired() {
    let (world, mailer) = mailer();
    let issued = issue(&world, mailer, NewApiKey::new().expires_at(after(HOUR)));
    assert_eq!(issued.expires_at, Some(after(HOUR)));
    world.clock.advance(HOUR - Duration::from_millis(1));
    assert!(verifies(&world, &issued));
    check_living(&world, mailer, &[(issued.id, Some(after(HOUR)))]);
    world.clock.advance(Duration::from_millis(1));
    assert!(!verifies(&world, &issued));
    check_living(&world, mailer, &[]);
}

#[test]
fn what_is_already_over_is_not_issued() {
    let (world, mailer) = mailer();
    for at in [morning(), morning() - DAY, DateTime::<Utc>::MIN_UTC] {
        let new = NewApiKey::new().expires_at(at);
        world.refuses(Reason::Invalid, |store| store.api_keys().issue(mailer, new.clone()));
        world.refuses(Reason::Invalid, |store| {
            store.api_keys().reassign_as(mailer, new, Duration::ZERO)
        });
    }
    issue(&world, mailer, NewApiKey::new().expires_at(DateTime::<Utc>::MAX_UTC));
}

#[test]
fn a_reassigned_key_ends_at_once_or_after_the_overlap() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new().label("night run"));
    let second = reassign(&world, mailer, HOUR, 1);
    check_living(&world, mailer, &[(first.id, Some(after(HOUR))), (second.id, None)]);
    assert!(verifies(&world, &first) && verifies(&world, &second));
    assert_eq!(second.expires_at, None);

    world.clock.advance(MINUTE);
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 2);
    let third = reassign(&world, mailer, Duration::ZERO, 2);
    check_living(&world, mailer, &[(third.id, None)]);
    assert!(!verifies(&world, &first) && !verifies(&world, &second));
    // Not expired but gone: no clock that lags behind brings them back.
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 1);
    assert_eq!(
        world.store.api_keys().list(mailer).unwrap()[0].label.as_deref(),
        Some("night run")
    );
}

#[test]
fn no_overlap_makes_a_key_live_longer() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new().expires_at(after(HOUR)));
    let second = reassign(&world, mailer, DAY, 0);
    check_living(&world, mailer, &[(first.id, Some(after(HOUR))), (second.id, None)]);
}

#[test]
fn a_reassigned_key_takes_what_is_asked() {
    let (world, mailer) = mailer();
    issue(&world, mailer, NewApiKey::new().label("old"));
    let new = NewApiKey::new().label("new").expires_at(after(DAY));
    let second = world
        .leaves(&[EventKind::ApiKeyReassigned], 1, |store| {
            store.api_keys().reassign_as(mailer, new, Duration::ZERO)
        })
        .unwrap();
    check_living(&world, mailer, &[(second.id, Some(after(DAY)))]);
    assert_eq!(world.store.api_keys().list(mailer).unwrap()[0].label.as_deref(), Some("new"));
}

#[test]
fn a_user_without_a_key_is_reassigned_one() {
    let (world, mailer) = mailer();
    let key = reassign(&world, mailer, DAY, 0);
    check_living(&world, mailer, &[(key.id, None)]);
}

#[test]
fn an_overlap_is_at_most_30_days() {
    let (world, mailer) = mailer();
    for overlap in [30 * DAY + Duration::from_nanos(1), Duration::MAX] {
        world.refuses(Reason::Invalid, |store| store.api_keys().reassign(mailer, overlap));
    }
    reassign(&world, mailer, 30 * DAY, 0);
}

#[test]
fn a_revoked_key_is_gone_with_one_change() {
    let (world, mailer) = mailer();
    let issued = issue(&world, mailer, NewApiKey::new());
    world
        .leaves(&[EventKind::ApiKeyRevoked], 1, |store| store.api_keys().revoke(issued.id))
        .unwrap();
    assert!(!verifies(&world, &issued));
    check_living(&world, mailer, &[]);
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 0);
    world.refuses(Reason::NotFound, |store| store.api_keys().revoke(issued.id));
}

#[test]
fn who_is_not_there_gets_none_and_has_none() {
    let (world, mailer) = mailer();
    issue(&world, mailer, NewApiKey::new());
    world.store.users().delete(mailer).unwrap();
    let nobody: UserId = NOBODY.parse().unwrap();
    for user in [mailer, nobody] {
        world.refuses(Reason::NotFound, |store| store.api_keys().issue(user, NewApiKey::new()));
        world.refuses(Reason::NotFound, |store| store.api_keys().reassign(user, Duration::ZERO));
        check_living(&world, user, &[]);
    }
    world.refuses(Reason::NotFound, |store| {
        store.api_keys().revoke(NOBODY.parse::<ApiKeyId>().unwrap())
    });
}

#[test]
fn a_suspended_user_keeps_its_keys_and_may_get_one() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new());
    world.store.users().set_status(mailer, UserStatus::Locked).unwrap();
    assert!(!verifies(&world, &first));
    check_living(&world, mailer, &[(first.id, None)]);
    let second = reassign(&world, mailer, DAY, 1);
    world.store.users().set_status(mailer, UserStatus::Active).unwrap();
    assert!(verifies(&world, &first) && verifies(&world, &second));
}

#[test]
fn a_deleted_user_that_is_restored_has_no_key() {
    let (world, mailer) = mailer();
    let issued = issue(&world, mailer, NewApiKey::new());
    world.store.users().delete(mailer).unwrap();
    world.store.users().restore(mailer).unwrap();
    assert!(!verifies(&world, &issued));
    check_living(&world, mailer, &[]);
    assert!(verifies(&world, &issue(&world, mailer, NewApiKey::new())));
}

#[test]
fn no_label_or_overlap_panics_and_what_is_refused_leaves_nothing() {
    let (world, mailer) = mailer();
    proptest!(ProptestConfig::with_cases(64), |(
        label in prop_oneof!["\\PC{0,140}", any::<String>()],
        at in any::<i64>(),
        overlap in any::<Duration>(),
    )| {
        let expires_at = DateTime::from_timestamp_millis(at);
        let new = NewApiKey::new().label(label.clone()).expires_at(expires_at);
        match world.store.api_keys().reassign_as(mailer, new.clone(), overlap) {
            Ok(issued) => prop_assert_eq!(issued.expires_at, expires_at),
            Err(_) => world.refuses(Reason::Invalid, |store| {
                store.api_keys().reassign_as(mailer, new, overlap)
            }),
        }
        let issued = world.store.api_keys().reassign_as(
            mailer,
            NewApiKey::new().label(label.clone()),
            Duration::ZERO,
        );
        if issued.is_ok() {
            let keys = world.store.api_keys().list(mailer).unwrap();
            prop_assert_eq!(keys.len(), 1);
            prop_assert_eq!(keys[0].label.as_deref(), Some(label.as_str()));
        }
    });
}

fn mailer() -> (World, UserId) {
    let world = World::new();
    let mailer = user(&world, "mailer");
    (world, mailer)
}

fn after(span: Duration) -> DateTime<Utc> {
    morning() + span
}

#[track_caller]
fn issue(world: &World, user: UserId, new: NewApiKey) -> IssuedApiKey {
    world.store.api_keys().issue(user, new).unwrap()
}

#[track_caller]
fn reassign(world: &World, user: UserId, overlap: Duration, changes: i64) -> IssuedApiKey {
    world
        .leaves(&[EventKind::ApiKeyReassigned], changes, |store| {
            store.api_keys().reassign(user, overlap)
        })
        .unwrap()
}

/// The living keys, in any order, and when each expires.
#[track_caller]
fn check_living(world: &World, user: UserId, expect: &[(ApiKeyId, Option<DateTime<Utc>>)]) {
    let keys = world.store.api_keys().list(user).unwrap();
    let mut living: Vec<_> = keys.iter().map(|key| (key.id, key.expires_at)).collect();
    let mut expect = expect.to_vec();
    living.sort();
    expect.sort();
    assert_eq!(living, expect);
}

#[track_caller]
fn user(world: &World, name: &str) -> UserId {
    world.store.users().create(NewUser::system(name)).unwrap().id
}

#[track_caller]
fn verifies(world: &World, issued: &IssuedApiKey) -> bool {
    world.store.verify(issued.key.expose(), None).unwrap().valid().is_ok()
}
