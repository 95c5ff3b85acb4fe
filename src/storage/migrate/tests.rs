//! Migrations, tested with an invented version 2 and with files of version 1 that have a row in
//! every table.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;

use rusqlite::types::Value;
use tempfile::TempDir;

use super::super::files::with_suffix;
use super::super::{Whereabouts, guard, open};
use super::*;
use crate::error::ErrorKind;
use crate::value::random::SystemRandom;
use crate::value::time::Timestamp;

const NOW: i64 = 1_767_603_600_000;

/// A row in every table.
const ROWS: &str = "
    INSERT INTO organisation (id, name, created_at) VALUES (zeroblob(16), 'Northern', 1);
    INSERT INTO branch (id, organisation_id, name, created_at)
        VALUES (zeroblob(16), zeroblob(16), 'York', 1);
    INSERT INTO user (id, branch_id, status, kind, username, username_key, created_at, search_key,
            audit_salt)
        VALUES (zeroblob(16), zeroblob(16), 'active', 'person', 'Ada', 'ada', 1, 'ada',
            zeroblob(16));
    INSERT INTO user_privilege (user_id, name) VALUES (zeroblob(16), 'admin');
    INSERT INTO administration VALUES (1, zeroblob(16), NULL, zeroblob(16), 1);
    INSERT INTO credential (user_id, phc, norm, version, set_at)
        VALUES (zeroblob(16), '$', 1, 1, 1);
    INSERT INTO device (user_id, device_hash, first_login_at, last_login_at)
        VALUES (zeroblob(16), zeroblob(16), 1, 1);
    INSERT INTO session (id, secret_hash, user_id, opened_seq, opened_at, authenticated_at,
            expires_at, lifetime_ms, aal, last_seen)
        VALUES (zeroblob(16), zeroblob(32), zeroblob(16), 1, 1, 1, 9, 9, 1, 1);
    INSERT INTO session_document (session_id, version, body) VALUES (zeroblob(16), 1, '{}');
    INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
        VALUES (zeroblob(16), zeroblob(32), zeroblob(16), 1, 1);
    INSERT INTO one_time_token (id, secret_hash, purpose, user_id, uses_left, issued_seq, issued_at,
            expires_at)
        VALUES (zeroblob(16), zeroblob(32), 'invitation', zeroblob(16), 1, 1, 1, 9);
    INSERT INTO external_identity (provider, subject, user_id, linked_at)
        VALUES ('a', 'b', zeroblob(16), 1);
    INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift, last_step)
        VALUES (zeroblob(16), zeroblob(20), '', 'sha1', 6, 'imported', 1, 0, 0);
    INSERT INTO totp_enrolment (user_id, secret, key_id, algorithm, digits, session_id, begun_seq,
            begun_at, expires_at)
        VALUES (zeroblob(16), zeroblob(20), '', 'sha1', 6, zeroblob(16), 1, 1, 9);
    INSERT INTO recovery_code VALUES (zeroblob(16), zeroblob(32), 1);
    INSERT INTO pending_step (id, secret_hash, user_id, demand, guesses_left, issued_seq, issued_at,
            expires_at, require_admin, is_desktop)
        VALUES (zeroblob(16), zeroblob(32), zeroblob(16), 'code', 5, 1, 1, 9, 0, 0);
    INSERT INTO configuration_key (key, shown) VALUES ('theme', 'Theme');
    INSERT INTO setting (key, branch_id, value) VALUES ('theme', zeroblob(16), 'dark');
    INSERT INTO policy (name, value) VALUES ('service_name', 'Northern');
    INSERT INTO credit (branch_id, remaining) VALUES (zeroblob(16), 7);
    INSERT INTO audit (source, salt, at, event, outcome, actor, person_hash, chain)
        VALUES (0, zeroblob(8), 1, 'a', 'done', 'host', zeroblob(32), zeroblob(32));
    INSERT INTO audit_consumer (name, seen_seq) VALUES ('mailer', 0);
";

struct Old {
    path: PathBuf,
    directory: TempDir,
}

