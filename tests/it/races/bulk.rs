//! Revocations of everything under a user, a branch, an organisation or the store, while sixty-four
//! threads open sessions, log in, verify, and write uses of the same user.

use std::sync::Mutex;
use std::time::Duration;

use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{
    BranchId, DeviceId, LoginRequest, NewUser, Options, OrganisationId, Password, Secret, Store,
    Subtree, UserId,
};

use super::Run;
use super::fleet::{Fleet, Marks, Player, Racer, Tally, as_word, each_round, from_word};
use crate::child::Parent;
use crate::world::{PASSWORD, SECOND, World, device};

const IDLE: Duration = Duration::from_secs(20);
/// A tenth of the inactivity timeout and more: uses are due to be written.
const DUE: Duration = Duration::from_secs(3);
/// So many calls of each thread before a revocation may begin, and after it has returned.
const CALLS: usize = 12;

fn options(options: Options) -> Options {
    options.sessions(SessionPolicy::server().inactivity_timeout(IDLE).per_user(10_000))
}

/// When a session was opened, as far as its thread can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// Before the revocation began.
    Before,
    Meanwhile,
    /// After it had returned.
    After,
}

struct Kept {
    token: Secret,
    device: DeviceId,
    opened: Opened,
    was_refused: bool,
}

/// Once a revocation has returned, which a mark shows every process at once, no session that was
/// opened before it began passes in any of them; no use that is written late and no login brings
/// one back; and sessions that are opened afterwards live.
pub(crate) fn stays(run: Run) {
    let world = World::with(options);
    let north = world.store.organisations().create("Northern").unwrap().id;
    let york = world.store.branches().create("York", north).unwrap().id;
    let ada = NewUser::person("ada").branch(york).password(PASSWORD.into());
    let ada = world.store.users().create(ada).unwrap().id;
    let ids = [ada.to_string(), york.to_string(), north.to_string()];
    let mut fleet = Fleet::start("bulk", &world, run.seed, &ids.each_ref().map(String::as_str));
    for round in 0..run.rounds {
        let now = as_word(gatepost::host::Clock::now(&world.clock));
        let mut tally = fleet.race(&format!("{now} {round}"));
        // One after the other: what was noted and not yet written is written now.
        for child in &mut fleet.children {
            child.say("settle");
            tally.add_all(&Tally::read(&child.hear()));
        }
        println!("bulk: {}", tally.line());
        for broken in ["passed_after", "revived", "lost"] {
            assert_eq!(tally.of(broken), 0, "{broken}, round {round}");
        }
        assert_eq!(tally.of("revocations"), 1);
        for seen in ["before", "after", "logins", "verified"] {
            assert!(tally.of(seen) > 0, "{seen}, round {round}");
        }
        world.clock.advance(10 * SECOND + DUE);
    }
    fleet.end();
}

/// What all threads of a process share.
struct Shared<'s> {
    store: &'s Store,
    racer: &'s Racer,
    ada: UserId,
    round: usize,
    target: Subtree,
    begun: &'s Marks,
    done: &'s Marks,
    kept: &'s Mutex<Vec<Kept>>,
}

pub(crate) fn revoke(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    let ada: UserId = racer.rest[0].parse().unwrap();
    let york: BranchId = racer.rest[1].parse().unwrap();
    let north: OrganisationId = racer.rest[2].parse().unwrap();
    let targets: [Subtree; 4] = [ada.into(), york.into(), north.into(), Subtree::Store];
    let [begun, done] = ["begun", "done"].map(|name| Marks::beside(&racer.path, name));
    let kept = Mutex::new(Vec::new());
    each_round(parent, |line| {
        if line == "settle" {
            racer.clock.advance(DUE);
            let mut tally = Tally::default();
            let mut kept = std::mem::take(&mut *kept.lock().unwrap());
            kept.iter_mut().for_each(|one| look(&store, one, true, &mut tally));
            store.maintain().unwrap();
            kept.iter_mut().for_each(|one| look(&store, one, true, &mut tally));
            return tally.line();
        }
        let (now, round) = line.split_once(' ').unwrap();
        racer.clock.set(from_word(now));
        let round: usize = round.parse().unwrap();
        let (store, begun, done, kept) = (&store, &begun, &done, &kept);
        let target = targets[round % targets.len()];
        let shared = Shared { store, racer, ada, round, target, begun, done, kept };
        racer.threads(|player| shared.play(player)).line()
    });
}

