//! Verify with a cache miss, and how often a steady verify writes.

use std::hint::black_box;

use gatepost::Options;
use gatepost::testing::VERIFY_SESSION_SQL;

use crate::filled::{Filled, raw_select};
use crate::harness::{Order, Run};
use crate::hit::{BATCH, report, verify_and_select};

pub const FIGURES: &[&str] = &["verify_miss_vs_select"];

pub fn run(run: &mut Run) {
    let filled = Filled::new(Options::server().cache(None), run.size(100_000));
    let table = verify_and_select(&filled, 60);
    report(run, &table, ["verify from the file", "raw SELECT"]);
    let ratios: Vec<f64> = table.iter().map(|[verify, select]| verify / select).collect();
    run.figure("verify_miss_vs_select", "x", &ratios);
}

/// So many raw SELECTs, to be counted from outside.
#[inline(never)]
pub fn counted(filled: &Filled, calls: usize) {
    let raw = filled.raw();
    let mut statement = raw.prepare(VERIFY_SESSION_SQL).unwrap();
    let ids = filled.ids(&mut Order(2), BATCH);
    hits(&mut statement, &ids, calls);
}

#[inline(never)]
fn hits(statement: &mut rusqlite::Statement<'_>, ids: &[[u8; 16]], calls: usize) {
    for id in ids.iter().cycle().take(calls) {
        black_box(raw_select(statement, id));
    }
}
