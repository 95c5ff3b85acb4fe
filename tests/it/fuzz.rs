//! Every parser and the file itself, given random inputs.
//!
//! `targets.rs` says which function gets an input, and what must be true of its answer; `fuzz/`
//! compiles the same text for libFuzzer. Here a mutator with a seed makes the inputs out of the
//! corpus in `fuzz/corpus`, so that any machine runs them; `scripts/fuzz` runs more.

mod mutator;
mod targets;

use std::path::Path;
use std::time::Instant;

use mutator::Mutator;
use targets::TARGETS;

const SEED: u64 = 1;

/// The inputs that were kept for a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let kept = paths.iter().map(|path| std::fs::read(path).unwrap());
    kept.chain(issued(target)).collect()
}

/// Inputs that no folder can keep: what the store of the target has issued.
fn issued(target: &str) -> Vec<Vec<u8>> {
    let mut issued = Vec::new();
    if target == "token" {
        targets::with_store(|_, known| {
            issued.extend([&known.token, &known.key].map(|one| one.clone().into_bytes()));
        });
    }
    issued
}

/// Gives the corpus and so many inputs made of it to a target; a failure names the input.
#[expect(clippy::disallowed_methods, reason = "a failure of the fuzzer says how long it took")]
fn run(name: &str, count: usize, seed: u64) {
    let corpus = corpus(name);
    let mut mutator = Mutator::new(seed, &corpus);
    let (started, made) = (Instant::now(), count.saturating_sub(corpus.len()));
    for input in corpus.iter().cloned().chain((0..made).map(|_| mutator.next())) {
        let answer = std::panic::catch_unwind(|| targets::run(name, &input));
        if answer.is_err() {
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("{name} fails, seed {seed}, on the {} bytes {hex}", input.len());
        }
    }
    let (given, seconds) = (corpus.len() + made, started.elapsed().as_secs());
    println!("fuzz: {name}: {given} inputs, seed {seed}, {seconds} s, no failure");
}

#[test]
fn no_token_breaks_the_reader_or_passes() {
    run("token", 20_000, SEED);
}

#[test]
fn no_header_breaks_the_reader() {
    run("header", 20_000, SEED);
}

#[test]
fn no_stored_hash_breaks_the_reader_or_its_bounds() {
    run("phc", 20_000, SEED);
}

#[test]
fn no_configuration_breaks_the_typed_readers() {
    run("configuration", 4_000, SEED);
}

#[test]
fn no_name_is_taken_that_is_not_found_again() {
    run("name", 4_000, SEED);
}

#[test]
fn no_request_breaks_the_wire() {
    run("wire", 20_000, SEED);
}

#[test]
fn no_file_breaks_the_store_or_lets_a_stranger_in() {
    run("database", 200, SEED);
}

#[test]
fn no_log_breaks_the_store_or_lets_a_stranger_in() {
    run("wal", 200, SEED);
}

#[test]
fn no_order_of_calls_brings_an_ended_session_back() {
    run("operations", 200, SEED);
}

#[test]
fn each_target_has_a_corpus_and_an_entry_for_the_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(!corpus(name).is_empty(), "{name}");
        assert!(root.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    assert_eq!(std::fs::read_dir(root.join("corpus")).unwrap().count(), TARGETS.len());
}

#[test]
fn the_mutator_makes_the_same_inputs_of_the_same_seed() {
    let corpus = [b"one".to_vec(), b"another".to_vec()];
    let made = |seed| {
        let mut mutator = Mutator::new(seed, &corpus);
        (0..100).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(made(3), made(3));
    assert_ne!(made(3), made(4));
}

/// For longer: `scripts/fuzz`. Given no words, nothing.
#[test]
fn long() {
    let words = crate::child::words();
    let [section, target, count, seed] = words.as_slice() else { return };
    if section != "fuzz" {
        return;
    }
    for (name, _) in TARGETS.iter().filter(|(name, _)| target == "all" || target == name) {
        run(name, count.parse().unwrap(), seed.parse().unwrap());
    }
}
