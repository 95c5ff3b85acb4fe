//! Output that is not read to its end, or that cannot be written.

use std::fs::{self, File};
use std::process::Stdio;

use crate::terminal::{end, in_a_shell};
use crate::world::{Ran, World};

/// A pipe whose reader is gone.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// A device that is always full.
fn full() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

fn run(world: &World, words: &[&str], out: fn() -> Stdio) -> Ran {
    let mut command = world.command(words);
    command.stdin(Stdio::null()).stdout(out()).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap().into()
}

#[test]
fn a_list_a_record_or_a_page_that_is_not_read_is_no_failure() {
    let world = World::new();
    world.person("ada");
    for words in [
        ["user", "list"].as_slice(),
        &["user", "show", "ada"],
        &["user", "lock", "ada"],
        &["audit", "export"],
        &["audit", "verify"],
        &["export"],
        &["doctor"],
        &["completions", "bash"],
    ] {
        let ran = run(&world, words, unread);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
    }
    let ran = run(&world, &["user", "unlock", "ada"], full);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("standard output cannot be written"), "{ran:?}");
    assert!(ran.err.contains("What the command has changed stays changed."), "{ran:?}");
    assert_eq!(world.row(&["user", "show", "ada"])["status"], "active");
}

/// Once each of these exited with 0.
#[test]
fn an_answer_in_the_exit_code_is_the_same_if_its_text_is_not_read() {
    let world = World::new();
    world.person("ada");
    fs::write(world.directory().join("users.jsonl"), "{\"username\":\"bob\"}\n{}\n").unwrap();
    let update = "UPDATE audit SET detail = 'other' WHERE seq = 2";
    world.update_without_triggers("audit", update);
    for (words, code) in [
        (["audit", "verify"].as_slice(), 1),
        (&["audit", "verify", "--json"], 1),
        (&["import", "users.jsonl", "--dry-run"], 5),
        (&["import", "users.jsonl"], 5),
        (&["doctor"], 11),
        (&["doctor", "--json"], 11),
    ] {
        assert_eq!(world.run(words).code, code, "{words:?}");
        let ran = run(&world, words, unread);
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
    }
}

/// Asserts that the command fails because its secret is lost, and says so in these words.
#[track_caller]
fn loses(world: &World, words: &[&str], says: impl Fn(&World) -> Vec<String>) {
    for (out, more) in [(unread as fn() -> Stdio, "--yes"), (full, "--yes"), (unread, "--json")] {
        let words = [words, &[more]].concat();
        let ran = run(world, &words, out);
        assert_eq!(ran.code, 8, "{words:?}: {ran:?}");
        for said in says(world) {
            assert!(ran.err.contains(&said), "{words:?}: {said}: {ran:?}");
        }
    }
}

/// Once each of these exited with 0, and the rotated key was revoked.
#[test]
fn a_key_that_is_issued_and_lost_is_a_failure_that_says_how_to_replace_it() {
    let world = World::new();
    world.ok(&["user", "add", "mailer", "--system"]);
    let newest = |world: &World| {
        let keys = world.rows(&["key", "list", "mailer"]);
        keys.last().unwrap()["id"].as_str().unwrap().to_owned()
    };
    let says = |world: &World| {
        let id = newest(world);
        vec![
            format!("the API key {id} was issued, and standard output cannot be written"),
            format!("gatepost key rotate {id} --yes"),
            format!("gatepost key revoke {id} --yes"),
        ]
    };
    loses(&world, &["key", "issue", "mailer"], |world| {
        let said = says(world);
        world.ok(&["key", "revoke", "--user", "mailer", "--yes"]);
        said
    });
    world.ok(&["key", "issue", "mailer"]);
    let old = newest(&world);
    let ran = run(&world, &["key", "rotate", &old, "--yes"], unread);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert_ne!(newest(&world), old, "it was rotated");
    assert!(says(&world).iter().all(|said| ran.err.contains(said)), "{ran:?}");
    // What the message says prints a key that is valid.
    let key = world.ok(&["key", "rotate", &newest(&world), "--yes"]);
    assert_eq!(world.run_with(&["token", "verify"], &key).code, 0);

    fs::write(world.directory().join("key.txt"), &key).unwrap();
    let mut command = world.command(&["key", "attenuate", "--lifetime", "1h"]);
    let input = File::open(world.directory().join("key.txt")).unwrap();
    command.stdin(input).stdout(unread()).stderr(Stdio::piped());
    let ran: Ran = command.spawn().unwrap().wait_with_output().unwrap().into();
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(says(&world).iter().all(|said| ran.err.contains(said)), "{ran:?}");
    let key = world.ok(&["key", "rotate", &newest(&world), "--yes"]);
    assert_eq!(world.run_with(&["token", "verify"], &key).code, 0);
}

