//! The scenes: what runs at the same time, and what must be true of each answer.

use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use loom::thread::{Builder, JoinHandle};

use crate::cache::coherence::Coherence;
use crate::cache::seqlock::SeqLock;
use crate::cache::{Cache, Span};
use crate::sessions::{
    USER, Zeros, expiry, image, principal, privileges, remembered, session, span,
};
use crate::storage::{Change, Commit, File, WalIndex};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::value::time::Timestamp;

/// A small program of a few threads; it fails by panicking.
struct Scene {
    name: &'static str,
    plays: &'static [fn()],
    /// How often a thread is preempted at most.
    preemptions: usize,
}

#[rustfmt::skip]
const ALL: &[Scene] = &[
    Scene { name: "words_are_whole_under_any_order", plays: &[words], preemptions: 2 },
    Scene { name: "words_of_two_writers_never_mix", plays: &[writers], preemptions: 2 },
    Scene { name: "a_note_of_use_hides_no_words", plays: &[uses], preemptions: 3 },
    Scene { name: "entries_that_take_places_never_mix", plays: &[driven_out], preemptions: 1 },
    Scene { name: "stamps_are_seen_with_the_header", plays: ENDS, preemptions: 2 },
    Scene { name: "stamps_of_two_catch_ups_are_seen", plays: &[two_catch_ups], preemptions: 1 },
    Scene { name: "no_fill_outlives_what_it_has_not_seen", plays: &[fill], preemptions: 2 },
];

/// Executions of the scene that runs.
static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
/// Operations of an execution, beyond which it is taken for endless.
const BRANCHES: usize = 2_000;

pub(crate) fn run(wanted: Option<&str>) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for scene in ALL.iter().filter(|scene| wanted.is_none_or(|name| name == scene.name)) {
        let begun = Instant::now();
        let ran = panic::catch_unwind(|| scene.plays.iter().for_each(|play| check(scene, *play)));
        let verdict = if ran.is_ok() { "ok" } else { "FAILED" };
        println!("test loom::{} ... {verdict}", scene.name);
        println!(
            "loom: {} executions of {}, {:.1} s",
            EXECUTIONS.swap(0, Ordering::Relaxed),
            scene.name,
            begun.elapsed().as_secs_f64()
        );
        if ran.is_ok() { passed += 1 } else { failed += 1 }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(scene: &Scene, play: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(scene.preemptions);
    builder.max_branches = BRANCHES;
    builder.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        spawn(play).join().expect("it plays");
    });
}

/// With room on its stack for a chunk of the table.
fn spawn(thread: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().stack_size(STACK_WORDS).spawn(thread).expect("loom spawns")
}

const STACK_WORDS: usize = 0x10000;

type Pair = SeqLock<2>;

fn pair() -> Arc<Pair> {
    let pair = Arc::new(Pair::new());
    pair.write(&[1; 2]);
    pair
}

/// The words that are read there at this moment; `None` if they are being written.
fn read(pair: &Pair) -> Option<u64> {
    let (_, [first, second]) = pair.read(&[])?;
    assert_eq!(first, second, "half of one and half of another");
    Some(first)
}

/// One writes twice, another reads twice.
fn words() {
    let pair = pair();
    let writing = {
        let pair = Arc::clone(&pair);
        spawn(move || (2..=3).for_each(|word| pair.write(&[word; 2])))
    };
    let before = read(&pair);
    let after = read(&pair);
    assert!(after.is_none() || before <= after, "an older row after a newer one");
    writing.join().expect("it writes");
    assert_eq!(read(&pair), Some(3));
}

/// Two write, one after the other as the lock has it, while a third reads.
fn writers() {
    let pair = pair();
    let lock = Arc::new(Mutex::new(()));
    let writing = [2, 3].map(|word| {
        let (pair, lock) = (Arc::clone(&pair), Arc::clone(&lock));
        spawn(move || {
            let _alone = lock.lock();
            pair.write(&[word; 2]);
        })
    });
    read(&pair);
    writing.into_iter().for_each(|one| one.join().expect("it writes"));
    assert!(read(&pair) > Some(1));
}

/// One thread reads what has passed through the note of use of another.
///
/// Written once: loom lets a load answer with a note although it knows a store that came after it,
/// which no note can: it follows what it notes at once, as any exchange does.
fn uses() {
    let pair = Arc::new(Pair::new());
    assert_eq!(pair.read(&[0; 2]), None);
    let writing = {
        let pair = Arc::clone(&pair);
        spawn(move || pair.write(&[1; 2]))
    };
    let noting = {
        let pair = Arc::clone(&pair);
        spawn(move || pair.read(&[]).into_iter().for_each(|(turn, _)| pair.mark_used(turn)))
    };
    read(&pair);
    noting.join().expect("it reads");
    writing.join().expect("it writes");
    assert_eq!(read(&pair), Some(1));
}

