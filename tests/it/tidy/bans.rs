//! What stands nowhere, or in the listed files alone.

use super::source::{Source, closing};

const UNSAFE_MAY_STAND_IN: &[&str] = &["src/storage/fork.rs", "src/storage/wal_index.rs"];
const CLOCK: &str = "src/value/time.rs";
const RANDOM: &str = "src/value/random.rs";

const CLOCK_READS: &[&str] =
    &["SystemTime::now", "Utc::now", "Local::now", "Timestamp::now", "UNIX_EPOCH.elapsed"];
const RANDOM_DRAWS: &[&str] = &[
    "getrandom",
    "SysRng",
    "OsRng",
    "thread_rng",
    "ThreadRng",
    "rand::",
    "fastrand",
    "new_v4",
    "new_v7",
    "now_v7",
    "RandomState",
];
const ENVIRONMENT: &[&str] = &["env::var", "env::var_os", "env::vars", "env::vars_os"];
/// Nothing tells when another process lets go of the file.
const PAUSES_MAY_STAND_IN: &str = "src/storage/connection.rs";
const SLEEPS: &[&str] = &["sleep(", "sleep_ms(", "sleep_until(", "park_timeout("];

/// Closing any descriptor of the store's file drops SQLite's locks for the whole process, so files
/// are touched in these rooms of storage alone: a file that does not exist yet, and a finished
/// backup. The watch reads what the kernel says of this process, and a journal has no lock to lose.
const FILES_MAY_BE_OPENED_IN: &[&str] =
    &["backup.rs", "fault.rs", "files.rs", "guard.rs", "reserve.rs", "watch.rs"];
const FILE_CALLS: &[&str] = &[
    "File::open",
    "File::create",
    "File::create_new",
    "OpenOptions",
    "fs::copy",
    "fs::hard_link",
    "fs::read",
    "fs::read_to_string",
    "fs::remove_dir_all",
    "fs::remove_file",
    "fs::rename",
    "fs::write",
];

/// How long a call waited for the file or for a hash is a monotonic matter, told to no rule.
const STOPWATCH_MAY_STAND_IN: &[&str] = &["src/storage/", "src/hasher/", CLOCK];

pub(crate) fn connections(file: &Source) -> Vec<String> {
    if file.name.starts_with("src/storage/") {
        return Vec::new();
    }
    named(file, &["Connection"], "is for storage/ alone")
}

pub(crate) fn unsafe_code(file: &Source) -> Vec<String> {
    // The fault bench forks, kills, and stands between SQLite and the system; a peer is in C.
    let is_apart =
        ["faults/", "benches/peers/libsodium/"].iter().any(|d| file.name.starts_with(d));
    if UNSAFE_MAY_STAND_IN.contains(&file.name.as_str()) || is_apart {
        return Vec::new();
    }
    named(file, &["unsafe", "allow(unsafe_code"], "is for the listed files alone")
}

pub(crate) fn file_calls(file: &Source) -> Vec<String> {
    let in_storage = file.name.strip_prefix("src/storage/");
    if in_storage.is_some_and(|name| FILES_MAY_BE_OPENED_IN.contains(&name)) {
        return Vec::new();
    }
    named(file, FILE_CALLS, "may touch the store's file behind SQLite's back")
}

pub(crate) fn environment(file: &Source) -> Vec<String> {
    named(file, ENVIRONMENT, "reads the environment")
}

/// A store of the suite that its second run, without the cache, would not reach.
pub(crate) fn own_options(file: &Source) -> Vec<String> {
    // What is fuzzed is compiled without the suite as well.
    let are_apart = ["tests/it/world.rs", "tests/it/fuzz/targets.rs"];
    if !file.name.starts_with("tests/it/") || are_apart.contains(&file.name.as_str()) {
        return Vec::new();
    }
    named(file, &["Options::for_tests"], "is for world.rs: take world::for_tests()")
}

pub(crate) fn clocks(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    if file.name != CLOCK {
        findings.extend(named(file, CLOCK_READS, "is for value/time.rs alone"));
    }
    if !STOPWATCH_MAY_STAND_IN.iter().any(|place| file.name.starts_with(place)) {
        findings.extend(named(file, &["Instant"], "misses suspend and cannot be steered"));
    }
    findings
}

pub(crate) fn random(file: &Source) -> Vec<String> {
    if file.name == RANDOM {
        return Vec::new();
    }
    named(file, RANDOM_DRAWS, "is for value/random.rs alone")
}

pub(crate) fn ignored(file: &Source) -> Vec<String> {
    named(file, &["#[ignore", "#![ignore", ", ignore)", ", ignore ="], "hides a test")
}

pub(crate) fn sleeps(file: &Source) -> Vec<String> {
    // Peers are measured on the wall, and wait for servers to start.
    if file.name.starts_with("benches/peers/") || file.name == PAUSES_MAY_STAND_IN {
        return Vec::new();
    }
    named(file, SLEEPS, "waits for wall time: steer the clock")
}

