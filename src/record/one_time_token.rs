//! One-time tokens: each proves one thing once, is shown once and stored as a digest.
//!
//! [`standing!`] is the one rule of a valid token. A list, the check before a password is hashed
//! and the UPDATE that uses a token all evaluate it. It ends in `'valid'`, so that a row that is
//! missing or NULL never makes a token valid.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::storage::{ReadTx, Row, WriteTx, params};
use crate::store::Store;
use crate::value::id::{OneTimeTokenId, UserId};
use crate::value::limits::clock_skew_max_ms;
use crate::value::one_time::OneTimePurpose;
use crate::value::secret::Secret;
use crate::value::time::Timestamp;
use crate::value::token::{ParsedToken, TokenKind, mint};

/// A one-time token to be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct NewOneTimeToken {
    pub(crate) purpose: OneTimePurpose,
    lifetime: Option<Duration>,
}

impl NewOneTimeToken {
    const fn of(purpose: OneTimePurpose) -> Self {
        Self { purpose, lifetime: None }
    }

    /// A password reset: valid for 1 hour, or up to 24 hours by
    /// [`lifetime`](Self::lifetime). Its user must be an active person.
    pub const fn password_reset() -> Self {
        Self::of(OneTimePurpose::PasswordReset)
    }

    /// The confirmation of the e-mail address that the user has now: valid for 24 hours, or up to 7
    /// days by [`lifetime`](Self::lifetime). Its user must be active or pending.
    pub const fn email_confirmation() -> Self {
        Self::of(OneTimePurpose::EmailConfirmation)
    }

    /// An invitation: valid for 7 days, or up to 30 days by [`lifetime`](Self::lifetime). Its user
    /// must be a pending person.
    pub const fn invitation() -> Self {
        Self::of(OneTimePurpose::Invitation)
    }

    /// A temporary password: valid for 24 hours, or up to 7 days by [`lifetime`](Self::lifetime).
    /// Its user must be an active person.
    ///
    /// The person types the token in the place of the password, in a login that carries a new
    /// password. That change uses it up (ASVS 6.4.1); a login without a new password is refused as
    /// [`NewPasswordRequired`](crate::LoginRefusal::NewPasswordRequired) and leaves it valid. Until
    /// then the user's own password, if there is one, is valid as well.
    ///
    /// ```
    /// use gatepost::sessions::NewOneTimeToken;
    /// use gatepost::{DeviceId, LoginRefusal, LoginRequest, NewUser, Password};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let issued = store.one_time_tokens().issue(ada, NewOneTimeToken::temporary_password())?;
    ///
    /// let login = || {
    ///     let temporary = Password::from(issued.token.expose());
    ///     LoginRequest::new("ada", temporary, DeviceId::new("till-1").expect("a device"))
    /// };
    /// let refusal = store.log_in(login())?.granted().unwrap_err();
    /// assert_eq!(refusal, LoginRefusal::NewPasswordRequired);
    /// let change = || login().new_password(Password::from("lantern over wet slate"));
    /// assert!(store.log_in(change())?.granted().is_ok());
    /// assert!(store.log_in(change())?.granted().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn temporary_password() -> Self {
        Self::of(OneTimePurpose::TemporaryPassword)
    }

    /// How long the token is valid from its issue, by the store's clock: more than zero, and at
    /// most the bound of its purpose.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use gatepost::sessions::NewOneTimeToken;
    /// use gatepost::{ErrorKind, NewUser};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// let hour = Duration::from_secs(3_600);
    /// let issue = |lifetime| {
    ///     let new = NewOneTimeToken::password_reset().lifetime(lifetime);
    ///     store.one_time_tokens().issue(ada, new)
    /// };
    /// assert!(issue(24 * hour).is_ok());
    /// let error = issue(25 * hour).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Invalid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// The lifetime in force.
    ///
    /// # Errors
    /// `Invalid` if it is zero or longer than its purpose allows.
    pub(crate) fn checked_lifetime(&self) -> Result<Duration> {
        let (default, most) = self.purpose.lifetimes();
        let lifetime = self.lifetime.unwrap_or(default);
        if lifetime < Duration::from_millis(1) {
            return Err(Error::invalid("the lifetime of a one-time token is shorter than 1 ms"));
        }
        if lifetime > most {
            return Err(Error::invalid(self.purpose.too_long()));
        }
        Ok(lifetime)
    }
}

