//! A hash of a lower cost, while thirty-two threads log in with its password.

use gatepost::policy::{Cost, SessionPolicy};
use gatepost::sessions::OpenSession;
use gatepost::{LoginOutcome, LoginRequest, NewUser, Options};

use super::Run;
use super::fleet::{Fleet, PROCESSES, Racer, THREADS, Tally, each_round};
use crate::child::Parent;
use crate::world::{PASSWORD, World, device};

/// Threads that log in, of the sixty-four.
const RACING: usize = 32;
/// How many passwords a process hashes at once. With the one that is admitted ahead in each process
/// fewer are charged at once than the ten that stop all known devices.
const SLOTS: usize = 1;

fn options(options: Options, cost: Cost) -> Options {
    let sessions = SessionPolicy::server().per_user(1_000);
    options.cost(cost).max_concurrent_hashes(SLOTS).max_waiting_hashes(RACING).sessions(sessions)
}

/// All are granted, the hash is written once, and its version stays: no session ends by it.
pub(crate) fn happens_once(run: Run) {
    let weaker = Cost::new(12_288, 3, 1).unwrap();
    let world = World::with(|tests| options(tests, weaker));
    let mut fleet = Fleet::start("upgrade", &world, run.seed, &[]);
    for round in 0..run.rounds {
        let name = format!("user{round}");
        let user = NewUser::person(&name).password(PASSWORD.into());
        let user = world.store.users().create(user).unwrap().id;
        // Each thread on a device of its own that is known, so that no budget makes it wait.
        for number in 0..PROCESSES * THREADS {
            let open = OpenSession::new(user, device(&format!("{name}-{number}")));
            world.store.sessions().open(open).unwrap().granted().unwrap();
        }
        let (hash, version) = credential(&world, &name);
        let tally = fleet.race(&name);
        let (upgraded, same_version) = credential(&world, &name);
        println!("upgrade: {}; {hash:.32} to {upgraded:.32}", tally.line());
        assert_eq!(tally.of("granted"), u64::try_from(RACING).unwrap());
        assert!(hash.contains("m=12288,t=3,p=1") && upgraded.contains("m=19456,t=2,p=1"));
        assert_eq!(version, same_version, "an upgrade is no new password");
        assert_eq!(tally.of("upgraded"), 1, "written once");
        // Logins that hash or are admitted at the time of the upgrade may have read the old hash.
        let (least, most) = (RACING + 1, RACING + (SLOTS + 1) * PROCESSES);
        assert_hashes(&tally, least, most);
        assert_hashes(&fleet.race(&name), RACING, RACING);
        assert_eq!(credential(&world, &name).0, upgraded);
    }
    fleet.end();
}

/// A login whose last write was `Busy` has hashed once, and is tried again.
#[track_caller]
fn assert_hashes(tally: &Tally, least: usize, most: usize) {
    let [hashes, busy] = ["hashes", "busy"].map(|count| usize::try_from(tally.of(count)).unwrap());
    assert!((least..=most + busy).contains(&hashes), "{}: {least} to {most} hashes", tally.line());
}

fn credential(world: &World, name: &str) -> (String, i64) {
    let sql = "SELECT phc, version FROM credential JOIN user ON id = user_id WHERE username = ?1";
    world.sql().query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

pub(crate) fn log_in(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(|tests| options(tests, Cost::recommended()));
    each_round(parent, |name| {
        let before = store.status();
        let mut tally: Tally = racer.threads(|player| {
            if player.number % 2 == 1 {
                return;
            }
            let on = device(&format!("{name}-{}", player.number));
            let log_in = || LoginRequest::new(name, PASSWORD.into(), on.clone());
            match player.insist(|| store.log_in(log_in())) {
                LoginOutcome::Granted(_) => player.tally.count("granted"),
                other => panic!("{other:?}"),
            }
        });
        let after = store.status();
        tally.add("hashes", after.hashes_done - before.hashes_done);
        tally.add("upgraded", after.hashes_upgraded - before.hashes_upgraded);
        tally.line()
    });
}
