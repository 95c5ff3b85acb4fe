//! The benches, each as a promise, in so few rounds that they take seconds. `scripts/faults` runs
//! them for longer.

use std::process::Command;

/// Runs a bench so many times.
#[track_caller]
fn holds(bench: &str, count: u64) {
    let run = Command::new(env!("CARGO_BIN_EXE_gatepost-faults"))
        .args([bench, &count.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{complaint}");
    println!("{said}");
}

#[test]
fn nothing_acknowledged_is_lost_or_undone_by_kill_9() {
    holds("kill", 100);
}

#[test]
fn a_kill_at_any_call_of_a_write_leaves_all_of_it_or_nothing() {
    holds("calls", 12);
}

#[test]
fn no_error_of_input_or_output_makes_an_answer_wrong() {
    holds("errors", 150);
}

#[test]
fn nothing_acknowledged_is_lost_or_undone_by_a_loss_of_power() {
    holds("power", 100);
}
