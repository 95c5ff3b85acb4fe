//! Where the file stands, looked at by path: kind, links, owner, permissions, file system.
//!
//! Nothing here opens the file. Only `stat`, `access`, `statfs` and `chmod` are used.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::beside::{self, beside};
use crate::error::{Error, Reason, Result};
use crate::value::limits;

/// What a host has said that it accepts about the place of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tolerances {
    pub(crate) network_file_system: bool,
    pub(crate) hard_links: bool,
    pub(crate) foreign_owner: bool,
    pub(crate) shared_directory: bool,
}

/// What to do about a path that leads to no file.
const NOWHERE: &str = "Create the directory, or correct the path or the link that leads nowhere.";

/// How many files a connection opens, at most.
const FILES_OF_A_CONNECTION: usize = 4;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Where the file stands, and what was noticed about it when it was opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) notes: Vec<Note>,
}

/// Something noticed at the opening that a host may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// The file was readable or writable by others; its permissions are 0600 now.
    PermissionsTightened,
    /// The file system is one (FUSE, 9p, virtiofs, a virtual machine's shared folder, a network)
    /// whose locks and shared memory were tried. Whether another machine sees them is not known.
    UnusualFileSystem,
    /// The file was written by a newer version, which says that this one may use it.
    NewerSchema,
    /// The file was migrated; a verified backup of the old version stands beside it.
    Migrated,
}

/// Turns what the host gave into the one absolute path of the file.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
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
        return Err(Error::not_found("the path is a symbolic link to nothing").advising(NOWHERE));
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

/// Looks at the directory and the file system before anything is created.
pub(super) fn check_directory(path: &Path, tolerances: Tolerances) -> Result<Option<Note>> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let seen = fs::metadata(directory).map_err(|error| from_io(&error))?;
    if !seen.is_dir() {
        return Err(bad_path("the parent of the path is not a directory"));
    }
    if seen.mode() & 0o002 != 0 && !tolerances.shared_directory {
        return Err(Error::new(Reason::Unsafe, "anyone may write to the directory of the file"));
    }
    may(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    accept(file_system(directory)?, tolerances)
}

fn accept(file_system: FileSystem, tolerances: Tolerances) -> Result<Option<Note>> {
    match file_system {
        FileSystem::Local => Ok(None),
        FileSystem::Unusual => Ok(Some(Note::UnusualFileSystem)),
        FileSystem::Network if tolerances.network_file_system => Ok(Some(Note::UnusualFileSystem)),
        FileSystem::Network => Err(Error::new(
            Reason::Unsupported,
            "the file stands on a network file system, whose locks cannot be trusted",
        )),
    }
}

/// Looks at the file itself; `None` if there is none.
pub(super) fn check_file(path: &Path, tolerances: Tolerances) -> Result<Option<u64>> {
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(from_io(&error)),
    };
    if seen.is_dir() {
        return Err(bad_path("the path is a directory"));
    }
    if !seen.is_file() {
        return Err(bad_path("the path is not a regular file"));
    }
    if seen.nlink() > 1 && !tolerances.hard_links {
        return Err(Error::new(Reason::Unsafe, "the file has more than one hard link"));
    }
    if seen.uid() != rustix::process::geteuid().as_raw() && !tolerances.foreign_owner {
        return Err(Error::new(Reason::Unsafe, "the file belongs to another user"));
    }
    if is_mounted_alone(path) && !tolerances.hard_links {
        return Err(Error::new(
            Reason::Unsafe,
            "the file is mounted alone, without its directory",
        )
        .advising(
            "Mount the directory of the file instead of the file alone, or opt in through \
                 Options.",
        ));
    }
    for suffix in beside::SUFFIXES {
        check_beside(&beside(path, suffix))?;
    }
    may(path, Access::READ_OK | Access::WRITE_OK)?;
    Ok(Some(seen.len()))
}

/// SQLite would follow a link here, and write elsewhere what belongs to the file.
fn check_beside(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_file() => match ask(path, Access::READ_OK | Access::WRITE_OK) {
            // Gone in between, with whoever had it open.
            Err(Errno::NOENT) => Ok(()),
            asked => asked.map_err(denied),
        },
        Ok(_) => Err(Error::new(Reason::Unsafe, "what lies beside the file is no regular file")
            .advising(
                "Move away what lies beside the file under the name of its log, shared memory or \
                 journal.",
            )),
        Err(_) => Ok(()),
    }
}

