//! What a bench counted, and the lanes it runs in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::process::{Child, End, Voice};

/// Named counts, in the order of their names.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.0.entry(name.into()).or_default() += count;
    }

    pub(crate) fn one(&mut self, name: impl Into<String>) {
        self.add(name, 1);
    }

    /// Says each count aloud, for [`Tally::hear`].
    pub(crate) fn send(&self, voice: &Voice) {
        for (name, count) in &self.0 {
            voice.say(format_args!("{count} {name}"));
        }
    }

    pub(crate) fn hear(&mut self, line: &str) {
        let (count, name) = line.split_once(' ').unwrap();
        self.add(name, count.parse().unwrap());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{count} {name}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// How many processes share the work of a bench.
pub(crate) const LANES: u64 = 2;
const A_DAY: Duration = Duration::from_secs(86_400);

/// Those of `all` that are a lane's own, each with its number among all.
pub(crate) fn of_lane<T>(lane: u64, all: &[T]) -> impl Iterator<Item = (usize, &T)> {
    all.iter().enumerate().filter(move |(n, _)| *n as u64 % LANES == lane)
}

/// Runs `job` in as many processes as there are lanes, each with its number and its share of
/// `count`, and adds up what they counted. Whatever fails in one of them fails here.
pub(crate) fn in_lanes(count: u64, job: impl Fn(u64, u64, &mut Tally)) -> Tally {
    let children: Vec<Child> = (0..LANES)
        .map(|lane| {
            let share = count / LANES + u64::from(lane < count % LANES);
            Child::fork(|voice| {
                let mut tally = Tally::default();
                job(lane, share, &mut tally);
                tally.send(voice);
            })
        })
        .collect();
    let mut tally = Tally::default();
    for child in children {
        let (lines, end) = child.end_within(A_DAY);
        assert_eq!(end, End::Well, "a lane failed");
        lines.iter().for_each(|line| tally.hear(line));
    }
    tally
}
