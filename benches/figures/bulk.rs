//! Files of many sessions, which plain SQL fills in seconds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use gatepost::{DeviceId, NewUser, Options, Store, UserId};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::harness::{Order, time};

/// Sessions written in one transaction.
const PER_TRANSACTION: usize = 250_000;

/// A file of `count` sessions of one administrator. Those whose tokens are known have no device,
/// the others have one each.
pub struct Bulk {
    pub tokens: Vec<String>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bulk {
    /// The tokens of `known` sessions are kept, evenly among all. One session in `expired` has
    /// expired.
    pub fn new(count: usize, known: usize, expired: Option<usize>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, Options::server().cache(None)).unwrap();
        let user = store.users().create(NewUser::person("ada").privilege("admin")).unwrap().id;
        store.close().unwrap();
        drop(store);
        let tokens = fill(&path, user, count, count.div_ceil(known), expired);
        Self { path, tokens, _directory: directory }
    }

    /// A store of the file that caches so many sessions.
    pub fn open(&self, cached: Option<usize>) -> Store {
        Store::open(&self.path, Options::server().cache(cached)).unwrap()
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len()
    }

    /// How long so many verifies take, of tokens that are drawn at random before the clock starts.
    pub fn verified(&self, store: &Store, order: &mut Order, count: usize) -> Duration {
        let drawn: Vec<String> =
            (0..count).map(|_| self.tokens[order.next(self.tokens.len())].clone()).collect();
        time(|| verify(store, &drawn))
    }
}

/// Verifies each of these tokens, which must all be valid.
pub fn verify(store: &Store, tokens: &[String]) {
    let none: Option<&DeviceId> = None;
    for token in tokens {
        store.verify((token, none)).unwrap().valid().unwrap();
    }
}

/// Writes `count` sessions in the order of their ids; the tokens of one in `step`.
fn fill(
    path: &Path,
    user: UserId,
    count: usize,
    step: usize,
    expired: Option<usize>,
) -> Vec<String> {
    let raw = Connection::open(path).unwrap();
    raw.pragma_update(None, "synchronous", "OFF").unwrap();
    raw.pragma_update(None, "cache_size", -262_144).unwrap();
    let now: i64 = raw.query_row("SELECT created_at FROM store", [], |row| row.get(0)).unwrap();
    // Without the triggers and indexes of single writes; they are put back, each index sorted at
    // once.
    let aside = "SELECT 'DROP ' || type || ' ' || name || ';', sql || ';' FROM sqlite_schema
                 WHERE tbl_name = 'session' AND type IN ('index', 'trigger') AND sql IS NOT NULL";
    let (drop, create): (Vec<String>, Vec<String>) = raw
        .prepare(aside)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .unzip();
    raw.execute_batch(&drop.concat()).unwrap();
    let mut random = Order(0x9e37_79b9_7f4a_7c15);
    let mut tokens = Vec::new();
    for from in (0..count).step_by(PER_TRANSACTION) {
        raw.execute_batch("BEGIN").unwrap();
        let mut insert = raw
            .prepare(
                "INSERT INTO session (id, secret_hash, device_hash, user_id, opened_seq,
                     opened_at, authenticated_at, expires_at, lifetime_ms, aal, last_seen)
                 VALUES (?1, ?2, ?3, ?4, (SELECT seq FROM sqlite_sequence WHERE name = 'change'),
                     ?5, ?5, ?6, 86400000, 1, ?5)",
            )
            .unwrap();
        for at in from..count.min(from + PER_TRANSACTION) {
            let is_expired = expired.is_some_and(|expired| at % expired == 1);
            let is_known = at % step == 0 && !is_expired;
            let ends_at = if is_expired { now - 1 } else { now + 86_400_000 };
            let id = id(now - (count - at) as i64, &mut random);
            let (mut secret, mut device) = ([0; 32], [0; 16]);
            bytes(&mut random, &mut secret);
            bytes(&mut random, &mut device);
            let hash: [u8; 32] = if is_known { Sha256::digest(secret).into() } else { secret };
            let device = (!is_known).then_some(device);
            let user = user.as_uuid();
            insert.execute(params![id, hash, device, user.as_bytes(), now, ends_at]).unwrap();
            if is_known {
                tokens.push(token(&id, &secret));
            }
        }
        drop_statement(insert);
        raw.execute_batch("COMMIT").unwrap();
    }
    raw.execute_batch(&create.concat()).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    tokens
}

fn drop_statement(statement: rusqlite::Statement<'_>) {
    statement.finalize().unwrap();
}

/// A UUID of version 7.
fn id(millis: i64, random: &mut Order) -> [u8; 16] {
    let mut id = [0; 16];
    bytes(random, &mut id);
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id[6] = 0x70 | (id[6] & 0x0f);
    id[8] = 0x80 | (id[8] & 0x3f);
    id
}

fn bytes(random: &mut Order, to: &mut [u8]) {
    for part in to.chunks_mut(8) {
        let word = random.next(usize::MAX).to_le_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
}

/// A token as the manual's page of the file format describes it.
fn token(id: &[u8; 16], secret: &[u8; 32]) -> String {
    let mut raw = [id.as_slice(), secret].concat();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(b"gps_");
    checksum.update(&raw);
    raw.extend_from_slice(&checksum.finalize().to_be_bytes());
    format!("gps_{}", BASE64URL_NOPAD.encode(&raw))
}
