//! The checks, each a function that returns its findings.
//!
//! The files of a store are looked at by `stat` alone: to open one of them from a process that has
//! the store open would drop the locks of SQLite.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatepost::audit::{AuditFilter, ChainCheck};
use gatepost::host::{Clock, KeyId, SystemClock};
use gatepost::status::{ChangeSignal, OpenWarning, Status};

use super::{Finding, Severity};
use crate::context::Context;
use crate::failure::Result;

/// The log is cut back to 4 MiB and stays below 8 MiB plus a second of writes, unless a reader
/// does not let go.
const LOG_MAX_BYTES: u64 = 16 * 1_048_576;
/// A store needs 128 KiB to write at all.
const FREE_LEAST_BYTES: u64 = 1_048_576;
const FREE_FEW_BYTES: u64 = 256 * 1_048_576;
/// Clocks of machines that share a file may differ by so much.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// The file, what is beside it, and its directory, before the store is opened.
pub(super) fn files(path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Ok(file) = fs::metadata(path) else { return findings };
    // A store under a link has its log beside the target.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    findings.extend(mode("the file", &file));
    for (ending, what) in [("-wal", "the write-ahead log"), ("-shm", "the shared memory")] {
        let Ok(beside) = fs::symlink_metadata(with_ending(&path, ending)) else { continue };
        findings.extend(mode(what, &beside));
        if beside.uid() != file.uid() {
            findings.push(Finding::new(
                Severity::Error,
                "owner",
                format!("{what} belongs to the user {}, the file to {}", beside.uid(), file.uid()),
                format!("Run chown {} on it, while no process has the store open.", file.uid()),
            ));
        }
    }
    findings
}

fn mode(what: &str, file: &Metadata) -> Option<Finding> {
    let mode = file.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Finding::new(
            Severity::Warning,
            "permissions",
            format!("{what} had the mode {mode:03o}: other users could read or write it"),
            "It is 600 now, if the file system allows it. Find out which program changed it, and \
             whether a copy of the file was taken.",
        )
    })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What the open store reports.
pub(super) fn store(context: &Context, quick: bool) -> Vec<Finding> {
    let status = context.store.status();
    let mut findings: Vec<Finding> = status.open_warnings.iter().filter_map(warning).collect();
    findings.extend(log(&status));
    findings.extend(change_signal(&status));
    findings.extend(status.path.as_deref().and_then(free_space));
    findings.extend(or_error("clock", clock(context)));
    if !quick {
        findings.extend(or_error("sealing", sealing(context)));
        findings.extend(or_error("audit", chains(context)));
    }
    findings
}

fn or_error(check: &'static str, found: Result<Option<Finding>>) -> Option<Finding> {
    found.unwrap_or_else(|failure| Some(Finding::of(check, &failure)))
}

fn warning(warning: &OpenWarning) -> Option<Finding> {
    use Severity::{Error, Note, Warning};
    let (severity, what, advice) = match warning {
        // `files` has said so, with the mode that was found.
        OpenWarning::PermissionsTightened => return None,
        OpenWarning::PermissionsWide => (
            Error,
            "other users can read or write the file, and its permissions cannot be changed",
            "Mount the file system for this user alone (uid=, umask=077).",
        ),
        OpenWarning::UnusualFileSystem => (
            Warning,
            "the file system is shared with another machine or system, or is FUSE",
            "Let the processes of one machine alone use the file, or move it to a local disk.",
        ),
        OpenWarning::NewerSchema => (
            Note,
            "a newer version of Gatepost wrote the file",
            "Upgrade this command to the version of the programs that use the file.",
        ),
        OpenWarning::ForeignView => (
            Warning,
            "another program added a view to the file",
            "Find out which program did so, and drop the view with SQL.",
        ),
        OpenWarning::SharedDirectory => (
            Warning,
            "another user can write to the directory of the file, and so can replace the file",
            "Give the directory to the user of the program, and run chmod 700 on it.",
        ),
        OpenWarning::ForeignReserve => (
            Warning,
            "the file with the name of the disk reserve is another program's: there is no reserve",
            "Move that file elsewhere.",
        ),
        OpenWarning::Migrated => (
            Note,
            "this opening migrated the file; a backup of the old version is beside it",
            "Upgrade every program that uses the file.",
        ),
        OpenWarning::PerhapsRestored => (
            Warning,
            "the file is a copy: what was revoked since it was made may be valid again",
            "If it is an older copy, stop all programs and run gatepost restore --adopt FILE.",
        ),
        OpenWarning::AmbiguousEmails => (
            Error,
            "users log in by e-mail address, and two of them share one",
            "Give each user an address of its own: gatepost user email USER ADDRESS.",
        ),
        OpenWarning::RekeyDue => (
            Warning,
            "the file seals password hashes under another key than that of the first --key-file",
            "Give every process the new key and the old one, and then run gatepost rekey.",
        ),
        _ => {
            (Warning, "the opening reports a warning that this command does not know", "Upgrade.")
        }
    };
    Some(Finding::new(severity, "opening", what, advice))
}

