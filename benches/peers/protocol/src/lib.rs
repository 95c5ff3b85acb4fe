//! The work of every peer, and the words in which the driver asks for it.
//!
//! A peer is a process that the driver talks to in lines. It is started with the directory in which
//! it keeps its data and, where one project has two forms, the name of the form. The first of two
//! processes fills the directory, the second opens it as it is.
//!
//! - Once started: `ready`, or `absent WHY`; `ready S` if its documented default accepts a revoked
//!   session for S seconds.
//! - `fill N`: opens N sessions and loads each once; `filled`.
//! - `load M SEED`: loads M of them at random, 500 in a row; which, and what their clients present,
//!   is drawn before the clock of those starts. `ns` with the nanoseconds a load.
//! - `open`: opens one session more; `token` with how a client names it.
//! - `watch TOKEN MS`: asks for it again and again until the answer is no, at most MS milliseconds;
//!   `watching` after the first yes, then `stopped LAST` or `still LAST`.
//! - `end TOKEN`: ends it; `ended WHEN`.
//!
//! `LAST` is when the last call *began* that was answered yes, `WHEN` is when the revocation had
//! been acknowledged: nanoseconds on a clock that the processes of a host share, the same for both.
//! A call that began before the acknowledgement may answer either.

mod server;

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use server::Server;

/// Anything may go wrong in a peer; the driver shows what.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Loads in a row. What comes in with a request was just received: few enough to be in the
/// processor's cache, as that is.
const BATCH: usize = 500;

/// One way to keep sessions.
pub trait Peer: Sized {
    /// The token that a client presents to load its session.
    type Presented;

    /// Opens the directory; `None` with the reason where what it needs is not installed.
    fn open(directory: &Path, form: Option<&str>) -> Outcome<Result<Self, String>>;

    /// Opens `count` sessions, to be loaded by their number.
    fn fill(&mut self, count: usize) -> Outcome<()>;

    /// The token of the client of the session of this number: a copy, as a request brings one.
    fn presented(&self, number: usize) -> Self::Presented;

    /// Loads the sessions of these tokens, one after the other; returns how many are live.
    fn load(&mut self, presented: &[Self::Presented]) -> Outcome<usize>;

    /// Opens one session; answers how a client names it.
    fn open_one(&mut self) -> Outcome<String>;

    /// Whether it is live.
    fn is_live(&mut self, token: &str) -> Outcome<bool>;

    /// Ends it, for every process.
    fn end(&mut self, token: &str) -> Outcome<()>;
}

/// Answers the driver until it hangs up.
pub fn serve<P: Peer>() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let form = arguments.next();
    let mut peer = match P::open(&directory, form.as_deref())? {
        Ok(peer) => peer,
        Err(why) => return say(&format!("absent {why}")),
    };
    say("ready")?;
    let mut filled = 0;
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["fill", count] => {
                filled = count.parse()?;
                peer.fill(filled)?;
                let each: Vec<usize> = (0..filled).collect();
                timed(&mut peer, &each)?;
                say("filled")?;
            }
            ["load", count, seed] => {
                let order = order(count.parse()?, filled, seed.parse()?);
                let taken = timed(&mut peer, &order)?;
                say(&format!("ns {}", taken.as_nanos() as f64 / order.len() as f64))?;
            }
            ["open"] => say(&format!("token {}", peer.open_one()?))?,
            ["watch", token, limit] => {
                watch(&mut peer, token, Duration::from_millis(limit.parse()?))?;
            }
            ["end", token] => {
                peer.end(token)?;
                say(&format!("ended {}", now()))?;
            }
            _ => return Err(format!("not understood: {line}").into()),
        }
    }
    Ok(())
}

/// Loads the sessions of these numbers, which must all be live; how long the loads took.
fn timed<P: Peer>(peer: &mut P, order: &[usize]) -> Outcome<Duration> {
    let mut taken = Duration::ZERO;
    for numbers in order.chunks(BATCH) {
        let presented: Vec<P::Presented> =
            numbers.iter().map(|number| peer.presented(*number)).collect();
        let started = Instant::now();
        let live = peer.load(&presented)?;
        taken += started.elapsed();
        all_live(live, numbers.len())?;
    }
    Ok(taken)
}

fn watch(peer: &mut impl Peer, token: &str, limit: Duration) -> Outcome<()> {
    all_live(usize::from(peer.is_live(token)?), 1)?;
    say("watching")?;
    let started = Instant::now();
    let mut last_yes = 0;
    while started.elapsed() < limit {
        let began = now();
        if !peer.is_live(token)? {
            return say(&format!("stopped {last_yes}"));
        }
        last_yes = began;
    }
    say(&format!("still {last_yes}"))
}

fn all_live(live: usize, asked: usize) -> Outcome<()> {
    if live == asked { Ok(()) } else { Err(format!("{live} of {asked} are live").into()) }
}

/// Uniformly random numbers below `of` (xorshift64*).
fn order(count: usize, of: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let drawn = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
            ((u128::from(drawn) * of as u128) >> 64) as usize
        })
        .collect()
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn say(line: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
