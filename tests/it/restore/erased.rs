//! Persons in the file that a restore replaces and not in the backup, or the other way round.

use gatepost::backup::RestoreOptions;
use gatepost::{ClientInfo, ErrorKind, LoginRequest, NewUser, Password, Store, UserId};

use super::{backs_up, copy, restores};
use crate::world::{PASSWORD, World, device};

const NAME: &str = "xanthippe-planted";

/// A person whose name and address are in the log as well.
fn plant(world: &World) -> UserId {
    let new = NewUser::person(NAME).password(Password::from(PASSWORD));
    let id = world.store.users().create(new.email("xanthippe@example.com")).unwrap().id;
    let from = ClientInfo::new().user_agent("xanthippe-agent");
    let login =
        LoginRequest::new(NAME, Password::from(PASSWORD), device("till")).client_info(from);
    world.store.log_in(login).unwrap().granted().unwrap();
    id
}

/// How often something of the person is in the file and beside it, except in the backup.
fn occurrences(world: &World) -> usize {
    let files = std::fs::read_dir(world.directory()).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| !entry.file_name().to_string_lossy().starts_with("copy.db"));
    let found = files.map(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(9).filter(|window| *window == b"xanthippe").count()
    });
    found.sum()
}

#[test]
fn who_was_erased_stays_erased_whatever_the_backup_has() {
    for all_as_in_backup in [false, true] {
        let mut world = World::new();
        let erased = plant(&world);
        backs_up(&world);
        world.store.users().delete(erased).unwrap();
        world.store.users().erase(erased).unwrap();
        let anchor = world.store.audit().anchor().unwrap();
        let mut options = RestoreOptions::new(world.options.clone());
        if all_as_in_backup {
            options = options.all_as_in_backup();
        }
        let report = Store::restore(copy(&world), &world.path, options).unwrap();
        assert!(report.audit_log_kept);
        assert_eq!(world.store.users().find_by_username(NAME).unwrap(), None);
        let again = world.store.users().restore(erased).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
        assert!(world.store.audit().verify_chain(Some(&anchor)).unwrap().is_intact());
        world.reopen();
        assert_eq!(occurrences(&world), 0);
    }
}

/// The log of the file does not continue that of the backup, so the log of the backup stays.
#[test]
fn who_was_erased_stays_erased_under_the_log_of_the_backup() {
    let mut world = World::new();
    let erased = plant(&world);
    world.reopen();
    let branch = world.directory().join("branch.db");
    backs_up(&world);
    std::fs::copy(copy(&world), &branch).unwrap();
    Store::adopt_restored(&branch, world.options.clone()).unwrap();
    let other = Store::open(&branch, world.options.clone()).unwrap();
    std::fs::remove_file(copy(&world)).unwrap();
    other.backup(copy(&world), |_| ()).unwrap();
    other.close().unwrap();
    std::fs::remove_file(&branch).unwrap();
    world.store.users().delete(erased).unwrap();
    world.store.users().erase(erased).unwrap();
    let report = restores(&world);
    assert!(!report.audit_log_kept);
    assert_eq!(world.store.users().find_by_username(NAME).unwrap(), None);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    world.reopen();
    assert_eq!(occurrences(&world), 0);
}

/// The salt that proves the rows of the log about a user is in the row of the user.
#[test]
fn users_who_were_created_since_are_deleted_ones_whom_the_log_names() {
    let world = World::new();
    backs_up(&world);
    let since = plant(&world);
    let gone = world.person("gone").id;
    world.store.users().delete(gone).unwrap();
    let erased = world.person("erased").id;
    world.store.users().delete(erased).unwrap();
    world.store.users().erase(erased).unwrap();
    let anchor = world.store.audit().anchor().unwrap();
    let report = restores(&world);
    assert_eq!(report.users_not_brought_back, [since]);
    assert!(world.store.audit().verify_chain(Some(&anchor)).unwrap().is_intact());
    assert_eq!(world.store.users().find_by_username(NAME).unwrap(), None);
    world.store.users().restore(gone).unwrap();
    assert!(world.store.users().restore(erased).is_err());
    let restored = world.store.users().restore(since).unwrap();
    assert_eq!(restored.username, NAME);
    assert!(world.log_in(NAME, PASSWORD, "till").is_err(), "the password is gone");
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}
