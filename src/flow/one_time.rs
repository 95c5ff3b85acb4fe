//! Issue, request and use one-time tokens.
//!
//! A call that takes a token first reads whether it is valid, so that no junk costs a hash or a
//! write. Then one write, through `Store::revoke`, uses the token up and does what it is for: both
//! or neither.

mod confirmation;
mod first_administrator;
mod invitation;
mod issue;
mod request;
mod reset;

pub use request::{ResetMail, ResetRequest};
pub use reset::RevokeApiKeys;

use crate::error::{ErrorKind, Result};
use crate::flow::revoke::{Cause, Revocation};
use crate::hasher::Hashed;
use crate::record::audit::Written;
use crate::record::credential::{self, Former};
use crate::record::one_time_token::{self, Standing};
use crate::record::second_factor;
use crate::record::user::{self, User};
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::event::{Event, EventKind};
use crate::value::id::UserId;
use crate::value::one_time::OneTimePurpose;
use crate::value::principal::InvalidToken;
use crate::value::secret::Password;
use crate::value::target::Target;
use crate::value::token::{self, ParsedToken, TokenKind};

/// The result of presenting a one-time token. An error of the store is neither of the two.
#[expect(clippy::exhaustive_enums, reason = "complete: the token is valid or not")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it says whether the token was valid"]
pub enum Redemption {
    /// The token was valid and is used up: the user after the change.
    Valid(Box<User>),
    /// The token is not valid: nothing was changed.
    Invalid(InvalidToken),
}

impl Redemption {
    /// Returns the user after the change, or [`InvalidToken`] as an error for `?`.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("auth.db");
    /// # let store = gatepost::Store::open(path, gatepost::Options::server())?;
    /// let forged = store.one_time_tokens().confirm_email("gpo_forged")?;
    /// assert!(forged.valid().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidToken`] if the token is not valid.
    pub fn valid(self) -> std::result::Result<User, InvalidToken> {
        match self {
            Self::Valid(user) => Ok(*user),
            Self::Invalid(invalid) => Err(invalid),
        }
    }
}

/// A token that was valid when it was presented.
struct Checked {
    token: ParsedToken,
    purpose: OneTimePurpose,
    user: UserId,
}

impl Store {
    /// Reads the token of a user; `None` if it is not valid for this purpose, which is recorded or
    /// counted.
    fn checked(&self, text: &str, purpose: OneTimePurpose) -> Result<Option<Checked>> {
        let valid = self.checked_of(text, purpose)?;
        let of_user =
            |(token, user): (_, Option<_>)| user.map(|user| Checked { token, purpose, user });
        Ok(valid.and_then(of_user))
    }

    /// Reads the token, which may be of no user.
    fn checked_of(
        &self,
        text: &str,
        purpose: OneTimePurpose,
    ) -> Result<Option<(ParsedToken, Option<UserId>)>> {
        self.core().storage.check_open()?;
        let parsed = token::parse(text).filter(|parsed| parsed.kind == TokenKind::OneTime);
        let Some(token) = parsed else {
            self.count_one_time("malformed");
            return Ok(None);
        };
        match self.read(|tx| one_time_token::standing(tx, &token, purpose))? {
            Standing::Valid(user) => Ok(Some((token, user))),
            Standing::Invalid(user, reason) => {
                let event = refused(user, purpose, reason);
                self.write(|_| Ok(Written::With((), event)))?;
                Ok(None)
            }
            Standing::Unknown => {
                self.count_one_time("unknown");
                Ok(None)
            }
        }
    }

