//! The function that gets an input, and what must be true of its answer. Uses nothing of the tests
//! around it, because `fuzz/` compiles this file alone.

use std::sync::{Arc, Mutex, OnceLock};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use gatepost::host::*;
use gatepost::sessions::*;
use gatepost::wire::trustid;
use gatepost::*;

// The path is given because `fuzz/` compiles this file under another name.
#[path = "targets/files.rs"]
mod files;
#[path = "targets/operations.rs"]
mod operations;

/// A target: its name, and what it does with an input.
type Target = (&'static str, fn(&[u8]));

pub(crate) const TARGETS: &[Target] = &[
    ("token", token),
    ("header", header),
    ("phc", phc),
    ("configuration", configuration),
    ("name", name),
    ("wire", wire),
    ("database", files::database),
    ("wal", files::wal),
    ("operations", operations::operations),
];

/// Gives an input to the target of that name.
pub(crate) fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(of, _)| *of == name).unwrap();
    target(input);
}

/// What an error may say, at most: it repeats nothing of the input.
const SAID_MAX_BYTES: usize = 200;

/// A session, with the token and device that prove it.
pub(crate) struct Known {
    pub(crate) token: String,
    pub(crate) device: DeviceId,
    pub(crate) key: String,
}

/// Options under which every store is the same.
pub(crate) fn options() -> Options {
    let morning = "2026-01-05T09:00:00Z".parse().unwrap();
    Options::for_tests()
        .clock(Arc::new(ManualClock::new(morning)))
        .random_source(Arc::new(SeededRandom::new(7)))
}

/// Opens a session and a key in a store.
pub(crate) fn settle(store: &Store) -> Known {
    let device = DeviceId::new("till-1").unwrap();
    let new = NewUser::person("ada").password(Password::from("correct horse battery"));
    let ada = store.users().create(new).unwrap().id;
    let opened = store.sessions().open(OpenSession::new(ada, device.clone())).unwrap();
    let token = opened.granted().unwrap().session.token.expose().to_owned();
    let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap().key.expose().to_owned();
    Known { token, device, key }
}

/// The same id with another secret, and the checksum that it should have.
pub(crate) fn forged(token: &str) -> String {
    let (prefix, body) = token.split_at(4);
    let mut bytes = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
    bytes[20] ^= 1;
    let checksum = crc32fast::hash(&[prefix.as_bytes(), &bytes[..48]].concat());
    bytes.splice(48.., checksum.to_be_bytes());
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}

/// One store for all inputs of a parser, made again once it has been written to often.
pub(crate) fn with_store(job: impl FnOnce(&Store, &Known)) {
    static STORE: OnceLock<Mutex<(u32, Store, Known)>> = OnceLock::new();
    let fresh = || {
        let store = Store::in_memory(options()).unwrap();
        let known = settle(&store);
        (0, store, known)
    };
    let mut held = STORE.get_or_init(|| Mutex::new(fresh())).lock().unwrap();
    if held.0 == 2_000 {
        *held = fresh();
    }
    held.0 += 1;
    job(&held.1, &held.2);
}

/// Answers with what was accepted; a refusal has one of these reasons, and is short.
fn refused<T>(answer: Result<T, Error>, may: &[ErrorKind]) -> Option<T> {
    match answer {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            assert!(may.contains(&error.kind()), "{error:?}");
            assert!(error.to_string().len() <= SAID_MAX_BYTES, "{error}");
            None
        }
    }
}

/// A text is a token only if it was issued.
fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    with_store(|store, known| {
        let on_device = store.verify((text, &known.device)).unwrap().valid().is_ok();
        assert_eq!(on_device, text == known.token, "{text:?}");
        let alone = store.verify((text, None)).unwrap().valid().is_ok();
        assert_eq!(alone, text == known.key, "{text:?}");
        if text != known.token && text != known.key {
            let ended = refused(store.log_out((text, &known.device)), &[ErrorKind::Invalid]);
            assert!(ended.is_none_or(|ended| ended == Ended::Before), "{text:?}");
        }
    });
}

/// A header that was read is read again from its own text.
fn header(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = refused(HeaderCredentials::from_header(text), &[ErrorKind::Invalid]);
    let Some(presented) = read else { return };
    let token = presented.token.expose();
    assert!(!token.is_empty() && token.len() <= text.len());
    if text.as_bytes()[..6].eq_ignore_ascii_case(b"bearer") {
        assert!(presented.device.is_none());
        let again = HeaderCredentials::from_header(&format!("Bearer {token}")).unwrap();
        assert_eq!(again.token.expose(), token);
    } else {
        let device = presented.device.as_ref().map(DeviceId::as_str).unwrap_or_default();
        let pair = BASE64.encode(format!("{token}:{device}").as_bytes());
        let again = HeaderCredentials::from_header(&format!("Basic {pair}")).unwrap();
        assert_eq!(again.token.expose(), token);
        assert_eq!(again.device, presented.device);
    }
}