#[test]
fn a_one_time_token_that_is_issued_and_lost_is_a_failure_that_says_how_to_end_it() {
    let world = World::new();
    loses(&world, &["token", "first-administrator"], |_| {
        vec!["was issued, and standard".into(), "the next token ends this one".into()]
    });
    world.person("ada");
    world.ok(&["user", "email", "ada", "ada@example.com"]);
    world.ok(&["user", "add", "ben", "--no-password", "--status", "pending"]);
    for (command, user) in [
        ("reset", "ada"),
        ("temporary-password", "ada"),
        ("email-confirmation", "ada"),
        ("invite", "ben"),
    ] {
        loses(&world, &["user", command, user], |world| {
            let tokens = world.rows(&["token", "list", user]);
            let token = tokens.last().unwrap()["id"].as_str().unwrap();
            let id = world.row(&["user", "show", user])["id"].as_str().unwrap().to_owned();
            vec![
                format!("the token {token} was issued for {user}, and standard output cannot"),
                format!("gatepost token revoke {id} --yes"),
            ]
        });
    }
}

#[test]
fn recovery_codes_that_are_issued_and_lost_are_a_failure_that_says_how_to_get_others() {
    let world = crate::factors::sealed();
    let line = "gatepost \"$@\" > /dev/full";
    let words = crate::factors::with_key(&["factor", "enrol", "ada", "--yes"]);
    let mut terminal = in_a_shell(&world, line, &words);
    crate::factors::enrol(&mut terminal);
    let (code, shown) = end(terminal);
    assert_eq!(code, 8, "{shown}");
    let id = world.row(&["user", "show", "ada"])["id"].as_str().unwrap().to_owned();
    assert!(shown.contains("recovery codes of ada were issued, and standard"), "{shown}");
    assert!(shown.contains(&format!("gatepost factor recovery-codes {id}")), "{shown}");
}

/// Once nothing said that the backup was written.
#[test]
fn a_backup_that_is_written_is_named_also_if_an_older_one_cannot_be_deleted() {
    let world = World::new();
    let older = world.directory().join("nightly.db.20200101T000000Z");
    fs::create_dir(&older).unwrap();
    fs::write(world.directory().join("nightly.db.20200101T000000Z.manifest"), "").unwrap();
    let words = ["backup", "nightly.db", "--keep", "1"];
    let ran = world.run(&words);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("the older backups"), "{ran:?}");
    assert!(ran.out.starts_with("wrote ") && ran.out.contains("/nightly.db.2"), "{ran:?}");
}

/// Once the message was about standard output.
#[test]
fn a_full_disk_under_a_file_of_an_export_is_said_of_the_export() {
    let world = World::new();
    let mut users = String::new();
    for n in 0..1_000 {
        users += &format!("{{\"username\":\"u{n}\",\"description\":\"{}\"}}\n", "x".repeat(4_000));
    }
    fs::write(world.directory().join("users.jsonl"), users).unwrap();
    world.ok(&["import", "users.jsonl"]);
    // No file may grow beyond 1 MiB, which an error of the write says.
    let line = "trap '' XFSZ; ulimit -f 1024; exec gatepost export --to all.jsonl";
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", line]).env("PATH", World::search_path()).current_dir(world.directory());
    let ran: Ran = shell.output().unwrap().into();
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("the export cannot be written"), "{ran:?}");
    assert!(!world.directory().join("all.jsonl").exists());
}
