//! How the secret of an authenticator is stored: sealed under a key of the host's keyring.
//!
//! The seal is bound to table, column, user, algorithm, digits and key id: a secret that was copied
//! from another row, or changed, does not open.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::record::credential;
use crate::storage::WriteTx;
use crate::value::id::UserId;
use crate::value::keyring::{KeyId, SealingKey};
use crate::value::totp::{TotpAlgorithm, TotpSecret, TotpShape};

/// A secret of 20 bytes, with the nonce and the tag of its seal.
const STAND_IN_BYTES: usize = 60;

/// The table of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Factor,
    Enrolment,
}

impl Place {
    const fn column(self) -> &'static [u8] {
        match self {
            Self::Factor => b"gatepost.totp.secret.v1\0",
            Self::Enrolment => b"gatepost.totp_enrolment.secret.v1\0",
        }
    }
}

/// A secret as the file stores it.
pub(crate) struct SealedSecret {
    /// Wiped when dropped, because without a keyring it is the secret itself.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The id of the key; empty: it is not sealed.
    pub(super) key_id: String,
    pub(crate) shape: TotpShape,
}

impl SealedSecret {
    /// Seals a secret under the key of the file.
    ///
    /// # Errors
    /// `KeyMissing` if this process lacks that key, or there is none and the options do not permit
    /// it unsealed; `NoRandom`.
    pub(super) fn seal(
        tx: &WriteTx<'_>,
        options: &Options,
        place: Place,
        user: UserId,
        shape: TotpShape,
        secret: &TotpSecret,
    ) -> Result<Self> {
        if let Some((id, key)) = credential::sealing_key(tx, options)? {
            return Self::seal_under(tx, place, user, shape, secret, (&id, &key));
        }
        if !options.unsealed_totp {
            return Err(Error::new(
                ErrorKind::KeyMissing,
                "the secret of a second factor is stored only under a key, and this process has \
                 no keyring (Options::keyring)",
            ));
        }
        let bytes = Zeroizing::new(secret.expose().to_vec());
        Ok(Self { bytes, key_id: String::new(), shape })
    }

    /// Seals a secret under that key.
    pub(super) fn seal_under(
        tx: &WriteTx<'_>,
        place: Place,
        user: UserId,
        shape: TotpShape,
        secret: &TotpSecret,
        (id, key): (&KeyId, &SealingKey),
    ) -> Result<Self> {
        let key_id = id.as_str().to_owned();
        let sealed = key.seal(secret.expose(), &data(place, user, shape, &key_id), tx.random())?;
        Ok(Self { bytes: Zeroizing::new(sealed), key_id, shape })
    }

    /// What is opened in vain where there is no secret, in the same time.
    pub(super) fn stand_in(options: &Options) -> Self {
        let keyring = options.keyring.as_deref();
        let key_id = keyring.map(|keyring| keyring.current().as_str().to_owned());
        Self {
            bytes: Zeroizing::new(vec![0; STAND_IN_BYTES]),
            key_id: key_id.unwrap_or_default(),
            shape: TotpShape { algorithm: TotpAlgorithm::Sha1, digits: 6 },
        }
    }

    /// The secret; `None` if the keyring of this process lacks its key.
    ///
    /// # Errors
    /// `Corrupt` if it was changed, or sealed for another row.
    pub(super) fn open(
        &self,
        options: &Options,
        place: Place,
        user: UserId,
    ) -> Result<Option<TotpSecret>> {
        let damaged = || {
            Error::corrupt("the secret of a second factor does not open: it was changed or copied")
                .advising(
                    "Reset the second factor of the user, and find out which program or person \
                     changed the file; restore a verified backup if others are affected.",
                )
        };
        let bytes = if self.key_id.is_empty() {
            self.bytes.clone()
        } else {
            let id = KeyId::new(self.key_id.as_str()).map_err(|_| damaged())?;
            let Ok(key) = credential::key_of(options, &id) else { return Ok(None) };
            let data = data(place, user, self.shape, &self.key_id);
            key.open(&self.bytes, &data).ok_or_else(damaged)?
        };
        TotpSecret::of_stored(bytes).map(Some).ok_or_else(damaged)
    }

    /// The secret of an enrolment; `None` if this process lacks its key.
    pub(crate) fn open_enrolment(
        &self,
        options: &Options,
        user: UserId,
    ) -> Result<Option<TotpSecret>> {
        self.open(options, Place::Enrolment, user)
    }
}

/// The associated data. Its parts have no zero byte, except the id of fixed length.
fn data(place: Place, user: UserId, shape: TotpShape, key_id: &str) -> Vec<u8> {
    let parts: [&[u8]; 7] = [
        place.column(),
        user.as_bytes(),
        b"\0",
        shape.algorithm.as_str().as_bytes(),
        &[0, shape.digits, 0],
        key_id.as_bytes(),
        b"\0",
    ];
    parts.concat()
}
