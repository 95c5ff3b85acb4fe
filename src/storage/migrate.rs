//! The schema: created whole, or brought up to date step by step.
//!
//! All steps that a file lacks run in one transaction, which first holds the file while a verified
//! backup of what it was is written beside it: no commit can fall between the two. A step is never
//! edited once it was released.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::{Connection, TransactionBehavior, params};

use super::guard::Note;
use super::transaction::{Purpose, WriteTx};
use super::{backup, connection, fault};
use crate::error::{Error, Result};
use crate::value::event::Actor;
use crate::value::random::{RandomSource, random_bytes};
use crate::value::time::Timestamp;

/// "GPST", at offset 68 of the file.
pub(crate) const APPLICATION_ID: i64 = 0x4750_5354;

/// The version that this library writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// The whole current schema.
const SCHEMA: &str = include_str!("schema.sql");

/// From each version to the next, oldest first. Version 1 is the first.
pub(super) const STEPS: &[Step] = &[];

/// One step of the schema.
pub(super) struct Step {
    /// The `user_version` that it leads to.
    pub(super) to: i64,
    /// The oldest library that may use a file of that version.
    pub(super) min_reader: i64,
    pub(super) sql: &'static str,
}

/// What happens to the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileEvent {
    Created,
    /// From one `user_version` to another.
    Migrated {
        from: i64,
        to: i64,
    },
}

/// Writes a [`FileEvent`] into the audit log, in the transaction that creates or migrates the file.
/// The function comes from a higher floor: storage does not know the audit log.
#[derive(Clone, Copy)]
pub(super) struct Recorder<'a> {
    pub(super) now: Timestamp,
    pub(super) random: &'a dyn RandomSource,
    pub(super) write: &'a dyn Fn(&WriteTx<'_>, FileEvent) -> Result<()>,
}

impl Recorder<'_> {
    fn record(&self, connection: &Connection, event: FileEvent) -> Result<()> {
        (self.write)(
            &WriteTx::new(connection, self.now, Purpose::Ordinary, &Actor::Host, self.random),
            event,
        )
    }
}

/// What a new file is given at its creation.
#[derive(Debug)]
pub(super) struct Seed {
    store_id: [u8; 16],
    lineage: [u8; 16],
    throttle_key: [u8; 32],
    for_tests: bool,
}

impl Seed {
    pub(super) fn draw(random: &dyn RandomSource, for_tests: bool) -> Result<Self> {
        Ok(Self {
            store_id: random_bytes(random)?,
            lineage: random_bytes(random)?,
            throttle_key: random_bytes(random)?,
            for_tests,
        })
    }
}

/// Fills an empty file and records that in its audit log. Does nothing if another process was
/// first.
///
/// The file is still in rollback mode here, so that its header says whose it is from the first
/// commit on and no log is needed to read it.
pub(super) fn create(connection: &Connection, seed: &Seed, recorder: Recorder<'_>) -> Result<()> {
    connection.execute_batch("BEGIN EXCLUSIVE").map_err(fault)?;
    let filled = fill(connection, seed, recorder);
    let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.execute_batch(end).map_err(fault);
    filled.and(ended)
}

fn fill(connection: &Connection, seed: &Seed, recorder: Recorder<'_>) -> Result<()> {
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fault)?;
    if objects > 0 {
        return Ok(());
    }
    connection.execute_batch(SCHEMA).map_err(fault)?;
    connection.execute("INSERT INTO change (seq, kind) VALUES (1, 0)", []).map_err(fault)?;
    connection
        .execute(
            "INSERT INTO store (id, store_id, lineage, min_reader, created_at, for_tests,
                 throttle_key)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                seed.store_id,
                seed.lineage,
                SCHEMA_VERSION,
                recorder.now,
                seed.for_tests,
                seed.throttle_key
            ],
        )
        .map_err(fault)?;
    connection
        .execute(
            "INSERT INTO audit_chain (source, trimmed_chain, head_chain)
             VALUES (0, zeroblob(32), zeroblob(32)), (1, zeroblob(32), zeroblob(32))",
            [],
        )
        .map_err(fault)?;
    connection::pragma(connection, "application_id", APPLICATION_ID)?;
    connection::pragma(connection, "user_version", SCHEMA_VERSION)?;
    recorder.record(connection, FileEvent::Created)
}

