//! The size that the library adds to a program, and the time that it adds to a clean build.
//!
//! Three small programs are built in directories of their own, from the versions that this
//! project's lock file names: one that does nothing, one that asks SQLite something, one that opens
//! a store, logs in and verifies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Run, alternate, time};

pub const FIGURES: &[&str] = &["binary_size", "clean_build"];

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Minutes go into one.
const CLEAN_BUILDS: usize = 3;

/// As this library asks for it.
const RUSQLITE: &str = r#"rusqlite.version = "*"
rusqlite.default-features = false
rusqlite.features = ["bundled", "cache", "backup", "limits"]"#;

const SQLITE: &str = r#"fn main() -> rusqlite::Result<()> {
    let file = std::env::args().nth(1).unwrap_or_default();
    let connection = rusqlite::Connection::open(file)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = ?1", ["a"], |_| Ok(()))
}"#;

const STORE: &str = r#"use gatepost::{DeviceId, LoginRequest, NewUser, Options, Password, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().collect();
    let store = Store::open(&words[1], Options::server())?;
    store.users().create(NewUser::person(&words[2]).password(Password::from(words[3].as_str())))?;
    let device = DeviceId::new(&words[4])?;
    let request = LoginRequest::new(&words[2], Password::from(words[3].as_str()), device.clone());
    let reply = store.log_in(request)?.granted()?;
    let _ = store.verify((&reply.session.token, &device))?.valid()?;
    let _ = store.log_out((&reply.session.token, &device))?;
    Ok(())
}"#;

pub fn run(run: &mut Run) {
    if run.quick {
        FIGURES.iter().for_each(|name| run.left_out(name, "it builds for minutes"));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let ours = format!("gatepost = {{ path = {ROOT:?} }}");
    let program = |name, on, main| Program::new(&directory.path().join(name), on, main);
    let nothing = program("nothing", "", "fn main() {}");
    let sqlite = program("sqlite", RUSQLITE, SQLITE);
    let store = program("store", &ours, STORE);
    nothing.build();
    let rounds = if run.wants(&["clean_build"]) { CLEAN_BUILDS } else { 1 };
    let table = alternate(rounds, 1, [&mut || sqlite.clean_build(), &mut || store.clean_build()]);
    let [nothing, sqlite, store] = [nothing, sqlite, store].map(|program| program.size());
    if run.wants(&["binary_size"]) {
        run.note(format_args!("SQLite alone adds {:.0} KiB", kib(sqlite - nothing)));
        run.counted("binary_size", "KiB", kib(store - nothing));
    }
    if run.wants(&["clean_build"]) {
        for [sqlite, store] in &table {
            run.note(format_args!("SQLite alone {sqlite:.1} s, the library with it {store:.1} s"));
        }
        let ratios: Vec<f64> = table.iter().map(|[sqlite, store]| store / sqlite).collect();
        run.figure("clean_build", "x", &ratios);
    }
}

fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1_024.0
}

/// A program of one file.
struct Program(PathBuf);

impl Program {
    fn new(at: &Path, dependency: &str, main: &str) -> Self {
        fs::create_dir_all(at.join("src")).unwrap();
        fs::copy(Path::new(ROOT).join("Cargo.lock"), at.join("Cargo.lock")).unwrap();
        fs::write(at.join("src/main.rs"), main).unwrap();
        let manifest = format!(
            "[package]\nname = \"program\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n\n\
             [profile.release]\nstrip = true\n\n[workspace]\n"
        );
        fs::write(at.join("Cargo.toml"), manifest).unwrap();
        Self(at.to_owned())
    }

    fn build(&self) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--release", "--target-dir", "target"]);
        assert!(cargo.current_dir(&self.0).status().unwrap().success());
    }

    /// How long a build takes that has nothing to begin with.
    fn clean_build(&self) -> Duration {
        let target = self.0.join("target");
        if target.exists() {
            fs::remove_dir_all(target).unwrap();
        }
        time(|| self.build())
    }

    fn size(&self) -> u64 {
        fs::metadata(self.0.join("target/release/program")).unwrap().len()
    }
}
