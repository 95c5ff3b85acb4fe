//! Any bytes as the name of the file, in a directory of the test's own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use gatepost::host::{KeyId, Keys};
use gatepost::{ErrorKind, NewUser, Store};
use proptest::prelude::*;

use super::for_any;
use crate::world::for_tests;

const MAY: &[ErrorKind] = &[ErrorKind::Invalid, ErrorKind::NotFound];

#[test]
fn any_bytes_name_a_file_or_are_refused_and_leave_nothing() {
    let (_kept, directory) = folder();
    let byte = prop_oneof![8 => any::<u8>(), 1 => Just(b'?'), 1 => Just(b':'), 1 => Just(b'%')];
    for_any(48, &prop::collection::vec(byte, 0..40), |bytes| {
        // No slash: it would lead out of the directory.
        let name: Vec<u8> = bytes.into_iter().map(|b| if b == b'/' { b'_' } else { b }).collect();
        check_name(&directory, name);
    });
}

#[test]
fn any_bytes_name_a_key_file_or_are_refused() {
    let (_kept, directory) = folder();
    let byte = prop_oneof![8 => any::<u8>(), 1 => Just(b'.'), 1 => Just(b'/'), 1 => Just(b'~')];
    let id = KeyId::new("a").unwrap();
    for_any(48, &prop::collection::vec(byte, 0..40), |bytes| {
        let path = directory.join("below").join(OsString::from_vec(bytes));
        // A name that begins with a slash, or with two dots, would lead out of the directory.
        if !path.starts_with(directory.join("below")) || path.to_string_lossy().contains("..") {
            return;
        }
        let _ = fs::create_dir(directory.join("below"));
        match Keys::create_file(&path, &id) {
            Ok(_) => {
                assert!(Keys::from_file(&path).is_ok(), "{path:?}");
                fs::remove_file(&path).unwrap();
            }
            Err(error) => {
                let is_known = MAY.contains(&error.kind()) || error.kind() == ErrorKind::Taken;
                assert!(is_known, "{path:?}: {error}");
                let read = Keys::from_file(&path).unwrap_err().kind();
                assert!(MAY.contains(&read) || read == ErrorKind::Unsafe, "{path:?}: {read:?}");
            }
        }
    });
}

#[test]
fn any_bytes_name_a_backup_or_are_refused_and_leave_nothing() {
    let (_kept, directory) = folder();
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("auth.db"), for_tests()).unwrap();
    let byte = prop_oneof![8 => any::<u8>(), 1 => Just(b'?'), 1 => Just(b':'), 1 => Just(b'.')];
    for_any(32, &prop::collection::vec(byte, 0..40), |bytes| {
        let name: Vec<u8> = bytes.into_iter().map(|b| if b == b'/' { b'_' } else { b }).collect();
        let path = directory.join(OsString::from_vec(name));
        match store.backup(&path, |_| ()) {
            Ok(report) => {
                assert_eq!(entries(&directory).len(), 2, "{path:?}");
                assert!(Store::open_read_only(&path, for_tests()).is_ok(), "{path:?}");
                let live = home.path().join("auth.db");
                assert!(Store::restore(&path, live, for_tests()).is_ok(), "{path:?}");
                assert!(Store::adopt_restored(&path, for_tests()).is_ok(), "{path:?}");
                fs::remove_file(report.path).unwrap();
                fs::remove_file(report.manifest).unwrap();
            }
            Err(error) => {
                let is_known = MAY.contains(&error.kind()) || error.kind() == ErrorKind::Taken;
                assert!(is_known, "{path:?}: {error}");
                let live = home.path().join("auth.db");
                for refused in [
                    Store::restore(&path, live, for_tests()).map(drop),
                    Store::open_read_only(&path, for_tests()).map(drop),
                    Store::adopt_restored(&path, for_tests()).map(drop),
                ] {
                    let error = refused.unwrap_err();
                    assert!(MAY.contains(&error.kind()), "{path:?}: {error}");
                }
            }
        }
        assert!(entries(&directory).is_empty(), "{path:?} left {:?}", entries(&directory));
    });
}

#[test]
fn names_that_made_others_stumble_name_a_file_or_are_refused() {
    let (_kept, directory) = folder();
    for name in [
        &b""[..],
        b".",
        b"..",
        b":memory:",
        b"file:x",
        b"file:x?mode=memory",
        b"a?b",
        b"a\0b",
        b"%00",
        b"x\n",
        b"-wal",
        b"~",
        b"a b",
        b"'",
        b"\"; DROP TABLE user",
        b"\xff\xfe",
        b"x/",
        b"./x",
        b"x/../y",
        b"nowhere/x",
        b"\xed\xa0\x80",
    ] {
        check_name(&directory, name.to_vec());
    }
    for length in [200, 219, 220, 221, 240, 247, 252, 255, 256, 300, 1_000, 5_000, 100_000] {
        check_name(&directory, vec![b'n'; length]);
        check_name(&directory, "é".repeat(length / 2).into_bytes());
        check_name(&directory, [vec![b'd'; length], b"/auth.db".to_vec()].concat());
    }
}

#[test]
fn a_path_as_long_as_it_may_be_works() {
    let directory = tempfile::tempdir().unwrap();
    for length in (440..496).step_by(14).chain(496..512) {
        let mut path = directory.path().join("d".repeat(200)).join("d".repeat(180));
        fs::create_dir_all(&path).unwrap();
        let left = length - path.as_os_str().len();
        path.push("n".repeat(left));
        check_path(&path, path.parent().unwrap());
    }
}

/// A directory that no other user can write, nor its parents: some names mean the parent.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("middle").join("inner");
    fs::create_dir_all(&inner).unwrap();
    (outer, inner)
}

#[track_caller]
fn check_name(directory: &Path, name: Vec<u8>) {
    let mut path = directory.to_path_buf().into_os_string();
    path.push("/");
    path.push(OsString::from_vec(name));
    check_path(Path::new(&path), directory);
}

/// An accepted name is a store that works, at that place; a refused one leaves no file.
#[track_caller]
fn check_path(path: &Path, directory: &Path) {
    let before = entries(directory);
    match Store::open(path, for_tests()) {
        Ok(store) => {
            store.users().create(NewUser::person("ada")).unwrap();
            let found = store.status().path.unwrap();
            assert!(found.is_file(), "{path:?}");
            store.close().unwrap();
            let made: Vec<OsString> = entries(directory);
            let made: Vec<&OsString> =
                made.iter().filter(|name| !before.contains(*name)).collect();
            assert!(made.len() <= 1, "{path:?} left {made:?}");
            fs::remove_file(found).unwrap();
        }
        Err(error) => {
            assert!(MAY.contains(&error.kind()), "{path:?}: {:?}, {error}", error.kind());
            assert!(!error.to_string().contains(&*directory.to_string_lossy()));
            assert_eq!(entries(directory), before, "{path:?} was refused and has left something");
        }
    }
}

fn entries(directory: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}
