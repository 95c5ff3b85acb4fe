//! The observer: which rows it receives, on which thread and when, and what it cannot break. That
//! each operation reports its rows is a part of `operations.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread::{self, ThreadId};

use gatepost::audit::{AuditEntry, AuditFilter, EventKind, HostEvent};
use gatepost::host::{Clock, ManualClock, Observer};
use gatepost::policy::SessionPolicy;
use gatepost::sessions::NewApiKey;
use gatepost::{ErrorKind, NewUser, OpenedSession, Options, Page, Store};

use crate::world::{MINUTE, World, device, for_tests, morning};

/// Keeps what it receives.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Vec<(ThreadId, AuditEntry)>>);

impl Observer for Seen {
    fn committed(&self, entry: &AuditEntry) {
        self.0.lock().unwrap().push((thread::current().id(), entry.clone()));
    }
}

impl Seen {
    /// What was received since the last call.
    pub(crate) fn take(&self) -> Vec<AuditEntry> {
        std::mem::take(&mut *self.0.lock().unwrap()).into_iter().map(|(_, entry)| entry).collect()
    }

    /// The events received since the last call.
    fn events(&self) -> Vec<String> {
        self.take().into_iter().map(|entry| entry.event).collect()
    }
}

/// An observer that runs a closure on the store that it observes.
struct Acting<F> {
    store: OnceLock<Store>,
    act: F,
}

impl<F> fmt::Debug for Acting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acting")
    }
}

impl<F: Fn(&Store, &AuditEntry) + Send + Sync> Observer for Acting<F> {
    fn committed(&self, entry: &AuditEntry) {
        if let Some(store) = self.store.get() {
            (self.act)(store, entry);
        }
    }
}

/// A world whose observer runs `act` from now on.
fn acting(
    change: impl FnOnce(Options) -> Options,
    act: impl Fn(&Store, &AuditEntry) + Send + Sync + 'static,
) -> World {
    let observer = Arc::new(Acting { store: OnceLock::new(), act });
    let world = World::with(|options| change(options).observer(observer.clone()));
    let _ = observer.store.set(world.store.clone());
    world
}

fn seen() -> (World, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (World::with(|options| options.observer(seen.clone())), seen)
}

#[test]
fn a_row_is_reported_as_the_log_has_it() {
    let (world, seen) = seen();
    let ada = world.person("ada").id;
    world.log_in("ada", "wrong", "till-1").unwrap_err();
    let session = world.open(ada, "till-1");
    let event = HostEvent::new("report.printed").unwrap().detail("monthly").unwrap();
    world.store.acting_as(ada).audit().record(&[event.clone(), event]).unwrap();
    assert!(world.passes(&session, "till-1"));
    let reported = seen.take();
    // The creation of the file is the first row of the log, and no call of this store wrote it.
    let log = world.store.audit().list(&AuditFilter::new(), Page::after(1, 500)).unwrap();
    assert_eq!(reported, log);
    let kinds: Vec<_> = reported.iter().map(AuditEntry::kind).collect();
    let refused = Some(EventKind::LoginRefused);
    assert_eq!(kinds[..2], [Some(EventKind::UserCreated), refused]);
    assert_eq!(kinds[3..], [None, None]);
}

#[test]
fn what_was_not_committed_is_not_reported() {
    let (world, seen) = seen();
    world.person("ada");
    seen.take();
    let taken = world.store.users().create(NewUser::person("ada")).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Taken);
    let session = world.open(world.user_of("ada"), "till-1");
    world.log_out(&session, "till-1");
    seen.take();
    // The session is over already: nothing is to be done.
    world.log_out(&session, "till-1");
    // A row that another program put where the next one belongs: the write fails at its event.
    let sql = world.sql();
    sql.execute_batch(
        "INSERT INTO audit SELECT seq + 1, source, salt, at, event, outcome, actor, actor_user_id,
             actor_via_id, user_id, branch_id, organisation_id, session_id, api_key_id,
             device_hash, ip, user_agent, reason, count, detail, person_hash, chain
         FROM audit WHERE seq = (SELECT max(head_seq) FROM audit_chain)",
    )
    .unwrap();
    assert!(world.store.users().create(NewUser::person("ben")).is_err());
    assert_eq!(seen.events(), [""; 0]);
}

#[test]
fn threads_that_share_a_commit_report_each_their_own_rows_and_no_failed_one() {
    let (world, seen) = seen();
    let (threads, each) = (8, 6);
    let begin = Barrier::new(threads);
    thread::scope(|scope| {
        for number in 0..threads {
            let (store, begin) = (&world.store, &begin);
            scope.spawn(move || {
                begin.wait();
                for turn in 0..each {
                    // Every second one has a name that is taken.
                    let _ =
                        store.users().create(NewUser::person(format!("u{number}-{}", turn / 2)));
                }
            });
        }
    });
    let mut reported = std::mem::take(&mut *seen.0.lock().unwrap());
    let by_thread = |(thread, entry): &(ThreadId, AuditEntry)| (*thread, entry.seq);
    assert!(reported.windows(2).all(|two| {
        let (one, other) = (by_thread(&two[0]), by_thread(&two[1]));
        one.0 != other.0 || one.1 < other.1
    }));
    reported.sort_by_key(|(_, entry)| entry.seq);
    let reported: Vec<_> = reported.into_iter().map(|(_, entry)| entry).collect();
    let log = world.store.audit().list(&AuditFilter::new(), Page::after(1, 500)).unwrap();
    assert_eq!(reported, log);
    assert_eq!(reported.len(), threads * each / 2);
}

