//! The stored hash of a password, for a store that the users move to.

use zeroize::Zeroizing;

use crate::error::Result;
use crate::record::credential;
use crate::record::user::{self, Users};
use crate::value::id::UserId;
use crate::value::secret::Secret;

impl Users<'_> {
    /// Returns the stored hash of a user's password, unsealed, for an export to another store;
    /// `None` if the user has no password, or it is marked as
    /// [compromised](Users::mark_compromised): the mark would be lost, and the password valid
    /// again.
    ///
    /// It is a PHC string that [`Users::set_password_hash`] accepts. It is secret: with it, guesses
    /// can be tried elsewhere without a limit. The library records nothing about this call.
    ///
    /// ```
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let password = Password::from("correct horse battery");
    /// let ada = store.users().create(NewUser::person("ada").password(password))?.id;
    /// let hash = store.users().exposed_password_hash(ada)?.expect("a hash");
    /// assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does, and with:
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such user;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key that seals the
    ///   hash;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) if the stored text was changed.
    pub fn exposed_password_hash(&self, id: UserId) -> Result<Option<Secret>> {
        let stored = self.store.read(|tx| {
            user::existing(tx, id)?;
            Ok(credential::of(tx, id)?.filter(|stored| !stored.compromised))
        })?;
        let Some(stored) = stored else { return Ok(None) };
        let phc: Zeroizing<String> = credential::unsealed(self.store.options(), id, &stored.phc)?;
        Ok(Some(Secret::new(phc.to_string())))
    }
}
