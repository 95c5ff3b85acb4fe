//! The size of a store in memory, of a session in the file, and of the library in a program.

use std::process::Command;

use gatepost::{Options, Store};

use crate::child::again;
use crate::filled::Filled;
use crate::harness::Run;

pub const FIGURES: &[&str] = &["bytes_per_session", "bytes_per_cached_session", "idle_memory"];

pub fn run(run: &mut Run) {
    if run.wants(&["bytes_per_session"]) {
        let filled = Filled::new(Options::server().cache(None), run.size(1_000_000));
        filled.store.close().unwrap();
        let raw = filled.raw();
        raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let bytes = std::fs::metadata(&filled.path).unwrap().len();
        run.note(format_args!("{} sessions, {bytes} bytes", filled.sessions.len()));
        run.counted("bytes_per_session", "bytes", bytes as f64 / filled.sessions.len() as f64);
    }
    if run.wants(&["bytes_per_cached_session"]) {
        let sessions = run.size(1_000_000);
        let bytes = number_said(&["memory", &sessions.to_string(), &sessions.to_string()]);
        run.counted("bytes_per_cached_session", "bytes", bytes / sessions as f64);
    }
    if run.wants(&["idle_memory"]) {
        run.counted("idle_memory", "KiB", number_said(&["idle memory"]) / 1_024.0);
    }
}

/// The number that a child process prints.
fn number_said(words: &[&str]) -> f64 {
    let output: std::process::Output = Command::output(&mut again(words)).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Bytes of resident memory that `cached` entries take once all sessions were verified.
pub fn play(sessions: usize, cached: usize) {
    let filled = Filled::new(Options::server().cache(cached), sessions);
    // The memory that the first verify takes for good is not part of the entries.
    let one = &filled.sessions[0];
    filled.store.verify((&one.token, &one.device)).unwrap().valid().unwrap();
    let before = resident();
    filled.verify_all();
    println!("{}", resident() - before);
}

/// Bytes of resident memory that an open but unused store takes.
pub fn play_idle() {
    let directory = tempfile::tempdir().unwrap();
    let before = resident();
    let store = Store::open(directory.path().join("auth.db"), Options::server()).unwrap();
    println!("{}", resident() - before);
    drop(store);
}

/// Resident memory of this process; zero where the system does not report it.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
