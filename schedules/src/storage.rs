//! A model of the file as SQLite keeps it in WAL mode, by the names that the library has for it.
//!
//! A commit makes its state durable, then writes the second copy of the header, then the first,
//! word by word, and is acknowledged after that. A snapshot is what the header says when it is
//! taken. A reader that finds that its copies differ, or that its checksum does not fit, waits for
//! the writer; if the writer has died, the reader makes the header again and counts from zero. The
//! library's own code decides about the rows that a reader finds
//! (`storage/change_log/bookmark.rs`).

use std::sync::{Arc, Mutex as Plain};

use crate::bookmark;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, switch};
use crate::value::id::{SessionId, UserId};
use crate::value::time::Timestamp;

pub(crate) use crate::bookmark::{Bookmark, Change, Changes};
use crate::wal_index::rows_of_one_history;
pub(crate) use crate::wal_index::{Reading, WalIndex};

/// A header of the wal-index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header([u64; WORDS]);

const WORDS: usize = 6;

impl Header {
    pub(crate) const WORDS: usize = WORDS;

    pub(crate) fn words(&self) -> &[u64; WORDS] {
        &self.0
    }
}

/// Sessions of the one user.
pub(crate) const SESSIONS: usize = 2;

/// The file at one moment.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The principal of the user: each change is newer than the one before.
    pub(crate) principal: u64,
    pub(crate) is_live: [bool; SESSIONS],
    pub(crate) swept_to: i64,
    lineage: u8,
    head: i64,
    /// The first and the last number, and what all rows between them say.
    rows: Vec<(i64, i64, Change)>,
}

impl State {
    fn new() -> Self {
        let rows = vec![(1, 1, Change::Everyone)];
        let is_live = [true; SESSIONS];
        Self { principal: 1, is_live, swept_to: i64::MIN, lineage: 0, head: 1, rows }
    }

    /// Appends so many rows that say the same.
    pub(crate) fn changed(&mut self, change: Change, rows: i64) {
        self.rows.push((self.head + 1, self.head + rows, change));
        self.head += rows;
    }

    pub(crate) fn trim(&mut self, most: i64) {
        let Some((oldest, ..)) = self.rows.first() else { return };
        let (first, last) = bookmark::trimmable(*oldest, self.head, most);
        let left = |&(from, to, change): &(i64, i64, Change)| {
            let before = (from, to.min(first - 1), change);
            let behind = (from.max(last + 1), to, change);
            let all = if last < first { vec![(from, to, change)] } else { vec![before, behind] };
            all.into_iter().filter(|(from, to, _): &(i64, i64, Change)| from <= to)
        };
        self.rows = self.rows.iter().flat_map(left).collect();
    }

    /// A backup replaces the file, and no session that was open then is open now.
    pub(crate) fn restore(&mut self) {
        self.is_live = [false; SESSIONS];
        self.lineage += 1;
        self.rows.clear();
        self.changed(Change::Everyone, 1);
    }

    fn changes_since(&self, place: Option<Bookmark>) -> Changes {
        let oldest = self.rows.first().map(|(first, ..)| *first);
        let lineage = [self.lineage; 16];
        let (tag, audit, named) = rows_of_one_history();
        let log = bookmark::LogState { lineage, head: self.head, oldest, tag, audit, named };
        let from = log.read_on(place);
        let rows = from.map_or(Vec::new(), |from| {
            let behind = self.rows.iter().filter(|(_, last, _)| *last > from);
            behind.map(|(.., change)| *change).collect()
        });
        let swept_to = Timestamp::from_millis(self.swept_to);
        Changes { place: log.here(), complete: from.is_some(), rows, swept_to }
    }
}

/// A file and its wal-index, which all processes share.
#[derive(Debug)]
pub(crate) struct File {
    /// The first copy and the second.
    header: [AtomicU64; 2 * WORDS],
    writing: Mutex<()>,
    /// Never held while another thread may go on.
    wal: Plain<Wal>,
}

#[derive(Debug)]
struct Wal {
    /// Every header that was ever written, the newest last, with its meaning.
    written: Vec<(Header, State)>,
}

/// How far a commit gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// It is durable, and so many words of the header are written when its process is killed.
    KilledAfter(usize),
}

