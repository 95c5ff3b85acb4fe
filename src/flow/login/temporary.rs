//! A temporary password: a one-time token in the place of the password. The change of the password
//! that the login must carry uses it up.

use super::reserve::Attempt;
use crate::error::Result;
use crate::record::credential::StoredPassword;
use crate::record::one_time_token::{self, Standing};
use crate::storage::{ReadTx, WriteTx};
use crate::store::Store;
use crate::value::id::UserId;
use crate::value::one_time::OneTimePurpose;
use crate::value::secret::Password;
use crate::value::token::{self, ParsedToken, TokenKind};

const PURPOSE: OneTimePurpose = OneTimePurpose::TemporaryPassword;

impl Store {
    /// The token that was typed as password, if it is the valid temporary password of the user. At
    /// a closed gate it counts as a wrong password, as every password does.
    pub(super) fn temporary_password(
        &self,
        attempt: &Attempt,
        password: &Password,
    ) -> Result<Option<ParsedToken>> {
        let parsed = token::parse(password.expose());
        let Some(token) = parsed.filter(|parsed| parsed.kind == TokenKind::OneTime) else {
            return Ok(None);
        };
        // Read for an unknown name too, so that the time does not show whether there is a user.
        let standing = self
            .read(|tx| one_time_token::standing(tx, &token, PURPOSE))
            .inspect_err(|_| self.uncharge(attempt))?;
        let user = attempt.subject.user.filter(|_| attempt.is_compared());
        Ok((user.is_some() && standing == Standing::Valid(user)).then_some(token))
    }
}

impl Attempt {
    /// Whether what was typed still proves the user: the password that was verified may have been
    /// replaced meanwhile, and the temporary one used up.
    pub(super) fn is_proven(
        &self,
        tx: &ReadTx<'_>,
        user: UserId,
        now: Option<&StoredPassword>,
    ) -> Result<bool> {
        if self.is_by_host() {
            return Ok(true);
        }
        if let Some(token) = &self.temporary {
            return Ok(
                one_time_token::standing(tx, token, PURPOSE)? == Standing::Valid(Some(user))
            );
        }
        let verified = self.credential.as_ref().map(|before| before.version);
        Ok(now.is_some_and(|now| verified == Some(now.version) && !now.compromised))
    }
}

/// Uses up the temporary password of a login that is granted; `false` if it is not valid any more.
pub(super) fn use_up(tx: &WriteTx<'_>, attempt: &Attempt, user: UserId) -> Result<bool> {
    match &attempt.temporary {
        Some(token) => one_time_token::use_up(tx, token, PURPOSE, Some(user)),
        None => Ok(true),
    }
}
