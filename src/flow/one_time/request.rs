//! The request of a password reset by a person who has proved nothing.

use std::fmt;

use crate::error::{Error, Result};
use crate::record::audit::Written;
use crate::record::one_time_token::{self, OneTimeTokens};
use crate::record::user::{self, User};
use crate::storage::ReadTx;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::limits::{EMAIL_MAX_BYTES, RESET_LIFETIME_DEFAULT};
use crate::value::name::typed::TypedName;
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::{UserKind, UserStatus};
use crate::value::secret::Secret;
use crate::value::time::Timestamp;

/// The result of [`OneTimeTokens::request_password_reset`]. It looks the same whether or not there
/// is such a user: `Debug` prints the name of the type alone, and it cannot be compared or
/// serialised. Only [`mail`](Self::mail) says more, to the part of the host that sends mail.
#[must_use = "it may contain a mail to send"]
pub struct ResetRequest(Option<ResetMail>);

impl ResetRequest {
    /// Returns the mail to send; `None` if there is none to send.
    ///
    /// **Never let the reply to the client depend on it**, nor on whether the mail could be sent:
    /// answer first, and send it from a queue.
    ///
    /// ```
    /// use gatepost::NewUser;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada").email("ada@example.com"))?;
    /// let request = |typed| store.one_time_tokens().request_password_reset(typed);
    /// let mail = request("ada")?.mail().expect("a mail");
    /// assert_eq!(mail.to, "ada@example.com");
    /// assert!(request("unknown")?.mail().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mail(self) -> Option<ResetMail> {
        self.0
    }
}

impl fmt::Debug for ResetRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetRequest")
    }
}

/// What the host mails to the user who requested a password reset.
#[derive(Debug)]
#[non_exhaustive]
pub struct ResetMail {
    /// The address as it is stored: the only one to mail to. What was typed may be another one for
    /// a mail server.
    pub to: String,
    /// The user.
    pub user: UserId,
    /// The token, for the link in the mail.
    pub token: Secret,
    /// The first moment at which the token is expired.
    pub expires_at: Timestamp,
}

impl OneTimeTokens<'_> {
    /// Requests a password reset for the user of a username or e-mail address, as a person typed
    /// it. Locks nothing and changes no password.
    ///
    /// A token is issued, valid for 1 hour, to an active person who has an e-mail address; an
    /// earlier token ends. Any other text is accepted in the same way: it does the same work, and
    /// the same [`ResetRequest`] is returned. An e-mail address of two users finds neither.
    ///
    /// Each call is one write, without a hash. The store does not limit them: limit requests by the
    /// client's address, as each one ends the link of the mail before.
    ///
    /// ```
    /// use gatepost::sessions::RevokeApiKeys;
    /// use gatepost::{NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// store.users().create(NewUser::person("ada").email("ada@example.com"))?;
    /// let tokens = store.one_time_tokens();
    /// let request = tokens.request_password_reset("ADA@example.com")?;
    /// assert_eq!(format!("{request:?}"), "ResetRequest");
    ///
    /// let mail = request.mail().expect("a mail");
    /// let password = Password::from("lantern over wet slate");
    /// let user = tokens.reset_password(mail.token.expose(), password, RevokeApiKeys::Keep)?;
    /// assert_eq!(user.valid()?.username, "ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every write](crate::manual::errors#every-write) does, and with:
    /// - [`Invalid`](crate::ErrorKind::Invalid) if the text is longer than 254 bytes without the
    ///   white space around it;
    /// - [`NoRandom`](crate::ErrorKind::NoRandom).
    #[doc(alias("forgot password", "forgotten password"))]
    pub fn request_password_reset(&self, typed: &str) -> Result<ResetRequest> {
        if typed.trim().len() > EMAIL_MAX_BYTES {
            return Err(Error::invalid("the name or e-mail address is longer than 254 bytes"));
        }
        let typed = TypedName::parse(typed);
        self.store.write(|tx| {
            let found = find(tx, &typed)?;
            let purpose = OneTimePurpose::PasswordReset;
            let user = found.as_ref().map(|(user, _)| user.id);
            let issued = one_time_token::replace(tx, user, purpose, None, RESET_LIFETIME_DEFAULT)?;
            let event = Event::new(EventKind::PasswordResetRequested).user(user);
            let mail = found.map(|(user, to)| ResetMail {
                to,
                user: user.id,
                token: issued.token,
                expires_at: issued.expires_at,
            });
            Ok(Written::With(ResetRequest(mail), event))
        })
    }
}

/// The person to mail to, and the address. Both keys are looked up in any case, so that the time
/// does not show whether the first was found.
fn find(tx: &ReadTx<'_>, typed: &TypedName) -> Result<Option<(User, String)>> {
    let (by_name, near) = match &typed.username {
        Some(key) => user::near_username_key(tx, key)?,
        None => (None, UserId::NIL),
    };
    let by_email = match &typed.email {
        Some(key) => user::by_email_key(tx, key)?,
        None => None,
    };
    let found = by_name.or(by_email);
    // The neighbour of an unknown name is read and discarded.
    let read = user::find(tx, found.unwrap_or(near))?;
    let may_reset =
        |user: &User| user.kind == UserKind::Person && user.status == UserStatus::Active;
    let user = read.filter(|_| found.is_some()).filter(may_reset);
    Ok(user.and_then(|mut user| user.email.take().map(|email| (user, email))))
}
