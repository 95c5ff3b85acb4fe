//! `gatepost factor` and the trust of devices.

use gatepost::host::{Clock, Keys, SystemClock};
use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::{DeviceId, LoginRefusal, LoginRequest, Options, Password, Store};
use hmac::{Hmac, KeyInit, Mac};
use std::sync::Arc;

use crate::terminal::{at_a_terminal, end};
use crate::world::{PASSWORD, World};

const KEY: [&str; 2] = ["--key-file", "a.key"];

/// A world whose file is sealed under the key of `a.key`, with the user `ada`.
pub(crate) fn sealed() -> World {
    let world = World::new();
    world.ok(&["key-file", "create", "a.key", "a"]);
    world.ok(&with_key(&["rekey", "--yes"]));
    let add = with_key(&["user", "add", "ada", "--password-stdin"]);
    assert_eq!(world.run_with(&add, PASSWORD).code, 0);
    world
}

pub(crate) fn with_key<'w>(words: &[&'w str]) -> Vec<&'w str> {
    [words, &KEY[..]].concat()
}

/// The code that an authenticator with this secret shows now, or showed so many steps ago.
fn code(base32: &str, steps_ago: i64) -> String {
    let secret = data_encoding::BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
    let step = SystemClock::default().now().as_millis() / 30_000 - steps_ago;
    let mac = Hmac::<sha1::Sha1>::new_from_slice(&secret).unwrap();
    let mac = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
    let at = usize::from(mac[19] & 15);
    let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

#[test]
fn an_authenticator_is_enrolled_at_the_terminal_and_the_recovery_codes_work() {
    let world = sealed();
    let mut terminal = at_a_terminal(&world, &with_key(&["factor", "enrol", "ada"]));
    terminal.exp_string("Enrol a second factor for ada").unwrap();
    terminal.send_line("y").unwrap();
    let picture = terminal.exp_string("type this secret: ").unwrap();
    assert!(picture.lines().filter(|line| line.chars().count() > 30).count() > 15, "{picture}");
    let base32 = terminal.read_line().unwrap().trim().to_owned();
    terminal.exp_string("The code that the authenticator shows: ").unwrap();
    terminal.send_line(&code(&base32, 1)).unwrap();
    terminal.exp_string("The next code, once it shows another one: ").unwrap();
    terminal.send_line(&code(&base32, 0)).unwrap();
    terminal.exp_string("They are shown only now:").unwrap();
    let (exit, shown) = end(terminal);
    assert_eq!(exit, 0, "{shown}");
    let codes: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(codes.len(), 10, "{shown}");
    let factor = world.row(&["factor", "show", "ada"]);
    assert_eq!(factor["origin"], "enrolled");
    assert!(factor["since"].as_str().is_some_and(|at| at.ends_with('Z')), "{factor}");
    // Neither the session of the command nor its device is left.
    assert!(world.rows(&["session", "list"]).is_empty());
    assert!(world.rows(&["device", "list", "ada"]).is_empty());
    world.refused(&with_key(&["factor", "enrol", "ada", "--yes"]), 4, "has a second factor");

    // A recovery code takes the place of a code.
    let words = with_key(&["factor", "recovery-codes", "ada"]);
    let mut terminal = at_a_terminal(&world, &words);
    terminal.exp_string("The password of ada: ").unwrap();
    terminal.send_line(PASSWORD).unwrap();
    terminal.exp_string("The code that the authenticator shows: ").unwrap();
    terminal.send_line(codes[0]).unwrap();
    terminal.exp_string("They are shown only now:").unwrap();
    let (exit, shown) = end(terminal);
    assert_eq!(exit, 0, "{shown}");
    let new: Vec<&str> = shown.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(new.len(), 10, "{shown}");
    let logs_in = |code: &str| {
        let device = DeviceId::random().unwrap();
        let request = LoginRequest::new("ada", Password::from(PASSWORD), device);
        let keys = Arc::new(Keys::from_file(world.directory().join("a.key")).unwrap());
        let options = Options::stored().keyring(keys);
        let store = Store::open(world.directory().join("auth.db"), options).unwrap();
        store.log_in(request.recovery_code(code.to_owned())).unwrap().granted().is_ok()
    };
    assert!(!logs_in(codes[1]), "an old code passed");
    assert!(logs_in(new[1]));
}

/// Types the codes of the secret that the terminal shows.
pub(crate) fn enrol(terminal: &mut rexpect::session::PtySession) {
    terminal.exp_string("type this secret: ").unwrap();
    let base32 = terminal.read_line().unwrap().trim().to_owned();
    terminal.exp_string("shows: ").unwrap();
    terminal.send_line(&code(&base32, 1)).unwrap();
    terminal.exp_string("another one: ").unwrap();
    terminal.send_line(&code(&base32, 0)).unwrap();
}

#[test]
fn a_wrong_code_enrols_nothing_and_no_session_is_left() {
    let world = sealed();
    let words = with_key(&["factor", "enrol", "ada", "--yes"]);
    let ran = world.run_with(&words, "000000\n111111\n");
    assert_eq!(ran.code, 6, "{ran:?}");
    // The attempt was charged.
    assert!(!ran.err.contains("Nothing was changed") && ran.err.contains("as it was"), "{ran:?}");
    assert_eq!(ran.out, "");
    world.refused(&["factor", "show", "ada"], 3, "no second factor");
    assert!(world.rows(&["session", "list"]).is_empty());
    let ran = world.run_with(&words, "");
    assert_eq!(ran.code, 9, "{ran:?}");
    world.refused(&["factor", "enrol", "ada", "--yes"], 6, "--key-file");
    world.refused(&["factor", "recovery-codes", "ada"], 3, "no second factor");
}

/// Once the exit code was 6, as if the command were not allowed at all.
#[test]
fn a_wait_after_failed_attempts_has_the_exit_code_of_what_is_tried_again() {
    let world = sealed();
    let keys = Arc::new(Keys::from_file(world.directory().join("a.key")).unwrap());
    let options = Options::stored().keyring(keys);
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let ada = store.users().find_by_username("ada").unwrap().unwrap().id;
    let secret = TotpSecret::new(vec![7; 20]).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    for _ in 0..5 {
        let device = DeviceId::random().unwrap();
        let request = LoginRequest::new("ada", Password::from("a wrong guess"), device);
        let refusal = store.log_in(request).unwrap().granted().unwrap_err();
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
    }
    store.close().unwrap();
    // A wait of an hour, as a slow machine needs.
    let more = "UPDATE throttle SET failures = 12 WHERE failures = 5";
    assert_eq!(world.sql().execute(more, []).unwrap(), 1);

    let words = with_key(&["factor", "recovery-codes", "ada"]);
    let mut terminal = at_a_terminal(&world, &words);
    terminal.exp_string("The password of ada: ").unwrap();
    terminal.send_line(PASSWORD).unwrap();
    terminal.exp_string("The code that the authenticator shows: ").unwrap();
    terminal.send_line("000000").unwrap();
    let (exit, shown) = end(terminal);
    assert_eq!(exit, 7, "{shown}");
    assert!(shown.contains("Too many attempts"), "{shown}");
}

#[test]
fn a_user_who_must_have_a_factor_enrols_one_too() {
    let world = sealed();
    world.ok(&["factor", "policy", "all"]);
    let mut terminal = at_a_terminal(&world, &with_key(&["factor", "enrol", "ada", "--yes"]));
    enrol(&mut terminal);
    terminal.exp_string("They are shown only now:").unwrap();
    let (exit, shown) = end(terminal);
    assert_eq!(exit, 0, "{shown}");
    let codes = shown.lines().filter(|line| !line.trim().is_empty()).count();
    assert_eq!(codes, 10, "{shown}");
    assert!(world.rows(&["session", "list"]).is_empty());
}

#[test]
fn the_policy_of_second_factors_is_set_by_one_of_three_words_and_shown_without_one() {
    let world = World::new();
    assert_eq!(world.row(&["factor", "policy"])["second_factor"], "optional");
    let row = world.row(&["factor", "policy", "administrators"]);
    assert_eq!(row["second_factor"], "administrators");
    let policy = "SELECT second_factor FROM store";
    let stored: String = world.sql().query_row(policy, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "administrators");
    assert_eq!(world.run(&["factor", "policy", "some"]).code, 2);
    let events = |world: &World| world.rows(&["audit", "list"]).len();
    let before = events(&world);
    assert_eq!(world.row(&["factor", "policy"])["second_factor"], "administrators");
    let shown = world.run(&["factor", "policy"]);
    assert_eq!(shown.out.trim(), "a second factor is for: administrators");
    assert_eq!(events(&world), before, "showing it writes nothing");
}

#[test]
fn the_trust_of_all_devices_ends() {
    let world = World::new();
    world.person("ada");
    let row = world.row(&["device", "revoke-trust", "ada"]);
    assert_eq!(row["trust_revoked"], false);
    let ada = world.store().users().find_by_username("ada").unwrap().unwrap().id;
    let options = Options::stored().dangerous().allow_unsealed_totp_secrets();
    let store = Store::open(world.directory().join("auth.db"), options).unwrap();
    let base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let secret = TotpSecret::from_base32(base32).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    // The code of this step counts as used.
    world.update_without_triggers("totp", "UPDATE totp SET last_step = last_step - 2");
    let device = DeviceId::random().unwrap();
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device);
    let request =
        request.code(code(base32, 0)).trust_device(std::time::Duration::from_secs(3_600));
    store.log_in(request).unwrap().granted().unwrap();
    store.close().unwrap();
    assert!(world.rows(&["device", "list", "ada"])[0]["trusted_until"].is_string());
    assert_eq!(world.row(&["device", "revoke-trust", "ada"])["trust_revoked"], true);
    assert!(world.rows(&["device", "list", "ada"])[0]["trusted_until"].is_null());
}
