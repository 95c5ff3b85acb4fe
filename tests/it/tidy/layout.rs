//! One record type or operation, one file, one test module; and no path of a private machine.

use super::source::Project;

/// Modules whose promises are tested elsewhere: the module, the test module, and why.
#[rustfmt::skip]
const TESTED_BY: &[(&str, &str, &str)] = &[
    ("record/change",     "change_log",      "a change row is what a revocation writes"),
    ("record/proof",      "verify",          "what it reads, verify answers"),
    ("record/pieces",     "readers",         "they are how the lists read"),
    ("record/store",      "revoke",          "its watermarks rise when all sessions end"),
    ("record/watermarks", "revoke",          "they are what a revocation raises"),
    ("flow/held",         "password_change", "that call is made in a session"),
    ("flow/profile",      "login",           "a profile is a login reply read again"),
    ("flow/session_open", "session",         "it opens sessions"),
];

/// Folders whose files are all modules of a crate.
const MODULES_IN: [&str; 6] =
    ["src/", "tests/it/", "cli/src/", "cli/tests/it/", "desk/src/", "desk/tests/it/"];

/// Folders of the machines that this project happened to be written or tested on.
const PRIVATE: [&str; 6] = [
    concat!("/wo", "rk/"),
    concat!("/tmp", "/gp"),
    concat!("../sha", "red"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/bash", "_jobs"),
];

/// Record types of `record/` and operations of `flow/` without a test module of their name.
pub(crate) fn untested(project: &Project) -> Vec<String> {
    let modules = test_modules(project);
    let mut findings = Vec::new();
    for file in project.library() {
        let inside = file.name.trim_start_matches("src/").trim_end_matches(".rs");
        let Some((floor, inner)) = inside.split_once('/') else { continue };
        let name = inner.split('/').next().unwrap_or(inner);
        if !["record", "flow"].contains(&floor) || name == "mod" {
            continue;
        }
        let listed = TESTED_BY.iter().find(|(module, ..)| *module == format!("{floor}/{name}"));
        let wanted = listed.map_or(name, |(_, by, _)| by);
        if !modules.iter().any(|module| module == wanted) {
            findings.push(format!("{}: write tests/it/{wanted}.rs", file.name));
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Test files that no `mod` line reaches, and `mod` lines out of order.
pub(crate) fn unlisted_tests(project: &Project) -> Vec<String> {
    let modules = test_modules(project);
    let mut findings = Vec::new();
    for file in &project.sources {
        let Some(inner) = file.name.strip_prefix("tests/it/") else { continue };
        let name = inner.trim_end_matches(".rs").split('/').next().unwrap_or(inner);
        if name != "main" && !modules.iter().any(|module| module == name) {
            findings.push(format!("{}: add `mod {name};` to tests/it/main.rs", file.name));
        }
    }
    if !modules.is_sorted() {
        findings.push("tests/it/main.rs: keep the modules in alphabetical order".into());
    }
    findings
}

/// Rust files that no module declares: the compiler never sees them, nor their tests.
pub(crate) fn undeclared(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for file in &project.sources {
        let is_ours = MODULES_IN.iter().any(|folder| file.name.starts_with(folder));
        let path = file.name.trim_end_matches(".rs").trim_end_matches("/mod");
        let Some((folder, name)) = path.rsplit_once('/').filter(|_| is_ours) else { continue };
        let line = format!("mod {name};");
        let parents =
            ["/mod.rs", ".rs", "/lib.rs", "/main.rs"].map(|end| format!("{folder}{end}"));
        let is_declared = project
            .sources
            .iter()
            .filter(|parent| parents.contains(&parent.name))
            .any(|parent| parent.text.lines().any(|text| text.trim().ends_with(&line)));
        if !is_declared && !["lib", "main"].contains(&name) {
            findings.push(format!("{}: no module declares it with `{line}`", file.name));
        }
    }
    findings
}

fn test_modules(project: &Project) -> Vec<String> {
    let main = project.sources.iter().find(|file| file.name == "tests/it/main.rs");
    let lines = main.iter().flat_map(|file| file.code.lines());
    let module =
        |line: &str| Some(line.trim().strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    lines.filter_map(module).collect()
}

pub(crate) fn private_paths(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for path in PRIVATE.iter().filter(|path| line.contains(*path)) {
            findings.push(format!("{name}:{}: names {path}", number + 1));
        }
    }
    findings
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_record_or_operation_without_tests_is_found() {
        let project = Project::of(&[
            ("src/flow/mod.rs", ""),
            ("src/flow/verify.rs", ""),
            ("src/record/user/mod.rs", ""),
            ("src/record/user/list.rs", ""),
            ("src/record/store.rs", ""),
            ("tests/it/main.rs", "// mod user;\nmod verify;"),
        ]);
        let store = "src/record/store.rs: write tests/it/revoke.rs";
        let list = "src/record/user/list.rs: write tests/it/user.rs";
        let user = "src/record/user/mod.rs: write tests/it/user.rs";
        assert_eq!(untested(&project), [store, list, user]);
    }

    #[test]
    fn a_test_file_that_never_runs_is_found() {
        let project = Project::of(&[
            ("tests/it/main.rs", "mod verify;\nmod tidy;"),
            ("tests/it/tidy/size.rs", ""),
            ("tests/it/user.rs", ""),
        ]);
        let user = "tests/it/user.rs: add `mod user;` to tests/it/main.rs";
        let order = "tests/it/main.rs: keep the modules in alphabetical order";
        assert_eq!(unlisted_tests(&project), [user, order]);
    }

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        let project = Project::of(&[
            ("src/lib.rs", "mod storage;"),
            ("src/storage/mod.rs", "pub(crate) mod open;"),
            ("src/storage/open.rs", ""),
            ("src/storage/tests.rs", ""),
            ("cli/src/main.rs", "mod names;"),
            ("cli/src/names.rs", ""),
            ("cli/src/prompt.rs", ""),
        ]);
        let tests = "src/storage/tests.rs: no module declares it with `mod tests;`";
        let prompt = "cli/src/prompt.rs: no module declares it with `mod prompt;`";
        assert_eq!(undeclared(&project), [tests, prompt]);
    }

    #[test]
    fn a_private_path_is_found() {
        let text = format!("a\nsee {}x", concat!("/wo", "rk/"));
        let finding = format!("README.md:2: names {}", concat!("/wo", "rk/"));
        assert_eq!(private_paths("README.md", &text), [finding]);
    }
}
