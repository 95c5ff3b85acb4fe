//! The table of mutants: small changes, each of which takes one guard out.
//!
//! An edit names its place by the lines that it replaces and by nothing else, so that it goes stale
//! only when its file is renamed or these lines change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::source::Project;

pub(crate) const TABLE: &str = "tests/mutants.toml";
/// A guard is a few lines: a mutant with more, found and put in together, takes out something else.
const MAX_LINES: usize = 12;

/// One entry of the table. A change in a second place is an entry inside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    file: String,
    find: String,
    replace: String,
    also: Option<Box<Self>>,
}

/// Texts by the name of their file.
type Texts = BTreeMap<String, String>;

/// Every mutant by its id, or what is wrong with the table.
pub(crate) fn read(project: &Project) -> Result<BTreeMap<String, Mutant>, String> {
    let table = text_of(project, TABLE)?;
    toml::from_str(table).map_err(|error| format!("{TABLE}: {error}"))
}

impl Mutant {
    /// What is wrong with it.
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
            Ok((original, mutated)) if original == mutated => {
                findings.push("changes nothing".into());
            }
            Ok(_) => {}
        }
        findings
    }

    /// The files that it changes, as they are and as it leaves them; or why it does not fit.
    fn apply(&self, project: &Project) -> Result<(Texts, Texts), String> {
        let mut original = Texts::new();
        for edit in self.edits() {
            original.insert(edit.file.clone(), text_of(project, &edit.file)?.to_owned());
        }
        let mut mutated = original.clone();
        for edit in self.edits() {
            let text = mutated.entry(edit.file.clone()).or_default();
            *text = edit.replaced(text)?;
        }
        Ok((original, mutated))
    }

    fn edits(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |edit| edit.also.as_deref())
    }

    fn lines(&self) -> usize {
        self.find.lines().count() + self.replace.lines().count()
    }

    /// The text with the lines replaced, the new ones indented like the first that was found.
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

/// Not a test of its own: what `scripts/map` runs. Its word, after `=`, is a folder, in which each
/// mutant that fits gets its files, as they are in `ID/original` and as it leaves them in
/// `ID/mutated`.
#[test]
fn write_out() {
    let mut words = std::env::args();
    let Some(folder) = words.find_map(|word| Some(word.strip_prefix('=')?.to_owned())) else {
        return;
    };
    let project = Project::read();
    for (id, mutant) in read(&project).unwrap() {
        let Ok((original, mutated)) = mutant.apply(&project) else { continue };
        for (kind, texts) in [("original", original), ("mutated", mutated)] {
            for (name, text) in texts {
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
        let project = Project::of(&[(TABLE, &table), ("src/a.rs", TEXT), ("tests/a.rs", TEXT)]);
        let mutant = read(&project).unwrap().remove("x").unwrap();
        let findings = mutant.findings(&project);
        match expect {
            Ok(text) => {
                assert!(findings.is_empty(), "{findings:?}");
                assert_eq!(mutant.apply(&project).unwrap().1["src/a.rs"], text);
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
        // Part of a line is none.
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
        let test = "[x.also]\nfile = 'tests/a.rs'\nfind = 'two();'\nreplace = ''";
        check(
            &format!("find = 'two();'\nreplace = ''\n{test}"),
            Err(&["changes a test, tests/a.rs"]),
        );
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
