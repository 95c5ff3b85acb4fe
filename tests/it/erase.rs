//! Erasure: nothing that the file kept about a person is left in it, and the log stays provable.

use std::process::Command;

use gatepost::audit::{AuditEntry, AuditFilter, ChainCheck, HostEvent};
use gatepost::directory::UserFilter;
use gatepost::sessions::{NewApiKey, NewOneTimeToken, OpenSession, Version};
use gatepost::{
    Actor, ClientInfo, ErrorKind, LoginRequest, NewUser, Page, Store, Subtree, UserId,
};
use rusqlite::config::DbConfig;

use crate::world::{DAY, PASSWORD, World, device, for_tests};

/// Texts that occur nowhere else, in every place that takes one.
const PLANTED: [&str; 17] = [
    "xanthippe-username",
    "xanthippe-mail",
    "xanthippe-first",
    "xanthippe-last",
    "xanthippe-description",
    "xanthippe-attribute",
    "xanthippe-label",
    "xanthippe-agent",
    "xanthippe-detail",
    "xanthippe-config",
    "xanthippe-key-label",
    "xanthippe-data",
    "xanthippe-device",
    "xanthippe-renamed",
    "xanthippe-by-actor",
    "203.0.113.77",
    "2001:db8::7777",
];

fn client_info() -> ClientInfo {
    ClientInfo::new().ip([203, 0, 113, 77]).user_agent("xanthippe-agent")
}

