//! Guesses at every door that takes one, by all threads of processes that are killed: passwords,
//! codes of an authenticator and recovery codes, at logins, at pending steps and in a session; and
//! reset tokens.
//!
//! Two things show that nothing is compared beyond the limit. The doors that say whether a guess
//! was compared say so of no more than the file has charged, which is the limit exactly. And at a
//! closed gate the right password and the right codes pass no door, and are not used up.

use gatepost::second_factors::FactorCode;
use gatepost::sessions::{NewOneTimeToken, Reauthentication, RevokeApiKeys};
use gatepost::{
    CompleteLogin, DeviceId, Error, LoginOutcome, LoginRefusal, LoginRequest, Options, Store,
    UserId,
};

use super::Run;
use super::fleet::{
    Dice, Fleet, Kill, Player, Racer, Tally, as_word, each_round_aloud, from_word,
};
use crate::child::Parent;
use crate::keyring::{OLD, keys};
use crate::second_factor::Enrolled;
use crate::world::{DAY, HOUR, PASSWORD, World, device};

/// How many guess at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guessers {
    processes: usize,
    threads: usize,
}

pub(crate) const SIXTY_FOUR: Guessers = Guessers { processes: 4, threads: 16 };
pub(crate) const CROWD: Guessers = Guessers { processes: 8, threads: 64 };

/// Guesses at the gate before the first wait, all of them before a day's, and from known devices.
const FREE: i64 = 5;
const GATE: i64 = 90;
const KNOWN: i64 = 10;
/// No guess has this password or this recovery code.
const WRONG: &str = "wrong horse";
const NO_CODE: &str = "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa";
/// A thread guesses so often at a door that lets it.
const MOST: usize = 20;

fn options(options: Options) -> Options {
    options.keyring(keys(&[OLD])).max_waiting_hashes(64)
}

/// Which count in the file a guess is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Budget {
    /// The gate of the user, whose answers do not say whether the guess was compared.
    Silent,
    /// The gate of the user, where the answer says so.
    Gate,
    Known,
    /// None: no caller guesses 256 random bits.
    Token,
}

struct Door {
    name: &'static str,
    budget: Budget,
    present: fn(&Typed<'_>, &DeviceId) -> Result<LoginOutcome, Error>,
}

/// What is typed at the doors in a round, all of it right or all of it wrong.
struct Typed<'t> {
    store: &'t Store,
    password: &'t str,
    code: &'t str,
    recovery: &'t str,
    session: &'t str,
    reset: &'t str,
    /// A pending step on this device, if one could be had.
    step: &'t str,
}

#[rustfmt::skip]
const DOORS: &[Door] = &[
    Door { name: "password", budget: Budget::Silent,
        present: with_password },
    Door { name: "code", budget: Budget::Silent,
        present: with_code },
    Door { name: "recovery code", budget: Budget::Silent,
        present: with_recovery_code },
    Door { name: "code at a step", budget: Budget::Gate,
        present: with_code_at_a_step },
    Door { name: "recovery code at a step", budget: Budget::Gate,
        present: |typed, on| {
            let with = CompleteLogin::with_recovery_code;
            typed.store.complete_login(with(typed.step, on.clone(), typed.recovery))
        } },
    Door { name: "code in a session", budget: Budget::Gate,
        present: |typed, _| {
            let with = Reauthentication::code(typed.code);
            typed.store.prove((typed.session, &device(DESK)), with)
        } },
    Door { name: "code of a change", budget: Budget::Gate,
        present: |typed, _| reissue(typed, PASSWORD, typed.code) },
    Door { name: "recovery code of a change", budget: Budget::Gate,
        present: |typed, _| reissue(typed, PASSWORD, typed.recovery) },
    Door { name: "password of a change", budget: Budget::Gate,
        present: |typed, _| reissue(typed, typed.password, typed.recovery) },
    Door { name: "password on a known device", budget: Budget::Known,
        present: with_password },
    Door { name: "code on a known device", budget: Budget::Known,
        present: with_code },
    Door { name: "recovery code on a known device", budget: Budget::Known,
        present: with_recovery_code },
    Door { name: "code at a step on a known device", budget: Budget::Known,
        present: with_code_at_a_step },
    Door { name: "reset token", budget: Budget::Token,
        present: |typed, _| {
            let tokens = typed.store.one_time_tokens();
            let keep = RevokeApiKeys::Keep;
            let redeemed = tokens.reset_password(typed.reset, PASSWORD.into(), keep)?;
            Ok(refused_unless(redeemed.valid().is_ok()))
        } },
];

/// The device of the session.
const DESK: &str = "desk";
const UNKNOWN: [&str; 2] = ["unknown-0", "unknown-1"];
const TILLS: [&str; 2] = ["till-0", "till-1"];

fn login(password: &str, on: &DeviceId) -> LoginRequest {
    LoginRequest::new("ada", password.into(), on.clone())
}

fn with_password(typed: &Typed<'_>, on: &DeviceId) -> Result<LoginOutcome, Error> {
    typed.store.log_in(login(typed.password, on))
}

