//! One verify, against the raw prepared SELECT of the same join.
//!
//! `cargo bench --bench verify`. 100,000 live sessions in each of two files, uniformly random
//! tokens, one thread. Which token comes next is drawn before the clock starts, for the raw SELECT
//! as for the verify. The raw SELECT is prepared once on one connection of the same file, in the
//! same run; the ratio of the two is what counts.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and measures against plain SQL"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gatepost::testing::{Opened, VERIFY_SESSION_SQL, open_many};
use gatepost::{DeviceId, NewUser, Options, Store};

const SESSIONS: usize = 100_000;

/// A store with its sessions, in a directory of its own.
struct Filled {
    store: Store,
    sessions: Vec<Opened>,
    directory: tempfile::TempDir,
}

impl Filled {
    fn new(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("auth.db"), options).unwrap();
        let user = store.users().create(NewUser::person("ada").privilege("admin")).unwrap();
        let sessions = open_many(&store, user.id, SESSIONS).unwrap();
        Self { store, sessions, directory }
    }

    /// The token and device of a client, as a request brings them.
    fn presented(&self, order: &mut Order) -> (String, DeviceId) {
        let one = &self.sessions[order.next(SESSIONS)];
        (one.token.expose().to_owned(), one.device.clone())
    }
}

fn verify(criterion: &mut Criterion) {
    let asking = Filled::new(Options::for_tests().cache(None));
    let remembering = Filled::new(Options::for_tests());
    let mut order = Order(1);
    for one in &remembering.sessions {
        remembering.store.verify((&one.token, &one.device)).unwrap().valid().unwrap();
    }

    let raw = rusqlite::Connection::open(asking.directory.path().join("auth.db")).unwrap();
    raw.pragma_update(None, "mmap_size", 0).unwrap();
    explain(&raw);
    let mut statement = raw.prepare(VERIFY_SESSION_SQL).unwrap();

    let mut group = criterion.benchmark_group("verify");
    group.bench_function("raw_select", |bencher| {
        let draw = || *asking.sessions[order.next(SESSIONS)].id.as_uuid().as_bytes();
        let select = |id: [u8; 16]| {
            statement
                .query_row([&id], |row| {
                    let secret: [u8; 32] = row.get(0)?;
                    let device: [u8; 16] = row.get(1)?;
                    let user: [u8; 16] = row.get(2)?;
                    let admin: bool = row.get(6)?;
                    let current: bool = row.get(7)?;
                    let standing: bool = row.get(8)?;
                    let expires: i64 = row.get(11)?;
                    Ok(black_box((secret, device, user, admin, current, standing, expires)))
                })
                .unwrap()
        };
        bencher.iter_batched(draw, select, BatchSize::SmallInput);
    });
    for (name, filled) in [("from_file", &asking), ("remembered", &remembering)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || filled.presented(&mut order),
                |(token, device)| {
                    black_box(filled.store.verify((&*token, &*device)).unwrap().valid().unwrap())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("wrong_device", |bencher| {
        let stranger = DeviceId::new("stranger").unwrap();
        bencher.iter_batched_ref(
            || remembering.presented(&mut order),
            |(token, _)| {
                let verdict = remembering.store.verify((&*token, &stranger)).unwrap();
                black_box(verdict.valid().unwrap_err())
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The raw SELECT, and how SQLite runs it.
fn explain(raw: &rusqlite::Connection) {
    println!("{VERIFY_SESSION_SQL}\n");
    let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {VERIFY_SESSION_SQL}")).unwrap();
    let lines = plan.query_map([[0_u8; 16]], |row| row.get::<_, String>(3)).unwrap();
    for line in lines {
        println!("    {}", line.unwrap());
    }
}

/// A cheap order without a pattern (xorshift).
struct Order(u64);

impl Order {
    fn next(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count as u64).unwrap()
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);
