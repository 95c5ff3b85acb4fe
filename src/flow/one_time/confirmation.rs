//! Confirm an e-mail address with a one-time token.

use super::Redemption;
use crate::error::Result;
use crate::flow::identity;
use crate::record::one_time_token::OneTimeTokens;
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::InvalidToken;

impl OneTimeTokens<'_> {
    /// Confirms the e-mail address for which the token was issued, and returns the user after the
    /// change. Does and revokes what [`Users::confirm`](crate::directory::Users::confirm) does: a
    /// pending user becomes active.
    ///
    /// The token carries the address. If the user has another one by now, it is not confirmed and
    /// the token is not valid.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::directory::UserStatus;
    /// use gatepost::sessions::NewOneTimeToken;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = NewUser::person("ada").email("ada@example.com").status(UserStatus::Pending);
    /// let ada = store.users().create(ada)?.id;
    /// let issued = store.one_time_tokens().issue(ada, NewOneTimeToken::email_confirmation())?;
    /// let user = store.one_time_tokens().confirm_email(issued.token.expose())?.valid()?;
    /// assert_eq!(user.status, UserStatus::Active);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An invalid token is a value. Fails as [every write](crate::manual::errors#every-write) does.
    ///
    /// After [`Full`](crate::ErrorKind::Full) nothing is confirmed; what the confirmation revokes
    /// is revoked, the token included, or this process refuses it.
    pub fn confirm_email(&self, token: &str) -> Result<Redemption> {
        let store = self.store;
        let Some(checked) = store.checked(token, OneTimePurpose::EmailConfirmation)? else {
            return Ok(Redemption::Invalid(InvalidToken));
        };
        let user = checked.user;
        let cause = store.read(|tx| identity::confirmation(tx, user))?;
        store.redeem(&checked, cause, |tx, revocation| {
            let event = identity::confirm(tx, user, revocation)?;
            Ok(event.detail(checked.purpose.as_str()))
        })
    }
}
