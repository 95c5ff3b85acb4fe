//! One durable write of each kind, against one durable commit of plain SQLite.
//!
//! `cargo bench --bench write`. Default durability, one thread, so that every write pays its own
//! flush of the disk: its time beyond `raw_commit` is the work of the store.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and measures against plain SQL"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gatepost::audit::HostEvent;
use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, NewUser, OpenedSession, Options, Store};

fn write(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("auth.db"), Options::server()).unwrap();
    let user = store.users().create(NewUser::person("ada")).unwrap().id;
    let device = DeviceId::new("till-1").unwrap();
    let open = || -> OpenedSession {
        let request = OpenSession::new(user, device.clone());
        store.sessions().open(request).unwrap().granted().unwrap().session
    };

    let raw = rusqlite::Connection::open(directory.path().join("raw.db")).unwrap();
    raw.pragma_update(None, "journal_mode", "WAL").unwrap();
    raw.pragma_update(None, "synchronous", "FULL").unwrap();
    raw.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").unwrap();

    let mut group = criterion.benchmark_group("write");
    group.bench_function("raw_commit", |bencher| {
        bencher.iter(|| raw.execute("UPDATE t SET a = a + 1", []).unwrap());
    });
    group.bench_function("open_session", |bencher| bencher.iter(|| black_box(open())));
    group.bench_function("log_out", |bencher| {
        bencher.iter_batched(
            open,
            |session| store.log_out((&session.token, &device)).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("record_event", |bencher| {
        let events = [HostEvent::new("report.printed").unwrap()];
        bencher.iter(|| store.audit().record(&events).unwrap());
    });
    group.finish();
}

criterion_group!(benches, write);
criterion_main!(benches);
