//! Names and headings that the pages refer to: the code has each name, and its page each heading.

use std::collections::{BTreeMap, BTreeSet};

use super::pages::MADE_UP;
use super::source::{Project, is_name};

const MAP: &str = "manual/requirements.md";
/// What is before the name of a type where it is declared.
const DECLARES: [&str; 4] = ["struct", "enum", "trait", "type"];

/// Names in the third column of the requirements map that the code does not have.
pub(crate) fn unknown_in_map(project: &Project) -> Vec<String> {
    let code = project.sources.iter().filter(|one| one.name.ends_with(".rs"));
    let mut words: BTreeSet<&str> = code.flat_map(|one| all(&one.code)).collect();
    let literals = project.library().flat_map(|one| &one.literals);
    words.extend(literals.flat_map(|one| all(&one.text)));
    words.extend(project.texts.iter().flat_map(|(name, _)| all(name)));
    let schema = project.schema();
    words.extend(all(&schema));
    let types = types(project);
    let page = project.texts.iter().find(|(name, _)| name == MAP);
    let mut findings = Vec::new();
    for line in page.map_or("", |(_, text)| text).lines() {
        let [_, _, _, means, _, _, _] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        for name in in_backquotes(means) {
            let is_there = match member(name) {
                Some((owner, member)) => {
                    types.get(owner).is_some_and(|words| words.contains(member))
                }
                None => all(name).all(|word| words.contains(word)),
            };
            let is_one = name.chars().all(|c| is_name(c) || matches!(c, ':' | '.' | '!'));
            if is_one && !is_there {
                findings.push(format!("{MAP}: the code has no {name}"));
            }
        }
    }
    findings
}

/// `Type::name` on a page, if the type is one of this project and has no such name.
pub(crate) fn unknown_on_pages(project: &Project) -> Vec<String> {
    let types = types(project);
    let mut findings = Vec::new();
    for (page, text) in project.texts.iter().filter(|(name, _)| name.ends_with(".md")) {
        for name in in_backquotes(text) {
            let Some((owner, member)) = member(name) else { continue };
            let is_made_up = MADE_UP.iter().any(|part| member.contains(part));
            if !is_made_up && types.get(owner).is_some_and(|words| !words.contains(member)) {
                findings.push(format!("{page}: there is no {name}"));
            }
        }
    }
    findings
}

/// Links to a heading of a page that the page does not have.
pub(crate) fn unknown_headings(project: &Project) -> Vec<String> {
    let of = |page: &str| project.texts.iter().find(|(name, _)| name == page);
    let mut findings = Vec::new();
    for (name, text) in &project.texts {
        if !name.ends_with(".md") && !is_of_crate(name) {
            continue;
        }
        for (at, _) in text.match_indices('#') {
            let is_part = |c: char| is_name(c) || matches!(c, ':' | '/' | '.');
            let target = text[..at].rsplit(|c| !is_part(c)).next().unwrap_or("");
            let page = match target.rsplit_once("::") {
                Some((_, page)) => of(&format!("manual/{page}.md")),
                None if target.ends_with(".md") => of(target),
                None if text[..at].ends_with("](") => of(name),
                None => None,
            };
            let is_heading = |c: char| is_name(c) || c == '-';
            let heading = text[at + 1..].split(|c| !is_heading(c)).next().unwrap_or("");
            let is_there = page.is_none_or(|(_, page)| headings(page).any(|one| one == heading));
            if !heading.is_empty() && !is_there {
                findings.push(format!("{name}: {target}#{heading} has no such heading"));
            }
        }
    }
    findings
}

/// The headings of a page, as its links name them.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let prose = page.split("```").step_by(2);
    let lines = prose.flat_map(str::lines).filter(|line| line.starts_with('#'));
    lines.map(|line| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| is_name(*c) || matches!(c, ' ' | '-'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn in_backquotes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn all(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_name(c)).filter(|word| !word.is_empty())
}

/// The type and its member, if this is `Type::member`, a call of it or with what follows.
fn member(name: &str) -> Option<(&str, &str)> {
    let (owner, rest) = name.split_once("::")?;
    is_type(owner).then(|| all(rest).next()).flatten().map(|member| (owner, member))
}

fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_name)
}

/// Each type with the words of the files that declare or implement it.
fn types(project: &Project) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in project.sources.iter().filter(|file| is_of_crate(&file.name)) {
        let words: Vec<&str> = all(&file.code).collect();
        let declared = words.windows(2).filter(|pair| DECLARES.contains(&pair[0]));
        // The types of a macro begin a line.
        let of_macros = file.code.lines().filter_map(|line| line.trim().strip_suffix(" {"));
        let of_impls = file.code.lines().filter(|line| line.trim().starts_with("impl"));
        let owners = declared.map(|pair| pair[1]).chain(of_macros).chain(of_impls.flat_map(all));
        let owners: BTreeSet<&str> = owners.filter(|owner| is_type(owner)).collect();
        for owner in owners {
            types.entry(owner).or_default().extend(&words);
        }
    }
    types
}

fn is_of_crate(name: &str) -> bool {
    ["src/", "axum/src/", "desk/src/", "cli/src/"].iter().any(|root| name.starts_with(root))
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const CODE: &str = "pub struct Store;\nimpl Store { pub fn open() {} }\nwords! {\n    \
                        Cause { Full = \"full\" }\n}\n// gone, remembered\n";

    fn project<'t>(page: &'t str, text: &'t str) -> Project {
        Project::of(&[("src/store.rs", CODE), ("src/storage/schema.sql", "shut"), (page, text)])
    }

    #[test]
    fn a_name_of_the_map_that_is_gone_is_found() {
        let check = |means: &str, expect: &[&str]| {
            let row = format!("| R1 | it is so | {means} | `a::b` | `r1-a` |");
            let names = expect.iter().map(|one| format!("{MAP}: the code has no {one}"));
            let names: Vec<_> = names.collect();
            assert_eq!(unknown_in_map(&project(MAP, &row)), names, "{means}");
        };
        check("`Store::open`, `store::open`, `store.shut`, `words!`, `a b/c`", &[]);
        check("`Store::gone`, `gone`", &["Store::gone", "gone"]);
        check("`Line::open`", &["Line::open"]);
    }

    #[test]
    fn a_member_that_a_page_names_and_the_type_lacks_is_found() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(unknown_on_pages(&project("manual/a.md", text)), expect, "{text}");
        };
        check("`Store::open()`, `Cause::Full`, `Other::gone`, `store::gone`", &[]);
        check("`Store::remembered(one)`", &["manual/a.md: there is no Store::remembered(one)"]);
    }

    #[test]
    fn a_heading_that_is_gone_is_found() {
        let page = "# Why so?\n```\n# let a = 1;\n```\n[so](#why-so), [not](#let-a--1)";
        let expect = ["manual/a.md: #let-a--1 has no such heading"];
        assert_eq!(unknown_headings(&project("manual/a.md", page)), expect);
        let code = "//! [so](crate::manual::a#why-so), [not](super::a#gone), [no](crate::b#any)";
        let both = [("manual/a.md", "## Why *so*?"), ("src/lib.rs", code)];
        let expect = ["src/lib.rs: super::a#gone has no such heading"];
        assert_eq!(unknown_headings(&Project::of(&both)), expect);
    }
}