/// A person of whom the file has everything that it can have.
fn plant(store: &Store) -> UserId {
    let new = NewUser::person("xanthippe-username")
        .email("xanthippe-mail@example.com")
        .first_name("xanthippe-first")
        .last_name("xanthippe-last")
        .description("xanthippe-description")
        .attributes(r#"{"is": "xanthippe-attribute"}"#)
        .privilege("reports")
        .password(PASSWORD.into());
    let id = store.users().create(new).unwrap().id;
    let request =
        LoginRequest::new("xanthippe-username", PASSWORD.into(), device("xanthippe-device"))
            .label("xanthippe-label")
            .client_info(client_info());
    let session = store.log_in(request).unwrap().granted().unwrap().session;
    store
        .sessions()
        .set_data_json(session.id, r#"{"is": "xanthippe-data"}"#, Version::NONE)
        .unwrap();
    let wrong = LoginRequest::new("xanthippe-username", "a wrong one".into(), device("elsewhere"))
        .client_info(ClientInfo::new().ip("2001:db8::7777".parse::<std::net::IpAddr>().unwrap()));
    store.log_in(wrong).unwrap().granted().unwrap_err();
    store.api_keys().issue(id, NewApiKey::new().label("xanthippe-key-label")).unwrap();
    store.one_time_tokens().issue(id, NewOneTimeToken::email_confirmation()).unwrap();
    store.configuration().set(Subtree::User(id), "theme", "xanthippe-config").unwrap();
    let printed = HostEvent::new("invoice.printed").unwrap().user(id).client_info(client_info());
    store.audit().record(&[printed.detail("xanthippe-detail").unwrap()]).unwrap();
    let acted = HostEvent::new("invoice.printed").unwrap().client_info(client_info());
    let acted = acted.detail("xanthippe-by-actor").unwrap();
    store.acting_as(id).audit().record(&[acted]).unwrap();
    store.users().rename(id, "xanthippe-renamed").unwrap();
    id
}

/// Others, so many that rows move between pages of the file.
fn crowd(store: &Store, from: usize) {
    for number in from..from + 40 {
        let name = format!("other-{number}");
        let new = NewUser::person(&name).email(format!("{name}@example.com"));
        let id = store.users().create(new.description("d".repeat(200))).unwrap().id;
        let open = OpenSession::new(id, device(&name)).client_info(
            ClientInfo::new().ip([192, 0, 2, 1]).user_agent(format!("agent of {name}")),
        );
        store.sessions().open(open).unwrap().granted().unwrap();
        let printed = HostEvent::new("invoice.printed").unwrap().user(id);
        store.audit().record(&[printed.detail(&format!("for {name}")).unwrap()]).unwrap();
    }
}

fn log(store: &Store) -> Vec<AuditEntry> {
    store.audit().iter(&AuditFilter::new()).map(|row| row.unwrap()).collect()
}

/// How often a text is in the files of the store, in any case of its letters.
fn occurrences(world: &World, text: &str) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(world.directory()).unwrap() {
        // Another process reads: closing a descriptor here would drop the locks of the store.
        let read = Command::new("cat").arg(entry.unwrap().path()).output().unwrap();
        let bytes = read.stdout.to_ascii_lowercase();
        found += bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
    }
    found
}

#[test]
fn nothing_that_was_planted_is_left_after_an_erasure() {
    let mut world = World::new();
    crowd(&world.store, 0);
    let id = plant(&world.store);
    crowd(&world.store, 40);
    // The file has a digest of the device, and no name that was replaced.
    let elsewhere = ["xanthippe-device", "xanthippe-username"];
    for text in PLANTED.iter().filter(|text| !elsewhere.contains(text)) {
        assert!(occurrences(&world, text) > 0, "{text} was not planted");
    }
    let anchor = world.store.audit().anchor().unwrap();
    world.store.users().delete(id).unwrap();
    let report = world.store.users().erase(id).unwrap();
    assert!(report.is_log_emptied && report.audit_rows >= 4, "{report:?}");
    let kept = AuditFilter::new().user(id);
    let kept: Vec<AuditEntry> = world.store.audit().iter(&kept).map(|row| row.unwrap()).collect();
    assert!(kept.len() >= 9 && kept.iter().all(|row| row.client_info.is_none()));
    let found = world.store.users().personal_data(id).unwrap_err();
    assert_eq!(found.kind(), ErrorKind::NotFound);
    let everything = format!("{:?}", log(&world.store));
    for open in [true, false] {
        for text in PLANTED {
            assert_eq!(occurrences(&world, text), 0, "{text}, open: {open}");
            assert!(!everything.contains(text), "{text}");
        }
        assert!(world.store.audit().verify_chain(Some(&anchor)).unwrap().is_intact());
        world.reopen();
    }
}

#[test]
fn an_erasure_leaves_everything_of_others_as_it_was() {
    let world = World::new();
    let north = world.store.organisations().create("Northern").unwrap();
    let york = world.store.branches().create("York", north.id).unwrap();
    crowd(&world.store, 0);
    let id = plant(&world.store);
    world.store.users().move_to(id, york.id).map(drop).unwrap();
    world.store.users().delete(id).unwrap();
    let users = || -> Vec<gatepost::User> {
        world.store.users().iter(&UserFilter::new()).map(|user| user.unwrap()).collect()
    };
    let others = || -> Vec<AuditEntry> {
        let is_other = |row: &AuditEntry| row.user != Some(id) && row.actor.user() != Some(id);
        log(&world.store).into_iter().filter(is_other).collect()
    };
    let before = (users(), others());
    let sessions = world.count("SELECT count(*) FROM session");
    world.store.users().erase(id).unwrap();
    let after = others();
    assert_eq!((users(), &after[..after.len()]), (before.0, &before.1[..]));
    assert_eq!(world.count("SELECT count(*) FROM session"), sessions - 1);
    assert_eq!(world.store.branches().find(york.id).unwrap(), Some(york));
    assert_eq!(world.count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(log(&world.store).last().unwrap().event, "user.erased");
}

#[test]
fn only_a_deleted_user_is_erased_and_only_once() {
    let world = World::new();
    let ada = world.person("ada").id;
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().erase(unknown));
    world.refuses(ErrorKind::NotFound, |store| store.users().erase(ada));
    assert!(world.log_in("ada", PASSWORD, "till-1").is_ok());
    world.store.users().delete(ada).unwrap();
    world.store.users().erase(ada).unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().erase(ada));
    world.refuses(ErrorKind::NotFound, |store| store.users().restore(ada));
    let deleted: Vec<_> = world.store.users().iter(&UserFilter::new().deleted()).collect();
    assert!(deleted.is_empty(), "{deleted:?}");
    let again = world.store.users().create(NewUser::person("ada")).unwrap();
    assert_ne!(again.id, ada);
}

