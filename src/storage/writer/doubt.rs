//! Commits in doubt: writes that failed with `CommitUnknown`, and their outcomes.
//!
//! A commit in doubt belongs to the process, not to the store that wrote it: the next opening of
//! the same file resolves it, whether the first store is still open, was closed or was dropped.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::files::{Files, Identity};
use super::super::fork::ThisProcess;
use super::group::{CommitMarks, Mark};
use crate::value::limits;

/// The outcome of a write that failed with
/// [`ErrorKind::CommitUnknown`](crate::ErrorKind::CommitUnknown).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[expect(clippy::exhaustive_enums, reason = "a commit has no other outcome")]
pub enum CommitOutcome {
    /// The write was applied and is durable.
    Applied,
    /// The write was not applied and never will be.
    NotApplied,
    /// The outcome cannot be proved: another process has written since, or the commit is not
    /// resolved yet.
    Unknown,
}

/// One file at one path. A backup that replaces the file, or a new store at the path, is a
/// different file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileKey {
    pub(crate) files: Files,
    pub(crate) identity: Identity,
    pub(crate) store_id: [u8; 16],
    /// The child of a fork inherits no doubt: the commit was not its own.
    pub(crate) process: ThisProcess,
}

/// A commit in doubt: its marks, and the fences that were written to resolve it.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    marks: CommitMarks,
    fences: Vec<(Mark, CommitOutcome)>,
}

/// The commits in doubt of one file.
#[derive(Debug)]
pub(super) struct Doubts {
    /// `None` in memory.
    file: Option<FileKey>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The commit that is not resolved yet: no write is accepted.
    open: Option<Doubt>,
    /// The outcome of the last commit in doubt.
    last: Option<CommitOutcome>,
    /// Whether the outcome of a commit since the last opening could not be proved.
    is_unprovable: bool,
}

/// The files of this process that have had a commit in doubt, oldest first.
static FILES: Mutex<Vec<Arc<Doubts>>> = Mutex::new(Vec::new());

impl Doubt {
    pub(super) fn new(marks: CommitMarks) -> Self {
        Self { marks, fences: Vec::new() }
    }

    /// The outcome of the commit, by the mark that was found in the file.
    pub(super) fn outcome(&self, found: Option<Mark>) -> CommitOutcome {
        let fenced = || self.fences.iter().find(|(fence, _)| Some(*fence) == found);
        match found {
            found if found == Some(self.marks.written) => CommitOutcome::Applied,
            found if found == self.marks.found => CommitOutcome::NotApplied,
            _ => fenced().map_or(CommitOutcome::Unknown, |(_, outcome)| *outcome),
        }
    }

    /// Records the mark of a fence that is about to be committed. If the resolution then fails,
    /// the next attempt may find this mark instead of the one that proves the outcome.
    pub(super) fn fence(&mut self, mark: Mark, outcome: CommitOutcome) {
        if self.fences.len() == limits::FENCES_REMEMBERED {
            self.fences.remove(0);
        }
        self.fences.push((mark, outcome));
    }
}

impl Doubts {
    /// The commits in doubt of the file, from an earlier opening if there were any.
    pub(super) fn of(file: Option<FileKey>) -> Arc<Self> {
        let files = FILES.lock();
        let known = files.iter().find(|doubts| file.is_some() && doubts.file == file);
        known.map_or_else(|| Arc::new(Self { file, state: Mutex::default() }), Arc::clone)
    }

    /// The commit that is not resolved yet.
    pub(super) fn unresolved(&self) -> Option<Doubt> {
        self.state.lock().open.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
    }

    pub(super) fn last(&self) -> Option<CommitOutcome> {
        self.state.lock().last
    }

    /// Leaves a commit to be resolved by the next opening.
    pub(super) fn leave(self: &Arc<Self>, doubt: Doubt) {
        {
            let mut state = self.state.lock();
            state.open = Some(doubt);
            state.last = Some(CommitOutcome::Unknown);
        }
        self.register();
    }

    /// Records that another process has written since: the outcome of the commit stays unknown.
    pub(super) fn leave_unprovable(self: &Arc<Self>) {
        {
            let mut state = self.state.lock();
            state.last = Some(CommitOutcome::Unknown);
            state.is_unprovable = true;
        }
        self.register();
    }

    /// Records the outcome of the commit that was left. The reported outcome must be true of every
    /// commit in doubt since the last opening, as a caller cannot distinguish which of them was
    /// its own.
    pub(super) fn resolved(&self, outcome: CommitOutcome) {
        let mut state = self.state.lock();
        state.open = None;
        state.last = Some(if state.is_unprovable { CommitOutcome::Unknown } else { outcome });
    }

    /// Called when the store is opened again and no commit is left to resolve.
    pub(super) fn clear_unprovable(&self) {
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
        let (files, process) = (Files::of(name.into()), ThisProcess::get());
        Some(FileKey { files, identity, store_id: [store; 16], process })
    }

    fn doubt() -> Doubt {
        Doubt::new(CommitMarks { written: [2; 16], found: Some([1; 16]) })
    }

    #[test]
    fn a_commit_in_doubt_is_found_again_only_for_the_same_file() {
        let first = Doubts::of(key("one", 1, 1));
        first.leave(doubt());
        assert!(Doubts::of(key("one", 1, 1)).is_open());
        // Another path; a backup in the place of the file; a new store whose file got the same
        // inode.
        for other in [key("two", 1, 1), key("one", 2, 1), key("one", 1, 2), None] {
            assert_eq!(Doubts::of(other).last(), None);
        }
        let memory = Doubts::of(None);
        memory.leave(doubt());
        assert_eq!(Doubts::of(None).last(), None);
    }

    #[test]
    fn the_numbers_of_files_and_fences_are_bounded() {
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