impl Old {
    /// A file of version 1, closed, with rows in every table.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("auth.db");
        let seed = Seed::draw(&SystemRandom, true).unwrap();
        let whereabouts = Whereabouts::of(&path).unwrap();
        let tolerances = guard::Tolerances::default();
        let opened = open::open(&whereabouts, tolerances, &seed, recorder(1)).unwrap();
        opened.writer.execute_batch(ROWS).unwrap();
        for table in tables(&opened.writer) {
            assert!(!rows(&opened.writer, &table, "1").is_empty(), "{table} has no row");
        }
        Self { path, directory }
    }

    fn connect(&self) -> Connection {
        connection::for_writing(&self.path).unwrap()
    }

    fn migrate(&self, steps: &[Step]) -> Result<Option<OpenWarning>> {
        self.migrate_at(steps, NOW)
    }

    fn migrate_at(&self, steps: &[Step], now: i64) -> Result<Option<OpenWarning>> {
        bring_up_to_date(&mut self.connect(), &self.path, steps, recorder(now))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn draws() -> &'static Draws {
    static DRAWS: OnceLock<Draws> = OnceLock::new();
    DRAWS.get_or_init(|| Draws::new(Arc::new(SystemRandom)).unwrap())
}

/// Stores each event as a configuration key: the audit log belongs to a higher module.
fn recorder(now: i64) -> Recorder<'static> {
    let write = &|tx: &WriteTx<'_>, event| {
        let (key, shown) = match event {
            FileEvent::Created => ("created", String::new()),
            FileEvent::Migrated { from, to } => ("migrated", format!("{from} to {to}")),
        };
        tx.execute("INSERT INTO configuration_key (key, shown) VALUES (?1, ?2)", [key, &shown])
            .map(drop)
    };
    let now = Timestamp::from_millis(now);
    Recorder { moment: Moment { now, wall: now }, draws: draws(), write }
}

/// The migrations that the recorder has stored.
fn recorded(connection: &Connection) -> Vec<String> {
    let sql = "SELECT shown FROM configuration_key WHERE key = 'migrated'";
    let mut all = connection.prepare(sql).unwrap();
    all.query_map([], |row| row.get(0)).unwrap().map(|shown| shown.unwrap()).collect()
}

/// The schema of version 2, as a new file would have it.
fn fresh() -> String {
    let mut schema = String::from(SCHEMA);
    for (old, new) in [
        (
            "kept_rows     INTEGER NOT NULL DEFAULT 0 CHECK (kept_rows >= 0)\n",
            "kept_rows     INTEGER NOT NULL DEFAULT 0 CHECK (kept_rows >= 0), note TEXT\n",
        ),
        ("    label            TEXT,\n    ip", "    label TEXT NOT NULL, ip"),
        (
            "CREATE INDEX session_by_user ON session (user_id, expires_at, opened_seq);",
            "CREATE INDEX session_by_user ON session (user_id, opened_at);",
        ),
    ] {
        assert_eq!(schema.matches(old).count(), 1, "{old}");
        schema = schema.replace(old, new);
    }
    schema + PET
}

const PET: &str = "
    CREATE TABLE pet (id INTEGER PRIMARY KEY, user_id BLOB NOT NULL REFERENCES user (id)) STRICT;
    CREATE INDEX pet_by_user ON pet (user_id);
    CREATE TRIGGER pet_stays BEFORE DELETE ON pet BEGIN SELECT RAISE(ABORT, 'stays'); END;
";

/// The step to version 2: a new column, a new table, and a rebuilt table that another table
/// references.
fn step() -> Step {
    let model = Connection::open_in_memory().unwrap();
    model.execute_batch(&fresh()).unwrap();
    let about_session = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'session'
         AND type <> 'table' AND sql IS NOT NULL";
    let table: String = model
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'session'", [], |row| row.get(0))
        .unwrap();
    let columns = columns(&model, "session").join(", ");
    let values = columns.replace("label", "coalesce(label, '')");
    let mut sql = vec![
        String::from("ALTER TABLE audit_chain ADD COLUMN note TEXT"),
        table.replace("CREATE TABLE session", "CREATE TABLE session_new"),
        ["INSERT INTO session_new (", &columns, ") SELECT ", &values, " FROM session"].concat(),
        String::from("DROP TABLE session"),
        String::from("ALTER TABLE session_new RENAME TO session"),
    ];
    let mut rest = model.prepare(about_session).unwrap();
    sql.extend(rest.query_map([], |row| row.get(0)).unwrap().map(|one| one.unwrap()));
    sql.push(PET.to_owned());
    Step { to: 2, min_reader: 2, sql: Box::leak(sql.join(";\n").into_boxed_str()) }
}

