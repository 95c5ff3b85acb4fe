//! A change of password, while sixty-three threads log in with the old one.

use std::sync::Mutex;

use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, NewUser, Options, Store, UserId};

use super::Run;
use super::fleet::{Dice, Fleet, Marks, PROCESSES, Player, Racer, THREADS, each_round};
use crate::child::Parent;
use crate::world::{World, device};

fn options(options: Options) -> Options {
    let sessions = SessionPolicy::server().per_user(1_000);
    options.max_concurrent_hashes(2).max_waiting_hashes(64).sessions(sessions)
}

fn password(round: usize) -> String {
    format!("correct horse number {round}")
}

/// Once the change is acknowledged, which a mark shows every process at once, the old password
/// opens nothing, and no session that it opened verifies, except the one that changed it.
pub(crate) fn end_with_their_sessions(run: Run) {
    let world = World::with(options);
    let ada = NewUser::person("ada").password(password(0).as_str().into());
    let ada = world.store.users().create(ada).unwrap().id;
    let mut fleet = Fleet::start("passwords", &world, run.seed, &[&ada.to_string()]);
    for round in 0..run.rounds {
        for number in 0..PROCESSES * THREADS {
            let open = OpenSession::new(ada, on(number));
            world.store.sessions().open(open).unwrap().granted().unwrap();
        }
        let tally = fleet.race(&round.to_string());
        println!("passwords: {}", tally.line());
        assert_eq!(tally.of("granted_after"), 0, "the old password opened a session");
        assert_eq!(tally.of("outlived"), 0, "a session of the old password verified");
        assert_eq!(tally.of("changed"), 1);
        assert!(tally.of("granted") > 0 && tally.of("refused_after") > 0 && tally.of("dead") > 0);
        let live = world.sessions_of(ada).len();
        assert_eq!(live, 1, "the session that changed the password goes on alone");
        world.store.sessions().revoke_all(ada).unwrap();
        world.store.users().unlock(ada).unwrap();
    }
    fleet.end();
}

fn on(number: usize) -> gatepost::DeviceId {
    device(&format!("till-{number}"))
}

pub(crate) fn log_in(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    let ada: UserId = racer.rest[0].parse().unwrap();
    let changed = Marks::beside(&racer.path, "changed");
    each_round(parent, |round| {
        let round: usize = round.parse().unwrap();
        let opened = Mutex::new(Vec::new());
        let mut dice = Dice::new(racer.seed, u64::try_from(round).unwrap());
        let changer = dice.below(PROCESSES * THREADS);
        let shared = Shared { store: &store, ada, round, changed: &changed, opened: &opened };
        let mut tally = racer.threads(|player| {
            if player.number == changer {
                shared.change(player);
            } else {
                shared.log_in(player);
            }
        });
        // Whatever was opened in this process, until the last login has come back.
        for (number, token) in opened.into_inner().unwrap() {
            let verdict = store.verify((&token, &on(number))).unwrap();
            tally.count(if verdict.valid().is_ok() { "outlived" } else { "dead" });
        }
        tally.line()
    });
}

struct Shared<'s> {
    store: &'s Store,
    ada: UserId,
    round: usize,
    changed: &'s Marks,
    opened: &'s Mutex<Vec<(usize, String)>>,
}

impl Shared<'_> {
    /// With the old password, until a login that began after the change was refused.
    fn log_in(&self, player: &mut Player) {
        loop {
            let is_changed = self.changed.is_set(self.round);
            let number = player.number;
            let old =
                || LoginRequest::new("ada", password(self.round).as_str().into(), on(number));
            let answer = player.insist(|| self.store.log_in(old()));
            match answer {
                LoginOutcome::Granted(reply) => {
                    player.tally.count(if is_changed { "granted_after" } else { "granted" });
                    let token = reply.session.token.expose().to_owned();
                    self.opened.lock().unwrap().push((number, token));
                }
                LoginOutcome::Refused(LoginRefusal::InvalidCredentials) if is_changed => {
                    player.tally.count("refused_after");
                    return;
                }
                // Refused while the change was made; and a fifth time means a wait.
                LoginOutcome::Refused(LoginRefusal::InvalidCredentials) => {
                    player.tally.count("late")
                }
                // All known devices together may fail ten times.
                LoginOutcome::Refused(LoginRefusal::TooManyAttempts { .. }) if is_changed => {
                    player.tally.count("refused_after");
                    return;
                }
                LoginOutcome::Refused(LoginRefusal::TooManyAttempts { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// After a few others have logged in.
    fn change(&self, player: &mut Player) {
        let mine = on(player.number);
        let open = || OpenSession::new(self.ada, mine.clone());
        let reply = player.insist(|| self.store.sessions().open(open())).granted().unwrap();
        let token = reply.session.token;
        while self.opened.lock().unwrap().len() < 8 {
            std::thread::yield_now();
        }
        let (old, new) = (password(self.round), password(self.round + 1));
        let change = || {
            let (old, new) = (old.as_str().into(), new.as_str().into());
            self.store.change_password((&token, &mine), old, new)
        };
        let reply = player.insist(change).granted().unwrap();
        self.changed.set(self.round);
        player.tally.count("changed");
        let verdict = player.insist(|| self.store.verify((&reply.session.token, &mine)));
        assert!(verdict.valid().is_ok(), "the session that changes the password goes on");
    }
}
