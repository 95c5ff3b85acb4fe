//! Helpers of all benches for a store.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use gatepost::host::{KeyId, Keyring, ManualClock, SealingKey, SeededRandom};
use gatepost::policy::SessionPolicy;
use gatepost::second_factors::FactorCode;
use gatepost::{DeviceId, Options, Store, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OpenFlags};
use sha1::Sha1;

/// A password that every policy accepts.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What the clock of [`options`] shows.
const NOW: &str = "2026-01-05T09:00:00Z";

/// For tests, with a clock that does not move and random numbers that a seed repeats.
pub(crate) fn options(seed: u64) -> Options {
    options_at(seed, NOW)
}

pub(crate) fn options_at(seed: u64, at: &str) -> Options {
    Options::for_tests()
        .clock(Arc::new(ManualClock::new(at.parse().unwrap())))
        .random_source(Arc::new(SeededRandom::new(seed)))
        .keyring(Arc::new(TwoKeys))
        .sessions(SessionPolicy::server().per_user(10_000))
        .max_concurrent_hashes(2)
        .max_waiting_hashes(64)
}

/// The secret of the authenticator of fay, in Base32.
pub(crate) const FACTOR: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// The code that an authenticator of that secret shows so many steps after the time of [`options`].
pub(crate) fn code(base32: &str, later: i64) -> FactorCode {
    let secret = BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    let step = now.as_millis() / 30_000 + later;
    let mac = Hmac::<Sha1>::new_from_slice(&secret).unwrap();
    let mac = mac.chain_update(step.to_be_bytes()).finalize().into_bytes();
    let at = usize::from(mac[19] & 15);
    let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
    FactorCode::new(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

/// Two keys. Without fields, so that any two are the same to a store.
#[derive(Debug)]
struct TwoKeys;

impl Keyring for TwoKeys {
    fn current(&self) -> KeyId {
        KeyId::new("new").unwrap()
    }

    fn key(&self, id: &KeyId) -> Option<SealingKey> {
        match id.as_str() {
            "new" => Some(SealingKey::new([2; 32])),
            "old" => Some(SealingKey::new([1; 32])),
            _ => None,
        }
    }
}

/// The older of the two: what the file of the scene is sealed under.
#[derive(Debug)]
pub(crate) struct OldKey;

impl Keyring for OldKey {
    fn current(&self) -> KeyId {
        KeyId::new("old").unwrap()
    }

    fn key(&self, id: &KeyId) -> Option<SealingKey> {
        TwoKeys.key(id).filter(|_| *id == self.current())
    }
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// Whether a token passes, with its device or without; an error is a panic.
pub(crate) fn passes(store: &Store, token: &str, on: Option<&str>) -> bool {
    let on = on.map(device);
    store.verify((token, on.as_ref())).unwrap().valid().is_ok()
}

/// The file agrees with itself: its pages, its references, its log (I8).
pub(crate) fn is_whole(store: &Store, path: &Path) {
    is_sound(path);
    assert!(store.audit().verify_chain(None).unwrap().is_intact(), "the chain of the log");
}

/// The same without its log.
pub(crate) fn is_sound(path: &Path) {
    let sql = sql(path);
    let check: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let broken: Option<String> = sql
        .query_row("SELECT max(\"table\") FROM pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(broken, None, "a row that points at nothing");
}

/// A connection of plain SQL to a file that a store of this process has open.
pub(crate) fn sql(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

pub(crate) fn number(sql: &Connection, statement: &str) -> i64 {
    sql.query_row(statement, [], |row| row.get(0)).unwrap()
}

/// The columns that differ each time a write is made: the mark that each group of writes draws, the
/// salts of the audit log, and the hashes over them, which `is_whole` checks. And a number that
/// only makes each write of a throttle's row another one; and which file it is.
const DRAWN: [&str; 9] = [
    "last_group",
    "tag",
    "salt",
    "chain",
    "head_chain",
    "trimmed_chain",
    "writes",
    "file_inode",
    "file_born_ns",
];

/// What is in the file, in one number: every row of every table, except the columns of `DRAWN`.
pub(crate) fn state(path: &Path) -> u64 {
    let sql = sql(path);
    let mut hasher = DefaultHasher::new();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    for table in texts(&sql, tables) {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let mut columns = texts(&sql, &columns);
        columns.retain(|name| !DRAWN.contains(&name.as_str()));
        let columns = columns.join(", ");
        let rows = format!("SELECT {columns} FROM \"{table}\" ORDER BY {columns}");
        table.hash(&mut hasher);
        let mut statement = sql.prepare(&rows).unwrap();
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..width {
                format!("{:?}", row.get_ref(column).unwrap()).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

fn texts(sql: &Connection, statement: &str) -> Vec<String> {
    let mut statement = sql.prepare(statement).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
