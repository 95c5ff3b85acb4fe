//! A file in which any column of any row says anything: no call panics, and no login or verify says
//! yes because of it (R71, RUSTSEC-2026-0199).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::policy::*;
use gatepost::second_factors::*;
use gatepost::sessions::*;
use gatepost::*;
use rusqlite::Connection;

use super::{Bench, for_any};
use crate::second_factor::authenticator::Authenticator;
use crate::second_factor::{SECRET, STEP};
use crate::world::{DAY, HOUR, PASSWORD, device, directory_in_memory, for_tests, one_of};

/// The values that a column of each kind is given, as SQL.
const LIES: &[(&str, &[&str])] = &[
    ("INTEGER", &["-9223372036854775808", "9223372036854775807"]),
    ("TEXT", &["''", "CAST(x'ff00fe' AS TEXT)", "replace(hex(zeroblob(500)), '00', '$é,')"]),
    ("BLOB", &["x''", "zeroblob(16)", "zeroblob(32)"]),
];

/// Columns that alone decide whether a token or a password is right.
const DECIDING: &[(&str, &str)] =
    &[("session", "secret_hash"), ("session", "device_hash"), ("api_key", "secret_hash")];

#[test]
fn no_value_in_any_column_makes_a_call_panic_or_a_stranger_known() {
    let bench = full();
    let (token, key) = (bench.token.clone(), bench.key.clone());
    let template = bench.world.path.clone();
    let columns = columns(&template);
    assert!(columns.len() > 100, "{} columns", columns.len());
    bench.world.store.close().unwrap();
    let folder = directory_in_memory();
    let sound = folder.path().join("sound.db");
    fs::copy(&template, &sound).unwrap();
    assert_eq!(call_everything(&sound, &token, &key), Some((true, true)));
    for (number, (table, column, kind)) in columns.iter().enumerate() {
        let lies = LIES.iter().find(|(of, _)| of == kind).map_or(&[][..], |(_, lies)| lies);
        let some = lies.len().div_ceil(one_of(5));
        for lie in lies.iter().cycle().skip(number).take(some) {
            let path = folder.path().join(format!("{number}.db"));
            fs::copy(&template, &path).unwrap();
            store_lie(&path, table, column, lie);
            let known = call_everything(&path, &token, &key);
            if DECIDING.contains(&(table, column)) {
                let (session, api_key) = known.unwrap_or_default();
                let known = if table == "session" { session } else { api_key };
                assert!(!known, "{table}.{column} = {lie} and the token holds");
            }
            remove(&path);
        }
    }
}

