//! One verify, against the raw prepared SELECT of the same join.
//!
//! `cargo bench --bench verify`. 100,000 live sessions, uniformly random tokens, one thread. The
//! raw SELECT is prepared once on one connection of the same file, in the same run; the ratio of
//! the two is what counts.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and measures against plain SQL"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gatepost::testing::{Opened, VERIFY_SESSION_SQL, open_many};
use gatepost::{NewUser, Options, Store};

const SESSIONS: usize = 100_000;

fn verify(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let store = Store::open(&path, Options::for_tests()).unwrap();
    let user = store.users().create(NewUser::person("ada").privilege("admin")).unwrap();
    let sessions = open_many(&store, user.id, SESSIONS).unwrap();
    let mut order = Order(1);

    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "mmap_size", 0).unwrap();
    explain(&raw);
    let mut statement = raw.prepare(VERIFY_SESSION_SQL).unwrap();

    let mut group = criterion.benchmark_group("verify");
    group.bench_function("raw_select", |bencher| {
        bencher.iter(|| {
            let id = order.pick(&sessions).id.as_uuid();
            statement
                .query_row([id.as_bytes()], |row| {
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
        });
    });
    group.bench_function("session", |bencher| {
        bencher.iter(|| {
            let one = order.pick(&sessions);
            black_box(store.verify(one.token.expose(), &one.device).unwrap().valid().unwrap())
        });
    });
    group.bench_function("unknown_token", |bencher| {
        let (token, device) = (sessions[0].token.expose(), &sessions[1].device);
        bencher.iter(|| black_box(store.verify(token, device).unwrap().valid().unwrap_err()));
    });
    group.finish();
}

/// What the raw SELECT is, and how SQLite runs it.
fn explain(raw: &rusqlite::Connection) {
    println!("{VERIFY_SESSION_SQL}\n");
    let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {VERIFY_SESSION_SQL}")).unwrap();
    let lines = plan.query_map([[0_u8; 16]], |row| row.get::<_, String>(3)).unwrap();
    for line in lines {
        println!("    {}", line.unwrap());
    }
}

/// A cheap order without a pattern (xorshift), so that drawing costs nothing beside a verify.
struct Order(u64);

impl Order {
    fn pick<'s>(&mut self, sessions: &'s [Opened]) -> &'s Opened {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        &sessions[usize::try_from(self.0 % sessions.len() as u64).unwrap()]
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);
