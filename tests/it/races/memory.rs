//! A thousand logins at once, at the default cost: their memory, and the calls that go on
//! meanwhile.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use gatepost::policy::Cost;
use gatepost::sessions::OpenSession;
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, NewUser, Options, Store};

use super::Run;
use super::fleet::{Racer, Tally};
use crate::child::{Child, Parent};
use crate::world::{PASSWORD, SECOND, World, device};

const LOGINS: usize = 1_000;
/// How many of them have a user; the others cost the same.
const USERS: usize = 100;
const SLOTS: usize = 2;
const WAITING: usize = 64;
/// Of the threads that log in: what they touch of it counts as memory of the process.
const STACK_BYTES: usize = 256 * 1024;
/// Beside the buffers of the gate: all memory of the process, the test itself included.
const REST_KIB: u64 = 64 * 1024;

fn options(options: Options) -> Options {
    options.cost(Cost::recommended()).max_concurrent_hashes(SLOTS).max_waiting_hashes(WAITING)
}

/// In a process of its own, as its memory is what is measured.
pub(crate) fn stays_within_the_gate(run: Run) {
    let world = World::with(options);
    let first = NewUser::person("user0").password(PASSWORD.into());
    world.store.users().create(first).unwrap();
    let hash: String =
        world.sql().query_row("SELECT phc FROM credential", [], |row| row.get(0)).unwrap();
    for n in 1..USERS {
        let user = NewUser::person(format!("user{n}")).password_hash(&hash);
        world.store.users().create(user).unwrap();
    }
    let path = world.path.to_str().unwrap();
    let mut child = Child::start("race", &["memory", path, "0", &run.seed.to_string()]);
    println!("memory: {}", child.hear());
    let tally = Tally::read(&child.hear());
    child.end();
    println!("memory: {}", tally.line());
    let hashed = tally.of("granted") + tally.of("invalid");
    assert_eq!(hashed + tally.of("overloaded"), u64::try_from(LOGINS).unwrap());
    assert_eq!(tally.of("hashes"), hashed);
    assert!(hashed >= u64::try_from(SLOTS + WAITING).unwrap() && tally.of("overloaded") > 0);
    assert!(tally.of("verified") > hashed, "verifies wait for no hash");
    let bound = u64::try_from(SLOTS).unwrap() * 19 * 1024 + REST_KIB;
    assert!(tally.of("peak_kib") <= bound, "{} KiB of {bound}", tally.of("peak_kib"));
}

pub(crate) fn log_in(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    let ada = store.users().find_by_username("user0").unwrap().unwrap().id;
    let open = OpenSession::new(ada, device("till"));
    let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
    let begin = Barrier::new(LOGINS);
    let (back, verified) = (AtomicUsize::new(0), AtomicU64::new(0));
    let before = store.status().hashes_done;
    let mut tally = thread::scope(|scope| {
        scope.spawn(|| {
            while back.load(Ordering::Acquire) < LOGINS {
                let verdict = store.verify((&token, &device("till"))).unwrap();
                assert!(verdict.valid().is_ok());
                verified.fetch_add(1, Ordering::Relaxed);
            }
        });
        let spawn = |number: usize| {
            let (store, begin, back) = (&store, &begin, &back);
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            let log_in = move || {
                begin.wait();
                let answer = log_in_as(store, number);
                back.fetch_add(1, Ordering::Release);
                answer
            };
            thread.spawn_scoped(scope, log_in).unwrap()
        };
        let running: Vec<_> = (0..LOGINS).map(spawn).collect();
        let mut tally = Tally::default();
        running.into_iter().for_each(|one| tally.count(one.join().unwrap()));
        tally
    });
    tally.add("verified", verified.into_inner());
    tally.add("hashes", store.status().hashes_done - before);
    tally.add("peak_kib", kib("VmHWM:"));
    tally.add("resident_kib", kib("VmRSS:"));
    parent.say(&tally.line());
}

fn log_in_as(store: &Store, number: usize) -> &'static str {
    let name = format!("user{number}");
    let login = LoginRequest::new(name, PASSWORD.into(), device(&format!("phone-{number}")));
    match store.log_in(login).unwrap() {
        LoginOutcome::Granted(_) => "granted",
        LoginOutcome::Refused(LoginRefusal::InvalidCredentials) => "invalid",
        LoginOutcome::Refused(LoginRefusal::Overloaded { retry_after, .. }) => {
            assert!(retry_after >= SECOND);
            "overloaded"
        }
        other => panic!("{other:?}"),
    }
}

/// What the system says of this process.
fn kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
