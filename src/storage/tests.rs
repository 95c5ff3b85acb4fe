//! Closing a store, a write inside a write, and opening a store again after a commit in doubt.

use std::sync::atomic::{AtomicU64, Ordering};

use super::writer::trouble::{self, Trouble};
use super::*;
use crate::directory::OrganisationFilter;
use crate::second_factors::{NewTotp, TotpSecret};
use crate::sessions::{Assurance, OpenSession};
use crate::value::id::Page;
use crate::value::random::SystemRandom;
use crate::value::subtree::Subtree;
use crate::value::time::{Clock, ManualClock};
use crate::{DeviceId, LoginRefusal, NewUser, Options, Store};

impl Storage {
    /// The number of instructions that SQLite runs for a call, on the connection of the writer,
    /// which is the only one of a store in memory. Each row that a statement reads takes some.
    pub(crate) fn steps_of(&self, call: impl FnOnce()) -> u64 {
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        self.writer.at_each_step(Some(count));
        call();
        self.writer.at_each_step(None::<fn() -> bool>);
        steps.load(Ordering::Relaxed)
    }
}

fn storage() -> Storage {
    Storage::in_memory(None, Arc::new(SystemRandom), true, &|_, _| Ok(())).unwrap()
}

#[test]
fn a_store_is_not_closed_inside_a_write_of_its_own() {
    let storage = storage();
    storage
        .write(Purpose::Ordinary, &Actor::Host, |_| {
            assert_eq!(storage.close().unwrap_err().kind(), ErrorKind::Misuse);
            Ok(Finished::Commit(()))
        })
        .unwrap();
    assert!(!storage.is_closed());
    storage.read(|tx| tx.head()).unwrap();
}

#[test]
fn every_call_of_a_closed_store_fails_with_closed() {
    let storage = storage();
    storage.close().unwrap();
    storage.close().unwrap();
    let write = storage
        .write(Purpose::Ordinary, &Actor::Host, |tx| tx.head().map(Finished::Commit))
        .map(drop);
    let read = storage.read(|tx| tx.head()).map(drop);
    let select = storage.select_one(Duration::ZERO, "SELECT 1", [], |row| Ok(((), row.get(0)?)));
    let unsynced = storage.try_write_unsynced(&Actor::Host, |tx| tx.head().map(Finished::Commit));
    for refused in [write, read, select.map(drop), unsynced.map(drop)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    }
}

/// The connections are still open then.
#[test]
fn no_call_of_a_store_that_closed_itself_has_an_answer() {
    let storage = storage();
    storage.watch.close();
    let nothing = |tx: &WriteTx<'_>| tx.head().map(Finished::Nothing);
    let write = storage.write(Purpose::Ordinary, &Actor::Host, nothing).map(drop);
    let at_once = storage.try_write(&Actor::Host, nothing).map(drop);
    let read = storage.read(|tx| tx.head()).map(drop);
    let select = storage.select_one(Duration::ZERO, "SELECT 1", [], |row| Ok(((), row.get(0)?)));
    for refused in [write, at_once, read, select.map(drop)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
    }
}

/// Another program could use up the room that the reserve left, and revocations would find none.
#[test]
fn no_ordinary_write_begins_before_a_reserve_that_was_given_up_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
    let options = Options::for_tests().clock(Arc::new(wall.clone())).disk_reserve(8_192);
    let store = Store::open(directory.path().join("auth.db"), options).unwrap();
    let storage = &store.core().storage;
    let nothing = |tx: &WriteTx<'_>| tx.head().map(Finished::Nothing);
    let write = |purpose| storage.write(purpose, &Actor::Host, nothing).map(drop);
    let at_once = || storage.try_write(&Actor::Host, nothing).map(drop);
    assert!(storage.give_up_reserve());
    for refused in [write(Purpose::Ordinary), at_once()] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    }
    write(Purpose::Revocation).unwrap();
    wall.advance(Duration::from_secs(60));
    write(Purpose::Ordinary).unwrap();
    at_once().unwrap();
}

/// The clock was ahead when the reserve was given up, and is corrected.
#[test]
fn a_clock_that_is_set_back_prolongs_no_wait_for_the_reserve() {
    let directory = tempfile::tempdir().unwrap();
    let wall = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
    let options = Options::for_tests().clock(Arc::new(wall.clone())).disk_reserve(8_192);
    let store = Store::open(directory.path().join("auth.db"), options).unwrap();
    let right = wall.now();
    wall.advance(Duration::from_secs(3_600));
    assert!(store.core().storage.give_up_reserve());
    let refused = store.organisations().create("Northern").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    wall.set(right);
    wall.advance(Duration::from_secs(1));
    store.organisations().create("Northern").unwrap();
}

/// A write that waits for the writer while the store is closed fails.
#[test]
fn a_write_that_waited_for_the_close_is_refused() {
    let storage = storage();
    let (inside, is_inside) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let storage = &storage;
        let first = scope.spawn(move || {
            storage.write(Purpose::Ordinary, &Actor::Host, |tx| {
                inside.send(()).unwrap();
                // The other thread has closed the watch then.
                while !storage.is_closed() {
                    std::thread::yield_now();
                }
                tx.head().map(Finished::Commit)
            })
        });
        is_inside.recv().unwrap();
        storage.close().unwrap();
        // The commit checks the watch: nothing is acknowledged and nothing is kept.
        assert_eq!(first.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(storage.read(|tx| tx.head()).unwrap_err().kind(), ErrorKind::Closed);
    });
}

/// The state of the first store when the file is opened again.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    Open,
    Dropped,
    ClosedWithAHandleLeft,
}

