//! tower-sessions-rusqlite-store, the session store of tower-sessions over rusqlite.
//!
//! Its own calls throughout. While it is filled, commits are not flushed; loads are not touched by
//! that. There is no form with tower-sessions' moka cache: that one is made for an older
//! tower-sessions-core than this store.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use peer_protocol::{Outcome, Peer, serve};
use time::{Duration, OffsetDateTime};
use tokio::runtime::Runtime;
use tokio_rusqlite::Connection;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_rusqlite_store::RusqliteStore;

struct Tower {
    runtime: Runtime,
    store: RusqliteStore,
    connection: Connection,
    ids: Vec<Id>,
}

impl Tower {
    async fn create(store: &RusqliteStore) -> Outcome<Id> {
        let mut record = Record {
            id: Id::default(),
            data: HashMap::from([("user".to_owned(), "0189f0c4-5a3e-7c11-8d2f".into())]),
            expiry_date: OffsetDateTime::now_utc() + Duration::hours(24),
        };
        store.create(&mut record).await?;
        Ok(record.id)
    }
}

impl Peer for Tower {
    type Presented = Id;

    fn open(directory: &Path, _: Option<&str>) -> Outcome<Result<Self, String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (store, connection) = runtime.block_on(async {
            let connection = Connection::open(directory.join("tower.db")).await?;
            flush(&connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").await?;
            let store = RusqliteStore::new(connection.clone());
            store.migrate().await?;
            Outcome::Ok((store, connection))
        })?;
        Ok(Ok(Self { runtime, store, connection, ids: Vec::new() }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        let Self { runtime, store, connection, ids } = self;
        runtime.block_on(async {
            flush(connection, "PRAGMA synchronous = OFF").await?;
            for _ in 0..count {
                ids.push(Self::create(store).await?);
            }
            flush(connection, "PRAGMA synchronous = FULL").await?;
            Ok(())
        })
    }

    fn presented(&self, number: usize) -> Id {
        self.ids[number]
    }

    fn load(&mut self, presented: &[Id]) -> Outcome<usize> {
        let Self { runtime, store, .. } = self;
        runtime.block_on(async {
            let mut live = 0;
            for id in presented {
                live += usize::from(store.load(id).await?.is_some());
            }
            Ok(live)
        })
    }

    fn open_one(&mut self) -> Outcome<String> {
        let id = self.runtime.block_on(Self::create(&self.store))?;
        Ok(id.to_string())
    }

    fn is_live(&mut self, token: &str) -> Outcome<bool> {
        let id = Id::from_str(token)?;
        Ok(self.runtime.block_on(self.store.load(&id))?.is_some())
    }

    fn end(&mut self, token: &str) -> Outcome<()> {
        let id = Id::from_str(token)?;
        Ok(self.runtime.block_on(self.store.delete(&id))?)
    }
}

fn main() -> Outcome<()> {
    serve::<Tower>()
}

async fn flush(connection: &Connection, pragma: &'static str) -> Outcome<()> {
    Ok(connection.call(move |connection| connection.execute_batch(pragma)).await?)
}
