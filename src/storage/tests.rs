//! Closing, a thread that writes while it writes, and a store opened again after a doubt.

use super::writer::trouble::{self, Trouble};
use super::*;
use crate::value::id::Page;
use crate::value::random::SystemRandom;
use crate::{Options, Store};

fn storage() -> Storage {
    Storage::in_memory(None, Arc::new(SystemRandom), true, &|_, _| Ok(())).unwrap()
}

#[test]
fn a_store_is_not_closed_inside_a_write_of_its_own() {
    let storage = storage();
    storage
        .write(Purpose::Ordinary, &Actor::Host, |_| {
            assert_eq!(storage.close().unwrap_err().reason(), Reason::Misuse);
            Ok(Settled::Commit(()))
        })
        .unwrap();
    assert!(!storage.is_closed());
    storage.read(|tx| tx.head()).unwrap();
}

#[test]
fn a_closed_store_answers_nothing_else() {
    let storage = storage();
    storage.close().unwrap();
    storage.close().unwrap();
    let write = storage
        .write(Purpose::Ordinary, &Actor::Host, |tx| tx.head().map(Settled::Commit))
        .map(drop);
    let read = storage.read(|tx| tx.head()).map(drop);
    let select = storage.select_one(Duration::ZERO, "SELECT 1", [], |row| row.get::<_, i64>(0));
    for refused in [write, read, select.map(drop)] {
        assert_eq!(refused.unwrap_err().reason(), Reason::Closed);
    }
}

/// One that begins before the close, and waits for the writer, finds it gone.
#[test]
fn a_write_that_waited_for_the_close_is_refused() {
    let storage = storage();
    let (inside, is_inside) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let storage = &storage;
        let first = scope.spawn(move || {
            storage.write(Purpose::Ordinary, &Actor::Host, |tx| {
                inside.send(()).unwrap();
                // Until the other thread has asked for the close.
                while !storage.is_closed() {
                    std::thread::yield_now();
                }
                tx.head().map(Settled::Commit)
            })
        });
        is_inside.recv().unwrap();
        storage.close().unwrap();
        // Nothing is acknowledged any more, nor does it hold.
        assert_eq!(first.join().unwrap().unwrap_err().reason(), Reason::Closed);
        assert_eq!(storage.read(|tx| tx.head()).unwrap_err().reason(), Reason::Closed);
    });
}

/// How the first store is left before the file is opened again.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Open,
    Dropped,
    ClosedWithAHandleLeft,
}

/// A write whose commit fails like that, and what the store says of it once it is opened again.
#[track_caller]
fn check_reopened(troubles: &[Trouble], leaving: Leaving, expect: CommitOutcome, holds: bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    assert_eq!(store.status().last_unknown_commit, None);
    trouble::next(troubles);
    let error = store.organisations().create("Northern").unwrap_err();
    assert_eq!(error.reason(), Reason::CommitUnknown);
    assert_eq!(store.status().last_unknown_commit, Some(CommitOutcome::Unknown));
    let left = match leaving {
        Leaving::Open => Some(store),
        Leaving::Dropped => {
            drop(store);
            None
        }
        Leaving::ClosedWithAHandleLeft => {
            store.close().unwrap();
            Some(store)
        }
    };
    // Another store is opened in between, and nothing is said of it.
    let other = Store::open(directory.path().join("other.db"), options.clone()).unwrap();
    assert_eq!(other.status().last_unknown_commit, None);

    let again = Store::open(&path, options.clone()).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(expect), "{leaving:?}");
    let found = again.organisations().list(Page::default()).unwrap();
    assert_eq!(found.len(), usize::from(holds), "{leaving:?}");
    again.organisations().create("Southern").unwrap();
    // It is still said later, and by the handle that is left.
    assert_eq!(again.status().last_unknown_commit, Some(expect));
    if let Some(left) = left {
        assert_eq!(left.status().last_unknown_commit, Some(expect), "{leaving:?}");
        drop(left);
    }
    drop(again);
    // A copy put in its place is another file.
    let copy = directory.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let restored = Store::open(&path, options).unwrap();
    assert_eq!(restored.status().last_unknown_commit, None);
}

#[test]
fn a_store_opened_again_says_what_became_of_a_commit_in_doubt() {
    for leaving in [Leaving::Open, Leaving::Dropped, Leaving::ClosedWithAHandleLeft] {
        let check = |troubles: &[Trouble], expect, holds| {
            check_reopened(troubles, leaving, expect, holds);
        };
        check(&[trouble::kept, trouble::lost], CommitOutcome::Applied, true);
        check(&[trouble::lost, trouble::lost], CommitOutcome::NotApplied, false);
        check(&[trouble::kept, trouble::kept], CommitOutcome::Applied, true);
        check(&[trouble::lost, trouble::kept], CommitOutcome::NotApplied, false);
        check(&[trouble::kept_and_followed], CommitOutcome::Unknown, true);
        check(&[trouble::lost_and_followed], CommitOutcome::Unknown, false);
        check(&[trouble::kept, trouble::lost_and_followed], CommitOutcome::Unknown, true);
    }
}

/// The file is opened again only once the commit is settled: a write before that would hide it.
#[test]
fn a_store_is_not_opened_again_before_the_commit_in_doubt_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    trouble::next(&[trouble::kept, trouble::lost, trouble::lost]);
    assert!(store.organisations().create("Northern").is_err());
    drop(store);
    let refused = Store::open(&path, options.clone()).unwrap_err();
    assert_eq!(refused.reason(), Reason::CommitUnknown);
    let again = Store::open(&path, options).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(CommitOutcome::Applied));
}

/// A denial is written before the write that comes next, and its commit is in doubt. The caller
/// would take what is said of that commit for an answer to a write that was never begun.
#[test]
fn a_denial_in_doubt_is_not_taken_for_the_write_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    trouble::next(&[trouble::lost]);
    assert_eq!(store.sessions().end_all().unwrap_err().reason(), Reason::Io);
    assert_eq!(store.status().denied, 1);
    trouble::next(&[trouble::kept, trouble::lost]);
    let error = store.organisations().create("Northern").unwrap_err();
    assert_eq!(error.reason(), Reason::Io);
    assert!(error.to_string().contains("nothing of this write was applied"), "{error}");
    let again = Store::open(&path, options).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(CommitOutcome::Applied));
    assert!(again.organisations().list(Page::default()).unwrap().is_empty());
}
