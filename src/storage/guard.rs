//! Where the file stands, looked at by path: kind, links, owner, permissions, file system.
//!
//! Nothing here opens the file. Only `stat`, `access`, `statfs` and `chmod` are used.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use crate::error::{Error, Reason, Result};

/// What a host has said that it accepts about the place of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tolerances {
    pub(crate) network_file_system: bool,
    pub(crate) hard_links: bool,
    pub(crate) foreign_owner: bool,
    pub(crate) shared_directory: bool,
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Something noticed at the opening that a host may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// The file was readable or writable by others; its permissions are 0600 now.
    PermissionsTightened,
    /// The file system is one (FUSE, 9p, virtiofs) whose locks and shared memory were probed.
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
        return Err(Error::invalid("the path is empty or contains a zero byte"));
    }
    if bytes.starts_with(b"file:") || bytes.contains(&b'?') {
        return Err(Error::invalid("the path looks like an SQLite URI; give a plain path"));
    }
    match fs::canonicalize(path) {
        Ok(resolved) => Ok(resolved),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => resolve_new(path),
        Err(error) => Err(from_io(&error)),
    }
}

/// A path to a file that does not exist yet, in a directory that does.
fn resolve_new(path: &Path) -> Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::not_found("the path is a symbolic link to nothing"));
    }
    let Some(name) = path.file_name() else {
        return Err(Error::invalid("the path names no file"));
    };
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
        return Err(Error::invalid("the parent of the path is not a directory"));
    }
    if seen.mode() & 0o002 != 0 && !tolerances.shared_directory {
        return Err(Error::new(Reason::Unsafe, "anyone may write to the directory of the file"));
    }
    may(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    match file_system(directory)? {
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
        return Err(Error::invalid("the path is a directory"));
    }
    if !seen.is_file() {
        return Err(Error::invalid("the path is not a regular file"));
    }
    if seen.nlink() > 1 && !tolerances.hard_links {
        return Err(Error::new(Reason::Unsafe, "the file has more than one hard link"));
    }
    if seen.uid() != rustix::process::geteuid().as_raw() && !tolerances.foreign_owner {
        return Err(Error::new(Reason::Unsafe, "the file belongs to another user"));
    }
    may(path, Access::READ_OK | Access::WRITE_OK)?;
    Ok(Some(seen.len()))
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
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(from_io(&error)),
    }
}

/// Takes away what others may do with the file and the two beside it.
pub(super) fn tighten(path: &Path) -> Result<Option<Note>> {
    let mut note = None;
    for suffix in ["", "-wal", "-shm"] {
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

/// Whether a write-ahead log with something in it lies beside the path.
pub(super) fn has_log(path: &Path) -> bool {
    fs::symlink_metadata(beside(path, "-wal")).is_ok_and(|seen| seen.len() > 0)
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn from_io(error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => Error::not_found("the directory of the file does not exist"),
        ErrorKind::PermissionDenied => {
            Error::new(Reason::NoPermission, "the system denies access to the file")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Error::new(Reason::ReadOnly, "the file system is mounted read-only")
        }
        ErrorKind::StorageFull => Error::new(Reason::Full, "the disk is full"),
        ErrorKind::NotADirectory => Error::invalid("a part of the path is not a directory"),
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
    }
}

fn may(path: &Path, access: Access) -> Result<()> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS).map_err(|errno| match errno {
        Errno::ROFS => Error::new(Reason::ReadOnly, "the file system is mounted read-only"),
        Errno::ACCESS | Errno::PERM => {
            Error::new(Reason::NoPermission, "this program's user may not read and write here")
        }
        _ => Error::new(Reason::Io, "the system reported an input or output error"),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    Local,
    Unusual,
    Network,
}

/// `f_type` of `statfs(2)`, by the numbers in `linux/magic.h` and the drivers' sources.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn file_system(directory: &Path) -> Result<FileSystem> {
    const NETWORK: [u32; 7] = [
        0x6969,      // NFS
        0x517B,      // SMB
        0xFE53_4D42, // SMB2
        0xFF53_4D42, // CIFS
        0x5346_414F, // AFS
        0x6B41_4653, // kAFS
        0x00C3_6400, // Ceph
    ];
    const UNUSUAL: [u32; 2] = [
        0x6573_5546, // FUSE, virtiofs
        0x0102_1997, // 9p
    ];
    let seen = rustix::fs::statfs(directory).map_err(|_| {
        Error::new(Reason::Io, "the system does not say which file system this is")
    })?;
    // The width and sign of the field differ from machine to machine; its value has 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    #[expect(clippy::cast_sign_loss, reason = "see above")]
    let kind = seen.f_type as u32;
    Ok(if NETWORK.contains(&kind) {
        FileSystem::Network
    } else if UNUSUAL.contains(&kind) {
        FileSystem::Unusual
    } else {
        FileSystem::Local
    })
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
    fn a_suffix_goes_behind_the_whole_name() {
        assert_eq!(beside(Path::new("/x/auth.db"), "-wal"), Path::new("/x/auth.db-wal"));
    }
}
