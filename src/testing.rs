//! What tests and benchmarks of the library need and no host does (feature `test-util`).

use crate::error::Result;
use crate::record::session::{self, NewSession};
use crate::storage::Settled;
use crate::store::Store;
use crate::value::digest::DeviceDigest;
use crate::value::facts::Assurance;
use crate::value::id::{SessionId, UserId};
use crate::value::limits::SESSION_LIFETIME_DEFAULT_MS;
use crate::value::name::DeviceId;
use crate::value::secret::Secret;
use crate::value::token::{self, TokenKind};

/// The one statement of a verify that presents a session's token; `?1` is the session's id.
pub const VERIFY_SESSION_SQL: &str = crate::record::proof::VERIFY_SESSION_SQL;

/// The one statement of a verify that presents an API key; `?1` is the key's id.
pub const VERIFY_API_KEY_SQL: &str = crate::record::proof::VERIFY_API_KEY_SQL;

/// Sessions opened in one transaction.
const PER_TRANSACTION: usize = 10_000;

/// A session of [`open_many`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// Its handle.
    pub id: SessionId,
    /// Its token.
    pub token: Secret,
    /// The device that it was opened on.
    pub device: DeviceId,
}

/// Opens many sessions of one user, each on a device of its own, without looking at the limit of
/// sessions and without an event: to fill a file for a measurement.
///
/// # Errors
/// As of any write.
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
                        expires_at: tx.now().plus(lifetime),
                        idle_ms: None,
                        assurance: Assurance::Aal1,
                        label: None,
                        origin: None,
                    },
                )?;
                opened.push(Opened { id, token, device });
            }
            Ok(Settled::Commit(opened))
        })?;
        all.extend(opened);
    }
    Ok(all)
}
