//! The requirements map: each promise has a test that proves it, and a mutant under which that test
//! was seen to fail.
//!
//! The table is in the manual (`requirements.md`). A test is named by its module path, as the
//! test harness prints it, behind a prefix if it is in another place, which the page explains. A
//! mutant is named by its id in `tests/mutants.toml`; `scripts/map` applies each and runs its test.

use std::collections::BTreeSet;

use super::mutants::{self, TABLE};
use super::source::{Project, Source, closing, is_name};

const PAGE: &str = "manual/requirements.md";
const HEAD: &str = "| id | requirement | what meets it | test | mutant |";
/// The prefix of the scenes of an explorer, and the file that names them.
const SCENES: [(&str, &str); 2] =
    [("schedules::", "schedules/src/scenes.rs"), ("loom::", "schedules/src/loom/scenes.rs")];
/// The promises of the fault bench.
const FAULTS: &str = "faults/tests/promises.rs";
/// The folders of modules with tests, and what is before their path.
const FOLDERS: [(&str, Option<&str>); 5] = [
    ("src/", Some("lib")),
    ("tests/it/", None),
    ("axum/tests/it/", Some("axum")),
    ("desk/tests/it/", Some("desk")),
    ("desk/src/", Some("desk_lib")),
];
const ATTRIBUTES: [&str; 2] = ["#[test]", "#[tokio::test]"];

/// The requirements whose subject the library has, whole or in part: each needs a row.
#[rustfmt::skip]
const REQUIRED: &[&str] = &[
    "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R11", "R12", "R14", "R16", "R18",
    "R19", "R21", "R22", "R23", "R25", "R26", "R27",
    "R32", "R33", "R34", "R35", "R36", "R37", "R39", "R40", "R41", "R42", "R43", "R46", "R48",
    "R49", "R50", "R51", "R52", "R55", "R56", "R57", "R59", "R60", "R62", "R63", "R64", "R65",
    "R66", "R69", "R70", "R71", "R72",
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I13", "I14", "I15", "I16",
    "I17", "I18", "I22", "I23", "I25", "I26", "I27", "I28", "I29", "I30", "I31", "I32",
];

/// One line of the table.
#[derive(Debug)]
struct Row {
    line: usize,
    id: String,
    test: String,
    mutant: String,
}

/// The findings of the map.
pub(crate) fn findings(project: &Project) -> Vec<String> {
    let Some((_, page)) = project.texts.iter().find(|(name, _)| name == PAGE) else {
        return vec![format!("{PAGE}: the map is missing")];
    };
    let (rows, mut findings) = read(page);
    findings.extend(missing(&rows));
    findings.extend(unknown_tests(&rows, project));
    findings.extend(misfits(&rows, project));
    findings
}

/// The rows of the table, and its lines that are none.
fn read(page: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut findings) = (Vec::new(), Vec::new());
    let lines = page.lines().enumerate().skip_while(|(_, line)| *line != HEAD).skip(2);
    for (number, line) in lines.take_while(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, what, guard, test, mutant] = cells[..] else {
            findings.push(format!("{PAGE}:{}: not five cells", number + 1));
            continue;
        };
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        if [id, what, guard, test, mutant].iter().any(|cell| cell.is_empty()) {
            findings.push(format!("{PAGE}:{}: {id} has an empty cell", number + 1));
        }
        rows.push(Row {
            line: number + 1,
            id: id.to_owned(),
            test: plain(test),
            mutant: plain(mutant),
        });
    }
    (rows, findings)
}

fn missing(rows: &[Row]) -> Vec<String> {
    let is_there = |id: &&&str| rows.iter().any(|row| row.id == **id);
    let missing = REQUIRED.iter().filter(|id| !is_there(id));
    missing.map(|id| format!("{PAGE}: {id} has no row")).collect()
}

