//! Commits that were answered `CommitUnknown`, and what became of them.
//!
//! A commit in doubt belongs to the process, not to the store that wrote it: the next opening of
//! the same file settles it, whether the first store is still open, was closed or was dropped.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::files::{Files, Identity};
use super::group::{Mark, Marks};
use crate::value::limits;

/// What became of a write that was answered
/// [`Reason::CommitUnknown`](crate::Reason::CommitUnknown).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "complete by definition")]
pub enum CommitOutcome {
    /// The file holds the write, for good.
    Applied,
    /// The file does not hold the write, and never will.
    NotApplied,
    /// The file does not say: another process has written since, or the commit is not settled yet.
    Unknown,
}

/// One file under one path. A backup that replaces the file, or a new store, is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileKey {
    pub(crate) files: Files,
    pub(crate) identity: Identity,
    pub(crate) store_id: [u8; 16],
}

/// A commit in doubt: its marks, and the fences that were written to settle it.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    marks: Marks,
    fences: Vec<(Mark, CommitOutcome)>,
}

/// The commits of one file in doubt.
#[derive(Debug)]
pub(super) struct Doubts {
    /// `None` in memory.
    file: Option<FileKey>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Not settled yet: no write is accepted.
    open: Option<Doubt>,
    /// What became of the last one.
    last: Option<CommitOutcome>,
    /// Since the last opening, the outcome of a commit could not be proved.
    is_unprovable: bool,
}

/// The files of this process that have had a commit in doubt, the oldest first.
static FILES: Mutex<Vec<Arc<Doubts>>> = Mutex::new(Vec::new());

impl Doubt {
    pub(super) fn new(marks: Marks) -> Self {
        Self { marks, fences: Vec::new() }
    }

    /// What a mark found in the file says of the commit.
    pub(super) fn outcome(&self, found: Option<Mark>) -> CommitOutcome {
        let fenced = || self.fences.iter().find(|(fence, _)| Some(*fence) == found);
        match found {
            found if found == Some(self.marks.written) => CommitOutcome::Applied,
            found if found == self.marks.found => CommitOutcome::NotApplied,
            _ => fenced().map_or(CommitOutcome::Unknown, |(_, outcome)| *outcome),
        }
    }

    /// Remembers the mark of a fence that is about to be committed. If the settlement fails after
    /// that, the next one may find it in the place of the mark that said the outcome.
    pub(super) fn fence(&mut self, mark: Mark, outcome: CommitOutcome) {
        if self.fences.len() == limits::FENCES_REMEMBERED {
            self.fences.remove(0);
        }
        self.fences.push((mark, outcome));
    }
}

impl Doubts {
    /// The doubts that this process has about the file, from an earlier opening or none yet.
    pub(super) fn of(file: Option<FileKey>) -> Arc<Self> {
        let files = FILES.lock();
        let known = files.iter().find(|doubts| file.is_some() && doubts.file == file);
        known.map_or_else(|| Arc::new(Self { file, state: Mutex::default() }), Arc::clone)
    }

    /// The commit that is not settled yet.
    pub(super) fn open(&self) -> Option<Doubt> {
        self.state.lock().open.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
    }

    pub(super) fn last(&self) -> Option<CommitOutcome> {
        self.state.lock().last
    }

    /// Leaves a commit for the next settlement.
    pub(super) fn leave(self: &Arc<Self>, doubt: Doubt) {
        {
            let mut state = self.state.lock();
            state.open = Some(doubt);
            state.last = Some(CommitOutcome::Unknown);
        }
        self.register();
    }

    /// Another process has written since: the outcome of the commit stays unknown.
    pub(super) fn leave_unprovable(self: &Arc<Self>) {
        {
            let mut state = self.state.lock();
            state.last = Some(CommitOutcome::Unknown);
            state.is_unprovable = true;
        }
        self.register();
    }

    /// The commit that was left is settled. What is said is true of every commit that was left
    /// since the last opening, as a caller cannot tell which of them was its own.
    pub(super) fn settle(&self, outcome: CommitOutcome) {
        let mut state = self.state.lock();
        state.open = None;
        state.last = Some(if state.is_unprovable { CommitOutcome::Unknown } else { outcome });
    }

    /// The store was opened again, and nothing is left to settle.
    pub(super) fn begin_anew(&self) {
        self.state.lock().is_unprovable = false;
    }

    fn register(self: &Arc<Self>) {
        let mut files = FILES.lock();
        if self.file.is_none() || files.iter().any(|doubts| doubts.file == self.file) {
            return;
        }
        if files.len() == limits::FILES_IN_DOUBT_MAX {
            files.remove(0);
        }
        files.push(Arc::clone(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, inode: u64, store: u8) -> Option<FileKey> {
        let identity = Identity { device: 1, inode };
        Some(FileKey { files: Files::of(name.into()), identity, store_id: [store; 16] })
    }

    fn doubt() -> Doubt {
        Doubt::new(Marks { written: [2; 16], found: Some([1; 16]) })
    }

    #[test]
    fn a_doubt_is_found_again_by_the_very_same_file_alone() {
        let first = Doubts::of(key("one", 1, 1));
        first.leave(doubt());
        assert!(Doubts::of(key("one", 1, 1)).is_open());
        // Another path, a backup put in its place, a new store whose file got the same number.
        for other in [key("two", 1, 1), key("one", 2, 1), key("one", 1, 2), None] {
            assert_eq!(Doubts::of(other).last(), None);
        }
        let in_memory = Doubts::of(None);
        in_memory.leave(doubt());
        assert_eq!(Doubts::of(None).last(), None);
    }

    #[test]
    fn so_many_files_and_fences_are_remembered_and_no_more() {
        for n in 0..2 * limits::FILES_IN_DOUBT_MAX {
            Doubts::of(key(&format!("many {n}"), 9, 9)).leave(doubt());
        }
        assert!(FILES.lock().len() <= limits::FILES_IN_DOUBT_MAX);

        let mut doubt = doubt();
        for n in 10..30 {
            doubt.fence([n; 16], CommitOutcome::Applied);
        }
        assert_eq!(doubt.fences.len(), limits::FENCES_REMEMBERED);
        assert_eq!(doubt.outcome(Some([29; 16])), CommitOutcome::Applied);
        assert_eq!(doubt.outcome(Some([10; 16])), CommitOutcome::Unknown);
        assert_eq!(doubt.outcome(None), CommitOutcome::Unknown);
    }
}
