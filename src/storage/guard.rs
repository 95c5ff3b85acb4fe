//! Checks of the place of the file, by path: its kind, links, owner, permissions and file system.
//!
//! **Locking.** Only `stat`, `access`, `statfs`, `statvfs` and `chmod` are used on an existing
//! file, never a descriptor.

mod file_system;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::fault::{bad_path, denied, from_io};
use super::files::{Files, Identity};
use crate::error::{Error, ErrorKind, Result};

/// The dangers of a place that the host program accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tolerances {
    pub(crate) network_file_system: bool,
    pub(crate) hard_links: bool,
    pub(crate) foreign_owner: bool,
    pub(crate) shared_directory: bool,
    pub(crate) wide_permissions: bool,
}

/// The paths and identity of the open file, and the warnings of its opening.
#[derive(Debug)]
pub(crate) struct FilePlace {
    pub(crate) files: Files,
    pub(crate) identity: Identity,
    pub(crate) warnings: Vec<OpenWarning>,
}

/// A condition that was found when the store was opened and that the host program may want to log.
///
/// ```
/// use gatepost::status::OpenWarning;
/// use gatepost::{Options, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// Store::open(&path, Options::server())?.close()?;
/// let store = Store::open(&path, Options::server().api_keys_per_user(2))?;
/// assert_eq!(store.status().open_warnings, [OpenWarning::OptionDiffers("api_keys_per_user")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OpenWarning {
    /// Other users could read or write the file; its permissions are 0600 now.
    PermissionsTightened,
    /// Other users can read or write the file, and its permissions cannot be changed. The host
    /// accepted it with `Options::dangerous().allow_wide_permissions()`.
    PermissionsWide,
    /// The file system is FUSE, 9p, virtiofs, a shared folder of a virtual machine, or a network
    /// file system that the host accepted. Its locks and shared memory work on this machine;
    /// whether another machine sees them is not known.
    UnusualFileSystem,
    /// A newer version wrote the file and allows this version to use it.
    NewerSchema,
    /// The file has a view that another program added. The store uses no view.
    ForeignView,
    /// Another user can write to the directory of the file: a member of its group, or its owner.
    /// They can delete or replace the file, or put a file of their own beside it, which a sticky
    /// bit does not prevent.
    SharedDirectory,
    /// The file beside the store with the name of its disk reserve was not written by the store. It
    /// is left as it is, and there is no reserve.
    ForeignReserve,
    /// The file is not the one in which its content was last: a copy, perhaps an older one, was put
    /// in its place by other means than [`Store::restore`](crate::Store::restore). Sessions, keys
    /// and tokens that were revoked since the copy was made are valid again:
    /// [`Store::adopt_restored`](crate::Store::adopt_restored) revokes them, and ends the warning.
    /// A store that was moved to another file system has the warning as well.
    PerhapsRestored,
    /// The file was migrated; a verified backup of the old version is beside it.
    Migrated,
    /// The file says `login_by_email`, and two of its users share an e-mail address, or the address
    /// of one is the username of another: a login with it reaches the user of that username, or
    /// neither.
    AmbiguousEmails,
    /// The keyring of this process has another current key than the file: call
    /// [`Store::rekey`](crate::Store::rekey). Until then every process seals under the file's key.
    RekeyDue,
    /// A policy option of this process, named by its setter, differs from the one stored in the
    /// file. The process uses its own.
    OptionDiffers(&'static str),
}

/// Checks the directory and the file system, before anything is created.
pub(super) fn check_directory(
    files: &Files,
    tolerances: Tolerances,
) -> Result<Option<OpenWarning>> {
    let directory = files.directory();
    let seen = fs::metadata(directory).map_err(|error| from_io(&error).at(directory))?;
    if seen.mode() & 0o002 != 0 && !tolerances.shared_directory {
        return Err(Error::new(
            ErrorKind::Unsafe,
            "anyone may write to the directory of the file; \
             Options::dangerous().allow_shared_directory() accepts it",
        )
        .at(directory));
    }
    may(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| error.at(directory))?;
    file_system::check(directory, tolerances).map_err(|error| error.at(directory))
}

