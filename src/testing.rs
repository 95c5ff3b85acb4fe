//! Helpers for the library's own tests and benchmarks, which no host needs.
//!
//! Needs the feature `test-util`.

use crate::error::Result;
use crate::record::clock;
use crate::record::session::{self, NewSession};
use crate::storage::{Finished, ReadTx};
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::id::{SessionId, UserId};
use crate::value::limits::SESSION_LIFETIME_DEFAULT_MS;
use crate::value::name::DeviceId;
use crate::value::principal::Assurance;
use crate::value::secret::Secret;
use crate::value::token::{self, TokenKind};

/// The SQL statement of a verify of a session's token; `?1` is the session's id.
pub const VERIFY_SESSION_SQL: &str = crate::record::proof::VERIFY_SESSION_SQL;

/// The SQL statement of a verify of an API key; `?1` is the key's id.
pub const VERIFY_API_KEY_SQL: &str = crate::record::proof::VERIFY_API_KEY_SQL;

/// Makes the file believe what the clock of this store reads, as if it had been read 20 h later
/// too: the next sweep deletes what is over by it.
///
/// # Errors
/// As of any write.
pub fn believe_clock(store: &Store) -> Result<()> {
    store.transact(|tx| clock::believe(tx).map(Finished::Commit))
}

/// Returns what `job` returns, and the SQL statements that the calling thread ran meanwhile.
pub fn statements<T>(job: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
    ReadTx::noting(job)
}

/// The number of sessions that one transaction opens.
const PER_TRANSACTION: usize = 10_000;

/// A session that [`open_many`] has opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The id of the session.
    pub id: SessionId,
    /// The token of the session.
    pub token: Secret,
    /// The device on which the session was opened.
    pub device: DeviceId,
}

/// Opens `count` sessions of one user, each on its own device, without the limit of sessions and
/// without audit events: to fill a file for a measurement.
///
/// # Errors
/// As [every write](crate::manual::errors#every-write).
pub fn open_many(store: &Store, user: UserId, count: usize) -> Result<Vec<Opened>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let batch = PER_TRANSACTION.min(count - all.len());
        let opened = store.transact(|tx| {
            let mut opened = Vec::with_capacity(batch);
            for _ in 0..batch {
                let device = DeviceId::random()?;
                let id = SessionId::draw(tx.now(), tx.random())?;
                let (token, secret_hash) =
                    token::mint(TokenKind::Session, *id.as_bytes(), tx.random())?;
                let lifetime = std::time::Duration::from_millis(SESSION_LIFETIME_DEFAULT_MS);
                session::insert(
                    tx,
                    &NewSession {
                        id,
                        secret_hash,
                        device: Some(DeviceDigest::of(&device)),
                        user,
                        expires_at: tx.now() + lifetime,
                        idle_ms: None,
                        assurance: Assurance::Aal1,
                        label: None,
                        client_info: None,
                        actor: None,
                    },
                )?;
                opened.push(Opened { id, token, device });
            }
            Ok(Finished::Commit(opened))
        })?;
        all.extend(opened);
    }
    Ok(all)
}
