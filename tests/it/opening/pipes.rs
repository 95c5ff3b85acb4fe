//! Pipes and links under the names of files beside a store: none is opened.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::status::FileState;
use gatepost::{Error, ErrorKind, Store};
use rustix::fs::OFlags;

use super::Place;
use crate::world::{World, for_tests};

/// A call, and its name.
type Call<'c> = (&'static str, &'c dyn Fn() -> Result<(), Error>);

/// Runs a call while a pipe is at the path, and returns its kind of error. Panics if the call has
/// opened the pipe, for whose other end it would wait.
#[track_caller]
fn with_pipe(path: &Path, call: impl FnOnce() -> Result<(), Error>) -> Option<ErrorKind> {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "this system has no mkfifo");
    let (was_opened, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let called = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut options = fs::OpenOptions::new();
            options.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            while !is_over.load(Ordering::Relaxed) {
                // Fails while the pipe has no reader. Frees one that waits.
                was_opened.fetch_or(options.open(path).is_ok(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        let called = call();
        is_over.store(true, Ordering::Relaxed);
        called
    });
    assert!(!was_opened.into_inner(), "{path:?} was opened");
    fs::remove_file(path).unwrap();
    called.err().map(|error| error.kind())
}

#[test]
fn a_pipe_in_the_place_of_a_journal_or_log_is_not_opened() {
    let place = Place::ours();
    let adopt = || Store::adopt_restored(&place.path, for_tests()).map(drop);
    let read = || Store::open_read_only(&place.path, for_tests()).map(drop);
    for suffix in ["-journal", "-wal", "-shm"] {
        let pipe = place.beside(suffix);
        let calls: [Call<'_>; 3] =
            [("open", &|| place.open(for_tests()).map(drop)), ("adopt", &adopt), ("read", &read)];
        for (what, call) in calls {
            assert_eq!(with_pipe(&pipe, call), Some(ErrorKind::Unsafe), "{what} {suffix}");
        }
    }
    place.open(for_tests()).unwrap().close().unwrap();
}

#[test]
fn a_pipe_beside_a_backup_or_in_the_place_of_a_restore_is_not_opened() {
    let world = World::new();
    let (copy, beside) = (world.directory().join("copy.db"), |name| world.directory().join(name));
    world.store.backup(&copy, |_| ()).unwrap();
    let restore = |path: &Path| Store::restore(&copy, path, for_tests()).map(drop);
    for (pipe, path) in [
        ("copy.db.manifest", &world.path),
        ("auth.db-restoring", &world.path),
        ("lost.db-journal", &beside("lost.db")),
        ("lost.db-wal", &beside("lost.db")),
        ("lost.db-shm", &beside("lost.db")),
    ] {
        let manifest = beside("copy.db.manifest");
        let text = fs::read(&manifest).unwrap();
        let _ = fs::remove_file(beside(pipe));
        let kind = with_pipe(&beside(pipe), || restore(path));
        assert_eq!(kind, Some(ErrorKind::Unsafe), "{pipe}");
        assert!(!beside("lost.db").exists(), "{pipe}");
        fs::write(&manifest, text).unwrap();
    }
    restore(&world.path).unwrap();
}

/// Closing a descriptor of the other store's file drops the locks of SQLite on it.
#[test]
fn a_link_to_the_file_of_an_open_store_is_not_followed() {
    let world = World::new();
    let copy = world.directory().join("copy.db");
    world.store.backup(&copy, |_| ()).unwrap();
    let place = Place::ours();
    let lost = place.directory.path().join("lost.db");
    let restore = |path: &Path| Store::restore(&copy, path, for_tests()).map(drop);
    let calls: [Call<'_>; 6] = [
        ("auth.db-journal", &|| place.open(for_tests()).map(drop)),
        ("lost.db-journal", &|| Store::open(&lost, for_tests()).map(drop)),
        ("lost.db-journal", &|| restore(&lost)),
        ("lost.db-shm", &|| restore(&lost)),
        ("lost.db-restoring", &|| restore(&lost)),
        ("copy.db.manifest", &|| restore(&lost)),
    ];
    for (name, call) in calls {
        let link = match name {
            "copy.db.manifest" => world.directory().join(name),
            _ => place.directory.path().join(name),
        };
        let _ = fs::remove_file(&link);
        symlink(&world.path, &link).unwrap();
        let refused = call().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsafe, "{name}: {refused}");
        world.store.organisations().create(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::remove_file(link).unwrap();
    }
    assert_eq!(world.store.status().file_state, FileState::FileAndLocks);
}
