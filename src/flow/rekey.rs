//! Seal the stored password hashes and the secrets of second factors under the keyring's current
//! key.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::pending::rekeying::Place;
use crate::record::audit::{self, Written};
use crate::record::{credential, second_factor, store};
use crate::spans;
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::keyring::KeyId;
use crate::value::limits::REKEY_PER_CALL_MAX_HASHES;

/// What one call of [`Store::rekey`](crate::Store::rekey) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RekeyReport {
    /// How many hashes the call sealed.
    pub hashes: usize,
    /// How many secrets of second factors the call sealed.
    pub totp_secrets: usize,
    /// How many hashes and secrets the call found that do not open although the keyring has their
    /// key: they were changed or copied from another row. Their users need new passwords or second
    /// factors. The calls of one process until a rotation is complete find each of them once.
    pub damaged: usize,
    /// Whether nothing is left that this process can seal; otherwise call again.
    pub is_complete: bool,
}

/// How many password hashes and secrets of second factors are sealed under one key; from
/// [`Store::key_use`](crate::Store::key_use).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyUse {
    /// The id of the key; `None` for those that are not sealed.
    pub key: Option<KeyId>,
    /// How many hashes, those of deleted users included.
    pub hashes: u64,
    /// How many secrets of second factors, those of deleted users included.
    pub totp_secrets: u64,
    /// Whether this process can compare a password or a code with them.
    pub is_available: bool,
}

impl Store {
    /// Reads up to `most` password hashes and secrets of second factors (1 to 1,000 together),
    /// seals them under the current key of the keyring, and lets every process seal under it from
    /// now on. Needs no password.
    ///
    /// Seals what is not sealed yet, and what is sealed under another key of the keyring. Call it
    /// until [`RekeyReport::is_complete`]; a process that is killed in between leaves each hash
    /// and secret under the one key or the other, and the next call goes on. A damaged one counts
    /// towards `most` and stays as it is; the process remembers where it was and goes on after it.
    /// Logins go on meanwhile, and no session is revoked. Every process that has the file open must
    /// have the new
    /// key first, and the old one until [`Store::key_use`] shows nothing under it. The page
    /// [`keys`](crate::manual::keys) has the steps.
    ///
    /// One write; 1,000 hashes take about 30 ms, in which other writers wait.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gatepost::host::{KeyId, Keys, SealingKey};
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(&path, Options::server())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// store.close()?;
    ///
    /// let keys = Keys::new(KeyId::new("2026-11")?, SealingKey::random()?);
    /// let store = Store::open(&path, Options::server().keyring(Arc::new(keys)))?;
    /// let report = store.rekey(1_000)?;
    /// assert_eq!((report.hashes, report.is_complete), (1, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with one of these, after
    /// which nothing has changed:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if `most` is not 1 to 1,000;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process has no keyring, or one that
    ///   lacks its own current key;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("rotate", "pepper"))]
    pub fn rekey(&self, most: usize) -> Result<RekeyReport> {
        spans::span!("rekey");
        if !(1..=REKEY_PER_CALL_MAX_HASHES).contains(&most) {
            return Err(Error::invalid(format!(
                "rekey: most ({most}) is not 1 to {REKEY_PER_CALL_MAX_HASHES}"
            )));
        }
        let keyring = self.options().keyring.as_ref().map(Arc::clone).ok_or_else(|| {
            Error::new(ErrorKind::KeyMissing, "this process has no keyring (Options::keyring)")
        })?;
        let id = keyring.current();
        let key = credential::key_of(self.options(), &id)?;
        let rekeying = &self.core().pending.rekeying;
        let (report, place) = self.write(|tx| {
            let is_new = store::sealing_key(tx)?.as_ref() != Some(&id);
            if is_new {
                store::set_sealing_key(tx, &id)?;
            }
            let mut place = if is_new { Place::default() } else { rekeying.place() };
            let (options, current) = (self.options(), (&id, &key));
            let hashes = credential::reseal_some(tx, options, current, most, &mut place.hashes)?;
            let most = hashes.left;
            let secrets =
                second_factor::reseal_some(tx, options, current, most, &mut place.totp_secrets)?;
            let report = RekeyReport {
                hashes: hashes.sealed,
                totp_secrets: secrets.sealed,
                damaged: hashes.damaged + secrets.damaged,
                is_complete: hashes.is_complete && secrets.is_complete,
            };
            let sealed = hashes.sealed + secrets.sealed;
            let changed = credential::key_changed(&id);
            if sealed == 0 {
                return Ok(if is_new {
                    Written::With((report, place), changed)
                } else {
                    Written::Nothing((report, place))
                });
            }
            if is_new {
                audit::append(tx, &changed)?;
            }
            let event = Event::new(EventKind::StoreRekeyed)
                .count(i64::try_from(sealed).ok())
                .detail(id.as_str());
            Ok(Written::With((report, place), event))
        })?;
        rekeying.go_on_from(if report.is_complete { Place::default() } else { place });
        Ok(report)
    }

    /// How many password hashes and secrets of second factors are sealed under each key, and how
    /// many are not sealed. A key that is not in this list is no longer needed for this file; a
    /// backup may still need it.
    ///
    /// Reads the file: one index of all hashes and one of all secrets.
    ///
    /// ```
    /// use gatepost::{NewUser, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// store.users().create(NewUser::person("ada").password(Password::from("till and tally")))?;
    /// let uses = store.key_use()?;
    /// assert_eq!((uses[0].key.as_ref(), uses[0].hashes), (None, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the file names a key by what is no key id;
    /// - as [every read](crate::manual::errors#every-read).
    pub fn key_use(&self) -> Result<Vec<KeyUse>> {
        let (hashes, secrets) =
            self.read(|tx| Ok((credential::uses(tx)?, second_factor::uses(tx)?)))?;
        let mut uses: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (id, count) in hashes {
            uses.entry(id).or_default().0 = count;
        }
        for (id, count) in secrets {
            uses.entry(id).or_default().1 = count;
        }
        let of = |(id, (hashes, totp_secrets)): (String, (u64, u64))| {
            if id.is_empty() {
                return Ok(KeyUse { key: None, hashes, totp_secrets, is_available: true });
            }
            let no_id = |_| Error::corrupt("a stored secret names its key by what is no key id");
            let id = KeyId::new(id).map_err(no_id)?;
            let is_available = credential::key_of(self.options(), &id).is_ok();
            Ok(KeyUse { key: Some(id), hashes, totp_secrets, is_available })
        };
        uses.into_iter().map(of).collect()
    }
}
