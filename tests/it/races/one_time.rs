//! One-time tokens of each purpose, presented by sixty-four threads of processes that are killed:
//! each is used exactly once.

use gatepost::directory::UserStatus;
use gatepost::sessions::{NewOneTimeToken, Redemption, RevokeApiKeys};
use gatepost::{Error, LoginRequest, NewUser, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, Kill, Player, Racer, each_round_aloud};
use crate::child::Parent;
use crate::world::{World, device};

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
    door: fn(&Store, &str, usize) -> Result<bool, Error>,
}

const PURPOSES: [Purpose; 4] = [
    Purpose {
        event: "password.reset",
        status: UserStatus::Active,
        new: NewOneTimeToken::password_reset,
        door: |store, token, _| {
            let keep = RevokeApiKeys::Keep;
            store.one_time_tokens().reset_password(token, NEW.into(), keep).map(is_used)
        },
    },
    Purpose {
        event: "user.confirmed",
        status: UserStatus::Pending,
        new: NewOneTimeToken::email_confirmation,
        door: |store, token, _| store.one_time_tokens().confirm_email(token).map(is_used),
    },
    Purpose {
        event: "user.invitation_accepted",
        status: UserStatus::Pending,
        new: NewOneTimeToken::invitation,
        door: |store, token, _| {
            store.one_time_tokens().accept_invitation(token, NEW.into()).map(is_used)
        },
    },
    Purpose {
        event: "login.granted",
        status: UserStatus::Active,
        new: NewOneTimeToken::temporary_password,
        door: |store, word, number| {
            let (name, token) = word.split_once('/').unwrap();
            // Of this round alone: a device keeps the session of the user who logged in there.
            let on = device(&format!("{name}-{number}"));
            let login = LoginRequest::new(name, token.into(), on).new_password(NEW.into());
            store.log_in(login).map(|outcome| outcome.granted().is_ok())
        },
    },
];

/// The gate of its user may be closed by the threads of a process that was killed, so that no login
/// of the round was granted: then it is granted afterwards.
const LOGIN: usize = 3;

fn is_used(redeemed: Redemption) -> bool {
    redeemed.valid().is_ok()
}

pub(crate) fn tokens_are_used_once(run: Run) {
    let world = World::with(options);
    let mut fleet = Fleet::start("one-time", &world, run.seed, &[]);
    let mut dice = Dice::new(run.seed, 0);
    let (mut kills, mut unheard, mut refused) = (0, 0, 0);
    for round in 0..run.rounds {
        let issued = PURPOSES.each_ref().map(|purpose| issue(&world, purpose, round));
        let tokens: Vec<&str> = issued.iter().map(|(_, token)| token.as_str()).collect();
        let line = tokens.join(" ");
        let kill = Kill::thrown(&mut dice, round, KILLED_EVERY, 40);
        kills += u64::from(kill.is_some());
        let heard = fleet.race_aloud(&line, kill);
        let (user, word) = &issued[LOGIN];
        if uses(&world, PURPOSES[LOGIN].event, *user) == 0 {
            assert!(kill.is_some(), "seed {}, round {round}: refused to all", run.seed);
            world.store.users().unlock(*user).unwrap();
            assert!((PURPOSES[LOGIN].door)(&world.store, word, usize::MAX).unwrap());
        }
        for (number, (user, _)) in issued.iter().enumerate() {
            let used = uses(&world, PURPOSES[number].event, *user);
            let event = PURPOSES[number].event;
            assert_eq!(used, 1, "seed {}, round {round}: {event}", run.seed);
            // A process that was killed may not have said that it used one.
            let said = heard.of(&format!("used {number}"));
            assert!(said <= 1, "seed {}, round {round}: {event}", run.seed);
            unheard += 1 - said;
        }
        refused += heard.of("refused");
    }
    fleet.end();
    let tokens = run.rounds * 4;
    println!(
        "one-time: {tokens} tokens used once, {refused} refused, {kills} kills, {unheard} unheard"
    );
    assert!(kills > 0 && refused > tokens, "{kills} kills, {refused} refused");
    assert!(unheard <= 4 * kills);
    let left = "SELECT count(*) FROM one_time_token WHERE uses_left > 0";
    assert_eq!(world.count(left), 0);
}

fn issue(world: &World, purpose: &Purpose, round: u64) -> (UserId, String) {
    let name = format!("{}-{round}", purpose.event);
    let new = NewUser::person(&name).email(format!("{name}@example.com")).status(purpose.status);
    let user = world.store.users().create(new).unwrap().id;
    let issued = world.store.one_time_tokens().issue(user, (purpose.new)()).unwrap();
    let token = issued.token.expose();
    let is_login = purpose.event == PURPOSES[LOGIN].event;
    (user, if is_login { format!("{name}/{token}") } else { token.to_owned() })
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
    each_round_aloud(parent, |line| {
        let tokens: Vec<&str> = line.split(' ').collect();
        racer.threads(|player| present_all(player, &store, &tokens));
    });
}

fn present_all(player: &mut Player, store: &Store, tokens: &[&str]) {
    let first = player.dice.below(tokens.len());
    for turn in 0..tokens.len() {
        let number = (first + turn) % tokens.len();
        let door = PURPOSES[number].door;
        let at = player.number;
        let is_used = player.insist(|| door(store, tokens[number], at));
        Parent.say(&if is_used { format!("used {number}") } else { "refused".to_owned() });
    }
}
