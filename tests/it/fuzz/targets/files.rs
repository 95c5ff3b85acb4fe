//! The bytes of the file and of its log.
//!
//! An input is a list of changes to a sound store: a position, a length and so many bytes; a
//! length of 255 cuts the file off there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gatepost::audit::*;
use gatepost::*;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::{Known, forged, options, settle};

/// The reasons for which a damaged file may be refused.
const MAY: &[ErrorKind] = &[
    ErrorKind::Corrupt,
    ErrorKind::NotADatabase,
    ErrorKind::NotOurs,
    ErrorKind::TooNew,
    ErrorKind::Misuse,
    ErrorKind::Full,
    ErrorKind::Io,
];

/// A closed store, and the same one with a log that was never checkpointed.
struct Sound {
    file: Vec<u8>,
    log: Vec<u8>,
    known: Known,
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let (_kept, path) = place();
        let store = Store::open(&path, options()).unwrap();
        let known = settle(&store);
        store.configuration().set(Subtree::Store, "theme", "dark").unwrap();
        store.close().unwrap();
        let file = fs::read(&path).unwrap();
        // A connection that stays open, and does not checkpoint when it is closed.
        let keeper = Connection::open(&path).unwrap();
        keeper.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        let head = |keeper: &Connection| {
            keeper.query_row("SELECT max(seq) FROM change", [], |row| row.get::<_, i64>(0))
        };
        head(&keeper).unwrap();
        let store = Store::open(&path, options()).unwrap();
        store.organisations().create("Northern").unwrap();
        store
            .sessions()
            .revoke_all(store.users().find_by_username("ada").unwrap().unwrap().id)
            .unwrap();
        store.close().unwrap();
        head(&keeper).unwrap();
        keeper.close().unwrap();
        let log = fs::read(beside(&path, "-wal")).unwrap();
        assert!(log.len() > 4_096, "{} bytes", log.len());
        Sound { file, log, known }
    })
}

/// In memory where the system has such a place: each file is flushed for nothing.
fn place() -> (tempfile::TempDir, PathBuf) {
    let kept = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = kept.path().join("auth.db");
    (kept, path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn changed(sound: &[u8], mut changes: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    while let [a, b, c, length, rest @ ..] = changes {
        let at = u32::from_be_bytes([0, *a, *b, *c]) as usize % (bytes.len() + 1);
        if *length == 255 {
            bytes.truncate(at);
        }
        let taken = usize::from(*length).min(rest.len()).min(bytes.len() - at);
        bytes[at..at + taken].copy_from_slice(&rest[..taken]);
        changes = &rest[usize::from(*length).min(rest.len())..];
    }
    bytes
}

/// A changed file: it is refused with its reason, or makes no token valid that never was.
pub(super) fn database(input: &[u8]) {
    let (_kept, path) = place();
    fs::write(&path, changed(&sound().file, input)).unwrap();
    live_through(&path);
}

/// A changed log beside a sound file: the same.
pub(super) fn wal(input: &[u8]) {
    let (_kept, path) = place();
    fs::write(&path, &sound().file).unwrap();
    fs::write(beside(&path, "-wal"), changed(&sound().log, input)).unwrap();
    live_through(&path);
}

fn live_through(path: &Path) {
    let store = match Store::open(path, options()) {
        Ok(store) => store,
        Err(error) => return assert!(MAY.contains(&error.kind()), "{error:?}"),
    };
    let known = &sound().known;
    let passes = |token: &str, device: Option<&DeviceId>| {
        store.verify((token, device)).is_ok_and(|verdict| verdict.valid().is_ok())
    };
    for token in [&known.token, &known.key] {
        let never_issued = forged(token);
        assert!(!passes(&never_issued, Some(&known.device)), "a token that was never issued");
        assert!(!passes(&never_issued, None), "a token that was never issued");
    }
    let other = DeviceId::new("till-2").unwrap();
    assert!(!passes(&known.token, Some(&other)), "another device");
    let _ = passes(&known.token, Some(&known.device));
    for _ in 0..2 {
        let wrong = LoginRequest::new("ada", Password::from("wrong"), other.clone());
        let granted = store.log_in(wrong).is_ok_and(|answer| answer.granted().is_ok());
        assert!(!granted, "a wrong password");
    }
    let _ = store.configuration().effective_all(None);
    let _ = store.audit().list(&AuditFilter::new(), Page::default());
    let _ = store.audit().verify_chain(None);
    let _ = store.organisations().create("Southern");
    if store.sessions().revoke_all(Subtree::Store).is_ok() {
        assert!(!passes(&known.token, Some(&known.device)), "a session that was ended");
    }
    let _ = store.maintain();
    let _ = store.close();
}