/// `matches!(…)` as a statement, whose answer nobody reads.
pub(crate) fn bare_matches(file: &Source) -> Vec<String> {
    let begins_statement = |at: usize| {
        let before = file.code[..at].trim_end().chars().next_back();
        before.is_none_or(|c| matches!(c, ';' | '{' | '}'))
    };
    let ends_statement = |at: usize| {
        let open = at + "matches!".len();
        file.code[closing(&file.code, open)..].trim_start().starts_with(';')
    };
    let is_bare = |at: &usize| begins_statement(*at) && ends_statement(*at);
    let bare = file.find("matches!").into_iter().filter(is_bare);
    bare.map(|at| format!("{}: matches! whose answer is not asserted", file.place(at))).collect()
}

fn named(file: &Source, words: &[&str], why: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for word in words {
        for at in file.find(word) {
            findings.push(format!("{}: {word} {why}", file.place(at)));
        }
    }
    findings
}

#[cfg(test)]
mod can_fail {
    use super::*;

    type Check = fn(&Source) -> Vec<String>;

    #[track_caller]
    fn check(check: Check, name: &str, text: &str, expect: usize) {
        let findings = check(&Source::new(name, text));
        assert_eq!(findings.len(), expect, "{findings:?}");
    }

    #[test]
    fn a_connection_above_storage_is_found() {
        check(connections, "src/record/user.rs", "use rusqlite::Connection;", 1);
        check(connections, "src/record/user.rs", "// Connection\nstruct ConnectionPool;", 0);
        check(connections, "src/storage/open.rs", "use rusqlite::Connection;", 0);
    }

    #[test]
    fn unsafe_outside_the_listed_files_is_found() {
        check(unsafe_code, "src/storage/open.rs", "fn f() { unsafe { g() } }", 1);
        check(unsafe_code, "tests/it/world.rs", "unsafe fn f() {}", 1);
        check(unsafe_code, "src/cache/mod.rs", "#![allow(unsafe_code, reason = \"\")]", 1);
        check(unsafe_code, "src/lib.rs", "#![deny(unsafe_code)] // unsafe", 0);
        check(unsafe_code, "src/storage/fork.rs", "unsafe { g() }", 0);
        check(unsafe_code, "faults/src/process.rs", "unsafe { g() }", 0);
    }

    #[test]
    fn a_file_opened_elsewhere_is_found() {
        check(file_calls, "src/store.rs", "std::fs::remove_file(path); File::open(path)", 2);
        check(file_calls, "src/store.rs", "fs::metadata(path); fs::read_dir(path)", 0);
        check(file_calls, "src/storage/backup.rs", "File::open(path)", 0);
    }

    #[test]
    fn a_read_of_the_environment_is_found() {
        check(environment, "src/options.rs", "std::env::var(\"HOME\"); env::var_os(\"A\")", 2);
        check(environment, "src/options.rs", "env!(\"CARGO_PKG_VERSION\")", 0);
    }

    #[test]
    fn a_store_with_options_of_its_own_is_found() {
        check(own_options, "tests/it/sweep.rs", "Options::for_tests().cache(1)", 1);
        check(own_options, "tests/it/sweep.rs", "for_tests(); Options::server()", 0);
        check(own_options, "tests/it/world.rs", "Options::for_tests()", 0);
        check(own_options, "src/options.rs", "Options::for_tests()", 0);
    }

    #[test]
    fn a_clock_elsewhere_is_found() {
        check(clocks, "src/store.rs", "chrono::Utc::now(); SystemTime::now()", 2);
        check(clocks, "src/flow/login.rs", "use std::time::Instant;", 1);
        check(clocks, "src/storage/writer.rs", "Instant::now()", 0);
        check(clocks, "src/value/time.rs", "Utc::now()", 0);
    }

    #[test]
    fn a_random_draw_elsewhere_is_found() {
        check(random, "src/value/id.rs", "Uuid::now_v7(); getrandom::fill(b)", 2);
        check(random, "src/value/random.rs", "getrandom::fill(b)", 0);
    }

    #[test]
    fn an_ignored_test_is_found() {
        check(ignored, "tests/it/user.rs", "#[test]\n#[ignore]\nfn f() {}", 1);
        check(ignored, "tests/it/user.rs", "#[ignore = \"slow\"] #[cfg_attr(unix, ignore)]", 2);
    }

    #[test]
    fn a_sleep_is_found() {
        check(sleeps, "tests/it/user.rs", "std::thread::sleep(d); sleep(d)", 2);
        check(sleeps, "tests/it/user.rs", "// sleep(d)\nfn does_not_sleep() {}", 0);
    }

    #[test]
    fn a_bare_matches_is_found() {
        let bare = "fn f() { matches!(x, Some(_)); g(); matches!(y, None); }";
        check(bare_matches, "tests/it/user.rs", bare, 2);
        let used =
            "fn f() -> bool { assert!(matches!(x, Y)); let a = matches!(x, Y); matches!(x, Y) }";
        check(bare_matches, "tests/it/user.rs", used, 0);
    }
}
