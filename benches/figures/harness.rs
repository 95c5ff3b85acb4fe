//! How a figure is measured: in rounds, in alternation, reported as a median with its extremes.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Rounds of a figure; the median of these counts.
pub const ROUNDS: usize = 9;

/// The figures that one run was asked for, and those that it has measured.
pub struct Run {
    /// Everything at a tenth of its size.
    pub quick: bool,
    wanted: Vec<String>,
    lines: Vec<String>,
}

/// Times how long `job` takes.
pub fn time(job: impl FnOnce()) -> Duration {
    let started = Instant::now();
    job();
    started.elapsed()
}

/// Nanoseconds of one of `count`.
pub fn each(took: Duration, count: usize) -> f64 {
    took.as_secs_f64() * 1e9 / count as f64
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The value below which this part of them is.
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    values[((last as f64) * part).round() as usize]
}

impl Run {
    pub fn new(arguments: impl Iterator<Item = String>) -> Self {
        let mut run = Self { quick: false, wanted: Vec::new(), lines: Vec::new() };
        for argument in arguments {
            match argument.as_str() {
                "--quick" => run.quick = true,
                // What cargo passes on.
                "--bench" | "--test" => {}
                name => run.wanted.push(name.to_owned()),
            }
        }
        run
    }

    /// Whether any of these figures was asked for.
    pub fn wants(&self, names: &[&str]) -> bool {
        self.wanted.is_empty() || names.iter().any(|name| self.wanted.iter().any(|w| w == name))
    }

    /// The names that were asked for and that no figure has.
    pub fn unknown(&self, all: &[&str]) -> Vec<&str> {
        let wanted = self.wanted.iter().map(String::as_str);
        wanted.filter(|name| !all.contains(name)).collect()
    }

    /// `full`, or a tenth of it.
    pub fn size(&self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }

    /// A figure that was measured in rounds.
    pub fn figure(&mut self, name: &str, unit: &str, rounds: &[f64]) {
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.line(format!(
            "figure {name} = {:.3} {unit} ({least:.3} … {most:.3})",
            median(rounds)
        ));
    }

    /// A figure that is counted, the same each time.
    pub fn counted(&mut self, name: &str, unit: &str, value: f64) {
        self.line(format!("figure {name} = {value:.3} {unit} ({value:.3} … {value:.3})"));
    }

    /// A figure that cannot be measured here, by name and with the reason.
    pub fn left_out(&mut self, name: &str, why: impl Display) {
        self.line(format!("figure {name} left out: {why}"));
    }

    /// A line that belongs to a figure and is none.
    pub fn note(&self, text: impl Display) {
        println!("    {text}");
    }

    /// All figures once more, one line each.
    pub fn finish(&self) {
        println!();
        for line in &self.lines {
            println!("{line}");
        }
    }

    fn line(&mut self, line: String) {
        println!("{line}");
        self.lines.push(line);
    }
}

/// Measures each of `jobs` in turn, `batches` times over, and does so for each round: a row for a
/// round, in it the median batch of each job. A job answers how long its timed part took, so that
/// what it draws beforehand is outside the clock. Another program on the machine that takes a time
/// slice spoils a batch and no round.
pub fn alternate<const N: usize>(
    rounds: usize,
    batches: usize,
    mut jobs: [&mut dyn FnMut() -> Duration; N],
) -> Vec<[f64; N]> {
    let mut table = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let mut took: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(batches));
        for _ in 0..batches {
            for (job, took) in jobs.iter_mut().zip(&mut took) {
                took.push(job().as_secs_f64());
            }
        }
        table.push(took.map(|took| median(&took)));
    }
    table
}

/// The machine and the time of the run.
pub fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "machine: {} x {cores}",
        model.unwrap_or(" unknown").trim_start_matches(['\t', ' ', ':'])
    );
    println!("system: {} {}", std::env::consts::OS, std::env::consts::ARCH);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before the run: {}", load.trim());
    println!("sqlite: {}\n", rusqlite::version());
}

/// A cheap order without a pattern (xorshift).
pub struct Order(pub u64);

impl Order {
    pub fn next(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count as u64).unwrap()
    }
}
