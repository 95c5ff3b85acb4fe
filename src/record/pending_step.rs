//! Pending steps: logins whose password was right and that wait for a second factor. Each has a
//! token of its own kind, which is shown once and stored as a digest, and opens nothing else.
//!
//! [`standing!`] is the one rule of a valid step. The charge of a guess and the statement that
//! completes the step both evaluate it. It ends in `'valid'`, so that a row that is missing or NULL
//! never makes a step valid.

use std::time::Duration;

use crate::error::Result;
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::value::digest::DeviceDigest;
use crate::value::id::{OneTimeTokenId, UserId, draw_bytes};
use crate::value::limits::{
    PENDING_STEP_GUESSES, PENDING_STEP_LIFETIME, PENDING_STEPS_PER_USER, clock_skew_max_ms,
};
use crate::value::second_factor::StepDemand;
use crate::value::secret::Secret;
use crate::value::time::{Deadline, Timestamp};
use crate::value::token::{ParsedToken, TokenKind, mint};

/// A login that waits for a second factor, without its token; in
/// [`PersonalData`](crate::directory::PersonalData).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WaitingLogin {
    /// What it waits for.
    pub demand: StepDemand,
    /// Whether it is bound to a device.
    pub has_device: bool,
    /// When the first half of the login was granted.
    pub issued_at: Timestamp,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
    /// How many more codes are compared. An enrolment that is begun takes one of them.
    pub guesses_left: u64,
    /// Whether the login asked for the privilege `admin`.
    pub require_admin: bool,
    /// Whether the login is one of a desktop client.
    pub is_desktop: bool,
    /// When the session is to end, if the login asked for a moment.
    pub session_ends_at: Option<Timestamp>,
    /// For how long the session is to be valid in milliseconds, if the login asked for a duration.
    pub session_lifetime_ms: Option<u64>,
    /// The label that the session is to have.
    pub label: Option<String>,
}

/// A valid pending step, as it is stored.
#[derive(Debug)]
pub(crate) struct PendingStepRow {
    pub(crate) id: [u8; 16],
    pub(crate) user: UserId,
    pub(crate) demand: StepDemand,
    pub(crate) proved: Proved,
    pub(crate) asked: Asked,
}

/// What the login proved before it had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proved {
    /// The password of this version.
    Password(i64),
    /// The temporary password of this id.
    Temporary(OneTimeTokenId),
    /// Nothing to the library: the host has authenticated the user.
    ByHost,
}

/// What the login asked for, and its completion gets.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) require_admin: bool,
    pub(crate) is_desktop: bool,
    pub(crate) end: Option<Deadline>,
    pub(crate) label: Option<String>,
}

/// A step to be issued.
pub(crate) struct NewStep {
    pub(crate) user: UserId,
    pub(crate) device: Option<DeviceDigest>,
    pub(crate) demand: StepDemand,
    pub(crate) proved: Proved,
    pub(crate) asked: Asked,
}

/// What a step `p` is worth at the time `$now`, a parameter of the statement: `'valid'`, or why
/// not. The guesses that are left are a matter of the charge.
macro_rules! standing {
    ($now:literal) => {
        concat!(
            "(SELECT CASE
                 WHEN p.expires_at <= ",
            $now,
            " THEN 'expired'
                 WHEN p.issued_at > ",
            clock_skew_max_ms!(),
            " + ",
            $now,
            " THEN 'not_yet'
                 WHEN u.deleted_at IS NOT NULL
                     OR p.issued_seq < max(u.tokens_ended_seq, st.tokens_ended_seq,
                         coalesce(b.tokens_ended_seq, 0), coalesce(o.tokens_ended_seq, 0))
                     THEN 'revoked'
                 ELSE 'valid' END
             FROM user AS u JOIN store AS st ON st.id = 1
             LEFT JOIN branch AS b ON b.id = u.branch_id
             LEFT JOIN organisation AS o ON o.id = b.organisation_id
             WHERE u.id = p.user_id)"
        )
    };
}

/// Issues a step in place of an earlier one of the same user on the same device. Returns its token
/// and the first moment at which it is expired.
pub(crate) fn issue(tx: &WriteTx<'_>, new: &NewStep) -> Result<(Secret, Timestamp)> {
    delete_on_device(tx, new.user, new.device)?;
    tx.execute(
        "DELETE FROM pending_step WHERE id IN (
             SELECT id FROM pending_step WHERE user_id = ?1
             ORDER BY issued_at DESC, id DESC LIMIT -1 OFFSET ?2)",
        params![new.user, PENDING_STEPS_PER_USER - 1],
    )?;
    let is_taken = "SELECT EXISTS (SELECT 1 FROM pending_step WHERE id = ?1)";
    let id = tx.draw_id(draw_bytes, is_taken)?;
    let (token, hash) = mint(TokenKind::Pending, id, tx.random())?;
    let (version, temporary) = match new.proved {
        Proved::Password(version) => (Some(version), None),
        Proved::Temporary(id) => (None, Some(id)),
        Proved::ByHost => (None, None),
    };
    let (ends_at, lifetime_ms) = match new.asked.end {
        Some(Deadline::At(at)) => (Some(at), None),
        // At least 1 ms: a shorter lifetime is refused with the request.
        Some(Deadline::After(span)) => (None, Some(millis(span).max(1))),
        None => (None, None),
    };
    let waits_until = tx.now() + PENDING_STEP_LIFETIME;
    // A session that would be over before it is opened is not waited for.
    let expires_at = ends_at.map_or(waits_until, |at| waits_until.min(at));
    tx.execute(
        "INSERT INTO pending_step (id, secret_hash, user_id, device_hash, demand, guesses_left,
             issued_seq, issued_at, expires_at, credential_version, temporary_id, require_admin,
             is_desktop, ends_at, lifetime_ms, label)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6,
             (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?7, ?8, ?9, ?10, ?11, ?12,
             ?13, ?14, ?15)",
        params![
            id,
            hash,
            new.user,
            new.device,
            new.demand,
            PENDING_STEP_GUESSES,
            tx.now(),
            expires_at,
            version,
            temporary,
            new.asked.require_admin,
            new.asked.is_desktop,
            ends_at,
            lifetime_ms,
            new.asked.label
        ],
    )?;
    Ok((token, expires_at))
}

