//! REPLACE fires no DELETE trigger. So on no unique key of a table that verify joins may it find a
//! row to remove.

use super::{full, hand, list};

/// The tables that verify joins.
const JOINED: &[&str] =
    &["api_key", "branch", "organisation", "session", "store", "user", "user_privilege"];

/// Each unique key, and the ways to clash on it.
const CLASHES: &[(&str, &[&str])] = &[
    (
        "api_key id",
        &[
            "REPLACE INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
             VALUES (#1, zeroblob(32), #2, HEAD, 0)",
            "UPDATE OR REPLACE api_key SET id = #1 WHERE id = #2",
        ],
    ),
    (
        "branch id",
        &[
            "REPLACE INTO branch (id, name, created_at) VALUES (#3, 'B', 0)",
            "UPDATE OR REPLACE branch SET id = #3 WHERE id = #2",
        ],
    ),
    (
        "organisation id",
        &[
            "REPLACE INTO organisation (id, name, created_at) VALUES (#3, 'B', 0)",
            "UPDATE OR REPLACE organisation SET id = #3 WHERE id = #2",
        ],
    ),
    (
        "session id",
        &[
            "REPLACE INTO session (id, secret_hash, user_id, opened_seq, opened_at,
                 authenticated_at, expires_at, lifetime_ms, aal, last_seen)
             VALUES (#1, zeroblob(32), #2, HEAD, 0, 0, 9, 9, 1, 0)",
            "UPDATE OR REPLACE session SET id = #1 WHERE id = #2",
        ],
    ),
    (
        "session device_hash",
        &[
            "REPLACE INTO session (id, secret_hash, device_hash, user_id, opened_seq, opened_at,
                 authenticated_at, expires_at, lifetime_ms, aal, last_seen)
             VALUES (#9, zeroblob(32), #1, #2, HEAD, 0, 0, 9, 9, 1, 0)",
            "UPDATE OR REPLACE session SET device_hash = #1 WHERE id = #2",
        ],
    ),
    (
        "store id",
        &[
            "REPLACE INTO store (id, store_id, lineage, min_reader, created_at, for_tests,
                 stand_in_key) VALUES (1, #1, #1, 1, 0, 0, zeroblob(32))",
            "UPDATE OR REPLACE store SET id = 2",
        ],
    ),
    (
        "user id",
        &[
            "REPLACE INTO user (id, status, kind, username, username_key, created_at, search_key)
             VALUES (#4, 'active', 'person', 'new', 'new', 0, '')",
            "UPDATE OR REPLACE user SET id = #4 WHERE id = #2",
        ],
    ),
    (
        "user username_key",
        &[
            "REPLACE INTO user (id, status, kind, username, username_key, created_at, search_key)
             VALUES (#9, 'active', 'person', 'dan', 'dan', 0, '')",
            "UPDATE OR REPLACE user SET username_key = 'dan',
                 names_version = names_version + 1 WHERE id = #2",
            // The deleted user 5 has the key of user 2.
            "UPDATE OR REPLACE user SET deleted_at = NULL WHERE id = #5",
        ],
    ),
    (
        "user_privilege user_id name",
        &[
            "REPLACE INTO user_privilege (user_id, name) VALUES (#1, 'admin')",
            "UPDATE OR REPLACE user_privilege SET name = 'admin' WHERE name = 'other'",
            "UPDATE OR REPLACE user_privilege SET user_id = #1 WHERE user_id = #2",
        ],
    ),
];

#[test]
fn no_clash_removes_a_row() {
    let (_world, sql) = hand();
    let rows = || JOINED.iter().map(|table| list(&sql, &all(table))).collect::<Vec<_>>();
    let before = rows();
    for (key, statements) in CLASHES {
        for statement in *statements {
            let refused = sql.execute_batch(&full(statement));
            assert!(refused.is_err(), "{key}: {statement}");
            assert_eq!(rows(), before, "{key}: {statement}");
        }
    }
}

#[test]
fn every_unique_key_that_verify_joins_is_tried() {
    let (_world, sql) = hand();
    let sql = &sql;
    let mut keys: Vec<String> = JOINED
        .iter()
        .flat_map(|table| {
            let unique = format!("SELECT name FROM pragma_index_list('{table}') WHERE \"unique\"");
            list(sql, &unique).into_iter().map(move |index| {
                let columns = list(sql, &format!("SELECT name FROM pragma_index_info('{index}')"));
                format!("{table} {}", columns.join(" "))
            })
        })
        // An INTEGER PRIMARY KEY has no index.
        .chain([String::from("store id")])
        .collect();
    keys.sort();
    let mut tried: Vec<&str> = CLASHES.iter().map(|(key, _)| *key).collect();
    tried.sort_unstable();
    assert_eq!(keys, tried);
}

fn all(table: &str) -> String {
    match table {
        "user_privilege" => "SELECT hex(user_id) || name FROM user_privilege ORDER BY 1".into(),
        "store" => "SELECT hex(store_id) FROM store".into(),
        _ => format!("SELECT hex(id) FROM {table} ORDER BY 1"),
    }
}
