//! The least that a session in SQLite can cost: one prepared SELECT by the key, on one connection
//! that is kept open. No hash of the token, no device, no user to look at, no limits.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use peer_protocol::{Outcome, Peer, serve};
use rusqlite::{Connection, OptionalExtension, params};

const SELECT: &str = "SELECT user FROM session WHERE id = ?1 AND expires_at > ?2";

struct Raw {
    connection: Connection,
    ids: Vec<[u8; 16]>,
    drawn: u128,
}

impl Raw {
    fn create(&mut self) -> Outcome<[u8; 16]> {
        // An odd factor: different for each, and in no order.
        self.drawn = self.drawn.wrapping_add(1);
        let start = u128::from(std::process::id()) << 64;
        let factor = 0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9;
        let id = (start + self.drawn).wrapping_mul(factor).to_be_bytes();
        self.connection
            .prepare_cached("INSERT INTO session (id, user, expires_at) VALUES (?1, ?2, ?3)")?
            .execute(params![id, [7_u8; 16], now() + 86_400])?;
        Ok(id)
    }
}

impl Peer for Raw {
    type Presented = [u8; 16];

    fn open(directory: &Path, _: Option<&str>) -> Outcome<Result<Self, String>> {
        let connection = Connection::open(directory.join("raw.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS session (
                 id BLOB PRIMARY KEY, user BLOB NOT NULL, expires_at INTEGER NOT NULL
             ) STRICT, WITHOUT ROWID",
        )?;
        Ok(Ok(Self { connection, ids: Vec::new(), drawn: 0 }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        self.connection.execute_batch("BEGIN")?;
        self.ids = (0..count).map(|_| self.create()).collect::<Outcome<_>>()?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn presented(&self, number: usize) -> [u8; 16] {
        self.ids[number]
    }

    fn load(&mut self, presented: &[[u8; 16]]) -> Outcome<usize> {
        let mut select = self.connection.prepare_cached(SELECT)?;
        let mut live = 0;
        for id in presented {
            let user: Option<[u8; 16]> =
                select.query_row(params![id, now()], |row| row.get(0)).optional()?;
            live += usize::from(user.is_some());
        }
        Ok(live)
    }

    fn open_one(&mut self) -> Outcome<String> {
        let id = self.create()?;
        Ok(format!("{:032x}", u128::from_be_bytes(id)))
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        let id = u128::from_str_radix(token, 16)?.to_be_bytes();
        let mut select = self.connection.prepare_cached(SELECT)?;
        Ok(select.exists(params![id, now()])?)
    }

    fn end(&mut self, token: &str) -> Outcome<()> {
        let id = u128::from_str_radix(token, 16)?.to_be_bytes();
        self.connection.execute("DELETE FROM session WHERE id = ?1", params![id])?;
        Ok(())
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

fn main() -> Outcome<()> {
    serve::<Raw>()
}