fn with_code(typed: &Typed<'_>, on: &DeviceId) -> Result<LoginOutcome, Error> {
    typed.store.log_in(login(PASSWORD, on).code(typed.code))
}

fn with_recovery_code(typed: &Typed<'_>, on: &DeviceId) -> Result<LoginOutcome, Error> {
    typed.store.log_in(login(PASSWORD, on).recovery_code(typed.recovery))
}

fn with_code_at_a_step(typed: &Typed<'_>, on: &DeviceId) -> Result<LoginOutcome, Error> {
    typed.store.complete_login(CompleteLogin::with_code(typed.step, on.clone(), typed.code))
}

fn reissue(typed: &Typed<'_>, password: &str, code: &str) -> Result<LoginOutcome, Error> {
    let factors = typed.store.second_factors();
    let presented = (typed.session, &device(DESK));
    let outcome =
        factors.reissue_recovery_codes(presented, password.into(), FactorCode::from(code))?;
    Ok(outcome.done().map_or_else(LoginOutcome::Refused, |_| refused_unless(true)))
}

/// A guess that passed has an answer of its own, which no door gives otherwise.
fn refused_unless(passed: bool) -> LoginOutcome {
    LoginOutcome::Refused(if passed {
        LoginRefusal::MfaCodeRequired
    } else {
        LoginRefusal::InvalidCredentials
    })
}

/// One user, guessed at in rounds that begin with the gate open, almost at its limit, at it, and a
/// day later. In each round a process is killed.
pub(crate) fn compare_no_guess_beyond_the_limit(run: Run, guessers: Guessers) {
    let world = World::with(options);
    let ada = Enrolled::new(&world, "ada");
    let ben = world.person("ben").id;
    for till in TILLS {
        let session = world.open(ada.user, till);
        world.log_out(&session, till);
    }
    let threads = guessers.threads.to_string();
    let fleet = Fleet::of(guessers.processes, "doors", &world, run.seed, &[&threads]);
    let dice = Dice::new(run.seed, 0);
    let heard = Tally::default();
    let mut scene = Scene { world, ada, ben, fleet, dice, heard, seed: run.seed };
    for _ in 0..run.rounds {
        scene.round(FREE, KNOWN);
        while scene.charged().0 < GATE - 1 {
            scene.world.clock.advance(HOUR);
            let guess = login(WRONG, &device("elsewhere"));
            scene.world.ask(guess).unwrap_err();
        }
        scene.world.clock.advance(HOUR);
        scene.round(1, 1);
        scene.world.clock.advance(HOUR);
        scene.round(0, 0);
        scene.world.clock.advance(DAY);
        scene.round(1, 1);
        scene.forgive();
    }
    let Scene { heard, fleet, seed, .. } = scene;
    fleet.end();
    for door in DOORS.iter().filter(|door| door.budget != Budget::Token) {
        assert!(heard.of(&format!("guessed {}", door.name)) > 0, "{}: never reached", door.name);
    }
    let (guesses, compared) = (heard.of("guesses"), heard.of("charged"));
    println!(
        "doors: seed {seed}, {} guessers, {guesses} guesses, {compared} compared; \
         0 beyond the limit",
        guessers.processes * guessers.threads
    );
}

struct Scene {
    world: World,
    ada: Enrolled,
    ben: UserId,
    fleet: Fleet,
    dice: Dice,
    heard: Tally,
    seed: u64,
}

impl Scene {
    /// What the file has charged ada: at the gate, and from known devices.
    fn charged(&self) -> (i64, i64) {
        let sum = |column: &str| {
            let sql = format!("SELECT sum({column}) FROM throttle WHERE user_id <> zeroblob(16)");
            self.world.count(&sql)
        };
        (sum("failures"), sum("known_failures"))
    }

    /// The time-based codes used so far, and the recovery codes left.
    fn used(&self) -> (i64, i64) {
        let sql = "SELECT count(*) FROM recovery_code";
        (self.world.count("SELECT last_step FROM totp"), self.world.count(sql))
    }

