//! Processes killed in the middle of their logins: their answers stay true, and nothing is
//! half done.

use std::collections::BTreeMap;

use gatepost::policy::{Cost, SessionPolicy};
use gatepost::sessions::OpenSession;
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, NewUser, Options, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Player, Racer, each_round};
use crate::child::{Child, Parent};
use crate::world::{PASSWORD, World, device};

const USERS: usize = 16;
/// What each thread does in a round.
const STEPS: usize = 6;

fn options(options: Options) -> Options {
    options
        .max_concurrent_hashes(2)
        .max_waiting_hashes(64)
        .sessions(SessionPolicy::server().per_user(10_000))
}

/// What the process said of a token.
#[derive(Debug, Default)]
struct Said {
    ending: bool,
    ended: bool,
}

pub(crate) fn leaves_nothing_half_done(run: Run) {
    let world = World::with(options);
    let create = |n| NewUser::person(format!("user{n}")).password(PASSWORD.into());
    let users: Vec<UserId> =
        (0..USERS).map(|n| world.store.users().create(create(n)).unwrap().id).collect();
    let ids: Vec<String> = users.iter().map(ToString::to_string).collect();
    let words: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut fleet = Fleet::start("killed", &world, run.seed, &words);
    let mut dice = Dice::new(run.seed, 0);
    let mut tokens: BTreeMap<String, Said> = BTreeMap::new();
    for round in 0..run.rounds {
        fleet.children.iter_mut().for_each(|child| child.say(&round.to_string()));
        let victim = dice.below(PROCESSES);
        for _ in 0..1 + dice.below(60) {
            let line = fleet.children[victim].hear();
            note(&mut tokens, &line);
            if line.starts_with("done") {
                break;
            }
        }
        fleet.kill(victim).iter().for_each(|line| note(&mut tokens, line));
        for child in &mut fleet.children {
            let mut line = child.hear();
            while !line.starts_with("done") {
                note(&mut tokens, &line);
                line = child.hear();
            }
        }
        fleet.replace(victim);
        is_whole(&world);
        let live = tokens.iter().filter(|(token, said)| holds(&world, token, said)).count();
        let rows = world.count("SELECT count(*) FROM session");
        let charged = world.count("SELECT coalesce(sum(failures), 0) FROM throttle");
        println!(
            "killed: {} tokens heard of, {live} live, {rows} sessions, {charged} charged",
            tokens.len()
        );
        for user in &users {
            world.store.users().unlock(*user).unwrap();
        }
    }
    fleet.end();
}

fn note(tokens: &mut BTreeMap<String, Said>, line: &str) {
    if let Some((what, token)) = line.split_once(' ') {
        let said = tokens.entry(token.to_owned()).or_default();
        said.ending |= what == "ending";
        said.ended |= what == "ended";
    }
}

/// Whether a token verifies, which must be as its process has said.
fn holds(world: &World, word: &str, said: &Said) -> bool {
    let (on, token) = word.split_once(':').unwrap();
    let live = world.store.verify((token, &device(on))).unwrap().valid().is_ok();
    assert!(!(said.ended && live), "a logout was acknowledged and undone");
    assert!(said.ending || live, "a login was acknowledged and lost");
    live
}

/// The file, its references, its log, and the sessions in it agree with each other.
fn is_whole(world: &World) {
    let sql = world.sql();
    let check: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let broken: Option<String> = sql
        .query_row("SELECT max(\"table\") FROM pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(broken, None);
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    let opened = "SELECT count(*) FROM audit WHERE outcome = 'done'
        AND event IN ('login.granted', 'session.opened')";
    let ended = "SELECT count(*) FROM audit WHERE event = 'session.logged_out'";
    let rows = world.count("SELECT count(*) FROM session");
    assert_eq!(world.count(opened) - world.count(ended), rows, "a row for each event");
    let without = "SELECT count(*) FROM session AS s WHERE NOT EXISTS (
        SELECT 1 FROM audit WHERE session_id = s.id AND outcome = 'done')";
    assert_eq!(world.count(without), 0, "a session without its event");
    let unseen = "SELECT count(*) FROM session AS s WHERE NOT EXISTS (
        SELECT 1 FROM device AS d
        WHERE d.user_id = s.user_id AND d.device_hash = s.device_hash)
        AND (SELECT count(*) FROM device AS d WHERE d.user_id = s.user_id) < 100";
    assert_eq!(world.count(unseen), 0, "a session on a device that unknown was seen on");
}

