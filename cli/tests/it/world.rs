//! A directory with a store, and the command that is run in it.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use gatepost::{Options, Store};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "lantern over wet slate";

/// A private directory with the store `auth.db`, of the preset `server`.
pub(crate) struct World {
    directory: TempDir,
}

/// What one run of the command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.ok(&["init", "--preset", "server"]);
        world
    }

    /// A directory without a store.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The store, opened in this process as a tool opens it.
    pub(crate) fn store(&self) -> Store {
        Store::open(self.directory().join("auth.db"), Options::stored()).unwrap()
    }

    /// Another program's connection to the file, by plain SQL.
    pub(crate) fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.directory().join("auth.db")).unwrap()
    }

    /// Runs an UPDATE as a hand would that first took the triggers of its table away, and put them
    /// back afterwards.
    #[track_caller]
    pub(crate) fn update_without_triggers(&self, table: &str, update: &str) {
        let sql = self.sql();
        let listed =
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1";
        let mut listed = sql.prepare(listed).unwrap();
        let triggers = listed.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let triggers: Vec<(String, String)> = triggers.map(Result::unwrap).collect();
        for (name, _) in &triggers {
            sql.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
        }
        sql.execute_batch(update).unwrap();
        for (_, create) in &triggers {
            sql.execute_batch(create).unwrap();
        }
    }

    /// The command in that directory, which is also where the words that it is given lead.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin("gatepost"));
        command.args(words).current_dir(self.directory());
        command
    }

    /// Runs the command with this standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, words: &[&str], input: &str) -> Ran {
        assert_cmd::Command::from_std(self.command(words))
            .write_stdin(input)
            .output()
            .unwrap()
            .into()
    }

    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.command(words).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.out
    }

    /// The rows that a successful command prints with `--json`.
    #[track_caller]
    pub(crate) fn rows(&self, words: &[&str]) -> Vec<Value> {
        let out = self.ok(&[words, &["--json"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only row that a successful command prints with `--json`.
    #[track_caller]
    pub(crate) fn row(&self, words: &[&str]) -> Value {
        let mut rows = self.rows(words);
        assert_eq!(rows.len(), 1, "{words:?}: {rows:?}");
        rows.remove(0)
    }

    /// Asserts that the command fails with this exit code, and that it says so in these words.
    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str], code: i32, says: &str) {
        let ran = self.run(words);
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
        assert!(ran.err.contains(says), "{words:?}: {ran:?}");
        assert_eq!(ran.out, "", "{words:?}");
    }

    /// Adds a person with [`PASSWORD`].
    #[track_caller]
    pub(crate) fn person(&self, name: &str) {
        let ran = self.run_with(&["user", "add", name, "--password-stdin"], PASSWORD);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// The value of PATH by which a shell finds the command.
    pub(crate) fn search_path() -> OsString {
        let command = cargo_bin("gatepost");
        let mut path = OsString::from(command.parent().unwrap());
        path.push(":/usr/local/bin:/usr/bin:/bin");
        path
    }
}

/// Says that a test, or a part of it, does not run here. Not by `eprintln!`, of which the harness
/// shows nothing if the test passes.
pub(crate) fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was ended by a signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
