//! How much is in the store.

use std::fmt::Write;
use std::fs;

use clap::Args;
use gatepost::audit::AuditFilter;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter, UserStatus};
use gatepost::sessions::SessionFilter;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Result;

/// How much is in the store
///
/// Counts the rows, which reads all of them: about a second for a million. The counts of a running
/// program (hashes, refusals, cached sessions) are in its own `Store::status`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost stats --metrics")]
pub(crate) struct Stats {
    /// Print the text format of Prometheus, for its textfile collector
    #[arg(long, conflicts_with = "json")]
    metrics: bool,
}

#[derive(Debug, Serialize)]
struct Counts {
    users_pending: u64,
    users_active: u64,
    users_locked: u64,
    users_disabled: u64,
    users_deleted: u64,
    branches: u64,
    organisations: u64,
    sessions: u64,
    audit_rows: u64,
    file_bytes: u64,
    log_bytes: u64,
    schema_version: i64,
    open_warnings: usize,
}

impl Stats {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let counts = count(context)?;
        if self.metrics {
            context.output.page(&metrics(&counts))
        } else {
            context.output.record(&counts)
        }
    }
}

fn count(context: &Context) -> Result<Counts> {
    let store = &context.store;
    let users = |status| store.users().count(&UserFilter::new().status(status));
    let status = store.status();
    let file = status.path.as_ref().and_then(|path| fs::metadata(path).ok());
    Ok(Counts {
        users_pending: users(UserStatus::Pending)?,
        users_active: users(UserStatus::Active)?,
        users_locked: users(UserStatus::Locked)?,
        users_disabled: users(UserStatus::Disabled)?,
        users_deleted: store.users().count(&UserFilter::new().deleted())?,
        branches: store.branches().count(&BranchFilter::new())?,
        organisations: store.organisations().count(&OrganisationFilter::new())?,
        sessions: store.sessions().count(&SessionFilter::new())?,
        audit_rows: store.audit().count(&AuditFilter::new())?,
        file_bytes: file.map_or(0, |file| file.len()),
        log_bytes: status.log_bytes,
        schema_version: status.schema_version,
        open_warnings: status.open_warnings.len(),
    })
}

/// The text format of Prometheus, version 0.0.4.
fn metrics(counts: &Counts) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, samples: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP gatepost_{name} {help}\n# TYPE gatepost_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(text, "gatepost_{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    let of_status = |status: &str, value| (format!("{{status=\"{status}\"}}"), value);
    let users = [
        of_status("pending", counts.users_pending),
        of_status("active", counts.users_active),
        of_status("locked", counts.users_locked),
        of_status("disabled", counts.users_disabled),
    ];
    gauge("users", "Users that are not deleted, by status.", &users);
    gauge("users_deleted", "Deleted users.", &one(counts.users_deleted));
    gauge("branches", "Branches.", &one(counts.branches));
    gauge("organisations", "Organisations.", &one(counts.organisations));
    gauge("sessions", "Sessions that are valid.", &one(counts.sessions));
    gauge("audit_rows", "Rows of the audit log.", &one(counts.audit_rows));
    gauge("file_bytes", "Size of the file.", &one(counts.file_bytes));
    gauge("log_bytes", "Size of the write-ahead log.", &one(counts.log_bytes));
    let warnings = counts.open_warnings as u64;
    gauge("open_warnings", "Warnings of opening the file.", &one(warnings));
    text
}
