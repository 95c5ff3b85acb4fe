//! What differs between platforms: permissions, and the calls of the operating system that the rest
//! of the crate may not make.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::error::{DeskError, Result};

/// An environment variable. `HOME` has a value also where the variable is missing, if the system
/// knows the account.
#[expect(clippy::disallowed_methods, reason = "the platform's rules name environment variables")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    match name {
        "HOME" => std::env::home_dir().map(OsString::from),
        _ => std::env::var_os(name),
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for another process, which no clock steers")]
pub(super) fn wait(span: Duration) {
    std::thread::sleep(span);
}

/// Makes the folder if it is not there, and takes it from other accounts.
pub(super) fn make(path: &Path) -> Result<()> {
    create(path).map_err(|error| DeskError::io(path, "the folder cannot be made", error))?;
    check(path)
}

/// For a file that only its owner can read. Opens no link, and waits for no other end of a pipe.
pub(super) fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "the folder's access list is inherited"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    options
}

/// Fails if the opened file belongs to another account, which put it there while it could write to
/// the folder.
pub(super) fn check_file(path: &Path, file: &File) -> Result<()> {
    let failed = |error| DeskError::io(path, "the file cannot be looked at", error);
    let seen = file.metadata().map_err(failed)?;
    if !is_own(&seen) {
        return Err(DeskError::folder(path, "the file belongs to another account"));
    }
    Ok(())
}

#[cfg(unix)]
fn is_own(seen: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(seen) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_seen: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(unix)]
fn check(path: &Path) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let failed = |error| DeskError::io(path, "the folder cannot be made private", error);
    let seen = std::fs::metadata(path).map_err(failed)?;
    if !is_own(&seen) {
        return Err(DeskError::folder(path, "the folder belongs to another account"));
    }
    if seen.mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).map_err(failed)
}

/// A rename or a removal in the folder survives a power loss afterwards.
#[cfg(unix)]
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// The folder inherits the access list of `%LOCALAPPDATA%`: the account, the system and its
/// administrators.
#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

#[cfg(not(unix))]
fn check(_path: &Path) -> Result<()> {
    Ok(())
}

/// A folder cannot be flushed there; the file system writes renames in order.
#[cfg(not(unix))]
pub(crate) fn sync(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn the_folder_is_private_from_the_first_instant_and_again_later() {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("share/com.example.till");
        make(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        make(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_file_in_its_place_and_the_folder_of_another_account_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(make(&file), Err(DeskError::Folder { source: Some(_), .. })));
        // Belongs to root everywhere; as root, another account's folder is made first.
        let others = if rustix::process::geteuid().is_root() {
            let path = directory.path().join("others");
            std::fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            path
        } else {
            "/usr".into()
        };
        assert!(make(&others).unwrap_err().to_string().contains("another account"));
    }
}
