//! The paths of a store: the main file and the files beside it. Each path is built here, once.
//!
//! Files are examined by path. Only the journal is ever opened, as SQLite has no lock on it.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;

use super::fault::{bad_path, from_io, no_directory};
use crate::error::{Error, ErrorKind, Result};
use crate::value::limits;

/// The paths of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The main file: absolute, without symbolic links.
    pub(crate) main: PathBuf,
    /// The write-ahead log (WAL).
    pub(super) wal: PathBuf,
    /// The shared memory of the WAL: the wal-index.
    pub(super) shm: PathBuf,
    /// The rollback journal, which a creation or another journal mode leaves.
    pub(super) journal: PathBuf,
    /// The disk reserve for revocations.
    pub(super) reserve: PathBuf,
}

/// The identity of a file, independent of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Identity {
    fn of(seen: &fs::Metadata) -> Self {
        Self { device: seen.dev(), inode: seen.ino() }
    }
}

/// The first bytes of a journal that SQLite would roll back.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length of the journal header up to and including the number of pages.
const JOURNAL_HEAD_BYTES: usize = 20;

/// Which transaction a journal rolls back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journal {
    /// There is no journal, or SQLite ignores it.
    None,
    /// A transaction that found an empty file: nothing was ever committed to it.
    OfCreation,
    /// A transaction on a file with content.
    OfContent,
}

impl Files {
    /// Resolves the path that the host program gave.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        resolve(path).map(Self::of)
    }

    /// The paths for a main file whose path is already resolved.
    pub(super) fn of(main: PathBuf) -> Self {
        Self {
            wal: with_suffix(&main, "-wal"),
            shm: with_suffix(&main, "-shm"),
            journal: with_suffix(&main, "-journal"),
            reserve: with_suffix(&main, "-reserve"),
            main,
        }
    }

    /// The copy of a backup that a restore of this store writes.
    pub(super) fn restoring(&self) -> PathBuf {
        with_suffix(&self.main, "-restoring")
    }

    /// The files that SQLite keeps beside the main file.
    pub(super) fn sidecars(&self) -> [&Path; 3] {
        [&self.wal, &self.shm, &self.journal]
    }

    /// The directory of the files.
    pub(super) fn directory(&self) -> &Path {
        self.main.parent().unwrap_or(Path::new("/"))
    }

    /// Whether there is a WAL that is not empty.
    pub(super) fn has_log(&self) -> bool {
        length(&self.wal) > 0
    }

    /// Whether there is a wal-index, and no WAL or an empty one.
    pub(super) fn lacks_log(&self) -> bool {
        length(&self.shm) > 0 && length(&self.wal) == 0
    }

    /// What there is of the main file and its journal.
    pub(super) fn seen(&self) -> Seen {
        Seen { main: stamp(&self.main), journal: stamp(&self.journal) }
    }

    /// Whether a WAL, wal-index or journal with content is beside a missing or empty main file.
    /// Then the main file was lost, or moved away while another process has it open, and that
    /// process would write to the WAL of the new file.
    ///
    /// Checked in this order because another process may be creating the files, the main file
    /// first.
    pub(super) fn has_orphan(&self) -> bool {
        let is_there = self.has_log() || exists(&self.shm) || self.journal() == Journal::OfContent;
        is_there && length(&self.main) == 0
    }

    /// Whether a WAL, wal-index or journal is where that of a new main file would be. Any journal
    /// with content counts: that of a creation would empty the new file.
    pub(super) fn has_left_over(&self) -> bool {
        self.has_log() || exists(&self.shm) || length(&self.journal) > 0
    }

    /// Which transaction the journal beside the file rolls back. What is no regular file is not
    /// read, and counts as none: the checks of the place refuse it.
    pub(super) fn journal(&self) -> Journal {
        let mut head = [0; JOURNAL_HEAD_BYTES];
        let opened = open_regular(&self.journal, fs::OpenOptions::new().read(true));
        let read = opened.map(|file| file.map(|mut file| file.read_exact(&mut head)));
        match (read, head) {
            // A journal begins with zeros until it is flushed, and in some modes after a commit.
            (Err(_) | Ok(None | Some(Err(_))), _) | (_, [0, ..]) => Journal::None,
            (_, [magic @ .., _, _, _, _, _, _, _, _, 0, 0, 0, 0]) if magic == JOURNAL_MAGIC => {
                Journal::OfCreation
            }
            _ if is_of_a_creation_never_flushed(&head) => Journal::None,
            _ => Journal::OfContent,
        }
    }
}

