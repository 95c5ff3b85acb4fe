//! The table of mutants, `tests/mutants.toml`: small changes, each of which removes one guard.
//!
//! An edit names its place by the lines that it finds, without line numbers and context, so that it
//! goes stale only when its file is renamed or these lines change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::source::Project;

pub(crate) const TABLE: &str = "tests/mutants.toml";
/// Counts the lines that a mutant finds and those that replace them. A guard is a few lines: a
/// mutant of more removes something else.
const MAX_LINES: usize = 12;

/// One entry of the table: an edit, and one more if a second place changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    file: String,
    find: String,
    replace: String,
    also: Option<Box<Self>>,
}

/// The text of a file, and what a mutant makes of it.
struct Change<'a> {
    original: &'a str,
    mutated: String,
}

/// Every mutant by its id; or the finding that the table cannot be read.
pub(crate) fn read(project: &Project) -> Result<BTreeMap<String, Mutant>, String> {
    let table = text_of(project, TABLE)?;
    toml::from_str(table).map_err(|error| format!("{TABLE}: {error}"))
}

impl Mutant {
    /// The findings of one mutant.
    pub(crate) fn findings(&self, project: &Project) -> Vec<String> {
        let mut findings = Vec::new();
        let lines: usize = self.edits().map(Self::lines).sum();
        if lines > MAX_LINES {
            findings.push(format!("{lines} lines of {MAX_LINES}"));
        }
        for edit in self.edits() {
            if edit.file.starts_with("tests/") || edit.file.ends_with("/tests.rs") {
                findings.push(format!("changes a test, {}", edit.file));
            }
        }
        match self.apply(project) {
            Err(misfit) => findings.push(misfit),
            Ok(files) => {
                if files.values().all(|file| file.original == file.mutated) {
                    findings.push("changes nothing".into());
                }
            }
        }
        findings
    }

    /// The files that it changes, by name; or why it does not fit.
    fn apply<'a>(&'a self, project: &'a Project) -> Result<BTreeMap<&'a str, Change<'a>>, String> {
        let mut files = BTreeMap::new();
        for edit in self.edits() {
            let original = text_of(project, &edit.file)?;
            let unchanged = || Change { original, mutated: original.to_owned() };
            let change = files.entry(edit.file.as_str()).or_insert_with(unchanged);
            change.mutated = edit.replaced(&change.mutated)?;
        }
        Ok(files)
    }

    fn edits(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |edit| edit.also.as_deref())
    }

    fn lines(&self) -> usize {
        self.find.lines().count() + self.replace.lines().count()
    }

    /// The text with the lines replaced. The new lines are indented like the first one found.
    fn replaced(&self, text: &str) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let find: Vec<&str> = self.find.lines().collect();
        let Some(first) = find.first() else { return Err("finds no line".into()) };
        let is_here = |here: &[&str]| here.iter().zip(&find).all(|(a, b)| a.trim() == b.trim());
        let windows = lines.windows(find.len()).enumerate();
        let found: Vec<usize> =
            windows.filter(|(_, here)| is_here(here)).map(|(at, _)| at).collect();
        let [at] = found[..] else {
            return Err(format!("found {} times in {}, not once", found.len(), self.file));
        };
        let deeper = indent(lines[at]).strip_prefix(indent(first)).unwrap_or_default();
        let indented =
            |line: &str| if line.is_empty() { "".into() } else { format!("{deeper}{line}") };
        let before = lines[..at].iter().map(|line| (*line).to_owned());
        let after = lines[at + find.len()..].iter().map(|line| (*line).to_owned());
        let lines = before.chain(self.replace.lines().map(indented)).chain(after);
        Ok(lines.map(|line| line + "\n").collect())
    }
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn text_of<'a>(project: &'a Project, name: &str) -> Result<&'a str, String> {
    let found = project.texts.iter().find(|(text, _)| text == name);
    found.map(|(_, text)| text.as_str()).ok_or_else(|| format!("there is no file {name}"))
}

