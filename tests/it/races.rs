//! Promises under races: sixty-four threads in four processes on one file.
//!
//! Each section has a short form in the suite and a long one, which `scripts/races` runs with more
//! rounds and other seeds. A promise across processes is checked in at least two, whose ids are
//! printed.

mod bulk;
mod credits;
mod devices;
mod doors;
mod factors;
mod first_administrator;
pub(crate) mod fleet;
mod guesses;
mod killed;
mod limits;
mod logout;
mod memory;
mod one_time;
mod passwords;
mod steps;
mod upgrade;

use gatepost::policy::SessionLimit;

use crate::child::Parent;
pub(crate) use fleet::Dice;
use fleet::Racer;

/// How long a section goes on, and what its dice begin with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    rounds: u64,
    seed: u64,
}

/// What one process of a race does, from its words: the section, the path, its place in the fleet,
/// the seed, and what else the section wants to know.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let play: fn(&mut Parent, &Racer) = match words[0].as_str() {
        "bulk" => bulk::revoke,
        "credits" => credits::spend,
        "devices" => devices::log_in,
        "doors" => doors::guess,
        "factors" => factors::present,
        "first-administrator" => first_administrator::present,
        "guesses" => guesses::guess,
        "killed" => killed::live,
        "limits" => limits::open,
        "logout" => logout::verify,
        "memory" => memory::log_in,
        "one-time" => one_time::present,
        "passwords" => passwords::log_in,
        "steps" => steps::guess,
        "upgrade" => upgrade::log_in,
        other => panic!("no such race: {other}"),
    };
    parent.say(&format!("pid {}", std::process::id()));
    play(parent, &Racer::of(words));
}

/// A section, as `scripts/races` names it, and how many rounds its short run has.
type Section = (&'static str, u64, fn(Run));

/// Rounds of what is used once: fewer in `cargo test`, which has to stay within its minutes. The
/// gate runs the optimised form, as `scripts/once 50`.
const ONCE: u64 = if cfg!(debug_assertions) { 10 } else { 50 };

const SECTIONS: &[Section] = &[
    ("limits-end-oldest", 4, |run| limits::hold(run, SessionLimit::EvictLeastRecentlyUsed)),
    ("limits-refuse", 5, |run| limits::hold(run, SessionLimit::Refuse)),
    ("guesses", 32, guesses::are_counted),
    ("guesses-killed", 2, guesses::are_counted_over_kills),
    ("devices-taken-over", 3, |run| devices::have_one_session(run, true)),
    ("devices-kept", 6, |run| devices::have_one_session(run, false)),
    ("logout", 1, logout::stays),
    ("bulk", 4, bulk::stays),
    ("credits", 1, credits::are_counted),
    ("upgrade", 1, upgrade::happens_once),
    ("passwords", 1, passwords::end_with_their_sessions),
    ("killed", 2, killed::leaves_nothing_half_done),
    ("killed-hashing", 1, killed::leaves_its_attempt_charged),
    ("memory", 1, memory::stays_within_the_gate),
    ("one-time", ONCE, one_time::tokens_are_used_once),
    ("factors", ONCE, factors::codes_are_accepted_once),
    ("steps", ONCE, steps::stay_within_their_share),
    ("first-administrator", ONCE, first_administrator::is_one),
    ("doors", 1, |run| doors::compare_no_guess_beyond_the_limit(run, doors::SIXTY_FOUR)),
    ("doors-512", 1, |run| doors::compare_no_guess_beyond_the_limit(run, doors::CROWD)),
];

#[track_caller]
fn short(section: &str) {
    let (_, rounds, race) = SECTIONS.iter().find(|(name, ..)| *name == section).unwrap();
    race(Run { rounds: *rounds, seed: 1 });
}

/// Not a test of its own: what `scripts/races` runs. Its words, each after `=`: a section (or
/// `all`), by how much to multiply its rounds, the first seed, and how many seeds.
#[test]
fn long() {
    let words = crate::child::words();
    let [wanted, times, first, seeds] = words.as_slice() else { return };
    let [times, first, seeds] = [times, first, seeds].map(|word| word.parse::<u64>().unwrap());
    let mut found = false;
    for (section, rounds, race) in SECTIONS {
        if wanted == section || wanted == "all" {
            found = true;
            println!("== {section}");
            (first..first + seeds).for_each(|seed| race(Run { rounds: rounds * times, seed }));
        }
    }
    assert!(found, "no such section: {wanted}");
}

#[test]
fn the_limit_of_sessions_is_never_overshot_where_the_oldest_ends() {
    short("limits-end-oldest");
}

#[test]
fn the_limit_of_sessions_is_never_overshot_where_logins_are_refused() {
    short("limits-refuse");
}

#[test]
fn exactly_the_charged_guesses_are_evaluated() {
    short("guesses");
}

#[test]
fn a_killed_process_gives_no_guess_away() {
    short("guesses-killed");
}

#[test]
fn a_device_has_one_session_where_users_take_it_over() {
    short("devices-taken-over");
}

#[test]
fn a_device_has_one_session_where_they_do_not() {
    short("devices-kept");
}

#[test]
fn a_logout_is_undone_by_no_touch_and_no_late_login() {
    short("logout");
}

#[test]
fn a_revocation_in_bulk_is_undone_by_no_opening_no_use_and_no_login() {
    short("bulk");
}

#[test]
fn credits_are_counted_exactly_and_never_below_zero() {
    short("credits");
}

#[test]
fn racing_logins_upgrade_a_hash_once() {
    short("upgrade");
}

#[test]
fn no_session_of_an_old_password_outlives_its_change() {
    short("passwords");
}

#[test]
fn a_process_killed_in_its_logins_leaves_nothing_half_done() {
    short("killed");
}

#[test]
fn a_process_killed_while_it_hashes_leaves_its_attempt_charged() {
    short("killed-hashing");
}

#[test]
fn a_pending_step_is_guessed_at_no_more_than_its_share_over_kills() {
    short("steps");
}

#[test]
fn a_one_time_token_is_used_exactly_once_over_kills() {
    short("one-time");
}

#[test]
fn no_door_compares_a_guess_beyond_the_limit_over_kills() {
    short("doors");
}

#[test]
fn a_code_of_a_second_factor_is_accepted_exactly_once_over_kills() {
    short("factors");
}

#[test]
fn a_store_gets_one_first_administrator_over_kills() {
    short("first-administrator");
}

#[test]
fn a_thousand_logins_stay_within_the_memory_of_the_gate() {
    short("memory");
}
