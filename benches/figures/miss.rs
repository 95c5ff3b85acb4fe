//! Verify from the file, and what a steady verify writes.

use std::hint::black_box;

use gatepost::Options;
use gatepost::testing::VERIFY_SESSION_SQL;

use crate::filled::{Filled, explain, raw_select};
use crate::harness::{Order, ROUNDS, Run, alternate, time};
use crate::hit::{BATCH, told, verify_all};

pub const FIGURES: &[&str] = &["verify_miss_vs_select"];

pub fn run(run: &mut Run) {
    let filled = Filled::new(Options::server().cache(None), run.size(100_000));
    let raw = filled.raw();
    explain(&raw);
    let mut statement = raw.prepare(VERIFY_SESSION_SQL).unwrap();
    let (mut tokens, mut ids) = (Order(1), Order(2));
    let mut verify = || {
        let presented = filled.drawn(&mut tokens, BATCH);
        time(|| verify_all(&filled.store, &presented))
    };
    let mut select = || {
        let ids = filled.ids(&mut ids, BATCH);
        time(|| {
            for id in &ids {
                black_box(raw_select(&mut statement, id));
            }
        })
    };
    let table = alternate(ROUNDS, 60, [&mut verify, &mut select]);
    told(run, &table, ["verify from the file", "raw SELECT"]);
    let ratios: Vec<f64> = table.iter().map(|[verify, select]| verify / select).collect();
    run.figure("verify_miss_vs_select", "x", &ratios);
}
