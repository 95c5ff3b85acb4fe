//! One-time tokens of each purpose, presented by sixty-four threads of processes that are killed:
//! each is used exactly once.

use gatepost::directory::UserStatus;
use gatepost::sessions::{NewOneTimeToken, Redemption, RevokeApiKeys};
use gatepost::{Error, NewUser, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, PROCESSES, Player, Racer, each_round};
use crate::child::Parent;
use crate::world::World;

const NEW: &str = "nine brass bells";
/// In one round of so many a process is killed.
const KILLED_EVERY: u64 = 5;

fn options(options: Options) -> Options {
    options.max_waiting_hashes(64)
}

struct Purpose {
    event: &'static str,
    status: UserStatus,
    new: fn() -> NewOneTimeToken,
    door: fn(&Store, &str) -> Result<Redemption, Error>,
}

const PURPOSES: [Purpose; 3] = [
    Purpose {
        event: "password.reset",
        status: UserStatus::Active,
        new: NewOneTimeToken::password_reset,
        door: |store, token| {
            store.one_time_tokens().reset_password(token, NEW.into(), RevokeApiKeys::Keep)
        },
    },
    Purpose {
        event: "user.confirmed",
        status: UserStatus::Pending,
        new: NewOneTimeToken::email_confirmation,
        door: |store, token| store.one_time_tokens().confirm_email(token),
    },
    Purpose {
        event: "user.invitation_accepted",
        status: UserStatus::Pending,
        new: NewOneTimeToken::invitation,
        door: |store, token| store.one_time_tokens().accept_invitation(token, NEW.into()),
    },
];

pub(crate) fn tokens_are_used_once(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("one-time", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut unheard, mut refused) = (0, 0, 0);
    for round in 0..run.rounds {
        let issued = PURPOSES.each_ref().map(|purpose| issue(&world, purpose, round));
        let tokens: Vec<&str> = issued.iter().map(|(_, token)| token.as_str()).collect();
        let line = tokens.join(" ");
        fleet.children.iter_mut().for_each(|child| child.say(&line));
        let mut heard = Heard::default();
        let victim = (round % KILLED_EVERY == 0).then(|| dice.below(PROCESSES));
        if let Some(victim) = victim {
            for _ in 0..dice.below(40) {
                if heard.is_done(&fleet.children[victim].hear()) {
                    break;
                }
            }
            for line in fleet.kill(victim) {
                heard.is_done(&line);
            }
            kills += 1;
        }
        for child in &mut fleet.children {
            while !heard.is_done(&child.hear()) {}
        }
        if let Some(victim) = victim {
            fleet.replace(victim);
        }
        for (number, (user, _)) in issued.iter().enumerate() {
            let used = uses(&world, PURPOSES[number].event, *user);
            let event = PURPOSES[number].event;
            assert_eq!(used, 1, "seed {}, round {round}: {event}", run.seed);
            // A process that was killed may not have said that it used one.
            assert!(heard.used[number] <= 1, "seed {}, round {round}: {event}", run.seed);
            unheard += 1 - heard.used[number];
        }
        refused += heard.refused;
    }
    fleet.end();
    let tokens = run.rounds * 3;
    println!(
        "one-time: {tokens} tokens used once, {refused} refused, {kills} kills, {unheard} unheard"
    );
    assert!(kills > 0 && refused > tokens, "{kills} kills, {refused} refused");
    assert!(unheard <= 3 * kills);
    let left = "SELECT count(*) FROM one_time_token WHERE uses_left > 0";
    assert_eq!(world.count(left), 0);
}

/// What the threads have said.
#[derive(Default)]
struct Heard {
    used: [u64; 3],
    refused: u64,
}

impl Heard {
    /// Notes what a thread said; whether its process has finished the round.
    fn is_done(&mut self, line: &str) -> bool {
        match line.split_once(' ') {
            Some(("used", number)) => self.used[number.parse::<usize>().unwrap()] += 1,
            Some(("refused", _)) => self.refused += 1,
            _ => return line == "done",
        }
        false
    }
}

fn issue(world: &World, purpose: &Purpose, round: u64) -> (UserId, String) {
    let name = format!("{}-{round}", purpose.event);
    let new = NewUser::person(&name).email(format!("{name}@example.com")).status(purpose.status);
    let user = world.store.users().create(new).unwrap().id;
    let issued = world.store.one_time_tokens().issue(user, (purpose.new)()).unwrap();
    (user, issued.token.expose().to_owned())
}

/// How often the file says that the token of this user was used.
fn uses(world: &World, event: &str, user: UserId) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE event = ?1 AND user_id = ?2 AND outcome = 'done'";
    let user = user.as_uuid().into_bytes();
    world.sql().query_row(sql, (event, user), |row| row.get(0)).unwrap()
}

/// Presents each token once from each thread, in an order of its own, and says what came of it.
pub(crate) fn present(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    each_round(parent, |line| {
        let tokens: Vec<&str> = line.split(' ').collect();
        racer.threads(|player| present_all(player, &store, &tokens));
        "done".to_owned()
    });
}

fn present_all(player: &mut Player, store: &Store, tokens: &[&str]) {
    let first = player.dice.below(tokens.len());
    for turn in 0..tokens.len() {
        let number = (first + turn) % tokens.len();
        let door = PURPOSES[number].door;
        let redeemed = player.insist(|| door(store, tokens[number]));
        let said = if redeemed.valid().is_ok() { "used" } else { "refused" };
        Parent.say(&format!("{said} {number}"));
    }
}
