//! Plain words: words that no text of this project uses, and the ones to use instead.
//!
//! Comments, documentation, messages and names are read alike: `fn tell_all` and `TellAll` have the
//! word `tell`. A phrase is also found where a comment wraps in its middle.

use super::source::{Project, Source};

/// A word or phrase that is banned, and what to write in its place.
#[rustfmt::skip]
const BANNED: &[(&str, &str)] = &[
    ("anew",              "again"),
    ("as of now",         "current, now"),
    ("befalls",           "happens to"),
    ("but for",           "except"),
    ("come what may",     "in every case"),
    ("deed",              "operation, call"),
    ("deeds",             "operations, calls"),
    ("here alone",        "only here"),
    ("in earnest",        "name what is done"),
    ("let in",            "accepted, valid, logged in"),
    ("nobody",            "no caller, no process, no user; an unknown name"),
    ("nobodys",           "of no user; unknown"),
    ("none if",           "`None` if"),
    ("none other",        "no other"),
    ("noun",              "record type"),
    ("nouns",             "record types"),
    ("shall",             "must; or say what happens"),
    ("somebody",          "a user, a person, a caller, another process"),
    ("stands",            "is, is stored; \"does not move\" of a clock"),
    ("tell",              "report, say; \"distinguish\" of two things"),
    ("telling",           "reporting, saying"),
    ("tells",             "reports, returns, says"),
    ("the own",           "the user's own, the library's own"),
    ("told",              "reported, returned, said; \"distinguished\" of two things"),
    ("turn once come",    "once a write has its turn"),
    ("what an end of",    "the outcome of a revocation"),
    ("whoever",           "the caller, the process, the user who"),
];

/// Files that are not read, by name or by the folder or ending that they share, and why.
#[rustfmt::skip]
const EXEMPT: &[(&str, &str)] = &[
    ("tests/it/tidy/words.rs", "the table above, and the snippets that must be found"),
    ("fuzz/corpus/",           "inputs of parsers"),
    ("LICENSE",                "texts of others"),
    ("THIRD-PARTY.md",         "texts of others"),
    (".txt",                   "data: lists of passwords, and the snapshot of the public face"),
];

/// Each banned word or phrase of a file, with its line and what to write instead.
pub(crate) fn banned(name: &str, text: &str) -> Vec<String> {
    let is_exempt = |(place, _): &(&str, &str)| name.starts_with(place) || name.ends_with(place);
    if EXEMPT.iter().any(is_exempt) {
        return Vec::new();
    }
    let words = words(text);
    let mut findings = Vec::new();
    for first in 0..words.len() {
        let word = words[first].1.to_lowercase();
        for (phrase, instead) in BANNED.iter().filter(|(phrase, _)| begins_with(phrase, &word)) {
            let Some(last) = phrase_at(text, &words[first..], phrase) else { continue };
            let at = words[first].0;
            if !(name.ends_with(".rs") && is_syntax(text, at, last)) {
                let place = format!("{name}:{}", text[..at].matches('\n').count() + 1);
                findings.push(format!("{place}: \"{phrase}\"; write: {instead}"));
            }
        }
    }
    findings
}

/// Whether a phrase there is the syntax of Rust, such as `None if` in a match, and no name.
fn is_syntax(text: &str, at: usize, last: usize) -> bool {
    // Under no name of the library, so that its unit tests are not left out.
    let is_code = || Source::new("", text).code.as_bytes()[at] != b' ';
    text[at..last].contains(' ') && is_code()
}

/// Lists of this module that are out of order, or name what is no longer there.
pub(crate) fn misplaced(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for pair in BANNED.windows(2).filter(|pair| pair[0].0 >= pair[1].0) {
        findings
            .push(format!("tests/it/tidy/words.rs: {} belongs before {}", pair[1].0, pair[0].0));
    }
    for (place, reason) in EXEMPT {
        let is_there = |name: &str| name.starts_with(place) || name.ends_with(place);
        if reason.is_empty() || !project.texts.iter().any(|(name, _)| is_there(name)) {
            findings
                .push(format!("tests/it/tidy/words.rs: nothing at {place} needs an exception"));
        }
    }
    findings
}

/// Where `phrase` ends, if these words begin with it and nothing but a space, an underscore, the
/// hump of a name or the wrap of a comment is between them.
fn phrase_at(text: &str, words: &[(usize, &str)], phrase: &str) -> Option<usize> {
    let mut end = None;
    for (n, wanted) in phrase.split(' ').enumerate() {
        let (at, word) = words.get(n)?;
        if !word.eq_ignore_ascii_case(wanted) || end.is_some_and(|end| !is_gap(&text[end..*at])) {
            return None;
        }
        end = Some(at + word.len());
    }
    end
}

/// Whether that is its first word, in lower case.
fn begins_with(phrase: &str, word: &str) -> bool {
    phrase.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whether the words around it are next to each other.
fn is_gap(between: &str) -> bool {
    let mut lines = between.split('\n');
    let is_space = |c: char| c == ' ' || c == '_' || c == '\r';
    let is_margin = |c: char| c.is_whitespace() || "/!#-*>".contains(c);
    lines.next().is_some_and(|line| line.chars().all(is_space))
        && lines.all(|line| line.chars().all(is_margin))
}

/// The words of a text and where each begins; a name is as many as it has humps.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut begun: Option<usize> = None;
    let mut before = ' ';
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_hump = c.is_uppercase() && before.is_lowercase();
        if let Some(from) = begun.filter(|_| !c.is_alphabetic() || is_hump) {
            words.push((from, &text[from..at]));
            begun = None;
        }
        if c.is_alphabetic() {
            begun = begun.or(Some(at));
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expect: &[&str]) {
        let findings = banned(name, text);
        let found: Vec<&str> = findings.iter().filter_map(|one| one.split('"').nth(1)).collect();
        assert_eq!(found, expect, "{findings:?}");
    }

    #[test]
    fn a_word_is_found_whole_in_any_case_and_in_names() {
        check(
            "a.md",
            "Nobody TOLD the teller; nobody's deed.",
            &["nobody", "told", "nobody", "deed"],
        );
        check(
            "a.rs",
            "fn tell_all() { TellAll::NOBODY } // foretell, deeds",
            &["tell", "tell", "nobody", "deeds"],
        );
        check("scripts/a", "# indeed understands tellers", &[]);
    }

    #[test]
    fn a_phrase_is_found_where_a_comment_wraps() {
        check("a.rs", "/// all but\n    /// for one; None\n/// if\n", &["but for", "none if"]);
        check("a.sql", "-- all but\n-- for one", &["but for"]);
        check("scripts/a", "# as\n# of\n# now", &["as of now"]);
        check("a.rs", "fn all_but_for() {}", &["but for"]);
        check("a.md", "all but; for, none - if", &[]);
    }

    #[test]
    fn a_guard_of_a_match_is_no_phrase() {
        check("a.rs", "match a { None if b => 1, _ => 2 } // `None` if", &[]);
        check("src/a.rs", "#[cfg(test)] mod tests { fn f() { match a { None if b => 1 } } }", &[]);
        check("a.rs", "f(\"none if\")", &["none if"]);
    }

    #[test]
    fn a_finding_names_the_line_and_the_plain_word() {
        assert_eq!(banned("a.md", "\nanew"), ["a.md:2: \"anew\"; write: again"]);
        assert!(banned("tests/it/tidy/words.rs", "anew").is_empty());
    }
}
