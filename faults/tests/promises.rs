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
    holds("calls", 24);
}

#[test]
fn a_kill_at_any_call_of_a_revocation_revokes_all_of_it_or_nothing() {
    holds("ends", 8);
}

#[test]
fn no_error_of_input_or_output_makes_an_answer_wrong() {
    holds("errors", 400);
}

#[test]
fn an_error_at_any_call_of_a_verify_is_neither_a_yes_nor_a_no() {
    holds("verdicts", 1);
}

#[test]
fn nothing_acknowledged_is_lost_or_undone_by_a_loss_of_power() {
    holds("power", 100);
}

#[test]
fn on_a_full_disk_a_logout_goes_through_or_is_denied_in_memory() {
    holds("full", 6);
}

#[test]
fn a_verify_that_writes_a_use_flushes_nothing() {
    holds("flushes", 2);
}

#[test]
fn a_medium_that_turns_read_only_undoes_no_logout() {
    holds("medium", 2);
}

#[test]
fn no_damaged_file_panics_or_lets_a_stranger_in() {
    holds("corrupt", 200);
}

#[test]
fn an_allocation_that_fails_is_an_error_and_poisons_nothing() {
    holds("memory", 8_000);
}

#[test]
fn no_text_makes_a_reader_ask_for_more_memory_than_a_small_multiple_of_it() {
    holds("inputs", 2_000);
}

#[test]
fn no_jump_of_the_clock_prolongs_a_session_or_brings_one_back() {
    holds("clock", 10);
}

#[test]
fn the_first_call_after_all_descriptors_were_closed_reports_lost_locks() {
    holds("strays", 1);
}

#[test]
fn workers_forked_while_no_store_is_open_share_the_file() {
    holds("workers", 6);
}

#[test]
fn the_child_of_a_fork_is_refused_and_takes_nothing_from_its_parent() {
    holds("fork", 12);
}
