//! Runs Gatepost and its peers in alternation, prints the cost of a load and how long a session
//! that was revoked in another process still passes, and draws the chart that README shows.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/driver/Cargo.toml [-- --quick] [PROJECT…]
//! ```
//!
//! 100,000 sessions each, warm, one client, 11 rounds of 20,000 loads; `--quick` takes a tenth. A
//! ratio is of one round, against Gatepost's load in the same round. A peer that cannot be built
//! or started here is left out by name. The first run builds them all, which takes some minutes.
//! With names of projects, only Gatepost and these are run, and their chart is written to the
//! directory in which the peers were built.

mod chart;
mod peer;
mod program;
#[path = "../../../figures/svg.rs"]
mod svg;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use peer::{Peer, Staleness};
use svg::duration;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A row of the table: a name, the project, its form.
type Entry = (&'static str, &'static str, &'static str);

const PEERS: [Entry; 12] = [
    ("Gatepost", "gatepost", ""),
    ("raw rusqlite, one SELECT", "rusqlite", ""),
    ("raw better-sqlite3 (JavaScript), one SELECT", "node", "better-sqlite3"),
    ("JWT, HS256", "jwt", ""),
    ("tower-sessions, moka over sqlx", "tower-sqlx", "cached"),
    ("tower-sessions-rusqlite-store", "tower-rusqlite", ""),
    ("tower-sessions-sqlx-store (SQLite)", "tower-sqlx", ""),
    ("Redis over loopback", "redis", ""),
    ("better-auth, cookie cache", "node", "better-auth-cached"),
    ("better-auth", "node", "better-auth"),
    ("PocketBase, in its own process", "pocketbase", "hook"),
    ("PocketBase over HTTP", "pocketbase", ""),
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
    let (options, wanted): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let size = if options.iter().any(|option| option == "--quick") { QUICK } else { FULL };
    let is_wanted = |project: &str| {
        wanted.is_empty() || project == "gatepost" || wanted.iter().any(|name| name == project)
    };
    let peers: Vec<_> = PEERS.into_iter().filter(|(_, project, _)| is_wanted(project)).collect();
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no parent")?;
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| home.join("../../target/peers"), PathBuf::from);
    let data = env::temp_dir().join(format!("peers-{}", std::process::id()));
    fs::create_dir_all(&data)?;
    let rows = measure(home, &target, &data, &size, &peers);
    fs::remove_dir_all(&data)?;
    let rows = rows?;
    report(&rows, &size)?;
    let is_whole = wanted.is_empty();
    fs::write(if is_whole { home } else { &target }.join("chart.svg"), chart::draw(&rows))?;
    if is_whole { libsodium(home, &target) } else { Ok(()) }
}

fn measure(
    home: &Path,
    target: &Path,
    data: &Path,
    size: &Size,
    peers: &[Entry],
) -> Outcome<Vec<Row>> {
    let mut open = Vec::new();
    for &(name, project, form) in peers {
        let directory = data.join(format!("{project}{form}"));
        fs::create_dir_all(&directory)?;
        let started = match program::build(home, target, project)? {
            Ok(program) => Peer::start(&program, &directory, form)?,
            Err(why) => Err(why),
        };
        match started {
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

/// Builds the comparison of two implementations of Argon2id, and lets it print.
fn libsodium(home: &Path, target: &Path) -> Outcome<()> {
    let program = program::build(home, target, "libsodium")??;
    if !program.command()?.status()?.success() {
        return Err("libsodium failed".into());
    }
    Ok(())
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
