//! Writes: sessions opened, many revoked, expired ones swept, logins.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use gatepost::UserId;
use gatepost::host::ManualClock;
use gatepost::host::{Clock, SystemClock};
use gatepost::policy::Cost;
use gatepost::sessions::OpenSession;
use gatepost::testing::{believe_clock, open_many, statements};
use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};
use rusqlite::Connection;

use crate::harness::{ROUNDS, Run, alternate, median, percentile, time};

pub const GROUPED: &[&str] = &["durable_writes_grouped"];
pub const LOGINS: &[&str] = &["login_vs_argon2"];
pub const SWEEP: &[&str] = &["sweep_stall"];
pub const MANY: &[&str] = &["revoke_user_many"];

const THREADS: usize = 64;
const PASSWORD: &str = "nine brass bells";

/// A store in a directory of its own, with users.
fn store(options: Options, users: usize) -> (tempfile::TempDir, Store, Vec<UserId>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("auth.db"), options).unwrap();
    let user = |at| store.users().create(NewUser::person(format!("user {at}"))).unwrap().id;
    let users = (0..users).map(user).collect();
    (directory, store, users)
}

fn open(store: &Store, user: UserId, device: &DeviceId) {
    black_box(store.sessions().open(OpenSession::new(user, device.clone())).unwrap())
        .granted()
        .unwrap();
}

fn device(at: usize) -> DeviceId {
    DeviceId::new(&format!("till {at}")).unwrap()
}

pub fn grouped(run: &mut Run) {
    let (directory, store, users) = store(Options::server(), THREADS);
    let scratch = Connection::open(directory.path().join("scratch.db")).unwrap();
    scratch.pragma_update(None, "journal_mode", "WAL").unwrap();
    scratch.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    let writes = run.size(1_280);
    let commits = |level: &str| {
        scratch.pragma_update(None, "synchronous", level).unwrap();
        time(|| {
            for _ in 0..writes / 10 {
                scratch.execute("UPDATE t SET a = a + 1", []).unwrap();
            }
        })
    };
    let table = alternate(
        ROUNDS,
        1,
        [
            &mut || commits("FULL"),
            &mut || commits("NORMAL"),
            &mut || time(|| (0..writes / 10).for_each(|_| open(&store, users[0], &device(0)))),
            &mut || openings(&store, &users, writes),
        ],
    );
    let ratios: Vec<f64> = table
        .iter()
        .map(|[full, normal, alone, grouped]| {
            let sync = (full - normal).max(0.0);
            let work = (alone - sync).max(0.0);
            let possible = (sync + work) / (sync / 32.0 + work);
            let reached = 10.0 * alone / grouped;
            reached / possible
        })
        .collect();
    let column = |which: usize| median(&table.iter().map(|row| row[which]).collect::<Vec<_>>());
    let each = |took: f64, count: usize| took * 1e6 / count as f64;
    run.note(format_args!(
        "FULL {:.0} µs, NORMAL {:.0} µs; an opening alone {:.0} µs, by {THREADS} threads {:.0}",
        each(column(0), writes / 10),
        each(column(1), writes / 10),
        each(column(2), writes / 10),
        each(column(3), writes),
    ));
    run.figure("durable_writes_grouped", "of what grouping can give", &ratios);
}

/// So many openings, shared by all threads.
fn openings(store: &Store, users: &[UserId], count: usize) -> Duration {
    time(|| {
        std::thread::scope(|scope| {
            for (at, user) in users.iter().enumerate() {
                let device = device(at);
                scope
                    .spawn(move || (0..count / THREADS).for_each(|_| open(store, *user, &device)));
            }
        });
    })
}

