//! The health of a store: each finding with its severity and what to do.

mod checks;
mod files;
mod whole;

use clap::Args;
use gatepost::host::{Clock, SystemClock};
use serde::Serialize;
use serde_json::json;

use crate::arguments::Global;
use crate::context::{self, Context};
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, answered, note};

const COLUMNS: &[&str] = &["severity", "check", "what", "advice"];

/// Check the health of the store
///
/// Checks the permissions and owners of the file, of what is beside it and of its directory; opens
/// it; and checks what the library reports: warnings of the opening, the write-ahead log, free
/// space, the clock. Without `--quick` it reads the whole file as well: pages, constraints, foreign
/// keys, the costs and keys of the hashes, the options, and the chains of the audit log.
///
/// The exit code is 0 if nothing was found or only notes, 10 for warnings, and 11 for errors.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost doctor --quick --json")]
pub(crate) struct Doctor {
    /// Only what takes the same time for every size of the file: for a health probe
    #[arg(long)]
    quick: bool,

    /// Take the permissions of other users from the directory, the file, what is beside it and the
    /// key files, before the file is opened. Nothing else is ever changed
    #[arg(long)]
    fix: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// Worth knowing; nothing must be done.
    Note,
    /// Something must be done, and the store works.
    Warning,
    /// The store does not work, or is not to be trusted.
    Error,
}

#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    severity: Severity,
    check: &'static str,
    what: String,
    advice: String,
}

impl Finding {
    fn new(
        severity: Severity,
        check: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity, check, what: what.into(), advice: advice.into() }
    }

    /// A failure of the store, or of this command itself.
    fn of(check: &'static str, failure: &Failure) -> Self {
        Self::new(Severity::Error, check, failure.what(), failure.advice())
    }
}

impl Doctor {
    pub(crate) fn run(self, global: &Global) -> Result<Exit> {
        let begun = SystemClock::default().now();
        // It is no finding that this command may not look, and it changes nothing then.
        context::check_owner(global)?;
        // Before the opening, which changes the permissions.
        let mut findings = files::check(global, self.fix);
        // It writes nothing, so no user acts.
        match Context::open(&Global { acting_as: None, ..global.clone() }) {
            Ok(context) => {
                findings.extend(checks::store(&context));
                if !self.quick {
                    findings.extend(whole::check(&context));
                }
            }
            Err(failure) => findings.push(Finding::of("opening", &failure)),
        }
        let took = SystemClock::default().now().duration_since(begun);
        let worst = findings.iter().map(|finding| finding.severity).max();
        let output = Output { json: global.json };
        let printed = if global.json {
            output.record(&json!({
                "severity": worst, "took_ms": took.as_millis() as u64, "findings": findings,
            }))
        } else {
            let rows = findings.len();
            let printed = output.list(COLUMNS, findings.into_iter().map(Ok));
            note(&format!("{rows} findings in {} ms", took.as_millis()));
            printed
        };
        let answer = match worst {
            None | Some(Severity::Note) => Exit::Done,
            Some(Severity::Warning) => Exit::Warnings,
            Some(Severity::Error) => Exit::Errors,
        };
        answered(printed, answer)
    }
}