fn cache(entries: usize) -> Cache {
    Cache::new(entries, &Zeros).expect("zeros can be drawn")
}

/// An entry of which each word that can says this number.
fn remember(cache: &Cache, which: usize, number: u64) {
    let from = Timestamp::from_millis(number as i64);
    let span = Span { from, until: expiry(0) };
    let principal = principal(which, number);
    cache.fill(cache.epoch(), image(cache, which), &principal, &privileges(number), span);
}

/// In a cache with room for one, an entry takes the place of another while it is looked up.
fn driven_out() {
    let cache = Arc::new(cache(1));
    remember(&cache, 0, 1);
    remember(&cache, 1, 2);
    let writing = {
        let cache = Arc::clone(&cache);
        spawn(move || remember(&cache, 0, 3))
    };
    if let Some(entry) = cache.find(image(&cache, 0)) {
        let number = remembered(&cache, 0, &entry);
        let from = entry.span().from.as_millis();
        assert_eq!([number as i64, from], [3; 2], "half of one, half of another");
    }
    writing.join().expect("it fills");
}

/// A process that verifies, and what was acknowledged to it.
struct Process {
    file: Arc<File>,
    acknowledged: AtomicU64,
    coherence: Coherence,
}

impl Process {
    /// One that has followed the file and has cached session 0.
    fn new(commits: &[Commit]) -> Arc<Self> {
        let file = File::new(commits);
        let coherence = Coherence::new(WalIndex::new(&file), cache(2));
        let process = Self { file, acknowledged: AtomicU64::new(0), coherence };
        process.verifies(ABSENT);
        process.fills();
        assert!(process.verifies(0) && process.acknowledged.load(Ordering::Relaxed) == 0);
        Arc::new(process)
    }

    /// Commits, and is acknowledged.
    fn commits(&self, which: usize) {
        self.file.commit(which);
        self.acknowledged.fetch_or(1 << which, Ordering::Release);
    }

    /// Whether a session is answered from memory, which catches up if need be. Each commit ends
    /// session 0: none may have been acknowledged before.
    fn verifies(&self, which: usize) -> bool {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let image = image(&self.coherence.cache, which);
        let found = self.coherence.find(image).expect("the model does not fail");
        assert!(found.is_none() || acknowledged == 0, "stale: {acknowledged:b} was acknowledged");
        found.is_some()
    }

    /// Asks the file for session 0, and caches the answer.
    fn fills(&self) {
        let fill = self.coherence.begin_fill(image(&self.coherence.cache, 0));
        if !self.file.snapshot().has(0) {
            fill.remember(&principal(0, 1), &privileges(1), span(0));
        }
    }
}

/// A session that is never cached.
const ABSENT: usize = 1;

/// The changes that may end a session, each by stamps of its own.
const ENDS: &[fn()] = &[one, user, everyone, swept];

fn one() {
    ended_by(Commit::Row(Change::Session(session(0))));
}

fn user() {
    ended_by(Commit::Row(Change::User(USER)));
}

fn everyone() {
    ended_by(Commit::Row(Change::Everyone));
}

fn swept() {
    ended_by(Commit::Sweep(expiry(0)));
}

/// One commits and catches up, while another verifies what ended.
fn ended_by(commit: Commit) {
    let process = Process::new(&[commit]);
    let following = {
        let process = Arc::clone(&process);
        spawn(move || {
            process.commits(0);
            process.verifies(ABSENT);
        })
    };
    process.verifies(0);
    following.join().expect("it follows");
    assert!(!process.verifies(0));
}

/// Two commit and catch up, while a third verifies.
fn two_catch_ups() {
    let process = Process::new(&[Commit::Row(Change::User(USER)), Commit::Sweep(expiry(0))]);
    let following = [0, 1].map(|which| {
        let process = Arc::clone(&process);
        spawn(move || {
            process.commits(which);
            process.verifies(0);
        })
    });
    process.verifies(0);
    following.into_iter().for_each(|one| one.join().expect("it follows"));
    assert!(!process.verifies(0));
}

/// One asks the file and fills, while another ends the session and catches up.
fn fill() {
    let process = Process::new(&[Commit::Row(Change::Session(session(0)))]);
    let following = {
        let process = Arc::clone(&process);
        spawn(move || {
            process.commits(0);
            process.verifies(ABSENT);
        })
    };
    process.fills();
    following.join().expect("it follows");
    process.verifies(0);
}
