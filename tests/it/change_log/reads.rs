//! Each column that the statements of verify read has its trigger.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use gatepost::testing::{VERIFY_API_KEY_SQL, VERIFY_SESSION_SQL};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::world::World;

/// The last use only rises, and only turns a refusal into a pass: read late, it at most refuses too
/// early. The lifetime at the opening never changes.
///
/// `min_reader` is compared by each read of the change log as well.
const SILENT: [(&str, &str); 5] = [
    ("store", "min_reader"),
    ("session", "last_seen"),
    ("session", "lifetime_ms"),
    ("api_key", "last_seen"),
    ("api_key", "lifetime_ms"),
];
/// Never changed: a trigger refuses it.
const FIXED: [&str; 4] = ["id", "session_id", "actor_session_id", "scopes"];
/// An INSERT can change an answer here: its user has one more privilege.
const COMES: &str = "user_privilege";
/// Has one row, which a trigger keeps.
const STAYS: &str = "store";

/// The columns that SQLite asks the authorizer for while it prepares a statement.
fn columns_read(connection: &mut Connection, statement: &str) -> BTreeSet<(String, String)> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&seen);
    let watch = move |context: AuthContext<'_>| {
        if let AuthAction::Read { table_name, column_name } = context.action {
            noted.lock().unwrap().insert((table_name.to_owned(), column_name.to_owned()));
        }
        Authorization::Allow
    };
    connection.authorizer(Some(watch)).unwrap();
    drop(connection.prepare(statement).unwrap());
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap();
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// The triggers of a table that write change rows: when they fire, and for which columns.
fn triggers(connection: &Connection, table: &str) -> Vec<(String, Vec<String>)> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1";
    let mut statement = connection.prepare(sql).unwrap();
    let texts = statement.query_map([table], |row| row.get::<_, String>(0)).unwrap();
    let words = |text: &str| -> Vec<String> {
        text.split([' ', '\n', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    texts
        .map(Result::unwrap)
        .filter(|text| text.contains("INSERT INTO change"))
        .map(|text| {
            let (head, _) = text.split_once("BEGIN").unwrap();
            let (_, fires) = head.split_once(" AFTER ").or(head.split_once("\nAFTER ")).unwrap();
            let (fires, condition) = fires.split_once("\nWHEN ").unwrap_or((fires, ""));
            let (event, _) = fires.split_once(" ON ").unwrap();
            let mut words = words(event).into_iter();
            let event = words.next().unwrap();
            // A column that is listed and not compared fires nothing.
            let compared =
                |column: &String| condition.contains(&format!("OLD.{column} IS NOT NEW.{column}"));
            (event, words.filter(|word| word != "OF").filter(compared).collect())
        })
        .collect()
}

/// The columns that verify reads and no trigger records.
fn unrecorded(connection: &mut Connection) -> Vec<String> {
    let mut findings = Vec::new();
    let mut read = columns_read(connection, VERIFY_SESSION_SQL);
    read.extend(columns_read(connection, VERIFY_API_KEY_SQL));
    for (table, column) in &read {
        let silent = SILENT.iter().any(|(t, c)| t == table && c == column);
        if silent || column.is_empty() || FIXED.contains(&column.as_str()) || table == COMES {
            continue;
        }
        let recorded = triggers(connection, table)
            .iter()
            .any(|(event, columns)| event == "UPDATE" && columns.contains(column));
        if !recorded {
            findings.push(format!("UPDATE {table}.{column}"));
        }
    }
    let tables: BTreeSet<&String> = read.iter().map(|(table, _)| table).collect();
    for table in tables {
        let fires = |wanted: &str| triggers(connection, table).iter().any(|(e, _)| e == wanted);
        if table != STAYS && !fires("DELETE") {
            findings.push(format!("DELETE {table}"));
        }
        if table == COMES && !fires("INSERT") {
            findings.push(format!("INSERT {table}"));
        }
    }
    findings
}

#[test]
fn each_column_that_verify_reads_has_its_trigger() {
    let world = World::new();
    let mut sql = world.sql();
    assert_eq!(unrecorded(&mut sql), Vec::<String>::new());
    let read = columns_read(&mut sql, VERIFY_SESSION_SQL);
    for table in ["session", "user", "branch", "organisation", "store", "user_privilege"] {
        assert!(read.iter().any(|(of, _)| of == table), "{table} is read");
    }
    assert!(read.contains(&("session".into(), "last_seen".into())));
    let keys = columns_read(&mut sql, VERIFY_API_KEY_SQL);
    assert!(keys.contains(&("user".into(), "keys_ended_seq".into())));
}

/// With any column taken out of a trigger, or any trigger gone, the check above finds it.
#[test]
fn a_column_without_its_trigger_is_found() {
    let world = World::new();
    let mut sql = world.sql();
    let mut read = columns_read(&mut sql, VERIFY_SESSION_SQL);
    read.extend(columns_read(&mut sql, VERIFY_API_KEY_SQL));
    let mut tried = 0;
    for (table, column) in &read {
        let silent = SILENT.iter().any(|(t, c)| t == table && c == column);
        if silent || column.is_empty() || FIXED.contains(&column.as_str()) || table == COMES {
            continue;
        }
        let found = without(&mut sql, table, |text| {
            text.contains("AFTER UPDATE").then(|| {
                let (head, body) = text.split_once(" ON ").unwrap();
                let head = head.replace(&format!(" {column},"), " ");
                let head = head.replace(&format!(", {column}"), "");
                let compare = format!("OLD.{column} IS NOT NEW.{column}");
                format!("{head} ON {}", body.replace(&compare, "0"))
            })
        });
        assert_eq!(found, [format!("UPDATE {table}.{column}")]);
        tried += 1;
    }
    assert!(tried >= 25, "{tried} columns");
    for (table, event) in [
        ("session", "DELETE"),
        ("api_key", "DELETE"),
        ("user", "DELETE"),
        ("branch", "DELETE"),
        ("organisation", "DELETE"),
        ("user_privilege", "DELETE"),
        ("user_privilege", "INSERT"),
    ] {
        let gone = |text: &str| text.contains(&format!("AFTER {event}")).then(String::new);
        assert_eq!(without(&mut sql, table, gone), [format!("{event} {table}")]);
    }
}

/// What is found with other triggers on a table, which are replaced by the right ones afterwards.
fn without(
    sql: &mut Connection,
    table: &str,
    change: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    sql.execute_batch("BEGIN").unwrap();
    let of_table = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1";
    let mut statement = sql.prepare(of_table).unwrap();
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let triggers: Vec<(String, String)> = rows.map(Result::unwrap).collect();
    drop(statement);
    for (name, text) in triggers.iter().filter(|(_, text)| text.contains("INTO change")) {
        if let Some(other) = change(text) {
            sql.execute_batch(&format!("DROP TRIGGER {name}; {other}")).unwrap();
        }
    }
    let found = unrecorded(sql);
    sql.execute_batch("ROLLBACK").unwrap();
    found
}
