//! Bans that clippy.toml cannot express: code that is in no file, or in the listed ones alone.

use super::source::{Source, closing};

/// Each lint that is a ban, and where it may be lifted.
#[rustfmt::skip]
const LIFTED: &[(&str, &[&str])] = &[
    ("unsafe_code", &[
        "src/storage/fork.rs", "src/storage/header.rs", "src/storage/wal_index.rs",
    ]),
    ("disallowed_types", &["src/storage/mod.rs", "tests/it/main.rs", "cli/tests/it/main.rs"]),
    ("disallowed_methods", &[
        "src/value/time.rs", "src/value/random.rs",
        "src/hasher/mod.rs", "src/storage/connection.rs",
        "tests/it/world.rs", "tests/it/world/acts.rs", "tests/it/fuzz.rs", "tests/it/timing.rs",
        "tests/it/coherence/race.rs", "tests/it/coherence/privileges.rs",
        "tests/it/throttle/limit.rs", "tests/it/uses/late.rs", "tests/it/underneath/rounds.rs",
        "tests/it/restore/rounds.rs", "tests/it/restore/killed.rs",
        "tests/it/restore/litestream.rs",
        "desk/src/folder/private.rs", "desk/tests/it/kills.rs",
        "cli/tests/it/users.rs",
    ]),
];
/// Programs that measure wall time, or read files by plain SQL: only `unsafe` is banned there.
const MAY_LIFT: [&str; 3] = ["benches/", "examples/", "schedules/"];

/// Closing any descriptor of the store's file drops SQLite's locks for the whole process, so files
/// are touched in these modules of storage alone: a file that does not exist yet, and a finished
/// backup. A key file is shorter than any file of SQLite's. The watch reads what the kernel says of
/// this process, and a journal has no lock to lose.
const FILES_MAY_BE_OPENED_IN: &[&str] = &[
    "backup.rs",
    "backup/manifest.rs",
    "fault.rs",
    "files.rs",
    "guard.rs",
    "key_file.rs",
    "reserve.rs",
    "restore.rs",       // the copy of a restore
    "restore/aside.rs", // a file that no process has open
    "watch.rs",
];
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

/// A lint that is lifted elsewhere: clippy and rustc enforce the ban, and this enforces where.
pub(crate) fn lifted_lints(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (lint, files) in LIFTED {
        let is_apart = *lint != "unsafe_code" && MAY_LIFT.iter().any(|d| file.name.starts_with(d));
        if !is_apart && !files.contains(&file.name.as_str()) {
            findings.extend(named(file, &[lint], "is lifted in the listed files alone"));
        }
    }
    findings
}

pub(crate) fn file_calls(file: &Source) -> Vec<String> {
    let in_storage = file.name.strip_prefix("src/storage/");
    if in_storage.is_some_and(|name| FILES_MAY_BE_OPENED_IN.contains(&name)) {
        return Vec::new();
    }
    named(file, FILE_CALLS, "may touch the store's file behind SQLite's back")
}

/// A store of the suite that its second run, without the cache, would not reach.
pub(crate) fn own_options(file: &Source) -> Vec<String> {
    // The fuzz targets are compiled without the suite as well.
    let are_apart = ["tests/it/world.rs", "tests/it/fuzz/targets.rs"];
    if !file.name.starts_with("tests/it/") || are_apart.contains(&file.name.as_str()) {
        return Vec::new();
    }
    named(file, &["Options::for_tests"], "is for world.rs: take world::for_tests()")
}

pub(crate) fn ignored(file: &Source) -> Vec<String> {
    named(file, &["#[ignore", "#![ignore", ", ignore)", ", ignore ="], "hides a test")
}

/// `matches!(…)` as a statement, whose answer is not used.
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

pub(super) fn named(file: &Source, words: &[&str], why: &str) -> Vec<String> {
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
    fn a_ban_that_is_lifted_elsewhere_is_found() {
        let lift = "#![allow(unsafe_code, reason = \"\")] #[expect(clippy::disallowed_methods)]";
        check(lifted_lints, "src/cache/mod.rs", lift, 2);
        check(lifted_lints, "src/storage/fork.rs", lift, 1);
        check(lifted_lints, "src/storage/connection.rs", lift, 1);
        check(lifted_lints, "benches/write.rs", lift, 1);
        check(lifted_lints, "src/lib.rs", "// unsafe_code", 0);
    }

    #[test]
    fn a_file_opened_elsewhere_is_found() {
        check(file_calls, "src/store.rs", "std::fs::remove_file(path); File::open(path)", 2);
        check(file_calls, "src/store.rs", "fs::metadata(path); fs::read_dir(path)", 0);
        check(file_calls, "src/storage/backup.rs", "File::open(path)", 0);
    }

    #[test]
    fn a_store_with_options_of_its_own_is_found() {
        check(own_options, "tests/it/sweep.rs", "Options::for_tests().cache(1)", 1);
        check(own_options, "tests/it/sweep.rs", "for_tests(); Options::server()", 0);
        check(own_options, "tests/it/world.rs", "Options::for_tests()", 0);
        check(own_options, "src/options.rs", "Options::for_tests()", 0);
    }

    #[test]
    fn an_ignored_test_is_found() {
        check(ignored, "tests/it/user.rs", "#[test]\n#[ignore]\nfn f() {}", 1);
        check(ignored, "tests/it/user.rs", "#[ignore = \"slow\"] #[cfg_attr(unix, ignore)]", 2);
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