pub(super) fn is_for_tests(connection: &Connection) -> Result<bool> {
    connection
        .query_row("SELECT for_tests FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// Which store it is, whatever happens to its file.
pub(super) fn store_id(connection: &Connection) -> Result<[u8; 16]> {
    connection
        .query_row("SELECT store_id FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// A table, index or trigger: type, name, its table, and its text.
type Object = (String, String, String, String);

/// Whether all that the schema asks for stands in the file, word for word. Each guarantee of the
/// file is kept by one of them; a hand that dropped one would have sessions verified that have
/// ended. What others have added is let be: replication does, and who may write the file needs no
/// trigger to do harm.
pub(super) fn check_schema(connection: &Connection) -> Result<()> {
    // Let go of whatever happens; after some errors SQLite has rolled back by itself.
    let snapshot = connection.unchecked_transaction().map_err(fault)?;
    let is_untouched = is_untouched(&snapshot)?;
    snapshot.finish().map_err(fault)?;
    if is_untouched {
        return Ok(());
    }
    Err(Error::corrupt("the tables or triggers of the file are not those of its version")
        .advising(
            "Find out who changed the tables or triggers of this file, and restore a verified \
             backup.",
        ))
}

fn is_untouched(connection: &Connection) -> Result<bool> {
    if connection::pragma_value(connection, "user_version")? != SCHEMA_VERSION {
        // A newer library answers for what it has made of it.
        return Ok(true);
    }
    Ok(expected_objects()?.is_subset(&objects(connection)?))
}

fn expected_objects() -> Result<&'static BTreeSet<Object>> {
    static EXPECTED: OnceLock<BTreeSet<Object>> = OnceLock::new();
    if let Some(expected) = EXPECTED.get() {
        return Ok(expected);
    }
    let model = Connection::open_in_memory().map_err(fault)?;
    model.execute_batch(SCHEMA).map_err(fault)?;
    let expected = objects(&model)?;
    Ok(EXPECTED.get_or_init(|| expected))
}

fn objects(connection: &Connection) -> Result<BTreeSet<Object>> {
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        .map_err(fault)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .map_err(fault)?;
    rows.map(|row| row.map_err(fault)).collect()
}

/// The oldest library that may use the file, by its own word.
pub(super) fn min_reader(connection: &Connection) -> Result<i64> {
    connection
        .query_row("SELECT min_reader FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// Runs the steps that the file still lacks and records that: all of it, or nothing.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    path: &Path,
    steps: &[Step],
    recorder: Recorder<'_>,
) -> Result<Option<Note>> {
    if lacking(connection, steps)?.is_empty() {
        return Ok(None);
    }
    connection::enforce_foreign_keys(connection, false)?;
    let migrated = migrate(connection, path, steps, recorder);
    connection::enforce_foreign_keys(connection, true)?;
    migrated
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    steps: &[Step],
    recorder: Recorder<'_>,
) -> Result<Option<Note>> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    // Another process may have done it while this one waited.
    let lacking = lacking(&transaction, steps)?;
    if lacking.is_empty() {
        transaction.rollback().map_err(fault)?;
        return Ok(None);
    }
    let from = connection::pragma_value(&transaction, "user_version")?;
    backup::write_verified(path, from, recorder.now)?;
    for step in lacking {
        run(&transaction, step)?;
    }
    let to = connection::pragma_value(&transaction, "user_version")?;
    recorder.record(&transaction, FileEvent::Migrated { from, to })?;
    check_references(&transaction)?;
    transaction.commit().map_err(fault)?;
    Ok(Some(Note::Migrated))
}

fn lacking<'s>(connection: &Connection, steps: &'s [Step]) -> Result<Vec<&'s Step>> {
    let from = connection::pragma_value(connection, "user_version")?;
    Ok(steps.iter().filter(|step| step.to > from).collect())
}

fn run(transaction: &Connection, step: &Step) -> Result<()> {
    transaction.execute_batch(step.sql).map_err(fault)?;
    transaction
        .execute("UPDATE store SET min_reader = ?1 WHERE id = 1", params![step.min_reader])
        .map_err(fault)?;
    connection::pragma(transaction, "user_version", step.to)
}

/// Foreign keys are not enforced while the steps run; so they are asked for afterwards.
fn check_references(transaction: &Connection) -> Result<()> {
    let broken: i64 = transaction
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
        .map_err(fault)?;
    if broken > 0 {
        return Err(Error::corrupt("a migration would leave rows that point at nothing"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
