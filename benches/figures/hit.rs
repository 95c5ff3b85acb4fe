//! Verify with a cache hit.

use std::hint::black_box;
use std::time::{Duration, Instant};

use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::testing::{Opened, VERIFY_SESSION_SQL};
use gatepost::{NewUser, Options, Permission, Principal, Store};

use crate::filled::{Filled, Presented, explain, raw_select};
use crate::floor::Floor;
use crate::harness::{Order, ROUNDS, Run, alternate, each, median, time};

pub const FIGURES: &[&str] =
    &["verify_hit_vs_select", "verify_hit_vs_floor", "verify_threads", "may_vs_verify"];
pub const FIGURES_KEYS: &[&str] = &["verify_key_vs_session"];
pub const FIGURES_1M: &[&str] = &["verify_hit_1m_vs_select"];

/// Calls of a batch: about a millisecond of the dearer one.
pub const BATCH: usize = 500;

pub fn hundred_thousand(run: &mut Run) {
    let filled = Filled::remembered(run.size(100_000));
    vs_select(run, "verify_hit_vs_select", &filled);
    vs_floor(run, &filled);
    threads(run, &filled);
    may_vs_verify(run, &filled);
}

pub fn million(run: &mut Run) {
    let filled = Filled::remembered(run.size(1_000_000));
    vs_select(run, "verify_hit_1m_vs_select", &filled);
}

pub fn verify_all(store: &Store, presented: &[Presented]) {
    for (token, device) in presented {
        black_box(store.verify((token, device)).unwrap().valid().unwrap());
    }
}

fn vs_select(run: &mut Run, name: &str, filled: &Filled) {
    if !run.wants(&[name]) {
        return;
    }
    let table = verify_and_select(filled, 200);
    report(run, &table, ["verify", "raw SELECT"]);
    run.note(format_args!("{} sessions, 1 thread", filled.sessions.len()));
    let ratios: Vec<f64> = table.iter().map(|[verify, select]| select / verify).collect();
    run.figure(name, "x", &ratios);
}

/// The cost of a verify and of the raw SELECT of the same join, in alternation.
pub fn verify_and_select(filled: &Filled, batches: usize) -> Vec<[f64; 2]> {
    let raw = filled.raw();
    explain(&raw);
    let mut statement = raw.prepare(VERIFY_SESSION_SQL).unwrap();
    let (mut tokens, mut ids) = (Order(1), Order(2));
    let mut verify = || {
        let presented = filled.drawn(&mut tokens, BATCH);
        time(|| verify_all(&filled.store, &presented))
    };
    let mut select = || {
        let ids = filled.ids(&mut ids, BATCH);
        time(|| {
            for id in &ids {
                black_box(raw_select(&mut statement, id));
            }
        })
    };
    alternate(ROUNDS, batches, [&mut verify, &mut select])
}

fn vs_floor(run: &mut Run, filled: &Filled) {
    if !run.wants(&["verify_hit_vs_floor"]) {
        return;
    }
    let floor = Floor::new(filled);
    let mut order = Order(3);
    let mut verify = || {
        let presented = filled.drawn(&mut order, BATCH);
        time(|| verify_all(&filled.store, &presented))
    };
    let [mut hash, mut find, mut clock, mut header] = floor.parts();
    let table = alternate(
        ROUNDS,
        200,
        [&mut verify, &mut || hash(BATCH), &mut || find(BATCH), &mut || clock(BATCH), &mut || {
            header(BATCH)
        }],
    );
    report(run, &table, ["verify", "keyed hash", "map lookup", "clock", "header"]);
    let ratios: Vec<f64> =
        table.iter().map(|[verify, parts @ ..]| verify / parts.iter().sum::<f64>()).collect();
    run.figure("verify_hit_vs_floor", "x", &ratios);
}

/// The privileges of the user of all sessions.
const PRIVILEGES: [&str; 8] = [
    "admin",
    "audit.read",
    "images.read",
    "images.write",
    "reports.print",
    "reports.read",
    "reports.write",
    "users.read",
];

/// The cost of a check of a privilege beside that of a verify, for sessions drawn at random.
fn may_vs_verify(run: &mut Run, filled: &Filled) {
    if !run.wants(&["may_vs_verify"]) {
        return;
    }
    let principal =
        |one: &Opened| filled.store.verify((&one.token, &one.device)).unwrap().valid().unwrap();
    let user = principal(&filled.sessions[0]).user;
    filled.store.users().set_privileges(user, &PRIVILEGES).unwrap();
    // Everything is cached again.
    let principals: Vec<Principal> = filled.sessions.iter().map(principal).collect();
    let (mut tokens, mut drawn) = (Order(9), Order(10));
    let mut verify = || {
        let presented = filled.drawn(&mut tokens, BATCH);
        time(|| verify_all(&filled.store, &presented))
    };
    let mut may = || {
        let drawn: Vec<Principal> =
            (0..BATCH).map(|_| principals[drawn.next(principals.len())]).collect();
        time(|| {
            for principal in &drawn {
                let permission = black_box(filled.store.may(principal, "reports.write").unwrap());
                assert_eq!(permission, Permission::Granted);
            }
        })
    };
    let table = alternate(ROUNDS, 200, [&mut verify, &mut may]);
    report(run, &table, ["verify", "may"]);
    run.note("a user with 8 privileges");
    let ratios: Vec<f64> = table.iter().map(|[verify, may]| may / verify).collect();
    run.figure("may_vs_verify", "x", &ratios);
}

