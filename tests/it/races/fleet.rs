//! Four processes of sixteen threads, or more, which do what each line says, and what they count.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;

use gatepost::host::ManualClock;
use gatepost::{Error, ErrorKind, Options, Store, Timestamp};

use crate::child::{Child, Parent};
use crate::world::{World, for_tests, morning};

pub(crate) const PROCESSES: usize = 4;
pub(crate) const THREADS: usize = 16;

/// Processes that race on one file.
pub(crate) struct Fleet {
    section: &'static str,
    path: PathBuf,
    seed: u64,
    rest: Vec<String>,
    pub(crate) children: Vec<Child>,
}

impl Fleet {
    /// Starts four processes and prints their numbers.
    #[track_caller]
    pub(crate) fn start(section: &'static str, world: &World, seed: u64, rest: &[&str]) -> Self {
        Self::of(PROCESSES, section, world, seed, rest)
    }

    /// Starts so many processes and prints their numbers.
    #[track_caller]
    pub(crate) fn of(
        processes: usize,
        section: &'static str,
        world: &World,
        seed: u64,
        rest: &[&str],
    ) -> Self {
        let rest = rest.iter().map(|word| String::from(*word)).collect();
        let path = world.path.clone();
        let mut fleet = Self { section, path, seed, rest, children: Vec::new() };
        let mut pids = vec![std::process::id().to_string()];
        for index in 0..processes {
            let (child, pid) = fleet.launch(index);
            fleet.children.push(child);
            assert!(!pids.contains(&pid), "{pid} twice");
            pids.push(pid);
        }
        println!("{section}: seed {seed}, pids {}", pids.join(" "));
        fleet
    }

    /// Kills one process and answers with what it had still said.
    pub(crate) fn kill(&mut self, index: usize) -> Vec<String> {
        self.children.remove(index).kill()
    }

    /// Puts a new process where one was killed.
    pub(crate) fn replace(&mut self, index: usize) {
        let (child, pid) = self.launch(index);
        println!("{}: replaced by pid {pid}", self.section);
        self.children.insert(index, child);
    }

    fn launch(&self, index: usize) -> (Child, String) {
        let path = self.path.to_str().unwrap();
        let (index, seed) = (index.to_string(), self.seed.to_string());
        let mut words = vec![self.section, path, &index, &seed];
        words.extend(self.rest.iter().map(String::as_str));
        let mut child = Child::start("race", &words);
        let pid = child.hear().strip_prefix("pid ").unwrap().to_owned();
        (child, pid)
    }

    /// Sends all of them a line and waits for the counts of each.
    pub(crate) fn race(&mut self, line: &str) -> Tally {
        self.send_all(line, None)
    }

    /// The same, and looks at the file again and again meanwhile.
    pub(crate) fn race_watched(&mut self, line: &str, mut look: impl FnMut()) -> Tally {
        self.send_all(line, Some(&mut look))
    }

    /// Sends all of them a line and counts what their threads say until each process has finished
    /// the round. The process of `kill` is killed meanwhile, and replaced.
    pub(crate) fn race_aloud(&mut self, line: &str, kill: Option<Kill>) -> Tally {
        self.children.iter_mut().for_each(|child| child.say(line));
        let mut heard = Tally::default();
        if let Some(Kill { victim, lines }) = kill {
            let child = &mut self.children[victim];
            let said = std::iter::repeat_with(|| child.hear());
            let mut before: Vec<String> =
                said.take(lines).take_while(|said| said != FINISHED).collect();
            before.extend(self.kill(victim));
            before.iter().filter(|said| *said != FINISHED).for_each(|said| heard.count(said));
        }
        for child in &mut self.children {
            let said = std::iter::repeat_with(|| child.hear());
            said.take_while(|said| said != FINISHED).for_each(|said| heard.count(&said));
        }
        if let Some(Kill { victim, .. }) = kill {
            self.replace(victim);
        }
        heard
    }

    fn send_all(&mut self, line: &str, look: Option<&mut dyn FnMut()>) -> Tally {
        thread::scope(|scope| {
            let ask = |child: &'_ mut Child| {
                child.say(line);
                child.hear()
            };
            let asking: Vec<_> =
                self.children.iter_mut().map(|child| scope.spawn(move || ask(child))).collect();
            if let Some(look) = look {
                while asking.iter().any(|one| !one.is_finished()) {
                    look();
                }
            }
            let mut sum = Tally::default();
            asking.into_iter().for_each(|one| sum.add_all(&Tally::read(&one.join().unwrap())));
            sum
        })
    }

    pub(crate) fn end(self) {
        self.children.into_iter().for_each(Child::end);
    }
}

/// The last line of a process in a round in which its threads speak.
const FINISHED: &str = "finished";

/// Which process of a round is killed, and after how many of its lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    victim: usize,
    lines: usize,
}

impl Kill {
    /// Thrown in one round of `every`: a kill after fewer than `most` lines.
    pub(crate) fn thrown(dice: &mut Dice, round: u64, every: u64, most: usize) -> Option<Self> {
        round
            .is_multiple_of(every)
            .then(|| Self { victim: dice.below(PROCESSES), lines: dice.below(most) })
    }
}