/// Whether the file is a mount of its own: under its other name the same file has another log.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_mounted_alone(path: &Path) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .is_ok_and(|seen| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_mounted_alone(_path: &Path) -> bool {
    false
}

pub(super) fn identity(path: &Path) -> Result<Identity> {
    let seen = fs::symlink_metadata(path).map_err(|error| from_io(&error))?;
    Ok(Identity { device: seen.dev(), inode: seen.ino() })
}

/// Creates the empty file, readable by its owner alone from its first instant. Answers whether it
/// was this call that created it.
///
/// The descriptor is closed before SQLite has ever opened this file in this process, so no lock
/// can be lost by that.
pub(super) fn create(path: &Path) -> Result<bool> {
    use std::os::unix::fs::OpenOptionsExt;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => return_rights(&file).map(|()| true).map_err(|error| from_io(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(from_io(&error)),
    }
}

/// The mask of the process may have taken rights from the owner as well.
fn return_rights(file: &fs::File) -> std::io::Result<()> {
    if file.metadata()?.mode() & 0o600 == 0o600 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Takes away what others may do with the file and the two beside it.
pub(super) fn tighten(path: &Path) -> Result<Option<Note>> {
    let mut note = None;
    for suffix in [""].into_iter().chain(beside::SUFFIXES) {
        let path = beside(path, suffix);
        let Ok(seen) = fs::symlink_metadata(&path) else { continue };
        if seen.mode() & 0o077 == 0 {
            continue;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|_| {
            Error::new(
                Reason::Unsafe,
                "others may read the file and its permissions cannot be changed: run chmod 600",
            )
        })?;
        note = Some(Note::PermissionsTightened);
    }
    Ok(note)
}

/// Whether the file system has so much room. If it does not tell, it may.
pub(super) fn has_room(path: &Path, bytes: u64) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|seen| {
        seen.f_blocks == 0 || seen.f_bavail.saturating_mul(seen.f_frsize) >= bytes
    })
}

pub(super) fn from_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => {
            Error::not_found("the directory of the file does not exist").advising(NOWHERE)
        }
        ErrorKind::PermissionDenied => {
            Error::new(Reason::NoPermission, "the system denies access to the file")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Error::new(Reason::ReadOnly, "the file system is mounted read-only")
        }
        ErrorKind::StorageFull => Error::new(Reason::Full, "the disk is full"),
        ErrorKind::NotADirectory => bad_path("a part of the path is not a directory"),
        ErrorKind::InvalidFilename => bad_path("a part of the path is too long"),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            bad_path("the symbolic links of the path go in a circle")
        }
        _ if is_out_of_files(error) => too_many_files(),
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
    }
}

fn bad_path(what: &'static str) -> Error {
    Error::invalid(what)
        .advising("Choose another path: the message says what is wrong with this one.")
}

/// SQLite has one word for many things that keep it from opening a file or letting it grow; what
/// the system says now tells which it was.
pub(super) fn explained(path: &Path, error: Error) -> Error {
    use rusqlite::ffi::{SQLITE_CANTOPEN, SQLITE_IOERR};
    let unsaid = |code| [SQLITE_CANTOPEN, SQLITE_IOERR].contains(&(code & 0xff));
    if !error.sqlite_code().is_some_and(unsaid) {
        return error;
    }
    let files: Vec<_> = (0..FILES_OF_A_CONNECTION).map(|_| fs::File::open("/")).collect();
    if files.iter().any(|file| file.as_ref().is_err_and(is_out_of_files)) {
        return too_many_files();
    }
    match rustix::fs::statvfs(path.parent().unwrap_or(Path::new("/"))) {
        Ok(seen) if seen.f_bavail == 0 || (seen.f_files > 0 && seen.f_favail == 0) => {
            Error::new(Reason::Full, "the disk has no room left")
        }
        _ => error,
    }
}

fn is_out_of_files(error: &std::io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|out| error.raw_os_error() == Some(out.raw_os_error()))
}

fn too_many_files() -> Error {
    Error::new(Reason::Io, "this program has as many files open as it may")
        .advising("Raise the number of files that this program may have open.")
}

fn may(path: &Path, access: Access) -> Result<()> {
    ask(path, access).map_err(denied)
}

fn ask(path: &Path, access: Access) -> rustix::io::Result<()> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)
}