#[test]
fn a_row_that_is_recorded_about_an_erased_user_keeps_ids_alone() {
    let world = World::new();
    let ada = world.person("ada").id;
    let bob = world.person("bob").id;
    world.store.users().delete(ada).unwrap();
    world.store.users().erase(ada).unwrap();
    let event = || HostEvent::new("late").unwrap().client_info(client_info()).detail("x").unwrap();
    world.store.audit().record(&[event().user(ada)]).unwrap();
    world.store.acting_as(ada).audit().record(&[event().user(bob)]).unwrap();
    world.store.audit().record(&[event().user(bob)]).unwrap();
    let rows = log(&world.store);
    let [about, by, other] = &rows[rows.len() - 3..] else { panic!("{rows:?}") };
    assert_eq!(
        (about.user, about.client_info.as_ref(), about.detail.as_ref()),
        (Some(ada), None, None)
    );
    assert_eq!(
        (by.actor, by.client_info.as_ref(), by.detail.as_ref()),
        (Actor::User(ada), None, None)
    );
    assert!(other.client_info.is_some() && other.detail.is_some());
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn a_value_that_was_taken_out_without_an_erasure_is_found() {
    for hand in [
        "UPDATE audit SET ip = NULL WHERE ip IS NOT NULL",
        "UPDATE audit SET user_agent = NULL WHERE user_agent IS NOT NULL",
        "UPDATE audit SET device_hash = NULL WHERE device_hash IS NOT NULL",
        "UPDATE audit SET detail = NULL WHERE source = 1",
        "UPDATE user SET audit_salt = zeroblob(16)",
        // As an erasure leaves it, whose row was trimmed long ago.
        "UPDATE user SET deleted_at = 1, username = '', username_key = '', email = NULL,
             email_key = NULL, first_name = NULL, last_name = NULL, description = NULL,
             attributes = NULL, search_key = '', last_login_at = NULL, confirmed_at = NULL,
             audit_salt = NULL, erased_seq = 0;
         UPDATE audit SET ip = NULL, user_agent = NULL, device_hash = NULL,
             detail = CASE source WHEN 1 THEN NULL ELSE detail END",
        // As an erasure leaves it, without the row that proves it.
        "UPDATE user SET deleted_at = 1, username = '', username_key = '', email = NULL,
             email_key = NULL, first_name = NULL, last_name = NULL, description = NULL,
             attributes = NULL, search_key = '', last_login_at = NULL, confirmed_at = NULL,
             audit_salt = NULL, erased_seq = (SELECT max(seq) FROM audit);
         UPDATE audit SET ip = NULL, user_agent = NULL, device_hash = NULL,
             detail = CASE source WHEN 1 THEN NULL ELSE detail END",
    ] {
        let world = World::new();
        plant(&world.store);
        // The last row is not about her.
        world.store.organisations().create("Northern").unwrap();
        assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
        let sql = world.sql();
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        sql.execute_batch(hand).unwrap();
        let found = world.store.audit().verify_chain(None).unwrap();
        assert!(matches!(found, ChainCheck::Broken { .. }), "{hand}: {found:?}");
    }
}

#[test]
fn a_value_that_was_put_back_after_an_erasure_is_found() {
    let world = World::new();
    let id = plant(&world.store);
    world.store.users().delete(id).unwrap();
    world.store.users().erase(id).unwrap();
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
    let sql = world.sql();
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    sql.execute_batch("UPDATE audit SET ip = '192.0.2.1' WHERE event = 'login.granted'").unwrap();
    assert!(!world.store.audit().verify_chain(None).unwrap().is_intact());
}

#[test]
fn the_log_stays_provable_after_the_row_of_the_erasure_was_trimmed() {
    let store = Store::in_memory(for_tests().audit_max_age(DAY).audit_max_rows(1_000)).unwrap();
    let id = plant(&store);
    store.users().delete(id).unwrap();
    store.users().erase(id).unwrap();
    let made = store.organisations().create("No. 0").unwrap();
    for number in 1..1_020 {
        store.organisations().rename(made.id, &format!("No. {number}")).unwrap();
    }
    let of_host = store.audit().list(&AuditFilter::new().user(id).from_host(), Page::first(9));
    assert_eq!(of_host.unwrap().len(), 1);
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
}
