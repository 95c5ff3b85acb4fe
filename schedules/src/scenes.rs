//! The scenes: what runs at the same time, and what must be true of each answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::cache::coherence::Coherence;
use crate::cache::seqlock::SeqLock;
use crate::cache::{Cache, Image};
use crate::explore::Scene;
use crate::sessions::{
    STRANGER, USER, Zeros, expiry, image, principal, privileges, remembered, session, span,
};
use crate::storage::{Change, Fate, File, SESSIONS, State, WalIndex};
use crate::sync::switch;

pub(crate) const ALL: &[Scene] = &[
    Scene { name: "an_end_between_a_look_and_its_fill", play: fills, share: Some(25) },
    Scene { name: "commits_between_the_steps_of_a_catch_up", play: catch_ups, share: Some(25) },
    Scene { name: "whatever_happens_to_the_file", play: weather, share: Some(40) },
    Scene { name: "entries_that_drive_each_other_out", play: crowd, share: Some(10) },
    Scene { name: "words_are_read_whole_or_not_at_all", play: words, share: None },
];

/// One file, and the acknowledged writes of it: known to all at once, and read without a point at
/// which another thread may go on.
struct World {
    file: Arc<File>,
    principal: AtomicU64,
    is_ending: [AtomicBool; SESSIONS],
    has_ended: [AtomicBool; SESSIONS],
}

/// What a process may do to the file.
#[derive(Debug, Clone, Copy)]
enum Operation {
    End(usize),
    /// Deleted without a row: it expires at a time that verify knows.
    Sweep(usize),
    /// New principal of the user, reported by a row for the user or for everybody.
    Principal(Change),
    /// A change that no verified session depends on.
    Other,
    /// More rows than any process reads.
    Many,
    Trim,
    /// Ends everything.
    Restore,
    Reset,
    /// Durable and never acknowledged.
    KilledAfter(usize),
}

impl World {
    fn new() -> Arc<Self> {
        let no = || std::array::from_fn(|_| AtomicBool::new(false));
        let (is_ending, has_ended) = (no(), no());
        Arc::new(Self { file: File::new(), principal: AtomicU64::new(1), is_ending, has_ended })
    }

    fn does(&self, operation: Operation) {
        let ends = |which: usize| match operation {
            Operation::End(one) | Operation::Sweep(one) => one == which,
            Operation::Restore => true,
            _ => false,
        };
        let all = (0..SESSIONS).filter(|which| ends(*which));
        all.clone().for_each(|which| self.is_ending[which].store(true, Ordering::SeqCst));
        match operation {
            Operation::Reset => self.file.reset(),
            Operation::KilledAfter(words) => {
                self.file.commit(Fate::KilledAfter(words), |state| apply(operation, state));
            }
            _ => {
                let mut principal = 0;
                self.file.commit(Fate::Done, |state| {
                    apply(operation, state);
                    principal = state.principal;
                });
                self.principal.fetch_max(principal, Ordering::SeqCst);
            }
        }
        all.for_each(|which| self.has_ended[which].store(true, Ordering::SeqCst));
    }
}

fn apply(operation: Operation, state: &mut State) {
    match operation {
        Operation::End(which) if state.is_live[which] => {
            state.is_live[which] = false;
            state.changed(Change::Session(session(which)), 1);
        }
        Operation::Sweep(which) => {
            state.is_live[which] = false;
            state.swept_to = state.swept_to.max(expiry(which).as_millis());
        }
        Operation::Principal(change) => {
            state.principal += 1;
            state.changed(change, 1);
        }
        Operation::Many => state.changed(Change::User(STRANGER), 9_990),
        Operation::Trim => state.trim(32),
        Operation::Restore => state.restore(),
        Operation::End(_) | Operation::Other | Operation::Reset => {}
        Operation::KilledAfter(_) => {
            state.principal += 1;
            state.changed(Change::User(USER), 1);
        }
    }
}

/// One process that verifies.
struct Process {
    world: Arc<World>,
    coherence: Coherence,
    remembered: AtomicU64,
}

impl Process {
    fn new(world: &Arc<World>) -> Arc<Self> {
        let cache = Cache::new(ENTRIES, &Zeros).expect("zeros can be drawn");
        let coherence = Coherence::new(WalIndex::new(&world.file), cache);
        Arc::new(Self { world: Arc::clone(world), coherence, remembered: AtomicU64::new(0) })
    }

    /// Verifies a session and compares the answer with what was acknowledged before.
    fn verifies(&self, which: usize) {
        let world = &self.world;
        let had_ended = world.has_ended[which].load(Ordering::SeqCst);
        let principal = world.principal.load(Ordering::SeqCst);
        let answer = self.answer(which);
        let is_ending = world.is_ending[which].load(Ordering::SeqCst);
        match answer {
            Some(answered) => {
                assert!(!had_ended, "stale: passed after the end was acknowledged");
                assert!(
                    answered >= principal,
                    "stale: principal {answered} after {principal} were acknowledged"
                );
            }
            None => assert!(is_ending, "refused while it was live"),
        }
    }

    /// As `Store::verify` goes about it.
    fn answer(&self, which: usize) -> Option<u64> {
        let image = self.image(which);
        if let Some(entry) = self.coherence.find(image).expect("the model does not fail") {
            REMEMBERED.fetch_add(1, Ordering::Relaxed);
            return Some(remembered(&self.coherence.cache, which, &entry));
        }
        ASKED.fetch_add(1, Ordering::Relaxed);
        let fill = self.coherence.begin_fill(image);
        let state = self.world.file.snapshot();
        switch();
        if !state.is_live[which] {
            return None;
        }
        let (principal, privileges) =
            (principal(which, state.principal), privileges(state.principal));
        fill.remember(&principal, &privileges, span(which));
        Some(state.principal)
    }

