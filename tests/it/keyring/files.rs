//! Key files: who may read them, and what is in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gatepost::ErrorKind;
use gatepost::host::{Keyring, Keys};
use tempfile::TempDir;

use super::key_id;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("2026-11.key");
    (directory, path)
}

#[track_caller]
fn refused(path: &Path, kind: ErrorKind) {
    let error = Keys::from_file(path).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.path(), Some(path));
}

#[test]
fn a_key_file_is_its_owners_alone_and_read_again_it_is_the_same_key() {
    let (directory, path) = place();
    let id = key_id("2026-11");
    let made = Keys::create_file(&path, &id).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let read = Keys::from_file(&path).unwrap();
    let open = |keys: Keys| {
        let options = crate::world::for_tests().keyring(std::sync::Arc::new(keys));
        gatepost::Store::open(directory.path().join("auth.db"), options).unwrap()
    };
    let store = open(made);
    let ada = gatepost::NewUser::person("ada").password(crate::world::PASSWORD.into());
    store.users().create(ada).unwrap();
    store.close().unwrap();
    let store = open(read);
    let till = crate::world::device("till");
    let request = gatepost::LoginRequest::new("ada", crate::world::PASSWORD.into(), till);
    store.log_in(request).unwrap().granted().unwrap();

    let other = directory.path().join("other.key");
    Keys::create_file(&other, &id).unwrap();
    assert_ne!(fs::read(&path).unwrap(), fs::read(&other).unwrap());
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(Keys::create_file(&path, &id).unwrap_err().kind(), ErrorKind::Taken);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let nowhere = directory.path().join("none/2026-11.key");
    assert_eq!(Keys::create_file(nowhere, &id).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_key_file_that_others_may_read_or_write_is_refused() {
    let (_directory, path) = place();
    Keys::create_file(&path, &key_id("2026-11")).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o611] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused(&path, ErrorKind::Unsafe);
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(Keys::from_file(&path).unwrap().current(), key_id("2026-11"));
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let (directory, path) = place();
    refused(&path, ErrorKind::NotFound);
    refused(directory.path(), ErrorKind::Invalid);
    let digits = "0f".repeat(32);
    let write = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    for text in [
        String::new(),
        digits.clone(),
        format!("gatepost-key {digits}\n"),
        format!("gatepost-key a {}\n", &digits[2..]),
        format!("gatepost-key a {digits}00\n"),
        format!("gatepost-key a {}xy\n", &digits[2..]),
        format!("gatepost-key A {digits}\n"),
        format!("gatepost-key {} {digits}\n", "a".repeat(33)),
        format!("other-key a {digits}\n"),
        format!("gatepost-key a {digits}\n\n"),
        format!("gatepost-key a {digits} b\n"),
        format!("gatepost-key a {digits}\ngatepost-key b {digits}\n"),
        format!("gatepost-key a {digits}\n{}", " ".repeat(4_096)),
    ] {
        write(&text);
        refused(&path, ErrorKind::Invalid);
    }
    for text in [
        format!("gatepost-key a {digits}\n"),
        format!("gatepost-key a {digits}"),
        format!("gatepost-key a {}\n", digits.to_uppercase()),
    ] {
        write(&text);
        assert_eq!(Keys::from_file(&path).unwrap().current(), key_id("a"));
    }
    let link = directory.path().join("link.key");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Keys::from_file(&link).is_ok());
}

/// Closing any descriptor of an open store's file would drop the locks of SQLite.
#[test]
fn the_file_of_a_store_is_refused_as_a_key_file_without_being_opened() {
    let world = crate::world::World::new();
    refused(&world.path, ErrorKind::Invalid);
    world.person("ada");
    assert_eq!(world.store.status().file_state, gatepost::status::FileState::FileAndLocks);
}

#[test]
fn a_key_file_of_another_user_is_refused() {
    let (_directory, path) = place();
    Keys::create_file(&path, &key_id("2026-11")).unwrap();
    // Only root can give a file away.
    if fs::metadata(&path).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        refused(&path, ErrorKind::Unsafe);
    }
}