/// Reports a directory that its group can write, or that belongs to a user who is neither this one
/// nor root.
pub(super) fn shared_directory(files: &Files, tolerances: Tolerances) -> Option<OpenWarning> {
    let seen = fs::metadata(files.directory()).ok()?;
    let owners = [0, rustix::process::geteuid().as_raw()];
    let is_shared = seen.mode() & 0o020 != 0 || !owners.contains(&seen.uid());
    (is_shared && !tolerances.shared_directory).then_some(OpenWarning::SharedDirectory)
}

/// Checks the file; returns its length, or `None` if it does not exist.
pub(super) fn check_file(files: &Files, tolerances: Tolerances) -> Result<Option<u64>> {
    let path = files.main.as_path();
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return check_sidecars(files).map(|()| None);
        }
        Err(error) => return Err(from_io(&error)),
    };
    if !seen.is_file() {
        return Err(bad_path("the path is a directory or no regular file"));
    }
    if seen.nlink() > 1 && !tolerances.hard_links {
        return Err(Error::new(
            ErrorKind::Unsafe,
            "the file has more than one hard link; \
             Options::dangerous().allow_hard_links() accepts it",
        ));
    }
    if seen.uid() != rustix::process::geteuid().as_raw() && !tolerances.foreign_owner {
        return Err(Error::new(
            ErrorKind::Unsafe,
            "the file belongs to another user; \
             Options::dangerous().allow_foreign_owner() accepts it",
        ));
    }
    if is_mounted_alone(path) && !tolerances.hard_links {
        return Err(Error::new(
            ErrorKind::Unsafe,
            "the file is mounted alone, without its directory; \
             Options::dangerous().allow_hard_links() accepts \
             it",
        )
        .advising(
            "Mount the directory of the file instead of the file alone, or set \
                 Options::dangerous().allow_hard_links().",
        ));
    }
    check_sidecars(files)?;
    for sidecar in files.sidecars() {
        match ask(sidecar, Access::READ_OK | Access::WRITE_OK) {
            // There is none, or another process that closed the file has deleted it in between.
            Err(Errno::NOENT) => {}
            asked => asked.map_err(|errno| denied(errno).at(sidecar))?,
        }
    }
    may(path, Access::READ_OK | Access::WRITE_OK)?;
    Ok(Some(seen.len()))
}

/// Refuses a WAL or journal whose database is missing or empty. It may hold what was committed to
/// a file that was moved or lost, and SQLite would delete it.
pub(super) fn check_no_orphan(files: &Files) -> Result<()> {
    if !files.has_orphan() {
        return Ok(());
    }
    Err(Error::corrupt("a log or journal lies beside a missing or empty file").advising(
        "Put the file that this log belongs to back beside it, or, if that file is lost for good, \
         move the log elsewhere.",
    ))
}

/// Checks what is beside a file that is only read, before SQLite opens it.
pub(super) fn check_beside(files: &Files) -> Result<()> {
    check_sidecars(files)?;
    check_no_orphan(files)
}

/// Refuses a symbolic link, which SQLite would follow and write the WAL or journal elsewhere, and a
/// pipe, at which it would wait.
fn check_sidecars(files: &Files) -> Result<()> {
    let is_other = |path: &&Path| fs::symlink_metadata(path).is_ok_and(|seen| !seen.is_file());
    let Some(other) = files.sidecars().into_iter().find(is_other) else { return Ok(()) };
    Err(Error::new(
        ErrorKind::Unsafe,
        "the log, shared memory or journal beside the file is not a regular file",
    )
    .advising(
        "Move away what lies beside the file under the name of its log, shared memory or journal.",
    )
    .at(other))
}

