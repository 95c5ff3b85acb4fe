//! Four processes verify and another one writes while an older copy of the file takes its place:
//! through SQLite, by a copy over it, or by a rename.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatepost::sessions::OpenSession;
use gatepost::{NewUser, Store};

use super::copy;
use crate::child::{Child, Parent};
use crate::world::{device, for_tests, one_of};

const PROCESSES: usize = 4;
const WAYS: [&str; 3] = ["backup API", "copy over", "rename"];

#[expect(clippy::disallowed_methods, reason = "processes compare their times")]
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros().try_into().unwrap()
}

/// Verifies the token of each line without a pause until the next line, then says when the last
/// verify that passed had begun, and how the last one ended.
pub(crate) fn role(parent: &mut Parent, _: &[String]) {
    while let Some(line) = parent.hear() {
        let (path, token) = line.split_once(' ').unwrap();
        let store = Store::open(path, for_tests()).unwrap();
        let on = device("till-1");
        assert!(store.verify((token, &on)).unwrap().valid().is_ok());
        let stop = AtomicBool::new(false);
        let (last, end) = std::thread::scope(|scope| {
            let verifying = scope.spawn(|| {
                let mut last = 0;
                loop {
                    let begun = micros();
                    let end = match store.verify((token, &on)) {
                        Ok(verdict) if verdict.valid().is_ok() => {
                            last = begun;
                            "passes".to_owned()
                        }
                        Ok(_) => "refused".to_owned(),
                        Err(error) => format!("{:?}", error.kind()),
                    };
                    if stop.load(Ordering::Relaxed) {
                        break (last, end);
                    }
                }
            });
            parent.say("ready");
            parent.hear();
            stop.store(true, Ordering::Relaxed);
            verifying.join().unwrap()
        });
        let _ = store.close();
        parent.say(&format!("{last} {end}"));
    }
}

/// Opens and revokes sessions of a user without a pause from one line to the next, then says how
/// many writes were acknowledged, and what the last one came to.
pub(crate) fn writing_role(parent: &mut Parent, _: &[String]) {
    while let Some(path) = parent.hear() {
        let store = Store::open(path, for_tests()).unwrap();
        let bob = store.users().find_by_username("bob").unwrap().unwrap().id;
        let write = || {
            let opened = store.sessions().open(OpenSession::new(bob, device("till-9")))?;
            store.sessions().revoke(opened.granted().unwrap().session.id)
        };
        write().unwrap();
        let stop = AtomicBool::new(false);
        let (writes, end) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let mut writes = 0;
                loop {
                    let end = match write() {
                        Ok(_) => {
                            writes += 1;
                            "written".to_owned()
                        }
                        Err(error) => format!("{:?}", error.kind()),
                    };
                    if stop.load(Ordering::Relaxed) {
                        break (writes, end);
                    }
                }
            });
            parent.say("ready");
            parent.hear();
            stop.store(true, Ordering::Relaxed);
            writing.join().unwrap()
        });
        let _ = store.close();
        parent.say(&format!("{writes} {end}"));
    }
}

/// What the rounds of one way came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    writes: u64,
    /// Verifies that passed and had begun after the copy was in place.
    late: u64,
    latest_micros: u64,
    ends: BTreeMap<String, u64>,
    /// How the writing process ended.
    writer: BTreeMap<String, u64>,
}

#[expect(clippy::disallowed_methods, reason = "the look once a second follows the clock")]
fn round(way: &str, children: &mut [Child], writer: &mut Child, tally: &mut Tally) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let older = directory.path().join("older.db");
    let (here, there) = (path.display().to_string(), older.display().to_string());
    let store = Store::open(&path, for_tests()).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    store.users().create(NewUser::person("bob")).unwrap();
    copy(&here, &there);
    let open = OpenSession::new(ada, device("till-1"));
    let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
    for child in children.iter_mut() {
        child.say(&format!("{here} {}", token.expose()));
        assert_eq!(child.hear(), "ready");
    }
    writer.say(&here);
    assert_eq!(writer.hear(), "ready");
    // Its locks must not be lost by what follows.
    store.close().unwrap();
    match way {
        "backup API" => copy(&there, &here),
        "copy over" => {
            fs::copy(&older, &path).unwrap();
        }
        _ => fs::rename(&older, &path).unwrap(),
    }
    let placed = micros();
    let wait = if way == "backup API" { 30 } else { 1_300 };
    while micros() < placed + 1_000 * wait {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    tally.rounds += 1;
    let stopped = |child: &mut Child| {
        child.say("stop");
        let said = child.hear();
        let (number, end) = said.split_once(' ').unwrap();
        (number.parse::<u64>().unwrap(), end.to_owned())
    };
    let (writes, end) = stopped(writer);
    tally.writes += writes;
    *tally.writer.entry(end).or_default() += 1;
    for child in children {
        let (last, end) = stopped(child);
        let late = last.saturating_sub(placed);
        tally.late += u64::from(late > 0);
        tally.latest_micros = tally.latest_micros.max(late);
        *tally.ends.entry(end).or_default() += 1;
    }
}

fn run(rounds: usize) -> BTreeMap<&'static str, Tally> {
    let mut children: Vec<Child> =
        (0..PROCESSES).map(|_| Child::start("verify while it changes", &[])).collect();
    let mut writer = Child::start("write while it changes", &[]);
    let mut tallies = BTreeMap::<_, Tally>::new();
    for number in 0..rounds {
        let way = WAYS[number % WAYS.len()];
        round(way, &mut children, &mut writer, tallies.entry(way).or_default());
    }
    writer.end();
    children.into_iter().for_each(Child::end);
    tallies
}

/// `scripts/restore` runs this one; without a number it makes a short form.
#[test]
fn long() {
    let rounds = std::env::args().find_map(|word| word.strip_prefix('=')?.parse().ok());
    for (way, tally) in run(rounds.unwrap_or(6 / one_of(2))) {
        println!(
            "{way}: {} rounds, {} writes, {} processes passed a token after it, the last {:.1} ms \
             after; verifies {:?}, writes {:?}",
            tally.rounds,
            tally.writes,
            tally.late,
            tally.latest_micros as f64 / 1_000.0,
            tally.ends,
            tally.writer
        );
        let ends = |end: &str| tally.ends.get(end).copied().unwrap_or_default();
        let all = tally.rounds * PROCESSES as u64;
        match way {
            "backup API" => assert_eq!((tally.late, ends("refused")), (0, all)),
            "rename" => {
                assert_eq!(ends("Closed"), all);
                assert!(tally.latest_micros < 1_200_000);
            }
            // It is damage; only its outcome is counted.
            _ => {}
        }
    }
}