/// Makes a commit fail with `troubles` and checks the outcome that the next opening reports.
#[track_caller]
fn check_reopened(
    troubles: &[Trouble],
    leaving: Leaving,
    expect: CommitOutcome,
    is_applied: bool,
) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    assert_eq!(store.status().last_unknown_commit, None);
    trouble::next(troubles);
    let error = store.organisations().create("Northern").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown);
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
    // A store on another file has no commit in doubt.
    let other = Store::open(directory.path().join("other.db"), options.clone()).unwrap();
    assert_eq!(other.status().last_unknown_commit, None);

    let again = Store::open(&path, options.clone()).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(expect), "{leaving:?}");
    let found = again.organisations().list(&OrganisationFilter::new(), Page::default()).unwrap();
    assert_eq!(found.len(), usize::from(is_applied), "{leaving:?}");
    again.organisations().create("Southern").unwrap();
    // The outcome is still reported later, and by the first handle.
    assert_eq!(again.status().last_unknown_commit, Some(expect));
    if let Some(left) = left {
        assert_eq!(left.status().last_unknown_commit, Some(expect), "{leaving:?}");
        drop(left);
    }
    drop(again);
    // A copy in the place of the file is a different file.
    let copy = directory.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let restored = Store::open(&path, options).unwrap();
    assert_eq!(restored.status().last_unknown_commit, None);
}

#[test]
fn a_store_opened_again_reports_the_outcome_of_a_commit_in_doubt() {
    for leaving in [Leaving::Open, Leaving::Dropped, Leaving::ClosedWithAHandleLeft] {
        let check = |troubles: &[Trouble], expect, is_applied| {
            check_reopened(troubles, leaving, expect, is_applied);
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

/// Opening fails until the commit is resolved: a write before that would replace its mark.
#[test]
fn a_store_is_not_opened_again_before_the_commit_in_doubt_is_resolved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    trouble::next(&[trouble::kept, trouble::lost, trouble::lost]);
    assert!(store.organisations().create("Northern").is_err());
    drop(store);
    let refused = Store::open(&path, options.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CommitUnknown);
    let again = Store::open(&path, options).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(CommitOutcome::Applied));
}

/// The revocation is not in the file, so this process denies the credentials from memory.
#[test]
fn a_revocation_that_runs_out_of_memory_becomes_a_denial_and_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("auth.db"), Options::for_tests()).unwrap();
    trouble::next(&[trouble::no_memory]);
    let error = store.sessions().revoke_all(Subtree::Store).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::OutOfMemory, true), "{error}");
    assert_eq!(store.status().denied, 1);
    store.organisations().create("Northern").unwrap();
    assert_eq!(store.status().denied, 0);
}

/// Whose right is decided in the job, which never runs: a denial that waits is in doubt.
#[test]
fn a_reset_without_the_right_denies_nothing_where_no_write_begins() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::for_tests().dangerous().allow_unsealed_totp_secrets();
    let store = Store::open(directory.path().join("auth.db"), options).unwrap();
    let users = store.users();
    let [ada, ben, cay, dee] =
        ["ada", "ben", "cay", "dee"].map(|name| users.create(NewUser::person(name)).unwrap().id);
    let secret = TotpSecret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
    store.second_factors().import(ben, secret, NewTotp::new()).unwrap();
    let device = DeviceId::new("desk").unwrap();
    let open = |user, device: &DeviceId| {
        let level = if user == ben { Assurance::Aal2 } else { Assurance::Aal1 };
        let reply = store
            .sessions()
            .open(OpenSession::new(user, device.clone()).assurance(level))
            .unwrap();
        reply.granted().unwrap().session.token
    };
    let token = open(ada, &device);
    let others = [ben, dee].map(|user| {
        let device = DeviceId::random().unwrap();
        (open(user, &device), device)
    });
    let live = || {
        let verify = |(token, device): &(_, _)| store.verify((token, device)).unwrap();
        others.each_ref().map(|other| verify(other).valid().is_ok())
    };
    let reset = |user| {
        trouble::next(&[trouble::lost]);
        store.sessions().revoke_all(cay).unwrap_err();
        trouble::next(&[trouble::kept, trouble::lost, trouble::lost, trouble::lost]);
        let answer = store.second_factors().reset_by((&token, &device), user);
        trouble::next(&[]);
        answer.map(|outcome| outcome.done())
    };
    let refused = reset(ben);
    assert_eq!(live(), [true, true]);
    assert_eq!(refused.unwrap(), Err(LoginRefusal::AdministratorRequired));
    users.set_privileges(ada, &["admin"]).unwrap();
    let nothing = reset(dee);
    assert_eq!(live(), [true, true]);
    assert_eq!(nothing.unwrap(), Ok(false));
    users.set_privileges(ada, &["admin", "other"]).unwrap();
    assert_eq!(reset(ben).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(live(), [false, true], "the right of it was read, and no write began");
}

/// A denial is written before the next write, and its commit is in doubt. The caller must not take
/// the outcome of that commit for the outcome of its own write, which was never begun.
#[test]
fn a_denial_in_doubt_is_not_taken_for_the_write_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let options = Options::for_tests();
    let store = Store::open(&path, options.clone()).unwrap();
    trouble::next(&[trouble::lost]);
    assert_eq!(store.sessions().revoke_all(Subtree::Store).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.status().denied, 1);
    trouble::next(&[trouble::kept, trouble::lost]);
    let error = store.organisations().create("Northern").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("nothing of this write was applied"), "{error}");
    let again = Store::open(&path, options).unwrap();
    assert_eq!(again.status().last_unknown_commit, Some(CommitOutcome::Applied));
    assert!(
        again
            .organisations()
            .list(&OrganisationFilter::new(), Page::default())
            .unwrap()
            .is_empty()
    );
}
