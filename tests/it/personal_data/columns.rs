//! Each column of a row about a user is exported, or listed below with the reason why not.
//!
//! Every column in turn is changed by hand. If the export stays as it was, the column is not in it.

use std::collections::BTreeSet;

use gatepost::audit::HostEvent;
use gatepost::sessions::{Impersonation, NewApiKey, NewOneTimeToken, Version};
use gatepost::{ClientInfo, LoginRequest, Subtree, UserId};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::pending_step::Scene;
use crate::world::{DAY, device};

const SECRET: &str = "a secret, or a digest of one";
const NUMBER: &str = "a number or an id by which the library works";
const FOLDED: &str = "the folded form of what is exported";
const TERMS: &str = "what the expiry, which is exported, was computed from";

#[rustfmt::skip]
const HELD_BACK: &[(&str, &str)] = &[
    ("administration.id", NUMBER),
    ("api_key.issued_seq", NUMBER),
    ("api_key.lifetime_ms", TERMS),
    ("api_key.secret_hash", SECRET),
    ("audit.device_hash", SECRET),
    ("audit.person_hash", SECRET),
    ("audit.salt", SECRET),
    ("credential.norm", NUMBER),
    ("credential.phc", SECRET),
    ("credential.version", NUMBER),
    ("one_time_token.issued_seq", NUMBER),
    ("one_time_token.secret_hash", SECRET),
    ("pending_step.credential_version", NUMBER),
    ("pending_step.device_hash", SECRET),
    ("pending_step.id", NUMBER),
    ("pending_step.issued_seq", NUMBER),
    ("pending_step.secret_hash", SECRET),
    ("pending_step.temporary_id", NUMBER),
    ("recovery_code.code_hash", SECRET),
    ("session.actor_session_id", "a session of the administrator, who is named"),
    ("session.device_hash", SECRET),
    ("session.lifetime_from", TERMS),
    ("session.lifetime_ms", TERMS),
    ("session.opened_seq", NUMBER),
    ("session.secret_hash", SECRET),
    ("session_document.version", NUMBER),
    ("setting.branch_id", "NULL in a setting of a user"),
    ("setting.id", NUMBER),
    ("setting.organisation_id", "NULL in a setting of a user"),
    ("throttle.writes", NUMBER),
    ("totp.key_id", NUMBER),
    ("totp.last_step", "which codes are used up, also by a restore"),
    ("totp.secret", SECRET),
    ("totp.shift", "how codes are evaluated"),
    ("totp_enrolment.begun_seq", NUMBER),
    ("totp_enrolment.key_id", NUMBER),
    ("totp_enrolment.secret", SECRET),
    ("user.audit_salt", SECRET),
    ("user.email_key", FOLDED),
    ("user.keys_ended_seq", NUMBER),
    ("user.names_version", NUMBER),
    ("user.search_key", FOLDED),
    ("user.sessions_ended_seq", NUMBER),
    ("user.tokens_ended_seq", NUMBER),
    ("user.trust_ended_seq", NUMBER),
    ("user.username_key", FOLDED),
];

/// Tables whose rows name and describe no user.
const OF_NO_USER: [&str; 10] = [
    "audit_chain",
    "audit_consumer",
    "branch",
    "change",
    "configuration_key",
    "credit",
    "hash_cost",
    "organisation",
    "policy",
    "store",
];

#[test]
fn each_column_about_a_user_is_exported_or_listed_with_a_reason() {
    let scene = Scene::new();
    has_a_row_in_each_table(&scene);
    let hand = scene.world.sql();
    hand.execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF").unwrap();
    hand.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    let (mut unchanged, mut of_no_user) = (BTreeSet::new(), Vec::new());
    for table in names(&hand, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    {
        let columns = names(&hand, &format!("SELECT name FROM pragma_table_info('{table}')"));
        if table.starts_with("sqlite_") {
            continue;
        }
        let rows = rows_of(&table, &columns);
        if rows.is_empty() {
            of_no_user.push(table.clone());
        }
        for row in rows {
            for column in &columns {
                if !is_exported(&scene, &hand, (&table, &columns), column, row) {
                    unchanged.insert(format!("{table}.{column}"));
                }
            }
        }
    }
    assert_eq!(of_no_user, OF_NO_USER);
    let listed: BTreeSet<String> =
        HELD_BACK.iter().map(|(column, _)| (*column).to_owned()).collect();
    assert_eq!(unchanged, listed);
}

/// The one row about ada, by each column that may name her.
fn rows_of(table: &str, columns: &[String]) -> Vec<&'static str> {
    let named = ["user_id", "actor_user_id"];
    let named = named.into_iter().filter(|name| columns.iter().any(|column| column == name));
    match table {
        "user" => vec!["id = ?1"],
        "session_document" => vec!["session_id = (SELECT id FROM session WHERE user_id = ?1)"],
        "audit" => vec!["seq = (SELECT max(seq) FROM audit WHERE ?1 IN (user_id, actor_user_id))"],
        _ => named
            .map(|name| if name == "user_id" { "user_id = ?1" } else { "actor_user_id = ?1" })
            .collect(),
    }
}