/// Whether this journal was begun on an empty file and its first flush was cut off in its first
/// bytes. SQLite writes nothing to the main file before the journal is flushed, and ignores a
/// journal that was never flushed.
fn is_of_a_creation_never_flushed(head: &[u8; JOURNAL_HEAD_BYTES]) -> bool {
    let [flushed @ .., _, _, _, _, 0, 0, 0, 0] = head else { return false };
    let begun = flushed.iter().zip(JOURNAL_MAGIC).take_while(|(one, other)| *one == other).count();
    begun > 0 && flushed.iter().skip(begun).all(|byte| *byte == 0)
}

/// The path with a suffix after its whole file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a regular file; returns `None`, without opening it, if something else is at the path. A
/// pipe would wait for its other end. A symbolic link may lead to the file of a store that this
/// process has open, whose locks SQLite loses when a descriptor of the file is closed.
pub(super) fn open_regular(
    path: &Path,
    options: &mut fs::OpenOptions,
) -> std::io::Result<Option<fs::File>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path).map(Some)
}

/// Whether the path exists, even as a dangling symbolic link.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The length in bytes; 0 if the file does not exist.
pub(super) fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |seen| seen.len())
}

/// The identity of what is at the path; `None` if nothing is.
///
/// # Errors
/// If the system does not say.
pub(super) fn found(path: &Path) -> Result<Option<Identity>> {
    is_found(fs::symlink_metadata(path))
}

fn is_found(seen: std::io::Result<fs::Metadata>) -> Result<Option<Identity>> {
    match seen {
        Ok(seen) => Ok(Some(Identity::of(&seen))),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => Err(from_io(&error)),
    }
}

pub(super) fn identity(path: &Path) -> Result<Identity> {
    let seen = fs::symlink_metadata(path).map_err(|error| from_io(&error))?;
    Ok(Identity::of(&seen))
}

/// What `stat` says of a file. With another stamp it is another file, or has other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: Identity,
    bytes: u64,
    modified: (i64, i64),
}

/// The main file and its journal, as they were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) main: Option<Stamp>,
    journal: Option<Stamp>,
}

/// The stamp of the file at the path; `None` if there is none.
fn stamp(path: &Path) -> Option<Stamp> {
    let seen = fs::symlink_metadata(path).ok()?;
    let identity = Identity::of(&seen);
    Some(Stamp { identity, bytes: seen.len(), modified: (seen.mtime(), seen.mtime_nsec()) })
}

/// Checks that the path still leads to the file that it led to before that was opened. A restore
/// puts another file in the place of a damaged one while other processes wait for its locks.
///
/// # Errors
/// `Busy` if it leads to another file, or to none.
pub(super) fn check_in_place(path: &Path, before: Identity) -> Result<()> {
    if found(path)? == Some(before) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Busy, "the file was replaced while it was being opened"))
}

/// The identity of an open file.
pub(super) fn identity_of(file: &fs::File) -> Result<Identity> {
    let seen = file.metadata().map_err(|error| from_io(&error))?;
    Ok(Identity::of(&seen))
}

/// By what the content of a file remembers the file that it is in. The device is not part of it:
/// its number changes with each boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) inode: i64,
    /// `None` if the file system does not keep the time of birth.
    pub(super) born_ns: Option<i64>,
}

/// A new file may get the inode of a deleted one, but not its time of birth.
pub(super) fn birth(path: &Path) -> Result<Birth> {
    let seen = fs::symlink_metadata(path).map_err(|error| from_io(&error))?;
    let born = seen.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born_ns = born.and_then(|age| i64::try_from(age.as_nanos()).ok());
    Ok(Birth { inode: seen.ino().cast_signed(), born_ns })
}

/// Turns the path that the host program gave into the one absolute path of the file.
fn resolve(path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(bad_path("the path is empty or contains a zero byte"));
    }
    if bytes == b":memory:" {
        return Err(bad_path(
            "\":memory:\" is a file name here; use Store::in_memory (feature test-util)",
        ));
    }
    if bytes.starts_with(b"file:") || bytes.contains(&b'?') || is_url(path) {
        return Err(bad_path("the path looks like a URL; give a plain path, such as auth.db"));
    }
    let resolved = match fs::canonicalize(path) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => resolve_new(path)?,
        Err(error) => return Err(from_io(&error)),
    };
    if resolved.file_name().is_none() {
        return Err(bad_path("the path has no file name at its end"));
    }
    check_name(&resolved)?;
    if resolved.as_os_str().len() > limits::PATH_MAX_BYTES {
        return Err(bad_path("the whole path is longer than the 504 bytes of SQLite"));
    }
    Ok(resolved)
}

