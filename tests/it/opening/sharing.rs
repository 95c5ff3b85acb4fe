//! One file, one core: whatever the name, and however often it is opened.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use gatepost::directory::OrganisationFilter;
use gatepost::{ErrorKind, Page, Store};

use super::Place;
use crate::child::Child;
use crate::world::{Meanwhile, World, for_tests, wait_for_reads};

fn names(store: &Store) -> Vec<String> {
    let listed = store.organisations().list(&OrganisationFilter::new(), Page::default()).unwrap();
    listed.into_iter().map(|organisation| organisation.name).collect()
}

#[test]
fn a_link_and_a_relative_path_are_the_same_file() {
    let world = World::new();
    let link = world.directory().join("link.db");
    symlink(&world.path, &link).unwrap();
    let up: PathBuf =
        std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(world.path.strip_prefix("/").unwrap());
    assert!(relative.is_relative());

    for path in [&world.path, &link, &relative] {
        let second = Store::open(path, world.options.clone()).unwrap();
        let name = path.to_str().unwrap();
        second.organisations().create(name).unwrap();
        assert!(names(&world.store).contains(&name.to_owned()));
        assert_eq!(second.status().path, world.store.status().path);
    }
    assert_eq!(names(&world.store).len(), 3);
}

#[test]
fn other_options_for_an_open_file_are_misuse_and_the_first_is_named() {
    let world = World::new();
    let own = || world.options.clone();
    let clock = std::sync::Arc::new(gatepost::host::ManualClock::new(world.now()));
    for (options, name) in [
        (own().service_name("Other"), "service_name"),
        (own().sessions(gatepost::policy::SessionPolicy::web()), "lifetime"),
        (own().max_concurrent_hashes(1_024), "max_concurrent_hashes"),
        (own().dangerous().allow_hard_links(), "dangerous"),
        (own().clock(clock), "clock"),
        (own().breach_check(crate::world::Meanwhile::default().check()), "breach_check"),
    ] {
        let refused = Store::open(&world.path, options).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Misuse);
        let expected = format!("the file is open in this process with another value of {name}");
        assert_eq!(refused.to_string(), expected);
    }
    world.store.organisations().create("Northern").unwrap();
}

#[test]
fn closing_one_handle_closes_all() {
    let world = World::new();
    let second = Store::open(&world.path, world.options.clone()).unwrap();
    let clone = second.clone();
    second.close().unwrap();
    for store in [&world.store, &second, &clone] {
        for refused in [
            store.organisations().create("Northern").map(drop),
            store.organisations().list(&OrganisationFilter::new(), Page::default()).map(drop),
            store.audit().anchor().map(drop),
            store.audit().verify_chain(None).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        }
        store.close().unwrap();
    }
    assert!(!world.directory().join("auth.db-wal").exists());
}

#[test]
fn a_closed_file_is_opened_again_while_old_handles_live() {
    let world = World::new();
    world.store.organisations().create("Northern").unwrap();
    world.store.close().unwrap();
    let other = world.options.clone().service_name("Other");
    let again = Store::open(&world.path, other).unwrap();
    assert_eq!(names(&again), ["Northern"]);
    assert_eq!(world.store.audit().anchor().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_file_whose_handles_are_gone_may_have_other_options() {
    let place = Place::new();
    drop(place.open(for_tests()).unwrap());
    drop(place.open(for_tests().service_name("Other")).unwrap());
}

/// Both would write to the one log that lies there.
#[test]
fn no_new_file_takes_the_place_of_an_open_one() {
    let world = World::new();
    let aside = world.directory().join("aside.db");
    std::fs::rename(&world.path, &aside).unwrap();
    let refused = Store::open(&world.path, world.options.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsafe);
    assert!(!world.path.exists());
    std::fs::rename(&aside, &world.path).unwrap();
    drop(Store::open(&world.path, world.options.clone()).unwrap());

    let place = Place::new();
    let mut other = Child::start("open", &[place.path.to_str().unwrap()]);
    assert_eq!(other.hear(), "open");
    std::fs::rename(&place.path, place.directory.path().join("aside.db")).unwrap();
    let refused = place.open(for_tests()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(!place.path.exists());
    other.kill();
}

#[test]
fn many_threads_open_one_core() {
    let place = Place::new();
    let (start, opened) = (Barrier::new(8), Barrier::new(8));
    let options = for_tests();
    thread::scope(|scope| {
        for at in 0..8 {
            let (place, start, opened, options) = (&place, &start, &opened, options.clone());
            scope.spawn(move || {
                start.wait();
                let store = place.open(options).unwrap();
                store.organisations().create(&format!("No. {at}")).unwrap();
                opened.wait();
                assert_eq!(names(&store).len(), 8);
            });
        }
    });
}

/// An opening may wait for other processes, migrate and write a backup: a program with a file for
/// each of its customers does not stand still meanwhile.
#[test]
fn an_opening_of_another_file_does_not_wait_for_one() {
    let place = Place::new();
    let [there_already, new] = ["-that-is-there", "-new"].map(|suffix| place.beside(suffix));
    drop(Store::open(&there_already, for_tests()).unwrap());
    let meanwhile = Meanwhile::default();
    let (opened, hears) = mpsc::channel();
    meanwhile.happens(move || {
        thread::spawn(move || {
            for path in [there_already, new] {
                drop(Store::open(path, for_tests()).unwrap());
            }
            opened.send(()).unwrap();
        });
        hears.recv_timeout(Duration::from_secs(60)).expect("it waits for the other opening");
    });
    drop(place.open(for_tests().random_source(meanwhile.source())).unwrap());
}

#[test]
fn an_opening_of_the_same_file_waits_for_one_and_shares_its_core() {
    let place = Place::new();
    let meanwhile = Meanwhile::default();
    let (opened, hears) = mpsc::channel();
    let path = place.path.clone();
    meanwhile.happens(move || {
        thread::spawn(move || opened.send(Store::open(path, for_tests().service_name("Other"))));
        wait_for_reads();
    });
    let _store = place.open(for_tests().random_source(meanwhile.source())).unwrap();
    let refused = hears.recv().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse, "{refused}");
}

/// The thread would wait for itself, or for a thread that waits for it.
#[test]
fn a_random_source_that_opens_a_store_while_one_is_opened_is_misuse() {
    let place = Place::new();
    let meanwhile = Meanwhile::default();
    let (opened, hears) = mpsc::channel();
    let other = place.beside("-other");
    meanwhile.happens(move || opened.send(Store::open(other, for_tests())).unwrap());
    let store = place.open(for_tests().random_source(meanwhile.source())).unwrap();
    assert_eq!(hears.recv().unwrap().unwrap_err().kind(), ErrorKind::Misuse);
    store.close().unwrap();
    drop(Store::open(place.beside("-other"), for_tests()).unwrap());
}

#[test]
fn a_file_that_is_replaced_before_it_is_opened_is_busy() {
    let [place, other] = [Place::ours(), Place::ours()];
    let meanwhile = Meanwhile::default();
    let (from, to) = (other.path.clone(), place.path.clone());
    meanwhile.happens(move || std::fs::rename(from, to).unwrap());
    let refused = place.open(for_tests().random_source(meanwhile.source())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    drop(place.open(for_tests()).unwrap());
}
