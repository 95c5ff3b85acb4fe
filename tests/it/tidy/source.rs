//! The project as text: files, with comments and literals parted from code.

use std::fs;
use std::path::Path;

/// Every text file of the project.
pub(crate) struct Project {
    pub(crate) sources: Vec<Source>,
    /// Name and text of every file that is text, Rust included.
    pub(crate) texts: Vec<(String, String)>,
}

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the project, with `/`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// The text with comments and the inside of literals blanked, line for line.
    pub(crate) code: String,
    pub(crate) literals: Vec<Literal>,
}

pub(crate) struct Literal {
    /// Where its opening quote is in `code`.
    pub(crate) at: usize,
    pub(crate) text: String,
}

const FOLDERS: [&str; 13] = [
    ".ci",
    "axum",
    "benches",
    "cli",
    "desk",
    "examples",
    "faults",
    "fuzz",
    "manual",
    "schedules",
    "scripts",
    "src",
    "tests",
];
/// Folders inside them that builds and runs leave behind.
const LEFT_BEHIND: [&str; 4] = ["target", "artifacts", "coverage", "found"];

impl Project {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = Vec::new();
        collect(root, root, &mut texts);
        texts.sort();
        let is_rust = |name: &str| name.ends_with(".rs");
        let sources =
            texts.iter().filter(|t| is_rust(&t.0)).map(|(n, t)| Source::new(n, t)).collect();
        let project = Self { sources, texts };
        assert!(project.library().count() > 0, "no source was found under {}", root.display());
        project
    }

    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let texts: Vec<_> = files.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
        let sources = files.iter().map(|(n, t)| Source::new(n, t)).collect();
        Self { sources, texts }
    }

    /// The files of `src/`, without their unit tests.
    pub(crate) fn library(&self) -> impl Iterator<Item = &Source> {
        self.sources
            .iter()
            .filter(|s| s.name.starts_with("src/") && !s.name.ends_with("/tests.rs"))
    }

    pub(crate) fn scripts(&self) -> impl Iterator<Item = (String, String)> {
        let is_script = |name: &str| name.starts_with("src/") && name.ends_with(".sql");
        self.texts.iter().filter(move |(name, _)| is_script(name)).cloned()
    }

    /// The current schema, or nothing while there is none.
    pub(crate) fn schema(&self) -> String {
        let found = self.texts.iter().find(|(name, _)| name == "src/storage/schema.sql");
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let (code, literals) = split(text);
        let mut source = Self { name: name.into(), text: text.into(), code, literals };
        if name.starts_with("src/") {
            source.drop_unit_tests();
        }
        source
    }

    /// `file:line`, for a finding.
    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.name, self.line_of(at))
    }

    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Place and text of each literal.
    pub(crate) fn statements(&self) -> Vec<(String, String)> {
        self.literals.iter().map(|l| (self.place(l.at), l.text.clone())).collect()
    }

    /// Where `word` is in the code as a whole word (at ends that are part of a name).
    pub(crate) fn find(&self, word: &str) -> Vec<usize> {
        let starts_a_name = word.starts_with(is_name);
        let ends_a_name = word.ends_with(is_name);
        let whole = |at: &usize| {
            let before = self.code[..*at].chars().next_back();
            let after = self.code[at + word.len()..].chars().next();
            let goes_on_before = starts_a_name && before.is_some_and(is_name);
            let goes_on_after = ends_a_name && after.is_some_and(is_name);
            !goes_on_before && !goes_on_after
        };
        self.code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
    }

    fn drop_unit_tests(&mut self) {
        while let Some(at) = self.code.find("#[cfg(test)]") {
            let end = item_end(&self.code, at);
            let mut gap = String::new();
            blank(&mut gap, &self.code[at..end]);
            self.code.replace_range(at..end, &gap);
            self.literals.retain(|literal| !(at..end).contains(&literal.at));
        }
    }
}

/// The end of the item that begins at `at`: its closing brace, or its semicolon.
pub(crate) fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + offset + 1,
            '{' if depth == 0 => return closing(code, at + offset),
            _ => {}
        }
    }
    code.len()
}

