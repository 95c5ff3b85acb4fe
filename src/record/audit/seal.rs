//! Sealed anchors: an anchor that only a holder of the key can have made.
//!
//! The chains are not keyed, because every tool must be able to log out without the key. An anchor
//! kept elsewhere finds a log that was rewritten; sealed, it may be kept where others can write.

use data_encoding::BASE64_NOPAD;

use super::{Audit, AuditAnchor};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::ReadTx;
use crate::value::keyring::{KeyId, SealingKey};

const SEALED: &str = "sealed1$";

impl Audit<'_> {
    /// Returns the present ends of the chains, sealed with the current key of
    /// [`Options::keyring`](crate::Options::keyring) for this store: XChaCha20-Poly1305, one line
    /// of text. Without the key no program can make another anchor that opens.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gatepost::host::{KeyId, Keys, SealingKey};
    /// use gatepost::{Options, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let keys = Keys::new(KeyId::new("2026-11")?, SealingKey::new([7; 32]));
    /// let store = Store::open(path, Options::server().keyring(Arc::new(keys)))?;
    /// let kept: String = store.audit().sealed_anchor()?;
    ///
    /// let anchor = store.audit().open_anchor(&kept)?;
    /// assert!(store.audit().verify_chain(Some(&anchor))?.is_intact());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process has no keyring;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn sealed_anchor(&self) -> Result<String> {
        let keyring = self.store.options().keyring.as_deref().ok_or_else(key_missing)?;
        let id = keyring.current();
        let key = self.key(&id)?;
        let anchor = self.anchor()?.to_string();
        let place = self.store.read(|tx| place(tx, &id))?;
        let random = self.store.core().storage.random();
        let sealed = key.seal(anchor.as_bytes(), &place, random)?;
        Ok([SEALED, id.as_str(), "$", &BASE64_NOPAD.encode(&sealed)].concat())
    }

    /// Opens what [`Audit::sealed_anchor`] returned for this store.
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text was changed, was sealed for another
    ///   store, or is not sealed;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key.
    pub fn open_anchor(&self, sealed: &str) -> Result<AuditAnchor> {
        let invalid =
            || Error::invalid("the text is not what audit().sealed_anchor returned here");
        let (id, text) = sealed
            .strip_prefix(SEALED)
            .and_then(|rest| rest.split_once('$'))
            .ok_or_else(invalid)?;
        let id = KeyId::new(id).map_err(|_| invalid())?;
        let bytes = BASE64_NOPAD.decode(text.as_bytes()).map_err(|_| invalid())?;
        let key = self.key(&id)?;
        let place = self.store.read(|tx| place(tx, &id))?;
        let anchor = key.open(&bytes, &place).ok_or_else(invalid)?;
        std::str::from_utf8(&anchor).map_err(|_| invalid())?.parse()
    }

    fn key(&self, id: &KeyId) -> Result<SealingKey> {
        let keyring = self.store.options().keyring.as_deref();
        keyring.and_then(|keyring| keyring.key(id)).ok_or_else(key_missing)
    }
}

fn key_missing() -> Error {
    Error::new(
        ErrorKind::KeyMissing,
        "the keyring of this process (Options::keyring) lacks the key of sealed anchors",
    )
}

/// The associated data: an anchor of one store opens for no other.
fn place(tx: &ReadTx<'_>, key: &KeyId) -> Result<Vec<u8>> {
    let store: Vec<u8> =
        tx.exactly_one("SELECT store_id FROM store WHERE id = 1", [], |row| row.get(0))?;
    Ok([b"gatepost.audit.anchor.v1\0", store.as_slice(), b"\0", key.as_str().as_bytes()].concat())
}