fn failing() -> Step {
    let sql = [step().sql, ";INSERT INTO pet (user_id) VALUES (1)"].concat();
    Step { to: 2, min_reader: 2, sql: Box::leak(sql.into_boxed_str()) }
}

#[test]
fn a_migrated_file_equals_a_fresh_one_and_keeps_its_rows() {
    let old = Old::new();
    let before = old.connect();
    let kept: Vec<_> = tables(&before)
        .into_iter()
        .map(|table| {
            let columns = columns(&before, &table).join(", ");
            let rows = rows(&before, &table, &columns);
            (table, columns, rows)
        })
        .collect();
    drop(before);
    assert_eq!(old.migrate(&[step()]).unwrap(), Some(OpenWarning::Migrated));

    let migrated = old.connect();
    let model = Connection::open_in_memory().unwrap();
    model.execute_batch(&fresh()).unwrap();
    assert_eq!(schema(&migrated), schema(&model));
    for (table, columns, before) in kept {
        let after = rows(&migrated, &table, &columns);
        match table.as_str() {
            "store" => assert_eq!(before.len(), after.len()),
            "session" => assert_eq!(before[0][..11], after[0][..11]),
            "configuration_key" => assert!(before.iter().all(|row| after.contains(row))),
            _ => assert_eq!(before, after, "{table}"),
        }
    }
    assert_eq!(connection::pragma_value(&migrated, "user_version").unwrap(), 2);
    assert_eq!(min_reader(&migrated).unwrap(), 2);
    assert_eq!(connection::pragma_value(&migrated, "foreign_keys").unwrap(), 1);
    assert_eq!(old.migrate(&[step()]).unwrap(), None);
    assert_eq!(recorded(&migrated), ["1 to 2"]);
}

#[test]
fn the_backup_of_the_old_file_is_kept_and_never_overwritten() {
    use std::os::unix::fs::MetadataExt;
    let old = Old::new();
    old.migrate(&[step()]).unwrap();
    let name = "auth.db.v1-1767603600000.backup";
    assert_eq!(old.names(), ["auth.db", name, &format!("{name}.manifest")]);
    let path = old.directory.path().join(name);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let backup = connection::for_reading(&path).unwrap();
    assert_eq!(connection::pragma_value(&backup, "user_version").unwrap(), 1);
    let verdict: String =
        backup.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let model = Connection::open_in_memory().unwrap();
    model.execute_batch(SCHEMA).unwrap();
    assert_eq!(schema(&backup), schema(&model));
    assert_eq!(rows(&backup, "session", "1").len(), 1);
    drop(backup);
    assert_eq!(old.names(), ["auth.db", name, &format!("{name}.manifest")]);

    let another = Old::new();
    let taken = another.directory.path().join(name);
    fs::write(&taken, "an older backup").unwrap();
    let refused = another.migrate(&[step()]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Taken);
    assert_eq!(fs::read(&taken).unwrap(), b"an older backup");
    assert_eq!(connection::pragma_value(&another.connect(), "user_version").unwrap(), 1);
    assert_eq!(another.names(), ["auth.db", name]);
}

#[test]
fn a_backup_that_another_process_is_writing_is_left_alone() {
    let old = Old::new();
    let name = "auth.db.v1-1767603600000.backup.partial";
    let partial = old.directory.path().join(name);
    fs::write(&partial, "half of a backup").unwrap();
    assert_eq!(old.migrate(&[step()]).unwrap_err().kind(), ErrorKind::Taken);
    assert_eq!(fs::read(&partial).unwrap(), b"half of a backup");
    assert_eq!(old.names(), ["auth.db", name]);
}

