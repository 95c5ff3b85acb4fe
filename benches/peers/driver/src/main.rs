//! Runs Gatepost and its peers in alternation, prints the cost of a load and how long a session
//! that was revoked in another process still passes, and draws the chart that README shows.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/driver/Cargo.toml [-- --quick]
//! ```
//!
//! 100,000 sessions each, warm, one client, 11 rounds of 20,000 loads; `--quick` takes a tenth. A
//! ratio is of one round, against Gatepost's load in the same round. A peer whose server is not
//! installed is left out by name. The first run builds them all, which takes some minutes.

mod chart;
mod peer;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use peer::{Peer, Staleness};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The rows of the table: a name, the project, its form.
const PEERS: [(&str, &str, &str); 7] = [
    ("Gatepost", "gatepost", ""),
    ("raw rusqlite, one SELECT", "rusqlite", ""),
    ("JWT, HS256", "jwt", ""),
    ("tower-sessions, moka over sqlx", "tower-sqlx", "cached"),
    ("tower-sessions-rusqlite-store", "tower-rusqlite", ""),
    ("tower-sessions-sqlx-store (SQLite)", "tower-sqlx", ""),
    ("Redis over loopback", "redis", ""),
];

/// The number of rounds and loads.
struct Size {
    sessions: usize,
    loads: usize,
    rounds: u64,
    ends: usize,
    watch_ms: u64,
}

const FULL: Size =
    Size { sessions: 100_000, loads: 20_000, rounds: 11, ends: 20, watch_ms: 5_000 };
const QUICK: Size = Size { sessions: 10_000, loads: 2_000, rounds: 7, ends: 3, watch_ms: 1_000 };

/// The results of one peer.
pub struct Row {
    name: &'static str,
    /// Nanoseconds a load, in the order of the rounds.
    ns: Vec<f64>,
    staleness: Staleness,
}

fn main() -> Outcome<()> {
    let size = if env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no parent")?;
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| home.join("../../target/peers"), PathBuf::from);
    let data = env::temp_dir().join(format!("peers-{}", std::process::id()));
    fs::create_dir_all(&data)?;
    let rows = measure(home, &target, &data, &size);
    fs::remove_dir_all(&data)?;
    let rows = rows?;
    report(&rows, &size)?;
    fs::write(home.join("chart.svg"), chart::draw(&rows))?;
    peer::run(home, &target, "libsodium")
}

fn measure(home: &Path, target: &Path, data: &Path, size: &Size) -> Outcome<Vec<Row>> {
    let mut open = Vec::new();
    for (name, project, form) in PEERS {
        let program = peer::build(home, target, project)?;
        let directory = data.join(format!("{project}{form}"));
        fs::create_dir_all(&directory)?;
        match Peer::start(&program, &directory, form)? {
            Ok(mut peer) => {
                peer.ask(&format!("fill {}", size.sessions), "filled")?;
                open.push((Row { name, ns: Vec::new(), staleness: Staleness::None }, peer));
            }
            Err(why) => println!("left out: {name} ({why})"),
        }
    }
    for round in 1..=size.rounds {
        for (row, peer) in &mut open {
            let ns = peer.ask(&format!("load {} {round}", size.loads), "ns")?;
            row.ns.push(ns.parse()?);
        }
    }
    for (row, peer) in &mut open {
        row.staleness = peer.staleness(size.ends, size.watch_ms)?;
    }
    Ok(open.into_iter().map(|(row, _)| row).collect())
}

fn report(rows: &[Row], size: &Size) -> Outcome<()> {
    let ours = &rows.first().ok_or("nothing was measured")?.ns;
    println!(
        "{} sessions, {} rounds of {} loads, {} ends in another process\n",
        size.sessions, size.rounds, size.loads, size.ends
    );
    println!(
        "| peer | a load | times Gatepost's (min … max) | a session ended elsewhere passes |"
    );
    println!("|---|---|---|---|");
    for row in rows {
        let mut ratios: Vec<f64> =
            row.ns.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "| {} | {} | {:.1} ({:.1} … {:.1}) | {} |",
            row.name,
            duration(median(&row.ns)),
            median(&ratios),
            ratios.first().copied().unwrap_or_default(),
            ratios.last().copied().unwrap_or_default(),
            row.staleness.in_words(),
        );
    }
    println!();
    Ok(())
}

/// The middle one.
pub fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Nanoseconds in the unit that reads best.
pub fn duration(ns: f64) -> String {
    if ns < 1_000.0 { format!("{ns:.0} ns") } else { format!("{:.1} µs", ns / 1_000.0) }
}
