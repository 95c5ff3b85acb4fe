//! The options that the file stores: those of the file, which govern every process, and the policy.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::options::{FileOptions, Lockout, Options};
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::second_factor::SecondFactorPolicy;

/// The options that govern every process. Read in each transaction that depends on one, so that a
/// change by another process is in force at once.
///
/// # Errors
/// `Corrupt` if a value is out of its bounds.
pub(crate) fn of_file(tx: &ReadTx<'_>) -> Result<FileOptions> {
    let found = tx.exactly_one(
        "SELECT login_by_email, lockout, audit_max_age_ms, audit_max_rows, for_tests, second_factor
         FROM store WHERE id = 1",
        [],
        |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get::<_, String>(5)?,
            ))
        },
    )?;
    let of_row = |row: (bool, String, i64, i64, bool, String)| {
        let options = FileOptions {
            login_by_email: row.0,
            lockout: Lockout::parse(&row.1)?,
            audit_max_age: Duration::from_millis(u64::try_from(row.2).ok()?),
            audit_max_rows: u64::try_from(row.3).ok()?,
            for_tests: row.4,
            second_factor: SecondFactorPolicy::parse(&row.5)?,
        };
        options.check_bounds().is_ok().then_some(options)
    };
    of_row(found).ok_or_else(|| Error::corrupt("an option of the file is out of its bounds"))
}

/// All options that the file stores, with those of the process taken from `process`.
///
/// # Errors
/// `Corrupt` if a value is missing, unreadable or out of its bounds.
pub(crate) fn stored(tx: &ReadTx<'_>, process: &Options) -> Result<Options> {
    let policy = tx.all("SELECT name, value FROM policy ORDER BY name", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    process.with_stored(of_file(tx)?, policy.into_iter().collect())
}

/// Stores these options in place of those that the file has, except `for_tests`, which never
/// changes.
pub(crate) fn keep(tx: &WriteTx<'_>, options: &Options) -> Result<()> {
    let FileOptions {
        login_by_email, lockout, second_factor, audit_max_age, audit_max_rows, ..
    } = options.file;
    let out_of_bounds = |_| Error::new(ErrorKind::Invalid, "an audit option is beyond its bounds");
    tx.execute(
        "UPDATE store SET login_by_email = ?1, lockout = ?2, audit_max_age_ms = ?3,
             audit_max_rows = ?4, second_factor = ?5
         WHERE id = 1",
        params![
            login_by_email,
            lockout.as_str(),
            i64::try_from(audit_max_age.as_millis()).map_err(out_of_bounds)?,
            i64::try_from(audit_max_rows).map_err(out_of_bounds)?,
            second_factor.as_str()
        ],
    )?;
    for (name, value) in options.policy() {
        if tx.execute("UPDATE policy SET value = ?2 WHERE name = ?1", params![name, value])? == 0 {
            tx.execute("INSERT INTO policy (name, value) VALUES (?1, ?2)", params![name, value])?;
        }
    }
    Ok(())
}
