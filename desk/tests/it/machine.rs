//! The private folder: what is in it, and for whom.

use std::path::Path;

use gatepost_desk::{Desk, DeskError, Folder};

use crate::world::{APP, World, options};

#[cfg(unix)]
#[test]
fn the_folder_and_its_files_are_private() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    drop(world.seat("ada"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    let folder = world.desk.folder().path();
    assert_eq!(mode(folder), 0o700);
    let names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in ["auth.db", "device", "lock"] {
        assert!(names.contains(&folder.join(name)), "{name}: {names:?}");
    }
    for path in names {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn no_token_is_in_the_folder() {
    let world = World::new();
    drop(world.seat("ada"));
    let token = world.vault.token().unwrap();
    for entry in std::fs::read_dir(world.desk.folder().path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()));
    }
}

#[test]
fn another_device_id_asks_for_the_password() {
    let world = World::new();
    drop(world.seat("ada"));
    std::fs::remove_file(world.desk.folder().path().join("device")).unwrap();
    let desk = world.restart();
    assert!(desk.resume().unwrap().is_none());
    assert_eq!(crate::world::seat(&desk, "ada").username(), "ada");
}

#[test]
fn a_damaged_device_file_is_an_error_that_names_it() {
    let world = World::new();
    let path = world.desk.folder().path().join("device");
    std::fs::write(&path, "").unwrap();
    let folder = world.desk.folder().clone();
    let error = Desk::builder(APP).folder(folder).options(options()).open().unwrap_err();
    let DeskError::Folder { path: named, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*named, path);
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// What others left in a folder while they could write to it is not used when it is private again.
#[cfg(unix)]
#[test]
fn what_others_put_into_the_folder_is_refused() {
    use std::os::unix::fs::{chown, symlink};
    let world = World::new();
    let good = std::fs::read_to_string(world.desk.folder().path().join("device")).unwrap();
    let elsewhere = world.desk.folder().path().join("elsewhere");
    std::fs::write(&elsewhere, &good).unwrap();
    for (name, kind) in [
        ("device", "link"),
        ("lock", "link"),
        ("device", "pipe"),
        ("lock", "pipe"),
        ("device", "another account's"),
        ("lock", "another account's"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::at(directory.path()).unwrap();
        let path = folder.path().join(name);
        match kind {
            "link" => symlink(&elsewhere, &path).unwrap(),
            "pipe" => {
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            }
            _ => {
                std::fs::write(&path, &good).unwrap();
                if chown(&path, Some(65_534), None).is_err() {
                    crate::world::skipped("only root gives a file away");
                    continue;
                }
            }
        }
        let opened = Desk::builder(APP).folder(folder).options(options()).open();
        assert!(matches!(opened, Err(DeskError::Folder { .. })), "{name}, {kind}: {opened:?}");
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), good, "{name}, {kind}");
    }
}

/// Once a file of another account was written, and became the file `device` with its owner and
/// mode.
#[cfg(unix)]
#[test]
fn what_others_left_of_a_new_device_file_is_replaced() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    for kind in ["link", "wide", "another account's"] {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::at(directory.path()).unwrap();
        let new = folder.path().join("device.new");
        if kind == "link" {
            symlink(&elsewhere, &new).unwrap();
        } else {
            std::fs::write(&new, "").unwrap();
            std::fs::set_permissions(&new, PermissionsExt::from_mode(0o666)).unwrap();
        }
        if kind == "another account's" && chown(&new, Some(65_534), None).is_err() {
            crate::world::skipped("only root gives a file away");
            continue;
        }
        let device = folder.path().join("device");
        drop(Desk::builder(APP).folder(folder).options(options()).open().unwrap());
        let seen = std::fs::symlink_metadata(&device).unwrap();
        assert!(seen.is_file() && !new.exists(), "{kind}");
        let own = rustix::process::geteuid().as_raw();
        assert_eq!((seen.uid(), seen.mode() & 0o777), (own, 0o600), "{kind}");
        assert_eq!(elsewhere.path().metadata().unwrap().len(), 0, "{kind}");
    }
}

#[test]
fn a_name_or_a_lock_that_breaks_a_rule_makes_no_folder() {
    let directory = tempfile::tempdir().unwrap();
    let error = Folder::of("../till").unwrap_err();
    assert!(matches!(error, DeskError::Invalid(_)), "{error:?}");
    let folder = Folder::at(directory.path().join("till")).unwrap();
    let builder = Desk::builder("../till").folder(folder.clone()).open();
    assert!(matches!(builder, Err(DeskError::Invalid(_))));
    for seconds in [0, 9, 86_401] {
        let after = std::time::Duration::from_secs(seconds);
        let builder = Desk::builder(APP).folder(folder.clone()).idle_lock(after);
        assert!(matches!(builder.open(), Err(DeskError::Invalid(_))), "{seconds} s");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
