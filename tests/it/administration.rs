//! Administrations: granted, withdrawn, and gone with the place and the erasure.

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::{ErrorKind, NewUser, Page, Permission, Subtree};

use crate::world::{World, device};

#[test]
fn an_administration_is_granted_and_withdrawn_once_each() {
    let world = World::new();
    let (ada, users) = (world.person("ada").id, world.store.users());
    let york = world.store.branches().create("York", None).unwrap().id;
    let north = world.store.organisations().create("North").unwrap().id;
    world.leaves(&[EventKind::UserAdministrationGranted], 0, |store| {
        assert!(store.users().grant_administration(ada, york).unwrap());
    });
    let entry = world.last_event();
    assert_eq!((entry.user, entry.branch, entry.organisation), (Some(ada), Some(york), None));
    world.leaves(&[], 0, |store| {
        assert!(!store.users().grant_administration(ada, york).unwrap());
    });
    assert!(users.grant_administration(ada, north).unwrap());
    assert_eq!(world.last_event().organisation, Some(north));
    let both = [Subtree::Branch(york), Subtree::Organisation(north)];
    assert_eq!(users.administrations(ada).unwrap(), both);
    world.leaves(&[EventKind::UserAdministrationWithdrawn], 0, |store| {
        assert!(store.users().withdraw_administration(ada, york).unwrap());
    });
    world.leaves(&[], 0, |store| {
        assert!(!store.users().withdraw_administration(ada, york).unwrap());
    });
    assert_eq!(users.administrations(ada).unwrap(), [Subtree::Organisation(north)]);
}

#[test]
fn an_administration_is_of_a_place_that_exists_and_of_a_user_who_does() {
    let world = World::new();
    let (ada, gone) = (world.person("ada").id, world.person("gone").id);
    let york = world.store.branches().create("York", None).unwrap().id;
    let north = world.store.organisations().create("North").unwrap().id;
    world.store.users().delete(gone).unwrap();
    world.store.organisations().delete(north).unwrap();
    let grant = |user, of: Subtree, kind| {
        world.refuses(kind, |store| store.users().grant_administration(user, of));
    };
    grant(ada, Subtree::Store, ErrorKind::Invalid);
    grant(ada, Subtree::User(ada), ErrorKind::Invalid);
    grant(ada, north.into(), ErrorKind::NotFound);
    grant(gone, york.into(), ErrorKind::NotFound);
    world.store.branches().delete(york).unwrap();
    grant(ada, york.into(), ErrorKind::NotFound);
    world.refuses(ErrorKind::Invalid, |store| {
        store.users().withdraw_administration(ada, Subtree::Store)
    });
    world.refuses(ErrorKind::NotFound, |store| store.users().withdraw_administration(gone, york));
}

#[test]
fn a_user_administers_64_places_at_most() {
    let world = World::new();
    let (ada, users) = (world.person("ada").id, world.store.users());
    for number in 0..=64 {
        let branch = world.store.branches().create(&format!("{number}"), None).unwrap().id;
        let granted = users.grant_administration(ada, branch);
        match number {
            64 => assert_eq!(granted.unwrap_err().kind(), ErrorKind::LimitReached),
            _ => assert!(granted.unwrap()),
        }
    }
    assert_eq!(users.administrations(ada).unwrap().len(), 64);
}

#[test]
fn an_administration_goes_with_its_place() {
    let world = World::new();
    let (ada, users) = (world.person("ada").id, world.store.users());
    let (branches, organisations) = (world.store.branches(), world.store.organisations());
    let north = organisations.create("North").unwrap().id;
    let york = branches.create("York", north).unwrap().id;
    users.grant_administration(ada, north).unwrap();
    users.grant_administration(ada, york).unwrap();
    branches.delete(york).unwrap();
    assert_eq!(users.administrations(ada).unwrap(), [Subtree::Organisation(north)]);
    organisations.delete(north).unwrap();
    assert_eq!(users.administrations(ada).unwrap(), []);
}

