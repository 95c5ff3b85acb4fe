//! What must be written down: decisions, what is in scope, what the gate asks.

use super::source::Project;

/// Places where the standards pull apart; each is decided in the manual.
const DECISIONS: [&str; 8] = ["T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8"];
/// What SECURITY.md says something about.
const SECURITY: [&str; 5] =
    ["Reporting", "Supported versions", "In scope", "Out of scope", "What the host must do"];
/// What the gate asks about dependencies, by section and by the script that answers.
const GATE: [(&str, &str); 4] = [
    ("lock", "cargo metadata --locked"),
    ("dependencies", "scripts/dependencies"),
    ("rusqlite", "scripts/rusqlite-range lowest"),
    ("msrv", "scripts/msrv"),
];

/// Questions of the standards that the page on defaults does not answer.
pub(crate) fn undecided(project: &Project) -> Vec<String> {
    let page = text(project, "manual/defaults.md");
    let is_decided = |question: &str| {
        let row = page.lines().find(|line| line.starts_with(&format!("| {question} |")));
        let cells: Vec<&str> = row.unwrap_or_default().split('|').map(str::trim).collect();
        cells.len() == 5 && cells[1..4].iter().all(|cell| !cell.is_empty())
    };
    let open = DECISIONS.iter().filter(|question| !is_decided(question));
    open.map(|question| format!("manual/defaults.md: {question} is not decided")).collect()
}

/// Headings that SECURITY.md lacks.
pub(crate) fn unsaid(project: &Project) -> Vec<String> {
    let page = text(project, "SECURITY.md");
    let is_said = |heading: &str| page.lines().any(|line| line == format!("## {heading}"));
    let unsaid = SECURITY.iter().filter(|heading| !is_said(heading));
    unsaid.map(|heading| format!("SECURITY.md: says nothing under {heading}")).collect()
}

/// Questions about dependencies that the gate does not ask.
pub(crate) fn unasked(project: &Project) -> Vec<String> {
    let gate = text(project, ".ci/run");
    let sections = gate.split("sections=(").nth(1).unwrap_or_default();
    let sections = sections.split(')').next().unwrap_or_default();
    let is_asked = |section: &str, by: &str| {
        sections.split_whitespace().any(|word| word == section) && gate.contains(by)
    };
    let unasked = GATE.iter().filter(|(section, by)| !is_asked(section, by));
    unasked.map(|(section, _)| format!(".ci/run: does not ask {section}")).collect()
}

fn text<'p>(project: &'p Project, wanted: &str) -> &'p str {
    let found = project.texts.iter().find(|(name, _)| name == wanted);
    found.map(|(_, text)| text.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn an_open_question_is_found() {
        let mut page: String =
            DECISIONS.iter().map(|question| format!("| {question} | a? | b |\n")).collect();
        let check = |page: &str| undecided(&Project::of(&[("manual/defaults.md", page)]));
        assert!(check(&page).is_empty());
        page = page.replace("| T7 | a? | b |", "| T7 | a? |  |");
        assert_eq!(check(&page), ["manual/defaults.md: T7 is not decided"]);
        assert_eq!(check("T1 to T8 are decided").len(), 8);
    }

    #[test]
    fn a_silence_about_security_is_found() {
        let page: String = SECURITY.iter().map(|heading| format!("## {heading}\n")).collect();
        let check = |page: &str| unsaid(&Project::of(&[("SECURITY.md", page)]));
        assert!(check(&page).is_empty());
        let finding = "SECURITY.md: says nothing under Out of scope";
        assert_eq!(check(&page.replace("## Out of scope\n", "")), [finding]);
    }

    #[test]
    fn a_question_that_the_gate_no_longer_asks_is_found() {
        let gate = "sections=(\n lock dependencies rusqlite msrv\n)\ncargo metadata --locked\n\
            scripts/dependencies\nscripts/rusqlite-range lowest\nscripts/msrv\n";
        let check = |gate: &str| unasked(&Project::of(&[(".ci/run", gate)]));
        assert!(check(gate).is_empty());
        let finding = ".ci/run: does not ask dependencies";
        assert_eq!(check(&gate.replace("lock dependencies", "lock")), [finding]);
    }
}