/// One process of a fleet, from the inside.
pub(crate) struct Racer {
    pub(crate) path: PathBuf,
    pub(crate) index: u64,
    pub(crate) seed: u64,
    pub(crate) rest: Vec<String>,
    pub(crate) clock: ManualClock,
}

impl Racer {
    pub(crate) fn of(words: &[String]) -> Self {
        Self {
            path: PathBuf::from(&words[1]),
            index: words[2].parse().unwrap(),
            seed: words[3].parse().unwrap(),
            rest: words[4..].to_vec(),
            clock: ManualClock::new(morning()),
        }
    }

    /// Opens the file with the options of the section.
    pub(crate) fn store(&self, change: impl FnOnce(Options) -> Options) -> Store {
        let options = for_tests().clock(Arc::new(self.clock.clone()));
        Store::open(&self.path, change(options)).unwrap()
    }

    /// Runs sixteen threads that begin at once, and adds up what they count.
    pub(crate) fn threads(&self, play: impl Fn(&mut Player) + Sync) -> Tally {
        self.threads_of(THREADS, play)
    }

    /// The same with so many threads.
    pub(crate) fn threads_of(&self, count: usize, play: impl Fn(&mut Player) + Sync) -> Tally {
        let begin = Barrier::new(count);
        thread::scope(|scope| {
            let spawn = |thread: usize| {
                let mut player = Player::new(self, count, thread);
                let (begin, play) = (&begin, &play);
                scope.spawn(move || {
                    begin.wait();
                    play(&mut player);
                    player.tally
                })
            };
            let running: Vec<_> = (0..count).map(spawn).collect();
            let mut sum = Tally::default();
            running.into_iter().for_each(|thread| sum.add_all(&thread.join().unwrap()));
            sum
        })
    }
}

/// One thread of a race.
pub(crate) struct Player {
    /// Its number among those of all processes.
    pub(crate) number: usize,
    pub(crate) dice: Dice,
    pub(crate) tally: Tally,
}

impl Player {
    fn new(racer: &Racer, threads: usize, thread: usize) -> Self {
        let number = usize::try_from(racer.index).unwrap() * threads + thread;
        let dice = Dice::new(racer.seed, u64::try_from(number).unwrap());
        Self { number, dice, tally: Tally::default() }
    }

    /// Makes a call until no other writer keeps it from the file; counts how often one did.
    #[track_caller]
    pub(crate) fn insist<T>(&mut self, mut call: impl FnMut() -> Result<T, Error>) -> T {
        loop {
            match call() {
                Ok(answer) => return answer,
                Err(error) if error.kind() == ErrorKind::Busy => self.tally.count("busy"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// SplitMix64: the same throws for the same seed, on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, thread: u64) -> Self {
        Self(seed.wrapping_mul(1_000_003).wrapping_add(thread))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).unwrap();
        usize::try_from((z ^ (z >> 31)) % bound).unwrap()
    }
}

/// Counts by name, which fit on one line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: &str, more: u64) {
        *self.0.entry(what.to_owned()).or_default() += more;
    }

    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, count)| self.add(what, *count));
    }

    /// The counts whose names begin with this word, each on a line of its own.
    pub(crate) fn line_of(&self, word: &str) -> String {
        let lines = self.0.iter().filter(|(what, _)| what.starts_with(word));
        lines.map(|(what, n)| format!("\n{what}: {n}")).collect()
    }

    pub(crate) fn line(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(what, n)| format!("{what}={n}")).collect();
        words.join(" ")
    }

    #[track_caller]
    pub(crate) fn read(line: &str) -> Self {
        let mut tally = Self::default();
        for word in line.split_whitespace() {
            let (what, count) = word.split_once('=').unwrap_or_else(|| panic!("no tally: {line}"));
            tally.add(what, count.parse().unwrap());
        }
        tally
    }
}

/// Marks that every process sees as soon as they are set: one byte each in a file.
pub(crate) struct Marks(File);

impl Marks {
    /// Beside the store, all of them clear if they are new.
    pub(crate) fn beside(store: &Path, name: &str) -> Self {
        let path = store.with_file_name(name);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(open.unwrap())
    }

    pub(crate) fn set(&self, mark: usize) {
        self.0.write_all_at(&[1], u64::try_from(mark).unwrap()).unwrap();
    }

    pub(crate) fn is_set(&self, mark: usize) -> bool {
        let mut byte = [0];
        let read = self.0.read_at(&mut byte, u64::try_from(mark).unwrap()).unwrap();
        read == 1 && byte == [1]
    }
}

/// A time as a word.
pub(crate) fn as_word(at: Timestamp) -> String {
    at.as_millis().to_string()
}

/// A time from a word.
pub(crate) fn from_word(word: &str) -> Timestamp {
    Timestamp::from_millis(word.parse().unwrap())
}

/// Plays a round for each line of the parent: threads say what happens, and the process says when
/// the round is finished.
pub(crate) fn each_round_aloud(parent: &mut Parent, mut round: impl FnMut(&str)) {
    each_round(parent, |line| {
        round(line);
        FINISHED.to_owned()
    });
}

/// Answers each line of the parent with a line, usually the counts of a round.
pub(crate) fn each_round(parent: &mut Parent, mut round: impl FnMut(&str) -> String) {
    while let Some(line) = parent.hear() {
        let answer = round(&line);
        parent.say(&answer);
    }
}
