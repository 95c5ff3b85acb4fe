//! The costs that grow with the file, and those that must not.
//!
//! `cargo bench --bench scale`. Files of 1,000, 30,000 and 300,000 live sessions, one thread: a
//! verify that asks the file, revoking all sessions of the user who has them (from the second time
//! on those that have ended already), and opening and closing the file. `cargo bench --bench
//! figures -- open_10m verify_miss_10m` opens and verifies at ten million. And a session of one
//! user, opened beside 200,000 sessions of another that are over, and beside none: no limit counts
//! those. The other user does nothing meanwhile, and all of them were revoked
//! (`open_beside_revoked`); or opens a session at the same moment (`open_while_their_user_opens`).
//! Then as many of them were revoked at once as a user may have, and the others have expired: an
//! opening deletes 32 revoked sessions of its user, so that no more of those pile up. The time
//! beside 200,000 divided by the time beside none is what they cost a user who has none of them.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and measures one of two threads"
)]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatepost::host::{Clock, ManualClock, SystemClock};
use gatepost::sessions::OpenSession;
use gatepost::testing::open_many;
use gatepost::{DeviceId, NewUser, OpenedSession, Options, Store, UserId};

/// A step that meets every session before it meets one again, and follows no order of the file.
const STRIDE: usize = 7_919;
/// As many sessions as a user has with `Options::server`, and with the highest limit.
const LIMIT: usize = 10;
const CEILING: usize = 10_000;
/// As many revoked sessions of its user as an opening deletes.
const DELETED: usize = 32;
/// As long as a session of `open_many` lives.
const A_DAY: Duration = Duration::from_secs(86_400);

fn scale(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scale");
    for count in [1_000, 30_000, 300_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let options = || Options::server().cache(None);
        let store = Store::open(&path, options()).unwrap();
        let user = store.users().create(NewUser::person("ada")).unwrap().id;
        let sessions = open_many(&store, user, count).unwrap();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("verify_from_file", count), |bencher| {
            bencher.iter(|| {
                at = (at + STRIDE) % count;
                let one = &sessions[at];
                black_box(store.verify((&one.token, &one.device)).unwrap().valid().unwrap())
            });
        });
        group.bench_function(BenchmarkId::new("end_all_of", count), |bencher| {
            bencher.iter(|| store.sessions().revoke_all(user).unwrap());
        });
        store.close().unwrap();
        group.bench_function(BenchmarkId::new("open_and_close", count), |bencher| {
            bencher.iter(|| Store::open(&path, options()).unwrap());
        });
    }
    group.finish();
}

fn revoked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scale");
    for count in [0, 200_000] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(path, Options::server()).unwrap();
        let [ada, ben] =
            ["ada", "ben"].map(|name| store.users().create(NewUser::person(name)).unwrap().id);
        drop(open_many(&store, ada, count).unwrap());
        store.sessions().revoke_all(ada).unwrap();
        let till = DeviceId::new("till").unwrap();
        group.bench_function(BenchmarkId::new("open_beside_revoked", count), |bencher| {
            bencher.iter(|| {
                let session = open(&store, ben, &till);
                store.log_out((&session.token, &till)).unwrap()
            });
        });
    }
    group.finish();
}

fn while_their_user_opens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scale");
    for (name, expired, limit) in
        [("0", 0, 0), ("200000", 200_000, LIMIT), ("200000_at_the_ceiling", 190_000, CEILING)]
    {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(SystemClock::default().now());
        let options = Options::server().clock(Arc::new(clock.clone()));
        let store = Store::open(directory.path().join("auth.db"), options).unwrap();
        let [ada, ben] =
            ["ada", "ben"].map(|name| store.users().create(NewUser::person(name)).unwrap().id);
        drop(open_many(&store, ada, expired).unwrap());
        clock.advance(A_DAY);
        let at_once = DELETED.min(limit);
        let opens_some = || {
            clock.advance(Duration::from_millis(1));
            drop(open_many(&store, ada, at_once).unwrap());
        };
        (at_once..limit).step_by(DELETED).for_each(|_| opens_some());
        group.bench_function(BenchmarkId::new("open_while_their_user_opens", name), |bencher| {
            bencher.iter_custom(|rounds| {
                let round = |_| {
                    opens_some();
                    store.sessions().revoke_all(ada).unwrap();
                    open_at_once(&store, ben, ada)
                };
                (0..rounds).map(round).sum()
            });
        });
    }
    group.finish();
}

/// How long a session of `user` takes to open while one of `other` is opened in another thread.
fn open_at_once(store: &Store, user: UserId, other: UserId) -> Duration {
    let [till, desk] = ["till", "desk"].map(|name| DeviceId::new(name).unwrap());
    let begin = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begin.wait();
            let session = open(store, other, &desk);
            store.log_out((&session.token, &desk)).unwrap()
        });
        begin.wait();
        let started = Instant::now();
        let session = open(store, user, &till);
        let took = started.elapsed();
        store.log_out((&session.token, &till)).unwrap();
        took
    })
}

fn open(store: &Store, user: UserId, on: &DeviceId) -> OpenedSession {
    let open = OpenSession::new(user, on.clone());
    store.sessions().open(open).unwrap().granted().unwrap().session
}

criterion_group!(benches, scale, revoked, while_their_user_opens);
criterion_main!(benches);
