//! Set a new password with a one-time token.

use super::Redemption;
use crate::error::Result;
use crate::flow::revoke::Cause;
use crate::record::one_time_token::OneTimeTokens;
use crate::record::throttle;
use crate::value::event::{Event, EventKind, reasons};
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::InvalidToken;
use crate::value::secret::Password;

/// Whether a password reset revokes the user's API keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevokeApiKeys {
    /// The API keys stay.
    #[default]
    Keep,
    /// All API keys of the user are revoked.
    All,
}

impl OneTimeTokens<'_> {
    /// Sets a user's password with the token of a password reset, and returns the user after the
    /// change.
    ///
    /// Revokes all sessions and one-time tokens of the user, and its API keys if `keys` says so
    /// ([what revokes what](crate::manual::revocation); ASVS 6.4.3). Forgives its failed attempts,
    /// as [`unlock`](crate::directory::Users::unlock) does. Opens no session: the user logs in with
    /// the new password. A demand of a new password and a mark as compromised end with the old
    /// password: where one of them is in force, or the password has expired, the new one must be
    /// another ([`Unchanged`](crate::policy::PasswordRule::Unchanged)), and comparing them is a
    /// second hash.
    ///
    /// A token that is not valid costs no hash. The new password is checked against the policy and
    /// hashed before the write begins; one that is refused leaves the token as it is.
    ///
    /// ```
    /// use gatepost::sessions::{NewOneTimeToken, RevokeApiKeys};
    /// use gatepost::{ErrorKind, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let issued = store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset())?;
    /// let reset = |new: &str| {
    ///     let (token, new) = (issued.token.expose(), Password::from(new));
    ///     store.one_time_tokens().reset_password(token, new, RevokeApiKeys::Keep)
    /// };
    /// assert_eq!(reset("short").unwrap_err().kind(), ErrorKind::Invalid);
    /// assert_eq!(reset("lantern over wet slate")?.valid()?.id, ada);
    /// assert!(reset("nine brass bells")?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An invalid token is a value. Fails as [every write](crate::manual::errors#every-write) does,
    /// and, for a valid token alone, with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the password breaks a rule of the policy, which
    ///   [`Error::password_rule`](crate::Error::password_rule) names;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded) if too many passwords wait to be hashed;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals, or the one of a password that is marked as compromised; the token stays valid;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// After [`Full`](crate::ErrorKind::Full) the password is the old one; the sessions and the
    /// token are revoked, or this process refuses them.
    pub fn reset_password(
        &self,
        token: &str,
        password: Password,
        keys: RevokeApiKeys,
    ) -> Result<Redemption> {
        let store = self.store;
        let Some(checked) = store.checked(token, OneTimePurpose::PasswordReset)? else {
            return Ok(Redemption::Invalid(InvalidToken));
        };
        let user = checked.user;
        let cause = match keys {
            RevokeApiKeys::Keep => Cause::PasswordReset,
            RevokeApiKeys::All => Cause::PasswordResetWithKeys,
        };
        store.redeem_for(&checked, cause, &password, |tx, revocation| {
            throttle::clear(tx, user)?;
            revocation.apply(tx)?;
            let event = Event::new(EventKind::PasswordReset).user(user);
            Ok(match keys {
                RevokeApiKeys::Keep => event,
                RevokeApiKeys::All => event.reason(reasons::KEYS_REVOKED),
            })
        })
    }
}
