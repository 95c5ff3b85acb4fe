//! The files as they are after so many of the recorded calls.

use std::fs;
use std::path::Path;

use crate::place::beside;
use crate::shim::{Entry, Which};

/// The bytes of each file; `None` if it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Image {
    pub(crate) database: Option<Vec<u8>>,
    pub(crate) log: Option<Vec<u8>>,
    pub(crate) journal: Option<Vec<u8>>,
}

impl Image {
    pub(crate) fn of((database, log): (Option<&[u8]>, Option<&[u8]>)) -> Self {
        let [database, log] = [database, log].map(|bytes| bytes.map(<[u8]>::to_vec));
        Self { database, log, journal: None }
    }

    /// The files as they are now.
    pub(crate) fn at(path: &Path) -> Self {
        let read = |suffix| fs::read(beside(path, suffix)).ok();
        Self { database: read(""), log: read("-wal"), journal: read("-journal") }
    }

    pub(crate) fn file(&mut self, which: Which) -> Option<&mut Option<Vec<u8>>> {
        match which {
            Which::Database => Some(&mut self.database),
            Which::Log => Some(&mut self.log),
            Which::Journal => Some(&mut self.journal),
            Which::Other => None,
        }
    }

    /// Whether there is only a journal of noise. It does not show whether anything was there
    /// before, so it is refused and left as it is.
    pub(crate) fn is_noise_alone(&self) -> bool {
        let is_noise = |journal: &Vec<u8>| {
            journal.first().is_some_and(|first| *first != 0) && !journal.starts_with(&[0xd9, 0xd5])
        };
        let is_empty = self.database.as_ref().is_none_or(Vec::is_empty);
        is_empty && self.log.is_none() && self.journal.as_ref().is_some_and(is_noise)
    }

    /// As after this call.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        let Some(Some(file)) = entry.which().map(|which| self.file(which)) else { return };
        match entry {
            Entry::Created(_) => *file = Some(Vec::new()),
            Entry::Write { at, bytes, .. } => write(file.get_or_insert_default(), *at, bytes),
            Entry::Truncate { bytes, .. } => file.get_or_insert_default().resize(*bytes, 0),
            Entry::Delete { .. } => *file = None,
            Entry::Sync(_) | Entry::Answered => {}
        }
    }
}

pub(crate) fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
