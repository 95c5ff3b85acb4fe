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