/// A one-time token that was just issued: the only time that the token itself can be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct IssuedOneTimeToken {
    /// Its public handle.
    pub id: OneTimeTokenId,
    /// The token itself, for the person whom it concerns. The store keeps only its SHA-256.
    pub token: Secret,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
}

/// A valid one-time token, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OneTimeTokenInfo {
    /// Its public handle.
    pub id: OneTimeTokenId,
    /// The user whom it concerns.
    pub user: UserId,
    /// What it is for.
    pub purpose: OneTimePurpose,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The first moment at which it is expired.
    pub expires_at: Timestamp,
    /// The e-mail address that it confirms, folded as addresses are compared; `None` for every
    /// other purpose.
    pub email: Option<String>,
    /// Whether it was used; `false` in every list of valid tokens.
    pub is_used: bool,
}

impl Store {
    /// Returns the handle of the one-time tokens.
    #[must_use]
    pub fn one_time_tokens(&self) -> OneTimeTokens<'_> {
        OneTimeTokens { store: self }
    }
}

/// The one-time tokens of a store: password resets, confirmations, invitations, temporary passwords
/// and the first administrator.
///
/// A token is shown once, is valid for a bounded time, and is used at most once in any race of
/// threads and processes. Its secret has 256 random bits, which no one can guess (NIST SP
/// 800-63B-4, 3.2.2 asks for a limit of attempts below 64 bits), so no attempts are counted. A
/// refused token is one value, [`InvalidToken`](crate::InvalidToken), whatever the reason. The
/// manual shows [whole programs](crate::manual::one_time_tokens).
///
/// ```
/// use gatepost::directory::UserStatus;
/// use gatepost::sessions::NewOneTimeToken;
/// use gatepost::{NewUser, Password};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("auth.db");
/// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
/// let ada = store.users().create(NewUser::person("ada").status(UserStatus::Pending))?.id;
/// let issued = store.one_time_tokens().issue(ada, NewOneTimeToken::invitation())?;
/// assert!(issued.token.expose().starts_with("gpo_"));
///
/// let password = || Password::from("lantern over wet slate");
/// let accept = || store.one_time_tokens().accept_invitation(issued.token.expose(), password());
/// assert_eq!(accept()?.valid()?.status, UserStatus::Active);
/// assert!(accept()?.valid().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("password reset", "magic link", "recovery", "invite", "verify email"))]
#[derive(Debug)]
pub struct OneTimeTokens<'s> {
    pub(crate) store: &'s Store,
}

impl OneTimeTokens<'_> {
    /// Returns the valid one-time tokens of a user, oldest first: at most one of each purpose.
    /// Empty if there is no such user.
    ///
    /// ```
    /// use gatepost::NewUser;
    /// use gatepost::sessions::{NewOneTimeToken, OneTimePurpose};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let ada = store.users().create(NewUser::person("ada"))?.id;
    /// store.one_time_tokens().issue(ada, NewOneTimeToken::password_reset())?;
    /// let tokens = store.one_time_tokens().list(ada)?;
    /// assert_eq!(tokens[0].purpose, OneTimePurpose::PasswordReset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [every read](crate::manual::errors#every-read) does.
    pub fn list(&self, user: UserId) -> Result<Vec<OneTimeTokenInfo>> {
        self.store.read(|tx| valid_of(tx, user))
    }
}

