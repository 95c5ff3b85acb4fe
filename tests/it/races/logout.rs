//! Logouts, while sixty-four threads verify, write `last_seen`, and log in again.

use std::sync::Mutex;
use std::time::Duration;

use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewTicket, OpenSession};
use gatepost::{Ended, NewUser, Options, Secret, Store, UserId};

use super::Run;
use super::fleet::{Fleet, Marks, Player, Racer, as_word, each_round, from_word};
use crate::child::Parent;
use crate::keyring::keys;
use crate::world::{MINUTE, SECOND, World, device};

/// Sessions in each round.
const SESSIONS: usize = 32;
const IDLE: Duration = Duration::from_secs(20);
/// How far the clock of a process may run ahead in a round: less than the inactivity timeout.
const AHEAD: u32 = 12;
/// A tenth of the inactivity timeout and more: uses are due to be written.
const DUE: Duration = Duration::from_secs(3);

fn options(options: Options) -> Options {
    // A keyring, so that a ticket is valid in every process.
    let options = options.keyring(keys(&[("2026-01", 1)]));
    options.sessions(SessionPolicy::server().inactivity_timeout(IDLE).per_user(1_000))
}

/// Once a logout has returned, which a mark shows every process at once, no verify of the session
/// or of its ticket passes in any of them: no touch and no later login brings the session back.
pub(crate) fn stays(run: Run) {
    let mut world = World::with(options);
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    let mut fleet = Fleet::start("logout", &world, run.seed, &[&ada.to_string()]);
    let (mut all_tokens, mut touched) = (Vec::new(), 0);
    for round in 0..usize::try_from(run.rounds).unwrap() {
        let base = round * SESSIONS;
        let tokens: Vec<String> =
            (base..base + SESSIONS).map(|n| open(&world.store, ada, n)).collect();
        let now = as_word(gatepost::host::Clock::now(&world.clock));
        let words = (base..)
            .zip(&tokens)
            .map(|(n, token)| format!("{token}/{}", mint(&world.store, token, n)));
        let words: Vec<String> = words.collect();
        let tally = fleet.race(&format!("{now} {base} {}", words.join(" ")));
        all_tokens.extend(tokens);
        println!("logout: {}", tally.line());
        // One after the other, so that no process waits for another: what was noted before the
        // logouts and not yet written is written now, and brings nothing back.
        for child in &mut fleet.children {
            child.say("touch");
            child.hear();
        }
        assert_eq!(live_of(&world, &all_tokens), 0, "a late touch brought a session back");
        assert_eq!(tally.of("undone"), 0, "a session verified after its logout was acknowledged");
        assert_eq!(tally.of("ended"), u64::try_from(SESSIONS).unwrap(), "each ended once");
        assert_eq!(tally.of("ticket_undone"), 0, "a ticket passed after its session's logout");
        assert!(tally.of("ticket_valid") > 0 && tally.of("ticket_refused_after") > 0);
        assert!(tally.of("valid") > 0 && tally.of("refused_after") > 0 && tally.of("again") > 0);
        touched += world.count("SELECT count(*) FROM session WHERE last_seen > opened_at");
        world.clock.advance(AHEAD * SECOND + DUE);
    }
    fleet.end();
    println!("logout: {touched} sessions were touched");
    assert!(touched > 0);
    world.reopen();
    assert_eq!(live_of(&world, &all_tokens), 0);
}

fn live_of(world: &World, tokens: &[String]) -> usize {
    let is_live = |(n, token): &(usize, &String)| {
        world.store.verify((token, &device(&format!("till-{n}")))).unwrap().valid().is_ok()
    };
    tokens.iter().enumerate().filter(is_live).count()
}

fn open(store: &Store, user: UserId, n: usize) -> String {
    let open = OpenSession::new(user, device(&format!("till-{n}")));
    let reply = store.sessions().open(open).unwrap().granted().unwrap();
    reply.session.token.expose().to_owned()
}

/// A ticket of that session, valid for the whole round.
fn mint(store: &Store, token: &str, n: usize) -> String {
    let on = device(&format!("till-{n}"));
    let principal = store.verify((token, &on)).unwrap().valid().unwrap();
    let new = NewTicket::new("GET", "/").lifetime(5 * MINUTE);
    let minted = store.tickets().mint(&principal, new).unwrap().valid().unwrap();
    minted.ticket.expose().to_owned()
}

