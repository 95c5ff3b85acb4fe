//! The costs that grow with the file, and those that must not.
//!
//! `cargo bench --bench scale`. Files of 1,000, 30,000 and 300,000 live sessions, one thread: a
//! verify that asks the file, revoking all sessions of the user who has them (from the second time
//! on those that have ended already), and opening and closing the file. `cargo bench --bench
//! figures -- open_10m verify_miss_10m` opens and verifies at ten million. And a session of one
//! user, opened and closed beside 200,000 revoked sessions of another: no limit counts those.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gatepost::sessions::OpenSession;
use gatepost::testing::open_many;
use gatepost::{DeviceId, NewUser, Options, Store};

/// A step that meets every session before it meets one again, and follows no order of the file.
const STRIDE: usize = 7_919;

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
                let open = OpenSession::new(ben, till.clone());
                let session = store.sessions().open(open).unwrap().granted().unwrap().session;
                store.log_out((&session.token, &till)).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scale, revoked);
criterion_main!(benches);