/// What a token `t` is worth at the time `$now`, a parameter of the statement: `'valid'`, or why
/// not.
macro_rules! standing {
    ($now:literal) => {
        concat!(
            "(SELECT CASE
                 WHEN t.uses_left <= 0 THEN 'used'
                 WHEN t.expires_at <= ",
            $now,
            " THEN 'expired'
                 WHEN t.issued_at > ",
            clock_skew_max_ms!(),
            " + ",
            $now,
            " THEN 'not_yet'
                 WHEN u.deleted_at IS NOT NULL
                     OR t.issued_seq < max(coalesce(u.tokens_ended_seq, 0), st.tokens_ended_seq,
                         coalesce(b.tokens_ended_seq, 0), coalesce(o.tokens_ended_seq, 0))
                     THEN 'revoked'
                 WHEN t.bound_email IS NOT NULL AND t.bound_email IS NOT u.email_key
                     THEN 'address_changed'
                 WHEN NOT coalesce(CASE t.purpose
                         WHEN 'password_reset' THEN u.status = 'active'
                         WHEN 'temporary_password' THEN u.status = 'active'
                         WHEN 'email_confirmation' THEN u.status IN ('active', 'pending')
                         WHEN 'invitation' THEN u.status = 'pending'
                         WHEN 'first_administrator' THEN u.id IS NULL
                         ELSE 0 END, 0)
                     OR NOT (u.branch_id IS NULL OR coalesce(b.active, 0))
                     OR NOT (b.organisation_id IS NULL OR coalesce(o.active, 0))
                     THEN 'suspended'
                 ELSE 'valid' END
             FROM store AS st
             LEFT JOIN user AS u ON u.id = t.user_id
             LEFT JOIN branch AS b ON b.id = u.branch_id
             LEFT JOIN organisation AS o ON o.id = b.organisation_id
             WHERE st.id = 1)"
        )
    };
}

/// The reasons of [`standing!`] other than `'valid'`, as the audit log has them.
const REASONS: [&str; 6] =
    ["used", "expired", "not_yet", "revoked", "address_changed", "suspended"];

/// What a token is worth that was presented for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// With the user whom it concerns; `None` for that of the first administrator.
    Valid(Option<UserId>),
    /// The token was issued once, and is not valid.
    Invalid(Option<UserId>, &'static str),
    /// No such token is in the file.
    Unknown,
}