#[test]
fn a_deleted_user_keeps_its_administrations_until_it_is_erased() {
    let world = World::new();
    let (ada, users) = (world.person("ada").id, world.store.users());
    let york = world.store.branches().create("York", None).unwrap().id;
    users.grant_administration(ada, york).unwrap();
    let exported = users.personal_data(ada).unwrap().administrations;
    let exported: Vec<_> = exported.iter().map(|one| (one.place, one.granted_at)).collect();
    assert_eq!(exported, [(Subtree::Branch(york), world.now())]);
    users.delete(ada).unwrap();
    assert_eq!(users.administrations(ada).unwrap(), [Subtree::Branch(york)]);
    users.restore(ada).unwrap();
    assert_eq!(users.administrations(ada).unwrap(), [Subtree::Branch(york)]);
    users.delete(ada).unwrap();
    users.erase(ada).unwrap();
    assert_eq!(world.count("SELECT count(*) FROM administration"), 0);
}

#[test]
fn an_administration_is_no_privilege() {
    let world = World::new();
    let ada = world.person("ada").id;
    let york = world.store.branches().create("York", None).unwrap().id;
    let session = world.open(ada, "till");
    world.store.users().grant_administration(ada, york).unwrap();
    let verdict = world.store.verify((&session.token, &device("till"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert!(!principal.is_admin);
    assert_eq!(world.store.may(&principal, "admin").unwrap(), Permission::Denied);
    assert_eq!(world.user(ada).privileges, Vec::<String>::new());
}

/// The next verify sees the new place of the branch, and so does the next call of its
/// administrators.
#[test]
fn a_branch_that_moves_is_inside_of_its_new_organisation_alone() {
    let world = World::new();
    let store = &world.store;
    let [north, south] =
        ["North", "South"].map(|name| store.organisations().create(name).unwrap().id);
    let york = store.branches().create("York", north).unwrap().id;
    let ben = store.users().create(NewUser::person("ben").branch(york)).unwrap();
    let of = |name: &str, place: Subtree| {
        let user = world.person(name).id;
        store.users().grant_administration(user, place).unwrap();
        let session = world.open(user, name);
        let verdict = store.verify((&session.token, &device(name))).unwrap();
        store.administering(&verdict.valid().unwrap())
    };
    let (of_north, of_south) = (of("ada", north.into()), of("cai", south.into()));
    let of_york = of("dee", york.into());
    let seen =
        |by: &gatepost::administration::Administration| by.users().find(ben.id).unwrap().is_some();
    assert_eq!([&of_north, &of_south, &of_york].map(seen), [true, false, true]);
    store.branches().move_to(york, south).unwrap();
    assert_eq!([&of_north, &of_south, &of_york].map(seen), [false, true, true]);
}

#[test]
fn the_audit_log_names_the_administrator_and_its_session() {
    let world = World::new();
    let store = &world.store;
    let york = store.branches().create("York", None).unwrap().id;
    let ben = store.users().create(NewUser::person("ben").branch(york)).unwrap().id;
    let ada = world.person("ada").id;
    store.users().grant_administration(ada, york).unwrap();
    let session = world.open(ada, "till");
    let principal = store.verify((&session.token, &device("till"))).unwrap().valid().unwrap();
    let last = world.count("SELECT max(head_seq) FROM audit_chain");
    let of_ada = store.administering(&principal);
    of_ada.users().set_password(ben, crate::world::PASSWORD.into()).unwrap();
    of_ada.users().grant_administration(ben, york).unwrap();
    of_ada.users().delete(ben).unwrap();
    let log = store.audit().list(&AuditFilter::new(), Page::after(last, 500)).unwrap();
    assert_eq!(log.len(), 3);
    for entry in log {
        assert_eq!(entry.actor, gatepost::Actor::Session { user: ada, session: session.id });
    }
}
