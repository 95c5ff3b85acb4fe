//! Accept an invitation: the first password of a pending user.

use super::Redemption;
use crate::error::Result;
use crate::flow::revoke::Cause;
use crate::record::one_time_token::OneTimeTokens;
use crate::record::{throttle, user};
use crate::value::event::{Event, EventKind};
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::InvalidToken;
use crate::value::secret::Password;

impl OneTimeTokens<'_> {
    /// Accepts an invitation: sets the password of a pending user, makes the user active, and
    /// returns the user after the change.
    ///
    /// Revokes all that the account had before: sessions, API keys and one-time tokens
    /// ([what revokes what](crate::manual::revocation)). The account counts as confirmed. Opens no
    /// session.
    ///
    /// A token that is not valid costs no hash. The password is checked against the policy and
    /// hashed before the write begins; one that is refused leaves the token as it is. A user who
    /// was made pending again may have a password: the new one must differ from it by the rule of
    /// [`reset_password`](Self::reset_password).
    ///
    /// ```
    /// use gatepost::directory::UserStatus;
    /// use gatepost::sessions::NewOneTimeToken;
    /// use gatepost::{DeviceId, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada").status(UserStatus::Pending))?.id;
    /// let issued = store.one_time_tokens().issue(ada, NewOneTimeToken::invitation())?;
    ///
    /// let password = || Password::from("lantern over wet slate");
    /// let token = issued.token.expose();
    /// let user = store.one_time_tokens().accept_invitation(token, password())?.valid()?;
    /// assert_eq!(user.status, UserStatus::Active);
    /// let login = LoginRequest::new("ada", password(), DeviceId::new("till-1")?);
    /// assert!(store.log_in(login)?.granted().is_ok());
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
    ///   file seals; the token stays valid;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    ///
    /// After [`Full`](crate::ErrorKind::Full) the user is still pending; what the invitation
    /// revokes is revoked, the token included, or this process refuses it.
    pub fn accept_invitation(&self, token: &str, password: Password) -> Result<Redemption> {
        let store = self.store;
        let Some(checked) = store.checked(token, OneTimePurpose::Invitation)? else {
            return Ok(Redemption::Invalid(InvalidToken));
        };
        let user = checked.user;
        let cause = Cause::InvitationAccepted;
        store.redeem_for(&checked, cause, &password, |tx, revocation| {
            throttle::clear(tx, user)?;
            user::confirm(tx, user, revocation.watermarks(tx)?)?;
            Ok(Event::new(EventKind::InvitationAccepted).user(user))
        })
    }
}
