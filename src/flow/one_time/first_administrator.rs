//! Create the first administrator of a store, with a one-time token of no user.

use super::{Redemption, not_used};
use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::one_time_token::{self, IssuedOneTimeToken, OneTimeTokens};
use crate::record::user::NewUser;
use crate::value::event::{Event, EventKind};
use crate::value::limits::FIRST_ADMINISTRATOR_LIFETIME;
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::InvalidToken;
use crate::value::secret::Password;

const PURPOSE: OneTimePurpose = OneTimePurpose::FirstAdministrator;

impl OneTimeTokens<'_> {
    /// Issues the token with which the first administrator of the store is created, valid for 24
    /// hours. An earlier one ends.
    ///
    /// A store has no default account (ASVS 6.3.2): the program that creates the file shows this
    /// token to its operator.
    ///
    /// ```
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let tokens = store.one_time_tokens();
    /// assert!(tokens.issue_first_administrator()?.token.expose().starts_with("gpo_"));
    /// store.users().create(NewUser::person("root").privilege("admin"))?;
    /// let error = tokens.issue_first_administrator().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Taken);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Taken`](crate::ErrorKind::Taken) if a user has the privilege `admin`, a deleted one
    ///   included;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    pub fn issue_first_administrator(&self) -> Result<IssuedOneTimeToken> {
        self.store.write(|tx| {
            if one_time_token::has_administrator(tx)? {
                return Err(Error::taken("the store has an administrator"));
            }
            let lifetime = FIRST_ADMINISTRATOR_LIFETIME;
            let issued = one_time_token::replace(tx, None, PURPOSE, None, lifetime)?;
            let event = Event::new(EventKind::OneTimeTokenIssued).detail(PURPOSE.as_str());
            Ok(Written::With(issued, event))
        })
    }

    /// Creates the first administrator: an active person with this username and password, and the
    /// privilege `admin`. Opens no session: the administrator logs in.
    ///
    /// The token is not valid once any user has the privilege, however the user got it. In any race
    /// of threads and processes one call succeeds, once.
    ///
    /// A token that is not valid costs no hash. Username and password are checked, and the password
    /// is hashed, before the write begins; what is refused leaves the token as it is.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let tokens = store.one_time_tokens();
    /// let issued = tokens.issue_first_administrator()?;
    /// let create = |name: &str| {
    ///     let password = "lantern over wet slate".into();
    ///     tokens.create_first_administrator(issued.token.expose(), name, password)
    /// };
    /// assert_eq!(create("root")?.valid()?.privileges, ["admin"]);
    /// assert!(create("mallory")?.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An invalid token is a value. Fails as [every write](crate::manual::errors#every-write) does,
    /// and, for a valid token alone, with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the username breaks its bounds
    ///   ([`NewUser::person`](crate::NewUser::person)), or the password a rule of the policy, which
    ///   [`Error::password_rule`](crate::Error::password_rule) names;
    /// - [`Taken`](crate::ErrorKind::Taken) if another user has the username;
    /// - [`Overloaded`](crate::ErrorKind::Overloaded) if too many passwords wait to be hashed;
    /// - [`KeyMissing`](crate::ErrorKind::KeyMissing) if this process lacks the key under which the
    ///   file seals; the token stays valid;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("setup", "bootstrap", "default account", "initial administrator"))]
    pub fn create_first_administrator(
        &self,
        token: &str,
        username: impl Into<String>,
        password: Password,
    ) -> Result<Redemption> {
        let store = self.store;
        let Some((token, _)) = store.checked_of(token, PURPOSE)? else {
            return Ok(Redemption::Invalid(InvalidToken));
        };
        let checked = NewUser::administrator(username.into(), password).checked(store)?;
        store.write(|tx| {
            if !one_time_token::use_up(tx, &token, PURPOSE, None)? {
                let event = not_used(tx, &token, PURPOSE, None)?;
                return Ok(Written::With(Redemption::Invalid(InvalidToken), event));
            }
            let user = checked.insert(tx, store)?;
            let event = Event::new(EventKind::FirstAdministratorCreated).user(user.id);
            Ok(Written::With(Redemption::Valid(Box::new(user)), event))
        })
    }
}
