//! The schema of the file: created in full, checked at each opening, or migrated step by step.
//!
//! **Ordering.** All steps that a file lacks run in one write transaction. A verified backup is
//! written after the transaction has begun and before the first step, so that no commit falls
//! between the backup and the migration.
//!
//! **Compatibility.** A released step is never edited.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::{Connection, TransactionBehavior, params};

use super::clock::Moment;
use super::files::Birth;
use super::guard::OpenWarning;
use super::transaction::{Purpose, WriteTx};
use super::{backup, connection, fault};
use crate::error::{Error, ErrorKind, Result};
use crate::value::event::Actor;
use crate::value::random::{Draws, RandomSource, random_bytes};

/// "GPST", at offset 68 of the file header.
pub(crate) const APPLICATION_ID: i64 = 0x4750_5354;

/// The version that this library writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// The version of SQLite that this program is linked with.
pub(crate) fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// The whole current schema.
const SCHEMA: &str = include_str!("schema.sql");

/// One step from each version to the next, oldest first. There is none: version 1 is the first.
pub(super) const STEPS: &[Step] = &[];

/// One migration step.
pub(super) struct Step {
    /// The `user_version` after this step.
    pub(super) to: i64,
    /// The oldest schema version whose library may use a file of version `to`.
    pub(super) min_reader: i64,
    pub(super) sql: &'static str,
}

/// An event of the file as a whole, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileEvent {
    Created,
    /// From one `user_version` to a later one.
    Migrated {
        from: i64,
        to: i64,
    },
}

/// Writes a [`FileEvent`] into the audit log, in the transaction that creates or migrates the
/// file. Higher modules provide the function: storage does not know the audit log.
#[derive(Clone, Copy)]
pub(super) struct Recorder<'a> {
    pub(super) moment: Moment,
    pub(super) draws: &'a Draws,
    pub(super) write: &'a dyn Fn(&WriteTx<'_>, FileEvent) -> Result<()>,
}

impl Recorder<'_> {
    fn record(&self, connection: &Connection, event: FileEvent) -> Result<()> {
        (self.write)(
            &WriteTx::new(connection, self.moment, Purpose::Ordinary, &Actor::Host, self.draws),
            event,
        )
    }
}

/// The random values and the kind of a new file.
#[derive(Debug)]
pub(super) struct Seed {
    store_id: [u8; 16],
    lineage: [u8; 16],
    stand_in_key: [u8; 32],
    for_tests: bool,
}

impl Seed {
    pub(super) fn draw(random: &dyn RandomSource, for_tests: bool) -> Result<Self> {
        Ok(Self {
            store_id: random_bytes(random)?,
            lineage: random_bytes(random)?,
            stand_in_key: random_bytes(random)?,
            for_tests,
        })
    }
}

/// Creates the schema in an empty file and records that in the audit log. Does nothing if another
/// process was first.
///
/// The file is in rollback-journal mode here: from the first commit on its header names the
/// application, and no WAL is needed to read it.
pub(super) fn create(
    connection: &Connection,
    seed: &Seed,
    file: Option<Birth>,
    recorder: Recorder<'_>,
) -> Result<()> {
    connection.execute_batch("BEGIN EXCLUSIVE").map_err(fault)?;
    let filled = fill(connection, seed, file, recorder);
    let end = if filled.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.execute_batch(end).map_err(fault);
    filled.and(ended)
}

fn fill(
    connection: &Connection,
    seed: &Seed,
    file: Option<Birth>,
    recorder: Recorder<'_>,
) -> Result<()> {
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
                 stand_in_key)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                seed.store_id,
                seed.lineage,
                SCHEMA_VERSION,
                recorder.moment.now,
                seed.for_tests,
                seed.stand_in_key
            ],
        )
        .map_err(fault)?;
    connection
        .execute(
            "INSERT INTO audit_chain (source, trimmed_chain, head_chain)
             VALUES (0, zeroblob(32), zeroblob(32)), (1, zeroblob(32), zeroblob(32)),
                    (2, zeroblob(32), zeroblob(32))",
            [],
        )
        .map_err(fault)?;
    if let Some(file) = file {
        remember_file(connection, file)?;
    }
    connection::pragma(connection, "application_id", APPLICATION_ID)?;
    connection::pragma(connection, "user_version", SCHEMA_VERSION)?;
    recorder.record(connection, FileEvent::Created)
}

