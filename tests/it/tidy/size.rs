//! Sizes that a reader can keep in mind.

use super::source::{Project, Source, is_name, item_end};

const FILE_MAX_LINES: usize = 500;
const FUNCTION_MAX_LINES: usize = 70;
const LINE_MAX_COLUMNS: usize = 100;

/// Where a size may be passed: a file, or `file: function`, and why.
#[rustfmt::skip]
const EXCEPTIONS: &[(&str, &str)] = &[
    ("src/value/limits.rs", "one list of constants, which is read by searching it"),
];

pub(crate) fn long_file(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= FILE_MAX_LINES || is_exempt(&file.name) {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, {FILE_MAX_LINES} are enough", file.name)]
}

pub(crate) fn long_functions(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for at in file.find("fn") {
        let name: String =
            file.code[at + 2..].trim_start().chars().take_while(|c| is_name(*c)).collect();
        let lines = file.code[at..item_end(&file.code, at)].lines().count();
        let exempt = is_exempt(&format!("{}: {name}", file.name));
        if !name.is_empty() && lines > FUNCTION_MAX_LINES && !exempt {
            let place = file.place(at);
            findings.push(format!("{place}: {name} has {lines} lines of {FUNCTION_MAX_LINES}"));
        }
    }
    findings
}

pub(crate) fn wide_lines(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_MAX_COLUMNS && !is_exempt(&file.name) {
            let place = format!("{}:{}", file.name, number + 1);
            findings.push(format!("{place}: {columns} columns of {LINE_MAX_COLUMNS}"));
        }
    }
    findings
}

/// Exceptions for what is no longer there.
pub(crate) fn needless_exceptions(project: &Project) -> Vec<String> {
    let is_there = |place: &str| {
        let (name, function) = place.split_once(": ").unwrap_or((place, ""));
        let file = project.sources.iter().find(|file| file.name == name);
        file.is_some_and(|f| function.is_empty() || !f.find(function).is_empty())
    };
    let gone = EXCEPTIONS.iter().filter(|(place, _)| !is_there(place));
    gone.map(|(place, _)| format!("{place}: nothing there needs the exception")).collect()
}

fn is_exempt(place: &str) -> bool {
    EXCEPTIONS.iter().any(|(exempt, reason)| *exempt == place && !reason.is_empty())
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let lines = |n: usize| Source::new("src/x.rs", &"\n".repeat(n));
        assert_eq!(long_file(&lines(501)), ["src/x.rs: 501 lines, 500 are enough"]);
        assert!(long_file(&lines(500)).is_empty());
    }

    #[test]
    fn a_long_function_is_found() {
        let body = |n: usize| format!("\nfn f(a: [u8; 2]) {{{}}}\nfn g();", "\n".repeat(n - 1));
        let found = long_functions(&Source::new("src/x.rs", &body(71)));
        assert_eq!(found, ["src/x.rs:2: f has 71 lines of 70"]);
        assert!(long_functions(&Source::new("src/x.rs", &body(70))).is_empty());
    }

    #[test]
    fn a_wide_line_is_found() {
        let line = |n: usize| Source::new("src/x.rs", &format!("\n{}", "é".repeat(n)));
        assert_eq!(wide_lines(&line(101)), ["src/x.rs:2: 101 columns of 100"]);
        assert!(wide_lines(&line(100)).is_empty());
    }
}
