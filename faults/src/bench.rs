//! The benches, by name.

pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod corrupt;
pub(crate) mod errors;
pub(crate) mod flushes;
pub(crate) mod fork;
pub(crate) mod full;
pub(crate) mod inputs;
pub(crate) mod kill;
pub(crate) mod medium;
pub(crate) mod memory;
pub(crate) mod power;
pub(crate) mod strays;
pub(crate) mod workers;

use crate::tally::Tally;

/// One bench.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    /// Its promise, in one sentence.
    pub(crate) proves: &'static str,
    /// How much of it is the whole, and how much is enough for the gate: rounds, or where every
    /// call is tried, the interval between two tries.
    pub(crate) long: u64,
    pub(crate) short: u64,
    /// Given the count and the seed; panics if a promise is broken.
    pub(crate) run: fn(u64, u64) -> Tally,
}

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "kill",
        proves: "nothing that was acknowledged is lost or undone by kill -9 at any moment",
        long: 20_000,
        short: 600,
        run: kill::run,
    },
    Bench {
        name: "calls",
        proves: "kill -9 at every call of every public write leaves all of it or nothing",
        long: 1,
        short: 6,
        run: calls::run,
    },
    Bench {
        name: "ends",
        proves: "kill -9 at every call of a revocation revokes all of it or nothing",
        long: 1,
        short: 2,
        run: calls::run_ends,
    },
    Bench {
        name: "copies",
        proves: "kill -9 at every call of a backup or restore leaves the old store or the new one",
        long: 1,
        short: 8,
        run: calls::run_copies,
    },
    Bench {
        name: "errors",
        proves: "no error of input or output and no full disk, at any call, makes an answer wrong",
        long: 1,
        short: 80,
        run: errors::run,
    },
    Bench {
        name: "verdicts",
        proves: "no error of input or output, at any call of a verify, is a yes or a no",
        long: 1,
        short: 4,
        run: errors::run_verdicts,
    },
    Bench {
        name: "power",
        proves: "nothing that was acknowledged is lost or undone by a loss of power at any moment",
        long: 200_000,
        short: 2_000,
        run: power::run,
    },
    Bench {
        name: "full",
        proves: "on a disk that is full a logout goes through or is denied in memory",
        long: 400,
        short: 12,
        run: full::run,
    },
    Bench {
        name: "flushes",
        proves: "a verify that writes the last use of a session flushes nothing",
        long: 100,
        short: 10,
        run: flushes::run,
    },
    Bench {
        name: "medium",
        proves: "a medium that becomes read-only at any moment undoes no acknowledged logout",
        long: 1,
        short: 6,
        run: medium::run,
    },
    Bench {
        name: "corrupt",
        proves: "no damaged file makes anything panic or lets a token pass that was never issued",
        long: 100_000,
        short: 2_000,
        run: corrupt::run,
    },
    Bench {
        name: "memory",
        proves: "an allocation that fails is an error, poisons nothing and leaves all or nothing",
        long: 1,
        short: 600,
        run: memory::run,
    },
    Bench {
        name: "inputs",
        proves: "no text makes a reader ask for more memory than a small multiple of it",
        long: 100_000,
        short: 2_000,
        run: inputs::run,
    },
    Bench {
        name: "clock",
        proves: "no jump of the clock prolongs a session in a process or brings one back",
        long: 2_000,
        short: 60,
        run: clock::run,
    },
    Bench {
        name: "fork",
        proves: "the child of a fork is refused every call and takes nothing from its parent",
        long: 600,
        short: 30,
        run: fork::run,
    },
    Bench {
        name: "strays",
        proves: "after its descriptors were closed, the first call reports that the locks are lost",
        long: 20,
        short: 1,
        run: strays::run,
    },
    Bench {
        name: "workers",
        proves: "workers that are forked while no store is open share the file of their parent",
        long: 200,
        short: 10,
        run: workers::run,
    },
];