impl Shared<'_> {
    fn play(&self, player: &mut Player) {
        let revokes = self.round % 64 == player.number;
        let mut own: Vec<Kept> = Vec::new();
        let (mut calls, mut after) = (0, 0);
        while after < CALLS {
            calls += 1;
            after += usize::from(self.done.is_set(self.round));
            if revokes && calls == CALLS {
                self.begun.set(self.round);
                player.insist(|| self.store.sessions().revoke_all(self.target));
                self.done.set(self.round);
                player.tally.count("revocations");
            }
            match player.dice.below(8) {
                0 | 1 => own.extend(self.open(player, calls)),
                2 if calls < 2 * CALLS => own.extend(self.log_in(player, calls)),
                3 => self.racer.clock.advance(Duration::from_millis(100)),
                _ if own.is_empty() => {}
                _ => {
                    let one = player.dice.below(own.len());
                    let is_done = self.done.is_set(self.round);
                    look(self.store, &mut own[one], is_done, &mut player.tally);
                }
            }
        }
        own.iter_mut().for_each(|one| look(self.store, one, true, &mut player.tally));
        for one in &own {
            player.tally.count(match one.opened {
                Opened::Before => "before",
                Opened::Meanwhile => "meanwhile",
                Opened::After => "after",
            });
        }
        self.kept.lock().unwrap().append(&mut own);
    }

    fn open(&self, player: &mut Player, call: usize) -> Option<Kept> {
        let on = device(&format!("{}-{}-{call}", self.round, player.number));
        let is_done = self.done.is_set(self.round);
        let open = || OpenSession::new(self.ada, on.clone());
        let opened = player.insist(|| self.store.sessions().open(open())).granted();
        Some(self.kept(opened.unwrap().session.token, on, is_done))
    }

    /// More than five logins at once from unknown devices may be refused.
    fn log_in(&self, player: &mut Player, call: usize) -> Option<Kept> {
        let on = device(&format!("{}-{}-{call}", self.round, player.number));
        let is_done = self.done.is_set(self.round);
        let request = || LoginRequest::new("ada", Password::from(PASSWORD), on.clone());
        let opened = player.insist(|| self.store.log_in(request())).granted().ok()?;
        player.tally.count("logins");
        Some(self.kept(opened.session.token, on, is_done))
    }

    fn kept(&self, token: Secret, device: DeviceId, was_done: bool) -> Kept {
        let opened = match (was_done, self.begun.is_set(self.round)) {
            (true, _) => Opened::After,
            (false, true) => Opened::Meanwhile,
            (false, false) => Opened::Before,
        };
        Kept { token, device, opened, was_refused: false }
    }
}

/// Verifies a session; `is_done` if the revocation had returned before.
fn look(store: &Store, one: &mut Kept, is_done: bool, tally: &mut Tally) {
    let passes = loop {
        match store.verify((&one.token, &one.device)) {
            Ok(verdict) => break verdict.valid().is_ok(),
            Err(error) if error.kind() == gatepost::ErrorKind::Busy => tally.count("busy"),
            Err(error) => panic!("{error}"),
        }
    };
    tally.count("verified");
    if passes && is_done && one.opened == Opened::Before {
        tally.count("passed_after");
    }
    if passes && one.was_refused {
        tally.count("revived");
    }
    if !passes && one.opened == Opened::After {
        tally.count("lost");
    }
    one.was_refused |= !passes;
}
