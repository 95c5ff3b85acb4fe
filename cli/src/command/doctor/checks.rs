//! The checks that take the same time for every size of the file, each a function that returns its
//! finding.

use std::path::Path;
use std::time::Duration;

use gatepost::audit::AuditFilter;
use gatepost::host::{Clock, SystemClock};
use gatepost::status::{ChangeSignal, OpenWarning, Status};

use super::{Finding, Severity};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};

/// The log is cut back to 4 MiB and stays below 8 MiB plus a second of writes, unless a reader
/// does not let go.
const LOG_MAX_BYTES: u64 = 16 * 1_048_576;
/// A store needs 128 KiB to write at all.
const FREE_LEAST_BYTES: u64 = 1_048_576;
const FREE_FEW_BYTES: u64 = 256 * 1_048_576;
/// Clocks of machines that share a file may differ by so much.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// What the open store reports.
pub(super) fn store(context: &Context) -> Vec<Finding> {
    let status = context.store.status();
    let mut findings: Vec<Finding> = status.open_warnings.iter().filter_map(warning).collect();
    findings.extend(log(&status));
    findings.extend(change_signal(&status));
    let space = |path| or_error("disk", free_space(path));
    findings.extend(status.path.as_deref().and_then(space));
    findings.extend(or_error("clock", clock(context)));
    findings
}

pub(super) fn or_error(check: &'static str, found: Result<Option<Finding>>) -> Option<Finding> {
    found.unwrap_or_else(|failure| Some(Finding::of(check, &failure)))
}

fn warning(warning: &OpenWarning) -> Option<Finding> {
    use Severity::{Error, Note, Warning};
    let (severity, what, advice) = match warning {
        // `files::check` has said so, with the mode that was found.
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
            "Give the directory to the user of the program, and run gatepost doctor --fix.",
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

fn free_space(path: &Path) -> Result<Option<Finding>> {
    let system = rustix::fs::statvfs(path).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("the free space of the disk cannot be read: {}", std::io::Error::from(error)),
            "Check that the disk of the file is mounted, and look for its errors.",
        )
    })?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    Ok(severity_of_free(free).map(|severity| {
        Finding::new(
            severity,
            "disk",
            format!("the disk of the file has {} KiB free", free / 1_024),
            "Make room: on a full disk every write fails except a revocation.",
        )
    }))
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

    /// Once it was no finding, as if the disk had room.
    #[test]
    fn free_space_that_cannot_be_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let gone = or_error("disk", free_space(&directory.path().join("auth.db"))).unwrap();
        assert_eq!((gone.severity, gone.check), (Severity::Error, "disk"));
        assert!(gone.what.contains("cannot be read") && !gone.advice.is_empty(), "{gone:?}");
    }
}