    /// Everyone guesses, and then everyone presents what is right, at a gate that the guesses have
    /// closed.
    fn round(&mut self, gate: i64, known: i64) {
        let session = self.world.open(self.ada.user, DESK);
        let step = |on: &str| match self.world.store.log_in(login(PASSWORD, &device(on))).unwrap()
        {
            LoginOutcome::Pending(step) => step.token.expose().to_owned(),
            _ => "gpm_none".to_owned(),
        };
        let steps: Vec<String> = UNKNOWN.iter().chain(&TILLS).map(|on| step(on)).collect();
        let reset = self.world.store.one_time_tokens();
        let reset = reset.issue(self.ben, NewOneTimeToken::password_reset()).unwrap().token;
        let forged = crate::doors::with_another_secret(reset.expose(), "gpo_");
        let rest = format!("{} {} {forged}", steps.join("/"), session.token.expose());
        let now = self.world.now();
        let code = |steps: std::ops::RangeInclusive<i64>| -> Vec<String> {
            steps.map(|later| self.ada.authenticator.text(now, later)).collect()
        };
        let near = code(-3..=3);
        let wrong = (0..10).map(|n| format!("{n:06}")).find(|one| !near.contains(one)).unwrap();
        let (right, recovery) = (near[3].clone(), self.ada.codes[0].clone());

        let (before, used) = (self.charged(), self.used());
        let heard = self.present(&format!("wrong {wrong} {NO_CODE} {rest}"));
        let place = format!("seed {}: {}", self.seed, heard.line_of("compared"));
        let after = self.charged();
        assert_eq!((after.0 - before.0, after.1 - before.1), (gate, known), "{place}");
        let of = |budget| {
            let doors = DOORS.iter().filter(|door| door.budget == budget);
            doors.map(|door| heard.of(&format!("compared {}", door.name))).sum::<u64>()
        };
        assert!(of(Budget::Gate) <= gate as u64, "{place}");
        assert!(of(Budget::Known) <= known as u64, "{place}");
        self.heard.add("charged", (gate + known) as u64);

        let heard = self.present(&format!("right {right} {recovery} {rest}"));
        let place = format!("seed {}, right: {}", self.seed, heard.line_of("compared"));
        assert_eq!((self.charged(), self.used()), (after, used), "{place}");
        let saying = [Budget::Gate, Budget::Known];
        for door in DOORS.iter().filter(|door| saying.contains(&door.budget)) {
            assert_eq!(heard.of(&format!("compared {}", door.name)), 0, "{place}");
        }
        // Nor has a guess used the token up.
        let tokens = self.world.store.one_time_tokens();
        let keep = RevokeApiKeys::Keep;
        let redeemed = tokens.reset_password(reset.expose(), PASSWORD.into(), keep).unwrap();
        assert!(redeemed.valid().is_ok(), "{place}");
    }

    fn present(&mut self, line: &str) -> Tally {
        let kill = Kill::thrown(&mut self.dice, 0, 1, 8);
        let line = format!("{} {line}", as_word(self.world.now()));
        let heard = self.fleet.race_aloud(&line, kill);
        for door in DOORS {
            let passed = heard.of(&format!("passed {}", door.name));
            assert_eq!(passed, 0, "seed {}: {} of {line}", self.seed, door.name);
            let guessed = heard.of(&format!("guessed {}", door.name));
            self.heard.add(&format!("guessed {}", door.name), guessed);
            self.heard.add("guesses", guessed);
        }
        heard
    }

    /// After an unlock what was right all the time is accepted.
    fn forgive(&mut self) {
        self.world.store.users().unlock(self.ada.user).unwrap();
        // So that the parent's table of typed texts has forgotten as well.
        self.world.clock.advance(DAY);
        let code = self.ada.authenticator.text(self.world.now(), 0);
        self.world.ask(login(PASSWORD, &device(TILLS[0])).code(code.as_str())).unwrap();
        self.world.clock.advance(HOUR);
    }
}

/// Presents what the line has at every door, in an order of its own, until the answer is to wait.
pub(crate) fn guess(parent: &mut Parent, racer: &Racer) {
    let store = racer.store(options);
    let threads = racer.rest[0].parse().unwrap();
    each_round_aloud(parent, |line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [now, what, code, recovery, steps, session, reset] = words[..] else {
            panic!("{line}")
        };
        racer.clock.set(from_word(now));
        let steps: Vec<&str> = steps.split('/').collect();
        let password = if what == "right" { PASSWORD } else { WRONG };
        racer.threads_of(threads, |player| {
            let first = player.dice.below(DOORS.len());
            for turn in 0..DOORS.len() {
                let door = &DOORS[(first + turn) % DOORS.len()];
                let known = usize::from(door.budget == Budget::Known);
                let at = player.dice.below(2);
                let on = device([UNKNOWN, TILLS][known][at]);
                let (store, step) = (&store, steps[2 * known + at]);
                let typed = Typed { store, password, code, recovery, session, reset, step };
                guess_at(player, door, &typed, &on);
            }
        });
    });
}

fn guess_at(player: &mut Player, door: &Door, typed: &Typed<'_>, on: &DeviceId) {
    let mut guesses = 0;
    while guesses < MOST {
        let answer = player.insist(|| (door.present)(typed, on)).granted();
        match answer {
            Ok(_) | Err(LoginRefusal::MfaCodeRequired) => {
                Parent.say(&format!("passed {}", door.name));
            }
            Err(LoginRefusal::InvalidCredentials)
                if matches!(door.budget, Budget::Gate | Budget::Known) =>
            {
                Parent.say(&format!("compared {}", door.name));
            }
            Err(LoginRefusal::Overloaded { .. }) => {
                std::thread::yield_now();
                continue;
            }
            Err(LoginRefusal::InvalidCredentials) if door.budget == Budget::Silent => {}
            Err(
                LoginRefusal::InvalidCredentials
                | LoginRefusal::TooManyAttempts { .. }
                | LoginRefusal::StepNotLive
                | LoginRefusal::SessionNotLive,
            ) => guesses = MOST,
            Err(other) => panic!("{}: {other:?}", door.name),
        }
        guesses += 1;
        Parent.say(&format!("guessed {}", door.name));
    }
}
