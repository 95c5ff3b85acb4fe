//! `gatepost export` of a store that changes meanwhile, and one that fails.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;

use gatepost::directory::UserFilter;

use crate::world::World;

/// More than a pipe and a page of the list have room for.
const USERS: usize = 1_500;

const HASH: &str =
    "pbkdf2_sha256$20000$QCdWQPwz4yfUWVxDt8j3eg$w9v28Xlojx7MYaXQiUMaNAuXYcBgDDl31waCEPDS01k=";

fn many() -> String {
    let mut text = String::new();
    for n in 0..USERS {
        writeln!(
            text,
            "{{\"username\":\"user{n}\",\"description\":\"{}\",\"password_hash\":\"{HASH}\"}}",
            "x".repeat(100),
        )
        .unwrap();
    }
    text
}

/// Ends the program if it waits for a reader when a test fails.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_export_goes_on_while_users_are_deleted_and_added_and_can_be_imported() {
    let world = World::new();
    fs::write(world.directory().join("many.jsonl"), many()).unwrap();
    world.ok(&["import", "many.jsonl"]);
    for words in [["export", "--with-password-hashes", "--yes"].as_slice(), &["export"]] {
        let mut command = world.command(words);
        let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut running = Running(running);
        let mut out = running.0.stdout.take().unwrap();
        // The places are read now, and the program waits for a reader.
        let mut text = vec![0; 1];
        out.read_exact(&mut text).unwrap();
        let store = world.store();
        let users: Vec<_> = store.users().iter(&UserFilter::new()).map(Result::unwrap).collect();
        // Some of the page of the list that is being written, and some of the last one.
        let last = users.iter().rev().skip(1).take(20);
        for user in users.iter().skip(80).take(150).chain(last) {
            store.users().delete(user.id).unwrap();
        }
        let organisation = store.organisations().create(&format!("North {}", users.len()));
        let organisation = organisation.unwrap().id;
        let branch = store.branches().create(&format!("York {}", users.len()), organisation);
        let branch = branch.unwrap().id;
        store.users().move_to(users.last().unwrap().id, branch).unwrap();
        out.read_to_end(&mut text).unwrap();
        let mut said = String::new();
        running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(running.0.wait().unwrap().success(), "{said}");
        let text = String::from_utf8(text).unwrap();
        let exported = text.matches("\"type\":\"user\"").count();
        assert!(exported < users.len(), "no user was deleted in time");
        assert!(text.contains(&format!("\"branch\":\"{branch}\"")), "it was added too late");
        let other = World::new();
        fs::write(other.directory().join("all.jsonl"), &text).unwrap();
        let imported = other.row(&["import", "all.jsonl"]);
        assert_eq!(imported["refused"], 0, "{imported}");
    }
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let maker = World::empty();
    maker.ok(&["key-file", "create", "seal.key", "k1"]);
    let key = maker.directory().join("seal.key");
    let world = World::empty();
    world.ok(&["init", "--preset", "server", "--key-file", key.to_str().unwrap()]);
    let words = ["user", "add", "ada", "--password-stdin", "--key-file", key.to_str().unwrap()];
    assert_eq!(world.run_with(&words, crate::world::PASSWORD).code, 0);
    let file = world.directory().join("all.jsonl");
    let words = ["export", "--with-password-hashes", "--yes", "--to", "all.jsonl"];
    world.refused(&words, 6, "key");
    assert!(!file.exists(), "half of an export is left");
    // A file that was there is no business of the command.
    fs::File::create(&file).unwrap().write_all(b"mine").unwrap();
    world.refused(&words, 4, "replaces no file");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

/// Once the controls above U+007E, and those that turn the direction of a line, were as they are.
#[test]
fn an_export_cannot_steer_a_terminal_and_imports_as_it_was() {
    let world = World::new();
    let text = "a\u{7f}\u{9b}2J\u{202e} \"ä\" 日本";
    let attributes = serde_json::json!({ "note": text }).to_string();
    world.ok(&["user", "add", "ada", "--no-password", "--attributes", &attributes]);
    world.ok(&["config", "set", "greeting", text]);
    let exported = world.ok(&["export"]);
    let is_bare = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(exported.contains("日本") && !exported.contains(is_bare), "{exported:?}");
    let other = World::new();
    fs::write(other.directory().join("all.jsonl"), &exported).unwrap();
    other.ok(&["import", "all.jsonl"]);
    let stored = |world: &World| {
        let ada = world.row(&["user", "show", "ada"])["attributes"].clone();
        (ada, world.row(&["config", "get", "greeting"])["value"].clone())
    };
    assert_eq!(stored(&other), (attributes.into(), text.into()));
    assert_eq!(stored(&other), stored(&world));
}

/// Once the export had it as `9223372036854775807 ms`, and the import refused the record.
#[test]
fn a_time_beyond_the_year_9999_is_written_so_that_the_import_reads_it() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    let update = format!("UPDATE organisation SET created_at = {}", i64::MAX);
    world.update_without_triggers("organisation", &update);
    let exported = world.ok(&["export"]);
    let other = World::new();
    fs::write(other.directory().join("all.jsonl"), &exported).unwrap();
    assert_eq!(other.row(&["import", "all.jsonl"])["refused"], 0, "{exported}");
    let row = other.row(&["organisation", "show", "Northern"]);
    assert_eq!(row["created_at"], "9999-12-31T23:59:59.999Z");
}
