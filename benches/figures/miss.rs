//! Verify with a cache miss, and how often a steady verify writes.

use gatepost::Options;

use crate::filled::Filled;
use crate::harness::Run;
use crate::hit::{report, verify_and_select};

pub const FIGURES: &[&str] = &["verify_miss_vs_select"];

pub fn run(run: &mut Run) {
    let filled = Filled::new(Options::server().cache(None), run.size(100_000));
    let table = verify_and_select(&filled, 60);
    report(run, &table, ["verify from the file", "raw SELECT"]);
    let ratios: Vec<f64> = table.iter().map(|[verify, select]| verify / select).collect();
    run.figure("verify_miss_vs_select", "x", &ratios);
}
