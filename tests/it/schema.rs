//! What the file itself refuses, whichever program runs the statement.

mod triggers;
mod unique;

use gatepost::audit::HostEvent;
use rusqlite::Connection;

use crate::world::World;

/// Two of everything that can clash, each pair numbered 1 and 2; user 3 is a system user, and
/// users 4 and 5 have nothing that points at them.
const ROWS: &str = "
    INSERT INTO organisation (id, name, created_at) VALUES (#1, 'A', 0), (#2, 'B', 0);
    INSERT INTO organisation (id, name, created_at) VALUES (#3, 'empty', 0);
    INSERT INTO branch (id, organisation_id, name, created_at)
        VALUES (#1, #1, 'A', 0), (#2, #2, 'B', 0), (#3, NULL, 'empty', 0);
    INSERT INTO user (id, branch_id, status, kind, username, username_key, created_at, search_key,
            audit_salt)
        VALUES (#1, #1, 'active', 'person', 'ada', 'ada', 0, '', #1),
               (#2, #2, 'active', 'person', 'bob', 'bob', 0, '', #2),
               (#3, NULL, 'active', 'system', 'cron', 'cron', 0, '', #3),
               (#4, NULL, 'active', 'person', 'dan', 'dan', 0, '', #4),
               (#5, NULL, 'active', 'person', 'eve', 'eve', 0, '', #5);
    UPDATE user SET deleted_at = 1, sessions_ended_seq = HEAD + 1, keys_ended_seq = HEAD + 1,
        tokens_ended_seq = HEAD + 1, username = 'dan', username_key = 'bob',
        names_version = 1 WHERE id = #5;
    INSERT INTO user_privilege (user_id, name) VALUES (#1, 'admin'), (#1, 'other'), (#2, 'admin');
    INSERT INTO administration (id, user_id, branch_id, granted_at) VALUES (1, #1, #1, 0);
    INSERT INTO credential (user_id, phc, norm, version, set_at) VALUES (#1, '$', 1, 1, 0);
    INSERT INTO session (id, secret_hash, device_hash, user_id, opened_seq, opened_at,
            authenticated_at, expires_at, lifetime_ms, aal, last_seen)
        VALUES (#1, zeroblob(32), #1, #1, HEAD, 0, 0, 9, 9, 1, 5),
               (#2, zeroblob(32), #2, #2, HEAD, 0, 0, 9, 9, 1, 5);
    INSERT INTO session_document (session_id, version, body) VALUES (#1, 1, '{}');
    INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at, expires_at)
        VALUES (#1, zeroblob(32), #1, HEAD, 0, NULL), (#2, zeroblob(32), #2, HEAD, 0, 9);
    INSERT INTO one_time_token (id, secret_hash, purpose, user_id, bound_email, uses_left,
            issued_seq, issued_at, expires_at)
        VALUES (#1, zeroblob(32), 'password_reset', #1, NULL, 1, HEAD, 0, 9),
               (#2, zeroblob(32), 'email_confirmation', #1, 'a', 0, HEAD, 0, 9);
    INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift, last_step)
        VALUES (#1, zeroblob(20), '', 'sha1', 6, 'enrolled', 0, 0, 5);
    INSERT INTO totp_enrolment (user_id, secret, key_id, algorithm, digits, session_id, begun_seq,
            begun_at, expires_at)
        VALUES (#2, zeroblob(20), '', 'sha1', 6, #2, HEAD, 0, 9);
    INSERT INTO recovery_code (user_id, code_hash, issued_at) VALUES (#1, zeroblob(32), 0);
    INSERT INTO device (user_id, device_hash, first_login_at, last_login_at) VALUES (#1, #1, 0, 0);
    INSERT INTO pending_step (id, secret_hash, user_id, device_hash, demand, guesses_left,
            issued_seq, issued_at, expires_at, credential_version, require_admin, is_desktop)
        VALUES (#1, zeroblob(32), #1, #1, 'code', 5, HEAD, 0, 9, 1, 0, 0);
";

/// A file with those rows and a connection to it.
fn hand() -> (World, Connection) {
    let world = World::new();
    let sql = world.sql();
    sql.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    sql.execute_batch(&full(ROWS)).unwrap();
    let printed = HostEvent::new("report.printed").unwrap();
    world.store.audit().record(&[printed.clone(), printed]).unwrap();
    (world, sql)
}

/// `#1` is the id of that number, `HEAD` the number of the newest change row.
fn full(script: &str) -> String {
    let mut text =
        script.replace("HEAD", "(SELECT seq FROM sqlite_sequence WHERE name = 'change')");
    for number in 1..=9 {
        text = text.replace(&format!("#{number}"), &format!("x'{number:032x}'"));
    }
    text
}

fn list(sql: &Connection, query: &str) -> Vec<String> {
    let mut statement = sql.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect()
}

const TABLES: &str = "SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";

fn script() -> &'static str {
    include_str!("../../src/storage/schema.sql")
}

#[test]
fn every_table_is_strict() {
    let (_world, sql) = hand();
    let loose = "SELECT name FROM pragma_table_list
         WHERE type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite%'";
    assert_eq!(list(&sql, loose), Vec::<String>::new());
    assert_eq!(list(&sql, TABLES).len(), 27);
    let refused = sql.execute("UPDATE store SET created_at = 'yesterday'", []);
    assert!(refused.unwrap_err().to_string().contains("cannot store TEXT value"));
}

#[test]
fn every_table_says_what_a_row_means() {
    let lines: Vec<&str> = script().lines().collect();
    let (_world, sql) = hand();
    for table in list(&sql, TABLES) {
        let at = lines.iter().position(|line| *line == format!("CREATE TABLE {table} ("));
        let at = at.unwrap_or_else(|| panic!("{table} is not created as the others are"));
        let comment: Vec<&&str> =
            lines[..at].iter().rev().take_while(|line| line.starts_with("--")).collect();
        let first = comment.last().copied().copied().unwrap_or_default();
        assert!(first.starts_with("-- One row"), "{table}: {first:?}");
    }
}

#[test]
fn every_foreign_key_is_found_by_an_index() {
    let (_world, sql) = hand();
    let keys = "SELECT m.name || '.' || f.\"from\" FROM sqlite_schema AS m,
         pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' ORDER BY 1";
    let keys = list(&sql, keys);
    assert_eq!(keys.len(), 26, "{keys:?}");
    for key in keys {
        let (table, column) = key.split_once('.').unwrap();
        let plan = format!("EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = ?1");
        let how: String = sql.query_row(&plan, [[0_u8; 16]], |row| row.get(3)).unwrap();
        assert!(how.starts_with("SEARCH"), "{key}: {how}");
    }
}

#[test]
fn rows_of_a_session_or_an_owner_go_with_it_and_no_others() {
    let (_world, sql) = hand();
    sql.execute_batch(&full("DELETE FROM session WHERE id = #1")).unwrap();
    assert_eq!(list(&sql, "SELECT body FROM session_document"), Vec::<String>::new());
    for parent in ["user WHERE id = #1", "branch WHERE id = #1", "organisation WHERE id = #1"] {
        let refused = sql.execute(&full(&format!("DELETE FROM {parent}")), []).unwrap_err();
        assert!(refused.to_string().contains("FOREIGN KEY"), "{parent}: {refused}");
    }
}
