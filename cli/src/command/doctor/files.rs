//! The checks of the files and their directory, by path, before the store is opened.
//!
//! To open a file of a store for reading or writing, from a process that has the store open, would
//! drop the locks of SQLite: no file is opened here so.

use std::fs::{self, Metadata};
#[cfg(target_os = "linux")]
use std::fs::{File, Permissions};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
#[cfg(target_os = "linux")]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[cfg(not(target_os = "linux"))]
use rustix::fs::AtFlags;
use rustix::fs::Mode;
#[cfg(target_os = "linux")]
use rustix::fs::OFlags;

use super::{Finding, Severity};
use crate::arguments::Global;

/// The bits of a mode by which other users than the owner have rights.
const OTHERS: u32 = 0o077;
/// Those by which other users can write.
const OTHERS_WRITE: u32 = 0o022;
/// Any user may write to a directory of the system such as `/tmp`, and that must stay so.
const STICKY: u32 = 0o1000;

/// The findings about the files; with `fix`, wide modes are narrowed.
pub(super) fn check(global: &Global, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key_file in global.key_file.iter().filter(|_| fix) {
        findings.extend(wide("the key file", key_file, OTHERS, fix));
    }
    let Ok(file) = fs::metadata(&global.file) else { return findings };
    // A store under a link has its log beside the target.
    let path = fs::canonicalize(&global.file).unwrap_or_else(|_| global.file.clone());
    if let Some(directory) = path.parent().filter(|_| fix) {
        findings.extend(wide("the directory", directory, OTHERS_WRITE, fix));
    }
    findings.extend(wide("the file", &path, OTHERS, fix));
    for (ending, what) in [("-wal", "the write-ahead log"), ("-shm", "the shared memory")] {
        let beside = with_ending(&path, ending);
        findings.extend(wide(what, &beside, OTHERS, fix));
        findings.extend(fs::symlink_metadata(beside).ok().and_then(|it| owner(what, &it, &file)));
    }
    findings
}

/// A finding if the mode has any of these bits; with `fix`, they are taken away.
///
/// Without it, the opening takes them from the file and what is beside it all the same, and the
/// opening reports the directory.
fn wide(what: &str, path: &Path, bits: u32, fix: bool) -> Option<Finding> {
    let held = Held::open(path).ok()?;
    let found = held.metadata().ok()?;
    let mode = found.mode() & 0o7777;
    if mode & bits == 0 || found.is_symlink() {
        return None;
    }
    let said = format!("{what} had the mode {:03o}: other users could change or read it", mode);
    let advice = "Find out which program changed it, and whether a copy of the file was taken.";
    if found.is_dir() && mode & STICKY != 0 {
        let advice = "Move the file to a directory of its own: this one is for all users.";
        return Some(Finding::new(Severity::Error, "permissions", said, advice));
    }
    let narrow = mode & 0o777 & !bits;
    let outcome = match fix.then(|| held.set_mode(narrow)) {
        Some(Ok(())) => format!("It is {narrow:03o} now. {advice}"),
        Some(Err(error)) => format!("It cannot be changed: {error}. {advice}"),
        None => format!("It is 600 now, if the file system allows it. {advice}"),
    };
    Some(Finding::new(Severity::Warning, "permissions", said, outcome))
}

/// A file that is held without being opened for reading or writing, so that no lock of SQLite is
/// dropped. What is done to it is done to this file, also if its name leads elsewhere by then.
#[cfg(target_os = "linux")]
struct Held(File);

#[cfg(target_os = "linux")]
impl Held {
    /// Holds a link itself, not what it leads to.
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?.into()))
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        fs::set_permissions(path, Permissions::from_mode(mode))
    }
}

/// A path, where no file can be held so. A link is never followed.
#[cfg(not(target_os = "linux"))]
struct Held(PathBuf);

#[cfg(not(target_os = "linux"))]
impl Held {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(path.to_owned()))
    }

    fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(&self.0)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let bits = rustix::fs::RawMode::try_from(mode).map_err(io::Error::other)?;
        let (mode, flags) = (Mode::from_raw_mode(bits), AtFlags::SYMLINK_NOFOLLOW);
        Ok(rustix::fs::chmodat(rustix::fs::CWD, &self.0, mode, flags)?)
    }
}

fn owner(what: &str, beside: &Metadata, file: &Metadata) -> Option<Finding> {
    (beside.uid() != file.uid()).then(|| {
        Finding::new(
            Severity::Error,
            "owner",
            format!("{what} belongs to the user {}, the file to {}", beside.uid(), file.uid()),
            format!("Run chown {} on it, while no process has the store open.", file.uid()),
        )
    })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_link_that_is_put_in_after_the_check_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [file, moved, other] =
            ["auth.db", "moved", "other"].map(|it| directory.path().join(it));
        for path in [&file, &other] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o664)).unwrap();
        }
        let held = Held::open(&file).unwrap();
        assert_eq!(held.metadata().unwrap().mode() & 0o7777, 0o664);
        fs::rename(&file, &moved).unwrap();
        symlink(&other, &file).unwrap();
        let _ = held.set_mode(0o600);
        assert_eq!(mode(&other), 0o664);
        #[cfg(target_os = "linux")]
        assert_eq!(mode(&moved), 0o600);
        assert!(Held::open(&file).unwrap().metadata().unwrap().is_symlink());
        assert!(wide("the file", &file, OTHERS, true).is_none());
        assert_eq!(mode(&other), 0o664);
    }

    #[test]
    fn what_is_narrowed_keeps_no_bit_beyond_the_rights() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("auth.db");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o4755)).unwrap();
        assert!(wide("the file", &file, OTHERS, true).is_some());
        assert_eq!(mode(&file), 0o700);
    }
}