/// Not a test of its own: what `scripts/map` runs. Its word, after `=`, is a folder, to which it
/// writes the files that each mutant changes: unchanged under `ID/original`, changed under
/// `ID/mutated`. It leaves out a mutant that does not fit.
#[test]
fn write_out() {
    let mut words = std::env::args();
    let Some(folder) = words.find_map(|word| Some(word.strip_prefix('=')?.to_owned())) else {
        return;
    };
    let project = Project::read();
    for (id, mutant) in read(&project).unwrap() {
        let Ok(files) = mutant.apply(&project) else { continue };
        for (name, file) in files {
            for (kind, text) in [("original", file.original), ("mutated", file.mutated.as_str())] {
                let path = Path::new(&folder).join(&id).join(kind).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const TEXT: &str = "fn a() {\n    one();\n    two();\n}\n\nfn b() {\n    one();\n}\n";

    #[track_caller]
    fn check(entry: &str, expect: Result<&str, &[&str]>) {
        let table = format!("[x]\nfile = 'src/a.rs'\n{entry}\n");
        let sources = ["src/a.rs", "src/a/tests.rs", "tests/a.rs"].map(|name| (name, TEXT));
        let project = Project::of(&[&[(TABLE, table.as_str())], &sources[..]].concat());
        let mutant = read(&project).unwrap().remove("x").unwrap();
        let findings = mutant.findings(&project);
        match expect {
            Ok(text) => {
                assert!(findings.is_empty(), "{findings:?}");
                assert_eq!(mutant.apply(&project).unwrap()["src/a.rs"].mutated, text);
            }
            Err(expect) => assert_eq!(findings, expect),
        }
    }

    #[test]
    fn lines_are_replaced_whatever_their_indentation() {
        let three = TEXT.replace("two();", "if three {\n        four();\n    }");
        check("find = 'two();'\nreplace = '''\nif three {\n    four();\n}'''", Ok(&three));
        let none = TEXT.replace("    two();\n", "");
        check("find = '        two();'\nreplace = ''", Ok(&none));
        let first = TEXT.replacen("one();", "three();", 1);
        check("find = '''\none();\ntwo();'''\nreplace = '''\nthree();\ntwo();'''", Ok(&first));
        let both = first.replace("fn b() {", "fn c() {");
        let also = "[x.also]\nfile = 'src/a.rs'\nfind = 'fn b() {'\nreplace = 'fn c() {'";
        let entry = "find = '''\none();\ntwo();'''\nreplace = '''\nthree();\ntwo();'''";
        check(&format!("{entry}\n{also}"), Ok(&both));
    }

    #[test]
    fn lines_that_are_not_there_exactly_once_are_found() {
        let times = |n: usize| format!("found {n} times in src/a.rs, not once");
        check("find = 'one();'\nreplace = ''", Err(&[&times(2)]));
        check("find = 'three();'\nreplace = ''", Err(&[&times(0)]));
        // A part of a line does not match.
        check("find = 'two()'\nreplace = ''", Err(&[&times(0)]));
        check("find = ''\nreplace = 'three();'", Err(&["finds no line"]));
        let gone = "[x.also]\nfile = 'src/b.rs'\nfind = 'two();'\nreplace = ''";
        check(
            &format!("find = 'two();'\nreplace = ''\n{gone}"),
            Err(&["there is no file src/b.rs"]),
        );
    }

    #[test]
    fn a_mutant_of_nothing_of_a_test_or_of_too_much_is_found() {
        check("find = 'two();'\nreplace = 'two();'", Err(&["changes nothing"]));
        for test in ["tests/a.rs", "src/a/tests.rs"] {
            let also = format!("[x.also]\nfile = '{test}'\nfind = 'two();'\nreplace = ''");
            let finding = format!("changes a test, {test}");
            check(&format!("find = 'two();'\nreplace = ''\n{also}"), Err(&[&finding]));
        }
        let long = |n: usize| format!("find = 'two();'\nreplace = '''\n{}'''", "x\n".repeat(n));
        check(&long(12), Err(&["13 lines of 12"]));
        check(&long(11), Ok(&TEXT.replace("two();", &["x"; 11].join("\n    "))));
    }

    #[test]
    fn a_table_that_says_too_much_too_little_or_something_twice_is_refused() {
        let refused = |table: &str| {
            assert!(read(&Project::of(&[(TABLE, table)])).is_err_and(|e| e.starts_with(TABLE)));
        };
        let entry = "[x]\nfile = 'src/a.rs'\nfind = 'two();'\nreplace = ''\n";
        assert!(read(&Project::of(&[(TABLE, entry)])).is_ok());
        refused(&entry.repeat(2));
        refused(&format!("{entry}test = 'a'\n"));
        refused(&entry.replace("replace = ''\n", ""));
        assert!(read(&Project::of(&[("src/a.rs", TEXT)])).is_err());
    }
}
