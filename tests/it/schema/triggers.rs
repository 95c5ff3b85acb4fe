//! Each trigger does its work, and a test fails without it.

use rusqlite::Connection;

use super::{full, hand, list};

/// The purpose of each trigger that refuses: a statement that it alone prevents.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("administration_is_fixed", "UPDATE administration SET user_id = #2"),
    ("administration_is_new",
     "REPLACE INTO administration (user_id, branch_id, granted_at) VALUES (#1, #1, 0)"),
    ("administration_is_new",
     "REPLACE INTO administration (id, user_id, branch_id, granted_at) VALUES (1, #2, #1, 0)"),
    ("api_key_is_new",
     "REPLACE INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
          VALUES (#1, zeroblob(32), #2, HEAD, 0)"),
    ("api_key_issued_at_the_head",
     "INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
          VALUES (#9, zeroblob(32), #2, HEAD + 1, 0)"),
    ("api_key_keeps_its_id", "UPDATE api_key SET id = #9 WHERE id = #1"),
    ("api_key_is_less_than_its_parent",
     "INSERT INTO api_key (id, secret_hash, user_id, ancestors, issued_seq, issued_at)
          VALUES (#9, zeroblob(32), #2, #8, HEAD, 0)"),
    ("api_key_last_seen_rises",
     "UPDATE api_key SET last_seen = 7 WHERE id = #1;
      UPDATE api_key SET last_seen = 6 WHERE id = #1"),
    ("api_key_never_grows", "UPDATE api_key SET scopes = 'a' WHERE id = #1"),
    ("audit_chain_is_not_replaced",
     "REPLACE INTO audit_chain (source, trimmed_chain, head_chain)
          VALUES (0, zeroblob(32), zeroblob(32))"),
    ("audit_chain_ends_at_a_row",
     "UPDATE audit_chain SET head_chain = randomblob(32) WHERE source = 0"),
    ("audit_chain_is_trimmed_up_to_a_row",
     "UPDATE audit_chain SET trimmed_seq = head_seq, trimmed_chain = head_chain, kept_rows = 0"),
    ("audit_chain_is_trimmed_up_to_a_row",
     "UPDATE audit_chain SET trimmed_chain = randomblob(32) WHERE source = 1"),
    ("audit_chain_only_grows",
     "UPDATE audit_chain SET head_seq = 2, head_chain = (SELECT chain FROM audit WHERE seq = 2)
          WHERE source = 1"),
    ("audit_chain_only_grows", "UPDATE audit_chain SET kept_rows = kept_rows + 1"),
    ("audit_chain_stays", "DELETE FROM audit_chain WHERE source = 1"),
    ("audit_is_not_replaced",
     "REPLACE INTO audit (seq, source, salt, at, event, outcome, actor, person_hash, chain)
          VALUES (1, 1, zeroblob(8), 0, 'a', 'done', 'host', zeroblob(32), zeroblob(32))"),
    ("audit_consumer_only_advances",
     "INSERT INTO audit_consumer VALUES ('a', 1); UPDATE audit_consumer SET seen_seq = 0"),
    ("audit_consumer_only_advances",
     "INSERT INTO audit_consumer VALUES ('a', 1); UPDATE audit_consumer SET seen_seq = 99"),
    ("audit_consumer_only_advances",
     "INSERT INTO audit_consumer VALUES ('a', 1); UPDATE audit_consumer SET name = 'b'"),
    ("audit_is_not_rewritten", "UPDATE audit SET at = 0"),
    ("audit_is_not_rewritten", "UPDATE audit SET ip = NULL WHERE seq = 2"),
    ("audit_is_only_trimmed", "DELETE FROM audit WHERE seq = 1"),
    ("branch_begins_at_the_head",
     "INSERT INTO branch (id, name, created_at, sessions_ended_seq) VALUES (#9, 'C', 0, HEAD + 1)"),
    ("branch_going_inactive_ends_sessions", "UPDATE branch SET active = 0 WHERE id = #1"),
    ("branch_going_inactive_ends_sessions",
     "UPDATE branch SET active = 0, sessions_ended_seq = HEAD + 1 WHERE id = #1"),
    ("branch_is_new", "REPLACE INTO branch (id, name, created_at) VALUES (#3, 'C', 0)"),
    ("branch_keeps_its_id", "UPDATE branch SET id = #9 WHERE id = #3"),
    ("branch_move_takes_watermarks_along",
     "UPDATE organisation SET sessions_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE branch SET organisation_id = NULL WHERE id = #1"),
    ("branch_watermarks_rise", "UPDATE branch SET sessions_ended_seq = HEAD + 2 WHERE id = #1"),
    ("branch_watermarks_rise",
     "UPDATE branch SET tokens_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE branch SET tokens_ended_seq = 0 WHERE id = #1"),
    ("change_is_appended", "REPLACE INTO change (seq, kind) VALUES (HEAD, 0)"),
    ("change_is_appended",
     "DELETE FROM change WHERE seq = 1; INSERT INTO change (seq, kind) VALUES (1, 0)"),
    ("change_is_not_rewritten", "UPDATE change SET kind = 0, id = NULL"),
    ("change_keeps_its_newest", "DELETE FROM change"),
    ("configuration_key_keeps_its_name",
     "INSERT INTO configuration_key (key, shown) VALUES ('a', 'A');
      UPDATE configuration_key SET shown = 'B'"),
    ("credential_keeps_its_user", "UPDATE credential SET user_id = #3"),
    ("device_begins_at_the_head",
     "INSERT INTO device (user_id, device_hash, first_login_at, last_login_at, trusted_seq)
          VALUES (#2, #2, 0, 0, HEAD + 1)"),
    ("device_is_trusted_at_the_head", "UPDATE device SET trusted_seq = HEAD + 1"),
    ("external_identity_is_fixed",
     "INSERT INTO external_identity VALUES ('a', 'b', #1, 0);
      UPDATE external_identity SET subject = 'c'"),
    ("external_identity_is_free",
     "INSERT INTO external_identity VALUES ('a', 'b', #1, 0);
      INSERT INTO external_identity VALUES ('a', 'b', #2, 0)"),
    ("external_identity_is_free",
     "INSERT INTO external_identity VALUES ('a', 'b', #5, 0);
      REPLACE INTO external_identity VALUES ('a', 'b', #5, 1)"),
    ("one_time_token_is_new",
     "REPLACE INTO one_time_token (id, secret_hash, purpose, user_id, uses_left, issued_seq,
              issued_at, expires_at)
          VALUES (#1, zeroblob(32), 'invitation', #2, 1, HEAD, 0, 9)"),
    ("one_time_token_is_new",
     "REPLACE INTO one_time_token (id, secret_hash, purpose, user_id, uses_left, issued_seq,
              issued_at, expires_at)
          VALUES (#9, zeroblob(32), 'password_reset', #1, 1, HEAD, 0, 9)"),
    ("one_time_token_is_new",
     "INSERT INTO one_time_token (id, secret_hash, purpose, uses_left, issued_seq, issued_at,
              expires_at) VALUES (#8, zeroblob(32), 'first_administrator', 1, HEAD, 0, 9);
      INSERT INTO one_time_token (id, secret_hash, purpose, uses_left, issued_seq, issued_at,
              expires_at) VALUES (#9, zeroblob(32), 'first_administrator', 1, HEAD, 0, 9)"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET uses_left = 1 WHERE id = #2"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET id = #9 WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET secret_hash = randomblob(32) WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET user_id = #2 WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET issued_seq = issued_seq + 1 WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET issued_at = 7 WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET expires_at = 99 WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET purpose = 'invitation' WHERE id = #1"),
    ("one_time_token_is_only_used",
     "UPDATE one_time_token SET bound_email = 'a@b' WHERE id = #2"),
    ("one_time_token_issued_at_the_head",
     "INSERT INTO one_time_token (id, secret_hash, purpose, user_id, uses_left, issued_seq,
              issued_at, expires_at)
          VALUES (#9, zeroblob(32), 'invitation', #1, 1, HEAD + 1, 0, 9)"),
    ("organisation_begins_at_the_head",
     "INSERT INTO organisation (id, name, created_at, tokens_ended_seq)
          VALUES (#9, 'C', 0, HEAD + 1)"),
    ("organisation_going_inactive_ends_sessions",
     "UPDATE organisation SET active = 0 WHERE id = #1"),
    ("organisation_going_inactive_ends_sessions",
     "UPDATE organisation SET active = 0, tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("organisation_is_new", "REPLACE INTO organisation (id, name, created_at) VALUES (#3, 'C', 0)"),
    ("organisation_keeps_its_id", "UPDATE organisation SET id = #9 WHERE id = #3"),
    ("organisation_watermarks_rise",
     "UPDATE organisation SET tokens_ended_seq = HEAD + 2 WHERE id = #1"),
    ("organisation_watermarks_rise",
     "UPDATE organisation SET sessions_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE organisation SET sessions_ended_seq = 0 WHERE id = #1"),
    ("pending_step_is_new",
     "REPLACE INTO pending_step (id, secret_hash, user_id, demand, guesses_left, issued_seq,
              issued_at, expires_at, require_admin, is_desktop)
          VALUES (#1, zeroblob(32), #2, 'code', 5, HEAD, 0, 9, 0, 0)"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET id = #9"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET secret_hash = randomblob(32)"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET user_id = #2"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET device_hash = NULL"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET demand = 'enrolment'"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET issued_seq = issued_seq - 1"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET issued_at = 7"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET expires_at = 99"),
    ("pending_step_is_only_guessed", "UPDATE pending_step SET credential_version = 2"),
    ("pending_step_is_only_guessed",
     "UPDATE pending_step SET temporary_id = #3, credential_version = NULL"),
    ("pending_step_issued_at_the_head",
     "INSERT INTO pending_step (id, secret_hash, user_id, demand, guesses_left, issued_seq,
              issued_at, expires_at, require_admin, is_desktop)
          VALUES (#9, zeroblob(32), #2, 'code', 5, HEAD + 1, 0, 9, 0, 0)"),
    ("policy_stays", "DELETE FROM policy WHERE name = 'cost'"),
    ("session_device_is_free",
     "UPDATE OR REPLACE session SET device_hash = #1 WHERE id = #2"),
    ("session_is_new",
     "REPLACE INTO session (id, secret_hash, device_hash, user_id, opened_seq, opened_at,
              authenticated_at, expires_at, lifetime_ms, aal, last_seen)
          VALUES (#9, zeroblob(32), #1, #2, HEAD, 0, 0, 9, 9, 1, 0)"),
    ("session_is_new",
     "REPLACE INTO session (id, secret_hash, user_id, opened_seq, opened_at, authenticated_at,
              expires_at, lifetime_ms, aal, last_seen)
          VALUES (#2, zeroblob(32), #2, HEAD, 0, 0, 9, 9, 1, 0)"),
    ("session_keeps_its_id", "UPDATE session SET id = #9 WHERE id = #2"),
    ("session_last_seen_rises", "UPDATE session SET last_seen = 4 WHERE id = #1"),
    ("session_opening_never_falls", "UPDATE session SET opened_seq = 1 WHERE id = #1"),
    ("session_opening_never_falls", "UPDATE session SET opened_seq = HEAD + 1 WHERE id = #1"),
    ("session_opens_at_the_head",
     "INSERT INTO session (id, secret_hash, user_id, opened_seq, opened_at, authenticated_at,
              expires_at, lifetime_ms, aal, last_seen)
          VALUES (#9, zeroblob(32), #2, HEAD + 1, 0, 0, 9, 9, 1, 0)"),
    ("store_believes_what_it_saw", "UPDATE store SET believed_at = 7"),
    ("store_is_one",
     "REPLACE INTO store (id, store_id, lineage, min_reader, created_at, for_tests, stand_in_key)
          VALUES (1, #1, #1, 1, 0, 0, zeroblob(32))"),
    ("store_keeps_a_sealing_key",
     "UPDATE store SET sealing_key = 'a'; UPDATE store SET sealing_key = NULL"),
    ("store_stays", "DELETE FROM store"),
    ("store_stays_for_tests_or_not", "UPDATE store SET for_tests = 1 - for_tests"),
    ("store_watermarks_rise", "UPDATE store SET keys_ended_seq = HEAD + 2"),
    ("store_watermarks_rise", "UPDATE store SET swept_to = -1"),
    ("store_watermarks_rise",
     "UPDATE store SET sessions_ended_seq = HEAD + 1; UPDATE store SET sessions_ended_seq = 0"),
    ("system_user_has_no_factor",
     "INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift, last_step)
          VALUES (#3, zeroblob(20), '', 'sha1', 6, 'enrolled', 0, 0, 5)"),
    ("system_user_has_no_password",
     "INSERT INTO credential (user_id, phc, norm, version, set_at) VALUES (#3, '$', 1, 1, 0)"),
    ("totp_codes_are_used_once", "UPDATE totp SET last_step = 4"),
    ("totp_codes_are_used_once", "UPDATE totp SET user_id = #2"),
    ("totp_codes_are_used_once", "UPDATE totp SET digits = 8"),
    ("totp_codes_are_used_once", "UPDATE totp SET algorithm = 'sha256'"),
    ("totp_codes_are_used_once", "UPDATE totp SET shift = 1"),
    ("totp_is_new",
     "REPLACE INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift,
              last_step)
          VALUES (#1, zeroblob(20), '', 'sha1', 6, 'enrolled', 0, 0, 0)"),
    ("user_begins_at_the_head",
     "INSERT INTO user (id, status, kind, username, username_key, created_at, search_key,
              audit_salt, keys_ended_seq)
          VALUES (#9, 'active', 'person', 'new', 'new', 0, '', #9, HEAD + 1)"),
    ("user_deletion_ends_everything",
     "UPDATE user SET deleted_at = 1, sessions_ended_seq = HEAD + 1, tokens_ended_seq = HEAD + 1
          WHERE id = #4"),
    ("user_going_inactive_ends_sessions", "UPDATE user SET status = 'disabled' WHERE id = #1"),
    ("user_going_inactive_ends_sessions", "UPDATE user SET status = 'locked' WHERE id = #1"),
    ("user_going_inactive_ends_sessions", "UPDATE user SET status = 'pending' WHERE id = #1"),
    ("user_identities_are_free",
     "INSERT INTO external_identity VALUES ('a', 'b', #4, 0);
      UPDATE user SET deleted_at = 1, sessions_ended_seq = HEAD + 1, keys_ended_seq = HEAD + 1,
          tokens_ended_seq = HEAD + 1 WHERE id = #4;
      INSERT INTO external_identity VALUES ('a', 'b', #1, 0);
      UPDATE user SET deleted_at = NULL WHERE id = #4"),
    ("user_is_new",
     "REPLACE INTO user (id, status, kind, username, username_key, created_at, search_key,
              audit_salt) VALUES (#9, 'active', 'person', 'dan', 'dan', 0, '', #9)"),
    ("user_is_new",
     "REPLACE INTO user (id, status, kind, username, username_key, created_at, search_key,
              audit_salt) VALUES (#4, 'active', 'person', 'new', 'new', 0, '', #9)"),
    ("user_keeps_its_id", "UPDATE user SET id = #9 WHERE id = #4"),
    ("user_keeps_its_kind", "UPDATE user SET kind = 'person' WHERE id = #3"),
    ("user_move_takes_watermarks_along",
     "UPDATE branch SET tokens_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE user SET branch_id = #2 WHERE id = #1"),
    ("user_move_takes_watermarks_along",
     "UPDATE organisation SET sessions_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE user SET branch_id = NULL WHERE id = #1"),
    ("user_name_is_free", "UPDATE OR REPLACE user SET username_key = 'dan',
          names_version = names_version + 1 WHERE id = #3"),
    ("user_name_is_free", "UPDATE OR REPLACE user SET username_key = 'dan', deleted_at = NULL,
          names_version = names_version + 1 WHERE id = #5"),
    ("user_names_are_written_with_their_keys", "UPDATE user SET username = 'x' WHERE id = #1"),
    ("user_names_are_written_with_their_keys", "UPDATE user SET username_key = 'x' WHERE id = #1"),
    ("user_names_are_written_with_their_keys",
     "UPDATE user SET email = 'a@b', email_key = 'a@b' WHERE id = #1"),
    ("user_names_are_written_with_their_keys", "UPDATE user SET last_name = 'x' WHERE id = #1"),
    ("user_names_are_written_with_their_keys", "UPDATE user SET first_name = 'x' WHERE id = #1"),
    ("user_names_are_written_with_their_keys", "UPDATE user SET search_key = 'x' WHERE id = #1"),
    ("user_privilege_is_fixed", "UPDATE user_privilege SET name = 'admin' WHERE name = 'other' AND 0
          OR user_id = #2"),
    ("user_privilege_is_new", "REPLACE INTO user_privilege (user_id, name) VALUES (#1, 'admin')"),
    ("user_stays_erased", "UPDATE user SET audit_salt = #9 WHERE id = #1"),
    ("user_stays_erased",
     "UPDATE user SET username = '', username_key = '', search_key = '', audit_salt = NULL,
          erased_seq = 1, names_version = 2 WHERE id = #5;
      UPDATE user SET erased_seq = 2 WHERE id = #5"),
    ("user_watermarks_rise", "UPDATE user SET keys_ended_seq = HEAD + 2 WHERE id = #1"),
    ("user_watermarks_rise", "UPDATE user SET sessions_ended_seq = 0 WHERE id = #5"),
    ("user_watermarks_rise", "UPDATE user SET trust_ended_seq = HEAD + 2 WHERE id = #1"),
    ("user_watermarks_rise",
     "UPDATE user SET trust_ended_seq = HEAD + 1 WHERE id = #1;
      UPDATE user SET trust_ended_seq = 0 WHERE id = #1"),
];

/// Triggers that keep a count or another row, and the tests that fail without them.
const KEEPING: [&str; 19] = [
    // impersonate.rs
    "administrator_is_not_impersonated",
    "administrator_takes_impersonations",
    "branch_takes_impersonations",
    "impersonation_is_not_prolonged",
    "organisation_takes_impersonations",
    "session_impersonates_a_lower_user",
    "session_keeps_its_actor",
    "session_takes_its_impersonations",
    "user_takes_impersonations",
    "api_key_ends_its_descendants",  // attenuate.rs
    "api_key_takes_its_descendants", // attenuate.rs
    "session_takes_its_keys",        // attenuate.rs
    "credential_adds_its_cost",      // login::cost::the_users_of_each_cost_are_counted
    "credential_changes_its_cost",
    "credential_takes_its_cost",
    "first_administrator_is_there", // one_time::first_administrator
    "user_has_attempts",            // throttle::the_file_keeps_nothing_that_was_typed
    "user_returns_its_cost",
    "user_takes_its_cost",
];

/// The purpose of each trigger that records: statements that leave one change row, of that kind.
#[rustfmt::skip]
const RECORDED: &[(&str, i64, &str)] = &[
    ("api_key_changed", 5, "UPDATE api_key SET secret_hash = randomblob(32) WHERE id = #1"),
    ("api_key_changed", 5, "UPDATE api_key SET user_id = #2 WHERE id = #1"),
    ("api_key_changed", 5, "UPDATE api_key SET issued_seq = 1 WHERE id = #1"),
    ("api_key_changed", 5, "UPDATE api_key SET issued_at = 7 WHERE id = #1"),
    ("api_key_changed", 5, "UPDATE api_key SET expires_at = 7 WHERE id = #1"),
    ("api_key_deleted", 5, "DELETE FROM api_key WHERE id = #1"),
    ("api_key_deleted", 5, "DELETE FROM api_key WHERE id = #2"),
    ("branch_changed", 2, "UPDATE branch SET organisation_id = #2 WHERE id = #1"),
    ("branch_changed", 2,
     "UPDATE branch SET active = 0, sessions_ended_seq = HEAD + 1, tokens_ended_seq = HEAD + 1
          WHERE id = #1"),
    ("branch_changed", 2, "UPDATE branch SET sessions_ended_seq = HEAD + 1 WHERE id = #1"),
    ("branch_changed", 2, "UPDATE branch SET tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("branch_deleted", 2, "DELETE FROM branch WHERE id = #3"),
    ("organisation_changed", 1,
     "UPDATE organisation SET active = 0, sessions_ended_seq = HEAD + 1,
          tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("organisation_changed", 1,
     "UPDATE organisation SET sessions_ended_seq = HEAD + 1 WHERE id = #1"),
    ("organisation_changed", 1,
     "UPDATE organisation SET tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("organisation_deleted", 1, "DELETE FROM organisation WHERE id = #3"),
    ("session_changed", 4, "UPDATE session SET secret_hash = randomblob(32) WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET device_hash = NULL WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET user_id = #2 WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET opened_at = 7 WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET authenticated_at = 7 WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET expires_at = 7 WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET idle_ms = 7 WHERE id = #1"),
    ("session_changed", 4, "UPDATE session SET aal = 2 WHERE id = #1"),
    ("session_deleted", 4, "DELETE FROM session WHERE id = #1"),
    ("store_changed", 0, "UPDATE store SET sessions_ended_seq = HEAD + 1"),
    ("store_changed", 0, "UPDATE store SET keys_ended_seq = HEAD + 1"),
    ("store_changed", 0, "UPDATE store SET tokens_ended_seq = HEAD + 1"),
    ("store_changed", 0, "UPDATE store SET lineage = #1"),
    ("user_changed", 3, "UPDATE user SET branch_id = NULL WHERE id = #1"),
    ("user_changed", 3,
     "UPDATE user SET status = 'locked', sessions_ended_seq = HEAD + 1,
          tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("user_changed", 3, "UPDATE user SET deleted_at = 2 WHERE id = #5"),
    ("user_changed", 3, "UPDATE user SET sessions_ended_seq = HEAD + 1 WHERE id = #1"),
    ("user_changed", 3, "UPDATE user SET keys_ended_seq = HEAD + 1 WHERE id = #1"),
    ("user_changed", 3, "UPDATE user SET tokens_ended_seq = HEAD + 1 WHERE id = #1"),
    ("user_changed", 3, "UPDATE user SET trust_ended_seq = HEAD + 1 WHERE id = #1"),
    ("user_deleted", 3, "DELETE FROM user WHERE id = #4"),
    ("user_gained_privilege", 3, "INSERT INTO user_privilege (user_id, name) VALUES (#4, 'admin')"),
    ("user_gained_privilege", 3, "INSERT INTO user_privilege (user_id, name) VALUES (#4, 'other')"),
    ("user_lost_privilege", 3, "DELETE FROM user_privilege WHERE user_id = #2"),
    ("user_lost_privilege", 3, "DELETE FROM user_privilege WHERE name = 'other'"),
];

/// Changes that no verify can see, and that leave no change row.
#[rustfmt::skip]
const SILENT: &[&str] = &[
    "INSERT INTO session (id, secret_hash, user_id, opened_seq, opened_at, authenticated_at,
         expires_at, lifetime_ms, aal, last_seen)
         VALUES (#9, zeroblob(32), #2, HEAD, 0, 0, 9, 9, 1, 0)",
    "INSERT INTO api_key (id, secret_hash, user_id, issued_seq, issued_at)
         VALUES (#9, zeroblob(32), #2, HEAD, 0)",
    "INSERT INTO one_time_token (id, secret_hash, purpose, user_id, uses_left, issued_seq,
         issued_at, expires_at) VALUES (#9, zeroblob(32), 'invitation', #1, 1, HEAD, 0, 9)",
    "UPDATE one_time_token SET uses_left = 0",
    "UPDATE totp SET last_step = 6, secret = zeroblob(60), key_id = 'a'",
    "DELETE FROM totp",
    "DELETE FROM recovery_code",
    "DELETE FROM one_time_token",
    "UPDATE pending_step SET guesses_left = 0",
    "DELETE FROM pending_step",
    "UPDATE device SET trusted_until = 7, trusted_seq = HEAD",
    "UPDATE session SET last_seen = 6, label = 'a', ip = 'b', user_agent = 'c'",
    "UPDATE session SET expires_at = expires_at, aal = aal, secret_hash = secret_hash",
    "UPDATE user SET last_login_at = 7, username = 'a', email = 'a', email_key = 'a',
         names_version = names_version + 1",
    "UPDATE user SET status = status, branch_id = branch_id",
    "UPDATE branch SET name = 'a', active = active",
    "UPDATE organisation SET name = 'a'",
    "UPDATE api_key SET label = 'a', last_seen = 7",
    "UPDATE credential SET phc = 'a'",
    "DELETE FROM credential",
    // The sweep: how far it goes first, then the rows.
    "UPDATE store SET swept_to = 9; DELETE FROM session WHERE id = #1;
     DELETE FROM api_key WHERE id = #2",
];

/// Runs the statement, then takes back whatever it did, and what was done before it as well.
fn tried(sql: &Connection, first: &str, statement: &str) -> (Result<(), String>, Vec<String>) {
    sql.execute_batch("BEGIN").unwrap();
    sql.execute_batch(first).unwrap();
    let head = list(sql, &full("SELECT CAST(HEAD AS TEXT)")).remove(0);
    let (last, before) = split(statement);
    sql.execute_batch(&full(&before)).unwrap();
    let outcome = sql.execute_batch(&full(&last)).map_err(|error| error.to_string());
    let written = list(
        sql,
        &format!("SELECT kind || ' ' || coalesce(hex(id), '') FROM change WHERE seq > {head}"),
    );
    sql.execute_batch("ROLLBACK").unwrap();
    (outcome, written)
}

/// The last statement, which is tried, and those that lead up to it.
fn split(script: &str) -> (String, String) {
    match script.rsplit_once(';') {
        Some((before, last)) => (last.to_owned(), before.to_owned()),
        None => (script.to_owned(), String::new()),
    }
}

#[test]
fn each_trigger_that_refuses_refuses_and_nothing_else_would() {
    let (_world, sql) = hand();
    for (trigger, statement) in REFUSED {
        let (refused, _) = tried(&sql, "", statement);
        assert!(refused.is_err(), "{trigger} lets pass: {statement}");
        let without = format!("DROP TRIGGER {trigger}");
        let (outcome, _) = tried(&sql, &without, statement);
        assert_eq!(outcome, Ok(()), "{trigger} is not what refuses: {statement}");
    }
}

#[test]
fn each_trigger_that_records_leaves_one_row_and_nothing_else_would() {
    let (_world, sql) = hand();
    for (trigger, kind, statement) in RECORDED {
        let (outcome, written) = tried(&sql, "", statement);
        assert_eq!(outcome, Ok(()), "{statement}");
        assert_eq!(written.len(), 1, "{trigger}: {statement}");
        assert!(written[0].starts_with(&kind.to_string()), "{trigger}: {}", written[0]);
        assert_eq!(written[0].len(), if *kind == 0 { 2 } else { 34 }, "{trigger}");
        let (outcome, written) = tried(&sql, &format!("DROP TRIGGER {trigger}"), statement);
        assert_eq!((outcome, written), (Ok(()), Vec::new()), "{trigger}: {statement}");
    }
}

#[test]
fn what_no_verify_can_see_leaves_no_change_row() {
    let (_world, sql) = hand();
    for statement in SILENT {
        assert_eq!(tried(&sql, "", statement), (Ok(()), Vec::new()), "{statement}");
    }
}

#[test]
fn every_trigger_is_listed_here() {
    let (_world, sql) = hand();
    let there = list(&sql, "SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name");
    let refusing = REFUSED.iter().map(|(trigger, _)| *trigger);
    let mut listed: Vec<&str> =
        refusing.chain(RECORDED.iter().map(|(trigger, ..)| *trigger)).chain(KEEPING).collect();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(there, listed);
}

/// Each column that a recording trigger names makes it fire.
#[test]
fn every_column_that_a_trigger_names_was_changed_here() {
    let (_world, sql) = hand();
    let recording = "SELECT sql FROM sqlite_schema WHERE type = 'trigger'
         AND sql LIKE '%INSERT INTO change%' AND sql LIKE '%UPDATE OF%'";
    for trigger in list(&sql, recording) {
        let (_, rest) = trigger.split_once("UPDATE OF").unwrap();
        let (columns, rest) = rest.split_once(" ON ").unwrap();
        let table = rest.split_whitespace().next().unwrap();
        for column in columns.split(',').map(str::trim) {
            let begins = format!("UPDATE {table} SET");
            let changed = RECORDED.iter().any(|(_, _, statement)| {
                statement.starts_with(&begins) && statement.contains(&format!("{column} ="))
            });
            // A kind never changes, and an opening cannot rise here: both are tried elsewhere.
            let elsewhere = [("user", "kind"), ("session", "opened_seq")];
            assert!(changed || elsewhere.contains(&(table, column)), "{table}.{column}");
        }
    }
}

#[test]
fn a_session_renewed_at_the_head_leaves_its_row() {
    let (_world, sql) = hand();
    let renewed = "UPDATE organisation SET sessions_ended_seq = HEAD + 1 WHERE id = #3;
         UPDATE session SET opened_seq = HEAD WHERE id = #1";
    let (outcome, written) = tried(&sql, "", renewed);
    assert_eq!((outcome, written.len()), (Ok(()), 2));
    assert!(written[1].starts_with("4 "));
}

/// Many rows of one statement each write their change row, and all may name the next one.
#[test]
fn one_statement_may_end_the_sessions_of_many() {
    let (_world, sql) = hand();
    let statement = "UPDATE user SET status = 'disabled', sessions_ended_seq = HEAD + 1,
         tokens_ended_seq = HEAD + 1 WHERE deleted_at IS NULL";
    let (outcome, written) = tried(&sql, "", statement);
    assert_eq!((outcome, written.len()), (Ok(()), 4));
}