fn log(status: &Status) -> Option<Finding> {
    (status.log_bytes > LOG_MAX_BYTES).then(|| {
        Finding::new(
            Severity::Warning,
            "log",
            format!("the write-ahead log has {} MiB", status.log_bytes / 1_048_576),
            "A program keeps a read transaction on the file open: find it (lsof), and end it.",
        )
    })
}

fn change_signal(status: &Status) -> Option<Finding> {
    (status.change_signal == ChangeSignal::NotShared).then(|| {
        Finding::new(
            Severity::Note,
            "cache",
            "the file system has no shared memory: each verify reads the file",
            "Move the file to a local disk, if verifies are too slow.",
        )
    })
}

fn free_space(path: &Path) -> Option<Finding> {
    let system = rustix::fs::statvfs(path).ok()?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let severity = severity_of_free(free)?;
    Some(Finding::new(
        severity,
        "disk",
        format!("the disk of the file has {} KiB free", free / 1_024),
        "Make room: on a full disk every write fails except a revocation.",
    ))
}

fn severity_of_free(bytes: u64) -> Option<Severity> {
    match bytes {
        bytes if bytes < FREE_LEAST_BYTES => Some(Severity::Error),
        bytes if bytes < FREE_FEW_BYTES => Some(Severity::Warning),
        _ => None,
    }
}

/// The newest row of the log is later than the clock, if the clock went back.
fn clock(context: &Context) -> Result<Option<Finding>> {
    let newest = context.store.audit().latest(1, &AuditFilter::new())?;
    let now = SystemClock::default().now();
    let Some(at) = newest.first().map(|row| row.at).filter(|at| *at > now + CLOCK_TOLERANCE)
    else {
        return Ok(None);
    };
    Ok(Some(Finding::new(
        Severity::Warning,
        "clock",
        format!("the newest row of the audit log is of {at}, and the clock says {now}"),
        "Correct the clock, and keep it synchronised: sessions expire by it.",
    )))
}

/// A file that has a key keeps no hash without it, and not for long under two.
fn sealing(context: &Context) -> Result<Option<Finding>> {
    let Status { current_key, open_warnings, .. } = context.store.status();
    // Without a `--key-file`, or before a rekey, this process does not know the key of the file.
    let own = current_key.filter(|_| !open_warnings.contains(&OpenWarning::RekeyDue));
    let uses = context.store.key_use()?;
    let keys: Vec<&str> =
        uses.iter().filter_map(|one| one.key.as_ref()).map(KeyId::as_str).collect();
    let bare: u64 = uses.iter().filter(|one| one.key.is_none()).map(|one| one.hashes).sum();
    let is_older = |key: &&str| own.as_ref().is_some_and(|own| own.as_str() != *key);
    let (what, advice) = if keys.len() > 1 || keys.iter().any(is_older) {
        (
            format!(
                "password hashes are sealed under an older key; all keys: {}",
                keys.join(", ")
            ),
            "Run gatepost rekey with a --key-file for each; if a key is lost, the users of its \
             hashes need new passwords.",
        )
    } else if !keys.is_empty() && bare > 0 {
        (
            format!("{bare} password hashes are not sealed, although the file has a key"),
            "Run gatepost rekey --key-file PATH.",
        )
    } else {
        return Ok(None);
    };
    Ok(Some(Finding::new(Severity::Warning, "sealing", what, advice)))
}

fn chains(context: &Context) -> Result<Option<Finding>> {
    let ChainCheck::Broken { seq, .. } = context.store.audit().verify_chain(None)? else {
        return Ok(None);
    };
    Ok(Some(Finding::new(
        Severity::Error,
        "audit",
        format!("row {seq} of the audit log was changed, moved or is missing"),
        "Find out which program wrote to the file; keep a copy as evidence.",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_free_space_is_a_warning_and_next_to_none_an_error() {
        const MIB: u64 = 1_048_576;
        let check = |bytes, expect| assert_eq!(severity_of_free(bytes), expect, "{bytes}");
        check(0, Some(Severity::Error));
        check(MIB - 1, Some(Severity::Error));
        check(MIB, Some(Severity::Warning));
        check(256 * MIB - 1, Some(Severity::Warning));
        check(256 * MIB, None);
    }
}
