//! Guesses at one user by every spelling and door, over floods, restarts, restores, idle days and
//! processes that are killed while they guess:
//! what is compared is held against a model of the limit, attempt for attempt.
//!
//! Whether a password was compared is asked by the right one, now and then: it is granted if and
//! only if the model says that a wrong one would have been compared.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::OpenSession;
use gatepost::{DeviceId, LoginRequest, NewUser, Options, Store, Timestamp, UserId};

use crate::child::{Child, Parent};
use crate::races::Dice;
use crate::world::{DAY, HOUR, MINUTE, PASSWORD, SECOND, World, device, for_tests};

const SPELLINGS: [&str; 6] = [
    "ada lovelace",
    "ADA Lovelace",
    "\u{ff21}da lovelace",
    "ada@example.com",
    "Ada@Example.COM",
    "\u{ff41}da@example.com",
];
/// What folds to the name and is none: it must charge no user.
const ODD: [&str; 3] = ["ada\u{3000}lovelace", "ada  lovelace", "\u{1d41a}da\u{a0}lovelace"];
const DEVICES: usize = 3;
const GATE: u64 = 90;
const KNOWN: u64 = 10;

/// Failures and when the last was charged, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u64,
    at: i64,
}

impl Count {
    fn waits(self, now: i64, stop: u64) -> bool {
        let wait = match self.failures {
            failures if failures >= stop => 86_400,
            0..=4 => 0,
            failures @ 5..=11 => 30 << (failures - 5),
            _ => 3_600,
        };
        (0..1_000 * wait).contains(&(now - self.at))
    }

    fn charge(&mut self, now: i64) {
        *self = Self { failures: self.failures + 1, at: now };
    }
}

/// What may be compared.
#[derive(Debug, Default)]
struct Model {
    gate: Count,
    sum: Count,
    devices: [Option<Count>; DEVICES],
    /// Guesses compared since something was forgiven, for how long, and how many more there may be
    /// as the clock went back.
    compared: u64,
    since: Duration,
    void: u64,
}

impl Model {
    /// Whether an attempt from there is compared, and if so charges it.
    fn attempt(&mut self, on: Option<usize>, now: i64) -> bool {
        let own = on.and_then(|on| self.devices[on].as_mut());
        let waits = match &own {
            Some(own) => {
                own.waits(now, u64::MAX)
                    || (self.sum.failures >= KNOWN && self.sum.waits(now, KNOWN))
            }
            None => self.gate.waits(now, GATE),
        };
        if waits {
            return false;
        }
        match own {
            Some(own) => {
                own.charge(now);
                self.sum.charge(now);
            }
            None => self.gate.charge(now),
        }
        self.compared += 1;
        true
    }

    fn forgive(&mut self) {
        (self.gate, self.sum, self.compared) = (Count::default(), Count::default(), 0);
        (self.since, self.void) = (Duration::ZERO, 0);
    }

    /// A hundred in a row; once stopped, one a day from unknown devices and one from known ones.
    fn allowed(&self) -> u64 {
        GATE + KNOWN + 2 * (self.since.as_secs() / DAY.as_secs()) + self.void
    }
}

struct Guesser {
    world: World,
    ada: UserId,
    model: Model,
    dice: Dice,
    floods: u64,
    kills: u64,
    attempts: u64,
    granted: u64,
    turned_away: u64,
    /// How many of forty steps, of those in which time passes, are logins with the right password.
    rights: usize,
    seed: u64,
}

impl Guesser {
    fn new(seed: u64) -> Self {
        let world = World::with(by_email_and_without_device);
        let ada = NewUser::person("Ada Lovelace").email("ada@example.com");
        let ada = world.store.users().create(ada.password(PASSWORD.into())).unwrap().id;
        let mut model = Model::default();
        model.forgive();
        let dice = Dice::new(seed, 0);
        let [floods, kills, attempts, granted, turned_away] = [0; 5];
        let rights = [2, 10, 30][usize::try_from(seed % 3).unwrap()];
        Self {
            world,
            ada,
            model,
            dice,
            floods,
            kills,
            attempts,
            granted,
            turned_away,
            rights,
            seed,
        }
    }