fn unknown_tests(rows: &[Row], project: &Project) -> Vec<String> {
    let tests = tests(project);
    let unknown = rows.iter().filter(|row| !tests.contains(&row.test));
    unknown.map(|row| format!("{PAGE}:{}: there is no test {}", row.line, row.test)).collect()
}

/// Every test by its path: `#[test]` functions inside files and their inline modules, and scenes.
fn tests(project: &Project) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for (explorer, place) in SCENES {
        let scenes = project.sources.iter().find(|file| file.name == place);
        let named = scenes.iter().flat_map(|file| file.text.split("Scene { name: \"").skip(1));
        let names = named.filter_map(|rest| Some(rest.split_once('"')?.0));
        tests.extend(names.map(|name| format!("{explorer}{name}")));
    }
    for file in &project.sources {
        let Some(outer) = modules_of(&file.name) else { continue };
        // Under no name of the library, so that its unit tests are not left out.
        let whole = Source::new("", &file.text);
        let inline = inline_modules(&whole);
        let attributes = ATTRIBUTES.iter().flat_map(|text| whole.code.match_indices(text));
        for (at, _) in attributes {
            let Some(name) = function_after(&whole.code, at) else { continue };
            let inside = inline.iter().filter(|(from, to, _)| (*from..*to).contains(&at));
            let mut path = outer.clone();
            path.extend(inside.map(|(.., name)| name.clone()));
            path.push(name);
            tests.insert(path.join("::"));
        }
    }
    tests
}

/// The module path of a file of tests, behind its prefix.
fn modules_of(file: &str) -> Option<Vec<String>> {
    if file == FAULTS {
        return Some(vec!["faults".into()]);
    }
    let inside = |(folder, first)| Some((file.strip_prefix(folder)?, first));
    let (inner, first): (&str, Option<&str>) = FOLDERS.into_iter().find_map(inside)?;
    let parts = first.into_iter().chain(inner.strip_suffix(".rs")?.split('/'));
    let is_root = |part: &&str| *part == "mod" || (*part == "main" && first != Some("lib"));
    Some(parts.filter(|part| !is_root(part)).map(str::to_owned).collect())
}

/// Where each `mod name { … }` begins and ends.
fn inline_modules(file: &Source) -> Vec<(usize, usize, String)> {
    let mut modules = Vec::new();
    for at in file.find("mod") {
        let rest = file.code[at + 3..].trim_start();
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        let after = rest[name.len()..].trim_start();
        if after.starts_with('{') {
            let open = file.code.len() - after.len();
            modules.push((open, closing(&file.code, open), name));
        }
    }
    modules
}

fn function_after(code: &str, at: usize) -> Option<String> {
    let rest = &code[at..];
    let name = rest[rest.find("fn ")? + 3..].chars().take_while(|c| is_name(*c)).collect();
    Some(name)
}

