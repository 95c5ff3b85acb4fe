//! The records as JSON (feature `serde`): field by field what a golden file says.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use gatepost::audit::{AuditFilter, HostEvent};
use gatepost::directory::CreditHolder;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{
    Assurance, NewApiKey, NewOneTimeToken, NewTicket, SessionFilter, Version,
};
use gatepost::{ClientInfo, LoginRequest, NewUser, Page, Password, Store, Subtree, Timestamp};
use serde_json::{Map, Value, json};

use crate::keyring::keys;
use crate::world::{HOUR, PASSWORD, World, device, for_tests, morning};

const GOLDEN: &str = include_str!("golden/records.json");

fn records() -> Map<String, Value> {
    let sessions = SessionPolicy::server().inactivity_timeout(HOUR);
    // A cache also in the run without one: it draws its key, and ids follow from what is drawn.
    let world = World::with(|options| options.sessions(sessions).cache(64));
    let store = &world.store;
    let northern = store.organisations().create("Northern").unwrap();
    let york = store.branches().create("York", northern.id).unwrap();
    store.credits().set(CreditHolder::Branch(york.id), 7).unwrap();
    store.configuration().set(Subtree::Store, "pageSize", "50").unwrap();
    store.configuration().set_public("pageSize", true).unwrap();
    let ada = NewUser::person("ada").email("ada@example.com").branch(york.id).privilege("admin");
    let ada = ada.attributes(r#"{"desk": 4}"#).password(Password::from(PASSWORD));
    let ada = store.users().create(ada).unwrap().id;
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let from = ClientInfo::new().ip([192, 0, 2, 7]).user_agent("Till/4");
    let reply = world.ask(request.label("Till 1").client_info(from)).unwrap();
    store.api_keys().issue(ada, NewApiKey::new().label("night run").lifetime(HOUR)).unwrap();
    store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset()).unwrap();
    let printed = HostEvent::new("invoice.printed").unwrap().user(ada);
    let acting = store.acting_as(reply.principal);
    acting.audit().record(&[printed.detail("number 7").unwrap()]).unwrap();
    let session = reply.session.id;
    store.sessions().set_data(session, &[1, 2], Version::NONE).unwrap();

    store.external_identities().link(ada, "https://login.example.com", "7").unwrap();
    let minted = store.tickets().mint(&reply.principal, NewTicket::new("GET", "/images/7"));
    let ticket = minted.unwrap().valid().unwrap().ticket;
    let bearer = store.tickets().verify(ticket.expose(), "GET", "/images/7").unwrap();
    let bearer = bearer.valid().unwrap();

    let mut status = store.status();
    (status.path, status.cached, status.log_bytes) = (None, None, 0);
    (status.writes, status.commits, status.hashes_done) = (1, 1, 1);
    status.hash_buffers_kept = 0;
    (status.library_version, status.sqlite_version) = ("0.1.0", "3.51.3");
    status.change_signal = gatepost::status::ChangeSignal::SharedWalIndex;
    status.file_state = gatepost::status::FileState::FileAndLocks;
    let sealed = World::with(|options| options.keyring(keys(&[("2026-11", 1)])));
    sealed.person("ada");
    let of_ada = SessionFilter::new().under(ada);
    let record = json!({
        "organisation": northern,
        "branch": york,
        "user": world.user(ada),
        "session_info": store.sessions().list(&of_ada, Page::default()).unwrap()[0],
        "session_data": store.sessions().data::<Vec<u8>>(session).unwrap(),
        "api_key_info": store.api_keys().list(ada).unwrap()[0],
        "one_time_token_info": store.one_time_tokens().list(ada).unwrap()[0],
        "external_identity": store.external_identities().list(ada).unwrap()[0],
        "ticket_bearer": bearer,
        "known_device": store.devices().list(ada).unwrap()[0],
        "audit_entry": store.audit().latest(1, &AuditFilter::new().from_host()).unwrap()[0],
        "setting": store.configuration().get(Subtree::Store, "pageSize").unwrap(),
        "credit_holder": CreditHolder::Branch(york.id),
        "principal": reply.principal,
        "profile": reply.profile,
        "subtrees": [Subtree::Store, Subtree::User(ada)],
        "assurance": Assurance::Aal2,
        "status": status,
        "key_use": sealed.store.key_use().unwrap()[0],
        "rekey_report": sealed.store.rekey(9).unwrap(),
        "maintenance_report": store.maintain().unwrap(),
    });
    match record {
        Value::Object(records) => records,
        other => panic!("{other}"),
    }
}

#[test]
fn each_record_is_written_as_the_golden_file_says() {
    let golden: Map<String, Value> = serde_json::from_str(GOLDEN).unwrap();
    let records = records();
    for (name, record) in &records {
        assert_eq!(
            Some(record),
            golden.get(name),
            "put this into golden/records.json:\n{}",
            serde_json::to_string_pretty(&records).unwrap()
        );
    }
    assert_eq!(records.len(), golden.len());
}

/// Once it had no form in JSON.
#[test]
fn a_path_that_is_not_utf_8_is_written_with_replacements() {
    let directory = tempfile::tempdir().unwrap();
    let odd = |name: &[u8]| directory.path().join(OsString::from_vec(name.to_vec()));
    let shown = |path: &Value| assert!(path.as_str().unwrap().contains('\u{fffd}'), "{path}");
    let (path, copy) = (odd(b"a\xff.db"), odd(b"b\xff.db"));

    let store = Store::open(&path, for_tests()).unwrap();
    store.users().create(NewUser::person("ada")).unwrap();
    shown(&serde_json::to_value(store.status()).unwrap()["path"]);
    let backup = store.backup(&copy, |_| ()).unwrap();
    let backup = serde_json::to_value(&backup).unwrap();
    shown(&backup["path"]);
    shown(&backup["manifest"]);
    let status = Store::open_read_only(&copy, for_tests()).unwrap().status().unwrap();
    let status = serde_json::to_value(&status).unwrap();
    shown(&status["path"]);
    assert!(status["lag_ms"].is_u64(), "{status}");
    store.close().unwrap();
    fs::write(&path, "a text, and no database").unwrap();
    let report = Store::restore(&copy, &path, for_tests()).unwrap();
    shown(&serde_json::to_value(&report).unwrap()["replaced"]["damaged"]);
}

#[test]
fn a_time_and_a_version_are_read_as_they_are_written() {
    for at in [Timestamp::MIN, Timestamp::MAX, morning()] {
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, at.as_millis().to_string());
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), at);
    }
    let version = serde_json::from_str::<Version>("7").unwrap();
    assert_eq!(version, Version::from_u64(7));
}
