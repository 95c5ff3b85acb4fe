//! Failed attempts: counted before the password is looked at, for names that exist and for names
//! that do not, so that neither the count nor the wait tells which is which.
//!
//! A login reserves its attempt, which charges it as a failure, and only then hashes. A success
//! forgives everything; nothing else does, so a process killed in between leaves its attempt
//! charged. From the fifth charge each one begins a wait, in which nothing is evaluated and
//! nothing is charged. A device on which the user has logged in before has a budget of its own,
//! so that a stranger's guesses do not lock the owner out. All budgets of a user together reach at
//! most 100: then everything waits for a day, or for an administrator.

use std::time::Duration;

use crate::error::Result;
use crate::record::device::{self, Budget};
use crate::record::store;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::digest::{DeviceDigest, keyed16};
use crate::value::id::UserId;
use crate::value::limits::{
    THROTTLE_FIRST_WAIT_MS, THROTTLE_FREE_FAILURES, THROTTLE_HARD_STOP_FAILURES,
    THROTTLE_HARD_STOP_MS, THROTTLE_LONGEST_WAIT_MS, THROTTLE_UNKNOWN_KEPT,
    THROTTLE_UNKNOWN_NAMES,
};
use crate::value::time::Timestamp;

/// A wait that only an administrator ends.
const UNTIL_UNLOCKED: Timestamp = Timestamp::from_millis(i64::MAX);

/// Whose attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) name: [u8; 4],
    pub(crate) user: Option<UserId>,
    pub(crate) device: Option<DeviceDigest>,
}

/// Whether an attempt may be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reservation {
    /// It is charged: evaluate it.
    Granted(Charge),
    /// Nothing was charged: evaluate nothing.
    Wait {
        retry_after: Duration,
        /// When it ends; none if only an administrator ends it.
        until: Option<Timestamp>,
        /// The first try in this wait: leave one event, and commit, so that it stays the first.
        first_in_window: bool,
    },
}

/// What a reservation has charged, so that it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    on_device: bool,
    wait: Option<Timestamp>,
    wait_before: Option<Timestamp>,
    stop: Option<Timestamp>,
    stop_before: Option<Timestamp>,
}

/// How the attempts on a user stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThrottleState {
    /// Failed attempts since the last success, from everywhere.
    pub(crate) failures: i64,
    /// Until when attempts from unknown devices wait; the end of time: until unlocked.
    pub(crate) locked_until: Option<Timestamp>,
}

/// `name_key` is the folded name as typed or, for a user who exists, its username's.
pub(crate) fn subject(
    tx: &ReadTx<'_>,
    name_key: &str,
    user: Option<UserId>,
    device: Option<DeviceDigest>,
) -> Result<Subject> {
    Ok(Subject { name: digest(tx, name_key)?, user, device })
}

/// Charges an attempt before it is evaluated, unless it has to wait.
pub(crate) fn reserve(
    tx: &WriteTx<'_>,
    subject: &Subject,
    disable_at_100: bool,
) -> Result<Reservation> {
    let now = tx.now();
    let name = named(tx, &subject.name)?;
    let own = own_device(tx, subject)?;
    let of_devices = device::failures_of(tx, subject.user.unwrap_or(UserId::NOBODY))?;
    let sum = name.map_or(0, |name| name.failures).saturating_add(of_devices);
    let stopped = sum >= THROTTLE_HARD_STOP_FAILURES || own.is_none();
    if let Some(name) = name
        && stopped
        && let Some(until) = in_force(name.wait_until, now)
    {
        let first_in_window = name.reported_until != Some(until);
        if first_in_window {
            let reported = Budget { reported_until: Some(until), ..name };
            write_name(tx, subject, reported)?;
        }
        return Ok(wait(until, now, first_in_window));
    }
    if let Some((user, device, own)) = own
        && let Some(until) = in_force(own.wait_until, now)
    {
        let first_in_window = own.reported_until != Some(until);
        if first_in_window {
            let reported = Budget { reported_until: Some(until), ..own };
            device::set_budget(tx, user, device, reported)?;
        }
        return Ok(wait(until, now, first_in_window));
    }
    let stop = (sum.saturating_add(1) >= THROTTLE_HARD_STOP_FAILURES)
        .then(|| if disable_at_100 { UNTIL_UNLOCKED } else { later(now, THROTTLE_HARD_STOP_MS) });
    charge(tx, subject, name, own, stop).map(Reservation::Granted)
}

/// Forgives everything: the user, or whoever tried a name that nobody had, is known to be right.
pub(crate) fn succeeded(tx: &WriteTx<'_>, subject: &Subject) -> Result<()> {
    tx.execute("DELETE FROM throttle WHERE name_digest = ?1", params![subject.name])?;
    if let Some(user) = subject.user {
        device::clear_budgets(tx, user)?;
    }
    Ok(())
}

