//! Failed attempts on a user: charged before the password is compared, by the user's id, so that
//! every spelling of the name and every call share them.
//!
//! A login charges its attempt as a failure and only then hashes, so that a process killed in
//! between leaves its attempt charged. Attempts from devices that are not known share the gate:
//! from its fifth failure on, each one closes it for a wait in which no password is compared. A
//! device on which the user has logged in has a count and waits of its own, so that a stranger's
//! guesses do not lock the owner out; those of all known devices have a sum. The gate stops at 90
//! and the sum at 10: then there is one attempt a day, or none until an administrator acts.
//! `pending::words` decides what an attempt at the gate is answered.

use std::time::Duration;

use crate::error::Result;
use crate::options::Lockout;
use crate::record::device::{self, Budget};
use crate::record::options;
use crate::storage::{ReadTx, WriteTx, params};
use crate::value::digest::DeviceDigest;
use crate::value::id::UserId;
use crate::value::limits::{THROTTLE_GATE_FAILURES, THROTTLE_KNOWN_FAILURES};
use crate::value::time::Timestamp;
use crate::value::wait::Wait;

/// Whose attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) user: Option<UserId>,
    /// The user, or the one whose rows are read in its place: of the neighbour of an unknown name.
    pub(crate) near: UserId,
    pub(crate) device: Option<DeviceDigest>,
}

/// Whether the password of an attempt is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reservation {
    /// It is charged: compare.
    Charged(Charge),
    /// Nothing was charged, and nothing is to be compared for so long.
    Closed(Duration),
}

/// What a reservation has charged, so that it can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    /// On the device and the sum of all known ones; else on the gate.
    on_device: bool,
    at: Timestamp,
    /// When the charge before this one was made, on the gate or on the device.
    before: Timestamp,
    known_before: Timestamp,
    /// If it fails, the gate or the sum stops.
    pub(crate) stops: bool,
}

/// How the attempts on a user stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThrottleState {
    /// Failed attempts since the last success, from everywhere.
    pub(crate) failures: i64,
    /// Until when no attempt from an unknown device is compared; the end of time: until unlocked.
    pub(crate) locked_until: Option<Timestamp>,
}

/// The row of a user.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    failures: i64,
    charged_at: Timestamp,
    known_failures: i64,
    known_charged_at: Timestamp,
}

impl Attempts {
    const NONE: Self = Self {
        failures: 0,
        charged_at: Timestamp::UNIX_EPOCH,
        known_failures: 0,
        known_charged_at: Timestamp::UNIX_EPOCH,
    };

    fn gate_wait(&self, lockout: Lockout) -> Wait {
        match self.failures {
            THROTTLE_GATE_FAILURES.. => stopped(lockout),
            failures => Wait::after(failures),
        }
    }

    fn known_wait(&self, lockout: Lockout) -> Wait {
        match self.known_failures {
            THROTTLE_KNOWN_FAILURES.. => stopped(lockout),
            _ => Wait::Millis(0),
        }
    }
}

fn stopped(lockout: Lockout) -> Wait {
    match lockout {
        Lockout::Timed => Wait::DAY,
        Lockout::Permanent => Wait::UntilUnlocked,
    }
}

/// Charges an attempt to the gate before its password is compared, if the gate is open. Reads and
/// writes one row in each case, so that the work is the same. For an unknown name that is the row
/// of the neighbour, whose counts stay as they are.
pub(crate) fn reserve(
    tx: &WriteTx<'_>,
    subject: &Subject,
    lockout: Lockout,
) -> Result<Reservation> {
    let id = subject.near;
    let before = of(tx, id)?;
    let closed = before.gate_wait(lockout).rest(before.charged_at, tx.wall());
    let failures = before.failures.saturating_add(1);
    let charged = Attempts { failures, charged_at: tx.wall(), ..before };
    let is_charged = subject.user.is_some() && closed.is_none();
    write(tx, id, if is_charged { charged } else { before })?;
    Ok(match closed.filter(|_| subject.user.is_some()) {
        Some(rest) => Reservation::Closed(rest),
        None => Reservation::Charged(Charge {
            on_device: false,
            at: tx.wall(),
            before: before.charged_at,
            known_before: before.known_charged_at,
            stops: is_charged && failures >= THROTTLE_GATE_FAILURES,
        }),
    })
}

/// Charges an attempt from a known device to it and to the sum of all, unless one of them waits.
pub(crate) fn reserve_known(
    tx: &WriteTx<'_>,
    known: Known,
    lockout: Lockout,
) -> Result<Reservation> {
    let Known { user, device, budget } = known;
    let before = of(tx, user)?;
    let waits = [
        before.known_wait(lockout).rest(before.known_charged_at, tx.wall()),
        Wait::after(budget.failures).rest(budget.charged_at, tx.wall()),
    ];
    if let Some(rest) = waits.into_iter().flatten().max() {
        return Ok(Reservation::Closed(rest));
    }
    let known_failures = before.known_failures.saturating_add(1);
    write(tx, user, Attempts { known_failures, known_charged_at: tx.wall(), ..before })?;
    let failures = budget.failures.saturating_add(1);
    device::set_budget(tx, user, device, Budget { failures, charged_at: tx.wall() })?;
    Ok(Reservation::Charged(Charge {
        on_device: true,
        at: tx.wall(),
        before: budget.charged_at,
        known_before: before.known_charged_at,
        stops: known_failures >= THROTTLE_KNOWN_FAILURES,
    }))
}

