//! A file of ten million sessions: opening it, a verify from it, and its memory.

use std::time::Duration;

use crate::bulk::Bulk;
use crate::harness::{Order, ROUNDS, Run, alternate, each, median, time};
use crate::memory::resident;

pub const FIGURES: &[&str] = &["open_10m", "verify_miss_10m"];

/// Sessions whose tokens are kept, to be verified.
const KNOWN: usize = 100_000;
/// One session in so many has expired.
const EXPIRED: Option<usize> = Some(100);
const BATCH: usize = 500;

pub fn run(run: &mut Run) {
    let (small, middle) = (Bulk::new(1_000, KNOWN, EXPIRED), Bulk::new(100_000, KNOWN, EXPIRED));
    let size = run.size(10_000_000);
    let mut large = None;
    let took = time(|| large = Some(Bulk::new(size, KNOWN, EXPIRED)));
    let large = large.unwrap();
    let bytes = large.bytes();
    run.note(format_args!(
        "{size} sessions, {bytes} bytes, written in {:.0} s",
        took.as_secs_f64()
    ));
    if run.wants(&["open_10m"]) {
        let table = alternate(ROUNDS, 11, [&mut || opening(&large), &mut || opening(&small)]);
        let ratios: Vec<f64> = table.iter().map(|[large, small]| large / small).collect();
        let column: Vec<f64> = table.iter().map(|[large, _]| large * 1e3).collect();
        run.note(format_args!("opening: {:.2} ms", median(&column)));
        run.figure("open_10m", "x", &ratios);
    }
    if run.wants(&["verify_miss_10m"]) {
        let (one, other) = (large.open(None), middle.open(None));
        let (mut here, mut there) = (Order(21), Order(22));
        let table = alternate(
            ROUNDS,
            60,
            [&mut || large.verified(&one, &mut here, BATCH), &mut || {
                middle.verified(&other, &mut there, BATCH)
            }],
        );
        let ratios: Vec<f64> = table.iter().map(|[large, middle]| large / middle).collect();
        let column: Vec<f64> = table.iter().map(|[large, _]| *large).collect();
        let miss = each(Duration::from_secs_f64(median(&column)), BATCH);
        run.note(format_args!("verify from the file: {miss:.0} ns"));
        run.note(format_args!("resident memory: {} MiB", resident() / 1_048_576));
        run.figure("verify_miss_10m", "x", &ratios);
    }
}

fn opening(bulk: &Bulk) -> Duration {
    let mut store = None;
    let took = time(|| store = Some(bulk.open(None)));
    store.unwrap().close().unwrap();
    took
}
