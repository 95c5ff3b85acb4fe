//! Credits: counted or not, spent to zero and never below.

use std::thread;

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::CreditHolder;
use gatepost::{BranchId, ErrorKind, Page};
use proptest::prelude::*;

use crate::world::World;

const MOST: u64 = i64::MAX as u64;

#[test]
fn nothing_is_counted_until_credits_are_set() {
    let (world, york) = york();
    assert_eq!(world.store.credits().remaining(york).unwrap(), None);
    world.refuses(ErrorKind::NotFound, |store| store.credits().spend(york, 1));
    world.refuses(ErrorKind::NotFound, |store| store.credits().add(york, 1));
    world.leaves(&[], 0, |store| store.credits().set(york, None)).unwrap();
    world.leaves(&[EventKind::CreditsSet], 0, |store| store.credits().set(york, 0)).unwrap();
    assert_eq!(world.store.credits().remaining(york).unwrap(), Some(0));
}

#[test]
fn they_are_added_and_spent_to_the_last() {
    let (world, york) = york();
    world.store.credits().set(york, 5).unwrap();
    check(&world, EventKind::CreditsAdded, 2, 7, |n| world.store.credits().add(york, n));
    check(&world, EventKind::CreditsSpent, 7, 0, |n| world.store.credits().spend(york, n));
    for too_many in [1, MOST, u64::MAX] {
        world.refuses(ErrorKind::Insufficient, |store| store.credits().spend(york, too_many));
    }
    assert_eq!(world.store.credits().remaining(york).unwrap(), Some(0));
}

#[test]
fn none_spent_or_added_is_no_change() {
    let (world, york) = york();
    world.store.credits().set(york, 5).unwrap();
    world.leaves(&[], 0, |store| store.credits().set(york, 5)).unwrap();
    assert_eq!(world.leaves(&[], 0, |store| store.credits().spend(york, 0)).unwrap(), 5);
    assert_eq!(world.leaves(&[], 0, |store| store.credits().add(york, 0)).unwrap(), 5);
}

#[test]
fn there_are_never_more_than_can_be_counted() {
    let (world, york) = york();
    world.refuses(ErrorKind::Invalid, |store| store.credits().set(york, MOST + 1));
    world.store.credits().set(york, MOST).unwrap();
    for too_many in [1, MOST] {
        world.refuses(ErrorKind::LimitReached, |store| store.credits().add(york, too_many));
    }
    world.refuses(ErrorKind::Invalid, |store| store.credits().add(york, MOST + 1));
    assert_eq!(world.store.credits().spend(york, MOST).unwrap(), 0);
}

#[test]
fn a_branch_and_its_organisation_are_counted_apart() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", northern).unwrap().id;
    let (credits, branch) = (world.store.credits(), CreditHolder::Branch(york));
    let organisation = CreditHolder::Organisation(northern);
    credits.set(organisation, 100).unwrap();
    assert_eq!(credits.remaining(branch).unwrap(), None);
    credits.set(branch, 3).unwrap();
    credits.spend(branch, 2).unwrap();
    assert_eq!(credits.remaining(organisation).unwrap(), Some(100));
    assert_eq!(credits.remaining(branch).unwrap(), Some(1));
    world
        .leaves(&[EventKind::CreditsRemoved], 0, |store| store.credits().set(organisation, None))
        .unwrap();
    assert_eq!(credits.remaining(organisation).unwrap(), None);
    assert_eq!(credits.remaining(branch).unwrap(), Some(1));
}

#[test]
fn a_holder_that_is_not_there_has_none() {
    let (world, york) = york();
    let unknown: BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    let unknown = CreditHolder::Branch(unknown);
    world.refuses(ErrorKind::NotFound, |store| store.credits().set(unknown, 1));
    world.refuses(ErrorKind::NotFound, |store| store.credits().set(unknown, None));
    assert_eq!(world.store.credits().remaining(unknown).unwrap(), None);

    world.store.credits().set(york, 1).unwrap();
    let CreditHolder::Branch(id) = york else { panic!("York is a branch") };
    world.store.branches().delete(id).unwrap();
    assert_eq!(world.store.credits().remaining(york).unwrap(), None);
    assert_eq!(world.count("SELECT count(*) FROM credit"), 0);
}

#[test]
fn threads_together_spend_each_credit_once() {
    let (world, york) = york();
    world.store.credits().set(york, 20).unwrap();
    let spenders: Vec<_> = (0..4)
        .map(|_| {
            let store = world.store.clone();
            thread::spawn(move || {
                (0..10).filter(|_| store.credits().spend(york, 1).is_ok()).count()
            })
        })
        .collect();
    let spent: usize = spenders.into_iter().map(|spender| spender.join().unwrap()).sum();
    assert_eq!(spent, 20);
    assert_eq!(world.store.credits().remaining(york).unwrap(), Some(0));
}

#[test]
fn no_number_panics_or_goes_below_zero() {
    let (world, york) = york();
    proptest!(ProptestConfig::with_cases(64), |(
        start in 0..=MOST,
        steps in [step(), step(), step(), step()],
    )| {
        world.store.credits().set(york, start).unwrap();
        let mut left = start;
        for (adds, number) in steps {
            let credits = world.store.credits();
            let expected = if adds {
                left.checked_add(number).filter(|sum| *sum <= MOST)
            } else {
                left.checked_sub(number)
            };
            let answer =
                if adds { credits.add(york, number) } else { credits.spend(york, number) };
            prop_assert_eq!(answer.ok(), expected);
            left = expected.unwrap_or(left);
            prop_assert_eq!(credits.remaining(york).unwrap(), Some(left));
        }
    });
}

/// Whether to add or to spend, and how many.
fn step() -> impl Strategy<Value = (bool, u64)> {
    (any::<bool>(), prop_oneof![0..10_u64, any::<u64>()])
}

fn york() -> (World, CreditHolder) {
    let world = World::new();
    let york = CreditHolder::Branch(world.store.branches().create("York", None).unwrap().id);
    (world, york)
}

/// One change by `number`, which the log counts.
#[track_caller]
fn check(
    world: &World,
    kind: EventKind,
    number: u64,
    expect: u64,
    change: impl FnOnce(u64) -> Result<u64, gatepost::Error>,
) {
    assert_eq!(world.leaves(&[kind], 0, |_| change(number)).unwrap(), expect);
    let log = world.store.audit().list(&AuditFilter::new().kind(kind), Page::default()).unwrap();
    assert_eq!(log.last().unwrap().count, i64::try_from(number).ok());
}
