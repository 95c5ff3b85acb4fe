//! API keys: issued, rotated with or without an overlap, revoked.

use std::time::Duration;

use gatepost::audit::EventKind;
use gatepost::directory::UserStatus;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use gatepost::{ApiKeyId, ErrorKind, NewUser, Timestamp, UserId};
use proptest::prelude::*;

use crate::world::{DAY, HOUR, MINUTE, World, morning};

const UNKNOWN: &str = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77";

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
    world.refuses(ErrorKind::LimitReached, |store| {
        store.api_keys().issue(mailer, NewApiKey::new())
    });
    issue(&world, other, NewApiKey::new());
    world.store.api_keys().revoke(second.id).unwrap();
    issue(&world, mailer, NewApiKey::new().expires_at(after(HOUR)));
    world.refuses(ErrorKind::LimitReached, |store| {
        store.api_keys().issue(mailer, NewApiKey::new())
    });
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
    for at in [morning(), morning() - DAY, Timestamp::MIN] {
        let new = NewApiKey::new().expires_at(at);
        world.refuses(ErrorKind::Invalid, |store| store.api_keys().issue(mailer, new));
    }
    issue(&world, mailer, NewApiKey::new().expires_at(Timestamp::MAX));
}

#[test]
fn a_rotated_key_ends_at_once_or_after_the_overlap() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new());
    let second = rotate(&world, &first, HOUR, 1);
    check_living(&world, mailer, &[(first.id, Some(after(HOUR))), (second.id, None)]);
    assert!(verifies(&world, &first) && verifies(&world, &second));
    let event = world.last_event();
    assert_eq!((event.user, event.api_key), (Some(mailer), Some(second.id)));
    let until = after(HOUR);
    assert_eq!(event.detail, Some(format!("{} until {until}", first.id)));

    world.clock.advance(MINUTE);
    let third = rotate(&world, &second, Duration::ZERO, 1);
    assert_eq!(world.last_event().detail, Some(second.id.to_string()));
    check_living(&world, mailer, &[(first.id, Some(after(HOUR))), (third.id, None)]);
    assert!(verifies(&world, &first) && !verifies(&world, &second) && verifies(&world, &third));
    // Not expired but gone: no clock that lags behind brings it back.
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 2);
    world.clock.advance(HOUR - MINUTE);
    assert!(!verifies(&world, &first));
}

#[test]
fn other_keys_of_the_user_stay() {
    let world = World::with(|options| options.api_keys_per_user(2));
    let mailer = user(&world, "mailer");
    let (first, other) =
        (issue(&world, mailer, NewApiKey::new()), issue(&world, mailer, NewApiKey::new()));
    let second = rotate(&world, &first, Duration::ZERO, 1);
    check_living(&world, mailer, &[(other.id, None), (second.id, None)]);
    let third = rotate(&world, &second, HOUR, 1);
    check_living(
        &world,
        mailer,
        &[(other.id, None), (second.id, Some(after(HOUR))), (third.id, None)],
    );
    assert!(verifies(&world, &other));
}

#[test]
fn no_overlap_makes_a_key_live_longer() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new().expires_at(after(HOUR)));
    let second = rotate(&world, &first, DAY, 0);
    check_living(&world, mailer, &[(first.id, Some(after(HOUR))), (second.id, Some(after(HOUR)))]);
}

/// Once the old key outlived its overlap by as much as the clock had been ahead.
#[test]
fn an_overlap_that_a_wrong_clock_gave_does_not_outlast_the_longest() {
    let (mut world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new());
    let right = world.now();
    world.clock.advance(365 * DAY);
    rotate(&world, &first, DAY, 1);
    let until = after(366 * DAY);
    assert!(verifies(&world, &first));
    world.clock.set(right + HOUR);
    world.reopen();
    assert!(!verifies(&world, &first), "it would be valid for more than 30 days");
    let cause = world.store.explain((first.key.expose(), None)).unwrap().cause;
    assert_eq!(cause, gatepost::status::RefusalCause::Clock);
    // As a key that was issued in the future: not before its time.
    world.clock.set(until - 30 * DAY);
    assert!(verifies(&world, &first));
    world.clock.set(until);
    assert!(!verifies(&world, &first));
}

/// A caller whose answer was lost rotates the old key once more, in its overlap.
#[test]
fn a_rotated_key_hands_on_its_label_and_lifetime() {
    let (world, mailer) = mailer();
    let new = NewApiKey::new().label("night run").lifetime(30 * DAY);
    let first = issue(&world, mailer, new);
    world.clock.advance(DAY);
    for _ in 0..2 {
        let next = rotate(&world, &first, HOUR, 1 - world.count(SHORTENED));
        assert_eq!(next.expires_at, Some(after(31 * DAY)));
    }
    let labels = world.store.api_keys().list(mailer).unwrap();
    assert!(labels.iter().all(|key| key.label.as_deref() == Some("night run")));
    assert_eq!(labels.len(), 3);
}

const SHORTENED: &str =
    "SELECT EXISTS (SELECT 1 FROM api_key WHERE expires_at < issued_at + lifetime_ms)";

#[test]
fn a_key_that_has_ended_is_not_rotated() {
    let (world, mailer) = mailer();
    let rotate = |id, overlap| {
        world.refuses(ErrorKind::NotFound, |store| store.api_keys().rotate(id, overlap));
    };
    let revoked = issue(&world, mailer, NewApiKey::new());
    world.store.api_keys().revoke(revoked.id).unwrap();
    let expired = issue(&world, mailer, NewApiKey::new().lifetime(HOUR));
    world.clock.advance(HOUR);
    let of_deleted = issue(&world, mailer, NewApiKey::new());
    world.store.users().delete(mailer).unwrap();
    let unknown = UNKNOWN.parse().unwrap();
    for id in [revoked.id, expired.id, of_deleted.id, unknown] {
        rotate(id, Duration::ZERO);
        rotate(id, HOUR);
    }
}