/// Logs in, opens, guesses and logs out, and prints each answer.
pub(crate) fn live(parent: &mut Parent, racer: &Racer) {
    if racer.rest[0] == "slowly" {
        return hash_slowly(parent, racer);
    }
    let store = racer.store(options);
    let users: Vec<UserId> = racer.rest.iter().map(|id| id.parse().unwrap()).collect();
    let pid = std::process::id();
    each_round(parent, |round| {
        let tally = racer.threads(|player| {
            for step in 0..STEPS {
                let user = player.number % USERS;
                let on = format!("{pid}-{round}-{}-{step}", player.number);
                let wrong = player.dice.below(3) == 0;
                let by_password = wrong || player.dice.below(2) == 0;
                let answer = player.insist(|| {
                    if !by_password {
                        let open = OpenSession::new(users[user], device(&on));
                        return store.sessions().open(open);
                    }
                    let password = if wrong { "wrong horse" } else { PASSWORD };
                    store.log_in(LoginRequest::new(
                        format!("user{user}"),
                        password.into(),
                        device(&on),
                    ))
                });
                match answer {
                    LoginOutcome::Granted(reply) => {
                        let token = reply.session.token.expose();
                        opened(player, &store, &on, token);
                    }
                    LoginOutcome::Refused(LoginRefusal::InvalidCredentials) => {
                        player.tally.count("wrong")
                    }
                    LoginOutcome::Refused(LoginRefusal::TooManyAttempts { .. }) => {
                        player.tally.count("too_many_attempts");
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        format!("done {}", tally.line().replace(' ', ","))
    });
}

fn opened(player: &mut Player, store: &gatepost::Store, on: &str, token: &str) {
    Parent.say(&format!("opened {on}:{token}"));
    if player.dice.below(2) == 0 {
        Parent.say(&format!("ending {on}:{token}"));
        let _ = player.insist(|| store.log_out((token, &device(on))));
        Parent.say(&format!("ended {on}:{token}"));
    }
}

/// Long enough that a process which said that it hashes is killed while it does: most of a second.
fn slow(options: Options) -> Options {
    options.cost(Cost::new(131_072, 8, 1).unwrap()).max_concurrent_hashes(1).max_waiting_hashes(0)
}

/// Says so as soon as it hashes.
fn hash_slowly(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(slow);
    parent.hear();
    std::thread::scope(|scope| {
        let login = LoginRequest::new("ada", PASSWORD.into(), device("till"));
        let logging_in = scope.spawn(|| store.log_in(login));
        while store.status().hashes_running == 0 || store.status().hashes_done == 0 {
            std::thread::yield_now();
        }
        parent.say("hashing");
        assert!(logging_in.join().unwrap().unwrap().granted().is_ok());
        parent.say("granted");
    });
}

/// Its attempt stays charged, although its password was right, and nothing else is left of it.
pub(crate) fn leaves_its_attempt_charged(run: Run) {
    let world = World::with(slow);
    let ada = NewUser::person("ada").password(PASSWORD.into());
    let ada = world.store.users().create(ada).unwrap().id;
    let events = world.count("SELECT max(seq) FROM audit");
    // After one more, even the right password would have to wait.
    for killed in 1..=i64::try_from(run.rounds).unwrap().min(4) {
        let path = world.path.to_str().unwrap();
        let mut child = Child::start("race", &["killed", path, "0", "0", "slowly"]);
        let pid = child.hear();
        child.say("log in");
        assert_eq!(child.hear(), "hashing");
        let rest = child.kill();
        println!("killed: {pid} in a hash, and it had said {rest:?}");
        assert!(rest.is_empty(), "it was killed too late");
        is_whole(&world);
        assert_eq!(world.count("SELECT sum(failures) FROM throttle"), killed);
        assert_eq!(world.count("SELECT max(seq) FROM audit"), events);
        assert!(world.sessions_of(ada).is_empty());
        assert_eq!(world.store.users().find(ada).unwrap().unwrap().last_login_at, None);
    }
    let login = LoginRequest::new("ada", PASSWORD.into(), device("till"));
    assert!(world.store.log_in(login).unwrap().granted().is_ok());
    assert_eq!(world.count("SELECT sum(failures) FROM throttle"), 0);
}