/// Takes back the charge of an attempt that was not evaluated after all.
pub(crate) fn refund(tx: &WriteTx<'_>, subject: &Subject, charge: &Charge) -> Result<()> {
    // Another charge may have begun a longer wait since: that one stays.
    let wait_of = |budget: Budget, set: Option<Timestamp>, before| {
        if budget.wait_until == set { before } else { budget.wait_until }
    };
    let charged = |budget: Budget| Budget {
        failures: budget.failures.saturating_sub(1).max(0),
        wait_until: wait_of(budget, charge.wait, charge.wait_before),
        ..budget
    };
    let name = named(tx, &subject.name)?;
    if !charge.on_device {
        if let Some(name) = name {
            write_name(tx, subject, charged(name))?;
        }
    } else if let Some((user, device, own)) = own_device(tx, subject)? {
        device::set_budget(tx, user, device, charged(own))?;
        if let Some(name) = name.filter(|_| charge.stop.is_some()) {
            let wait_until = wait_of(name, charge.stop, charge.stop_before);
            write_name(tx, subject, Budget { wait_until, ..name })?;
        }
    }
    tx.execute(
        "DELETE FROM throttle WHERE name_digest = ?1 AND failures = 0 AND wait_until IS NULL",
        params![subject.name],
    )
    .map(drop)
}

/// How the attempts on the user who has this name stand.
pub(crate) fn state(tx: &ReadTx<'_>, username_key: &str) -> Result<ThrottleState> {
    let of_devices: i64 = tx.exactly_one(
        "SELECT coalesce(sum(device.failures), 0)
         FROM user JOIN device ON device.user_id = user.id
         WHERE user.username_key = ?1 AND user.deleted_at IS NULL",
        params![username_key],
        |row| row.get(0),
    )?;
    let Some(name) = named(tx, &digest(tx, username_key)?)? else {
        return Ok(ThrottleState { failures: of_devices, locked_until: None });
    };
    Ok(ThrottleState {
        failures: name.failures.saturating_add(of_devices),
        locked_until: in_force(name.wait_until, tx.now()),
    })
}

/// An administrator forgives everything; whether there was anything to forgive.
pub(crate) fn clear(tx: &WriteTx<'_>, username_key: &str, user: UserId) -> Result<bool> {
    let removed = tx.execute(
        "DELETE FROM throttle WHERE name_digest = ?1",
        params![digest(tx, username_key)?],
    )?;
    let cleared = device::clear_budgets(tx, user)?;
    Ok(removed > 0 || cleared)
}

/// The charges follow the user to the new name, and stay with the old one as with any name that
/// nobody has: a stranger who goes on trying either is told nothing by it.
pub(crate) fn renamed(tx: &WriteTx<'_>, user: UserId, old_key: &str, new_key: &str) -> Result<()> {
    let Some(old) = named(tx, &digest(tx, old_key)?)? else { return Ok(()) };
    let name = digest(tx, new_key)?;
    let merged = match named(tx, &name)? {
        Some(new) => Budget {
            failures: old.failures.max(new.failures),
            wait_until: old.wait_until.max(new.wait_until),
            reported_until: old.reported_until.max(new.reported_until),
        },
        None => old,
    };
    left(tx, old_key)?;
    let subject = Subject { name, user: Some(user), device: None };
    write_name(tx, &subject, merged)
}

/// Nobody has this name any more: its charges age like those of any other such name.
pub(crate) fn left(tx: &WriteTx<'_>, username_key: &str) -> Result<()> {
    tx.execute(
        "UPDATE throttle SET known = 0 WHERE name_digest = ?1",
        params![digest(tx, username_key)?],
    )
    .map(drop)
}

/// Removes names that nobody has and nobody has tried for a day, at most `most`; as many of those
/// that a wrong clock put into a future from which they would never age. There is no administrator
/// to wait for either: nobody could unlock them.
pub(crate) fn sweep(tx: &WriteTx<'_>, now: Timestamp, most: i64) -> Result<usize> {
    let longest = later(now, THROTTLE_HARD_STOP_MS);
    let idle = tx.execute(
        "DELETE FROM throttle WHERE name_digest IN (
             SELECT name_digest FROM throttle
             WHERE known = 0 AND last_attempt_at <= ?1
               AND (wait_until IS NULL OR wait_until <= ?2 OR wait_until > ?3)
             ORDER BY last_attempt_at LIMIT ?4)",
        params![now.minus(THROTTLE_UNKNOWN_KEPT), now, longest, most],
    )?;
    let void = tx.execute(
        "DELETE FROM throttle WHERE name_digest IN (
             SELECT name_digest FROM throttle WHERE known = 0 AND last_attempt_at > ?1 LIMIT ?2)",
        params![longest, most],
    )?;
    Ok(idle.saturating_add(void))
}

/// The device's budget, if the user has logged in on it before.
fn own_device(
    tx: &ReadTx<'_>,
    subject: &Subject,
) -> Result<Option<(UserId, DeviceDigest, Budget)>> {
    let Some(device) = subject.device else { return Ok(None) };
    let user = subject.user.unwrap_or(UserId::NOBODY);
    let budget = device::budget(tx, user, device)?;
    Ok(budget.map(|budget| (user, device, budget)))
}