/// Whether the path begins like a URL: with `sqlite:`, or with any scheme and `://`.
fn is_url(path: &Path) -> bool {
    let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once(':')) else {
        return false;
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme && (scheme.eq_ignore_ascii_case("sqlite") || rest.starts_with("//"))
}

/// Checks that the file name leaves room for the suffixes of the files beside it.
fn check_name(path: &Path) -> Result<()> {
    match path.file_name() {
        Some(name) if name.len() > limits::FILE_NAME_MAX_BYTES => {
            Err(bad_path("the name of the file is longer than 220 bytes"))
        }
        _ => Ok(()),
    }
}

/// Resolves the path of a file that did not exist a moment ago, in a directory that does. Another
/// process may be creating the file.
fn resolve_new(path: &Path) -> Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok_and(|seen| seen.is_symlink()) {
        return Err(no_directory("the path is a symbolic link to nothing"));
    }
    let Some(name) = path.file_name() else {
        return Err(bad_path("the path has no file name at its end"));
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
    use rustix::io::Errno;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_suffix_goes_behind_the_whole_name() {
        let files = Files::of(PathBuf::from("/x/auth.db"));
        assert_eq!(files.wal, Path::new("/x/auth.db-wal"));
        assert_eq!(files.directory(), Path::new("/x"));
    }

    #[test]
    fn a_path_that_cannot_be_looked_at_is_not_one_that_leads_nowhere() {
        let seen = |error: Errno| is_found(Err(error.into()));
        assert_eq!(seen(Errno::NOENT).unwrap(), None);
        assert_eq!(seen(Errno::NOTDIR).unwrap(), None);
        for (errno, kind) in [
            (Errno::ACCESS, ErrorKind::NoPermission),
            (Errno::IO, ErrorKind::Io),
            (Errno::STALE, ErrorKind::Io),
        ] {
            assert_eq!(seen(errno).unwrap_err().kind(), kind, "{errno}");
        }
    }

    #[test]
    fn a_journal_shows_whether_the_file_had_content_before() {
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
        // The first flush writes the magic and the record count; here it was cut off within them.
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
    fn check_path(path: &str, reason: ErrorKind) {
        assert_eq!(resolve(Path::new(path)).unwrap_err().kind(), reason, "{path:?}");
    }

    #[test]
    fn a_path_that_is_no_plain_path_is_refused() {
        check_path("", ErrorKind::Invalid);
        check_path("a\0b", ErrorKind::Invalid);
        check_path("file:auth.db", ErrorKind::Invalid);
        check_path("auth.db?mode=memory", ErrorKind::Invalid);
        check_path(":memory:", ErrorKind::Invalid);
        check_path("sqlite:auth.db", ErrorKind::Invalid);
        check_path("sqlite:///tmp/auth.db", ErrorKind::Invalid);
        check_path("file:///tmp/auth.db", ErrorKind::Invalid);
        let directory = tempfile::tempdir().unwrap();
        for name in ["a:b.db", "10:30.db", "memory", ":memory", "a_b://x"] {
            assert!(!is_url(Path::new(name)), "{name}");
        }
        assert!(resolve(&directory.path().join(":memory:")).is_ok());
        check_path("/no/such/directory/auth.db", ErrorKind::NotFound);
        check_path("/no/such/directory/..", ErrorKind::Invalid);
        check_path("/", ErrorKind::Invalid);
    }

    #[test]
    fn a_path_that_is_too_long_or_goes_in_a_circle_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("a".repeat(256));
        check_path(long.to_str().unwrap(), ErrorKind::Invalid);

        let mut deep = directory.path().canonicalize().unwrap();
        while deep.as_os_str().len() < limits::PATH_MAX_BYTES - 251 {
            deep.push("a".repeat(100));
        }
        fs::create_dir_all(&deep).unwrap();
        let rest = limits::PATH_MAX_BYTES - deep.as_os_str().len() - 1;
        assert!(resolve(&deep.join("a".repeat(rest))).is_ok());
        check_path(deep.join("a".repeat(rest + 1)).to_str().unwrap(), ErrorKind::Invalid);

        // Below the 255 bytes of most file systems, and without room for a suffix.
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("a".repeat(221)), &link).unwrap();
        fs::write(&link, "").unwrap();
        check_path(link.to_str().unwrap(), ErrorKind::Invalid);

        let circle = directory.path().join("circle");
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        check_path(circle.to_str().unwrap(), ErrorKind::Invalid);
    }
}
