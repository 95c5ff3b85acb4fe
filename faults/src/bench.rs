//! The benches, by name.

pub(crate) mod kill;

use crate::tally::Tally;

/// One bench.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    /// What it shows, in one sentence.
    pub(crate) proves: &'static str,
    /// How much of it is the whole, and how much is enough for the gate.
    pub(crate) long: u64,
    pub(crate) short: u64,
    /// Given the count and the seed; panics if a promise is broken.
    pub(crate) run: fn(u64, u64) -> Tally,
}

pub(crate) const BENCHES: &[Bench] = &[Bench {
    name: "kill",
    proves: "nothing that was acknowledged is lost or undone by kill -9 at any moment",
    long: 20_000,
    short: 600,
    run: kill::run,
}];
