//! Stores with sessions in them.

use std::path::PathBuf;

use gatepost::testing::{Opened, VERIFY_SESSION_SQL, open_many};
use gatepost::{DeviceId, NewUser, Options, Store};
use rusqlite::Connection;

use crate::harness::Order;

/// A store with its sessions, in a directory of its own.
pub struct Filled {
    pub store: Store,
    pub sessions: Vec<Opened>,
    pub path: PathBuf,
    _directory: tempfile::TempDir,
}

/// A token and its device as a request brings them: as text.
pub type Presented = (String, DeviceId);

impl Filled {
    /// A file with that many live sessions of one administrator, each on a device of its own.
    pub fn new(options: Options, count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, options).unwrap();
        let user = store.users().create(NewUser::person("ada").privilege("admin")).unwrap().id;
        let sessions = open_many(&store, user, count).unwrap();
        Self { store, sessions, path, _directory: directory }
    }

    /// The same with room to cache every session.
    pub fn with(options: Options, count: usize) -> Self {
        Self::new(options.cache(count + count / 8), count)
    }

    /// The same with every session verified once, so that a cache of that size has them all.
    pub fn remembered(count: usize) -> Self {
        let filled = Self::with(Options::server(), count);
        filled.verify_all();
        filled
    }

    pub fn verify_all(&self) {
        for one in &self.sessions {
            self.store.verify((&one.token, &one.device)).unwrap().valid().unwrap();
        }
    }

    /// The tokens that so many clients present, drawn at random.
    pub fn drawn(&self, order: &mut Order, count: usize) -> Vec<Presented> {
        (0..count)
            .map(|_| {
                let one = &self.sessions[order.next(self.sessions.len())];
                (one.token.expose().to_owned(), one.device.clone())
            })
            .collect()
    }

    /// The ids of sessions, drawn likewise.
    pub fn ids(&self, order: &mut Order, count: usize) -> Vec<[u8; 16]> {
        let id = |at: usize| *self.sessions[at].id.as_uuid().as_bytes();
        (0..count).map(|_| id(order.next(self.sessions.len()))).collect()
    }

    /// A plain connection to the file, set up as those of the store.
    pub fn raw(&self) -> Connection {
        let raw = Connection::open(&self.path).unwrap();
        raw.pragma_update(None, "mmap_size", 0).unwrap();
        raw
    }
}

/// The raw SELECT: the statement of a verify, every column read.
pub fn raw_select(statement: &mut rusqlite::Statement<'_>, id: &[u8; 16]) -> i64 {
    statement
        .query_row([id], |row| {
            let secret: [u8; 32] = row.get(0)?;
            let device: Option<[u8; 16]> = row.get(1)?;
            let user: [u8; 16] = row.get(2)?;
            let branch: Option<[u8; 16]> = row.get(3)?;
            let organisation: Option<[u8; 16]> = row.get(4)?;
            std::hint::black_box((secret, device, user, branch, organisation));
            let kind = row.get_ref(5)?.as_str()?.len();
            let privileges = row.get_ref(6)?.as_str_or_null()?.map(str::len);
            let current: bool = row.get(7)?;
            let standing: Option<bool> = row.get(8)?;
            std::hint::black_box((kind, privileges, current, standing));
            let opened: i64 = row.get(9)?;
            let authenticated: i64 = row.get(10)?;
            let expires: Option<i64> = row.get(11)?;
            let level: i64 = row.get(12)?;
            let seen: i64 = row.get(13)?;
            let lifetime: i64 = row.get(14)?;
            let session: [u8; 16] = row.get(15)?;
            let idle: Option<i64> = row.get(16)?;
            let session_seen: i64 = row.get(17)?;
            let is_impersonated: bool = row.get(18)?;
            let reader: i64 = row.get(19)?;
            let from: i64 = row.get(20)?;
            std::hint::black_box((expires, level, idle, seen, lifetime));
            std::hint::black_box((session, session_seen, is_impersonated, reader, from));
            Ok(std::hint::black_box((opened, authenticated)).0)
        })
        .unwrap()
}

/// What the raw SELECT is, and how SQLite runs it.
pub fn explain(raw: &Connection) {
    println!("{VERIFY_SESSION_SQL}\n");
    let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {VERIFY_SESSION_SQL}")).unwrap();
    let lines = plan.query_map([[0_u8; 16]], |row| row.get::<_, String>(3)).unwrap();
    for line in lines {
        println!("    {}", line.unwrap());
    }
}
