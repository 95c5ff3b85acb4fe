//! Every public call that writes, and some that read, each done once from the same file.
//!
//! The list is held against the library: a function of it that writes and that no deed names fails
//! a test of this room.

mod list;

use gatepost::{Error, Options, Store};

use crate::scene::{Scene, Start};

pub(crate) use list::DEEDS;

/// One call.
#[derive(Clone, Copy)]
pub(crate) struct Deed {
    pub(crate) name: &'static str,
    /// The functions of the library that write for it, each as `file: function`.
    pub(crate) writes: &'static [&'static str],
    /// How many transactions it commits.
    pub(crate) commits: usize,
    /// How many of the last ones it may fail to commit and still be done: what they write no
    /// answer depends on.
    pub(crate) dispensable: usize,
    /// Whose tokens it ends: all of them pass before it, and none of them after.
    pub(crate) ends: &'static [&'static str],
    pub(crate) start: Start,
    pub(crate) options: fn(Options) -> Options,
    /// What is done before, and not struck.
    pub(crate) prepare: fn(&Scene, &Store),
    pub(crate) act: Act,
}

#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Opening the store itself.
    Open,
    /// A call to an open store. An answer that is not the expected one is a panic; an error is not.
    Call(fn(&Scene, &Store) -> Result<(), Error>),
}

type Call = fn(&Scene, &Store) -> Result<(), Error>;

impl Deed {
    /// One transaction, from a closed file.
    const fn write(name: &'static str, writes: &'static [&'static str], act: Call) -> Self {
        Self {
            name,
            writes,
            commits: 1,
            dispensable: 0,
            ends: &[],
            start: Start::Closed,
            options: |options| options,
            prepare: |_, _| (),
            act: Act::Call(act),
        }
    }

    const fn read(name: &'static str, act: Call) -> Self {
        Self { commits: 0, ..Self::write(name, &[], act) }
    }

    /// What it writes is no state of its own: a file that is not there yet is made the same.
    const fn open(name: &'static str, start: Start) -> Self {
        let writes = &["storage/mod.rs: wal_index"];
        Self { act: Act::Open, start, commits: 0, ..Self::write(name, writes, |_, _| Ok(())) }
    }

    const fn commits(self, commits: usize) -> Self {
        Self { commits, ..self }
    }

    const fn dispensable(self, dispensable: usize) -> Self {
        Self { dispensable, ..self }
    }

    const fn ends(self, ends: &'static [&'static str]) -> Self {
        Self { ends, ..self }
    }

    const fn prepared(self, prepare: fn(&Scene, &Store)) -> Self {
        Self { prepare, ..self }
    }

    const fn from(self, start: Start) -> Self {
        Self { start, ..self }
    }

    const fn options(self, options: fn(Options) -> Options) -> Self {
        Self { options, ..self }
    }

    /// Whether it changes something or may create the file.
    pub(crate) fn writes(&self) -> bool {
        !self.writes.is_empty() || self.commits > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Functions that write and are no deed of their own, and why.
    const NOT_DEEDS: &[(&str, &str)] = &[
        ("flow/login.rs: evaluate", "gives a charge back when the hash itself fails"),
        ("record/audit.rs: write", "is what the others write through"),
        ("testing.rs: open_many", "fills files for measurements"),
        ("store.rs: transact", "is what the others write through"),
        ("storage/mod.rs: write", "is what the others write through"),
        ("storage/mod.rs: write_ending", "is what the others write through"),
        ("storage/mod.rs: try_write", "is what the others write through"),
    ];

    /// How a function of the library writes: through the store, the storage, or the door of all
    /// that ends.
    const WRITE: &[&str] = &[
        ".write(|",
        ".write(job",
        ".write(&Actor",
        ".write(&self.actor",
        ".write(self.author(",
        ".write(author",
        ".try_write(",
        ".transact(|",
        ".end(Whom::",
    ];

    /// Each function of the library that writes, as `file: function`.
    fn writers(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if path.file_name().unwrap() != "tests" {
                    writers(&path, root, found);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let mut function = "";
                for line in text.lines() {
                    if let Some((_, rest)) = line.split_once("fn ") {
                        function = rest.split(['(', '<']).next().unwrap();
                    }
                    if WRITE.iter().any(|call| line.contains(call)) {
                        found.insert(format!("{name}: {function}"));
                    }
                }
            }
        }
    }

    #[test]
    fn each_public_call_that_writes_is_a_deed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
        let mut found = BTreeSet::new();
        writers(&root, &root, &mut found);
        assert!(found.len() > 50, "{found:?}");
        let listed = DEEDS.iter().flat_map(|deed| deed.writes).copied();
        let listed: BTreeSet<&str> = listed.chain(NOT_DEEDS.iter().map(|one| one.0)).collect();
        let missing: Vec<_> = found.iter().filter(|one| !listed.contains(one.as_str())).collect();
        assert!(missing.is_empty(), "no deed for {missing:#?}");
        let gone: Vec<_> = listed.iter().filter(|one| !found.contains(**one)).collect();
        assert!(gone.is_empty(), "nothing writes there: {gone:#?}");
    }

    #[test]
    fn no_two_deeds_have_one_name() {
        let names: BTreeSet<_> = DEEDS.iter().map(|deed| deed.name).collect();
        assert_eq!(names.len(), DEEDS.len());
    }
}