impl File {
    pub(crate) fn new() -> Arc<Self> {
        let first = next(&Header([3_007_000, 0, 0, 0, 7, 0]), 0, |words| words[2] += 1);
        let header = std::array::from_fn(|at| AtomicU64::new(first.0[at % WORDS]));
        let wal = Wal { written: vec![(first, State::new())] };
        Arc::new(Self { header, writing: Mutex::new(()), wal: Plain::new(wal) })
    }

    /// Commits a change; it is acknowledged when this returns, unless its process was killed.
    pub(crate) fn commit(&self, fate: Fate, change: impl FnOnce(&mut State)) {
        let writing = self.writing.lock();
        let (header, mut state) = self.current(&writing);
        change(&mut state);
        self.append(&writing, fate, state, header, |words| {
            words[1] += 1;
            words[2] += 1;
        });
    }

    /// A checkpoint has taken everything over, and the log begins again.
    pub(crate) fn reset(&self) {
        let writing = self.writing.lock();
        let (header, state) = self.current(&writing);
        self.append(&writing, Fate::Done, state, header, |words| {
            words[2] = 0;
            words[4] += 1;
        });
    }

    /// What the file says now.
    pub(crate) fn snapshot(&self) -> State {
        if let Some((_, state)) = self.whole() {
            return state;
        }
        let (_, state) = self.current(&self.writing.lock());
        state
    }

    /// What it says to the process that has the write lock. If the last writer has died in the
    /// middle of the header, it is made again from what was durable.
    fn current(&self, writing: &MutexGuard<'_, ()>) -> (Header, State) {
        if let Some(whole) = self.whole() {
            return whole;
        }
        let (durable, state) = self.wal().durable();
        let mended =
            self.append(writing, Fate::Done, state.clone(), durable, |words| words[1] = 0);
        (mended, state)
    }

    /// The header and its meaning, if its copies are equal and its checksum fits.
    fn whole(&self) -> Option<(Header, State)> {
        let [first, second] = self.copies();
        let state = self.wal().of(first).filter(|_| first == second)?;
        Some((first, state))
    }

    fn append(
        &self,
        _writing: &MutexGuard<'_, ()>,
        fate: Fate,
        state: State,
        behind: Header,
        count: impl FnOnce(&mut [u64; WORDS]),
    ) -> Header {
        let header = self.wal().push(behind, state, count);
        switch();
        let words = match fate {
            Fate::Done => 2 * WORDS,
            Fate::KilledAfter(words) => words,
        };
        for at in (WORDS..2 * WORDS).chain(0..WORDS).take(words) {
            self.header[at].store(header.0[at % WORDS], Ordering::SeqCst);
        }
        header
    }

    fn wal(&self) -> std::sync::MutexGuard<'_, Wal> {
        self.wal.lock().expect("no thread fails while it holds the log")
    }

    /// The first copy of the header, as it is.
    pub(crate) fn now(&self) -> Header {
        Header(std::array::from_fn(|at| self.header[at].load(Ordering::SeqCst)))
    }

    pub(crate) fn stable(&self) -> Option<Header> {
        let [first, second] = self.copies();
        (first == second).then_some(first)
    }

    pub(crate) fn changes_since(&self, place: Option<Bookmark>) -> Changes {
        let snapshot = self.snapshot();
        switch();
        snapshot.changes_since(place)
    }

    fn copies(&self) -> [Header; 2] {
        let read = |from: usize| {
            Header(std::array::from_fn(|at: usize| self.header[from + at].load(Ordering::SeqCst)))
        };
        [read(0), read(WORDS)]
    }
}

impl Wal {
    /// The meaning of a header; `None` if its checksum does not fit.
    fn of(&self, header: Header) -> Option<State> {
        let found = self.written.iter().rev().find(|(written, _)| *written == header);
        found.map(|(_, state)| state.clone())
    }

    fn durable(&self) -> (Header, State) {
        self.written.last().expect("there is a first one").clone()
    }

    fn push(
        &mut self,
        behind: Header,
        state: State,
        count: impl FnOnce(&mut [u64; WORDS]),
    ) -> Header {
        let header = next(&behind, self.written.len() as u64, count);
        self.written.push((header, state));
        header
    }
}

/// The header behind another one, with checksums of all that came before it.
fn next(header: &Header, frame: u64, count: impl FnOnce(&mut [u64; WORDS])) -> Header {
    let mut words = header.0;
    count(&mut words);
    words[3] = (words[3] ^ frame).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    words[5] = words.iter().take(5).fold(0, |sum, word| (sum ^ word).wrapping_mul(0x100_0193));
    Header(words)
}