    fn image(&self, which: usize) -> Image {
        image(&self.coherence.cache, which)
    }
}

const ENTRIES: usize = 8;

/// Verifies that were answered from memory, and from the file, in all schedules of a scene.
static REMEMBERED: AtomicU64 = AtomicU64::new(0);
static ASKED: AtomicU64 = AtomicU64::new(0);

/// What was verified since this was last asked.
pub(crate) fn counted() -> String {
    let [remembered, asked] = [&REMEMBERED, &ASKED].map(|count| count.swap(0, Ordering::Relaxed));
    format!("{remembered} verifies from memory, {asked} from the file")
}

/// Two threads of a process verify a session that another process ends.
fn fills() {
    let world = World::new();
    let process = Process::new(&world);
    let verifying: Vec<_> = (0..2)
        .map(|_| {
            let process = Arc::clone(&process);
            thread::spawn(move || (0..2).for_each(|_| process.verifies(0)))
        })
        .collect();
    world.does(Operation::End(0));
    verifying.into_iter().for_each(|one| one.join().expect("it verifies"));
    (0..2).for_each(|_| process.verifies(0));
}

/// Three threads verify; what one process changes is followed by what another one does.
fn catch_ups() {
    let world = World::new();
    let process = Process::new(&world);
    (0..SESSIONS).for_each(|which| process.verifies(which));
    let changing = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            world.does(Operation::Principal(Change::User(USER)));
            world.does(Operation::End(1));
        })
    };
    let verifying: Vec<_> = (0..2)
        .map(|which| {
            let process = Arc::clone(&process);
            thread::spawn(move || (0..3).for_each(|_| process.verifies(which)))
        })
        .collect();
    world.does(Operation::Other);
    world.does(Operation::Principal(Change::Everyone));
    changing.join().expect("it writes");
    verifying.into_iter().for_each(|one| one.join().expect("it verifies"));
    (0..SESSIONS).for_each(|which| process.verifies(which));
}

/// Two processes verify while a third does anything that can be done to a file.
fn weather() {
    let world = World::new();
    let processes = [Process::new(&world), Process::new(&world)];
    processes.iter().for_each(|process| process.verifies(0));
    let operations: Vec<Operation> = (0..5).map(|_| any()).collect();
    let changing = {
        let world = Arc::clone(&world);
        thread::spawn(move || operations.into_iter().for_each(|operation| world.does(operation)))
    };
    let verifying: Vec<_> = processes
        .iter()
        .cycle()
        .take(3)
        .enumerate()
        .map(|(thread, process)| {
            let process = Arc::clone(process);
            thread::spawn(move || (0..3).for_each(|turn| process.verifies((thread + turn) % 2)))
        })
        .collect();
    changing.join().expect("it writes");
    verifying.into_iter().for_each(|one| one.join().expect("it verifies"));
    for process in processes {
        (0..SESSIONS).for_each(|which| process.verifies(which));
    }
}

fn any() -> Operation {
    let mut dice = thread_rng();
    let which = dice.gen_range(0..SESSIONS);
    match dice.gen_range(0..16) {
        0..=2 => Operation::End(which),
        3 => Operation::Sweep(which),
        4 | 5 => Operation::Principal(Change::User(USER)),
        6 => Operation::Principal(Change::Everyone),
        7 => Operation::Other,
        8 => Operation::Many,
        9 | 10 => Operation::Trim,
        11 => Operation::Restore,
        12 | 13 => Operation::Reset,
        _ => Operation::KilledAfter(dice.gen_range(0..12)),
    }
}

/// Three sessions in a cache that has room for two, each filled and looked up by two threads.
fn crowd() {
    let cache = Arc::new(Cache::new(2, &Zeros).expect("zeros can be drawn"));
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let cache = Arc::clone(&cache);
            thread::spawn(move || {
                for which in [thread, 2, 1 - thread] {
                    remember(&cache, which);
                    (0..3).for_each(|which| is_itself_or_gone(&cache, which));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|one| one.join().expect("it fills"));
    let left = (0..3).filter(|which| cache.find(image(&cache, *which)).is_some()).count();
    assert!(left == 2 && cache.len() == 2, "{left} of 2 are left, and {} slots", cache.len());
}

fn remember(cache: &Cache, which: usize) {
    let epoch = cache.epoch();
    let image = image(cache, which);
    cache.fill(epoch, image, &principal(which, 1), &privileges(1), span(which));
}

fn is_itself_or_gone(cache: &Cache, which: usize) {
    if let Some(entry) = cache.find(image(cache, which)) {
        remembered(cache, which, &entry);
    }
}

/// Everything that can happen while one thread writes three words twice, and another reads them and
/// notes that they were used.
fn words() {
    let published = Arc::new(SeqLock::<3>::new());
    let writing = {
        let published = Arc::clone(&published);
        thread::spawn(move || (1..=2).for_each(|word| published.write(&[word; 3])))
    };
    if let Some((turn, words)) = published.read(&[]) {
        assert!(words == [1; 3] || words == [2; 3], "half of one and half of another: {words:?}");
        published.mark_used(turn);
    }
    writing.join().expect("it writes");
    assert_eq!(published.read(&[2]).map(|(_, words)| words), Some([2; 3]));
}
