//! The fault bench: what a store has acknowledged stays, whatever breaks beneath it.
//!
//! `gatepost-faults NAME [COUNT [SEED]]` runs one bench, `all` each of them in its long form, and
//! `short` each of them in a few seconds. A bench prints one line with what it counted, or fails
//! and says with which seed.

mod bench;
mod dice;
mod disk;
mod heap;
mod image;
mod operation;
// The suite's list of operations, from which this bench takes what each call revokes.
#[allow(dead_code, reason = "the suite reads the rest of each row")]
#[path = "../../tests/it/operations/list.rs"]
mod operations;
mod place;
mod process;
mod scene;
mod shim;
mod store;
mod tally;
mod trial;

use std::process::ExitCode;
use std::time::Instant;

use bench::{BENCHES, Bench};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<u64>().ok();
    let done = match words[..] {
        // What one of the benches asks of another process.
        ["peek", path] => {
            bench::fork::peek(path.as_ref());
            Some(())
        }
        ["all"] => BENCHES.iter().try_for_each(|bench| run(bench, bench.long, 1)),
        ["short"] => BENCHES.iter().try_for_each(|bench| run(bench, bench.short, 1)),
        [name, ref rest @ ..] if rest.len() <= 2 => named(name).and_then(|bench| {
            let mut numbers = rest.iter().map(|word| number(word));
            let count = numbers.next().unwrap_or(Some(bench.long))?;
            run(bench, count, numbers.next().unwrap_or(Some(1))?)
        }),
        _ => None,
    };
    if done.is_some() {
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: gatepost-faults all | short | NAME [COUNT [SEED]], where NAME is one of");
    BENCHES.iter().for_each(|bench| eprintln!("  {:<8} {}", bench.name, bench.proves));
    ExitCode::from(2)
}

fn named(name: &str) -> Option<&'static Bench> {
    BENCHES.iter().find(|bench| bench.name == name)
}

/// Never returns if a promise is broken.
fn run(bench: &Bench, count: u64, seed: u64) -> Option<()> {
    let begun = Instant::now();
    let tally = (bench.run)(count, seed);
    println!("{}: {tally}; seed {seed}, {} s", bench.name, begun.elapsed().as_secs());
    Some(())
}
