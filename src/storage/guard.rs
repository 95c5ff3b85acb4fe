//! Where the file stands, looked at by path: kind, links, owner, permissions, file system.
//!
//! Nothing here opens the file. Only `stat`, `access`, `statfs` and `chmod` are used.

mod file_system;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::fault::{bad_path, denied, from_io};
use super::files::{Files, Identity};
use crate::error::{Error, Reason, Result};

/// What a host has said that it accepts about the place of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tolerances {
    pub(crate) network_file_system: bool,
    pub(crate) hard_links: bool,
    pub(crate) foreign_owner: bool,
    pub(crate) shared_directory: bool,
}

/// Where the file stands, and what was noticed about it when it was opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) files: Files,
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

/// Looks at the directory and the file system before anything is created.
pub(super) fn check_directory(files: &Files, tolerances: Tolerances) -> Result<Option<Note>> {
    let directory = files.directory();
    let seen = fs::metadata(directory).map_err(|error| from_io(&error))?;
    if !seen.is_dir() {
        return Err(bad_path("the parent of the path is not a directory"));
    }
    if seen.mode() & 0o002 != 0 && !tolerances.shared_directory {
        return Err(Error::new(Reason::Unsafe, "anyone may write to the directory of the file"));
    }
    may(directory, Access::WRITE_OK | Access::EXEC_OK)?;
    file_system::check(directory, tolerances)
}

/// Looks at the file itself; `None` if there is none.
pub(super) fn check_file(files: &Files, tolerances: Tolerances) -> Result<Option<u64>> {
    let path = files.main.as_path();
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
    for sidecar in files.sidecars() {
        check_sidecar(sidecar)?;
    }
    may(path, Access::READ_OK | Access::WRITE_OK)?;
    Ok(Some(seen.len()))
}

/// SQLite would follow a link here, and write elsewhere what belongs to the file.
fn check_sidecar(path: &Path) -> Result<()> {
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

/// Takes away what others may do with the file and its sidecars.
pub(super) fn tighten(files: &Files) -> Result<Option<Note>> {
    let mut note = None;
    for path in [files.main.as_path()].into_iter().chain(files.sidecars()) {
        let Ok(seen) = fs::symlink_metadata(path) else { continue };
        if seen.mode() & 0o077 == 0 {
            continue;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|_| {
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

fn may(path: &Path, access: Access) -> Result<()> {
    ask(path, access).map_err(denied)
}

fn ask(path: &Path, access: Access) -> rustix::io::Result<()> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_its_owners_alone_from_its_first_instant() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        assert!(create(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!create(&path).unwrap());
    }

    #[test]
    fn what_lies_beside_the_file_is_a_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        assert!(create(&files.main).unwrap());
        for link in files.sidecars() {
            std::os::unix::fs::symlink("/nowhere", link).unwrap();
            let refused = check_file(&files, Tolerances::default()).unwrap_err();
            assert_eq!(refused.reason(), Reason::Unsafe, "{link:?}");
            fs::remove_file(link).unwrap();
        }
        assert_eq!(check_file(&files, Tolerances::default()).unwrap(), Some(0));
    }
}
