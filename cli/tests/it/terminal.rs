//! What is asked at a terminal: a pseudo terminal, with a person who types.

use std::process::Command;

use gatepost::second_factors::{NewTotp, TotpSecret};
use rexpect::session::{PtySession, spawn_command};

use crate::world::{PASSWORD, World};

const OTHER: &str = "seven geese at noon";
/// A login in a debug build takes a while.
const WAIT_MS: u64 = 60_000;

/// What the shell prints after the command has ended, before its exit code.
const ENDED: &str = "The exit code is ";

/// Runs the command at a terminal.
pub(crate) fn at_a_terminal(world: &World, words: &[&str]) -> PtySession {
    in_a_shell(world, "gatepost \"$@\"", words)
}

/// Runs a line of shell at a terminal, with those words as its arguments.
pub(crate) fn in_a_shell(world: &World, line: &str, words: &[&str]) -> PtySession {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{line}; echo '{ENDED}'$?"), "bash"]).args(words);
    shell.env("PATH", World::search_path()).current_dir(world.directory());
    spawn_command(shell, Some(WAIT_MS)).unwrap()
}

/// Waits for the end of the command; its exit code, and what the terminal showed before.
#[track_caller]
pub(crate) fn end(mut terminal: PtySession) -> (i32, String) {
    let shown = terminal.exp_eof().unwrap();
    let (before, code) = shown.split_once(ENDED).expect(&shown);
    (code.trim().parse().unwrap(), before.to_owned())
}

#[track_caller]
fn type_twice(terminal: &mut PtySession, first: &str, second: &str) {
    terminal.exp_string("New password: ").unwrap();
    terminal.send_line(first).unwrap();
    terminal.exp_string("The same password again: ").unwrap();
    terminal.send_line(second).unwrap();
}

#[test]
fn a_password_is_asked_twice_and_never_shown() {
    let world = World::new();
    let mut terminal = at_a_terminal(&world, &["user", "add", "ada"]);
    type_twice(&mut terminal, PASSWORD, PASSWORD);
    let (code, shown) = end(terminal);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("ada") && !shown.contains(PASSWORD), "{shown}");
    assert!(logs_in(&world, PASSWORD));

    let mut terminal = at_a_terminal(&world, &["user", "set-password", "ada"]);
    type_twice(&mut terminal, OTHER, "seven geese at none");
    let (code, shown) = end(terminal);
    assert_eq!(code, 5, "{shown}");
    assert!(shown.contains("the two passwords differ"), "{shown}");
    assert!(logs_in(&world, PASSWORD));
}

#[test]
fn a_password_is_asked_at_the_terminal_also_if_standard_input_is_a_pipe() {
    let world = World::new();
    world.person("ada");
    let line = "echo 'a password in a pipe' | gatepost user set-password ada";
    let mut terminal = in_a_shell(&world, line, &[]);
    type_twice(&mut terminal, OTHER, OTHER);
    let (code, shown) = end(terminal);
    assert_eq!(code, 0, "{shown}");
    assert!(logs_in(&world, OTHER));
}

#[test]
fn an_empty_list_says_so_at_a_terminal_alone() {
    let world = World::new();
    let (code, shown) = end(at_a_terminal(&world, &["user", "list"]));
    assert_eq!((code, shown.trim()), (0, "There is nothing to list."));
    let ran = world.run(&["user", "list"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let (code, shown) = end(at_a_terminal(&world, &["user", "list", "--json"]));
    assert_eq!((code, shown.trim()), (0, ""));
}

#[test]
fn a_confirmation_is_asked_and_only_yes_is_one() {
    let world = World::new();
    world.person("ada");
    for (answer, code) in [("", 9), ("no", 9), ("y", 0)] {
        let mut terminal = at_a_terminal(&world, &["user", "delete", "ada"]);
        terminal.exp_string("Delete the user ada").unwrap();
        terminal.send_line(answer).unwrap();
        let (ended, shown) = end(terminal);
        assert_eq!(ended, code, "{answer:?}: {shown}");
    }
    world.refused(&["user", "show", "ada"], 3, "");
}

#[test]
fn a_rekey_shows_how_far_it_is_and_asks_first() {
    let world = World::new();
    world.person("ada");
    world.ok(&["key-file", "create", "a.key", "2026-11"]);
    let mut terminal = at_a_terminal(&world, &["rekey", "--key-file", "a.key"]);
    terminal.exp_string("must have the key 2026-11").unwrap();
    terminal.send_line("y").unwrap();
    let (code, shown) = end(terminal);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("1/1 hashes"), "{shown}");
    assert!(shown.contains("sealed 1 hashes under 2026-11"), "{shown}");
}

/// What a command that asks for a password says where no person can type it.
#[track_caller]
fn without_a_terminal(world: &World, words: &[&str]) -> String {
    // `setsid` takes the terminal of the test away, if it has one.
    let mut command = Command::new("setsid");
    command.args(["--wait", "gatepost"]).args(words);
    command.env("PATH", World::search_path()).current_dir(world.directory());
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn without_a_terminal_a_password_comes_from_standard_input_or_not_at_all() {
    let world = World::new();
    let said = without_a_terminal(&world, &["user", "add", "ada"]);
    assert!(said.contains("--password-stdin"), "{said}");
    assert!(world.rows(&["user", "list"]).is_empty());
}

/// Once the advice named a flag of other commands.
#[test]
fn without_a_terminal_no_password_is_asked_for_recovery_codes() {
    let world = World::new();
    world.person("ada");
    let ada = world.store().users().find_by_username("ada").unwrap().unwrap().id;
    let options = gatepost::Options::stored().dangerous().allow_unsealed_totp_secrets();
    let store = gatepost::Store::open(world.directory().join("auth.db"), options).unwrap();
    let secret = TotpSecret::new(vec![7; 20]).unwrap();
    store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
    store.close().unwrap();
    let said = without_a_terminal(&world, &["factor", "recovery-codes", "ada"]);
    assert!(!said.contains("--password-stdin"), "{said}");
    assert!(said.contains("Run it at a terminal."), "{said}");
}

fn logs_in(world: &World, password: &str) -> bool {
    let device = gatepost::DeviceId::random().unwrap();
    let request = gatepost::LoginRequest::new("ada", gatepost::Password::from(password), device);
    world.store().log_in(request).unwrap().granted().is_ok()
}