#[test]
fn a_panic_is_caught_and_counted_and_the_call_returns_as_usual() {
    let world = acting(|options| options, |_, entry| assert_ne!(entry.event, "user.created"));
    let ada = world.store.users().create(NewUser::person("ada")).unwrap();
    assert_eq!(world.store.status().observer_panics, 1);
    world.store.users().rename(ada.id, "augusta").unwrap();
    world.store.users().create(NewUser::person("ben")).unwrap();
    assert_eq!(world.store.status().observer_panics, 2);
    assert!(world.passes(&world.open(ada.id, "till-1"), "till-1"));
}

/// Another thread writes, verifies and logs in while the observer of a login runs: with a lock of
/// the writer, a place of the hashing queue or a lock of the cache it could not.
#[test]
fn it_is_called_without_a_lock_and_without_a_place_in_the_hashing_queue() {
    let (is_first, was_called) = (AtomicBool::new(true), Arc::new(AtomicBool::new(false)));
    let called = was_called.clone();
    let act = move |store: &Store, entry: &AuditEntry| {
        if entry.event != "login.granted" || !is_first.swap(false, Ordering::Relaxed) {
            return;
        }
        assert_eq!(store.status().hashes_running, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                store.users().create(NewUser::person("cyd")).unwrap();
                let password = crate::world::PASSWORD.into();
                let request = gatepost::LoginRequest::new("ben", password, device("till-2"));
                let reply = store.log_in(request).unwrap().granted().unwrap();
                let verdict = store.verify((&reply.session.token, &device("till-2"))).unwrap();
                assert!(verdict.valid().is_ok());
            });
        });
        called.store(true, Ordering::Relaxed);
    };
    let one_hash = |options: Options| options.max_concurrent_hashes(1).max_waiting_hashes(0);
    let world = acting(one_hash, act);
    world.person("ada");
    world.person("ben");
    world.log_in("ada", crate::world::PASSWORD, "till-1").unwrap();
    assert!(was_called.load(Ordering::Relaxed));
    assert_eq!(world.store.status().observer_panics, 0);
}

/// The write that is reported took the last use of an API key along.
#[test]
fn the_last_uses_of_others_are_written_while_it_runs() {
    let clock = ManualClock::new(morning());
    let (ada, minute) = (Arc::new(OnceLock::new()), clock.clone());
    let session = ada.clone();
    let verifies = move |store: &Store, entry: &AuditEntry| {
        if entry.event == "user.created" && minute.now() > morning() {
            minute.advance(MINUTE);
            let token: &OpenedSession = session.get().unwrap();
            assert!(store.verify((&token.token, &device("till-1"))).unwrap().valid().is_ok());
        }
    };
    let idling = SessionPolicy::server().inactivity_timeout(10 * MINUTE);
    let world =
        acting(|options| options.clock(Arc::new(clock.clone())).sessions(idling), verifies);
    let user = world.person("ada").id;
    ada.set(world.open(user, "till-1")).unwrap();
    let key = world.store.api_keys().issue(user, NewApiKey::new()).unwrap().key;
    clock.advance(MINUTE);
    assert!(world.store.verify((&key, None)).unwrap().valid().is_ok());
    world.person("ben");
    assert_eq!(world.store.status().observer_panics, 0);
    let last_seen = world.count("SELECT last_seen FROM session");
    assert_eq!(last_seen, clock.now().as_millis());
}

#[test]
fn what_an_observer_writes_itself_is_not_reported() {
    let world = acting(
        |options| options,
        |store, entry| {
            assert_ne!(entry.event, "organisation.created");
            store.organisations().create("Northern").unwrap();
        },
    );
    world.person("ada");
    world.person("ben");
    assert_eq!(world.store.status().observer_panics, 0);
    assert_eq!(world.count("SELECT count(*) FROM organisation"), 2);
}

#[test]
fn counted_refusals_and_a_failed_backup_are_reported_too() {
    let (world, seen) = seen();
    world.store.verify(("gps_", &device("till-1"))).unwrap().valid().unwrap_err();
    world.clock.advance(MINUTE);
    world.store.maintain().unwrap();
    assert_eq!(seen.events(), ["verify.refused"]);
    let nowhere = world.directory().join("none").join("copy.db");
    world.store.backup(nowhere, |_| ()).unwrap_err();
    assert_eq!(seen.events(), ["store.backup_failed"]);
}

#[test]
fn a_second_opening_in_this_process_has_the_same_observer_or_is_refused() {
    let (world, seen) = seen();
    Store::open(&world.path, world.options.clone()).unwrap();
    let other = world.options.clone().observer(Arc::new(Seen::default()));
    let refused = Store::open(&world.path, other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    assert!(refused.to_string().ends_with("another value of observer"), "{refused}");
    assert_eq!(seen.events(), [""; 0]);
    assert_ne!(for_tests().observer(seen.clone()), for_tests());
    assert_eq!(for_tests().observer(seen.clone()), for_tests().observer(seen));
}