    fn now(&self) -> i64 {
        self.world.now().as_millis()
    }

    fn on(number: usize) -> DeviceId {
        device(&format!("till-{number}"))
    }

    fn step(&mut self) {
        match self.dice.below(400) {
            0 => self.world.reopen(),
            1 => {
                self.world.store.users().delete(self.ada).unwrap();
                self.unknown("ada lovelace");
                self.world.store.users().restore(self.ada).unwrap();
            }
            2 => self.pass(DAY),
            3 => {
                self.world.store.maintain().unwrap();
            }
            4 => self.flood(),
            5 => {
                let number = self.dice.below(DEVICES);
                let on = Self::on(number);
                let open = OpenSession::new(self.ada, on.clone());
                let opened = self.world.store.sessions().open(open).unwrap().granted().unwrap();
                self.world.store.log_out((&opened.session.token, &on)).unwrap();
                self.model.devices[number].get_or_insert_default();
            }
            6 => {
                let number = self.dice.below(DEVICES);
                self.world.store.devices().forget(self.ada, &Self::on(number)).unwrap();
                self.model.devices[number] = None;
            }
            7 => {
                // Each wait that is void for it may let one guess by.
                self.world.clock.go_back(MINUTE);
                self.model.void += 2;
            }
            8 if self.dice.below(8) == 0 => {
                self.world.store.users().unlock(self.ada).unwrap();
                self.model.devices.iter_mut().flatten().for_each(|own| *own = Count::default());
                self.model.forgive();
            }
            9 => self.killed(),
            10..=40 if self.dice.below(40) < self.rights => self.attempt(true),
            10..=40 => {
                let spans = [SECOND, 31 * SECOND, MINUTE, HOUR];
                let span = spans[self.dice.below(spans.len())];
                self.pass(span);
            }
            41..=60 => {
                let typed = ODD[self.dice.below(ODD.len())];
                self.unknown(typed);
            }
            _ => self.attempt(false),
        }
        let shown = self.world.user(self.ada).failed_attempts;
        let seen = (self.model.gate.failures + self.model.sum.failures, self.seed);
        assert_eq!((shown, self.seed), seen, "charged, after {} attempts", self.attempts);
        let (compared, allowed) = (self.model.compared, self.model.allowed());
        assert!(compared <= allowed, "seed {}: {compared} of {allowed}", self.seed);
    }

    fn pass(&mut self, span: Duration) {
        self.world.clock.advance(span);
        self.model.since += span;
    }

    /// A guess, or the right password, at a spelling and from a device that the dice choose.
    fn attempt(&mut self, is_right: bool) {
        let typed = SPELLINGS[self.dice.below(SPELLINGS.len())];
        let on = Some(self.dice.below(3 * DEVICES)).filter(|on| *on < DEVICES);
        let password = if is_right { PASSWORD } else { "wrong horse" };
        // A device is known or not; a login without one always is a stranger's.
        let on = on.filter(|on| self.model.devices[*on].is_some());
        let request = LoginRequest::new(typed, password.into(), on.map(Self::on));
        let hashes = self.world.store.status().hashes_done;
        let answer = self.world.store.log_in(request).unwrap().granted();
        let is_hashed = self.world.store.status().hashes_done > hashes;
        self.attempts += 1;
        self.turned_away += u64::from(!is_hashed);
        if on.is_none() && !is_hashed {
            // By the table of typed texts: nothing was charged.
            assert!(answer.is_err());
            return;
        }
        let now = self.now();
        let is_compared = self.model.attempt(on, now);
        let place = format!("seed {}, attempt {}, {typed} on {on:?}", self.seed, self.attempts);
        assert_eq!(answer.is_ok(), is_compared && is_right, "{place}: {answer:?}");
        if let Ok(reply) = answer {
            let device = on.map(Self::on);
            self.world.store.log_out((&reply.session.token, device.as_ref())).unwrap();
            self.granted += 1;
            if let Some(on) = on {
                self.model.devices[on] = Some(Count::default());
            }
            self.model.forgive();
        }
    }

