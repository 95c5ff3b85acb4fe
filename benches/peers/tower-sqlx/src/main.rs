//! tower-sessions-sqlx-store, the session store of tower-sessions over sqlx, with SQLite.
//!
//! Its own calls throughout. While it is filled, commits are not flushed; loads are not touched by
//! that. The form `cached` puts tower-sessions' moka cache before it, as its documentation shows.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use peer_protocol::{Outcome, Peer, serve};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use time::{Duration, OffsetDateTime};
use tokio::runtime::Runtime;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::{CachingSessionStore, SessionStore};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_sqlx_store::SqliteStore;

struct Tower {
    runtime: Runtime,
    store: Box<dyn SessionStore>,
    pool: SqlitePool,
    ids: Vec<Id>,
}

impl Tower {
    async fn create(store: &dyn SessionStore) -> Outcome<Id> {
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

    fn open(directory: &Path, form: Option<&str>) -> Outcome<Result<Self, String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (store, pool) = runtime.block_on(async {
            let options = SqliteConnectOptions::new()
                .filename(directory.join("tower.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
            // One client: more connections would only be more to choose from.
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            let store = SqliteStore::new(pool.clone());
            store.migrate().await?;
            Outcome::Ok((store, pool))
        })?;
        let store: Box<dyn SessionStore> = match form {
            Some("cached") => Box::new(CachingSessionStore::new(MokaStore::new(None), store)),
            _ => Box::new(store),
        };
        Ok(Ok(Self { runtime, store, pool, ids: Vec::new() }))
    }

    fn fill(&mut self, count: usize) -> Outcome<()> {
        let Self { runtime, store, pool, ids } = self;
        runtime.block_on(async {
            sqlx::query("PRAGMA synchronous = OFF").execute(&*pool).await?;
            for _ in 0..count {
                ids.push(Self::create(store.as_ref()).await?);
            }
            sqlx::query("PRAGMA synchronous = FULL").execute(&*pool).await?;
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
        let id = self.runtime.block_on(Self::create(self.store.as_ref()))?;
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
