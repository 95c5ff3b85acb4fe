//! Devices that several users log in on at once: each has one live session.

use std::collections::BTreeMap;
use std::sync::Mutex;

use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, Ended, LoginOutcome, LoginRefusal, NewUser, Options, Store, UserId};

use super::Run;
use super::fleet::{Fleet, PROCESSES, Player, Racer, THREADS, each_round};
use crate::child::Parent;
use crate::world::{World, device};

const DEVICES: usize = 4;

fn options(options: Options, takeover: bool) -> Options {
    options.sessions(SessionPolicy::server().device_takeover(takeover))
}

/// Of all tokens of a device that were ever granted, one at most verifies; and where
/// takeover is off, the user on the device keeps it until they log out.
pub(crate) fn have_one_session(run: Run, takeover: bool) {
    let world = World::with(|tests| options(tests, takeover));
    let user = |n| world.store.users().create(NewUser::person(format!("user{n}"))).unwrap().id;
    let users: Vec<UserId> = (0..PROCESSES * THREADS).map(user).collect();
    let ids: Vec<String> = users.iter().map(ToString::to_string).collect();
    let mut words = vec![if takeover { "taken over" } else { "kept" }];
    words.extend(ids.iter().map(String::as_str));
    let mut fleet = Fleet::start("devices", &world, run.seed, &words);
    let sql = world.sql();
    let mut rows = sql.prepare("SELECT device_hash, count(*) FROM session GROUP BY 1").unwrap();
    let mut looks = 0;
    let tally = fleet.race_watched(&run.rounds.to_string(), || {
        let rows: Vec<i64> =
            rows.query_map([], |row| row.get(1)).unwrap().map(Result::unwrap).collect();
        assert!(rows.len() <= DEVICES && rows.iter().all(|sessions| *sessions == 1), "{rows:?}");
        let list = |user: &UserId| world.sessions_of(*user).len();
        // Sixty-four moments: each user in turn is seen with all devices.
        assert!(users.iter().all(|user| list(user) <= DEVICES));
        looks += 1;
    });
    let mut granted: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for child in &mut fleet.children {
        child.say("tokens");
        for word in child.hear().split_whitespace() {
            let (on, token) = word.split_once(':').unwrap();
            granted.entry(on.parse().unwrap()).or_default().push(token.to_owned());
        }
    }
    let live: Vec<usize> = granted
        .iter()
        .map(|(on, tokens)| {
            tokens.iter().filter(|token| is_live(&world.store, token, *on)).count()
        })
        .collect();
    fleet.end();
    let tokens: usize = granted.values().map(Vec::len).sum();
    println!(
        "devices, {}: {}; {looks} looks; {tokens} tokens, live {live:?}",
        words[0],
        tally.line()
    );
    assert_eq!(live, if takeover { [1; DEVICES] } else { [0; DEVICES] });
    assert_eq!(tally.of("in_use") > 0, !takeover);
    assert_eq!(tally.of("taken"), 0, "a user lost a device although takeover is off");
}

fn name_of(on: usize) -> DeviceId {
    device(&format!("till-{on}"))
}

fn is_live(store: &Store, token: &str, on: usize) -> bool {
    store.verify((token, &name_of(on))).unwrap().valid().is_ok()
}

/// Each thread is a user of its own and goes from device to device.
pub(crate) fn log_in(parent: &mut Parent, racer: &Racer) {
    let takeover = racer.rest[0] == "taken over";
    let users: Vec<UserId> = racer.rest[1..].iter().map(|id| id.parse().unwrap()).collect();
    let store = racer.store(|tests| options(tests, takeover));
    let all: Mutex<Vec<String>> = Mutex::default();
    each_round(parent, |line| {
        if line == "tokens" {
            return std::mem::take(&mut *all.lock().unwrap()).join(" ");
        }
        let rounds: usize = line.parse().unwrap();
        let tally = racer.threads(|player| {
            let user = users[player.number];
            let mut tokens = Vec::new();
            for _ in 0..rounds {
                let on = player.dice.below(DEVICES);
                let open = || OpenSession::new(user, name_of(on));
                match player.insist(|| store.sessions().open(open())) {
                    LoginOutcome::Granted(reply) => {
                        player.tally.count("granted");
                        let token = reply.session.token.expose().to_owned();
                        if !takeover {
                            hold(player, &store, &token, on);
                        }
                        tokens.push(format!("{on}:{token}"));
                    }
                    LoginOutcome::Refused(LoginRefusal::DeviceInUse) => {
                        player.tally.count("in_use")
                    }
                    other => panic!("{other:?}"),
                }
            }
            all.lock().unwrap().extend(tokens);
        });
        tally.line()
    });
}

/// Verifies a few times and logs out.
fn hold(player: &mut Player, store: &Store, token: &str, on: usize) {
    for _ in 0..3 {
        let verdict = player.insist(|| store.verify((token, &name_of(on))));
        player.tally.count(if verdict.valid().is_ok() { "verified" } else { "taken" });
    }
    let ended = player.insist(|| store.log_out((token, &name_of(on))));
    if ended != Ended::Now {
        player.tally.count("taken");
    }
}
