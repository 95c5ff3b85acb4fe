//! Organisations: created, renamed, listed and deleted.

use gatepost::{EventKind, OrganisationId, Page, Reason};
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
    world.refuses(Reason::NotEmpty, |store| store.organisations().delete(made.id));
    world.store.branches().move_to(branch.id, None).unwrap();
    world
        .leaves(&[EventKind::OrganisationDeleted], 1, |store| {
            store.organisations().delete(made.id)
        })
        .unwrap();
    assert_eq!(world.store.organisations().find(made.id).unwrap(), None);
    world.refuses(Reason::NotFound, |store| store.organisations().delete(made.id));
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let nobody: OrganisationId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    assert_eq!(world.store.organisations().find(nobody).unwrap(), None);
    world.refuses(Reason::NotFound, |store| store.organisations().rename(nobody, "Northern"));
    world.refuses(Reason::NotFound, |store| store.organisations().delete(nobody));
    world.refuses(Reason::NotFound, |store| store.organisations().set_active(nobody, false));
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
        let rows = organisations.list(page).unwrap();
        seen.extend(rows.iter().map(|row| row.id));
        match rows.last() {
            Some(last) if rows.len() == 2 => page = Page::after(last.id, 2),
            _ => break,
        }
    }
    assert_eq!(seen, made);
    world.refuses(Reason::Invalid, |store| store.organisations().list(Page::first(501)));
}

#[test]
fn a_name_is_one_visible_line_of_256_bytes() {
    let world = World::new();
    for name in ["", " ", "\u{200b}", "a\nb", "\0", &"a".repeat(257)] {
        world.refuses(Reason::Invalid, |store| store.organisations().create(name));
    }
    assert!(world.store.organisations().create(&"a".repeat(256)).is_ok());
}

#[test]
fn no_name_panics_and_a_refused_one_leaves_nothing() {
    let world = World::new();
    let made = world.store.organisations().create("Northern").unwrap();
    proptest!(ProptestConfig::with_cases(64), |(name in any::<String>())| {
        match world.store.organisations().rename(made.id, &name) {
            Ok(renamed) => prop_assert_eq!(renamed.name, name),
            Err(_) => {
                world.refuses(Reason::Invalid, |store| store.organisations().create(&name));
            }
        }
    });
}