/// A hash that is taken over is stored within its bounds, in the one spelling that there is.
fn phc(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    with_store(|store, _| {
        let users = store.users();
        let take_over = |text: &str| {
            let new = NewUser::person("eve").password_hash(text);
            let made = refused(users.create(new), &[ErrorKind::Invalid])?;
            let stored = users.exposed_password_hash(made.id).unwrap();
            users.delete(made.id).unwrap();
            Some(stored)
        };
        let Some(stored) = take_over(text) else { return };
        // No hash, no password.
        assert_eq!(stored.is_none(), text.is_empty());
        let Some(stored) = stored else { return };
        assert!(stored.expose().len() <= 256 && stored.expose().is_ascii(), "{text}");
        let again = take_over(stored.expose()).flatten().unwrap();
        assert_eq!(again.expose(), stored.expose(), "{text}");
    });
}

/// A key, a zero byte and a value: what was set is in force, as it was set, and no reader of it
/// says anything else.
fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (key, value) = text.split_once('\0').unwrap_or((text, "True"));
    with_store(|store, _| {
        let set = store.configuration().set(Subtree::Store, key, value);
        if refused(set, &[ErrorKind::Invalid]).is_none() {
            return;
        }
        let all = store.configuration().effective_all(None).unwrap();
        assert_eq!(all.text(key), Some(value));
        assert_eq!(all.text(&key.to_uppercase()), Some(value), "{key:?}");
        let flag = refused(all.flag(key), &[ErrorKind::Invalid]);
        let spelt =
            ["0", "1", "false", "true"].iter().position(|spelt| value.eq_ignore_ascii_case(spelt));
        assert_eq!(flag, spelt.map(|at| at % 2 == 1), "{value:?}");
        let number = refused(all.integer(key), &[ErrorKind::Invalid]);
        assert_eq!(number, value.parse::<i64>().ok(), "{value:?}");
        assert!(store.configuration().remove(Subtree::Store, key).unwrap());
    });
}

/// A user who was created is found under the given name, and under no other.
fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (username, email) = text.split_once('\0').unwrap_or((text, "eve@example.com"));
    if let Some(device) = refused(DeviceId::new(text), &[ErrorKind::Invalid]) {
        assert_eq!(device.as_str(), text);
    }
    with_store(|store, _| {
        let new = NewUser::person(username).email(email).first_name(username).last_name(email);
        let made = refused(store.users().create(new), &[ErrorKind::Invalid, ErrorKind::Taken]);
        let Some(made) = made else { return };
        for spelt in [username, &made.username] {
            let found = store.users().find_by_username(spelt).unwrap();
            assert_eq!(found.map(|user| user.id), Some(made.id), "{username:?}");
        }
        let new = NewUser::person(made.username.as_str());
        assert_eq!(store.users().create(new).unwrap_err().kind(), ErrorKind::Taken);
        store.users().delete(made.id).unwrap();
        assert_eq!(store.users().find_by_username(username).unwrap().map(|user| user.id), None);
    });
}

/// Any input is a request or a short error, and never a session.
fn wire(input: &[u8]) {
    let short = |error: serde_json::Error| assert!(error.to_string().len() <= SAID_MAX_BYTES);
    match serde_json::from_slice::<trustid::LoginRequest>(input) {
        Ok(request) => drop(refused(LoginRequest::try_from(request), &[ErrorKind::Invalid])),
        Err(error) => short(error),
    }
    match serde_json::from_slice::<trustid::ChangePasswordRequest>(input) {
        Ok(request) => {
            drop(refused(trustid::ChangePassword::try_from(request), &[ErrorKind::Invalid]))
        }
        Err(error) => short(error),
    }
    let presented = match serde_json::from_slice::<trustid::SessionRequest>(input) {
        Ok(request) => refused(HeaderCredentials::try_from(request), &[ErrorKind::Invalid]),
        Err(error) => return short(error),
    };
    let Some(presented) = presented else { return };
    with_store(|store, known| {
        let token = presented.token.expose();
        let valid = store.verify((token, presented.device.as_ref())).unwrap().valid().is_ok();
        assert!(!valid || [&known.token, &known.key].iter().any(|issued| *issued == token));
    });
}