/// The step of a token on its device, if it is valid. It may have no guesses left.
pub(crate) fn find(
    tx: &ReadTx<'_>,
    token: &ParsedToken,
    device: Option<DeviceDigest>,
) -> Result<Option<PendingStepRow>> {
    if token.kind != TokenKind::Pending {
        return Ok(None);
    }
    tx.one(
        concat!(
            "SELECT p.id, p.user_id, p.demand, p.credential_version, p.temporary_id,
                 p.require_admin, p.is_desktop, p.ends_at, p.lifetime_ms, p.label
             FROM pending_step AS p
             WHERE p.id = ?1 AND p.secret_hash = ?2 AND p.device_hash IS ?3 AND ",
            standing!("?4"),
            " = 'valid'"
        ),
        params![token.id, token.secret_hash, device, tx.now()],
        row,
    )
}

/// Charges a guess, or an enrolment, before it is made, and leaves `kept` guesses of the share at
/// least; `false` if the step is not valid or has no more to spare.
pub(crate) fn charge(tx: &WriteTx<'_>, id: &[u8; 16], kept: i64) -> Result<bool> {
    let charged = tx.execute(
        concat!(
            "UPDATE pending_step AS p SET guesses_left = p.guesses_left - 1
             WHERE p.id = ?1 AND p.guesses_left > ?3 AND ",
            standing!("?2"),
            " = 'valid'"
        ),
        params![id, tx.now(), kept],
    )?;
    Ok(charged == 1)
}

/// Takes the charge of a guess back: no code was checked.
pub(crate) fn refund(tx: &WriteTx<'_>, id: &[u8; 16]) -> Result<()> {
    tx.execute(
        "UPDATE pending_step SET guesses_left = min(guesses_left + 1, ?2) WHERE id = ?1",
        params![id, PENDING_STEP_GUESSES],
    )
    .map(drop)
}

/// Whether the step is still valid, in this transaction.
pub(crate) fn is_valid(tx: &ReadTx<'_>, id: &[u8; 16]) -> Result<bool> {
    let found = tx.one(
        concat!("SELECT ", standing!("?2"), " = 'valid' FROM pending_step AS p WHERE p.id = ?1"),
        params![id, tx.now()],
        |row| row.get::<_, Option<bool>>(0),
    )?;
    Ok(found.flatten().unwrap_or(false))
}

/// Deletes the steps of a user on a device: a session was opened there.
pub(crate) fn delete_on_device(
    tx: &WriteTx<'_>,
    user: UserId,
    device: Option<DeviceDigest>,
) -> Result<()> {
    if device.is_none() {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM pending_step WHERE user_id = ?1 AND device_hash = ?2",
        params![user, device],
    )
    .map(drop)
}

/// Deletes a step that was completed; `false` if it is gone.
pub(crate) fn complete(tx: &WriteTx<'_>, id: &[u8; 16]) -> Result<bool> {
    Ok(tx.execute("DELETE FROM pending_step WHERE id = ?1", params![id])? == 1)
}

/// Every step of a user that the file has, valid or not, oldest first.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<WaitingLogin>> {
    tx.all(
        "SELECT demand, device_hash IS NOT NULL, issued_at, expires_at, guesses_left,
             require_admin, is_desktop, ends_at, lifetime_ms, label
         FROM pending_step WHERE user_id = ?1 ORDER BY issued_at, id",
        params![user],
        |row| {
            Ok(WaitingLogin {
                demand: row.get(0)?,
                has_device: row.get(1)?,
                issued_at: row.get(2)?,
                expires_at: row.get(3)?,
                guesses_left: row.get::<_, i64>(4)?.unsigned_abs(),
                require_admin: row.get(5)?,
                is_desktop: row.get(6)?,
                session_ends_at: row.get(7)?,
                session_lifetime_ms: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
                label: row.get(9)?,
            })
        },
    )
}

/// Deletes every step of a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM pending_step WHERE user_id = ?1", params![user]).map(drop)
}

/// Deletes at most `most` steps that had expired at `at`, the first ones first.
pub(crate) fn sweep(tx: &WriteTx<'_>, at: Timestamp, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM pending_step WHERE id IN (
             SELECT id FROM pending_step WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
    )
}

fn row(row: &Row<'_>) -> rusqlite::Result<PendingStepRow> {
    let (version, temporary): (Option<i64>, Option<OneTimeTokenId>) = (row.get(3)?, row.get(4)?);
    let proved = match (version, temporary) {
        (Some(version), _) => Proved::Password(version),
        (None, Some(id)) => Proved::Temporary(id),
        (None, None) => Proved::ByHost,
    };
    let (ends_at, lifetime_ms): (Option<Timestamp>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let lifetime = lifetime_ms.map(|millis| Duration::from_millis(millis.unsigned_abs()));
    Ok(PendingStepRow {
        id: row.get(0)?,
        user: row.get(1)?,
        demand: row.get(2)?,
        proved,
        asked: Asked {
            require_admin: row.get(5)?,
            is_desktop: row.get(6)?,
            end: ends_at.map(Deadline::At).or(lifetime.map(Deadline::After)),
            label: row.get(9)?,
        },
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