/// Reads what a token is worth.
pub(crate) fn standing(
    tx: &ReadTx<'_>,
    token: &ParsedToken,
    purpose: OneTimePurpose,
) -> Result<Standing> {
    let found: Option<(Option<UserId>, OneTimePurpose, Option<String>)> = tx.one(
        concat!(
            "SELECT t.user_id, t.purpose, ",
            standing!("?3"),
            " FROM one_time_token AS t
             WHERE t.id = ?1 AND t.secret_hash = ?2
                 AND (t.user_id IS NOT NULL OR t.purpose = 'first_administrator')"
        ),
        params![id_of(token), token.secret_hash, tx.now()],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let Some((user, own, standing)) = found else { return Ok(Standing::Unknown) };
    if own != purpose {
        return Ok(Standing::Invalid(user, "wrong_purpose"));
    }
    let standing = standing.as_deref().unwrap_or("revoked");
    if standing == "valid" {
        return Ok(Standing::Valid(user));
    }
    let reason = REASONS.into_iter().find(|reason| *reason == standing).unwrap_or("revoked");
    Ok(Standing::Invalid(user, reason))
}

/// A token as it was presented, of which only the id was kept; `None` if it is gone.
pub(crate) fn presented(tx: &ReadTx<'_>, id: OneTimeTokenId) -> Result<Option<ParsedToken>> {
    tx.one("SELECT secret_hash FROM one_time_token WHERE id = ?1", params![id], |row| {
        let (kind, secret_hash) = (TokenKind::OneTime, row.get(0)?);
        Ok(ParsedToken { kind, id: *id.as_bytes(), secret_hash })
    })
}

/// Uses a token up, in the one statement that also checks it: of all callers in all processes, one
/// gets `true`, once.
pub(crate) fn use_up(
    tx: &WriteTx<'_>,
    token: &ParsedToken,
    purpose: OneTimePurpose,
    user: Option<UserId>,
) -> Result<bool> {
    let used = tx.execute(
        concat!(
            "UPDATE one_time_token AS t SET uses_left = t.uses_left - 1
             WHERE t.id = ?1 AND t.secret_hash = ?2 AND t.purpose = ?4 AND t.user_id IS ?5
                 AND ",
            standing!("?3"),
            " = 'valid'"
        ),
        params![id_of(token), token.secret_hash, tx.now(), purpose, user],
    )?;
    Ok(used == 1)
}

/// Whether a user has the privilege `admin`, a deleted one included: a token of the first
/// administrator is of no use then.
pub(crate) fn has_administrator(tx: &ReadTx<'_>) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM user_privilege WHERE name = 'admin')";
    tx.exactly_one(sql, [], |row| row.get(0))
}

/// Issues a token in place of an earlier one of the same purpose. Without a user it writes that of
/// the first administrator, or the stand-in, so that the work is the same.
pub(crate) fn replace(
    tx: &WriteTx<'_>,
    user: Option<UserId>,
    purpose: OneTimePurpose,
    bound_email: Option<&str>,
    lifetime: Duration,
) -> Result<IssuedOneTimeToken> {
    tx.execute(
        "DELETE FROM one_time_token WHERE user_id IS ?1 AND purpose = ?2",
        params![user, purpose],
    )?;
    let is_taken = "SELECT EXISTS (SELECT 1 FROM one_time_token WHERE id = ?1)";
    let id = tx.draw_id(OneTimeTokenId::draw, is_taken)?;
    let (token, hash) = mint(TokenKind::OneTime, *id.as_bytes(), tx.random())?;
    let expires_at = tx.now() + lifetime;
    tx.execute(
        "INSERT INTO one_time_token (id, secret_hash, purpose, user_id, bound_email, uses_left,
             issued_seq, issued_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?4 IS NOT NULL OR ?3 = 'first_administrator',
             (SELECT seq FROM sqlite_sequence WHERE name = 'change'), ?6, ?7)",
        params![id, hash, purpose, user, bound_email, tx.now(), expires_at],
    )?;
    Ok(IssuedOneTimeToken { id, token, expires_at })
}

/// The valid tokens of a user, oldest first.
fn valid_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<OneTimeTokenInfo>> {
    tx.all(
        concat!(
            "SELECT t.id, t.user_id, t.purpose, t.issued_at, t.expires_at, t.bound_email,
                 t.uses_left = 0 FROM one_time_token AS t WHERE t.user_id = ?1 AND ",
            standing!("?2"),
            " = 'valid' ORDER BY t.issued_at, t.id"
        ),
        params![user, tx.now()],
        info,
    )
}

/// Every token of a user that the file has, valid or not, oldest first.
pub(crate) fn stored_of(tx: &ReadTx<'_>, user: UserId) -> Result<Vec<OneTimeTokenInfo>> {
    tx.all(
        "SELECT id, user_id, purpose, issued_at, expires_at, bound_email, uses_left = 0
         FROM one_time_token WHERE user_id = ?1 ORDER BY issued_at, id",
        params![user],
        info,
    )
}

/// Deletes every token of a user who is erased.
pub(crate) fn erase_of(tx: &WriteTx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM one_time_token WHERE user_id = ?1", params![user]).map(drop)
}

fn info(row: &Row<'_>) -> rusqlite::Result<OneTimeTokenInfo> {
    Ok(OneTimeTokenInfo {
        id: row.get(0)?,
        user: row.get(1)?,
        purpose: row.get(2)?,
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
        email: row.get(5)?,
        is_used: row.get(6)?,
    })
}

fn id_of(token: &ParsedToken) -> OneTimeTokenId {
    OneTimeTokenId::from_bytes(token.id)
}

/// Deletes at most `most` tokens that had expired at `at`, the first ones first.
pub(crate) fn sweep(tx: &WriteTx<'_>, at: Timestamp, most: i64) -> Result<usize> {
    tx.execute(
        "DELETE FROM one_time_token WHERE id IN (
             SELECT id FROM one_time_token WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        params![at, most],
    )
}