fn denied(errno: Errno) -> Error {
    match errno {
        Errno::ROFS => Error::new(Reason::ReadOnly, "the file system is mounted read-only"),
        Errno::ACCESS | Errno::PERM => {
            Error::new(Reason::NoPermission, "this program's user may not read and write here")
        }
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    Local,
    Unusual,
    Network,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn file_system(directory: &Path) -> Result<FileSystem> {
    let seen = rustix::fs::statfs(directory).map_err(|_| {
        Error::new(Reason::Io, "the system does not say which file system this is")
    })?;
    // The width and sign of the field differ from machine to machine; its value has 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    #[expect(clippy::cast_sign_loss, reason = "see above")]
    let kind = seen.f_type as u32;
    Ok(file_system_of(kind))
}

/// `f_type` of `statfs(2)`, by the numbers in `linux/magic.h` and the drivers' sources.
#[cfg(any(target_os = "linux", target_os = "android"))]
const fn file_system_of(kind: u32) -> FileSystem {
    match kind {
        0x6969 // NFS
        | 0x517B // SMB
        | 0xFE53_4D42 // SMB2
        | 0xFF53_4D42 // CIFS
        | 0x564C // NCP
        | 0x5346_414F // AFS
        | 0x6B41_4653 // kAFS
        | 0x7375_7245 // Coda
        | 0x00C3_6400 // Ceph
        | 0x0BD0_0BD0 // Lustre
        | 0x0116_1970 // GFS2
        | 0x7461_636F // OCFS2
        => FileSystem::Network,
        0x6573_5546 // FUSE, virtiofs
        | 0x0102_1997 // 9p
        | 0x786F_4256 // VirtualBox
        | 0xBACB_ACBC // VMware
        | 0x7C7C_6673 // Parallels
        => FileSystem::Unusual,
        _ => FileSystem::Local,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn file_system(_directory: &Path) -> Result<FileSystem> {
    Ok(FileSystem::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_new_file_is_its_owners_alone_from_its_first_instant() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        assert!(create(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!create(&path).unwrap());
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

    #[test]
    fn network_file_systems_are_told_apart_by_their_numbers() {
        for network in [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x5346_414F, 0x6B41_4653] {
            assert_eq!(file_system_of(network), FileSystem::Network, "{network:#x}");
        }
        for unusual in [0x6573_5546, 0x0102_1997] {
            assert_eq!(file_system_of(unusual), FileSystem::Unusual, "{unusual:#x}");
        }
        // ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS.
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1] {
            assert_eq!(file_system_of(local), FileSystem::Local, "{local:#x}");
        }
    }

    #[test]
    fn a_network_is_refused_unless_the_host_opted_in() {
        let opted_in = Tolerances { network_file_system: true, ..Tolerances::default() };
        let refused = accept(FileSystem::Network, Tolerances::default()).unwrap_err();
        assert_eq!(refused.reason(), Reason::Unsupported);
        let noted = Some(Note::UnusualFileSystem);
        assert_eq!(accept(FileSystem::Network, opted_in).unwrap(), noted);
        assert_eq!(accept(FileSystem::Unusual, Tolerances::default()).unwrap(), noted);
        assert_eq!(accept(FileSystem::Local, Tolerances::default()).unwrap(), None);
    }

    #[test]
    fn what_the_system_denies_has_its_reason() {
        use std::io::{Error, ErrorKind};
        for (kind, reason) in [
            (ErrorKind::NotFound, Reason::NotFound),
            (ErrorKind::PermissionDenied, Reason::NoPermission),
            (ErrorKind::ReadOnlyFilesystem, Reason::ReadOnly),
            (ErrorKind::StorageFull, Reason::Full),
            (ErrorKind::NotADirectory, Reason::Invalid),
            (ErrorKind::Other, Reason::Io),
        ] {
            assert_eq!(from_io(&Error::from(kind)).reason(), reason, "{kind:?}");
        }
        for (errno, reason) in [
            (Errno::ROFS, Reason::ReadOnly),
            (Errno::ACCESS, Reason::NoPermission),
            (Errno::PERM, Reason::NoPermission),
            (Errno::IO, Reason::Io),
        ] {
            assert_eq!(denied(errno).reason(), reason, "{errno:?}");
        }
    }

    #[test]
    fn what_lies_beside_the_file_is_a_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        assert!(create(&path).unwrap());
        for suffix in beside::SUFFIXES {
            let link = beside(&path, suffix);
            std::os::unix::fs::symlink("/nowhere", &link).unwrap();
            let refused = check_file(&path, Tolerances::default()).unwrap_err();
            assert_eq!(refused.reason(), Reason::Unsafe, "{suffix}");
            fs::remove_file(link).unwrap();
        }
        assert_eq!(check_file(&path, Tolerances::default()).unwrap(), Some(0));
    }
}