/// Rows without a mutant, mutants without a row, and mutants that do not fit.
fn misfits(rows: &[Row], project: &Project) -> Vec<String> {
    let mutants = match mutants::read(project) {
        Ok(mutants) => mutants,
        Err(refused) => return vec![refused],
    };
    let mut findings = Vec::new();
    for row in rows.iter().filter(|row| !mutants.contains_key(&row.mutant)) {
        findings.push(format!("{PAGE}:{}: there is no mutant {}", row.line, row.mutant));
    }
    for (id, mutant) in &mutants {
        if !rows.iter().any(|row| row.mutant == *id) {
            findings.push(format!("{TABLE}: {id} belongs to no row"));
        }
        let unfit = mutant.findings(project).into_iter();
        findings.extend(unfit.map(|finding| format!("{TABLE}: {id}: {finding}")));
    }
    findings
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const MUTANT: &str = "[r1-a]\nfile = 'src/a.rs'\nfind = 'two'\nreplace = ''\n";

    fn page(rows: &[&str]) -> String {
        format!("# Title\n\n{HEAD}\n|---|---|---|---|---|\n{}\n\nThe end.\n", rows.join("\n"))
    }

    fn project(page: &str, mutants: &str) -> Project {
        Project::of(&[
            (PAGE, page),
            ("src/a.rs", "one\ntwo\nthree\n#[cfg(test)] mod tests { #[test] fn holds() {} }"),
            ("tests/it/login/names.rs", "// #[test] fn no() {}\n#[test]\nfn is_known() {}"),
            ("tests/it/main.rs", "mod login;"),
            (SCENES[0].1, "&[Scene { name: \"two_at_once\", play }]"),
            (SCENES[1].1, "&[Scene { name: \"in_any_order\", play }]"),
            (FAULTS, "#[test] fn survives() {}"),
            ("axum/tests/it/pages.rs", "#[tokio::test]\nasync fn goes_back() {}"),
            ("desk/tests/it/lock.rs", "#[test]\nfn is_kept() {}"),
            ("desk/src/vault/mod.rs", "#[cfg(test)] mod tests { #[test] fn is_moved() {} }"),
            (TABLE, mutants),
        ])
    }

    #[track_caller]
    fn check(row: &str, mutants: &str, expect: &[&str]) {
        let page = page(&[row]);
        let project = project(&page, mutants);
        let mut found = findings(&project);
        found.retain(|finding| !finding.ends_with("has no row"));
        assert_eq!(found, expect);
    }

    #[test]
    fn a_requirement_without_a_row_is_found() {
        let row = "| R1 | a | b | `login::names::is_known` | `r1-a` |";
        let found = findings(&project(&page(&[row]), MUTANT));
        assert_eq!(found.len(), REQUIRED.len() - 1);
        assert!(found.contains(&format!("{PAGE}: R2 has no row")));
        assert!(!found.contains(&format!("{PAGE}: R1 has no row")));
        let none = findings(&Project::of(&[("src/a.rs", "")]));
        assert_eq!(none, [format!("{PAGE}: the map is missing")]);
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        check("| R1 | a | b | `login::names::is_known` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `lib::a::tests::holds` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `schedules::two_at_once` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `loom::in_any_order` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `faults::survives` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `axum::pages::goes_back` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `desk::lock::is_kept` | `r1-a` |", MUTANT, &[]);
        check("| R1 | a | b | `desk_lib::vault::tests::is_moved` | `r1-a` |", MUTANT, &[]);
        for gone in ["login::names::no", "login::is_known", "a::tests::holds", "lib::a::holds"] {
            let finding = format!("{PAGE}:5: there is no test {gone}");
            check(&format!("| R1 | a | b | `{gone}` | `r1-a` |"), MUTANT, &[&finding]);
        }
    }

    #[test]
    fn a_row_that_is_not_filled_in_is_found() {
        let belongs = "tests/mutants.toml: r1-a belongs to no row";
        let cells = format!("{PAGE}:5: not five cells");
        check("| R1 | a | `login::names::is_known` | `r1-a` |", MUTANT, &[&cells, belongs]);
        let empty = format!("{PAGE}:5: R1 has an empty cell");
        check("| R1 | a |  | `login::names::is_known` | `r1-a` |", MUTANT, &[&empty]);
    }

    #[test]
    fn a_mutant_that_is_gone_or_belongs_to_no_row_is_found() {
        let gone = format!("{PAGE}:5: there is no mutant r1-b");
        let row = "| R1 | a | b | `login::names::is_known` | `r1-b` |";
        check(row, MUTANT, &[&gone, "tests/mutants.toml: r1-a belongs to no row"]);
    }

    #[test]
    fn a_mutant_that_does_not_fit_is_found() {
        let row = "| R1 | a | b | `login::names::is_known` | `r1-a` |";
        let unfit = "tests/mutants.toml: r1-a: found 0 times in src/a.rs, not once";
        check(row, &MUTANT.replace("two", "four"), &[unfit]);
        let page = page(&[row]);
        let twice = findings(&project(&page, &MUTANT.repeat(2)));
        assert!(twice.last().is_some_and(|found| found.starts_with(TABLE)), "{twice:?}");
    }
}