/// As many keys as a user may have, and as many sessions beside them.
const KEYS: usize = 1_000;

/// The cost of a verify of an attenuated key beside that of a session, both cached. The sessions
/// have no device, so that both present the same number of bytes.
pub fn key_vs_session(run: &mut Run) {
    let policy = SessionPolicy::server().require_device(false).per_user(10_000);
    let filled = Filled::with(Options::server().sessions(policy), 4 * KEYS);
    let store = &filled.store;
    let new = NewUser::person("bob").privileges(PRIVILEGES);
    let user = store.users().create(new).unwrap().id;
    let open = || store.sessions().open(OpenSession::new(user, None)).unwrap();
    let sessions: Vec<String> =
        (0..KEYS).map(|_| open().granted().unwrap().session.token.expose().to_owned()).collect();
    let first = store.verify((&sessions[0], None)).unwrap().valid().unwrap();
    let scopes = ["reports.read", "reports.write"];
    let make = || store.api_keys().attenuate(&first, NewApiKey::new().scopes(scopes)).unwrap();
    let keys: Vec<String> = (1..KEYS).map(|_| make().key.expose().to_owned()).collect();
    let all = |tokens: &[&String]| {
        for token in tokens {
            black_box(store.verify((*token, None)).unwrap().valid().unwrap());
        }
    };
    // Everything is cached, and a step of no last use is over.
    for _ in 0..2 {
        sessions.iter().zip(&keys).for_each(|(session, key)| all(&[session, key]));
    }
    let (mut of_keys, mut of_sessions) = (Order(11), Order(11));
    let mut key = || {
        let drawn: Vec<&String> = (0..BATCH).map(|_| &keys[of_keys.next(keys.len())]).collect();
        time(|| all(&drawn))
    };
    let mut session = || {
        let drawn: Vec<&String> =
            (0..BATCH).map(|_| &sessions[of_sessions.next(keys.len())]).collect();
        time(|| all(&drawn))
    };
    let table = alternate(ROUNDS, 400, [&mut key, &mut session]);
    report(run, &table, ["verify of a key", "verify of a session"]);
    run.note(format_args!("{KEYS} attenuated keys, {KEYS} sessions without a device, 1 thread"));
    let ratios: Vec<f64> = table.iter().map(|[key, session]| key / session).collect();
    run.figure("verify_key_vs_session", "x", &ratios);
}

pub fn report<const N: usize>(run: &Run, table: &[[f64; N]], names: [&str; N]) {
    for (at, name) in names.into_iter().enumerate() {
        let column: Vec<f64> = table.iter().map(|row| row[at]).collect();
        let middle = Duration::from_secs_f64(median(&column));
        run.note(format_args!("{name}: {:.0} ns", each(middle, BATCH)));
    }
}

/// So many cache hits, to be counted from outside.
#[inline(never)]
pub fn counted(filled: &Filled, calls: usize) {
    let presented = filled.drawn(&mut Order(6), BATCH);
    hits(&filled.store, &presented, calls);
}

#[inline(never)]
fn hits(store: &Store, presented: &[Presented], calls: usize) {
    for (token, device) in presented.iter().cycle().take(calls) {
        black_box(store.verify((token, device)).unwrap().valid().unwrap());
    }
}

fn threads(run: &mut Run, filled: &Filled) {
    if !run.wants(&["verify_threads"]) {
        return;
    }
    let calls = run.size(1_000_000);
    let [mut one, mut two, mut four, mut eight] =
        [1, 2, 4, 8].map(|threads| move || throughput(filled, threads, calls));
    // Calls in a second of all threads together, turned round so that it is a time.
    let table = alternate(ROUNDS, 3, [&mut one, &mut two, &mut four, &mut eight]);
    let ratios = |of: usize| -> Vec<f64> { table.iter().map(|row| row[0] / row[of]).collect() };
    run.note("client threads: 1, 2, 4 and 8, each its own tokens");
    for (at, threads) in [(2, 4), (3, 8)] {
        run.note(format_args!("{threads} threads / 1: {:.2}", median(&ratios(at))));
    }
    run.figure("verify_threads", "x", &ratios(1));
}

/// How long `calls` take when that many threads share them.
fn throughput(filled: &Filled, threads: usize, calls: usize) -> Duration {
    // Few enough tokens to stay in a core's own cache, as those of a request would.
    let drawn: Vec<Vec<Presented>> =
        (0..threads).map(|seed| filled.drawn(&mut Order(7 + seed as u64), BATCH)).collect();
    let rounds = calls / threads / BATCH;
    let started = Instant::now();
    std::thread::scope(|scope| {
        for presented in &drawn {
            scope.spawn(move || {
                for _ in 0..rounds {
                    verify_all(&filled.store, presented);
                }
            });
        }
    });
    started.elapsed()
}