    /// An attempt at a text that is no user's name.
    fn unknown(&mut self, typed: &str) {
        let request = LoginRequest::new(typed, PASSWORD.into(), None);
        assert!(self.world.store.log_in(request).unwrap().granted().is_err(), "{typed}");
        self.attempts += 1;
    }

    /// Another process guesses at the gate, and is killed while it does.
    #[expect(clippy::disallowed_methods, reason = "it is killed at any moment, not after a line")]
    fn killed(&mut self) {
        let path = self.world.path.to_str().unwrap();
        let mut child = Child::start("guess", &[path, &self.now().to_string()]);
        let heard = 1 + self.dice.below(9);
        let lines = std::iter::repeat_with(|| child.hear());
        let _ = lines.filter(|line| line == "hashed").take(heard).count();
        thread::sleep(Duration::from_micros(self.dice.below(1_000) as u64));
        let answered = heard + child.kill().iter().filter(|line| *line == "hashed").count();
        // A guess is charged before it is compared, so what was charged is what may have been
        // compared. The gate closes at the first wait, as the clock of that process stops.
        let before = self.model.gate.failures;
        let charged = self.world.user(self.ada).failed_attempts - before - self.model.sum.failures;
        let now = self.now();
        let place = format!("seed {}, {charged} charged of {answered}", self.seed);
        (0..charged).for_each(|_| assert!(self.model.attempt(None, now), "{place}"));
        let is_closed = self.model.gate.waits(now, GATE);
        assert!(charged >= answered as u64 || is_closed, "{place}");
        self.attempts += answered as u64;
        self.kills += 1;
    }

    fn flood(&mut self) {
        for number in 0..50 {
            self.unknown(&format!("flood-{}-{number}", self.floods));
        }
        self.floods += 1;
    }
}

fn by_email_and_without_device(options: Options) -> Options {
    options.login_by_email(true).sessions(SessionPolicy::server().require_device(false))
}

/// Guesses by every spelling. Ten are hashed, as the spellings are two texts to the table of typed
/// texts, which turns away the sixth of each.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let [path, at] = words else { panic!("{words:?}") };
    let clock = ManualClock::new(Timestamp::from_millis(at.parse().unwrap()));
    let options = by_email_and_without_device(for_tests()).clock(Arc::new(clock));
    let store = Store::open(path, options).unwrap();
    for _ in 0..5 {
        for typed in SPELLINGS {
            let hashes = store.status().hashes_done;
            let request = LoginRequest::new(typed, "wrong horse".into(), None);
            store.log_in(request).unwrap().granted().unwrap_err();
            let is_hashed = store.status().hashes_done > hashes;
            parent.say(if is_hashed { "hashed" } else { "turned away" });
        }
    }
    parent.hear();
}

/// So many attempts at least.
fn run(seed: u64, attempts: u64) -> Guesser {
    let mut guesser = Guesser::new(seed);
    while guesser.attempts < attempts {
        guesser.step();
    }
    guesser
}

#[test]
fn no_guess_is_compared_beyond_the_limit() {
    let runs = [2, 3, 5].map(|seed| run(seed, 700));
    assert!(runs.iter().any(|run| run.granted > 0), "the model was never asked");
    assert!(runs.iter().any(|run| run.kills > 0), "no process was killed");
}

/// What `scripts/guessing` runs. Words, each after `=`: `limit`, how many seeds, the first of them,
/// and how many attempts each.
#[test]
fn long() {
    let words = crate::child::words();
    let [section, seeds, first, attempts] = words.as_slice() else { return };
    if section != "limit" {
        return;
    }
    let [seeds, first, attempts] = [seeds, first, attempts].map(|word| word.parse().unwrap());
    let (mut all, mut hashed, mut granted, mut kills) = (0, 0, 0, 0);
    for seed in first..first + seeds {
        let run = run(seed, attempts);
        all += run.attempts;
        hashed += run.attempts - run.turned_away;
        granted += run.granted;
        kills += run.kills;
    }
    println!(
        "limit: seeds {first} to {}, {all} attempts, {hashed} hashed, {granted} granted, \
         {kills} kills; 0 beyond the limit",
        first + seeds - 1
    );
}
