//! The file of a store and what stands beside it: each path is built once, here.
//!
//! Everything is looked at by path. The journal alone is ever opened: SQLite holds no lock on it.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::fault::{bad_path, from_io, no_directory};
use crate::error::Result;
use crate::value::limits;

/// The paths of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The file itself: absolute, without symbolic links.
    pub(crate) main: PathBuf,
    /// SQLite's write-ahead log.
    pub(super) wal: PathBuf,
    /// The shared memory of the log: its wal-index.
    pub(super) shm: PathBuf,
    /// A rollback journal, as a creation or another journal mode leaves it.
    pub(super) journal: PathBuf,
    /// Room on the disk that is held for revocations.
    pub(super) reserve: PathBuf,
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

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

impl Files {
    /// The paths of the file that the host named.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        resolve(path).map(Self::of)
    }

    /// Those of a file whose path is resolved.
    pub(super) fn of(main: PathBuf) -> Self {
        Self {
            wal: with_suffix(&main, "-wal"),
            shm: with_suffix(&main, "-shm"),
            journal: with_suffix(&main, "-journal"),
            reserve: with_suffix(&main, "-reserve"),
            main,
        }
    }

    /// What SQLite keeps beside the file.
    pub(super) fn sidecars(&self) -> [&Path; 3] {
        [&self.wal, &self.shm, &self.journal]
    }

    /// The directory that they stand in.
    pub(super) fn directory(&self) -> &Path {
        self.main.parent().unwrap_or(Path::new("/"))
    }

    /// Whether a write-ahead log with something in it lies beside the file.
    pub(super) fn has_log(&self) -> bool {
        length(&self.wal) > 0
    }

    /// Whether something lies there that has no file to belong to: a log, its shared memory, or a
    /// journal with former content. The file was lost, or moved away while a process has it open
    /// and would write to the log of a new one.
    ///
    /// Asked for in this order, as another process may be creating them right now, the file first.
    pub(super) fn has_orphan(&self) -> bool {
        let is_there = self.has_log() || exists(&self.shm) || self.journal() == Journal::OfContent;
        is_there && length(&self.main) == 0
    }

    /// Whose changes the journal beside the file takes back.
    pub(super) fn journal(&self) -> Journal {
        let mut head = [0; JOURNAL_HEAD_BYTES];
        let read = fs::File::open(&self.journal).and_then(|mut file| file.read_exact(&mut head));
        match (read, head) {
            // Until it is flushed, and after a commit in some modes, it begins with zeros.
            (Err(_), _) | (Ok(()), [0, ..]) => Journal::None,
            (Ok(()), [magic @ .., _, _, _, _, _, _, _, _, 0, 0, 0, 0])
                if magic == JOURNAL_MAGIC =>
            {
                Journal::OfCreation
            }
            _ if is_of_a_creation_never_flushed(&head) => Journal::None,
            _ => Journal::OfContent,
        }
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

/// The path with a suffix behind its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether anything has this name, be it a link to nothing.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The length in bytes; 0 if the file does not exist.
pub(super) fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |seen| seen.len())
}

pub(super) fn identity(path: &Path) -> Result<Identity> {
    let seen = fs::symlink_metadata(path).map_err(|error| from_io(&error))?;
    Ok(Identity { device: seen.dev(), inode: seen.ino() })
}

/// Turns what the host gave into the one absolute path of the file.
fn resolve(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(bad_path("the path is empty or contains a zero byte"));
    }
    if bytes.starts_with(b"file:") || bytes.contains(&b'?') {
        return Err(bad_path("the path looks like an SQLite URI; give a plain path"));
    }
    // Looked at before the file system is asked: what is too long for it is no error of its own.
    check_name(path)?;
    let resolved = match fs::canonicalize(path) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => resolve_new(path)?,
        Err(error) => return Err(from_io(&error)),
    };
    if resolved.file_name().is_none() {
        return Err(bad_path("the path names no file"));
    }
    check_name(&resolved)?;
    if resolved.as_os_str().len() > limits::PATH_MAX_BYTES {
        return Err(bad_path("the whole path is longer than the 504 bytes of SQLite"));
    }
    Ok(resolved)
}

/// Whether there is room behind the name for what stands beside the file.
fn check_name(path: &Path) -> Result<()> {
    match path.file_name() {
        Some(name) if name.len() > limits::FILE_NAME_MAX_BYTES => {
            Err(bad_path("the name of the file is longer than 220 bytes"))
        }
        _ => Ok(()),
    }
}

/// A path to a file that did not exist a moment ago, in a directory that does. Another process may
/// be creating it right now.
fn resolve_new(path: &Path) -> Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok_and(|seen| seen.is_symlink()) {
        return Err(no_directory("the path is a symbolic link to nothing"));
    }
    let Some(name) = path.file_name() else {
        return Err(bad_path("the path names no file"));
    };
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(bad_path("the path names a directory"));
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = fs::canonicalize(directory).map_err(|error| from_io(&error))?;
    Ok(directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn a_suffix_goes_behind_the_whole_name() {
        let files = Files::of(PathBuf::from("/x/auth.db"));
        assert_eq!(files.wal, Path::new("/x/auth.db-wal"));
        assert_eq!(files.directory(), Path::new("/x"));
    }

    #[test]
    fn a_journal_says_whether_there_was_something_before() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        let check = |bytes: &[u8], expect| {
            fs::write(&files.journal, bytes).unwrap();
            assert_eq!(files.journal(), expect, "{bytes:?}");
        };
        assert_eq!(files.journal(), Journal::None);
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

    #[track_caller]
    fn check_path(path: &str, reason: Reason) {
        assert_eq!(resolve(Path::new(path)).unwrap_err().reason(), reason, "{path:?}");
    }

    #[test]
    fn a_path_that_is_no_plain_path_is_refused() {
        check_path("", Reason::Invalid);
        check_path("a\0b", Reason::Invalid);
        check_path("file:auth.db", Reason::Invalid);
        check_path("auth.db?mode=memory", Reason::Invalid);
        check_path("/no/such/directory/auth.db", Reason::NotFound);
        check_path("/", Reason::Invalid);
    }

    #[test]
    fn a_path_that_is_too_long_or_goes_in_a_circle_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("a".repeat(256));
        check_path(long.to_str().unwrap(), Reason::Invalid);

        let mut deep = directory.path().canonicalize().unwrap();
        while deep.as_os_str().len() < limits::PATH_MAX_BYTES - 251 {
            deep.push("a".repeat(100));
        }
        fs::create_dir_all(&deep).unwrap();
        let rest = limits::PATH_MAX_BYTES - deep.as_os_str().len() - 1;
        assert!(resolve(&deep.join("a".repeat(rest))).is_ok());
        check_path(deep.join("a".repeat(rest + 1)).to_str().unwrap(), Reason::Invalid);

        let circle = directory.path().join("circle");
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        check_path(circle.to_str().unwrap(), Reason::Invalid);
    }
}
