//! The figures, by name, each as a ratio of two things measured in one run.
//!
//! `cargo bench --bench figures` runs all, `-- NAME…` some, `-- --quick` all at a tenth of their
//! size. Each ends as one line, `figure NAME = VALUE UNIT (min … max …)`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::exhaustive_structs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark fails by panicking, and measures against plain SQL"
)]

mod build;
mod bulk;
mod child;
mod counted;
mod filled;
mod floor;
mod foreign;
mod growth;
mod harness;
mod hit;
mod memory;
mod miss;
mod scale;
mod svg;
mod writes;

use harness::Run;

/// A part of a run: the figures it answers, and how.
type Part = (&'static [&'static str], fn(&mut Run));

const PARTS: &[Part] = &[
    (hit::FIGURES, hit::hundred_thousand),
    (hit::FIGURES_1M, hit::million),
    (hit::FIGURES_KEYS, hit::key_vs_session),
    (counted::FIGURES, counted::run),
    (miss::FIGURES, miss::run),
    (foreign::FIGURES, foreign::writes),
    (foreign::FIGURES_LOGINS, foreign::logins),
    (writes::LOGINS, writes::logins),
    (writes::GROUPED, writes::grouped),
    (writes::SWEEP, writes::sweep),
    (writes::MANY, writes::many),
    (memory::FIGURES, memory::run),
    (scale::FIGURES, scale::run),
    (growth::FIGURES, growth::run),
    (build::FIGURES, build::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if child::play(&arguments) {
        return;
    }
    let mut run = Run::new(arguments.into_iter());
    let all: Vec<&str> = PARTS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    let unknown = run.unknown(&all);
    assert!(unknown.is_empty(), "no such figure: {unknown:?} (there are: {all:?})");
    harness::machine();
    for (names, part) in PARTS {
        if run.wants(names) {
            part(&mut run);
        }
    }
    run.finish();
}
