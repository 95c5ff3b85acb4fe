//! Organisations: created, renamed, listed and deleted.

use gatepost::audit::EventKind;
use gatepost::directory::OrganisationFilter;
use gatepost::{ErrorKind, OrganisationId, Page};
use proptest::prelude::*;

use crate::world::{World, morning};

#[test]
fn one_is_created_active_under_the_name_as_given() {
    let world = World::new();
    let made = world
        .leaves(&[EventKind::OrganisationCreated], 0, |store| {
            store.organisations().create("Große Firma")
        })
        .unwrap();
    assert_eq!((made.name.as_str(), made.active), ("Große Firma", true));
    assert_eq!(made.created_at, morning());
    assert_eq!(world.store.organisations().find(made.id).unwrap(), Some(made));
}

#[test]
fn two_may_have_one_name() {
    let world = World::new();
    let one = world.store.organisations().create("Northern").unwrap();
    let two = world.store.organisations().create("Northern").unwrap();
    assert_ne!(one.id, two.id);
}

#[test]
fn a_new_name_ends_nothing_and_the_same_name_is_no_change() {
    let world = World::new();
    let made = world.store.organisations().create("Northern").unwrap();
    let renamed = world
        .leaves(&[EventKind::OrganisationRenamed], 0, |store| {
            store.organisations().rename(made.id, "Southern")
        })
        .unwrap();
    assert_eq!(renamed.name, "Southern");
    assert_eq!(world.store.organisations().find(made.id).unwrap(), Some(renamed.clone()));
    let again =
        world.leaves(&[], 0, |store| store.organisations().rename(made.id, "Southern")).unwrap();
    assert_eq!(again, renamed);
}

#[test]
fn only_one_without_branches_is_deleted() {
    let world = World::new();
    let made = world.store.organisations().create("Northern").unwrap();
    let branch = world.store.branches().create("York", made.id).unwrap();
    world.refuses(ErrorKind::NotEmpty, |store| store.organisations().delete(made.id));
    world.store.branches().move_to(branch.id, None).unwrap();
    world
        .leaves(&[EventKind::OrganisationDeleted], 1, |store| {
            store.organisations().delete(made.id)
        })
        .unwrap();
    assert_eq!(world.store.organisations().find(made.id).unwrap(), None);
    world.refuses(ErrorKind::NotFound, |store| store.organisations().delete(made.id));
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let unknown: OrganisationId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    assert_eq!(world.store.organisations().find(unknown).unwrap(), None);
    world.refuses(ErrorKind::NotFound, |store| store.organisations().rename(unknown, "Northern"));
    world.refuses(ErrorKind::NotFound, |store| store.organisations().delete(unknown));
    world.refuses(ErrorKind::NotFound, |store| store.organisations().set_active(unknown, false));
}

#[test]
fn a_list_is_read_page_by_page() {
    let world = World::new();
    let organisations = world.store.organisations();
    let mut made: Vec<OrganisationId> =
        (0..5).map(|n| organisations.create(&format!("No. {n}")).unwrap().id).collect();
    made.sort();
    let mut seen = Vec::new();
    let mut page = Page::first(2);
    loop {
        let rows = organisations.list(&OrganisationFilter::new(), page).unwrap();
        seen.extend(rows.iter().map(|row| row.id));
        match rows.last() {
            Some(last) if rows.len() == 2 => page = Page::after(last.id, 2),
            _ => break,
        }
    }
    assert_eq!(seen, made);
    organisations.set_active(made[3], false).unwrap();
    let check = |filter: OrganisationFilter, expect: &[OrganisationId]| {
        let all: Vec<_> = organisations.iter(&filter).map(|row| row.unwrap().id).collect();
        assert_eq!(all, expect, "{filter:?}");
        assert_eq!(organisations.count(&filter).unwrap(), expect.len() as u64, "{filter:?}");
        let listed = organisations.list(&filter, Page::default()).unwrap();
        assert_eq!(listed.len(), expect.len(), "{filter:?}");
    };
    check(OrganisationFilter::new(), &made);
    check(OrganisationFilter::new().active(false), &made[3..4]);
    check(OrganisationFilter::new().active(true), &[made[0], made[1], made[2], made[4]]);
    world.refuses(ErrorKind::Invalid, |store| {
        store.organisations().list(&OrganisationFilter::new(), Page::first(501))
    });
}

#[test]
fn a_name_is_one_visible_line_of_256_bytes() {
    let world = World::new();
    for name in ["", " ", "\u{200b}", "a\nb", "\0", &"a".repeat(257)] {
        world.refuses(ErrorKind::Invalid, |store| store.organisations().create(name));
    }
    assert!(world.store.organisations().create(&"a".repeat(256)).is_ok());
}

#[test]
fn no_name_panics_and_a_refused_one_leaves_nothing() {
    let world = World::new();
    let made = world.store.organisations().create("Northern").unwrap();
    proptest!(ProptestConfig::with_cases(64), |(name in any::<String>())| {
        match world.store.organisations().rename(made.id, &name) {
            Ok(renamed) => {
                prop_assert!(renamed.has_name(&name));
                let again = world.store.organisations().rename(made.id, &renamed.name);
                prop_assert_eq!(again.unwrap().name, renamed.name);
            }
            Err(_) => {
                world.refuses(ErrorKind::Invalid, |store| store.organisations().create(&name));
            }
        }
    });
}