/// The id of the store. It never changes, even if the file is moved or restored.
pub(super) fn store_id(connection: &Connection) -> Result<[u8; 16]> {
    connection
        .query_row("SELECT store_id FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// Whether anything was committed since the file was created: each commit writes its mark.
pub(super) fn is_written(connection: &Connection) -> Result<bool> {
    connection
        .query_row("SELECT last_group IS NOT NULL FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// Notes the file in which the content is.
pub(super) fn remember_file(connection: &Connection, file: Birth) -> Result<()> {
    connection
        .execute(
            "UPDATE store SET file_inode = ?1, file_born_ns = ?2 WHERE id = 1",
            params![file.inode, file.born_ns],
        )
        .map(drop)
        .map_err(fault)
}

/// Whether the content was in another file when it was noted last: then this one is a copy.
pub(super) fn is_perhaps_restored(connection: &Connection, file: Birth) -> Result<bool> {
    let (inode, born_ns): (Option<i64>, Option<i64>) = connection
        .query_row("SELECT file_inode, file_born_ns FROM store WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(fault)?;
    let is_another_birth = born_ns.zip(file.born_ns).is_some_and(|(noted, now)| noted != now);
    Ok(inode != Some(file.inode) || is_another_birth)
}

/// A table, index or trigger: its type, name, table and SQL text.
type Object = (String, String, String, String);

/// The schema cookie of a file whose schema was checked: SQLite raises it with every change of the
/// schema.
pub(super) type SchemaCookie = i64;

/// Fails with `Corrupt` unless every table, index and trigger of the schema is in the file with
/// the same SQL text, comments included, and no other trigger, index or foreign key is on its
/// tables. Triggers enforce the guarantees of the file: without one of them, a revoked session
/// could verify, and a trigger of another program runs inside each write.
///
/// Tables of others are accepted, as replication tools add their own, and their views, with a
/// warning.
pub(super) fn check_schema(
    connection: &Connection,
) -> Result<(SchemaCookie, Option<OpenWarning>)> {
    // Dropping the snapshot rolls back, unless SQLite has already done so after an error.
    let snapshot = connection.unchecked_transaction().map_err(fault)?;
    let checked = check_schema_now(&snapshot)?;
    snapshot.finish().map_err(fault)?;
    Ok(checked)
}

/// As [`check_schema`], inside a transaction that the caller has begun.
fn check_schema_now(connection: &Connection) -> Result<(SchemaCookie, Option<OpenWarning>)> {
    check_may_read(connection)?;
    let cookie = schema_cookie(connection)?;
    if user_version(connection)? != SCHEMA_VERSION {
        // A newer library has migrated the file, and its schema is not known here.
        return Ok((cookie, None));
    }
    let (expected, found) = (expected_objects()?, objects(connection)?);
    if !expected.is_subset(&found) {
        return Err(changed());
    }
    let is_own = |table: &str| {
        expected.iter().any(|(kind, name, ..)| kind == "table" && name.eq_ignore_ascii_case(table))
    };
    for (kind, name, table, _) in found.difference(expected) {
        if matches!(kind.as_str(), "trigger" | "index") && is_own(table) {
            return Err(foreign(kind, name, table));
        }
        if kind == "table" {
            for referenced in references(connection, name)? {
                if is_own(&referenced) {
                    return Err(foreign("foreign key of the table", name, &referenced));
                }
            }
        }
    }
    let has_view = found.iter().any(|(kind, ..)| kind == "view");
    Ok((cookie, has_view.then_some(OpenWarning::ForeignView)))
}

/// Fails with `Corrupt` unless every table of the schema is in the file with the same SQL text.
/// This suffices for a SELECT: it runs no trigger, and returns the same with any other index.
pub(super) fn check_tables(connection: &Connection) -> Result<()> {
    let found = objects(connection)?;
    let mut tables = expected_objects()?.iter().filter(|(kind, ..)| kind == "table");
    if tables.all(|table| found.contains(table)) { Ok(()) } else { Err(changed()) }
}

fn changed() -> Error {
    Error::corrupt("the tables or triggers of the file are not those of its version").advising(
        "Find out who changed the tables or triggers of this file, and restore a verified backup.",
    )
}

/// Fails with `TooNew` if a newer library has migrated the file beyond what this one may use, even
/// while this process has it open. Each transaction and each SELECT of a verify checks it.
pub(super) fn check_may_read(connection: &Connection) -> Result<()> {
    if user_version(connection)? <= SCHEMA_VERSION || min_reader(connection)? <= SCHEMA_VERSION {
        return Ok(());
    }
    Err(too_new())
}

pub(super) fn too_new() -> Error {
    Error::new(
        ErrorKind::TooNew,
        "the file was written by a newer version that this one may not read",
    )
}

/// Checks in a transaction that has begun that this version may still use the file, and the schema
/// if it was changed since `checked`.
pub(super) fn check_schema_since(
    connection: &Connection,
    checked: SchemaCookie,
) -> Result<SchemaCookie> {
    check_may_read(connection)?;
    if schema_cookie(connection)? == checked {
        return Ok(checked);
    }
    check_schema_now(connection).map(|(cookie, _)| cookie)
}

fn schema_cookie(connection: &Connection) -> Result<SchemaCookie> {
    header_number(connection, "PRAGMA schema_version")
}

fn user_version(connection: &Connection) -> Result<i64> {
    header_number(connection, "PRAGMA user_version")
}

/// Of the header of the file, by a prepared statement: it is read for every transaction.
fn header_number(connection: &Connection, pragma: &'static str) -> Result<i64> {
    let mut statement = connection.prepare_cached(pragma).map_err(fault)?;
    statement.query_row([], |row| row.get(0)).map_err(fault)
}

/// The tables that the foreign keys of a table name.
fn references(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?1)").map_err(fault)?;
    let rows = statement.query_map([table], |row| row.get(0)).map_err(fault)?;
    rows.map(|row| row.map_err(fault)).collect()
}

/// The names are no secrets: they are of the schema, not of a row.
fn foreign(kind: &str, name: &str, table: &str) -> Error {
    Error::corrupt(format!(
        "the {kind} {name:?} on the table {table} is not part of the schema of the file"
    ))
    .advising(
        "Find out which program added what the message names, stop that program, and drop it with \
         SQL.",
    )
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

/// The oldest schema version whose library may use the file.
fn min_reader(connection: &Connection) -> Result<i64> {
    connection
        .query_row("SELECT min_reader FROM store WHERE id = 1", [], |row| row.get(0))
        .map_err(fault)
}

/// Runs the steps that the file lacks and records the migration: all of it, or nothing.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    path: &Path,
    steps: &[Step],
    recorder: Recorder<'_>,
) -> Result<Option<OpenWarning>> {
    if lacking(connection, steps)?.is_empty() {
        return Ok(None);
    }
    connection::let_tables_be_rebuilt(connection, true)?;
    let migrated = migrate(connection, path, steps, recorder);
    connection::let_tables_be_rebuilt(connection, false)?;
    migrated
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    steps: &[Step],
    recorder: Recorder<'_>,
) -> Result<Option<OpenWarning>> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    // Another process may have migrated the file while this one waited.
    let lacking = lacking(&transaction, steps)?;
    if lacking.is_empty() {
        transaction.rollback().map_err(fault)?;
        return Ok(None);
    }
    let from = connection::pragma_value(&transaction, "user_version")?;
    backup::before_migration(path, from, recorder.moment.now)?;
    for step in lacking {
        run(&transaction, step)?;
    }
    let to = connection::pragma_value(&transaction, "user_version")?;
    recorder.record(&transaction, FileEvent::Migrated { from, to })?;
    check_references(&transaction)?;
    transaction.commit().map_err(fault)?;
    Ok(Some(OpenWarning::Migrated))
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

/// Foreign keys are not enforced while the steps run, so all of them are checked afterwards.
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
