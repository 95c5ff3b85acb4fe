//! The public API as the sources name it, so that the tests cover each addition.

use crate::tidy::source::{Project, Source, closing, is_name, item_end};

/// A `pub fn` of the library, or a `from_str` or `from` that reads text.
pub(crate) struct Function {
    /// `Type::name`, or the name alone where there is no type; `$name` for each id.
    pub(crate) path: String,
    pub(crate) name: String,
    /// The text between the brackets.
    pub(crate) params: String,
    is_public: bool,
    /// Its file, and everything from its brackets on.
    file: String,
    body: String,
}

/// Files without public API: helpers of the project's own tests and measurements.
const HIDDEN: [&str; 1] = ["src/testing.rs"];

/// The types, traits and so on that `lib.rs` exports, by their own names.
pub(crate) fn exports() -> Vec<String> {
    let project = Project::read();
    let lib = project.sources.iter().find(|file| file.name == "src/lib.rs").expect("src/lib.rs");
    let mut names = Vec::new();
    for at in lib.find("pub use") {
        let rest = &lib.code[at..];
        let statement = &rest[..rest.find(';').unwrap_or(rest.len())];
        let is_export = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
        names.extend(statement.split(|c| !is_name(c)).filter(is_export).map(str::to_owned));
    }
    assert!(names.len() > 50, "lib.rs exports {} names", names.len());
    names
}

/// Every function that a host can call.
pub(crate) fn functions() -> Vec<Function> {
    let project = Project::read();
    let files = project.library().filter(|file| !HIDDEN.contains(&file.name.as_str()));
    let found: Vec<Function> = files.flat_map(of_file).filter(|found| found.is_public).collect();
    assert!(found.len() > 150, "{} public functions", found.len());
    found
}

/// The words in the body of a function that writes: the result of a job, with its event or without,
/// the door for maintenance, or that of one-time tokens or of second factors.
const WRITES: [&str; 5] =
    ["Written::", ".transact(", ".redeem(", ".redeem_for(", ".change_with_proof("];

/// Every function that a host can call and that writes, by itself or through a function of its own
/// file.
pub(crate) fn writers() -> Vec<String> {
    let project = Project::read();
    let files = project.library().filter(|file| !HIDDEN.contains(&file.name.as_str()));
    writers_among(&files.flat_map(of_file).collect::<Vec<_>>())
}

fn writers_among(found: &[Function]) -> Vec<String> {
    let mut writes: Vec<bool> =
        found.iter().map(|one| WRITES.iter().any(|word| one.body.contains(word))).collect();
    loop {
        let calls = |one: &Function, other: &Function| {
            let call = format!("{}(", other.name);
            let is_whole = |at: usize| !one.body[..at].ends_with(is_name);
            one.file == other.file && one.body.match_indices(&call).any(|(at, _)| is_whole(at))
        };
        let through: Vec<bool> = found
            .iter()
            .map(|one| (0..found.len()).any(|at| writes[at] && calls(one, &found[at])))
            .collect();
        let next: Vec<bool> = writes.iter().zip(through).map(|(one, by)| *one || by).collect();
        if next == writes {
            break;
        }
        writes = next;
    }
    let writers = found.iter().zip(writes).filter(|(one, writes)| one.is_public && *writes);
    writers.map(|(one, _)| one.path.clone()).collect()
}

fn of_file(file: &Source) -> Vec<Function> {
    let mut found = Vec::new();
    for at in file.find("fn") {
        let line = file.code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = file.code[line..at].trim();
        let is_public = before == "pub" || before == "pub const";
        let owner = owner(&file.code[..at]);
        let rest = file.code[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        let reads_text = before.is_empty() && matches!(name.as_str(), "from_str" | "from");
        let is_trait = owner.as_deref().is_some_and(|owner| owner.starts_with("trait "));
        if name.is_empty() || is_trait {
            continue;
        }
        let open = rest.find('(').expect("a function has brackets");
        let params = &rest[open + 1..closing(rest, open) - 1];
        let path = owner.map_or(name.clone(), |owner| format!("{owner}::{name}"));
        found.push(Function {
            path,
            name,
            params: words(params),
            is_public: is_public || reads_text,
            file: file.name.clone(),
            body: rest[open..item_end(rest, open)].to_owned(),
        });
    }
    found
}

/// The type of the `impl` around the end of this code, if one is open.
fn owner(code: &str) -> Option<String> {
    let is_head = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("impl ") || line.starts_with("impl<") || line.starts_with("pub trait ")
    };
    let head = code.lines().rev().find(is_head)?.trim();
    if let Some(name) = head.strip_prefix("pub trait ") {
        return Some(format!("trait {}", name.split(|c| !is_name(c)).next()?));
    }
    let head = head.rsplit(" for ").next()?.trim_end_matches('{').trim();
    let head = match head.strip_prefix("impl<") {
        Some(generic) => generic.split_once('>')?.1,
        None => head.trim_start_matches("impl "),
    };
    let name: String = head.trim().chars().take_while(|c| is_name(*c) || *c == '$').collect();
    Some(name)
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_public_face_is_read_from_the_sources() {
    let file = Source::new(
        "src/x.rs",
        "impl Store {
             pub fn open(path: impl AsRef<Path>,
                 o: O) -> R {}
             fn b() {}
         }
         impl<Id: Copy> Page<Id> {
             pub const fn first(n: u32) -> Self {}
         }
         impl FromStr for AuditAnchor {
             fn from_str(text: &str) -> R {}
         }
         impl Users<'_> {
             pub(crate) fn c() {}
             pub fn d(&self) {}
         }",
    );
    let found = of_file(&file);
    let public = found.iter().filter(|function| function.is_public);
    let paths: Vec<&str> = public.map(|function| function.path.as_str()).collect();
    assert_eq!(paths, ["Store::open", "Page::first", "AuditAnchor::from_str", "Users::d"]);
    assert_eq!(found[0].params, "path: impl AsRef<Path>, o: O");
    assert!(exports().iter().any(|name| name == "Password"));
}

#[test]
fn a_public_function_that_writes_is_found_through_others_of_its_file() {
    let file = Source::new(
        "src/x.rs",
        "impl Users<'_> {
             pub fn lend(&self) { self.job() }
             fn job(&self) { self.store.write(|tx| Ok(Written::With((), event))) }
             pub fn list(&self) { other_job(1) }
             pub fn sweep(&self) { self.store.transact(|tx| 1) }
         }",
    );
    assert_eq!(writers_among(&of_file(&file)), ["Users::lend", "Users::sweep"]);
}