/// Just past the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.strip_prefix(root).expect("inside the project");
        let name = name.to_str().expect("a file name in UTF-8").replace('\\', "/");
        if path.is_dir() {
            let (first, last) = (name.split('/').next(), name.rsplit('/').next());
            let is_read = first.is_some_and(|first| FOLDERS.contains(&first));
            if is_read && !last.is_some_and(|last| LEFT_BEHIND.contains(&last)) {
                collect(root, &path, texts);
            }
        } else if name != "Cargo.lock"
            && name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            texts.push((name, text));
        }
    }
}

/// Parts code from comments and literals. Offsets into the code are offsets into the text.
fn split(text: &str) -> (String, Vec<Literal>) {
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_name = code.chars().next_back().is_some_and(is_name);
        let taken = if rest.starts_with("//") {
            blank(&mut code, &rest[..rest.find('\n').unwrap_or(rest.len())])
        } else if rest.starts_with("/*") {
            blank(&mut code, &rest[..comment_len(rest)])
        } else if let Some((quote, inner, len)) = string_at(rest, after_name) {
            literals.push(Literal { at: code.len(), text: rest[quote..inner].into() });
            quoted(&mut code, &rest[..len])
        } else if let Some(len) = char_len(rest) {
            quoted(&mut code, &rest[..len])
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    (code, literals)
}

fn blank(code: &mut String, part: &str) -> usize {
    code.extend(part.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
    part.len()
}

fn quoted(code: &mut String, part: &str) -> usize {
    code.push('"');
    blank(code, &part[1..part.len() - 1]);
    code.push('"');
    part.len()
}

fn comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Of a string literal that begins here: where its inside begins and ends, and its whole length.
fn string_at(text: &str, after_name: bool) -> Option<(usize, usize, usize)> {
    if text.starts_with('"') {
        let inner = plain_end(text, 1);
        return Some((1, inner, (inner + 1).min(text.len())));
    }
    if after_name {
        return None;
    }
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|p| text.starts_with(p))?;
    let hashes = text[prefix.len()..].bytes().take_while(|b| *b == b'#').count();
    let quote = prefix.len() + hashes;
    if !text[quote..].starts_with('"') || (hashes > 0 && !prefix.ends_with('r')) {
        return None;
    }
    if !prefix.ends_with('r') {
        let inner = plain_end(text, quote + 1);
        return Some((quote + 1, inner, (inner + 1).min(text.len())));
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inner = quote + 1 + text[quote + 1..].find(&close)?;
    Some((quote + 1, inner, inner + close.len()))
}

fn plain_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len() - 1)
}

/// The length of a character literal that begins here; a lifetime is none.
fn char_len(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        let end = inside[2..].find('\'')?;
        return Some(end + 4);
    }
    let c = inside.chars().next()?;
    inside[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}

#[test]
fn comments_and_literals_are_no_code() {
    let text =
        "let a = \"x // \\\" y\"; // \"no\"\nlet r = r#\"a\"b\"#; /* /* */ \" */ let c = '\"';";
    let source = Source::new("x.rs", text);
    let literals: Vec<&str> = source.literals.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(literals, ["x // \\\" y", "a\"b"]);
    assert_eq!(source.code.len(), text.len());
    assert!(source.code.ends_with("let c = \" \";"), "{}", source.code);
    assert_eq!(source.line_of(text.find("let r").unwrap()), 2);
}

#[test]
fn lifetimes_are_no_characters() {
    let source = Source::new("x.rs", "fn f<'a>(x: &'a str) -> &'a str { x } // '");
    assert_eq!(source.find("str").len(), 2);
    assert!(source.literals.is_empty());
}

#[test]
fn unit_tests_are_left_out_of_the_library() {
    let source =
        Source::new("src/x.rs", "fn a() {}\n#[cfg(test)]\nmod tests { \"b\" }\nfn c() {}");
    assert!(source.literals.is_empty());
    assert!(source.find("tests").is_empty());
    assert_eq!(source.line_of(source.find("c")[0]), 4);
}

#[test]
fn words_are_found_whole() {
    let source = Source::new("x.rs", "unsafe_code unsafe { } not_unsafe");
    assert_eq!(source.find("unsafe"), [12]);
}
