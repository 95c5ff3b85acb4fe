//! A file of ten million sessions: opening it, a verify from it, its sweep and its memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use gatepost::{DeviceId, NewUser, Options, Store, UserId};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::harness::{Order, ROUNDS, Run, alternate, each, median, time};
use crate::memory::resident;

pub const FIGURES: &[&str] = &["open_10m", "verify_miss_10m"];

/// Sessions whose tokens are kept, to be verified.
const KNOWN: usize = 100_000;
/// One session in so many has expired.
const EXPIRED: usize = 100;
const BATCH: usize = 500;
/// Sessions written in one transaction.
const PER_TRANSACTION: usize = 250_000;

/// A file that plain SQL has filled.
struct Bulk {
    path: PathBuf,
    tokens: Vec<String>,
    _directory: tempfile::TempDir,
}

pub fn run(run: &mut Run) {
    let (small, middle) = (Bulk::new(1_000), Bulk::new(100_000));
    let size = run.size(10_000_000);
    let mut large = None;
    let took = time(|| large = Some(Bulk::new(size)));
    let large = large.unwrap();
    let bytes = std::fs::metadata(&large.path).unwrap().len();
    run.note(format_args!(
        "{size} sessions, {bytes} bytes, written in {:.0} s",
        took.as_secs_f64()
    ));
    if run.wants(&["open_10m"]) {
        let table = alternate(ROUNDS, 11, [&mut || large.opening(), &mut || small.opening()]);
        let ratios: Vec<f64> = table.iter().map(|[large, small]| large / small).collect();
        let column: Vec<f64> = table.iter().map(|[large, _]| large * 1e3).collect();
        run.note(format_args!("opening: {:.2} ms", median(&column)));
        run.figure("open_10m", "x", &ratios);
    }
    if run.wants(&["verify_miss_10m"]) {
        let (one, other) = (large.open(), middle.open());
        let (mut here, mut there) = (Order(21), Order(22));
        let table = alternate(
            ROUNDS,
            60,
            [&mut || large.verified(&one, &mut here), &mut || middle.verified(&other, &mut there)],
        );
        let ratios: Vec<f64> = table.iter().map(|[large, middle]| large / middle).collect();
        let column: Vec<f64> = table.iter().map(|[large, _]| *large).collect();
        let miss = each(Duration::from_secs_f64(median(&column)), BATCH);
        run.note(format_args!("verify from the file: {miss:.0} ns"));
        run.note(format_args!("resident memory: {} MiB", resident() / 1_048_576));
        run.figure("verify_miss_10m", "x", &ratios);
        let mut swept = 0;
        let took = time(|| swept = one.maintain().unwrap().sessions);
        let each = took.as_secs_f64() * 1e6 / swept.max(1) as f64;
        run.note(format_args!("sweep of {swept} expired: {each:.1} µs each"));
    }
}

impl Bulk {
    fn new(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, Options::server().cache(None)).unwrap();
        let user = store.users().create(NewUser::person("ada").privilege("admin")).unwrap().id;
        store.close().unwrap();
        drop(store);
        let tokens = fill(&path, user, count);
        Self { path, tokens, _directory: directory }
    }

    fn open(&self) -> Store {
        Store::open(&self.path, Options::server().cache(None)).unwrap()
    }

    fn opening(&self) -> Duration {
        let mut store = None;
        let took = time(|| store = Some(self.open()));
        store.unwrap().close().unwrap();
        took
    }

    fn verified(&self, store: &Store, order: &mut Order) -> Duration {
        let drawn: Vec<&str> =
            (0..BATCH).map(|_| &*self.tokens[order.next(self.tokens.len())]).collect();
        let none: Option<&DeviceId> = None;
        time(|| {
            for token in drawn {
                store.verify((token, none)).unwrap().valid().unwrap();
            }
        })
    }
}

/// Writes so many sessions in the order of their ids; the tokens of some, evenly among them.
fn fill(path: &Path, user: UserId, count: usize) -> Vec<String> {
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
            let is_known = at % count.div_ceil(KNOWN) == 0 && at % EXPIRED != 1;
            let ends_at = if at % EXPIRED == 1 { now - 1 } else { now + 86_400_000 };
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