/// What all threads of a process share in a round.
struct Shared<'s> {
    store: &'s Store,
    racer: &'s Racer,
    ada: UserId,
    /// The number of the first session of the round.
    base: usize,
    tokens: Vec<&'s str>,
    tickets: Vec<&'s str>,
    marks: &'s Marks,
    /// How often the clock may still tick.
    ticks: Mutex<u32>,
    /// Sessions opened after a logout, and where.
    again: &'s Mutex<Vec<(usize, Secret)>>,
}

pub(crate) fn verify(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    let ada: UserId = racer.rest[0].parse().unwrap();
    let marks = Marks::beside(&racer.path, "logged-out");
    let again = Mutex::new(Vec::new());
    each_round(parent, |line| {
        if line == "touch" {
            racer.clock.advance(DUE);
            let again: Vec<(usize, Secret)> = std::mem::take(&mut *again.lock().unwrap());
            let live = |(on, token): &&(usize, Secret)| {
                let on = device(&format!("till-{on}"));
                store.verify((token, &on)).unwrap().valid().is_ok()
            };
            return again.iter().filter(live).count().to_string();
        }
        let words: Vec<&str> = line.split(' ').collect();
        racer.clock.set(from_word(words[0]));
        let base = words[1].parse().unwrap();
        let (tokens, tickets) =
            words[2..].iter().map(|word| word.split_once('/').unwrap()).unzip();
        let ticks = Mutex::new(AHEAD);
        let (store, marks, again) = (&store, &marks, &again);
        let shared = Shared { store, racer, ada, base, tokens, tickets, marks, ticks, again };
        racer.threads(|player| shared.play(player)).line()
    });
}

impl Shared<'_> {
    fn play(&self, player: &mut Player) {
        let mut left: Vec<usize> = (0..SESSIONS).collect();
        while !left.is_empty() {
            let at = player.dice.below(left.len());
            let is_out = self.look(player, left[at]);
            if is_out {
                left.swap_remove(at);
            } else if player.dice.below(40) == 0 {
                self.log_out(player, left[at]);
            } else if player.dice.below(40) == 0 {
                self.tick();
            }
        }
        let one = player.dice.below(SESSIONS);
        self.log_in_again(player, one);
        (0..SESSIONS).for_each(|one| assert!(self.look(player, one)));
    }

    /// Whether its logout was acknowledged before this verify began; then it must be refused.
    fn look(&self, player: &mut Player, one: usize) -> bool {
        let on = device(&format!("till-{}", self.base + one));
        let is_out = self.marks.is_set(self.base + one);
        let verdict = player.insist(|| self.store.verify((self.tokens[one], &on)));
        player.tally.count(match (is_out, verdict.valid().is_ok()) {
            (false, true) => "valid",
            (false, false) => "refused_before",
            (true, false) => "refused_after",
            (true, true) => "undone",
        });
        if player.dice.below(2) == 0 {
            self.look_by_ticket(player, one);
        }
        is_out
    }

    fn look_by_ticket(&self, player: &mut Player, one: usize) {
        let is_out = self.marks.is_set(self.base + one);
        let tickets = self.store.tickets();
        let verdict = player.insist(|| tickets.verify(self.tickets[one], "GET", "/"));
        player.tally.count(match (is_out, verdict.valid().is_ok()) {
            (false, true) => "ticket_valid",
            (false, false) => "ticket_refused_before",
            (true, false) => "ticket_refused_after",
            (true, true) => "ticket_undone",
        });
    }

    fn log_out(&self, player: &mut Player, one: usize) {
        let on = device(&format!("till-{}", self.base + one));
        if player.insist(|| self.store.log_out((self.tokens[one], &on))) == Ended::Now {
            player.tally.count("ended");
        }
        self.marks.set(self.base + one);
        // The same user logs in there again: another session, which revives nothing.
        if player.dice.below(2) == 0 {
            self.log_in_again(player, one);
        }
    }

    fn log_in_again(&self, player: &mut Player, one: usize) {
        let open = || OpenSession::new(self.ada, device(&format!("till-{}", self.base + one)));
        let answer = player.insist(|| self.store.sessions().open(open()));
        let token = answer.granted().unwrap().session.token;
        player.tally.count("again");
        self.again.lock().unwrap().push((self.base + one, token));
    }

    fn tick(&self) {
        let mut ticks = self.ticks.lock().unwrap();
        if *ticks > 0 {
            *ticks -= 1;
            self.racer.clock.advance(SECOND);
        }
    }
}