#[test]
fn a_backup_of_another_version_than_the_file_had_is_not_kept() {
    let old = Old::new();
    let now = Timestamp::from_millis(NOW);
    let refused = backup::before_migration(&old.path, 2, now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert_eq!(old.names(), ["auth.db"]);
    backup::before_migration(&old.path, 1, now).unwrap();
}

#[test]
fn a_step_that_fails_leaves_the_file_at_its_version() {
    let old = Old::new();
    let before = schema(&old.connect());
    assert!(old.migrate(&[failing()]).is_err());
    let after = old.connect();
    assert_eq!(schema(&after), before);
    assert_eq!(connection::pragma_value(&after, "user_version").unwrap(), 1);
    assert_eq!(min_reader(&after).unwrap(), 1);
    assert_eq!(rows(&after, "session_document", "1").len(), 1);
}

#[test]
fn a_migration_or_creation_that_cannot_be_recorded_does_not_happen() {
    let refusing = Recorder { write: &|_, _| Err(Error::taken("a test")), ..recorder(NOW) };
    let old = Old::new();
    let before = schema(&old.connect());
    let migrated = bring_up_to_date(&mut old.connect(), &old.path, &[step()], refusing);
    assert_eq!(migrated.unwrap_err().kind(), ErrorKind::Taken);
    assert_eq!(schema(&old.connect()), before);
    assert_eq!(connection::pragma_value(&old.connect(), "user_version").unwrap(), 1);

    let empty = Connection::open_in_memory().unwrap();
    let seed = Seed::draw(&SystemRandom, true).unwrap();
    assert_eq!(create(&empty, &seed, None, refusing).unwrap_err().kind(), ErrorKind::Taken);
    assert!(schema(&empty).is_empty());
    assert_eq!(connection::pragma_value(&empty, "application_id").unwrap(), 0);
}

#[test]
fn a_step_that_would_break_a_reference_is_refused() {
    let old = Old::new();
    let sql = "DELETE FROM session";
    let refused = old.migrate(&[Step { to: 2, min_reader: 1, sql }]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert_eq!(rows(&old.connect(), "session", "1").len(), 1);
}

#[test]
fn of_several_steps_all_run_or_none() {
    let old = Old::new();
    let third = Step { to: 3, min_reader: 2, sql: "CREATE TABLE third (a INTEGER) STRICT" };
    let broken = Step { to: 3, min_reader: 2, sql: "no statement" };
    assert!(old.migrate(&[step(), broken]).is_err());
    assert_eq!(connection::pragma_value(&old.connect(), "user_version").unwrap(), 1);
    fs::remove_file(old.directory.path().join("auth.db.v1-1767603600000.backup")).unwrap();
    assert!(recorded(&old.connect()).is_empty());
    old.migrate(&[step(), third]).unwrap();
    assert_eq!(recorded(&old.connect()), ["1 to 3"]);
    assert_eq!(connection::pragma_value(&old.connect(), "user_version").unwrap(), 3);
    assert_eq!(min_reader(&old.connect()).unwrap(), 2);
}

#[test]
fn two_at_once_take_a_step_once() {
    for round in 0..5 {
        let old = Old::new();
        let start = Barrier::new(2);
        let steps = [step()];
        let migrate = |at: i64| {
            let mut connection = old.connect();
            start.wait();
            bring_up_to_date(&mut connection, &old.path, &steps, recorder(at))
        };
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(|| migrate(1));
            (migrate(2), one.join().unwrap())
        });
        let mut notes = [one.unwrap(), two.unwrap()];
        notes.sort_by_key(Option::is_some);
        assert_eq!(notes, [None, Some(OpenWarning::Migrated)], "round {round}");
        assert_eq!(recorded(&old.connect()), ["1 to 2"]);
        assert_eq!(old.names().len(), 3, "one file and one backup: {:?}", old.names());
    }
}