#[test]
fn an_overlap_is_at_most_30_days() {
    let (world, mailer) = mailer();
    let key = issue(&world, mailer, NewApiKey::new());
    for overlap in [30 * DAY + Duration::from_nanos(1), Duration::MAX] {
        world.refuses(ErrorKind::Invalid, |store| store.api_keys().rotate(key.id, overlap));
    }
    rotate(&world, &key, 30 * DAY, 1);
}

#[test]
fn a_user_of_1000_keys_rotates_without_an_overlap_alone() {
    let (world, mailer) = mailer();
    let old = issue(&world, mailer, NewApiKey::new());
    world
        .sql()
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
             SELECT randomblob(16), randomblob(32), user_id, issued_seq, issued_at FROM api_key, n",
            [],
        )
        .unwrap();
    world.refuses(ErrorKind::LimitReached, |store| store.api_keys().rotate(old.id, HOUR));
    assert!(verifies(&world, &old));
    let new = world.store.api_keys().rotate(old.id, Duration::ZERO).unwrap();
    assert!(!verifies(&world, &old) && verifies(&world, &new));
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
    world.refuses(ErrorKind::NotFound, |store| store.api_keys().revoke(issued.id));
}

#[test]
fn who_is_not_there_gets_none_and_has_none() {
    let (world, mailer) = mailer();
    issue(&world, mailer, NewApiKey::new());
    world.store.users().delete(mailer).unwrap();
    let unknown: UserId = UNKNOWN.parse().unwrap();
    for user in [mailer, unknown] {
        world.refuses(ErrorKind::NotFound, |store| store.api_keys().issue(user, NewApiKey::new()));
        world.refuses(ErrorKind::NotFound, |store| store.api_keys().revoke_all(user));
        check_living(&world, user, &[]);
    }
    world.refuses(ErrorKind::NotFound, |store| {
        store.api_keys().revoke(UNKNOWN.parse::<ApiKeyId>().unwrap())
    });
}

#[test]
fn a_suspended_user_keeps_its_keys_and_may_get_one() {
    let (world, mailer) = mailer();
    let first = issue(&world, mailer, NewApiKey::new());
    world.store.users().set_status(mailer, UserStatus::Locked).unwrap();
    assert!(!verifies(&world, &first));
    check_living(&world, mailer, &[(first.id, None)]);
    let second = rotate(&world, &first, DAY, 1);
    assert!(!verifies(&world, &second));
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
        let new = NewApiKey::new().label(label.clone()).expires_at(Timestamp::from_millis(at));
        let Ok(issued) = world.store.api_keys().issue(mailer, new.clone()) else {
            world.refuses(ErrorKind::Invalid, |store| store.api_keys().issue(mailer, new));
            return Ok(());
        };
        prop_assert_eq!(issued.expires_at, Some(Timestamp::from_millis(at)));
        match world.store.api_keys().rotate(issued.id, overlap) {
            Ok(next) => {
                let label_of = |id| world.store.api_keys().list(mailer).unwrap()
                    .into_iter().find(|key| key.id == id).and_then(|key| key.label);
                prop_assert_eq!(label_of(next.id), Some(label));
                prop_assert_eq!(next.expires_at, issued.expires_at);
            }
            Err(_) => world.refuses(ErrorKind::Invalid, |store| {
                store.api_keys().rotate(issued.id, overlap)
            }),
        }
        world.store.api_keys().revoke_all(mailer).unwrap();
    });
}

fn mailer() -> (World, UserId) {
    let world = World::new();
    let mailer = user(&world, "mailer");
    (world, mailer)
}

fn after(span: Duration) -> Timestamp {
    morning() + span
}

#[track_caller]
fn issue(world: &World, user: UserId, new: NewApiKey) -> IssuedApiKey {
    world.store.api_keys().issue(user, new).unwrap()
}

#[track_caller]
fn rotate(world: &World, old: &IssuedApiKey, overlap: Duration, changes: i64) -> IssuedApiKey {
    world
        .leaves(&[EventKind::ApiKeyRotated], changes, |store| {
            store.api_keys().rotate(old.id, overlap)
        })
        .unwrap()
}

/// The live keys, in any order, and when each expires.
#[track_caller]
fn check_living(world: &World, user: UserId, expect: &[(ApiKeyId, Option<Timestamp>)]) {
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
    world.store.verify((&issued.key, None)).unwrap().valid().is_ok()
}

#[test]
fn scopes_out_of_their_bounds_make_no_key() {
    let world = World::with(|options| options.api_keys_per_user(2));
    let ada = world.person("ada").id;
    let many = |count| (0..count).map(|n| format!("scope.{n}")).collect::<Vec<_>>();
    let (long, longest) = ("a".repeat(65), "a".repeat(64));
    let mut refused = vec![many(65), vec![long]];
    refused.extend(["", "Print", "two words", "print\n", "é"].map(|name| vec![name.to_owned()]));
    for scopes in refused {
        let new = NewApiKey::new().scopes(scopes);
        world.refuses(ErrorKind::Invalid, |store| store.api_keys().issue(ada, new));
    }
    for scopes in [many(64), vec![longest]] {
        world.store.api_keys().issue(ada, NewApiKey::new().scopes(scopes)).unwrap();
    }
}
