//! Runs scenes under the explorer's schedulers, and prints what was run.

use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// A small program of a few threads; it fails by panicking.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) play: fn(),
    /// Its share of the schedules, in hundredths; `None` for a scene so small that each of its
    /// schedules is run.
    pub(crate) share: Option<usize>,
}

/// In the gate, of all scenes together.
const SCHEDULES: usize = 120_000;
/// How many times a thread is overtaken in a schedule of the second kind.
const DEPTHS: [usize; 2] = [2, 4];

pub(crate) fn run(words: &[String], scenes: &[Scene]) -> ExitCode {
    let wanted = words.first().map_or("all", String::as_str);
    let number = |at: usize, otherwise: u64| {
        words.get(at).map_or(otherwise, |word| word.parse().expect("a number"))
    };
    let schedules = number(1, SCHEDULES as u64) as usize;
    let seed = number(2, 1);
    let chosen: Vec<&Scene> =
        scenes.iter().filter(|scene| wanted == "all" || scene.name == wanted).collect();
    let shares: usize = chosen.iter().filter_map(|scene| scene.share).sum();
    let (mut passed, mut failed, mut sum) = (0, 0, 0);
    for scene in &chosen {
        let share = scene.share.map(|share| schedules * share / shares);
        let begun = Instant::now();
        let ran = panic::catch_unwind(|| play(scene, share, seed));
        let verdict = if ran.is_ok() { "ok" } else { "FAILED" };
        println!("test schedules::{} ... {verdict}", scene.name);
        match ran {
            Ok(ran) => {
                println!(
                    "schedules: {} of {}, seed {seed}, {:.1} s; {}",
                    ran,
                    scene.name,
                    begun.elapsed().as_secs_f64(),
                    crate::scenes::counted()
                );
                (passed, sum) = (passed + 1, sum + ran);
            }
            Err(_) => failed += 1,
        }
    }
    println!("schedules: {sum} in all, seed {seed}");
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A third at random, a third of each depth; or all there are.
fn play(scene: &Scene, share: Option<usize>, seed: u64) -> usize {
    let Some(share) = share else {
        return under(DfsScheduler::new(None, false), scene);
    };
    let third = share.div_ceil(1 + DEPTHS.len());
    let of_depth = |depth: &usize| {
        let seed = seed + *depth as u64;
        under(PctScheduler::new_from_seed(seed, *depth, third), scene)
    };
    under(RandomScheduler::new_from_seed(seed, third), scene)
        + DEPTHS.iter().map(of_depth).sum::<usize>()
}

fn under(scheduler: impl Scheduler + 'static, scene: &Scene) -> usize {
    let mut config = Config::new();
    config.silence_warnings = true;
    config.stack_size = 0x20000;
    Runner::new(scheduler, config).run(scene.play)
}