    /// Uses the token up and does what it is for, in one write that revokes for this cause.
    fn redeem(
        &self,
        checked: &Checked,
        cause: Cause,
        effect: impl Fn(&WriteTx<'_>, &Revocation) -> Result<Event>,
    ) -> Result<Redemption> {
        self.revoke(Target::User(checked.user), cause, |tx, revocation| {
            let (redemption, event) = redeemed(tx, checked, |tx| effect(tx, revocation))?;
            Ok(Written::With(redemption, event))
        })
    }

    /// As [`redeem`](Self::redeem), for a token that sets the user's password, which is checked and
    /// hashed before the write begins. If the stored password was marked in between, the new one is
    /// compared with it, in another turn.
    fn redeem_for(
        &self,
        checked: &Checked,
        cause: Cause,
        password: &Password,
        effect: impl Fn(&WriteTx<'_>, &Revocation) -> Result<Event>,
    ) -> Result<Redemption> {
        loop {
            let (hashed, former) = self.hash_for(checked, password)?;
            let set = |tx: &WriteTx<'_>, revocation: &Revocation| {
                credential::set(tx, self.options(), checked.user, hashed.as_str(), false)?;
                effect(tx, revocation)
            };
            let redeemed = self.revoke(Target::User(checked.user), cause, |tx, revocation| {
                if is_valid(tx, checked)? && !former.is_current(tx, self.options())? {
                    return Ok(Written::Nothing(None));
                }
                let (redemption, event) = redeemed(tx, checked, |tx| set(tx, revocation))?;
                Ok(Written::With(Some(redemption), event))
            })?;
            if let Some(redemption) = redeemed {
                return Ok(redemption);
            }
        }
    }

    /// Checks the new password and hashes it, before the write begins.
    fn hash_for(&self, checked: &Checked, password: &Password) -> Result<(Hashed, Former)> {
        let user = checked.user;
        let read = self.read(|tx| {
            let has_factor = second_factor::is_in_force(tx, user)?;
            let former = Former::of(tx, self.options(), user)?;
            Ok((user::context_words(tx, user)?, has_factor, former))
        });
        let (words, has_factor, former) = match read {
            // Deleted since: the write finds that the token is revoked.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (Vec::new(), false, Former::none(user))
            }
            read => read?,
        };
        let hashed = credential::hash_another(self, password, (&words, has_factor), &former)?;
        Ok((hashed, former))
    }

    /// Counted, not written: junk must not keep the log busy.
    fn count_one_time(&self, reason: &'static str) {
        self.core().pending.counts.count(EventKind::OneTimeTokenRefused, reason, self.now());
    }
}

/// Uses the token up and does what it is for; or what to record of a token that is not valid.
fn redeemed(
    tx: &WriteTx<'_>,
    checked: &Checked,
    effect: impl FnOnce(&WriteTx<'_>) -> Result<Event>,
) -> Result<(Redemption, Event)> {
    let Checked { token, purpose, user } = checked;
    if !one_time_token::use_up(tx, token, *purpose, Some(*user))? {
        let event = not_used(tx, token, *purpose, Some(*user))?;
        return Ok((Redemption::Invalid(InvalidToken), event));
    }
    let event = effect(tx)?;
    let user = user::existing(tx, *user)?;
    Ok((Redemption::Valid(Box::new(user)), event))
}

fn is_valid(tx: &ReadTx<'_>, checked: &Checked) -> Result<bool> {
    let standing = one_time_token::standing(tx, &checked.token, checked.purpose)?;
    Ok(standing == Standing::Valid(Some(checked.user)))
}

/// The event of a token that was valid when it was read: another caller was faster, or it was
/// revoked since.
fn not_used(
    tx: &WriteTx<'_>,
    token: &ParsedToken,
    purpose: OneTimePurpose,
    user: Option<UserId>,
) -> Result<Event> {
    let reason = match one_time_token::standing(tx, token, purpose)? {
        Standing::Invalid(_, reason) => reason,
        Standing::Valid(_) | Standing::Unknown => "unknown",
    };
    Ok(refused(user, purpose, reason))
}

fn refused(user: Option<UserId>, purpose: OneTimePurpose, reason: &'static str) -> Event {
    let event = Event::new(EventKind::OneTimeTokenRefused).user(user);
    event.refused(reason).detail(purpose.as_str())
}
