//! What an examination reads of the tables: whether they are whole, and what waits in them.

use crate::error::Result;
use crate::pending::uses::latest;
use crate::storage::{ReadTx, params};
use crate::value::id::UserId;
use crate::value::limits::{EXAMINATION_MAX_USERS, TOTP_STEP_MS};
use crate::value::second_factor::SecondFactorPolicy;
use crate::value::time::Timestamp;
use crate::value::totp::step_at;

/// What SQLite finds wrong with pages, indexes and constraints, at most 20 lines.
pub(crate) fn damage(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    let mut lines: Vec<String> = tx.all("PRAGMA integrity_check(20)", [], |row| row.get(0))?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}

/// The tables with a row whose foreign key leads to no row.
pub(crate) fn orphan_tables(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    // One row for each orphan, so they are counted here by table.
    let mut tables: Vec<String> = tx.all("PRAGMA foreign_key_check", [], |row| row.get(0))?;
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// The rows of the change log.
pub(crate) fn change_rows(tx: &ReadTx<'_>) -> Result<u64> {
    tx.count("SELECT count(*) FROM change", [])
}

/// The sessions and API keys that a sweep may delete now.
pub(crate) fn overdue_rows(tx: &ReadTx<'_>) -> Result<u64> {
    let sql = "SELECT min(believed_at, ?1) FROM store WHERE id = 1";
    let believed: Timestamp = tx.exactly_one(sql, params![tx.wall()], |row| row.get(0))?;
    let sessions =
        tx.count("SELECT count(*) FROM session WHERE expires_at <= ?1", params![believed])?;
    let keys =
        tx.count("SELECT count(*) FROM api_key WHERE expires_at <= ?1", params![believed])?;
    Ok(sessions + keys)
}

/// The active persons who must have a second factor and have none.
pub(crate) fn factors_missing(tx: &ReadTx<'_>, policy: SecondFactorPolicy) -> Result<u64> {
    match policy {
        SecondFactorPolicy::Optional => Ok(0),
        SecondFactorPolicy::Administrators => tx.count(
            "SELECT count(*) FROM user_privilege AS p JOIN user AS u ON u.id = p.user_id
             WHERE p.name = 'admin' AND u.deleted_at IS NULL AND u.status = 'active'
                 AND u.kind = 'person'
                 AND NOT EXISTS (SELECT 1 FROM totp WHERE totp.user_id = u.id)",
            [],
        ),
        SecondFactorPolicy::All => tx.count(
            "SELECT count(*) FROM user AS u
             WHERE u.deleted_at IS NULL AND u.status = 'active' AND u.kind = 'person'
                 AND NOT EXISTS (SELECT 1 FROM totp WHERE totp.user_id = u.id)",
            [],
        ),
    }
}

/// The first users, by name, whose codes all count as used until more than the tolerated clock skew
/// from now: a clock was ahead when one was used, or when the file was restored.
pub(crate) fn factors_ahead(tx: &ReadTx<'_>) -> Result<Vec<UserId>> {
    tx.all(
        "SELECT t.user_id FROM totp AS t JOIN user AS u ON u.id = t.user_id
         WHERE u.deleted_at IS NULL AND t.last_step > t.shift + ?1
         ORDER BY u.username_key LIMIT ?2",
        params![step_at(latest(tx.now())), EXAMINATION_MAX_USERS],
        |row| row.get(0),
    )
}

/// From when on a code of the user's authenticator is accepted, for a user of [`factors_ahead`].
pub(crate) fn codes_from(tx: &ReadTx<'_>, user: UserId) -> Result<Option<Timestamp>> {
    let found: Option<(i64, i64)> = tx.one(
        "SELECT last_step, shift FROM totp WHERE user_id = ?1 AND last_step > shift + ?2",
        params![user, step_at(latest(tx.now()))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found.map(|(last, shift)| {
        let next = last.saturating_sub(shift).saturating_add(1);
        Timestamp::from_millis(next.saturating_mul(TOTP_STEP_MS))
    }))
}