/// Whether the file is a bind mount of its own: under its other name the same file would have
/// another WAL.
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

/// Creates the empty file, readable by its owner alone from the first instant. Returns `false` if
/// it exists.
///
/// No lock can be lost: the descriptor is closed before SQLite opens this file in this process.
pub(super) fn create(path: &Path) -> Result<bool> {
    use std::os::unix::fs::OpenOptionsExt;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => return_rights(&file).map(|()| true).map_err(|error| from_io(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(from_io(&error)),
    }
}

/// The umask of the process may have taken rights from the owner.
fn return_rights(file: &fs::File) -> std::io::Result<()> {
    if file.metadata()?.mode() & 0o600 == 0o600 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Removes the permissions of other users from the file and the files beside it.
pub(super) fn tighten(files: &Files, tolerances: Tolerances) -> Result<Option<OpenWarning>> {
    tighten_by(files, tolerances, |path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
    })
}

/// As [`tighten`], with the call that changes the permissions.
fn tighten_by(
    files: &Files,
    tolerances: Tolerances,
    change: impl Fn(&Path) -> std::io::Result<()>,
) -> Result<Option<OpenWarning>> {
    let is_wide =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|seen| seen.mode() & 0o077 != 0);
    let mut warning = None;
    for path in [files.main.as_path()].into_iter().chain(files.sidecars()) {
        if !is_wide(path) {
            continue;
        }
        // Some file systems accept a change and ignore it.
        warning = if change(path).is_ok() && !is_wide(path) {
            warning.or(Some(OpenWarning::PermissionsTightened))
        } else if tolerances.wide_permissions {
            Some(OpenWarning::PermissionsWide)
        } else {
            return Err(too_wide().at(path));
        };
    }
    Ok(warning)
}

fn too_wide() -> Error {
    Error::new(
        ErrorKind::Unsafe,
        "other users may read the file and its permissions cannot be changed; \
         Options::dangerous().allow_wide_permissions() accepts it",
    )
    .advising(
        "Run chmod 600 on the file and on what is beside it, as their owner. On a mount that has \
         no permissions, mount it for this user alone (uid=, umask=077), or set \
         Options::dangerous().allow_wide_permissions().",
    )
}

/// Whether the file system has this much room; `true` if it does not report its size.
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

    /// A mount of another system: `chmod` fails, or it succeeds without effect.
    #[test]
    fn permissions_that_cannot_be_changed_are_refused_unless_the_host_opted_in() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        assert!(create(&files.main).unwrap());
        fs::set_permissions(&files.main, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        let ignored = |_: &Path| Ok(());
        let accepting = Tolerances { wide_permissions: true, ..Tolerances::default() };
        for result in [
            tighten_by(&files, Tolerances::default(), refused),
            tighten_by(&files, Tolerances::default(), ignored),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsafe);
            let option = "Options::dangerous().allow_wide_permissions()";
            assert!(error.to_string().contains(option) && error.advice().contains(option));
        }
        for result in
            [tighten_by(&files, accepting, refused), tighten_by(&files, accepting, ignored)]
        {
            assert_eq!(result.unwrap(), Some(OpenWarning::PermissionsWide));
        }
        assert_eq!(tighten(&files, accepting).unwrap(), Some(OpenWarning::PermissionsTightened));
        assert_eq!(tighten_by(&files, Tolerances::default(), refused).unwrap(), None);
    }

    #[test]
    fn a_file_beside_the_main_file_must_be_a_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::of(directory.path().join("auth.db"));
        assert!(create(&files.main).unwrap());
        for link in files.sidecars() {
            std::os::unix::fs::symlink("/nowhere", link).unwrap();
            let refused = check_file(&files, Tolerances::default()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsafe, "{link:?}");
            fs::remove_file(link).unwrap();
        }
        assert_eq!(check_file(&files, Tolerances::default()).unwrap(), Some(0));
    }
}