/// A device on which this user has logged in before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    user: UserId,
    device: DeviceDigest,
    budget: Budget,
}

/// The device of an attempt, if it is known to its user.
pub(crate) fn known(tx: &ReadTx<'_>, subject: &Subject) -> Result<Option<Known>> {
    let Some(device) = subject.device else { return Ok(None) };
    let budget = device::budget(tx, subject.near, device)?;
    // What was read for the neighbour of an unknown name says nothing.
    let known = subject.user.zip(budget);
    Ok(known.map(|(user, budget)| Known { user, device, budget }))
}

/// A success that proved all that a login of the user needs forgives what the gate counts, the sum
/// of the known devices, and the device it came from.
pub(crate) fn succeeded(
    tx: &WriteTx<'_>,
    user: UserId,
    device: Option<DeviceDigest>,
) -> Result<()> {
    if let Some(device) = device {
        device::set_budget(tx, user, device, Budget::NONE)?;
    }
    write(tx, user, Attempts::NONE)
}

/// A success that proved less than that forgives what was charged on its device alone. Part of its
/// count may have left the sum before, so the sum does not fall below what other devices count.
pub(crate) fn succeeded_on(tx: &WriteTx<'_>, subject: &Subject) -> Result<()> {
    let Some(Known { user, device, budget }) = known(tx, subject)? else { return Ok(()) };
    let now = of(tx, user)?;
    let elsewhere = device::failures_elsewhere(tx, user, device)?.min(now.known_failures);
    let known_failures = now.known_failures.saturating_sub(budget.failures).max(elsewhere);
    device::set_budget(tx, user, device, Budget::NONE)?;
    write(tx, user, Attempts { known_failures, ..now })
}

/// Takes back the charge of an attempt whose password was right, or could not be compared.
pub(crate) fn refund(tx: &WriteTx<'_>, subject: &Subject, charge: &Charge) -> Result<()> {
    // Another charge may have been made since: its moment stays.
    let moment_of = |now: Timestamp, before| if now == charge.at { before } else { now };
    let Some(id) = subject.user else { return Ok(()) };
    let now = of(tx, id)?;
    if !charge.on_device {
        let failures = now.failures.saturating_sub(1).max(0);
        let charged_at = moment_of(now.charged_at, charge.before);
        return write(tx, id, Attempts { failures, charged_at, ..now });
    }
    let known_failures = now.known_failures.saturating_sub(1).max(0);
    let known_charged_at = moment_of(now.known_charged_at, charge.known_before);
    write(tx, id, Attempts { known_failures, known_charged_at, ..now })?;
    match known(tx, subject)? {
        Some(Known { user, device, budget }) => {
            let failures = budget.failures.saturating_sub(1).max(0);
            let charged_at = moment_of(budget.charged_at, charge.before);
            device::set_budget(tx, user, device, Budget { failures, charged_at })
        }
        None => Ok(()),
    }
}

/// How the attempts on a user stand.
pub(crate) fn state(tx: &ReadTx<'_>, user: UserId) -> Result<ThrottleState> {
    let now = of(tx, user)?;
    let locked_until = now.gate_wait(options::of_file(tx)?.lockout).end(now.charged_at, tx.wall());
    Ok(ThrottleState { failures: now.failures.saturating_add(now.known_failures), locked_until })
}

/// Forgives everything; whether there was anything to forgive.
pub(crate) fn clear(tx: &WriteTx<'_>, user: UserId) -> Result<bool> {
    let before = of(tx, user)?;
    write(tx, user, Attempts::NONE)?;
    let cleared = device::clear_budgets(tx, user)?;
    Ok(cleared || before.failures > 0 || before.known_failures > 0)
}

/// When the last failed attempt since the last success was made: from a device that is not known,
/// or in a session; and from a device that is known.
pub(crate) fn last_failures(tx: &ReadTx<'_>, user: UserId) -> Result<[Option<Timestamp>; 2]> {
    let now = of(tx, user)?;
    let if_any = |failures: i64, at| (failures > 0).then_some(at);
    Ok([if_any(now.failures, now.charged_at), if_any(now.known_failures, now.known_charged_at)])
}

fn of(tx: &ReadTx<'_>, id: UserId) -> Result<Attempts> {
    let found = tx.one(
        "SELECT failures, charged_at, known_failures, known_charged_at FROM throttle
         WHERE user_id = ?1",
        params![id],
        |row| {
            Ok(Attempts {
                failures: row.get(0)?,
                charged_at: row.get(1)?,
                known_failures: row.get(2)?,
                known_charged_at: row.get(3)?,
            })
        },
    )?;
    Ok(found.unwrap_or(Attempts::NONE))
}

fn write(tx: &WriteTx<'_>, id: UserId, now: Attempts) -> Result<()> {
    let Attempts { failures, charged_at, known_failures, known_charged_at } = now;
    let values = params![id, failures, charged_at, known_failures, known_charged_at];
    let changed = tx.execute(
        "UPDATE throttle SET failures = ?2, charged_at = ?3, known_failures = ?4,
             known_charged_at = ?5, writes = (writes + 1) & 65535
         WHERE user_id = ?1",
        values,
    )?;
    if changed == 0 {
        // Each user has its row from the start; another program may have deleted it.
        tx.execute(
            "INSERT INTO throttle (user_id, failures, charged_at, known_failures, known_charged_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            values,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
