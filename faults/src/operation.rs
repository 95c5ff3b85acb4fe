//! Every public call that writes, and some that read, each done once from the same file.
//!
//! A test of this file fails if the suite's list of operations has a call that is missing here.

mod factors;
mod list;

use gatepost::{Error, Options, Store};

use crate::operations::{self, Relation};
use crate::scene::{DEAD, PENDING, Scene, Start, TOKENS};

use factors::OF_FACTORS;
use list::OPERATIONS;
pub(crate) use list::WITH_COPIES;

/// All of them, except [`WITH_COPIES`].
pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(OF_FACTORS)
}

/// What an operation is applied to whose user has no live token.
const NO_TOKEN: &str = "";

/// One call.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Its name in the list of operations; empty for what only reads.
    pub(crate) listed_as: &'static str,
    /// The token that it is applied to, or one of the user that it is applied to.
    upon: &'static str,
    /// How many transactions it commits.
    pub(crate) commits: usize,
    /// How many of the last ones it may fail to commit and still be done: no answer depends on
    /// what they write.
    pub(crate) dispensable: usize,
    /// Whether it draws random numbers in a write that is tried again on a full disk: the second
    /// try draws others.
    pub(crate) draws: bool,
    pub(crate) start: Start,
    pub(crate) options: fn(Options) -> Options,
    /// Runs before it, without faults.
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

impl Operation {
    /// One transaction, from a closed file.
    const fn write(name: &'static str, listed_as: &'static str, act: Call) -> Self {
        Self {
            name,
            listed_as,
            upon: "ada.till",
            commits: 1,
            dispensable: 0,
            draws: false,
            start: Start::Closed,
            options: |options| options,
            prepare: |_, _| (),
            act: Act::Call(act),
        }
    }

    const fn read(name: &'static str, act: Call) -> Self {
        Self { commits: 0, ..Self::write(name, "", act) }
    }

    /// It writes no state of its own: a file that is not there yet is made the same.
    const fn open(name: &'static str, start: Start) -> Self {
        let nothing: Call = |_, _| Ok(());
        Self { act: Act::Open, start, commits: 0, ..Self::write(name, "Store::open", nothing) }
    }

    const fn commits(self, commits: usize) -> Self {
        Self { commits, ..self }
    }

    const fn dispensable(self, dispensable: usize) -> Self {
        Self { dispensable, ..self }
    }

    const fn draws(self) -> Self {
        Self { draws: true, ..self }
    }

    const fn upon(self, upon: &'static str) -> Self {
        Self { upon, ..self }
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
        !self.listed_as.is_empty()
    }

    /// The tokens that it revokes or suspends: all of them pass before it, and none of them after.
    pub(crate) fn ends(&self) -> Vec<&'static str> {
        if !self.writes() || self.upon == NO_TOKEN {
            return Vec::new();
        }
        let row = operations::operation(self.listed_as);
        let owner = |name: &'static str| name.split_once('.').map_or("system", |(owner, _)| owner);
        let is_covered = |name: &'static str| {
            let reach = if name.ends_with("key") { row.keys } else { row.sessions };
            reach.covers(match name {
                _ if name == self.upon => Relation::Itself,
                _ if owner(name) == owner(self.upon) => Relation::SameUser,
                _ => Relation::SameBranch,
            })
        };
        let live = TOKENS.iter().map(|(name, _)| *name).filter(|name| !DEAD.contains(name));
        let pending = (row.tokens && owner(self.upon) == "ada").then_some(PENDING);
        live.filter(|name| is_covered(name)).chain(pending).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Calls that write and are no operation of their own, and why.
    const NOT_CALLED: &[(&str, &str)] = &[
        ("Users::set_password_hash", "writes through the function that Users::set_password does"),
        ("Sessions::set_data", "writes through Sessions::set_data_json"),
        ("Store::may", "notes a use through the function that Store::verify does"),
        ("Tickets::mint", "notes a use through the function that Store::verify does"),
    ];

    #[test]
    fn each_call_of_the_list_is_an_operation() {
        let all = super::all().chain(WITH_COPIES);
        let done = all.filter(|operation| operation.writes());
        let done = done.map(|operation| operations::operation(operation.listed_as).call());
        let done: BTreeSet<&str> = done.chain(NOT_CALLED.iter().map(|one| one.0)).collect();
        let listed: BTreeSet<&str> = operations::OPERATIONS.iter().map(|one| one.call()).collect();
        let missing: Vec<_> = listed.difference(&done).collect();
        assert!(missing.is_empty(), "the bench calls none of {missing:?}");
        let gone: Vec<_> = done.difference(&listed).collect();
        assert!(gone.is_empty(), "not in the list of operations: {gone:?}");
    }

    #[test]
    fn what_an_operation_is_applied_to_is_a_live_token() {
        for operation in all().chain(WITH_COPIES) {
            if operation.upon == NO_TOKEN {
                continue;
            }
            let is_live = TOKENS.iter().any(|(name, _)| *name == operation.upon);
            assert!(
                is_live && !DEAD.contains(&operation.upon),
                "{}: {}",
                operation.name,
                operation.upon
            );
        }
    }

    #[test]
    fn no_two_operations_have_one_name() {
        let names: BTreeSet<_> = all().map(|operation| operation.name).collect();
        assert_eq!(names.len(), all().count());
    }
}
