//! The checks of the files and their directory, by path, before the store is opened.
//!
//! The files of a store are looked at by `stat` alone: to open one of them from a process that has
//! the store open would drop the locks of SQLite.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
    let found = fs::symlink_metadata(path).ok()?;
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
    let narrow = mode & !bits;
    let outcome = match fix.then(|| fs::set_permissions(path, Permissions::from_mode(narrow))) {
        Some(Ok(())) => format!("It is {narrow:03o} now. {advice}"),
        Some(Err(error)) => format!("It cannot be changed: {error}. {advice}"),
        None => format!("It is 600 now, if the file system allows it. {advice}"),
    };
    Some(Finding::new(Severity::Warning, "permissions", said, outcome))
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
