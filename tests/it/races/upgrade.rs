//! A hash of a lower cost, while thirty-two threads log in with its password.

use gatepost::{Cost, LogIn, LoginAnswer, NewUser, OpenSession, Options, SessionPolicy};

use super::Run;
use super::fleet::{Fleet, PROCESSES, Racer, THREADS, Tally, each_round};
use crate::child::Parent;
use crate::world::{PASSWORD, World, device};

/// Threads that log in, of the sixty-four.
const RACING: usize = 32;
/// How many passwords a process hashes at once.
const SLOTS: usize = 2;

fn options(options: Options, cost: Cost) -> Options {
    let sessions = SessionPolicy::server().per_user(1_000);
    options.cost(cost).hashing(SLOTS, RACING).sessions(sessions)
}

/// All are granted, the hash is written once, and its version stands: no session ends by it.
pub(crate) fn happens_once(run: Run) {
    let weaker = Cost::new(12_288, 3, 1).unwrap();
    let world = World::with(|tests| options(tests, weaker));
    count_writes_of_hashes(&world);
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
        assert_eq!(world.count("SELECT count(*) FROM hash_written"), 1, "written once");
        world.sql().execute("DELETE FROM hash_written", []).unwrap();
        // Whoever hashes, and the one that was let in ahead, may have seen the old one.
        let (least, most) = (RACING + 1, RACING + (SLOTS + 1) * PROCESSES);
        let hashes = usize::try_from(tally.of("hashes")).unwrap();
        assert!((least..=most).contains(&hashes), "{hashes} hashes");
        let tally = fleet.race(&name);
        assert_eq!(tally.of("hashes"), u64::try_from(RACING).unwrap(), "nothing is left to do");
        assert_eq!(credential(&world, &name).0, upgraded);
    }
    fleet.end();
}

fn count_writes_of_hashes(world: &World) {
    let script = "CREATE TABLE hash_written (phc TEXT);
        CREATE TRIGGER hash_is_written AFTER UPDATE OF phc ON credential
        BEGIN INSERT INTO hash_written VALUES (NEW.phc); END;";
    world.sql().execute_batch(script).unwrap();
}

fn credential(world: &World, name: &str) -> (String, i64) {
    let sql = "SELECT phc, version FROM credential JOIN user ON id = user_id WHERE username = ?1";
    world.sql().query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

pub(crate) fn log_in(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(|tests| options(tests, Cost::recommended()));
    each_round(parent, |name| {
        let before = store.status().hashes_done;
        let mut tally: Tally = racer.threads(|player| {
            if player.number % 2 == 1 {
                return;
            }
            let on = device(&format!("{name}-{}", player.number));
            let log_in = || LogIn::new(name, PASSWORD.into(), on.clone());
            match player.insist(|| store.log_in(log_in())) {
                LoginAnswer::Granted(_) => player.tally.count("granted"),
                other => panic!("{other:?}"),
            }
        });
        tally.add("hashes", store.status().hashes_done - before);
        tally.line()
    });
}
