//! A program that is killed at any moment of sign-in, switch, lock, unlock and sign-out: the next
//! start is signed in with a live session, or asked to sign in, and never an error.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gatepost::UserId;
use gatepost_desk::SeatState;

use crate::instance::{Instance, open};
use crate::world::{create, seat};

/// In the suite; `scripts/desk` sets more.
const KILLS: u64 = 100;
/// Two rounds of the work say more lines than this.
const LINES_MAX: u64 = 16;
/// Longer than most steps take.
const WAIT_MAX_US: u64 = 25_000;

/// A number of the environment, for the long form.
#[expect(clippy::disallowed_methods, reason = "the long form of a test")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "any moment of another process")]
fn wait(span: Duration) {
    std::thread::sleep(span);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Kills an instance at work; returns the lines that it said.
fn killed_at_work(directory: &Path, random: &mut Random) -> Vec<String> {
    let mut instance = Instance::start_closed(directory);
    instance.send("open");
    instance.send(&format!("work {}", random.below(5)));
    // Some are killed while they open the desk, before they say anything.
    let mut said: Vec<String> =
        (0..random.below(LINES_MAX)).map(|_| instance.read().unwrap()).collect();
    wait(Duration::from_micros(random.below(WAIT_MAX_US)));
    said.extend(instance.kill());
    said
}

/// Whether the next start may find that user: the user saved before the step in which the program
/// was killed, the user whom the step saves, or none.
fn may_be_found(user: Option<&str>, said: &[String]) -> bool {
    let done = said.iter().rev().find_map(|line| line.strip_prefix("done "));
    let (Some(user), Some(before), Some(last)) = (user, done, said.last()) else { return true };
    match last.strip_prefix("begin ") {
        Some("sign_in") => [before, "ada"].contains(&user),
        Some("switch") => [before, "bob"].contains(&user),
        Some("lock" | "sign_out") => user == before,
        _ => true,
    }
}

/// The next start. Returns the user who is signed in.
fn next_start(directory: &Path, users: &[UserId]) -> Option<String> {
    let desk = open(directory).unwrap();
    // A login that is killed while it hashes stays charged as a failed attempt, and five of them in
    // a row would wait.
    for user in users {
        desk.store().users().unlock(*user).unwrap();
    }
    let seat = desk.resume().unwrap();
    if let Some(seat) = &seat {
        assert_eq!(seat.state().unwrap(), SeatState::Open);
        assert!(seat.may("reports.read").unwrap());
    }
    desk.close().unwrap();
    seat.map(|seat| seat.username())
}

#[test]
fn after_a_kill_the_next_start_is_signed_in_or_asks() {
    let directory = tempfile::tempdir().unwrap();
    let desk = open(directory.path()).unwrap();
    let users = [create(&desk, "ada").id, create(&desk, "bob").id];
    desk.close().unwrap();
    let (kills, seed) = (number("GATEPOST_DESK_KILLS", KILLS), number("GATEPOST_DESK_SEED", 1));
    let mut random = Random(seed);
    let mut seen = BTreeMap::<String, [u64; 2]>::new();
    for round in 0..kills {
        let said = killed_at_work(directory.path(), &mut random);
        let user = next_start(directory.path(), &users);
        assert!(
            may_be_found(user.as_deref(), &said),
            "round {round}, seed {seed}: {user:?}, {said:?}"
        );
        let said = said.last().cloned().unwrap_or_default();
        // A step that was reported as done is what the next start finds.
        if let Some(done) = said.strip_prefix("done ") {
            assert_eq!(user.as_deref().unwrap_or("none"), done, "round {round}, seed {seed}");
        }
        seen.entry(said).or_default()[usize::from(user.is_some())] += 1;
        // Whatever the kill left behind, either user may sign in now.
        if round % 4 == 0 {
            let desk = open(directory.path()).unwrap();
            let user = if round % 8 == 0 { "ada" } else { "bob" };
            assert_eq!(seat(&desk, user).state().unwrap(), SeatState::Open);
            desk.close().unwrap();
        }
    }
    println!("{kills} kills, seed {seed}: last line, [asked, signed in]: {seen:?}");
    assert!(seen.len() > 4, "the kills met too few steps: {seen:?}");
}