pub fn logins(run: &mut Run) {
    let cores = std::thread::available_parallelism().unwrap().get();
    let clients = 8 * cores;
    let (_directory, store, _) = store(Options::server(), 0);
    for at in 0..clients {
        let user = NewUser::person(format!("user {at}")).password(Password::from(PASSWORD));
        store.users().create(user).unwrap();
    }
    let hashes = run.size(200).max(cores);
    let logins = || {
        shared(clients, hashes, |at| {
            let password = Password::from(PASSWORD);
            let request = LoginRequest::new(format!("user {at}"), password, device(at));
            black_box(store.log_in(request).unwrap().granted().unwrap());
        })
    };
    let cost = Cost::recommended();
    let params = Params::new(cost.memory_kib(), cost.passes(), cost.lanes(), Some(32)).unwrap();
    let blocks = params.block_count();
    let memory: Vec<_> = (0..cores).map(|_| Mutex::new(vec![Block::default(); blocks])).collect();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let raw = || {
        shared(cores, hashes, |at| {
            let (mut out, mut memory) = ([0_u8; 32], memory[at].lock().unwrap());
            argon2
                .hash_password_into_with_memory(
                    PASSWORD.as_bytes(),
                    b"sixteen byte sal",
                    &mut out,
                    &mut *memory,
                )
                .unwrap();
            black_box(out);
        })
    };
    let table = alternate(ROUNDS, 1, [&mut || logins(), &mut || raw()]);
    let ratios: Vec<f64> = table.iter().map(|[login, raw]| raw / login).collect();
    run.note(format_args!("client threads: {clients}, raw Argon2 on {cores}; {hashes} of each"));
    run.figure("login_vs_argon2", "x", &ratios);
}

/// How long that many threads take to do `count` of it together.
fn shared(threads: usize, count: usize, work: impl Fn(usize) + Sync) -> Duration {
    let left = AtomicUsize::new(count);
    let take = || {
        let less = |left: usize| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    };
    time(|| {
        std::thread::scope(|scope| {
            for at in 0..threads {
                let (take, work) = (&take, &work);
                scope.spawn(move || {
                    while take() {
                        work(at);
                    }
                });
            }
        });
    })
}

pub fn sweep(run: &mut Run) {
    let clock = ManualClock::new(SystemClock::default().now());
    let options = Options::server().clock(std::sync::Arc::new(clock.clone()));
    let (_directory, store, users) = store(options, 2);
    let each_round = run.size(1_000_000) / ROUNDS;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let quiet = p99_of_openings(&store, users[0], || {});
        open_many(&store, users[1], each_round).unwrap();
        clock.advance(Duration::from_secs(25 * 3_600));
        believe_clock(&store).unwrap();
        let swept = p99_of_openings(&store, users[0], || {
            store.maintain().unwrap();
        });
        ratios.push(swept / quiet);
    }
    run.note(format_args!("{} expired sessions swept", each_round * ROUNDS));
    run.figure("sweep_stall", "x", &ratios);
}

/// Enough for a percentile; the other work ends undisturbed.
const OPENINGS: usize = 2_000;

/// The 99th percentile of a session opening while something else goes on.
fn p99_of_openings(store: &Store, user: UserId, meanwhile: impl FnOnce() + Send) -> f64 {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meanwhile();
            over.store(true, Ordering::Release);
        });
        let (mut took, device) = (Vec::new(), device(0));
        while took.len() < 100 || took.len() < OPENINGS && !over.load(Ordering::Acquire) {
            let one = Instant::now();
            open(store, user, &device);
            took.push(one.elapsed().as_secs_f64());
        }
        percentile(&mut took, 0.99)
    })
}

/// Both revocations follow the opening of as many sessions: the first write after that reads pages
/// again which it had pushed out of memory, whatever it revokes.
pub fn many(run: &mut Run) {
    let (_directory, store, users) = store(Options::server(), 3 * ROUNDS);
    let many = run.size(100_000);
    let revoked = |user| {
        let mut ran = 0;
        let took = time(|| {
            ran = statements(|| store.sessions().revoke_all(user).unwrap()).1.len();
        });
        (took.as_secs_f64(), ran)
    };
    let (mut ratios, mut counts) = (Vec::new(), Vec::new());
    for (round, trio) in users.chunks(3).enumerate() {
        let of_many = || {
            open_many(&store, trio[0], many).unwrap();
            open_many(&store, trio[1], 1).unwrap();
            revoked(trio[0])
        };
        let of_one = || {
            open_many(&store, trio[2], many).unwrap();
            open_many(&store, trio[1], 1).unwrap();
            revoked(trio[1])
        };
        let (of_many, of_one) = match round % 2 {
            0 => (of_many(), of_one()),
            _ => {
                let of_one = of_one();
                (of_many(), of_one)
            }
        };
        ratios.push(of_many.0 / of_one.0);
        counts.push((of_many.1, of_one.1));
    }
    run.note(format_args!("{many} sessions against 1; statements of each round {counts:?}"));
    run.figure("revoke_user_many", "x", &ratios);
}
