//! The board on which every process says what it does to a session: two files beside the store, a
//! byte and a record for each session, of which only the byte is written more than once.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::WRITERS;

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    Live,
    /// A process is about to revoke it.
    Ending,
    /// Its end was acknowledged.
    Ended,
    /// It is swept as soon as it is found: by a clock that runs ahead, it has expired.
    Brief,
    /// It is deleted by hand as soon as it is found.
    Typed,
    /// It is ended by a process that may be killed meanwhile.
    Doomed,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Empty,
        Self::Live,
        Self::Ending,
        Self::Ended,
        Self::Brief,
        Self::Typed,
        Self::Doomed,
    ];
}

/// What the board says of a session or key: equal only if nothing was said meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing(u8);

impl Standing {
    pub(super) fn state(self) -> State {
        State::ALL[usize::from(self.0 % 8)]
    }
}

/// The device of a key.
pub(super) const NO_DEVICE: &str = "-";
/// The device of a key that was made from a session, and ends with it.
pub(super) const MADE: &str = "+";

/// The place of the key that was made from the session or key in that place.
pub(super) fn made(slot: u64) -> u64 {
    slot + 1
}

/// A session or key as it is on the board.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) slot: u64,
    pub(super) token: String,
    pub(super) device: String,
    pub(super) id: String,
}

/// Sessions that one writer may ever open.
const REGION: u64 = 1 << 20;
const RECORD_BYTES: usize = 160;

pub(super) struct Board {
    states: File,
    records: File,
    over: File,
    committing: File,
}

impl Board {
    pub(super) fn beside(store: &Path) -> Self {
        let open = |name: &str| {
            let path = store.with_file_name(name);
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false).open(path).unwrap()
        };
        Self {
            states: open("states"),
            records: open("records"),
            over: open("over"),
            committing: open("committing"),
        }
    }

    /// The first place of that writer.
    pub(super) fn first(writer: usize) -> u64 {
        u64::try_from(writer).unwrap() * REGION
    }

    /// Puts a new session on the board.
    pub(super) fn publish(&self, session: &Session, state: State) {
        let text = format!("{} {} {}", session.token, session.device, session.id);
        let mut record = [b' '; RECORD_BYTES];
        record[..text.len()].copy_from_slice(text.as_bytes());
        self.records.write_all_at(&record, session.slot * RECORD_BYTES as u64).unwrap();
        self.set(session.slot, state);
    }

    pub(super) fn set(&self, slot: u64, state: State) {
        self.set_in_turn(slot, state, 0);
    }

    /// For a session that is refused and valid in turn: each time the board says something else.
    pub(super) fn set_in_turn(&self, slot: u64, state: State, turn: u8) {
        self.states.write_all_at(&[state as u8 + 8 * turn], slot).unwrap();
    }

    pub(super) fn standing(&self, slot: u64) -> Standing {
        let mut byte = [0];
        let _ = self.states.read_at(&mut byte, slot).unwrap();
        Standing(byte[0])
    }

    /// The sessions that were published by that writer since.
    pub(super) fn read_on(&self, writer: usize, next: &mut u64) -> Vec<Session> {
        let mut found = Vec::new();
        while self.standing(Self::first(writer) + *next).state() != State::Empty {
            found.push(self.session(Self::first(writer) + *next));
            *next += 1;
        }
        found
    }

    pub(super) fn session(&self, slot: u64) -> Session {
        let mut record = [0; RECORD_BYTES];
        self.records.read_exact_at(&mut record, slot * RECORD_BYTES as u64).unwrap();
        let text = String::from_utf8(record.to_vec()).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let [token, device, id] = [words[0], words[1], words[2]].map(str::to_owned);
        Session { slot, token, device, id }
    }

    /// The places of all sessions in that state.
    pub(super) fn all(&self, wanted: State) -> Vec<u64> {
        let mut found = Vec::new();
        for writer in 0..WRITERS {
            let mut at = Self::first(writer);
            let mut bytes = [0; 4_096];
            'writer: loop {
                bytes.fill(0);
                let _ = self.states.read_at(&mut bytes, at).unwrap();
                for byte in bytes {
                    let state = Standing(byte).state();
                    if state == State::Empty {
                        break 'writer;
                    }
                    if state == wanted {
                        found.push(at);
                    }
                    at += 1;
                }
            }
        }
        found
    }

    pub(super) fn is_now_over(&self, round: u64) {
        self.over.write_all_at(&[1], round).unwrap();
    }

    pub(super) fn is_over(&self, round: u64) -> bool {
        let mut byte = [0];
        self.over.read_at(&mut byte, round).unwrap() == 1 && byte == [1]
    }

    /// Whether the process that will be killed is in the middle of a commit.
    pub(super) fn commits(&self, is: bool) {
        self.committing.write_all_at(&[u8::from(is)], 0).unwrap();
    }

    pub(super) fn is_committing(&self) -> bool {
        let mut byte = [0];
        self.committing.read_at(&mut byte, 0).unwrap() == 1 && byte == [1]
    }
}