fn charge(
    tx: &WriteTx<'_>,
    subject: &Subject,
    name: Option<Budget>,
    own: Option<(UserId, DeviceDigest, Budget)>,
    stop: Option<Timestamp>,
) -> Result<Charge> {
    let nothing = Budget { failures: 0, wait_until: None, reported_until: None };
    let named = name.unwrap_or(nothing);
    let charged = own.map_or(named, |(.., own)| own);
    let failures = charged.failures.saturating_add(1);
    let wait = wait_ms(failures).map(|wait| later(tx.now(), wait));
    let stop_before = named.wait_until;
    let Some((user, device, own)) = own else {
        let wait = stop.or(wait);
        write_name(tx, subject, Budget { failures, wait_until: wait, ..named })?;
        let wait_before = named.wait_until;
        return Ok(Charge { on_device: false, wait, wait_before, stop, stop_before });
    };
    device::set_budget(tx, user, device, Budget { failures, wait_until: wait, ..own })?;
    if stop.is_some() {
        write_name(tx, subject, Budget { wait_until: stop, ..named })?;
    }
    let wait_before = own.wait_until;
    Ok(Charge { on_device: true, wait, wait_before, stop, stop_before })
}

/// How long to wait after so many failures in one budget.
fn wait_ms(failures: i64) -> Option<i64> {
    let doublings = failures.checked_sub(THROTTLE_FREE_FAILURES).filter(|n| *n >= 0)?;
    let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
    let wait = 2_i64.checked_pow(doublings).and_then(|n| n.checked_mul(THROTTLE_FIRST_WAIT_MS));
    Some(wait.map_or(THROTTLE_LONGEST_WAIT_MS, |wait| wait.min(THROTTLE_LONGEST_WAIT_MS)))
}

/// The end of a wait that is not over. One that no rule could have set is void: a clock was wrong
/// when it began.
fn in_force(wait_until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let longest = later(now, THROTTLE_HARD_STOP_MS);
    wait_until.filter(|until| *until > now && (*until <= longest || *until == UNTIL_UNLOCKED))
}

/// Waiting for an administrator is told as a day, as there is no telling.
fn wait(until: Timestamp, now: Timestamp, first_in_window: bool) -> Reservation {
    let told = until.min(later(now, THROTTLE_HARD_STOP_MS));
    let until = (until != UNTIL_UNLOCKED).then_some(until);
    Reservation::Wait { retry_after: told.since(now), until, first_in_window }
}

fn later(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add(millis))
}

/// 32 bits of a keyed digest. The key stands in the same file, and people
/// type passwords where a name is asked: with more bits, whoever has the file could confirm one.
fn digest(tx: &ReadTx<'_>, name_key: &str) -> Result<[u8; 4]> {
    let key = store::throttle_key(tx)?;
    let [a, b, c, d, ..] = keyed16(&key, "gatepost.throttle.v1", name_key.as_bytes());
    Ok([a, b, c, d])
}

fn named(tx: &ReadTx<'_>, name: &[u8; 4]) -> Result<Option<Budget>> {
    tx.one(
        "SELECT failures, wait_until, reported_until FROM throttle WHERE name_digest = ?1",
        params![name],
        |row| {
            Ok(Budget {
                failures: row.get(0)?,
                wait_until: row.get(1)?,
                reported_until: row.get(2)?,
            })
        },
    )
}

fn write_name(tx: &WriteTx<'_>, subject: &Subject, budget: Budget) -> Result<()> {
    let (name, known) = (&subject.name, subject.user.is_some());
    let Budget { failures, wait_until, reported_until } = budget;
    let changed = tx.execute(
        "UPDATE throttle SET known = ?2, failures = ?3, wait_until = ?4, last_attempt_at = ?5,
             reported_until = ?6
         WHERE name_digest = ?1",
        params![name, known, failures, wait_until, tx.now(), reported_until],
    )?;
    if changed > 0 {
        return Ok(());
    }
    // Also for a name that somebody has: the time shall not tell.
    make_room(tx)?;
    tx.execute(
        "INSERT INTO throttle (name_digest, known, failures, wait_until, last_attempt_at,
             reported_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![name, known, failures, wait_until, tx.now(), reported_until],
    )
    .map(drop)
}

/// Holds the bound on names that nobody has: the one not tried for longest goes, those that wait
/// last, as letting them go forgives.
fn make_room(tx: &WriteTx<'_>) -> Result<()> {
    let unknown: i64 =
        tx.exactly_one("SELECT count(*) FROM throttle WHERE known = 0", [], |row| row.get(0))?;
    if unknown < THROTTLE_UNKNOWN_NAMES {
        return Ok(());
    }
    let gone = tx.execute(
        "DELETE FROM throttle WHERE name_digest = (
             SELECT name_digest FROM throttle
             WHERE known = 0 AND (wait_until IS NULL OR wait_until <= ?1)
             ORDER BY last_attempt_at LIMIT 1)",
        params![tx.now()],
    )?;
    if gone == 0 {
        tx.execute(
            "DELETE FROM throttle WHERE name_digest = (
                 SELECT name_digest FROM throttle WHERE known = 0
                 ORDER BY last_attempt_at LIMIT 1)",
            [],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