#[test]
fn a_migration_that_is_killed_has_not_happened() {
    let old = Old::new();
    let before = schema(&old.connect());
    let mut child = killed_child(&old.path);
    // The backup exists once the transaction has begun, and the child never ends it.
    while old.names().iter().all(|name| !name.ends_with(".backup")) {
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let after = old.connect();
    assert_eq!(schema(&after), before);
    assert_eq!(connection::pragma_value(&after, "user_version").unwrap(), 1);
    assert!(recorded(&after).is_empty());
    drop(after);
    assert_eq!(old.migrate(&[step()]).unwrap_err().kind(), ErrorKind::Taken);
    old.migrate_at(&[step()], NOW + 1).unwrap();
    assert_eq!(connection::pragma_value(&old.connect(), "user_version").unwrap(), 2);
}

/// The mode of the partial copy is checked as well.
#[test]
fn no_file_of_a_migration_is_accessible_to_others_at_any_instant() {
    for mask in ["000", "022"] {
        let mut seen = BTreeSet::new();
        while !(seen.contains("partial") && seen.contains("backup")) {
            let old = Old::new();
            let test = "storage::migrate::tests::child_that_migrates";
            let mut child = Command::new("sh")
                .args(["-c", &format!("umask {mask} && exec \"$@\""), "sh"])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", test])
                .arg(&old.path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            loop {
                let ended = child.try_wait().unwrap();
                // The files are checked once more after the child has ended.
                for name in old.names() {
                    let found = fs::symlink_metadata(old.directory.path().join(&name));
                    let Ok(found) = found else { continue };
                    let mode = found.permissions().mode() & 0o7777;
                    assert_eq!(mode & !0o600, 0, "{name} is {mode:o}");
                    seen.insert(name.rsplit_once('.').unwrap().1.to_owned());
                }
                if ended.is_some() {
                    break;
                }
            }
            assert!(child.wait().unwrap().success());
        }
    }
}

/// After such an error SQLite has rolled back by itself; the failed ROLLBACK must not hide the
/// error.
#[test]
fn an_error_of_the_system_while_the_schema_is_checked_is_reported_as_one() {
    let old = Old::new();
    let connection = old.connect();
    connection::use_wal(&connection).unwrap();
    check_schema(&connection).unwrap();
    // Another connection changes the schema without the change counter that would make SQLite read
    // it again.
    let other = Connection::open(&old.path).unwrap();
    other.execute_batch("PRAGMA writable_schema = ON").unwrap();
    other.execute("UPDATE sqlite_schema SET sql = sql || ' ' WHERE type = 'index'", []).unwrap();
    let log = fs::File::options().write(true).open(with_suffix(&old.path, "-wal")).unwrap();
    log.set_len(100).unwrap();
    let error = check_schema(&connection).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(connection.is_autocommit());
}

/// Runs only in the child process of the test above, which passes a path.
#[test]
fn child_that_migrates() {
    let Some(path) = std::env::args().find(|word| word.ends_with("/auth.db")) else { return };
    let path = PathBuf::from(path);
    let mut connection = connection::for_writing(&path).unwrap();
    bring_up_to_date(&mut connection, &path, &[step()], recorder(NOW)).unwrap();
}

fn killed_child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::migrate::tests::child_that_never_ends_its_migration"])
        .arg(path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs only in the child process of the test above, which passes a path.
#[test]
fn child_that_never_ends_its_migration() {
    let Some(path) = std::env::args().find(|word| word.ends_with("/auth.db")) else { return };
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n)
         SELECT max(i) FROM n";
    let sql = [step().sql, ";", endless].concat();
    let step = Step { to: 2, min_reader: 2, sql: Box::leak(sql.into_boxed_str()) };
    let path = PathBuf::from(path);
    let mut connection = connection::for_writing(&path).unwrap();
    bring_up_to_date(&mut connection, &path, &[step], recorder(NOW)).unwrap();
}

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
         ORDER BY name";
    let mut names = connection.prepare(sql).unwrap();
    names.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    names.query_map([table], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
}

fn rows(connection: &Connection, table: &str, columns: &str) -> Vec<Vec<Value>> {
    let sql = ["SELECT ", columns, " FROM ", table, " ORDER BY 1"].concat();
    let mut all = connection.prepare(&sql).unwrap();
    let width = all.column_count();
    all.query_map([], |row| (0..width).map(|at| row.get(at)).collect())
        .unwrap()
        .map(|row| row.unwrap())
        .collect()
}

/// The SQL of the schema, without the differences that a rename or an added column makes.
fn schema(connection: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
    let mut all = connection.prepare(sql).unwrap();
    all.query_map([], |row| Ok((row.get(0)?, plain(&row.get::<_, String>(1)?))))
        .unwrap()
        .map(|row| row.unwrap())
        .collect()
}

fn plain(sql: &str) -> String {
    let without_comments = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = without_comments.collect::<Vec<_>>().join(" ").replace('"', "");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace("( ", "(").replace(" )", ")").replace(" ,", ",")
}
