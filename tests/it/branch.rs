//! Branches: created, renamed, listed and deleted.

use gatepost::audit::EventKind;
use gatepost::directory::BranchFilter;
use gatepost::{BranchId, ErrorKind, NewUser, OrganisationId, Page};
use proptest::prelude::*;

use crate::world::{World, morning};

#[test]
fn one_is_created_in_an_organisation_or_in_none() {
    let world = World::new();
    let northern = world.store.organisations().create("Northern").unwrap();
    let york = world
        .leaves(&[EventKind::BranchCreated], 0, |store| {
            store.branches().create("York", northern.id)
        })
        .unwrap();
    assert_eq!((york.name.as_str(), york.active), ("York", true));
    assert_eq!((york.organisation, york.created_at), (Some(northern.id), morning()));
    assert_eq!(world.store.branches().find(york.id).unwrap(), Some(york));
    assert_eq!(world.store.branches().create("Alone", None).unwrap().organisation, None);
}

#[test]
fn none_is_created_in_an_organisation_that_is_not_there() {
    let world = World::new();
    let unknown: OrganisationId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.branches().create("York", unknown));
}

#[test]
fn a_new_name_ends_nothing_and_the_same_name_is_no_change() {
    let world = World::new();
    let made = world.store.branches().create("York", None).unwrap();
    let renamed = world
        .leaves(&[EventKind::BranchRenamed], 0, |store| store.branches().rename(made.id, "Leeds"))
        .unwrap();
    assert_eq!(world.store.branches().find(made.id).unwrap(), Some(renamed));
    world.leaves(&[], 0, |store| store.branches().rename(made.id, "Leeds")).unwrap();
}

#[test]
fn only_one_without_users_is_deleted() {
    let world = World::new();
    let york = world.store.branches().create("York", None).unwrap();
    let ada = world.store.users().create(NewUser::person("ada").branch(york.id)).unwrap().id;
    world.refuses(ErrorKind::NotEmpty, |store| store.branches().delete(york.id));
    world.store.users().delete(ada).unwrap();
    world
        .leaves(&[EventKind::BranchDeleted], 1, |store| store.branches().delete(york.id))
        .unwrap();
    assert_eq!(world.store.branches().find(york.id).unwrap(), None);
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: BranchId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    assert_eq!(world.store.branches().find(unknown).unwrap(), None);
    world.refuses(ErrorKind::NotFound, |store| store.branches().rename(unknown, "York"));
    world.refuses(ErrorKind::NotFound, |store| store.branches().delete(unknown));
    world.refuses(ErrorKind::NotFound, |store| store.branches().set_active(unknown, false));
    world.refuses(ErrorKind::NotFound, |store| store.branches().move_to(unknown, None));
}

#[test]
fn a_list_is_filtered_and_read_page_by_page() {
    let world = World::new();
    let branches = world.store.branches();
    let northern = world.store.organisations().create("Northern").unwrap().id;
    let mut inside: Vec<BranchId> =
        (0..3).map(|n| branches.create(&format!("No. {n}"), northern).unwrap().id).collect();
    inside.sort();
    let alone = branches.create("Alone", None).unwrap().id;
    branches.set_active(alone, false).unwrap();

    let ids = |filter: &BranchFilter, page: Page<BranchId>| -> Vec<BranchId> {
        branches.list(filter, page).unwrap().iter().map(|branch| branch.id).collect()
    };
    let of_northern = BranchFilter::new().organisation(northern);
    assert_eq!(ids(&BranchFilter::new(), Page::default()).len(), 4);
    assert_eq!(ids(&of_northern, Page::first(2)), inside[..2]);
    assert_eq!(ids(&of_northern, Page::after(inside[1], 2)), inside[2..]);
    assert_eq!(ids(&BranchFilter::new().active(false), Page::default()), [alone]);
    for (filter, expect) in [
        (BranchFilter::new(), 4),
        (of_northern.clone(), 3),
        (BranchFilter::new().active(false), 1),
        (of_northern.clone().active(false), 0),
    ] {
        let all: Vec<BranchId> = branches.iter(&filter).map(|branch| branch.unwrap().id).collect();
        assert_eq!(all, ids(&filter, Page::default()), "{filter:?}");
        assert_eq!((all.len(), branches.count(&filter).unwrap()), (expect, expect as u64));
    }
    assert_eq!(ids(&of_northern.active(false), Page::default()), []);
    world.refuses(ErrorKind::Invalid, |store| {
        store.branches().list(&BranchFilter::new(), Page::first(0))
    });
}

#[test]
fn no_name_panics_and_a_refused_one_leaves_nothing() {
    let world = World::new();
    let made = world.store.branches().create("York", None).unwrap();
    proptest!(ProptestConfig::with_cases(64), |(name in any::<String>())| {
        match world.store.branches().rename(made.id, &name) {
            Ok(renamed) => {
                prop_assert!(renamed.has_name(&name));
                let again = world.store.branches().rename(made.id, &renamed.name);
                prop_assert_eq!(again.unwrap().name, renamed.name);
            }
            Err(_) => {
                world.refuses(ErrorKind::Invalid, |store| store.branches().create(&name, None));
            }
        }
    });
}