fn is_exported(
    scene: &Scene,
    hand: &Connection,
    (table, columns): (&str, &[String]),
    column: &str,
    row: &str,
) -> bool {
    let numbers = [format!("coalesce({column}, 0) + 1"), "0".to_owned()];
    numbers
        .iter()
        .any(|number| changes_export(scene, hand, (table, columns), (column, number), row))
}

fn changes_export(
    scene: &Scene,
    hand: &Connection,
    (table, columns): (&str, &[String]),
    (column, number): (&str, &str),
    row: &str,
) -> bool {
    let export = || {
        // What cannot be read any more has been read.
        let data = scene.world.store.users().personal_data(scene.ada);
        data.map_or_else(|error| error.to_string(), |data| format!("{data:?}"))
    };
    let (before, columns) = (export(), columns.join(", "));
    hand.execute_batch(&format!("CREATE TEMP TABLE kept AS SELECT {columns} FROM {table}"))
        .unwrap();
    let change = format!(
        "UPDATE {table} SET {column} = CASE
             WHEN (SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}') = 'BLOB'
                 THEN randomblob(max(16, coalesce(length({column}), 0)))
             WHEN (SELECT type FROM pragma_table_info('{table}') WHERE name = '{column}') = 'TEXT'
                 THEN coalesce({column}, '') || 'x'
             -- A flag becomes another one in one of the two.
             ELSE {number} END
         WHERE {row}"
    );
    let changed = hand.execute(&change, [scene.ada.as_uuid().as_bytes()]).unwrap();
    assert_eq!(changed, 1, "{table}: one row of ada, {row}");
    let after = export();
    hand.execute_batch(&format!(
        "BEGIN;
         DELETE FROM {table};
         INSERT INTO {table} ({columns}) SELECT {columns} FROM kept;
         COMMIT;
         DROP TABLE kept"
    ))
    .unwrap();
    assert_eq!(export(), before, "{table}.{column} is as it was");
    after != before
}

fn names(hand: &Connection, sql: &str) -> Vec<String> {
    let mut statement = hand.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Ada has one row in each table that may have one, and acts as bob.
fn has_a_row_in_each_table(scene: &Scene) {
    let (world, ada) = (&scene.world, scene.ada);
    let store = &world.store;
    let bob: UserId = world.person("bob").id;
    let york = store.branches().create("York", None).unwrap().id;
    store.users().set_privileges(ada, &["admin"]).unwrap();
    store.users().set_email(ada, Some("ada@example.com")).unwrap();
    store.users().grant_administration(ada, york).unwrap();
    store.external_identities().link(ada, "https://id.example", "ada").unwrap();
    store.configuration().set(Subtree::User(ada), "theme", "dark").unwrap();
    let client_info = ClientInfo::new().ip([203, 0, 113, 77]).user_agent("curl/8");
    let request = scene.login("till").label("till").client_info(client_info.clone());
    let code = scene.next_code();
    let reply = world.ask(request.code(code).trust_device(DAY)).unwrap();
    store.sessions().set_data_json(reply.session.id, "7", Version::NONE).unwrap();
    let key = NewApiKey::new().label("night run").scopes(["admin"]);
    drop(store.api_keys().attenuate(&reply.principal, key).unwrap());
    let window = Impersonation::new(bob, device("window")).label("case 7");
    let window = window.client_info(client_info.clone());
    drop(store.sessions().impersonate(&reply.principal, window).unwrap().granted().unwrap());
    store.one_time_tokens().issue(ada, NewOneTimeToken::email_confirmation()).unwrap();
    drop(scene.pending(scene.login("pad").label("pad")));
    for on in ["till", "elsewhere"] {
        let wrong = LoginRequest::new("ada", "a wrong password".into(), device(on));
        world.ask(wrong).unwrap_err();
    }
    // A factor that is in force ends an enrolment, and an import has no recovery codes.
    let hand = world.sql();
    let enrolment = "INSERT INTO totp_enrolment VALUES
        (?1, zeroblob(20), '', 'sha1', 6, zeroblob(16), 1, 1, 2)";
    hand.execute(enrolment, [ada.as_uuid().as_bytes()]).unwrap();
    let code = "INSERT INTO recovery_code VALUES (?1, zeroblob(32), 1)";
    hand.execute(code, [ada.as_uuid().as_bytes()]).unwrap();
    let event = HostEvent::new("invoice.printed").unwrap().user(ada).client_info(client_info);
    let acting = store.acting_as(reply.principal);
    acting.audit().record(&[event.detail("number 7").unwrap()]).unwrap();
}
