//! Remove a second factor, or reissue its recovery codes, by password and code.

use super::{Change, FactorOutcome, Proof};
use crate::error::Result;
use crate::record::second_factor::{self, RecoveryCodes, SecondFactors};
use crate::record::session;
use crate::value::event::{Event, EventKind};
use crate::value::factor_code::FactorCode;
use crate::value::presented::Presented;
use crate::value::secret::Password;

impl SecondFactors<'_> {
    /// Removes the second factor of the user whose session is presented, with its recovery codes.
    /// Takes the password and a code: of the authenticator, or a recovery code.
    ///
    /// Revokes all other sessions and the one-time tokens of the user
    /// ([what revokes what](crate::manual::revocation)). The session presented has the level
    /// [`Aal1`](crate::sessions::Assurance::Aal1) afterwards, so that the password alone proves it
    /// again; one of AAL3, which the host has authenticated, keeps its level.
    ///
    /// A wrong password or code is refused as
    /// [`InvalidCredentials`](crate::LoginRefusal::InvalidCredentials) and counts as one failed
    /// attempt at the gate of the user, which waits as it does for logins. A right code of the
    /// authenticator is used up although the password is wrong.
    ///
    /// Hashes once (about 15 ms with the default cost) and writes the file twice. In an async
    /// program, call it from a blocking thread.
    ///
    /// ```
    /// use gatepost::second_factors::FactorCode;
    /// use gatepost::{DeviceId, LoginRefusal, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let device = DeviceId::random()?;
    /// let (password, code) = (Password::from("till and tally"), FactorCode::from("123456"));
    /// let outcome = store.second_factors().remove(("gps_forged", &device), password, code)?;
    /// assert_eq!(outcome.done().unwrap_err(), LoginRefusal::SessionNotLive);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A refusal is a value. Fails as [every write](crate::manual::errors#every-write) does, and
    /// with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the user has no second factor;
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the password is longer than 4,096 bytes or the
    ///   code longer than 64;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals: nothing is charged;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// After [`Full`](crate::ErrorKind::Full) the factor is in force; the other sessions are
    /// revoked, or this process refuses them from memory.
    pub fn remove<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        password: Password,
        code: FactorCode,
    ) -> Result<FactorOutcome<()>> {
        let proof = Proof { presented: presented.into(), password, code };
        self.store.change_with_proof(proof, Change::Remove, |tx, held| {
            second_factor::remove(tx, held.principal.user)?;
            session::lower(tx, held.session)?;
            Ok(((), Event::new(EventKind::SecondFactorRemoved)))
        })
    }

    /// Issues a new set of recovery codes to the user whose session is presented; the codes of the
    /// earlier set end. Takes, revokes and counts what [`remove`](Self::remove) does.
    ///
    /// ```
    /// use gatepost::second_factors::FactorCode;
    /// use gatepost::{DeviceId, LoginRefusal, Options, Password, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// let store = Store::open(path, Options::server())?;
    /// let device = DeviceId::random()?;
    /// let (password, code) = (Password::from("till and tally"), FactorCode::from("123456"));
    /// let factors = store.second_factors();
    /// let outcome = factors.reissue_recovery_codes(("gps_forged", &device), password, code)?;
    /// assert_eq!(outcome.done().unwrap_err(), LoginRefusal::SessionNotLive);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`remove`](Self::remove). After `Full` the earlier codes are valid.
    #[doc(alias("backup codes"))]
    pub fn reissue_recovery_codes<'p>(
        &self,
        presented: impl Into<Presented<'p>>,
        password: Password,
        code: FactorCode,
    ) -> Result<FactorOutcome<RecoveryCodes>> {
        let proof = Proof { presented: presented.into(), password, code };
        self.store.change_with_proof(proof, Change::Reissue, |tx, held| {
            let codes = second_factor::issue_recovery_codes(tx, held.principal.user)?;
            Ok((codes, Event::new(EventKind::RecoveryCodesReissued)))
        })
    }
}
