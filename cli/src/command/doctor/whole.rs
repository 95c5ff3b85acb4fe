//! The checks that read the whole file.

use gatepost::UserId;
use gatepost::audit::ChainCheck;
use gatepost::host::KeyId;
use gatepost::status::{Examination, HashCost, OpenWarning, Status};
use indicatif::{ProgressBar, ProgressStyle};

use super::checks::or_error;
use super::{Finding, Severity};
use crate::context::Context;
use crate::failure::Result;

/// The change log is trimmed to about 10,000 rows by logins and by sweeps.
const CHANGE_ROWS_MAX: u64 = 100_000;
/// Each login deletes up to 32 expired sessions and as many keys.
const OVERDUE_ROWS_MAX: u64 = 10_000;
/// The lines of damage that a finding quotes.
const DAMAGE_QUOTED: usize = 3;

pub(super) fn check(context: &Context) -> Vec<Finding> {
    // On standard error, and hidden if that is no terminal.
    let bar = ProgressBar::new(3);
    let style = ProgressStyle::with_template("{bar:40} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message("pages, constraints, foreign keys");
    let mut findings = match context.store.examine() {
        Ok(found) => examined(context, &found),
        Err(error) => vec![Finding::of("integrity", &error.into())],
    };
    bar.inc(1);
    bar.set_message("keys");
    findings.extend(or_error("sealing", sealing(context)));
    bar.inc(1);
    bar.set_message("chains of the audit log");
    findings.extend(or_error("audit", chains(context)));
    bar.finish_and_clear();
    findings
}

fn examined(context: &Context, found: &Examination) -> Vec<Finding> {
    let checks = [
        integrity(&found.damage),
        references(&found.orphan_tables),
        change_log(found.change_rows),
        sweeps(found.overdue_rows),
        hashes(&found.hash_costs),
        or_error("options", factors(context, found.factors_missing)),
        used_codes(context, &found.factors_ahead),
        for_tests(found.is_for_tests),
    ];
    checks.into_iter().flatten().collect()
}

fn integrity(damage: &[String]) -> Option<Finding> {
    let quoted: Vec<&str> = damage.iter().take(DAMAGE_QUOTED).map(String::as_str).collect();
    (!damage.is_empty()).then(|| {
        Finding::new(
            Severity::Error,
            "integrity",
            format!("the file is damaged: {}", quoted.join("; ")),
            "Stop the programs that use it, and run gatepost restore BACKUP.",
        )
    })
}

fn references(tables: &[String]) -> Option<Finding> {
    (!tables.is_empty()).then(|| {
        Finding::new(
            Severity::Error,
            "references",
            format!("rows refer to what is not there, in: {}", tables.join(", ")),
            "Another program deleted rows without foreign keys: find it, and restore a backup.",
        )
    })
}

fn change_log(rows: u64) -> Option<Finding> {
    (rows > CHANGE_ROWS_MAX).then(|| {
        Finding::new(
            Severity::Warning,
            "change_log",
            format!("the change log has {rows} rows: nothing trims it"),
            "Run gatepost sweep, and let the program call Store::maintain every few minutes.",
        )
    })
}

fn sweeps(rows: u64) -> Option<Finding> {
    (rows > OVERDUE_ROWS_MAX).then(|| {
        Finding::new(
            Severity::Warning,
            "sweeps",
            format!("{rows} sessions and API keys expired long ago and were not deleted"),
            "Run gatepost sweep, and let the program call Store::maintain every few minutes.",
        )
    })
}

fn hashes(costs: &[HashCost]) -> Option<Finding> {
    let cheaper: u64 = costs.iter().filter(|one| one.is_cheaper).map(|one| one.users).sum();
    if cheaper > 0 {
        return Some(Finding::new(
            Severity::Warning,
            "hashes",
            format!("{cheaper} users have a password hash that costs less than the policy says"),
            "The next login of each replaces it. For users who do not log in: gatepost user \
             require-change, or remove-password.",
        ));
    }
    (costs.len() > 1).then(|| {
        Finding::new(
            Severity::Note,
            "hashes",
            format!("password hashes have {} different costs, none below the policy", costs.len()),
            "Nothing must be done; compare the option cost of the programs.",
        )
    })
}

fn factors(context: &Context, missing: u64) -> Result<Option<Finding>> {
    if missing == 0 {
        return Ok(None);
    }
    let has_key = context.store.status().current_key.is_some()
        || context.store.key_use()?.iter().any(|one| one.key.is_some());
    let what = format!("{missing} users must have a second factor and have none");
    let (severity, advice) = if has_key {
        (Severity::Note, "They enrol one at their next login.")
    } else {
        (
            Severity::Warning,
            "The file has no key, without which no program lets them enrol one: see gatepost help \
             key-file.",
        )
    };
    Ok(Some(Finding::new(severity, "options", what, advice)))
}

/// Every code of these users counts as used, because a clock was ahead.
fn used_codes(context: &Context, users: &[UserId]) -> Option<Finding> {
    let name = |id: &UserId| match context.store.users().find(*id) {
        Ok(Some(user)) => user.username,
        _ => id.to_string(),
    };
    let names: Vec<String> = users.iter().map(name).collect();
    (!names.is_empty()).then(|| {
        Finding::new(
            Severity::Warning,
            "clock",
            format!(
                "a clock was ahead: every code of the second factor counts as used, of {}",
                names.join(", ")
            ),
            "If the clock is right now: gatepost factor reset USER, and the user enrols again.",
        )
    })
}

fn for_tests(is_for_tests: bool) -> Option<Finding> {
    is_for_tests.then(|| {
        Finding::new(
            Severity::Error,
            "options",
            "the file was created for tests: it accepts password hashes that cost nearly nothing",
            "Create another file with gatepost init, and let the users in it set new passwords.",
        )
    })
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
