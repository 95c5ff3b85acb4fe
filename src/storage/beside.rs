//! What SQLite keeps beside a file: its log, the log's shared memory, a journal.
//!
//! Looked at by path. The journal alone is ever opened here: SQLite holds no lock on it.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What follows the name of the file.
pub(super) const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The first bytes of a journal that is to be rolled back.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Up to the end of the number of pages.
const JOURNAL_HEAD_BYTES: usize = 20;

/// Whose changes a journal takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journal {
    /// There is none, or SQLite takes no notice of it.
    None,
    /// Those of a transaction that found an empty file: nothing was ever committed to it.
    OfCreation,
    /// Those of a transaction on a file with something in it.
    OfContent,
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a write-ahead log with something in it lies beside the path.
pub(super) fn has_log(path: &Path) -> bool {
    length(&beside(path, "-wal")) > 0
}

/// Whether something lies there that has no file to belong to: a log, its shared memory, or a
/// journal with former content. The file was lost, or moved away while somebody has it open and
/// would write to the log of a new one.
///
/// Asked for in this order, as another process may be creating them right now, the file first.
pub(super) fn has_orphan(path: &Path) -> bool {
    let is_there =
        has_log(path) || exists(&beside(path, "-shm")) || journal(path) == Journal::OfContent;
    is_there && length(path) == 0
}

pub(super) fn journal(path: &Path) -> Journal {
    let mut head = [0; JOURNAL_HEAD_BYTES];
    let read =
        fs::File::open(beside(path, "-journal")).and_then(|mut file| file.read_exact(&mut head));
    match (read, head) {
        // Until it is flushed, and after a commit in some modes, it begins with zeros.
        (Err(_), _) | (Ok(()), [0, ..]) => Journal::None,
        (Ok(()), [magic @ .., _, _, _, _, _, _, _, _, 0, 0, 0, 0]) if magic == JOURNAL_MAGIC => {
            Journal::OfCreation
        }
        _ if is_of_a_creation_never_flushed(&head) => Journal::None,
        _ => Journal::OfContent,
    }
}

/// Whether the first flush of a journal that was begun on an empty file was cut off in its first
/// bytes. Nothing is written to a file before the flush of its journal is done, and of a journal
/// that was never flushed SQLite takes no notice.
fn is_of_a_creation_never_flushed(head: &[u8; JOURNAL_HEAD_BYTES]) -> bool {
    let [flushed @ .., _, _, _, _, 0, 0, 0, 0] = head else { return false };
    let begun = flushed.iter().zip(JOURNAL_MAGIC).take_while(|(one, other)| *one == other).count();
    begun > 0 && flushed.iter().skip(begun).all(|byte| *byte == 0)
}

/// Whether anything has this name, be it a link to nothing.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Nothing has no length.
pub(super) fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |seen| seen.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_goes_behind_the_whole_name() {
        assert_eq!(beside(Path::new("/x/auth.db"), "-wal"), Path::new("/x/auth.db-wal"));
    }

    #[test]
    fn a_journal_says_whether_there_was_something_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let check = |bytes: &[u8], expect| {
            fs::write(beside(&path, "-journal"), bytes).unwrap();
            assert_eq!(journal(&path), expect, "{bytes:?}");
        };
        assert_eq!(journal(&path), Journal::None);
        let head = |pages: u8| [&JOURNAL_MAGIC[..], &[0; 11], &[pages]].concat();
        check(b"", Journal::None);
        check(&JOURNAL_MAGIC, Journal::None);
        check(&[0; 512], Journal::None);
        check(&head(0), Journal::OfCreation);
        // The first flush writes the magic and a number behind it, and was cut off in them.
        let torn = |pages: u8, kept: usize| {
            let mut head = head(pages);
            head[kept..12].fill(0);
            head
        };
        for kept in 1..8 {
            check(&torn(0, kept), Journal::None);
            check(&torn(3, kept), Journal::OfContent);
            let mut noise = torn(0, kept);
            noise[11] = 7;
            check(&noise, Journal::OfContent);
        }
        check(&torn(0, 8), Journal::OfCreation);
        check(&[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Journal::OfContent);
        check(&head(3), Journal::OfContent);
        check(&[7; 512], Journal::OfContent);
    }
}
