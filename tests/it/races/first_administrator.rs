//! The token of the first administrator, presented by sixty-four threads of processes that are
//! killed, while others create an administrator by themselves: there is never a second one by the
//! token.

use gatepost::{ErrorKind, NewUser, Options, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, Kill, Racer, each_round_aloud};
use crate::child::Parent;
use crate::world::World;

const NEW: &str = "nine brass bells";
/// In one round of so many a process is killed; in one of so many a thread creates an administrator
/// without the token.
const KILLED_EVERY: u64 = 4;
const OTHERWISE_EVERY: u64 = 3;

fn options(options: Options) -> Options {
    options.max_waiting_hashes(64)
}

pub(crate) fn is_one(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("first-administrator", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut refused, mut otherwise) = (0, 0, 0);
    for round in 0..run.rounds {
        let issued = world.store.one_time_tokens().issue_first_administrator().unwrap();
        let mixed = round % OTHERWISE_EVERY == OTHERWISE_EVERY - 1;
        let line = format!("{} {round} {mixed}", issued.token.expose());
        let kill = Kill::thrown(&mut dice, round, KILLED_EVERY, 8);
        kills += u64::from(kill.is_some());
        let heard = fleet.race_aloud(&line, kill);
        let used = heard.of("used");
        refused += heard.of("refused");
        let by_token = count(&world, "user.first_administrator_created", round);
        let at = format!("seed {}, round {round}", run.seed);
        // A process that was killed may not have said that it used the token.
        assert!(used <= by_token && by_token <= 1, "{at}: {used} said, {by_token} in the file");
        let admins = administrators(&world);
        if mixed {
            otherwise += usize::from(by_token == 0);
            assert!(!admins.is_empty(), "{at}");
        } else {
            assert_eq!((by_token, admins.len()), (1, 1), "{at}");
        }
        for admin in admins {
            world.store.users().set_privileges(admin, &[]).unwrap();
        }
    }
    fleet.end();
    println!("first-administrator: {refused} refused, {kills} kills, {otherwise} otherwise");
    assert!(kills > 0 && refused > run.rounds);
}

fn administrators(world: &World) -> Vec<UserId> {
    let sql = world.sql();
    let admins = "SELECT user_id FROM user_privilege WHERE name = 'admin'";
    let mut statement = sql.prepare(admins).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
    rows.map(|id| UserId::from_uuid(gatepost::uuid::Uuid::from_bytes(id.unwrap()))).collect()
}

/// How many events of this kind the users of a round have.
fn count(world: &World, event: &str, round: u64) -> u64 {
    let sql = "SELECT count(*) FROM audit JOIN user ON user.id = audit.user_id
         WHERE event = ?1 AND username LIKE ?2";
    let of_round = format!("%-{round}-%");
    let count: i64 = world.sql().query_row(sql, (event, of_round), |row| row.get(0)).unwrap();
    u64::try_from(count).unwrap()
}

/// Presents the token from each thread, under a name of its own. In a mixed round one thread of
/// each process creates an administrator without it.
pub(crate) fn present(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    each_round_aloud(parent, |line| {
        let words: Vec<&str> = line.split(' ').collect();
        let (token, round, mixed) = (words[0], words[1], words[2] == "true");
        racer.threads(|player| {
            let name = format!("root-{round}-{}", player.number);
            if mixed && player.number % 16 == 7 {
                let new = || NewUser::person(&name).privilege("admin");
                player.insist(|| store.users().create(new()));
                return;
            }
            let tokens = store.one_time_tokens();
            let created = player.insist(|| {
                let created = tokens.create_first_administrator(token, &*name, NEW.into());
                match created {
                    Err(error) if error.kind() == ErrorKind::Overloaded => Ok(None),
                    created => created.map(Some),
                }
            });
            let is_used = created.is_some_and(|created| created.valid().is_ok());
            Parent.say(if is_used { "used" } else { "refused" });
        });
    });
}