#[test]
fn no_text_in_the_hash_column_lets_anybody_in() {
    let bench = Bench::new();
    let sql = bench.world.sql();
    let text = "(\\$argon2(id|i|d)\\$v=19\\$m=[0-9]{1,6},t=[0-9],p=[0-9]\\$[A-Za-z0-9+/]{0,43}\
        \\$[A-Za-z0-9+/]{0,43})|\\PC{0,60}";
    for_any(64, &text, |phc| {
        sql.execute("UPDATE credential SET phc = ?1", [&phc]).unwrap();
        let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
        match bench.world.store.log_in(request) {
            Ok(answer) => {
                assert_eq!(answer.granted().unwrap_err(), LoginRefusal::InvalidCredentials)
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{phc:?}"),
        }
        bench.world.store.users().unlock(bench.ada).unwrap();
    });
}

/// A row in every table.
fn full() -> Bench {
    let bench = Bench::with(|options| {
        options.sessions(SessionPolicy::server().inactivity_timeout(HOUR)).login_by_email(true)
    });
    let store = &bench.world.store;
    // A unique column cannot have one value twice: the session that is looked at is the only one.
    store.sessions().revoke(bench.ines.credential.session().unwrap()).unwrap();
    store.users().grant_administration(bench.ada, bench.york).unwrap();
    store.users().set_privileges(bench.ada, &["admin"]).unwrap();
    store.users().set_email(bench.ada, Some("ada@example.com")).unwrap();
    store.external_identities().link(bench.ada, "a", "b").unwrap();
    store.sessions().set_data_json(bench.session, "{}", Version::NONE).unwrap();
    store.configuration().set(Subtree::User(bench.ada), "theme", "dark").unwrap();
    store.configuration().set_public("theme", true).unwrap();
    store.credits().set(CreditHolder::Branch(bench.york), 3).unwrap();
    store.audit().record(&[HostEvent::new("x").unwrap().detail("y").unwrap()]).unwrap();
    store.audit().add_consumer("mailer").map(drop).unwrap();
    bench.world.clock.advance(STEP);
    let (code, till) = (Authenticator::of(SECRET).code(bench.world.now(), 0), device("till-1"));
    let (factors, held) = (store.second_factors(), (&bench.token, &till));
    let codes = factors.reissue_recovery_codes(held, PASSWORD.into(), code).unwrap();
    let code = codes.done().unwrap().codes[0].expose().into();
    let begun = factors.replace(held, PASSWORD.into(), code, NewTotp::new()).unwrap();
    assert!(begun.done().is_ok());
    let waits = LoginRequest::new("ada", Password::from(PASSWORD), device("till-4"));
    assert!(matches!(store.log_in(waits).unwrap(), LoginOutcome::Pending(_)));
    for name in ["ada", "unknown"] {
        let wrong = LoginRequest::new(name, Password::from("wrong"), device("till-1"));
        assert!(store.log_in(wrong).unwrap().granted().is_err());
    }
    bench
}

/// Table, name and type of every column of a table that has rows.
fn columns(path: &Path) -> Vec<(String, String, String)> {
    let sql = Connection::open(path).unwrap();
    let mut statement = sql
        .prepare(
            "SELECT t.name, c.name, c.type FROM pragma_table_list AS t
             JOIN pragma_table_info(t.name) AS c
             WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
             ORDER BY t.name, c.cid",
        )
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let columns: Vec<(String, String, String)> = rows.map(Result::unwrap).collect();
    for (table, ..) in &columns {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = sql.query_row(&count, [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{table} has no row");
    }
    columns
}

/// Writes past every rule of the file: triggers, checks and references.
fn store_lie(path: &Path, table: &str, column: &str, lie: &str) {
    let sql = Connection::open(path).unwrap();
    for off in ["synchronous = OFF", "ignore_check_constraints = ON", "foreign_keys = OFF"] {
        sql.execute_batch(&format!("PRAGMA {off}")).unwrap();
    }
    let mut statement =
        sql.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let triggers: Vec<(String, String)> = rows.map(Result::unwrap).collect();
    drop(statement);
    sql.execute_batch("BEGIN").unwrap();
    for (name, _) in &triggers {
        sql.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    // One row at a time: a unique column cannot have one value twice.
    let update = format!("UPDATE OR IGNORE {table} SET {column} = {lie}");
    sql.execute_batch(&update).unwrap();
    for (_, create) in &triggers {
        sql.execute_batch(create).unwrap();
    }
    sql.execute_batch("COMMIT").unwrap();
    sql.close().unwrap();
}

/// Whether session and key still verify; `None` if the file cannot be opened.
fn call_everything(path: &Path, token: &str, key: &str) -> Option<(bool, bool)> {
    let options = for_tests()
        .sessions(SessionPolicy::server().inactivity_timeout(HOUR))
        .login_by_email(true)
        .clock(clock());
    let store = Store::open(path, options).ok()?;
    let verify = |token: &str, device: Option<&DeviceId>| {
        store.verify((token, device)).ok().and_then(|verdict| verdict.valid().ok())
    };
    let till = device("till-1");
    let (session, api_key) = (verify(token, Some(&till)), verify(key, None));
    for principal in [session, api_key].into_iter().flatten() {
        let _ = store.profile(&principal);
        let by = store.administering(&principal);
        let _ = (by.subtrees(), by.users().list(&UserFilter::new(), Page::default()));
        let _ = by.branches().list(&BranchFilter::new(), Page::default());
        let _ = store.sessions().revoke_others(&principal);
    }
    let shown = [store.explain((token, Some(&till))), store.explain((key, None))];
    drop(shown);
    let everyone = store.users().list(&UserFilter::new().text("a"), Page::default());
    let ada = everyone.unwrap_or_default().first().map(|user| user.id);
    for name in ["ada", "ada@example.com", "unknown"] {
        let _ = store.log_in(LoginRequest::new(name, Password::from(PASSWORD), till.clone()));
        let _ = store.users().find_by_username(name);
        let _ = store.users().find_by_email(name);
    }
    if let Some(ada) = ada {
        call_for(&store, ada, token);
    }
    let _ = store.organisations().list(&OrganisationFilter::new(), Page::default());
    let _ = store.branches().list(&BranchFilter::new(), Page::default());
    let _ = store.configuration().list(Subtree::Store, Page::default());
    let _ = store.configuration().set(Subtree::Store, "theme", "light");
    let _ = store.audit().list(&AuditFilter::new(), Page::default());
    let _ = store.audit().verify_chain(None);
    let _ = store.audit().anchor();
    let _ = store.sessions().revoke_all(Subtree::Store);
    let _ = store.maintain();
    let _ = store.close();
    Some((session.is_some(), api_key.is_some()))
}

fn call_for(store: &Store, ada: UserId, token: &str) {
    let _ = store.sessions().list(&SessionFilter::new().under(ada), Page::default());
    let _ = store.devices().list(ada);
    let _ = store.devices().has_live_session(&device("till-1"));
    let _ = store.api_keys().list(ada);
    let _ = store.configuration().effective_all(ada);
    let _ = store.configuration().effective(ada, "theme");
    let change = |new: &str| {
        let (current, new) = (Password::from(PASSWORD), Password::from(new));
        store.change_password((token, &device("till-1")), current, new)
    };
    let _ = change("other than before");
    if let Ok(Some(user)) = store.users().find(ada)
        && let Some(york) = user.branch
    {
        let _ = store.credits().spend(CreditHolder::Branch(york), 1);
        let _ = store.branches().set_active(york, false);
        let _ = store.branches().set_active(york, true);
    }
    if let Ok(Ok(reply)) =
        store.sessions().open(OpenSession::new(ada, device("till-2"))).map(LoginOutcome::granted)
    {
        let _ = store.sessions().data_json(reply.session.id);
        let _ = store.sessions().set_data_json(reply.session.id, "[]", Version::NONE);
        let _ = store.log_out((&reply.session.token, &device("till-2")));
    }
    use_factors(store, ada, token);
    let identities = store.external_identities();
    let _ = (identities.list(ada), identities.find("a", "b"), identities.link(ada, "c", "d"));
    let _ = identities.unlink(ada, "a", "b");
    let tokens = store.one_time_tokens();
    let _ = tokens.list(ada);
    if let Ok(issued) = tokens.issue_first_administrator() {
        let new = Password::from("another one");
        let _ = tokens.create_first_administrator(issued.token.expose(), "chief", new);
    }
    if let Ok(issued) = tokens.issue(ada, NewOneTimeToken::email_confirmation()) {
        let _ = tokens.confirm_email(issued.token.expose());
    }
    if let Some(mail) = tokens.request_password_reset("ada").ok().and_then(ResetRequest::mail) {
        let new = Password::from("another one");
        let _ = tokens.reset_password(mail.token.expose(), new, RevokeApiKeys::All);
    }
    for key in store.api_keys().list(ada).unwrap_or_default() {
        let _ = store.api_keys().rotate(key.id, Duration::ZERO);
    }
    let _ = store.explain_user(ada);
    let _ = store.users().unlock(ada);
    let _ = store.users().set_status(ada, UserStatus::Locked);
    let _ = store.users().delete(ada);
    let _ = store.users().restore(ada);
}

fn use_factors(store: &Store, ada: UserId, token: &str) {
    let factors = store.second_factors();
    let _ = factors.info(ada);
    let (till, new) = (device("till-1"), NewTotp::new());
    let code = Authenticator::of(SECRET).text(clock().now(), 0);
    for code in [code.as_str(), "000000", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa"] {
        let _ = factors.reissue_recovery_codes((token, &till), PASSWORD.into(), code.into());
        let _ = factors.replace((token, &till), PASSWORD.into(), code.into(), new);
        let _ = factors.confirm((token, &till), code.into(), code.into());
    }
    for on in ["till-4", "till-5"] {
        let login = LoginRequest::new("ada", Password::from(PASSWORD), device(on));
        if let Ok(LoginOutcome::Pending(step)) = store.log_in(login) {
            let with = CompleteLogin::with_code(step.token.expose(), device(on), code.as_str());
            let _ = store.complete_login(with.trust_device(HOUR));
        }
    }
    let _ = store.devices().list(ada);
    let _ = store.devices().revoke_trust(ada);
    let _ = store.rekey(10);
    let _ = store.key_use();
    let _ = factors.reset(ada);
    let _ = factors.enrol((token, &till), new);
}

fn clock() -> std::sync::Arc<dyn Clock> {
    std::sync::Arc::new(ManualClock::new(crate::world::morning() + DAY / 48))
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let _ = fs::remove_file(PathBuf::from(beside));
    }
}
